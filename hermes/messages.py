"""
HTTP messages on their way through a proxy, and what is known about one exchange while it goes on and after it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import define, field
from zope.interface import implementer

from hermes.errors import FlowError
from hermes.interfaces.request import IBody, IBodySink
from hermes.values import Flow, Headers, RequestHead, ResponseHead


@define(eq=False)
class RequestRecord:
    """
    One exchange, for whoever watches. Written as it goes on, with nothing between.

    @ivar flow: who asked for what, from where; its identity may be set late, by whoever authenticates.
    @ivar head: the request as it came.
    @ivar version: of HTTP in which it came, C{"1.1"} or C{"2"}.
    @ivar startedAt: when the head was there, in seconds of the clock.
    @ivar routeName: the route that took it; empty where none did.
    @ivar upstream: the name of the upstream that it was sent to, or C{"direct"}; empty where none was.
    @ivar endpoint: the address of the endpoint that answered.
    @ivar hops: the names of the hops that it goes through, in order.
    @ivar status: of the response that the client got; 0 where none.
    @ivar bytesIn: of the request's body.
    @ivar bytesOut: of the response's body.
    @ivar tries: how often it was sent to an upstream.
    @ivar retries: why it was sent again, each time: C{"connect"}, C{"refused"}, C{"reset"}, C{"timeout"}, C{"hedge"}, a
        status.
    @ivar spent: how often it was sent again before it was answered, by this node and by those beyond.
    @ivar resumed: how often the response's body was cut short and went on from another try.
    @ivar cache: what the cache did: C{"hit"}, C{"stale"}, C{"miss"}, C{"revalidated"}, C{"bypass"}; empty without one.
    @ivar error: what went wrong, in words; L{None} as long as nothing did.
    @ivar proxyStatus: the Proxy-Status error type (RFC 9209 section 2.3).
    @ivar firstByteSeconds: until the head of the response was there; L{None} before.
    @ivar seconds: from C{startedAt} to the end; L{None} while it goes on.
    @ivar notes: what observers and assisting components add, by name of their own. Under C{"trace"}, where there is
        one: an object whose C{outgoing(head)} gives each head that is sent on the fields of the trace.
    """

    flow: Flow
    head: RequestHead
    version: str
    startedAt: float
    routeName: str = ""
    upstream: str = ""
    endpoint: str = ""
    hops: tuple[str, ...] = ()
    status: int = 0
    bytesIn: int = 0
    bytesOut: int = 0
    tries: int = 0
    retries: tuple[str, ...] = ()
    spent: int = 0
    resumed: int = 0
    cache: str = ""
    error: str | None = None
    proxyStatus: str | None = None
    firstByteSeconds: float | None = None
    seconds: float | None = None
    notes: dict[str, Any] | None = None

    def failed(self, error: BaseException) -> None:
        """
        Note what went wrong, where nothing is noted yet.
        """
        if self.error is None:
            self.error = str(error) or type(error).__name__
            if isinstance(error, FlowError):
                self.proxyStatus = error.proxyStatus


@define(eq=False)
class Request:
    """
    A request on its way. Whoever it passes may change it; a copy, C{attrs.evolve}, is for whoever sends it twice.

    @ivar head: as it is to be sent on. Fields for one hop are left out already, and what is ours is not in it yet.
    @ivar flow: who asks for what, from where: C{protocol} is C{"http"}.
    @ivar record: what is known about the exchange.
    @ivar body: what follows the head; L{None} where nothing does.
    @ivar gateway: whether it is for this proxy as an origin (C{Authorization}, 401) rather than for one beyond it
        (C{Proxy-Authorization}, 407).
    @ivar deadline: when an answer is of no use any more, in seconds of the clock; L{None} for never.
    @ivar retriesLeft: how often it may still be sent again by whoever it passes, all hops together; L{None} where
        nobody has said.
    @ivar name: what a node that sends it again calls it, so that the next one knows it again; L{None} where none did.
    @ivar informational: takes the heads of 1xx responses, save 101; L{None} where nobody wants them.
    """

    head: RequestHead
    flow: Flow
    record: RequestRecord
    body: IBody | None = None
    deadline: float | None = None
    retriesLeft: int | None = None
    name: bytes | None = None
    gateway: bool = False
    informational: Callable[[ResponseHead], None] | None = None


@define(eq=False)
class Response:
    """
    A final response.

    @ivar head: its head.
    @ivar body: what follows; L{None} where nothing does. Whoever does not want it stops it.
    @ivar version: of HTTP in which it came, for C{Via}; empty where it was made here.
    @ivar unsent: the next hop says that surely nothing of the request has reached its target.
    @ivar kept: whoever has made it keeps what it was made of, and gives it out again at no greater expense than a
        cache would: there is no use in keeping it twice.
    """

    head: ResponseHead
    body: IBody | None = None
    version: str = ""
    unsent: bool = False
    kept: bool = False


@implementer(IBody)
@define(eq=False)
class BytesBody:
    """
    A body that is all there.

    @ivar data: all of it.
    @ivar trailers: what follows it.
    """

    data: bytes
    trailers: Headers = ()
    _sink: IBodySink | None = field(init=False, default=None)
    _paused: bool = field(init=False, default=False)
    _told: bool = field(init=False, default=False)

    @property
    def length(self) -> int:
        """
        See L{IBody}.
        """
        return len(self.data)

    def start(self, sink: IBodySink) -> None:
        self._sink = sink
        if self.data and not self._paused:
            self._told = True
            sink.dataReceived(self.data)
        self._finish()

    def pauseProducing(self) -> None:
        self._paused = True

    def resumeProducing(self) -> None:
        self._paused = False
        sink = self._sink
        if sink is not None and self.data and not self._told:
            self._told = True
            sink.dataReceived(self.data)
        self._finish()

    def stopProducing(self) -> None:
        self._sink = None

    def _finish(self) -> None:
        sink = self._sink
        if sink is not None and not self._paused and (self._told or not self.data):
            self._sink = None
            sink.bodyEnded(self.trailers)


def textResponse(status: int, text: str, headers: Headers = ()) -> Response:
    """
    A response of our own, in plain text.
    """
    data = text.encode()
    fields: Headers = (
        *headers,
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", b"%d" % len(data)),
    )
    return Response(ResponseHead(status, fields), BytesBody(data))
