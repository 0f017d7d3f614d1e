"""
What the PIT takes when it is full: a fair share for each face.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from hermes.ndn.forwarder.pit import PIT
from hermes.ndn.forwarder.pitentry import PITEntry
from hermes.ndn.forwarder.port import Port

CAPACITY: Final = 64 * 1024 * 1024
"""
How many bytes the PIT may hold, unless it is told otherwise.
"""

LEAST_CAPACITY: Final = 64 * 1024
"""
The least that it may be told: a few faces with Interests of any size.
"""

HELD: Final = 1.0
"""
Seconds for which an Interest of a face that is over its share stays in the PIT at least, so that an answer has the time
to come. Others than those of its own face may drive it out before.
"""

_RECOUNT: Final = 0.1


class Admission:
    """
    Who may add to the PIT, within its bound in bytes.

    As long as there is room, everybody may. Then the faces with pending Interests share it evenly: one that has less
    than its share drives out the oldest of the face that has most. One that has its share may only replace its own, and
    only what has been there for a while; for the rest, it has to wait.

    @ivar capacity: how many bytes the PIT may hold; can be set.
    @ivar refused: how many Interests were refused.
    @ivar evicted: how many were driven out.
    """

    def __init__(
        self,
        pit: PIT,
        ports: Mapping[int, Port],
        drop: Callable[[Port, PITEntry], None],
        capacity: int = CAPACITY,
    ) -> None:
        """
        @param ports: all faces, by ID.
        @param drop: is to remove the in-record of this face, and the entry with the last one.
        """
        self.capacity = capacity
        self.refused = 0
        self.evicted = 0
        self._pit = pit
        self._ports = ports
        self._drop = drop
        self._share = 0
        self._recount = 0.0
        self._victim: Port | None = None

    def admit(self, port: Port, cost: int, now: float) -> bool:
        """
        Whether a face may add something of this cost. To be called where the PIT would be above its bound with it; room
        is made before this returns.

        @param cost: in bytes.
        @param now: the time, in seconds of the clock.
        """
        pit = self._pit
        self._count(port, now)
        while pit.charge + cost > self.capacity:
            victim = port if port.charge + cost > self._share else self._heaviest()
            if not victim.pending:
                self.refused += 1
                return False
            entry, record = next(iter(victim.pending.items()))
            if victim is port and record.since + HELD > now:
                self.refused += 1
                return False
            self.evicted += 1
            self._drop(victim, entry)
        return True

    def trim(self, now: float) -> None:
        """
        Make the PIT fit its bound, after what was pending has been sent to more faces.
        """
        self._count(None, now)
        while self._pit.charge > self.capacity:
            victim = self._heaviest()
            if not victim.pending:
                return
            self.evicted += 1
            self._drop(victim, next(iter(victim.pending)))

    def _count(self, port: Port | None, now: float) -> None:
        """
        What a share is, with this face among those that have one; not counted anew each time.
        """
        if now >= self._recount:
            active = sum(1 for other in self._ports.values() if other.pending and other is not port)
            self._share = self.capacity // (active + (port is not None) or 1)
            self._recount = now + _RECOUNT

    def _heaviest(self) -> Port:
        """
        A face above its share. It stays the same as long as it is, so that not all are looked at each time.
        """
        victim = self._victim
        if victim is None or victim.charge <= self._share:
            victim = self._victim = max(self._ports.values(), key=_charge)
        return victim


def _charge(port: Port) -> int:
    return port.charge
