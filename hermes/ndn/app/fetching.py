"""
What a fetch is told, and what it tells.
"""

from __future__ import annotations

from typing import Protocol

from attrs import define, field, frozen

from hermes.ndn.packet.data import Data
from hermes.ndn.packet.name import Name
from hermes.ndn.packet.typenumbers import DEFAULT_LIFETIME

RETRIES = 15
"""
How often a segment is asked for again.
"""

AHEAD = 2048
"""
How far beyond the first missing segment others are asked for: so many segments are held, at most.
"""


class Verifier(Protocol):
    """
    Says whether Data is believed; L{hermes.ndn.security.validator.Validator} does.
    """

    def validateNow(self, data: Data) -> bool:
        """
        Whether it is known to be; L{False}: ask C{validate}. Raises where it is known not to be.
        """

    async def validate(self, data: Data) -> None:
        """
        Raises where it is not to be believed.
        """


@define
class FetchReport:
    """
    How it went.

    @ivar name: the name of the object, with its version where it has one.
    @ivar segments: how many have come and were delivered.
    @ivar bytes: of content.
    @ivar seconds: from the first Interest on.
    @ivar sent: Interests, with those that were sent again.
    @ivar timeouts: how often no answer came in time.
    @ivar overtaken: how often others that were asked for later came, and long before it.
    @ivar nacks: how often which reason was given.
    @ivar marks: how many segments came with a congestion mark.
    @ivar roundTrips: how many were measured; the shortest, the longest and the sum of them, in seconds.
    @ivar mostInFlight: how many Interests were on their way at once, at most.
    """

    name: Name
    segments: int = 0
    bytes: int = 0
    seconds: float = 0.0
    sent: int = 0
    timeouts: int = 0
    overtaken: int = 0
    nacks: dict[int, int] = field(factory=dict)
    marks: int = 0
    roundTrips: int = 0
    shortest: float = 0.0
    longest: float = 0.0
    total: float = 0.0
    mostInFlight: int = 0

    @property
    def loss(self) -> float:
        """
        The part of the Interests that was not answered in time.
        """
        return (self.timeouts + self.overtaken) / self.sent if self.sent else 0.0

    @property
    def goodput(self) -> float:
        """
        Bytes of content in a second.
        """
        return self.bytes / self.seconds if self.seconds else 0.0

    def measured(self, roundTrip: float) -> None:
        """
        Count one.
        """
        self.shortest = min(self.shortest, roundTrip) if self.roundTrips else roundTrip
        self.longest = max(self.longest, roundTrip)
        self.total += roundTrip
        self.roundTrips += 1


@frozen
class FetchOptions:
    """
    @ivar lifetime: of each Interest, in milliseconds.
    @ivar mustBeFresh: whether caches may answer only with what is fresh.
    @ivar retries: how often a segment is asked for again; -1 for as often as it takes.
    @ivar ahead: how many segments are held, at most.
    @ivar ignoreMarks: whether congestion marks are of no account.
    @ivar everyLoss: whether each loss reduces the window; else once in a window.
    """

    lifetime: int = DEFAULT_LIFETIME
    mustBeFresh: bool = False
    retries: int = RETRIES
    ahead: int = AHEAD
    ignoreMarks: bool = False
    everyLoss: bool = False
