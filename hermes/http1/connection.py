"""
One HTTP/1.1 connection as a Twisted protocol: what both ends have in common.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IHalfCloseableProtocol, IProtocol, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from hermes.errors import HermesError, HopRefused
from hermes.http1.engine import Engine, Event, Phase
from hermes.http1.errors import Malformed
from hermes.http1.exchange import Exchange
from hermes.http1.handover import PlainTransport, Successor, dataTaker
from hermes.http1.held import Held
from hermes.http1.limits import Limits
from hermes.http1.wire import Wire
from hermes.interfaces import IAttachable, IBorrowingProtocol, IStreamTransport
from hermes.proxied import sourceOf
from hermes.values import ANONYMOUS, Address, Buffer, Headers, Identity

# Exchanges end in order by the thousand.
_DONE = Failure(ConnectionDone())


@implementer(IBorrowingProtocol, IHalfCloseableProtocol)
class Connection(Wire):
    """
    Moves bytes between a transport and an L{Engine}, one exchange at a time.

    Reading goes on while an exchange is answered, so that a peer that goes away is noticed; it pauses as soon as
    something has arrived that can't be consumed now, so that one read is the most that ever waits.

    @ivar finished: called once with this connection when it is lost, or when its transport was handed to a tunnel and
        it has nothing to do with it any more.
    """

    log = Logger()
    finished: Callable[[Connection], object] | None = None

    def __init__(self, engine: Engine, clock: IReactorTime, limits: Limits) -> None:
        super().__init__(clock)
        self._engine = engine
        self._limits = limits
        self._exchange: Exchange | None = None
        self._source: Address | None = None
        self._pumping = False
        self._reading = True
        self._readEnded = False
        self._closing = False
        self._handedOver = False
        self._relay: Any = None
        self._held = Held()
        self._discarded = 0

    # What the peer is.

    @property
    def identity(self) -> Identity:
        """
        The peer's, as the transport authenticated it.
        """
        identity: Identity = getattr(self.transport, "identity", None) or ANONYMOUS
        return identity

    @property
    def source(self) -> Address | None:
        """
        The peer's address, where it has one.
        """
        if self._source is None:
            self._source = sourceOf(self.transport)
        return self._source

    @property
    def bufferedBytes(self) -> int:
        """
        What is written and not yet taken by the peer, in bytes.
        """
        return int(self.transport.bufferedBytes)

    # From the transport.

    def makeConnection(self, transport: Any) -> None:
        if not IStreamTransport.providedBy(transport):
            transport = PlainTransport(transport)
        super().makeConnection(transport)  # type: ignore[no-untyped-call]

    def dataReceived(self, data: Buffer) -> None:
        if self._closing:
            return
        self._engine.inbox.add(data)
        if self._pumping:
            # The transport was resumed from below us; the pump is at work.
            self._engine.inbox.settle()
        else:
            self.pump()

    def readConnectionLost(self) -> None:
        self._readEnded = True
        if self._relay is not None:
            self._relay.readConnectionLost()
        elif self._closing:
            self.transport.loseConnection()
        else:
            self.pump()
        if isinstance(self.transport, PlainTransport):
            self.transport.readEnded()

    def writeConnectionLost(self) -> None:
        if self._relay is not None:
            self._relay.writeConnectionLost()

    def connectionLost(self, reason: Failure = Failure(ConnectionDone())) -> None:  # noqa: B008 as Twisted has it
        self._lost = True
        self._corked.clear()
        self._dropTimer()
        relay, self._relay = self._relay, None
        exchange, self._exchange = self._exchange, None
        if relay is not None:
            relay.connectionLost(reason)
        elif exchange is not None:
            # An exchange that has not ended is cut off, however politely.
            exchange.lost(Failure(ConnectionLost()) if reason.check(ConnectionDone) else reason)
        self._engine.inbox.clear()
        self._tellFinished()

    def _tellFinished(self) -> None:
        finished, self.finished = self.finished, None
        if finished is not None:
            finished(self)

    # Reading.

    def pump(self) -> None:
        """
        Consume what has arrived, as far as somebody wants it.
        """
        if self._pumping or self._lost or self._handedOver:
            return
        self._pumping = True
        try:
            while self._wants():
                event = self._engine.next()
                if event is not None:
                    self._received(event)
                elif not self._readEnded or not self._endOfInput():
                    break
        except (Malformed, HopRefused) as error:
            self._malformed(error)
        finally:
            self._pumping = False
            self._engine.inbox.settle()
        self.steer()

    def _endOfInput(self) -> bool:
        """
        The peer has ended its direction, and all that came is consumed. Whether there is an event after all.
        """
        raise NotImplementedError

    def _wants(self) -> bool:
        """
        Whether the next event has a taker now.
        """
        raise NotImplementedError

    def _received(self, event: Event) -> None:
        """
        An event of the engine.
        """
        raise NotImplementedError

    def _malformed(self, error: HermesError) -> None:
        """
        The peer's bytes make no sense.
        """
        raise NotImplementedError

    def steer(self) -> None:
        """
        Read, or pause reading.
        """
        if self._lost or self._handedOver or self._readEnded:
            return
        exchange = self._exchange
        reading = self._closing or (
            (not len(self._engine.inbox) or self._wants()) and not (exchange is not None and exchange.readPaused)
        )
        if reading != self._reading:
            self._reading = reading
            if reading:
                self.transport.resumeProducing()
            else:
                self.transport.pauseProducing()

    # For exchanges.

    def attached(self, exchange: Exchange) -> None:
        """
        Somebody reads the peer's body now.
        """
        self.pump()

    def abandoned(self, exchange: Exchange) -> None:
        """
        Nobody wants what is left of the peer's body: it is read away, within bounds of size and time.
        """
        if exchange is not self._exchange or self._closing or self._handedOver:
            return
        self._discarded = 0
        self._startTimer(self._limits.lingerTime, self._tooMuch)
        self.pump()

    def _bodyReceived(self, exchange: Exchange, data: memoryview) -> None:
        if exchange.protocol is not None and not exchange.abandoned:
            exchange.bodyReceived(data)
            return
        self._discarded += len(data)
        if self._discarded > self._limits.discard:
            self._tooMuch()

    def _tooMuch(self) -> None:
        """
        There is more of a body that nobody wants than is worth reading away.
        """
        self._closeGently()

    def tunnelling(self, exchange: Exchange) -> bool:
        """
        Whether the exchange has become a tunnel.
        """
        return exchange is self._exchange and self._engine.phase is Phase.TUNNEL

    def writeBody(self, exchange: Exchange, buffers: Sequence[Buffer]) -> None:
        """
        Send a part of our body.
        """
        engine = self._engine
        if engine.phase is Phase.TUNNEL:
            self._uncork()
            self.transport.writeSequence(buffers)
        elif engine.asking:
            self._held.add(buffers, exchange.producer)
        else:
            try:
                framed = engine.frame(buffers)
            except Malformed as error:
                self.log.error("body is not as announced: {error}", error=error)
                exchange.abortConnection()
                return
            if framed:
                self._emit(framed)

    def endBody(self, exchange: Exchange, trailers: Headers) -> None:
        """
        End our body.
        """
        engine = self._engine
        if engine.phase is Phase.TUNNEL:
            self._uncork()
            self.transport.loseWriteConnection()
            return
        if engine.asking:
            self._held.ended = True
            return
        try:
            data = engine.end(trailers)
        except Malformed as error:
            # The peer must not take it for complete.
            self.log.error("body is not as announced: {error}", error=error)
            exchange.abortConnection()
            return
        if data:
            self._emit((data,))
        # The message is whole: there is nothing to wait for.
        self._uncork()
        exchange.writeFinished()
        self._bodyWritten()

    def _bodyWritten(self) -> None:
        """
        Our message is complete.
        """
        self._advance()

    def _advance(self) -> None:
        """
        One of the two messages has ended: if both have, so has the exchange.
        """
        exchange = self._exchange
        if exchange is not None and exchange.readEnded and exchange.writeEnded:
            self._exchange = None
            self._stopTimer()
            if exchange.protocol is None:
                exchange.ended(_DONE)
            else:
                # Not from within its own call.
                self._later(partial(exchange.lost, _DONE))
            self._exchangeEnded()

    def _exchangeEnded(self) -> None:
        """
        Both messages are complete.
        """
        raise NotImplementedError

    def handOver(self, protocol: IProtocol, connect: bool) -> None:
        """
        Make C{protocol} the reader of our transport, and be done with it.

        @param connect: whether the protocol is still to be connected; it is then connected to the transport itself.
        """
        self._uncork()
        transport = self.transport
        paused = self._exchange is not None and self._exchange.readPaused
        self._dropTimer()
        if not self._reading:
            # Before anything else, because a transport in memory may deliver at once: to us, who put it in order.
            pumping, self._pumping = self._pumping, True
            transport.resumeProducing()
            self._pumping = pumping
        self._handedOver = True
        leftover = self._engine.inbox.rest()
        attachable = IAttachable.providedBy(transport)
        reader: Any = protocol
        if leftover or self._readEnded or not connect or not attachable:
            reader = Successor(protocol, leftover, self._readEnded, connect)
        if attachable:
            self._exchange = None
            transport.attach(reader)
        else:
            self._relay = reader
            # An instance's own attribute: the transport finds the tunnel with no call of ours between.
            self.dataReceived = dataTaker(reader, not isinstance(transport, PlainTransport))  # type: ignore[assignment]
            reader.makeConnection(transport)
        if paused:
            transport.pauseProducing()
        self._tellFinished()

    # The end.

    def abort(self) -> None:
        """
        End the connection at once. One that is handed to a tunnel is the tunnel's to end.
        """
        if not self._handedOver:
            self.transport.abortConnection()

    def _closeGently(self) -> None:
        """
        End the connection after what is written: our direction first, and the rest once the peer has ended its own, or
        has had the time to. A close with input unread would reset the connection and take our last response with it.
        """
        if self._closing or self._lost or self._handedOver:
            return
        self._closing = True
        self._uncork()
        self._engine.inbox.clear()
        self._stopTimer()
        if self._readEnded:
            self.transport.loseConnection()
            return
        self.transport.loseWriteConnection()
        self._startTimer(self._limits.lingerTime, self.transport.abortConnection)
        self.steer()
