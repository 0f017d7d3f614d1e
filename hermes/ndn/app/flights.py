"""
Interests on their way, and what their answers tell of the way. Sans-IO.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from math import inf
from typing import Final

from attrs import define

from hermes.ndn.face.roundtrip import RoundTrip

REORDERING: Final = 0.01
"""
Seconds by which an answer may be overtaken by others, at least.
"""

_LOOKED_AT = 16  # how many of the oldest are looked at for each answer


class Patience(RoundTrip):
    """
    The round trip of segments, and how long to wait for one while others come.
    """

    __slots__ = ()

    @property
    def whileOthersCome(self) -> float:
        """
        Seconds after which a segment counts as lost when others that were asked for later have come: less than the
        time-out, whose lower bound is there for when nothing comes at all. As RACK (RFC 8985) it goes by time and not
        by how many have overtaken it; and it waits longer, as answers from caches overtake those from further away.
        """
        smoothed = self.smoothed
        if smoothed is None:
            return self.timeout
        return max(2 * smoothed, smoothed + 4 * self._variation) + REORDERING


@define(eq=False, slots=True)
class _Flight:
    """
    An Interest on its way.
    """

    sent: float
    deadline: float
    again: bool
    nacked: bool = False


class Flights:
    """
    The segments that were asked for and have not come, in the order in which they were; times in seconds.

    @ivar roundTrip: what is known of it.
    """

    def __init__(self) -> None:
        self.roundTrip = Patience()
        self._flights: dict[int, _Flight] = {}
        # When those that were given up, as others overtook them, were first asked for.
        self._overtaken: dict[int, float] = {}

    def __len__(self) -> int:
        return len(self._flights)

    def __iter__(self) -> Iterator[int]:
        return iter(self._flights)

    def __contains__(self, at: int) -> bool:
        return at in self._flights

    def add(self, at: int, now: float, lifetime: float, tries: int, again: bool) -> float:
        """
        A segment is asked for.

        @param lifetime: of the Interest.
        @param tries: how often no answer came in time.
        @param again: whether it was asked for before.
        @return: until when it is waited for: each time twice as long (RFC 6298 section 5.5), but no longer than the
            Interest lives.
        """
        deadline = now + min(self.roundTrip.timeout * (1 << min(tries, 16)), lifetime)
        self._flights[at] = _Flight(now, deadline, again)
        return deadline

    def answered(self, at: int, now: float) -> tuple[float | None, float]:
        """
        A segment has come.

        @return: when it was asked for, L{None} where it is not on its way; and its round trip, 0 where nobody knows it,
            as it was asked for twice.
        """
        flight = self._flights.pop(at, None)
        if flight is not None and not flight.again:
            roundTrip = now - flight.sent
            self.roundTrip.measured(roundTrip)
            return flight.sent, roundTrip
        first = self._overtaken.pop(at, None)
        if first is not None:
            # Nobody knows which of the two was answered. If it was the first, it should have been waited for: were that
            # not learned, all that comes from further away than the rest would be asked for twice.
            self.roundTrip.measured(now - first)
        return None if flight is None else flight.sent, 0.0

    def hold(self, at: int, until: float) -> None:
        """
        It keeps its place until then, though it was answered: with a Nack.
        """
        flight = self._flights[at]
        flight.nacked = True
        flight.deadline = until

    def takeLate(self, now: float) -> list[tuple[int, bool]]:
        """
        Take out what has not come in time.

        @return: each, and whether it was held.
        """
        late = [(at, flight.nacked) for at, flight in self._flights.items() if flight.deadline <= now]
        for at, _ in late:
            del self._flights[at]
        return late

    def takeOvertaken(self, sent: float, now: float) -> list[int]:
        """
        Take out what is lost, as what was asked for at C{sent} has come, long after it. What was asked for again has
        its time-out only.
        """
        patience = self.roundTrip.whileOthersCome
        lost = []
        for at, flight in islice(self._flights.items(), _LOOKED_AT):
            if flight.sent >= sent or now - flight.sent < patience:
                break
            if not flight.again and not flight.nacked:
                lost.append(at)
        for at in lost:
            self._overtaken[at] = self._flights.pop(at).sent
        return lost

    def takeBeyond(self, last: int) -> list[int]:
        """
        Take out what is after the last.
        """
        beyond = [at for at in self._flights if at > last]
        for at in beyond:
            del self._flights[at]
        return beyond

    def take(self, at: int) -> None:
        """
        Take out one.
        """
        del self._flights[at]

    def clear(self) -> None:
        """
        Take out all.
        """
        self._flights.clear()
        self._overtaken.clear()

    @property
    def deadline(self) -> float:
        """
        The first of all; infinity where there is none.
        """
        return min((flight.deadline for flight in self._flights.values()), default=inf)
