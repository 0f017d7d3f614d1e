"""
An HTTP/2 stream as an exchange: its body streams as a Twisted transport, both ends.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final, cast

from h2.errors import ErrorCodes
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IAddress, IConsumer, IProtocol, ITransport
from twisted.python.failure import Failure
from zope.interface import implementer

from hermes.errors import HopUnavailable, StreamReset
from hermes.http2.heads import MalformedHead
from hermes.http2.inbound import Inbound
from hermes.http2.outbound import HIGH_WATER
from hermes.http2.state import Lane
from hermes.interfaces import IBorrowingProtocol, IClientExchange, IServerExchange
from hermes.values import Address, Buffer, Headers, Identity, RequestHead, ResponseHead

if TYPE_CHECKING:
    from hermes.http2.protocol import Connection

__all__ = ["HIGH_WATER", "ClientExchange", "Exchange", "ServerExchange"]

# Exchanges end in order by the thousand.
DONE: Final = Failure(ConnectionDone())


class Exchange(Inbound):
    """
    What both ends share: see L{hermes.interfaces.IExchange}. It begins and ends here; between, its halves have it.

    @ivar bodyless: the peer's head said that it has no body.
    @ivar isTunnel: it carries the bytes of a TCP connection and nothing else (RFC 9113 section 8.5).
    """

    version = "2"
    disconnecting = False
    isTunnel = False
    bodyless = False
    trailers: Headers = ()
    _lostCallback: Callable[[Failure], None] | None = None
    _drainingCallback: Callable[[], None] | None = None

    def __init__(self, connection: Connection, lane: Lane, request: RequestHead, window: int) -> None:
        super().__init__(connection, lane, window)
        self.request = request
        self.identity: Identity = connection.identity
        self.source: Address | None = connection.source
        lane.exchange = self

    @property
    def gone(self) -> bool:
        """
        Whether the exchange is over.
        """
        return self._lost is not None

    def attach(self, protocol: object) -> None:
        assert IProtocol.providedBy(protocol)
        self._protocol = protocol
        self._lostCallback = None
        protocol.makeConnection(cast(ITransport, self))
        if not self.disconnecting:
            self._borrows = IBorrowingProtocol.providedBy(protocol)
            self._receive = cast("Callable[[Buffer], None]", protocol.dataReceived)
        if self._lost is not None:
            protocol.connectionLost(self._lost)
        else:
            self._deliver()

    def notifyLost(self, callback: Callable[[Failure], None]) -> None:
        if self._lost is not None:
            callback(self._lost)
        else:
            self._lostCallback = callback

    def notifyDraining(self, callback: Callable[[], None]) -> None:
        """
        See L{IClientExchange}. A client may ask the same of a server.
        """
        if self._lost is None:
            if self._connection.asked:
                callback()
            else:
                self._drainingCallback = callback

    def draining(self) -> None:
        """
        The peer asks to finish what is open.
        """
        callback, self._drainingCallback = self._drainingCallback, None
        if callback is not None:
            self._tell(callback)

    def stopProducing(self) -> None:
        self.loseConnection()

    def ignore(self) -> None:
        if self._lost is None:
            self._drop()
            if self._peerEnded:
                self._tellPeerEnd()
            else:
                self.credit()

    # Ending

    def _finishIfDone(self) -> None:
        if self._ended and (self._peerEndTold or (self.disconnecting and self._peerEnded)):
            self.lost(DONE)

    def loseConnection(self) -> None:
        """
        End our direction after what is buffered, and read on to the peer's end without listening.
        """
        if self.disconnecting or self._lost is not None:
            return
        self.disconnecting = True
        self._drop()
        self.loseWriteConnection()
        self._finishIfDone()
        if self._lost is None:
            self.credit()
            self._connection.lingering(self)

    def lingered(self) -> None:
        """
        The peer has been given time to end its direction, which nobody listens to.
        """
        if not self._ended:
            self._connection.lingering(self)
        elif self._lost is None:
            self._connection.resetLane(self._lane, ErrorCodes.NO_ERROR)
            self.lost(Failure(ConnectionDone()))

    def abortConnection(self) -> None:
        self.reset(self._abortCode())

    def _abortCode(self) -> int:
        if self.request.method == b"CONNECT" and self.request.protocol in (None, b"connect-tcp"):
            # RFC 9113 section 8.5: what ails the TCP connection.
            return ErrorCodes.CONNECT_ERROR
        return ErrorCodes.CANCEL

    def reset(self, code: int) -> None:
        if self._lost is None:
            self._connection.resetLane(self._lane, code)
            self.lost(Failure(StreamReset(code)))

    def resetReceived(self, code: int) -> None:
        """
        The stream was reset by the peer.
        """
        self.lost(Failure(StreamReset(code)))

    def lost(self, reason: Failure) -> None:
        """
        The stream is over, for whatever reason.
        """
        if self._lost is not None:
            return
        self._lost = reason
        if self.heldBytes:
            self._connection.held(-self.heldBytes)
        self._inbox = self._pending = ()
        self.heldBytes = self.bufferedBytes = 0
        producer, self._producer = self._producer, None
        protocol, callback = self._protocol, self._lostCallback
        # Nothing may hold what is over, or only the collector would find it.
        self._lostCallback = self._drainingCallback = self._protocol = self._receive = None
        self._lane.exchange = None
        self._connection.forget(self)
        self._answerLost(reason)
        if producer is not None and not reason.check(ConnectionDone):
            self._tell(producer.stopProducing)
        if protocol is not None:
            self._tell(protocol.connectionLost, reason)
        elif callback is not None and reason is not DONE:
            self._tell(callback, reason)

    def _answerLost(self, reason: Failure) -> None:
        pass

    def getPeer(self) -> IAddress:
        return self._connection.getPeer()

    def getHost(self) -> IAddress:
        return self._connection.getHost()


def _errbackOnce(waiting: Deferred[ResponseHead], failure: Failure) -> None:
    """
    Fail C{waiting}, unless it was cancelled.
    """
    if not waiting.called:
        waiting.errback(failure)


def _cancel(lane: Lane, _: object) -> None:
    # By way of the stream, which lets go of its exchange once that is over.
    if isinstance(lane.exchange, Exchange):
        lane.exchange.reset(ErrorCodes.CANCEL)


@implementer(IServerExchange, IConsumer)
class ServerExchange(Exchange):
    """
    The server's end of a stream.
    """

    responded = False

    def askToFinish(self) -> None:
        if self._lost is None:
            self._connection.drain()

    def respond(self, head: ResponseHead, end: bool = False) -> None:
        if self._lost is not None:
            return
        if self.responded:
            raise RuntimeError("this exchange has been answered")
        if head.status >= 200:
            self.responded = True
            if self.request.method == b"CONNECT" and head.status < 300:
                self.isTunnel = self.request.protocol is None
                self._bodyLeft = None
        self._connection.respond(self._lane, head, end)
        if end:
            self._ending = self._ended = True
            if self._peerEnded:
                self._peerEndTold = True
            self._finishIfDone()
            if self._protocol is None:
                # Nobody will read what may still come.
                self.loseConnection()

    def _end(self) -> None:
        if self.responded:
            super()._end()
        else:
            # The body of a response without its head.
            self.reset(ErrorCodes.INTERNAL_ERROR)


@implementer(IClientExchange, IConsumer)
class ClientExchange(Exchange):
    """
    The client's end of a stream.
    """

    reused = False
    _informational: Callable[[ResponseHead], None] | None = None
    _answer: ResponseHead | Failure | None = None
    _waiting: Deferred[ResponseHead] | None = None
    _onAnswer: tuple[Callable[[ResponseHead], None], Callable[[Failure], None]] | None = None

    def __init__(self, connection: Connection, lane: Lane, request: RequestHead, window: int, ended: bool) -> None:
        super().__init__(connection, lane, request, window)
        if ended:
            self._ending = self._ended = True

    def notifyInformational(self, callback: Callable[[ResponseHead], None]) -> None:
        self._informational = callback

    def resetReceived(self, code: int) -> None:
        if code == ErrorCodes.NO_ERROR and self._peerEnded and self._lost is None:
            # RFC 9113 section 8.1: a server that has answered, and does not want the rest of our request.
            self._abandon()
            self._finishIfDone()
        else:
            super().resetReceived(code)

    def informed(self, head: ResponseHead) -> None:
        """
        An informational head.
        """
        if self._informational is not None:
            self._tell(self._informational, head)

    def response(self) -> Deferred[ResponseHead]:
        if self._waiting is None:
            waiting = self._waiting = Deferred(partial(_cancel, self._lane))
            self.whenAnswered(waiting.callback, partial(_errbackOnce, waiting))
        return self._waiting

    def whenAnswered(self, answered: Callable[[ResponseHead], None], failed: Callable[[Failure], None]) -> None:
        answer = self._answer
        if answer is None:
            self._onAnswer = answered, failed
        elif isinstance(answer, Failure):
            failed(answer)
        else:
            answered(answer)

    def responseReceived(self, head: ResponseHead, ended: bool) -> None:
        """
        The final response head came.

        @raise MalformedHead: where it can't be true.
        """
        if self.request.method == b"CONNECT" and head.status < 300:
            self.isTunnel = self.request.protocol is None
        else:
            self.expectBody(head.headers, self.request.method == b"HEAD" or head.status in (204, 304))
            if ended and self.expectsBody:
                raise MalformedHead("content-length, and no content")
        self._answer = head
        self.bodyless = ended
        told, self._onAnswer = self._onAnswer, None
        if told is not None:
            self._tell(told[0], head)

    @property
    def answered(self) -> bool:
        """
        Whether the final response head has come.
        """
        return self._answer is not None

    def _answerLost(self, reason: Failure) -> None:
        if self._answer is None:
            if isinstance(reason.value, StreamReset):
                failure = reason
            else:
                failure = Failure(HopUnavailable("the next hop closed the connection before it answered"))
            self._answer = failure
            told, self._onAnswer = self._onAnswer, None
            if told is not None:
                self._tell(told[1], failure)
