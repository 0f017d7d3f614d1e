"""
A proxy between real ends of real connections, in memory: a client and an origin of either version of HTTP, and nothing
replaced but the sockets and the time.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.internet.interfaces import IProtocol, IProtocolFactory
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from hermes.fabric.router import Route, Router
from hermes.http.handler import RequestHandler
from hermes.http.plans import Plan, Plans
from hermes.http.sender import ExchangeSender
from hermes.http1.client import HTTP1Client
from hermes.http1.clientprotocol import HTTP1ClientProtocol
from hermes.http1.server import HTTP1ServerProtocol
from hermes.http2.connection import ClientConnection, ServerConnection
from hermes.http2.pool import Pool
from hermes.interfaces import IBody, IBodySink, IExchangeHandler, Send
from hermes.matching import Match
from hermes.messages import Response
from hermes.test.fabric.fakedialer import FakeDialer
from hermes.test.http.forwarding import Watching
from hermes.test.http1.memory import Handler, MemoryTransport
from hermes.test.http2.wire import Reader
from hermes.test.turns import TurningClock
from hermes.users import Users
from hermes.values import Headers, Identity, RequestHead, ResponseHead

CANCEL = 8


class Turning(SynchronousTestCase):
    """
    Connections that are joined in memory.
    """

    def setUp(self) -> None:
        self.clock = TurningClock()
        self.links: list[tuple[MemoryTransport, MemoryTransport]] = []

    def link(self, identity: Identity | None = None) -> tuple[MemoryTransport, MemoryTransport]:
        """
        Two joined ends: a client's, and a server's that knows the client as C{identity}.
        """
        ends = MemoryTransport(self.clock), MemoryTransport(self.clock, identity)
        self.links.append(ends)
        return ends

    def pump(self) -> None:
        """
        Let turns pass until nothing happens any more.
        """
        while self.turn():
            pass

    def turn(self) -> bool:
        """
        What was written arrives, and is dealt with. Whether anything happened.
        """
        self.clock.advance(0)
        moved = self.clock.endTurn()
        for link in self.links:
            for near, far in (link, link[::-1]):
                moved = self._carry(near, far) or moved
        return self.clock.endTurn() or moved

    def _carry(self, near: MemoryTransport, far: MemoryTransport) -> bool:
        if far.disconnected:
            return False
        data = near.takeWritten()
        if data:
            far.receive(data)
        if near.aborted:
            far.lose(Failure(ConnectionAborted()))
        elif (near.writeClosed or near.closing) and not far.eofPending:
            far.receiveEnd()
        else:
            return bool(data)
        return True


@implementer(IBody)
class OwnBody:
    """
    A body whose data a test gives.

    @ivar sink: whoever takes it, or L{None}.
    @ivar stopped: how often it was stopped.
    """

    def __init__(self, length: int | None = None) -> None:
        self.length = length
        self.sink: Any = None
        self.stopped = 0
        self.paused = False

    def start(self, sink: IBodySink) -> None:
        self.sink = sink

    def pauseProducing(self) -> None:
        self.paused = True

    def resumeProducing(self) -> None:
        self.paused = False

    def stopProducing(self) -> None:
        self.stopped += 1


class Origins:
    """
    Connects to origins of one version, each connection to a server of its own.

    @ivar handler: takes their requests.
    """

    def __init__(self, case: Turning, version: str) -> None:
        self._case = case
        self._version = version
        self.handler = Handler()

    def connect(self, factory: IProtocolFactory) -> Deferred[IProtocol]:
        near, far = self._case.link()
        far.attach(serve(self._version, self.handler, self._case.clock))
        protocol: Any = factory.buildProtocol(None)  # type: ignore[arg-type]
        near.attach(protocol)
        return succeed(protocol)


def serve(version: str, handler: IExchangeHandler, clock: Any) -> Any:
    """
    A server's end of a connection.
    """
    return HTTP1ServerProtocol(handler, clock) if version == "1.1" else ServerConnection(handler, clock)


class Proxying(Turning):
    """
    A proxy, a client before it, and an origin behind it.

    @cvar near: the version that the client speaks.
    @cvar far: the version that the origin speaks.
    @ivar browser: the client's exchange; C{body} reads what it gets.
    @ivar answers: a test's to fill.
    @ivar origin: the origin's exchange; C{taken} reads what it gets.
    """

    near = "2"
    far = "2"

    def setUp(self) -> None:
        super().setUp()
        self.watching = Watching()
        self.endpoint: Any = Origins(self, self.far)
        kind: Any = HTTP1Client if self.far == "1.1" else Pool
        self.upstream: Any = kind(self.endpoint, self.clock)
        self.requests = RequestHandler(self.newPlans(), Users({}), [self.watching], self.clock, "edge")
        self.identity: Identity | None = None
        self.answers: list[Response] = []
        self.connect()

    def newPlans(self) -> Plans:
        """
        Every request goes to the origin.
        """
        dialer = FakeDialer(self.clock)
        origins: Any = lambda _: ExchangeSender(self.upstream)  # noqa: E731
        return Plans(Router([Route(Match(), "all")]), {}, {}, lambda special: dialer, origins, self.clock)

    def connect(self, **options: Any) -> None:
        """
        The client connects.
        """
        self.wire, far = self.link(self.identity)
        far.attach(serve(self.near, self.requests.listener("apps", **options), self.clock))
        self.client: Any = (HTTP1ClientProtocol if self.near == "1.1" else ClientConnection)(self.clock)
        self.wire.attach(self.client)
        self.pump()

    def answerWith(self, send: Send) -> None:
        """
        Requests are answered by this, and go to no origin.
        """
        plans: Any = self.requests.plans
        plans.decide = lambda request: Plan(send, "here")

    def leave(self) -> None:
        """
        The client goes away.
        """
        self.browser.reset(CANCEL)
        self.pump()

    def ask(self, method: bytes = b"GET", headers: Headers = (), body: bytes | None = None, more: bool = False) -> None:
        """
        The client asks.

        @param body: the beginning of the request's body.
        @param more: whether the rest is still to come.
        """
        head = RequestHead(method, b"http", b"origin.example", b"/", None, headers)
        end = body is None and not more
        self.browser = self.client.request(head, end) if self.near == "1.1" else self.client.open(head, end)
        self.outcome: list[Any] = []
        self.browser.whenAnswered(self.outcome.append, self.outcome.append)
        self.body = Reader()
        self.browser.attach(self.body)
        if body is not None:
            self.browser.write(body)
            if not more:
                self.browser.loseWriteConnection()
        before = len(self.endpoint.handler.exchanges)
        self.pump()
        if len(self.endpoint.handler.exchanges) > before:
            self.origin = self.endpoint.handler.exchanges[-1]
            self.taken = Reader()
            if not self.origin.bodyless:
                self.origin.attach(self.taken)
                self.pump()

    def respond(
        self, status: int = 200, headers: Headers = (), body: bytes | None = b"", more: bool = False, end: bool = False
    ) -> None:
        """
        The origin answers.

        @param body: the beginning of the response's body.
        @param more: whether the rest is still to come.
        """
        self.origin.respond(ResponseHead(status, headers), end)
        if body:
            self.origin.write(body)
        if not (more or end):
            self.origin.loseConnection() if self.origin.bodyless else self.origin.loseWriteConnection()
        self.pump()

    @property
    def status(self) -> int:
        """
        Of the response that the client got.
        """
        (head,) = self.outcome
        assert isinstance(head, ResponseHead), head
        return head.status

    @property
    def record(self) -> Any:
        """
        That of the only request that has ended.
        """
        (record,) = self.watching.ended
        return record

    def assertEnded(self, status: int, error: str | None = None, proxyStatus: str | None = None) -> None:
        """
        The observers have heard of the request's end once, and nothing is open.
        """
        record = self.record
        self.assertEqual((record.status, record.error, record.proxyStatus), (status, error, proxyStatus))
        self.assertEqual(self.requests.openRequests(), [])

    def assertWhole(self, data: bytes) -> None:
        """
        The client has got all of its response.
        """
        self.assertEqual((bytes(self.body.data), self.body.readLost), (data, 1))

    def assertBroken(self) -> None:
        """
        The client knows that what it got is not the whole.
        """
        self.assertEqual(self.body.readLost, 0)
        assert self.body.lost is not None
        self.assertIsNone(self.body.lost.check(ConnectionDone))

    def assertOriginStopped(self) -> None:
        """
        The origin knows that nobody waits for it any more.
        """
        lost: list[Failure] = []
        if self.origin.bodyless:
            self.origin.notifyLost(lost.append)
        else:
            assert self.taken.lost is not None
            lost.append(self.taken.lost)
        self.assertIsNone(lost[0].check(ConnectionDone))
