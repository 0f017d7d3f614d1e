"""
What a face has received and can't deal with before it is the others' turn.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from hermes.values import Buffer

MAX_BATCH: Final = 256
"""
So many packets of one face are dealt with, then whatever else has arrived is: a few milliseconds. One read of a stream
may bring twenty thousand Interests.
"""

MAX_WAITING: Final = 4 * 1024 * 1024
"""
How much may wait of a link that can't be held up, in bytes; the oldest goes.
"""

PACKET_COST: Final = 100
"""
Bytes that a packet takes here beside its own.
"""


class Backlog:
    """
    Packets in the order in which they came, dealt with so many in a turn of the reactor.

    @ivar clock: delayed calls; to be set before anything comes.
    @ivar waiting: whether there are any, or will be: what comes has to be put behind them.
    """

    __slots__ = ("_batches", "_bytes", "_done", "_take", "_timer", "clock", "waiting")

    clock: IReactorTime

    def __init__(self, take: Callable[[Sequence[Buffer], object], None], done: Callable[[], None]) -> None:
        """
        @param take: is given packets and who sent them.
        @param done: is called when none wait any more.
        """
        self.waiting = False
        self._take = take
        self._done = done
        self._batches: deque[tuple[list[bytes], object]] = deque()
        self._bytes = 0
        self._timer: IDelayedCall | None = None

    def put(self, packets: Sequence[Buffer], source: object) -> None:
        """
        Add some, borrowed. Where none wait, the first are dealt with before this returns.

        @param source: who sent them.
        """
        for start in range(0, len(packets), MAX_BATCH):
            batch = [bytes(packet) for packet in packets[start : start + MAX_BATCH]]
            self._batches.append((batch, source))
            self._bytes += _cost(batch)
        if not self.waiting:
            self.waiting = True
            self._next()

    def drop(self) -> int:
        """
        Forget what is more than may wait, the oldest first.

        @return: how many packets.
        """
        dropped = 0
        while self._bytes > MAX_WAITING:
            batch, _ = self._batches.popleft()
            self._bytes -= _cost(batch)
            dropped += len(batch)
        return dropped

    def clear(self) -> None:
        """
        Forget all that waits. C{done} is not called.
        """
        self.waiting = False
        self._batches.clear()
        self._bytes = 0
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    def _next(self) -> None:
        """
        Deal with some.
        """
        self._timer = None
        batches, left = self._batches, MAX_BATCH
        while batches and left:
            batch, source = batches.popleft()
            self._bytes -= _cost(batch)
            if len(batch) > left:
                rest = batch[left:]
                batches.appendleft((rest, source))
                self._bytes += _cost(rest)
                del batch[left:]
            left -= len(batch)
            self._take(batch, source)
        # Whoever took them may have had all forgotten.
        if batches:
            self._timer = self.clock.callLater(0, self._next)
        elif self.waiting:
            self.waiting = False
            self._done()


def _cost(packets: list[bytes]) -> int:
    return sum(map(len, packets)) + PACKET_COST * len(packets)
