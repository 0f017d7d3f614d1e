"""
The bodies of two HTTP exchanges, joined: what one peer sends the other gets, with backpressure, ends and trailers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IHalfCloseableProtocol, IProtocol, IPushProducer, ITransport
from twisted.python.failure import Failure
from zope.interface import implementer

from hermes.interfaces import IBorrowingProtocol, IExchange
from hermes.values import Buffer

INTERNAL_ERROR: Final = 0x2
CANCEL: Final = 0x8


@implementer(IProtocol, IBorrowingProtocol, IHalfCloseableProtocol, IPushProducer)
class BodyPipe:
    """
    One direction: the protocol that reads a body from one exchange, and the producer of the exchange that it is written
    to. Until that is known, it holds what came in one read, and reads no more.

    @ivar ended: the body has been read to its end.
    @ivar empty: nothing of the body has come.
    """

    def __init__(
        self, source: IExchange, lost: Callable[[Failure], None], begun: Callable[[], None] | None = None
    ) -> None:
        """
        @param lost: called when the exchange that this reads from has ended.
        @param begun: called with the first bytes of the body, or with its end where there are none.
        """
        self._begun = begun
        self._source: Any = source
        self._lost = lost
        self._sink: Any = None
        self._early: list[bytes] = []
        self._registered = False
        self._stalled = False
        self.ended = False
        self.empty = True

    def makeConnection(self, transport: ITransport) -> None:
        pass

    def connectionMade(self) -> None:
        pass

    def pourInto(self, sink: IExchange) -> None:
        """
        Write what was held, and from now on what comes.
        """
        self._sink = sink
        if not self.ended:
            self._registered = True
            self._sink.registerProducer(self, True)
        early, self._early = self._early, []
        for data in early:
            self._sink.write(data)
        if self.ended:
            self._endSink()
        elif early and not self._stalled:
            self._source.resumeProducing()

    def dataReceived(self, data: Buffer) -> None:
        self.empty = False
        if self._sink is None:
            self._early.append(bytes(data))
            self._source.pauseProducing()
            self._begin()
        else:
            self._sink.write(data)

    def readConnectionLost(self) -> None:
        if not self.ended:
            self.ended = True
            if self._sink is not None:
                self._endSink()
            self._begin()

    def writeConnectionLost(self) -> None:
        pass

    def connectionLost(self, reason: Failure) -> None:
        self._early.clear()
        self._unregister()
        self._lost(reason)

    def pauseProducing(self) -> None:
        self._stalled = True
        self._source.pauseProducing()

    def resumeProducing(self) -> None:
        self._stalled = False
        self._source.resumeProducing()

    def stopProducing(self) -> None:
        """
        The exchange that this writes to is gone; its own protocol is told why.
        """
        self._registered = False

    def _begin(self) -> None:
        begun, self._begun = self._begun, None
        if begun is not None:
            begun()

    def _endSink(self) -> None:
        self._unregister()
        trailers = self._source.trailers
        if trailers:
            self._sink.writeTrailers(trailers)
        else:
            self._sink.loseWriteConnection()

    def _unregister(self) -> None:
        if self._registered:
            self._registered = False
            self._sink.unregisterProducer()


class ExchangeRelay:
    """
    A server's exchange (the client's side of a proxy) and, later, a client's exchange (the origin's side).

    The caller sends the heads; this carries the bodies, and the end of one exchange to the other.

    @ivar request: the direction from the client.
    @ivar response: the direction to the client; L{None} until L{openResponse}.
    """

    def __init__(self, server: IExchange, begun: Callable[[], None], clientLost: Callable[[], None]) -> None:
        """
        @param begun: called once when it is known whether the request has a body: with its first bytes, or its end.
        @param clientLost: called where the client goes away before L{openRequest}.
        """
        self._server: Any = server
        self._client: Any = None
        self._clientLost = clientLost
        self.lost = False
        self.request = BodyPipe(server, self._serverEnded, begun)
        self.response: BodyPipe | None = None

    def start(self) -> None:
        """
        Start to read the request's body.
        """
        self._server.attach(self.request)

    def openRequest(self, client: IExchange) -> None:
        """
        Send the request's body to the origin.
        """
        self._client = client
        self.request.pourInto(client)

    def openResponse(self) -> None:
        """
        The response's head was sent to the client: send the body.
        """
        self.response = BodyPipe(self._client, self._clientEnded)
        self.response.pourInto(self._server)
        self._client.attach(self.response)

    def _serverEnded(self, reason: Failure) -> None:
        self.lost = True
        if self._client is None:
            self._clientLost()
        elif reason.check(ConnectionDone):
            self._client.loseConnection()
        else:
            self._client.reset(CANCEL)

    def _clientEnded(self, reason: Failure) -> None:
        if self.lost:
            return
        if reason.check(ConnectionDone) and self.response is not None and self.response.ended:
            if not self.request.ended:
                # The origin has answered and wants no more of the body.
                self._server.loseConnection()
        else:
            # The body may look whole to the client, where it had no length: it must not.
            self._server.reset(INTERNAL_ERROR)
