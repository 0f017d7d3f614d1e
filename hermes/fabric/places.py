"""
The endpoints of an upstream, and what is known about each.
"""

from __future__ import annotations

from math import inf

from attrs import define, frozen


@frozen
class Place:
    """
    An endpoint as the configuration has it.

    @ivar address: C{HOST:PORT} or C{unix:PATH}.
    @ivar weight: its share, beside the others'.
    @ivar zone: where it is, or L{None}.
    @ivar priority: 0 is tried first.
    """

    address: str
    weight: int = 1
    zone: str | None = None
    priority: int = 0


@define(eq=False)
class Endpoint:
    """
    One endpoint of an upstream. Times are in seconds of the clock.

    @ivar address: C{HOST:PORT} or C{unix:PATH}.
    @ivar weight: its share, beside the others'.
    @ivar zone: where it is, or L{None}.
    @ivar priority: 0 is tried first.
    @ivar active: how many flows and requests are open or opening on it.
    @ivar flows: how many of them are flows, each with a connection to itself.
    @ivar failures: how many times it could not be reached, or broke off.
    @ivar consecutive: how many of its last results were failures, one after the other.
    @ivar ejections: how many times it was ejected, less those that are forgiven.
    @ivar downUntil: until when it is tried only after the others, for it could not be reached.
    @ivar ejectedUntil: the same, for its results.
    @ivar healthy: what active health checks say.
    @ivar out: whether it was left out when somebody last looked.
    @ivar since: when it came back from that; minus infinity where it never was out.
    """

    address: str
    weight: int = 1
    zone: str | None = None
    priority: int = 0
    active: int = 0
    flows: int = 0
    failures: int = 0
    consecutive: int = 0
    ejections: int = 0
    downUntil: float = 0.0
    ejectedUntil: float = 0.0
    healthy: bool = True
    out: bool = False
    since: float = -inf

    @classmethod
    def at(cls, place: Place | str) -> Endpoint:
        """
        An endpoint of which nothing is known yet.
        """
        if isinstance(place, str):
            return cls(place)
        return cls(place.address, place.weight, place.zone, place.priority)

    def ended(self) -> None:
        """
        A flow on it has ended.
        """
        self.active -= 1
        self.flows -= 1

    def isOut(self, now: float) -> bool:
        """
        Whether it is tried only after the others.
        """
        return not self.healthy or self.downUntil > now or self.ejectedUntil > now
