"""
Two byte streams, joined: what one end reads the other writes.

A splice holds nothing once both of its ends are up. What a stalled reader costs is then what the two transports hold:
for each direction, the writing side's buffer bound and at most one read of the reading side.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import (
    IHalfCloseableProtocol,
    IProtocol,
    IPushProducer,
    ISSLTransport,
    ITCPTransport,
    ITransport,
)
from twisted.python.failure import Failure
from zope.interface import implementer

from hermes.fabric.record import FlowRecord
from hermes.interfaces import IBorrowingProtocol, IStreamTransport
from hermes.values import Buffer


def _discard(data: object) -> None:
    """
    Takes what has nowhere to go any more.
    """


def _writer(transport: Any) -> Callable[[Buffer], None]:
    """
    What writes a borrowed buffer to C{transport}: its own C{write} where that borrows; Twisted's transports keep what
    they are given, so they get a copy.
    """
    write: Callable[[Buffer], None] = transport.write
    if IStreamTransport.providedBy(transport):
        return write

    def writeCopy(data: Buffer) -> None:
        write(bytes(data))

    return writeCopy


def _writeEnder(transport: Any) -> Callable[[], None]:
    """
    What ends our direction of C{transport}. Where it can't be half-closed, both directions end: Twisted's TLS would
    otherwise half-close the socket underneath it.
    """
    if IStreamTransport.providedBy(transport) or (
        ITCPTransport.providedBy(transport) and not ISSLTransport.providedBy(transport)
    ):
        ender: Callable[[], None] = transport.loseWriteConnection
    else:
        ender = transport.loseConnection
    return ender


@implementer(IProtocol, IBorrowingProtocol, IHalfCloseableProtocol, IPushProducer)
class StreamHalf:
    """
    The protocol at one end of a L{StreamSplice}, and the producer of the other end's transport.

    @ivar peer: the other half.
    @ivar transport: L{None} before this end is up and after it is gone.
    @ivar readEnded: this end's peer sends nothing more.
    @ivar writeEnded: we send this end nothing more.
    @ivar lost: why this end is gone.
    """

    __slots__ = (
        "_early",
        "_flowing",
        "_registered",
        "_splice",
        "_stalled",
        "_write",
        "lost",
        "peer",
        "readEnded",
        "record",
        "transport",
        "writeEnded",
    )

    side = ""
    peer: StreamHalf

    def __init__(self, splice: StreamSplice, record: FlowRecord) -> None:
        self._splice = splice
        self.record = record
        self.transport: Any = None
        self.readEnded = False
        self.writeEnded = False
        self.lost: Failure | None = None
        # A list: an empty deque would be most of what an idle flow costs here.
        self._early: list[bytes] = []
        self._write: Callable[[Buffer], None] = self._keep
        # Whether what this end reads is written at once.
        self._flowing = False
        self._registered = False
        self._stalled = False

    def _keep(self, data: Buffer) -> None:
        # The transport was told to pause; this is what it had in its hands.
        self._early.append(bytes(data))

    # The protocol

    def makeConnection(self, transport: ITransport) -> None:
        self.transport = transport
        peer = self.peer
        if peer.transport is not None:
            peer._joinTo(self)
        elif peer.lost is not None:
            self._followLate(peer.lost)
        else:
            self.transport.pauseProducing()

    def connectionMade(self) -> None:
        pass

    def dataReceived(self, data: Buffer) -> None:
        raise NotImplementedError

    def readConnectionLost(self) -> None:
        if self.readEnded or self.lost is not None:
            return
        self.readEnded = True
        if self._flowing:
            self.peer._endWriting()
        if self.writeEnded and self.transport is not None:
            self.transport.loseConnection()

    def writeConnectionLost(self) -> None:
        pass

    def connectionLost(self, reason: Failure) -> None:
        if self.lost is not None:
            return
        self.lost = reason
        self.transport = None
        peer, splice = self.peer, self._splice
        peer._write = _discard
        peer._early.clear()
        inOrder = reason.check(ConnectionDone) is not None
        if not inOrder:
            self.record.lost(self.side, reason.value)
        other = peer.transport
        if other is not None:
            peer._unregister()
            if inOrder:
                other.loseConnection()
            else:
                other.abortConnection()
        splice.halfLost()

    # The producer of the other end's transport

    def pauseProducing(self) -> None:
        self._stalled = True
        if self.transport is not None:
            self.transport.pauseProducing()

    def resumeProducing(self) -> None:
        self._stalled = False
        if self.transport is not None:
            self.transport.resumeProducing()

    def stopProducing(self) -> None:
        """
        The other end's transport is gone; its protocol is told why, and ends this one.
        """

    # Joining and ending

    def _joinTo(self, late: StreamHalf) -> None:
        """
        This end waited, paused, and now the other is up.
        """
        late._write = _writer(self.transport)
        late._flowing = True
        write = _writer(late.transport)
        self._register(late)
        late._register(self)
        # Writing may let this end go on at once: what it delivers meanwhile comes after what waits here.
        while self._early:
            early, self._early = self._early, []
            for data in early:
                write(data)
        if self.lost is not None or late.lost is not None:
            return
        self._write = write
        self._flowing = True
        if self.readEnded:
            late._endWriting()
        if self.transport is not None and not self._stalled:
            self.transport.resumeProducing()

    def _followLate(self, reason: Failure) -> None:
        """
        The other end is gone before this one was up: pass on what it left, and its end.
        """
        self._write = _discard
        if reason.check(ConnectionDone) is None:
            self.transport.abortConnection()
            return
        write = _writer(self.transport)
        early, self.peer._early = self.peer._early, []
        for data in early:
            write(data)
        if self.lost is None:
            self.transport.loseConnection()

    def _register(self, producer: StreamHalf) -> None:
        self._registered = True
        self.transport.registerProducer(producer, True)

    def _unregister(self) -> None:
        if self._registered:
            self._registered = False
            self.transport.unregisterProducer()

    def _endWriting(self) -> None:
        """
        The other end's reading side has ended: end our direction, and the whole where both have.
        """
        if self.writeEnded or self.lost is not None:
            return
        self.writeEnded = True
        self._unregister()
        if self.readEnded:
            self.transport.loseConnection()
        else:
            _writeEnder(self.transport)()


class NearHalf(StreamHalf):
    """
    The client's end.
    """

    __slots__ = ()
    side = "client"

    def dataReceived(self, data: Buffer) -> None:
        self.record.bytesIn += len(data)
        self._write(data)


class FarHalf(StreamHalf):
    """
    The target's end.
    """

    __slots__ = ()
    side = "target"

    def dataReceived(self, data: Buffer) -> None:
        self.record.bytesOut += len(data)
        self._write(data)


class StreamSplice:
    """
    Two stream transports, joined with backpressure, half-close, and ends in order or by error carried over.

    Whichever end comes up first is paused until the other is there.

    @ivar near: the protocol for the client's transport.
    @ivar far: the protocol for the target's transport.
    """

    __slots__ = ("_closed", "far", "near", "record")

    def __init__(self, record: FlowRecord, closed: Callable[[StreamSplice], None]) -> None:
        """
        @param closed: called once, with this, when both ends are gone.
        """
        self.record = record
        self._closed: Callable[[StreamSplice], None] | None = closed
        self.near = NearHalf(self, record)
        self.far = FarHalf(self, record)
        self.near.peer = self.far
        self.far.peer = self.near

    def halfLost(self) -> None:
        """
        One of the halves is gone.
        """
        if self.near.lost is not None and self.far.lost is not None and self._closed is not None:
            closed, self._closed = self._closed, None
            # No cycle is left for the collector: many short flows would keep it busy.
            del self.near.peer, self.far.peer, self.near._splice, self.far._splice
            closed(self)

    def abort(self) -> None:
        """
        End both ends at once, as an error. An end that is not up yet is ended when it comes up.
        """
        for transport in (self.near.transport, self.far.transport):
            if transport is not None:
                transport.abortConnection()
