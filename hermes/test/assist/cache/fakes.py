"""
An origin, its bodies and those who read them, for tests of the cache.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred, execute
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from hermes.assist.cache import Cache, CacheOptions, IObjectStore
from hermes.assist.cache.dates import writeDate
from hermes.assist.cache.disk import DiskStore
from hermes.assist.cache.memory import MemoryStore
from hermes.assist.cache.options import rulesOf
from hermes.interfaces import IBody, IBodySink
from hermes.messages import BytesBody, Request, RequestRecord, Response
from hermes.values import Buffer, Flow, Headers, Identity, RequestHead, ResponseHead, Target

EPOCH = 1_700_000_000
_NO_FIELDS: Mapping[str, str] = MappingProxyType({})


@implementer(IBody)
@define(eq=False)
class FakeBody:
    """
    A body whose pieces a test sends.
    """

    length: int | None = None
    sink: IBodySink | None = None
    paused: bool = False
    stopped: bool = False
    calls: list[str] = field(factory=list)

    def start(self, sink: IBodySink) -> None:
        self.sink = sink

    def pauseProducing(self) -> None:
        self.paused = True
        self.calls.append("pause")

    def resumeProducing(self) -> None:
        self.paused = False
        self.calls.append("resume")

    def stopProducing(self) -> None:
        self.stopped = True
        self.sink = None

    def send(self, data: bytes) -> None:
        """
        The next piece, borrowed: it is overwritten once it was taken.
        """
        assert self.sink is not None
        lent = bytearray(data)
        self.sink.dataReceived(memoryview(lent))
        lent[:] = b"\0" * len(lent)

    def end(self, trailers: Headers = ()) -> None:
        """
        That was all.
        """
        assert self.sink is not None
        self.sink.bodyEnded(trailers)

    def fail(self, error: Exception) -> None:
        """
        It breaks off.
        """
        assert self.sink is not None
        self.sink.bodyFailed(Failure(error))


@implementer(IBodySink)
@define(eq=False)
class Reader:
    """
    Reads a body.

    @ivar pauseAfter: it pauses the body once it has so many bytes.
    """

    body: IBody
    pauseAfter: int | None = None
    data: bytearray = field(factory=bytearray)
    trailers: Headers | None = None
    failure: Failure | None = None
    pieces: int = 0
    done: Deferred[None] = field(factory=Deferred)

    def start(self) -> Reader:
        """
        Begin.
        """
        self.body.start(self)
        return self

    def dataReceived(self, data: Buffer) -> None:
        assert not self.over and len(data)
        self.pieces += 1
        self.data += data
        if self.pauseAfter is not None and len(self.data) >= self.pauseAfter:
            self.body.pauseProducing()

    def bodyEnded(self, trailers: Headers) -> None:
        assert not self.over
        self.trailers = trailers
        self.done.callback(None)

    def bodyFailed(self, reason: Failure) -> None:
        assert not self.over
        self.failure = reason
        self.done.callback(None)

    @property
    def over(self) -> bool:
        """
        Whether nothing more may come.
        """
        return self.trailers is not None or self.failure is not None

    def resume(self) -> None:
        """
        Read on, to the end.
        """
        self.pauseAfter = None
        self.body.resumeProducing()


@define(eq=False)
class Answered:
    """
    What a client got.
    """

    response: Response
    record: RequestRecord
    reader: Reader | None

    @property
    def status(self) -> int:
        """
        The status.
        """
        return self.response.head.status

    @property
    def body(self) -> bytes:
        """
        All of the body; it has ended in order.
        """
        if self.reader is None:
            return b""
        assert self.reader.trailers is not None, self.reader.failure or "it goes on"
        return bytes(self.reader.data)

    def get(self, name: str) -> str | None:
        """
        A field.
        """
        value = self.response.head.get(name.encode())
        return None if value is None else value.decode()


def fields(**values: str) -> Headers:
    """
    Fields, with C{_} for C{-}.
    """
    return tuple((name.replace("_", "-").encode(), value.encode()) for name, value in values.items())


class CacheCase(SynchronousTestCase):
    """
    A cache in front of an origin that a test plays.

    @ivar sent: the requests that have come to the origin, and what it is to answer each with.
    @ivar cancelled: those that were given up.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(EPOCH)
        self.sent: list[tuple[Request, Deferred[Response]]] = []
        self.cancelled: list[Request] = []
        self.cache = self.make()

    def make(self, **options: Any) -> Cache:
        """
        A cache.
        """
        made = CacheOptions(**options)
        return Cache("pages", "edge", made, self.store(made), self.clock)

    def store(self, options: CacheOptions) -> IObjectStore:
        """
        Where it keeps responses.
        """
        return MemoryStore(options.size, options.largest)

    def onward(self, request: Request) -> Deferred[Response]:
        """
        The origin.
        """
        answer: Deferred[Response] = Deferred(lambda _: self.cancelled.append(request))
        self.sent.append((request, answer))
        return answer

    def request(
        self,
        path: str = "/",
        method: str = "GET",
        user: str | None = None,
        route: str = "",
        authority: str = "web.example",
        **headers: str,
    ) -> Request:
        """
        A client's request.
        """
        head = RequestHead(method.encode(), b"http", authority.encode(), path.encode(), None, fields(**headers))
        flow = Flow("http", Target("web.example", 80), None, Identity(user=user), "web")
        return Request(head, flow, RequestRecord(flow, head, "1.1", self.clock.seconds(), route))

    def ask(self, *arguments: Any, **named: Any) -> tuple[Deferred[Response], RequestRecord]:
        """
        Send a client's request.
        """
        request = self.request(*arguments, **named)
        return self.cache.assist(request, self.onward), request.record

    def read(self, asked: tuple[Deferred[Response], RequestRecord]) -> Answered:
        """
        The answer, as far as its body has come.
        """
        response = self.successResultOf(asked[0])
        reader = None if response.body is None else Reader(response.body).start()
        return Answered(response, asked[1], reader)

    def get(self, *arguments: Any, **named: Any) -> Answered:
        """
        Send a request and read its answer.
        """
        return self.read(self.ask(*arguments, **named))

    def dated(self, headers: Headers) -> Headers:
        """
        With the date of now.
        """
        if any(name == b"date" for name, _ in headers):
            return headers
        return (*headers, (b"date", writeDate(int(self.clock.seconds()))))

    def answer(
        self, body: bytes | IBody | None = b"body", status: int = 200, index: int = -1, **headers: str
    ) -> Request:
        """
        Let the origin answer the last request, or another.

        @return: that request.
        """
        request, answer = self.sent[index]
        if isinstance(body, bytes) and status != 304 and request.head.method != b"HEAD":
            headers.setdefault("content_length", str(len(body)))
            answer.callback(Response(ResponseHead(status, self.dated(fields(**headers))), BytesBody(body)))
        else:
            given = None if isinstance(body, bytes) else body
            answer.callback(Response(ResponseHead(status, self.dated(fields(**headers))), given))
        return request

    def fetch(
        self, body: bytes = b"body", path: str = "/", asked: Mapping[str, str] = _NO_FIELDS, **headers: str
    ) -> Answered:
        """
        A request that the origin answers.

        @param asked: its fields.
        """
        pending = self.ask(path, **asked)
        self.answer(body, 200, -1, **headers)
        return self.read(pending)

    def assertSent(self, count: int) -> None:
        """
        So many requests have come to the origin.
        """
        self.assertEqual(len(self.sent), count)


class AtOnce:
    """
    A L{hermes.assist.cache.database.Runner} that runs at once.

    @ivar held: what waits, where it is not to run at once; L{None} where it is.
    """

    def __init__(self) -> None:
        self.held: list[Callable[[], object]] | None = None
        self.stopped = False

    def run(self, function: Callable[[], Any]) -> Deferred[Any]:
        if self.held is None:
            return execute(function)
        done: Deferred[Any] = Deferred()
        self.held.append(lambda: execute(function).chainDeferred(done))
        return done

    def hold(self) -> None:
        """
        Let what is run from here on wait.
        """
        self.held = []

    def proceed(self) -> None:
        """
        Run what waits, and what comes of it, at once again.
        """
        while self.held:
            waiting, self.held = self.held, []
            for each in waiting:
                each()
        self.held = None

    def stop(self) -> None:
        self.stopped = True


class OnDisk:
    """
    Mixed into a case of a cache, has it keep responses on disk.
    """

    def store(self: Any, options: CacheOptions) -> IObjectStore:
        """
        A store on disk whose threads run at once.
        """
        path = self.mktemp()
        self.reading, self.writing = AtOnce(), AtOnce()
        store = DiskStore(path, options.size, options.largest, rulesOf(options), self.clock, self.reading, self.writing)
        self.addCleanup(lambda: self.successResultOf(store.close()))
        return store
