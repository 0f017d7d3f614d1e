"""
The receiving half of an HTTP/2 stream: what comes goes to the protocol, or waits for it, at most one window of it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from h2.errors import ErrorCodes
from twisted.internet.interfaces import IHalfCloseableProtocol

from hermes.http2.heads import readContentLength
from hermes.http2.outbound import Outbound
from hermes.http2.state import Lane
from hermes.values import Buffer, Headers

if TYPE_CHECKING:
    from hermes.http2.protocol import Connection

_PIECE = 16 << 10


class Inbound(Outbound):
    """
    @ivar heldBytes: how much waits for the protocol.
    """

    heldBytes = 0
    bodyLength: int | None = None
    _receive: Callable[[Buffer], None] | None = None
    _borrows = False
    _paused = False
    _inbox: Collection[bytearray] = ()
    _consumed = 0
    _bodyLeft: int | None = None
    _peerEnded = False
    _peerEndTold = False

    def __init__(self, connection: Connection, lane: Lane, window: int) -> None:
        super().__init__(connection, lane)
        self._window = window

    def expectBody(self, headers: Headers, none: bool = False) -> None:
        """
        Check the body against C{content-length} (RFC 9113 section 8.1.1).

        @param none: there is no body whatever the field says (the response to HEAD, 204, 304).
        @raise MalformedHead: where the field is no length.
        """
        length = readContentLength(headers)
        self._bodyLeft = self.bodyLength = 0 if none else length

    @property
    def expectsBody(self) -> bool:
        """
        Whether there must be more of the body.
        """
        return bool(self._bodyLeft)

    def bodyReceived(self, data: memoryview) -> None:
        size = len(data)
        if self._bodyLeft is not None:
            self._bodyLeft -= size
            if self._bodyLeft < 0:
                self.reset(ErrorCodes.PROTOCOL_ERROR)
                return
        if self._paused or self._receive is None or self._inbox:
            self._hold(data, size)
        else:
            self._consumed += size
            try:
                self._receive(data if self._borrows else bytes(data))
            except Exception:
                self._crashed()
            if self._consumed >= (self._window - self._connection.tightened) >> 2:
                self.credit()

    def _hold(self, data: memoryview, size: int) -> None:
        # Pieces of one byte each would take forty times the memory that the window allows.
        inbox = self._inbox
        if not isinstance(inbox, deque):
            inbox = self._inbox = deque()
        if inbox and len(inbox[-1]) < _PIECE:
            inbox[-1] += data
        else:
            inbox.append(bytearray(data))
        self.heldBytes += size
        self._connection.held(size)

    def credit(self) -> None:
        """
        Let the peer send as much more as was consumed; and more, where the path has turned out to need it.
        """
        if self._paused or self._peerEnded or self._lost is not None:
            return
        lane, size = self._lane, self._consumed
        if lane.overhead:
            size += lane.overhead
            lane.overhead = 0
        window = self._connection.streamWindow
        if window > self._window and not self._connection.tightened:
            size += window - self._window
            self._window = window
        self._consumed = 0
        if size:
            self._connection.credit(lane, size)

    def bodyEnded(self) -> None:
        if self._bodyLeft:
            self.reset(ErrorCodes.PROTOCOL_ERROR)
            return
        self._peerEnded = True
        if not self._inbox:
            self._tellPeerEnd()

    def _deliver(self) -> None:
        inbox = self._inbox
        while (
            isinstance(inbox, deque) and inbox and not self._paused and self._receive is not None and self._lost is None
        ):
            data = inbox.popleft()
            size = len(data)
            self.heldBytes -= size
            self._connection.held(-size)
            self._consumed += size
            try:
                self._receive(memoryview(data) if self._borrows else bytes(data))
            except Exception:
                self._crashed()
        if self._lost is not None:
            return
        if self._peerEnded and not self._inbox:
            self._tellPeerEnd()
        elif self._consumed >= (self._window - self._connection.tightened) >> 2:
            self.credit()

    def _tellPeerEnd(self) -> None:
        protocol = self._protocol
        if self._peerEndTold:
            return
        if protocol is None:
            self._finishIfDone()
            return
        self._peerEndTold = True
        if IHalfCloseableProtocol.providedBy(protocol):
            self._tell(protocol.readConnectionLost)
        else:
            self.loseWriteConnection()
        self._finishIfDone()

    def _drop(self) -> None:
        """
        Let go of what waits, and take no notice of what is still to come.
        """
        if self.heldBytes:
            self._connection.held(-self.heldBytes)
            self._consumed += self.heldBytes
            self.heldBytes = 0
        self._inbox = ()
        self._receive = _discard
        self._borrows = True
        self._paused = False

    def pauseProducing(self) -> None:
        self._paused = True

    def resumeProducing(self) -> None:
        if self._paused:
            self._paused = False
            self._deliver()

    def reset(self, code: int) -> None:
        raise NotImplementedError

    def _crashed(self) -> None:
        # As with a socket of Twisted's: what a protocol fails on is its own stream's end, and no other's.
        self.log.failure("{protocol} failed on what its stream received", protocol=self._protocol)
        self.reset(ErrorCodes.INTERNAL_ERROR)


def _discard(data: Buffer) -> None:
    pass
