"""
A face without a link: its peer is a part of this process, the forwarder's own management for one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Final

from attrs import define
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from zope.interface import implementer

from hermes.errors import HermesError
from hermes.ndn.face.counters import FaceCounters
from hermes.ndn.interfaces import IFaceReceiver, INDNFace, LinkType, Persistency
from hermes.ndn.packet.peek import DataView, InterestView

MAX_QUEUED: Final = 4096
"""
How many packets wait for the peer at most.
"""

MAX_PENDING: Final = 4096
"""
How many Interests of the peer are unanswered at most.
"""

LOCAL_FIELDS: Final = 1


class Nacked(HermesError):
    """
    An Interest was answered with a Nack.

    @ivar reason: why, as NDNLPv2 has it.
    """

    def __init__(self, reason: int) -> None:
        super().__init__(f"answered with a Nack, reason {reason}")
        self.reason = reason


class InterestTimeout(HermesError):
    """
    An Interest was not answered within its lifetime.
    """


@define(eq=False)
class _Pending:
    """
    An Interest of the peer that is not answered.
    """

    view: InterestView
    deferred: Deferred[DataView]
    timeout: IDelayedCall | None = None

    def stop(self) -> Deferred[DataView]:
        """
        Wait no longer.
        """
        timeout, self.timeout = self.timeout, None
        if timeout is not None:
            timeout.cancel()
        return self.deferred


Answer = Callable[[InterestView, "bytes | None", "int | None"], None]
"""
Takes an Interest, the PIT token that its answer goes with, and the face that it came from.
"""


@implementer(INDNFace)
class InternalFace:
    """
    What the forwarder sends is handed over in a later turn, so that the peer may answer within the call.
    """

    local = True
    linkType: LinkType = "point-to-point"
    mtu = 65_535
    expires = None

    _log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        receiver: IFaceReceiver,
        answer: Answer | None = None,
        uri: str = "internal://",
        closed: Callable[[InternalFace], None] | None = None,
    ) -> None:
        """
        @param receiver: the forwarder.
        @param answer: takes the Interests that the forwarder sends here.
        @param uri: what the face is called.
        @param closed: is called once it was closed.
        """
        self.id = 0
        self.persistency: Persistency = "permanent"
        self.remoteURI = self.localURI = uri
        self.counters = FaceCounters()
        self.flags = LOCAL_FIELDS
        self.up = True
        self._clock = clock
        self._receiver = receiver
        self._answer = answer
        self._closed = closed
        self._queue: deque[tuple[Callable[..., None], tuple[Any, ...]]] = deque()
        self._turn: IDelayedCall | None = None
        self._pending: dict[bytes, list[_Pending]] = {}
        self._pendingCount = 0

    # What the forwarder calls

    def sendInterest(self, view: InterestView, pitToken: bytes | None = None, incomingFace: int | None = None) -> None:
        self.counters.outInterests += 1
        if self._answer is not None:
            self._later(self._answer, view, pitToken, incomingFace)

    def sendData(
        self, view: DataView, pitToken: bytes | None = None, congestionMark: int = 0, incomingFace: int | None = None
    ) -> None:
        self.counters.outData += 1
        if view.name in self._pending:
            self._later(self._dataReceived, view)

    def sendNack(
        self, view: InterestView, reason: int, pitToken: bytes | None = None, incomingFace: int | None = None
    ) -> None:
        self.counters.outNacks += 1
        if view.name in self._pending:
            self._later(self._nackReceived, view, reason)

    def close(self) -> None:
        if not self.up:
            return
        self.up = False
        self._queue.clear()
        if self._turn is not None:
            self._turn.cancel()
            self._turn = None
        pending, self._pending, self._pendingCount = self._pending, {}, 0
        for entries in pending.values():
            for each in entries:
                each.stop().errback(ConnectionDone())
        if self._closed is not None:
            self._closed(self)

    # What the peer calls

    def express(self, view: InterestView, nextHop: int | None = None) -> Deferred[DataView]:
        """
        Send an Interest. Its answer has exactly its name.

        @param nextHop: the face that it is to leave by, whatever the FIB says.
        @return: fires with the Data. Errback with L{Nacked}, with L{InterestTimeout}, or with C{ConnectionDone} where
            the face ends; can be cancelled.
        """

        def cancelled(deferred: Deferred[DataView]) -> None:
            self._end(entry)

        deferred: Deferred[DataView] = Deferred(cancelled)
        entry = _Pending(view, deferred)
        if not self.up:
            deferred.errback(ConnectionDone())
            return deferred
        if self._pendingCount >= MAX_PENDING:
            deferred.errback(Nacked(0))
            return deferred
        entry.timeout = self._clock.callLater(view.lifetime / 1000, self._timedOut, entry)
        self._pending.setdefault(view.name, []).append(entry)
        self._pendingCount += 1
        self.counters.inInterests += 1
        self.counters.inPackets += 1
        self.counters.inBytes += len(view.wire)
        self._receiver.receiveInterest(self, view, nextHop=nextHop)
        return deferred

    def put(self, view: DataView, pitToken: bytes | None = None, cachePolicy: int | None = None) -> None:
        """
        Answer with Data.

        @param cachePolicy: 1 where the Content Store had better not keep it.
        """
        if self.up:
            self.counters.inData += 1
            self.counters.inPackets += 1
            self.counters.inBytes += len(view.wire)
            self._receiver.receiveData(self, view, pitToken, cachePolicy=cachePolicy)

    def nack(self, view: InterestView, reason: int, pitToken: bytes | None = None) -> None:
        """
        Answer with a Nack.
        """
        if self.up:
            self.counters.inNacks += 1
            self.counters.inPackets += 1
            self.counters.inBytes += len(view.wire)
            self._receiver.receiveNack(self, reason, view, pitToken)

    def _later(self, function: Callable[..., None], *arguments: Any) -> None:
        """
        Hand a packet to the peer once what goes on now is done.
        """
        if not self.up:
            return
        self.counters.outPackets += 1
        self.counters.outBytes += len(arguments[0].wire)
        if len(self._queue) >= MAX_QUEUED:
            self._queue.popleft()
            self.counters.drop(1)
        self._queue.append((function, arguments))
        if self._turn is None:
            self._turn = self._clock.callLater(0, self._deliver)

    def _deliver(self) -> None:
        self._turn = None
        queue, self._queue = self._queue, deque()
        for function, arguments in queue:
            if not self.up:
                return
            try:
                function(*arguments)
            except Exception:
                self._log.failure("an Interest or its answer was dropped")

    def _dataReceived(self, view: DataView) -> None:
        for entry in self._pending.get(view.name, [])[:]:
            self._end(entry).callback(view)

    def _nackReceived(self, view: InterestView, reason: int) -> None:
        for entry in self._pending.get(view.name, [])[:]:
            if entry.view.nonce == view.nonce:
                self._end(entry).errback(Nacked(reason))

    def _timedOut(self, entry: _Pending) -> None:
        entry.timeout = None
        self._end(entry).errback(InterestTimeout(f"no answer within {entry.view.lifetime} ms"))

    def _end(self, entry: _Pending) -> Deferred[DataView]:
        entries = self._pending.get(entry.view.name, [])
        if entry in entries:
            entries.remove(entry)
            self._pendingCount -= 1
            if not entries:
                del self._pending[entry.view.name]
        return entry.stop()
