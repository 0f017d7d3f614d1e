"""
Where datagrams wait: never long, never many.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from attrs import define
from twisted.internet.interfaces import IReactorTime

from hermes.values import Buffer

DATAGRAM_COST = 64
"""
What a waiting datagram costs beside its payload, in bytes. It is counted against the bound, so that a million empty
datagrams are not free.
"""


@define(eq=False)
class _Batch:
    """
    Datagrams that came at about the same time: their payload bytes, and the time of the first.
    """

    time: float
    datagrams: deque[bytes]
    size: int

    @property
    def cost(self) -> int:
        return self.size + DATAGRAM_COST * len(self.datagrams)


class DatagramQueue:
    """
    Datagrams that can't be sent yet, bounded in bytes and in age. The oldest are dropped first, and counted.

    Batches are kept whole: a call costs what one batch costs, save for the copies and for the one batch that a bound
    cuts in two. Datagrams that come within a sixteenth of the age bound count as old as the first of them.

    @ivar bufferedBytes: what waits, in bytes of payload plus L{DATAGRAM_COST} each; never above the bound after a call.
    @ivar dropped: how many datagrams were dropped.
    """

    def __init__(self, maxBytes: int, maxAge: float, clock: IReactorTime) -> None:
        """
        @param maxBytes: how much may wait, see C{bufferedBytes}.
        @param maxAge: how long a datagram may wait, in seconds.
        """
        self.bufferedBytes = 0
        self.dropped = 0
        self._maxBytes = maxBytes
        self._maxAge = maxAge
        self._grain = maxAge / 16
        self._clock = clock
        self._batches: deque[_Batch] = deque()
        self._poppedTime = 0.0

    def __bool__(self) -> bool:
        return bool(self._batches)

    def __len__(self) -> int:
        """
        How many datagrams wait.
        """
        return sum(len(batch.datagrams) for batch in self._batches)

    def append(self, datagrams: Iterable[Buffer]) -> None:
        """
        Copy datagrams to the end; drop what is too old, then the oldest of what is too much.
        """
        copies = deque(map(bytes, datagrams))
        if not copies:
            return
        now = self._clock.seconds()
        self._expire(now)
        batches = self._batches
        size = sum(map(len, copies))
        self.bufferedBytes += size + DATAGRAM_COST * len(copies)
        if batches and now - batches[-1].time <= self._grain:
            batches[-1].datagrams.extend(copies)
            batches[-1].size += size
        else:
            batches.append(_Batch(now, copies, size))
        if self.bufferedBytes > self._maxBytes:
            self._trim()

    def popBatch(self, maxBytes: int) -> list[bytes]:
        """
        Take the oldest datagrams that are not too old, of C{maxBytes} of payload together, but at least one where there
        is any.
        """
        self._expire(self._clock.seconds())
        batches = self._batches
        popped: list[bytes] = []
        if not batches:
            return popped
        self._poppedTime = batches[0].time
        while batches and batches[0].size <= maxBytes:
            batch = batches.popleft()
            self.bufferedBytes -= batch.cost
            maxBytes -= batch.size
            popped += batch.datagrams
        if batches:
            head = batches[0]
            while head.datagrams and (not popped or len(head.datagrams[0]) <= maxBytes):
                popped.append(self._popFirst(head))
                maxBytes -= len(popped[-1])
            if not head.datagrams:
                batches.popleft()
        return popped

    def restore(self, datagrams: Iterable[bytes]) -> None:
        """
        Put back to the front what could not be sent of the last L{popBatch}. It has grown no younger.
        """
        unsent = deque(datagrams)
        if unsent:
            batch = _Batch(self._poppedTime, unsent, sum(map(len, unsent)))
            self._batches.appendleft(batch)
            self.bufferedBytes += batch.cost

    def expire(self) -> None:
        """
        Drop what is too old now. The other methods do so themselves; this is for an owner that may not call them soon.
        """
        self._expire(self._clock.seconds())

    def _expire(self, now: float) -> None:
        batches = self._batches
        while batches and now - batches[0].time >= self._maxAge:
            self._dropFirst()

    def _trim(self) -> None:
        """
        Drop the oldest until the bound holds.
        """
        batches = self._batches
        while batches and self.bufferedBytes - batches[0].cost >= self._maxBytes:
            self._dropFirst()
        while self.bufferedBytes > self._maxBytes:
            self._popFirst(batches[0])
            self.dropped += 1
        if batches and not batches[0].datagrams:
            batches.popleft()

    def _dropFirst(self) -> None:
        """
        Drop the oldest batch.
        """
        batch = self._batches.popleft()
        self.bufferedBytes -= batch.cost
        self.dropped += len(batch.datagrams)

    def _popFirst(self, batch: _Batch) -> bytes:
        """
        Take the oldest datagram out of the oldest batch.
        """
        datagram = batch.datagrams.popleft()
        batch.size -= len(datagram)
        self.bufferedBytes -= len(datagram) + DATAGRAM_COST
        return datagram
