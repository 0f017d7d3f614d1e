"""
What the forwarder counts.
"""

from __future__ import annotations

from typing import Final

from attrs import frozen

from hermes.ndn.interfaces import INDNFace

OF_FACES: Final = ("inInterests", "inData", "inNacks", "outInterests", "outData", "outNacks")
"""
What faces count, and is summed up over all of them.
"""


@frozen
class ForwarderStatus:
    """
    The state of a forwarder, as NFD's C{status/general} tells it.

    @ivar nameTreeEntries: how many names are in its tables, all together: there is no one tree.
    @ivar satisfied: Interests in the PIT that Data came for.
    @ivar unsatisfied: those that it did not come for.
    """

    nameTreeEntries: int
    fibEntries: int
    pitEntries: int
    measurementsEntries: int
    csEntries: int
    inInterests: int
    inData: int
    inNacks: int
    outInterests: int
    outData: int
    outNacks: int
    satisfied: int
    unsatisfied: int


class Counters:
    """
    Counts since the start.

    @ivar satisfied: see L{ForwarderStatus}.
    @ivar unsatisfied: see L{ForwarderStatus}.
    @ivar loops: Interests that came back.
    @ivar scopeViolations: packets that came from further away than their name may go.
    @ivar hopLimits: Interests that had no hop left.
    @ivar longNames: packets whose names have too many components.
    @ivar unsolicited: Data that nobody waited for.
    @ivar strayNacks: Nacks for what was not asked there, or not so.
    """

    __slots__ = (
        "_ended",
        "hopLimits",
        "longNames",
        "loops",
        "satisfied",
        "scopeViolations",
        "strayNacks",
        "unsatisfied",
        "unsolicited",
    )

    def __init__(self) -> None:
        self.satisfied = self.unsatisfied = 0
        self.loops = self.scopeViolations = self.hopLimits = self.longNames = 0
        self.unsolicited = self.strayNacks = 0
        self._ended = dict.fromkeys(OF_FACES, 0)

    def ended(self, face: INDNFace) -> None:
        """
        A face is no more: what it has counted stays.
        """
        for each in OF_FACES:
            self._ended[each] += getattr(face.counters, each)

    def reasons(self) -> dict[str, int]:
        """
        How many packets went nowhere, by why.
        """
        return {
            "loop": self.loops,
            "scope": self.scopeViolations,
            "hopLimit": self.hopLimits,
            "longName": self.longNames,
            "unsolicited": self.unsolicited,
            "strayNack": self.strayNacks,
        }

    def sums(self, faces: list[INDNFace]) -> dict[str, int]:
        """
        What faces have counted, those that have ended included.
        """
        sums = dict(self._ended)
        for face in faces:
            for each in OF_FACES:
                sums[each] += getattr(face.counters, each)
        return sums
