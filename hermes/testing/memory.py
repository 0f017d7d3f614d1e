"""
An HTTP exchange in memory, both ends of it, with no sockets and no reactor.

What one end sends reaches the other only in L{MemoryNetwork.pump}, as bytes on a real connection would arrive in a
later turn of the reactor.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import TypeAlias

from attrs import frozen
from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IAddress, IConsumer, IHalfCloseableProtocol, IProducer, IProtocol, IPushProducer
from twisted.python.failure import Failure
from zope.interface import implementer

from hermes.errors import StreamReset
from hermes.interfaces import (
    IBorrowingProtocol,
    IClientExchange,
    IServerExchange,
)
from hermes.values import Address, Buffer, Headers, Identity, RequestHead, ResponseHead

CONNECT_ERROR = 0xA


@frozen
class _End:
    """
    The end of one direction.
    """

    trailers: Headers = ()


@frozen
class _Reset:
    """
    RST_STREAM.
    """

    code: int


_Item: TypeAlias = "bytes | _End | _Reset | ResponseHead"


class MemoryExchange:
    """
    What both ends of an exchange in memory have in common.

    @ivar window: how many bytes the peer takes before it reads them. What is written beyond counts as buffered, and
        pauses the registered producer.
    @ivar resetWith: the code that this end was reset with, by itself or by its peer, or L{None}.
    """

    _peer: MemoryExchange
    window = 65_536
    bodyless = False
    bodyLength: int | None = None

    def __init__(self, request: RequestHead, identity: Identity, source: Address | None, version: str) -> None:
        self.request = request
        self.identity = identity
        self.source = source
        self.version = version
        self.trailers: Headers = ()
        self.protocol: IProtocol | None = None
        self.disconnected = False
        self.resetWith: int | None = None
        self.writeEnded = False
        self.readEnded = False
        self._borrows = False
        self._reading = True
        self._outbox: deque[_Item] = deque()
        self._queued = 0
        self._producer: IPushProducer | None = None
        self._producerPaused = False
        self._closing = False
        self._ignoring = False
        self._lost: Failure | None = None
        self._lostCallback: Callable[[Failure], None] | None = None

    # The body we send.

    @property
    def bufferedBytes(self) -> int:
        return max(0, self._queued - self.window)

    def write(self, data: Buffer) -> None:
        self.writeSequence([data])

    def writeSequence(self, data: Iterable[Buffer]) -> None:
        if self.writeEnded or self.disconnected or self._lost is not None:
            return
        chunk = b"".join(bytes(part) for part in data)
        if chunk:
            self._outbox.append(chunk)
            self._queued += len(chunk)
            self._pauseIfFull()

    def loseWriteConnection(self) -> None:
        self.writeTrailers(())

    def writeTrailers(self, trailers: Headers) -> None:
        if not self.writeEnded and self._lost is None:
            self.writeEnded = True
            self._outbox.append(_End(trailers))

    def loseConnection(self) -> None:
        """
        End our direction, and wait for the peer's end without listening to what comes before it.
        """
        self.loseWriteConnection()
        self._closing = True

    def abortConnection(self) -> None:
        self.reset(CONNECT_ERROR)

    def reset(self, code: int) -> None:
        if self.disconnected or self._lost is not None:
            return
        self.resetWith = code
        self._outbox.clear()
        self._queued = 0
        self._outbox.append(_Reset(code))
        self._end(Failure(StreamReset(code)))

    def registerProducer(self, producer: IProducer, streaming: bool) -> None:
        if self._producer is not None:
            raise RuntimeError("a producer is registered already")
        assert streaming, "only push producers"
        self._producer = IPushProducer(producer)
        if self.disconnected:
            producer.stopProducing()
        else:
            self._pauseIfFull()

    def unregisterProducer(self) -> None:
        self._producer = None
        self._producerPaused = False

    # The body we read.

    def attach(self, protocol: object) -> None:
        assert self.protocol is None, "attach is called once"
        self.protocol = IProtocol(protocol)
        self._borrows = IBorrowingProtocol.providedBy(protocol)
        self.protocol.makeConnection(self)  # type: ignore[arg-type]

    def pauseProducing(self) -> None:
        self._reading = False

    def resumeProducing(self) -> None:
        self._reading = True

    def stopProducing(self) -> None:
        self.loseConnection()

    def ignore(self) -> None:
        self._ignoring = self._reading = True

    def getPeer(self) -> IAddress:
        return IPv4Address("TCP", *self.source) if self.source is not None else UNIXAddress(None)

    def getHost(self) -> IAddress:
        return UNIXAddress(None)

    def notifyLost(self, callback: Callable[[Failure], None]) -> None:
        if self._lost is not None and self.protocol is None:
            callback(self._lost)
        else:
            self._lostCallback = callback

    # The wire.

    def disconnect(self) -> None:
        """
        The connection underneath is lost.
        """
        self._outbox.clear()
        self._end(Failure(ConnectionLost()))

    def _deliver(self) -> bool:
        """
        Carry what the peer can take now; whether anything happened.
        """
        moved = False
        while self._outbox and self._peer._takes(self._outbox[0]):
            item = self._outbox.popleft()
            moved = True
            self._peer._received(item)
            if isinstance(item, bytes):
                self._queued -= len(item)
                self._resumeIfDrained()
        if self._lost is not None and not self.disconnected:
            self._tellLost()
            moved = True
        return moved

    def _takes(self, item: _Item) -> bool:
        if self._closing or not isinstance(item, bytes | _End):
            return True
        return self.protocol is not None and self._reading

    def _received(self, item: _Item) -> None:
        if self._lost is not None:
            return
        if isinstance(item, bytes):
            if self._closing or self._ignoring:
                return
            assert self.protocol is not None
            self.protocol.dataReceived(memoryview(item) if self._borrows else item)  # type: ignore[arg-type]
        elif isinstance(item, _End):
            self.trailers = item.trailers
            self.readEnded = True
            if self._closing:
                pass
            elif IHalfCloseableProtocol.providedBy(self.protocol):
                IHalfCloseableProtocol(self.protocol).readConnectionLost()
            else:
                self.loseWriteConnection()
            self._endIfDone()
            self._peer._endIfDone()
        elif isinstance(item, _Reset):
            self.resetWith = item.code
            self._outbox.clear()
            self._end(Failure(StreamReset(item.code)))
        else:
            self._responded(item)

    def _responded(self, head: ResponseHead) -> None:
        raise NotImplementedError("only a client is responded to")

    def _endIfDone(self) -> None:
        if self.readEnded and self._peer.readEnded:
            self._end(Failure(ConnectionDone()))

    def _end(self, reason: Failure) -> None:
        if self._lost is None:
            self._lost = reason

    def _tellLost(self) -> None:
        assert self._lost is not None
        self.disconnected = True
        if self._producer is not None:
            self._producer.stopProducing()
        if self.protocol is not None:
            self.protocol.connectionLost(self._lost)
        elif self._lostCallback is not None:
            self._lostCallback(self._lost)

    def _pauseIfFull(self) -> None:
        if self._producer is not None and not self._producerPaused and self.bufferedBytes:
            self._producerPaused = True
            self._producer.pauseProducing()

    def _resumeIfDrained(self) -> None:
        if self._producer is not None and self._producerPaused and not self.bufferedBytes:
            self._producerPaused = False
            self._producer.resumeProducing()


@implementer(IServerExchange, IConsumer)
class MemoryServerExchange(MemoryExchange):
    """
    The server's end.

    @ivar responses: every head that was sent, 1xx included.
    @ivar asked: how often the client was asked to finish.
    """

    def __init__(self, request: RequestHead, identity: Identity, source: Address | None, version: str) -> None:
        super().__init__(request, identity, source, version)
        self.responses: list[ResponseHead] = []
        self.asked = 0

    def askToFinish(self) -> None:
        self.asked += 1
        peer = self._peer
        if isinstance(peer, MemoryClientExchange):
            peer.goAway()

    def respond(self, head: ResponseHead, end: bool = False) -> None:
        assert not self.responses or self.responses[-1].status < 200, "one final response"
        if self._lost is not None:
            return
        self.responses.append(head)
        self._outbox.append(head)
        if end:
            self.loseWriteConnection()


@implementer(IClientExchange, IConsumer)
class MemoryClientExchange(MemoryExchange):
    """
    The client's end.
    """

    reused = False

    def __init__(self, request: RequestHead, identity: Identity, source: Address | None, version: str) -> None:
        super().__init__(request, identity, source, version)
        self._head: ResponseHead | None = None
        self._waiting: Deferred[ResponseHead] | None = None
        self._informational: Callable[[ResponseHead], None] | None = None
        self._drainingCallback: Callable[[], None] | None = None
        self._asked = False

    def response(self) -> Deferred[ResponseHead]:
        if self._head is not None:
            return succeed(self._head)
        if self._lost is not None:
            return fail(self._lost)
        self._waiting = Deferred()
        return self._waiting

    def whenAnswered(self, answered: Callable[[ResponseHead], None], failed: Callable[[Failure], None]) -> None:
        self.response().addCallbacks(answered, failed)

    def notifyInformational(self, callback: Callable[[ResponseHead], None]) -> None:
        self._informational = callback

    def notifyDraining(self, callback: Callable[[], None]) -> None:
        if self._asked and self._lost is None:
            callback()
        else:
            self._drainingCallback = callback

    def goAway(self) -> None:
        """
        The peer asks to finish what is open on the connection, as with GOAWAY.
        """
        self._asked = True
        callback, self._drainingCallback = self._drainingCallback, None
        if callback is not None and self._lost is None:
            callback()

    def _responded(self, head: ResponseHead) -> None:
        if head.status < 200:
            if self._informational is not None:
                self._informational(head)
            return
        self._head = head
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.callback(head)

    def _tellLost(self) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            assert self._lost is not None
            waiting.errback(self._lost)
        super()._tellLost()
