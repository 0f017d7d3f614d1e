"""
What a face counts.
"""

from __future__ import annotations

from hermes.interfaces import IDatagramChannel


class FaceCounters:
    """
    What has passed through a face since it was made, over all links that it has had.

    The first ten are those of NFD's FaceStatus, and of the same meaning: C{inPackets}, C{outPackets} and the bytes are
    those of link packets (fragments, LpPackets), the others those of network packets.

    @ivar fragmentsDropped: fragments whose packet never became whole: too old, too many, too large.
    @ivar duplicatePackets: packets that came once more because their acknowledgement was lost.
    @ivar retransmittedPackets: link packets that were sent once more (reliability).
    @ivar lostPackets: network packets that were given up (reliability).
    @ivar congestionMarks: packets that this end marked.
    """

    __slots__ = (
        "_channel",
        "_dropped",
        "_malformed",
        "congestionMarks",
        "duplicatePackets",
        "fragmentsDropped",
        "inBytes",
        "inData",
        "inInterests",
        "inNacks",
        "inPackets",
        "lostPackets",
        "outBytes",
        "outData",
        "outInterests",
        "outNacks",
        "outPackets",
        "retransmittedPackets",
    )

    def __init__(self) -> None:
        self.inInterests = self.inData = self.inNacks = 0
        self.outInterests = self.outData = self.outNacks = 0
        self.inPackets = self.outPackets = 0
        self.inBytes = self.outBytes = 0
        self.fragmentsDropped = self.duplicatePackets = 0
        self.retransmittedPackets = self.lostPackets = 0
        self.congestionMarks = 0
        self._dropped = self._malformed = 0
        self._channel: IDatagramChannel | None = None

    @property
    def droppedPackets(self) -> int:
        """
        Link packets that never left: the link was down, its queue full, or they were too large for it; and those that
        came faster than they could be dealt with, on a link that can't be held up.
        """
        return self._dropped + (0 if self._channel is None else self._channel.droppedDatagrams)

    @property
    def malformedPackets(self) -> int:
        """
        What has arrived and was no packet, or said what it may not say on this face.
        """
        return self._malformed + int(getattr(self._channel, "skippedPackets", 0))

    def malformed(self) -> None:
        """
        One more has.
        """
        self._malformed += 1

    def drop(self, packets: int) -> None:
        """
        So many are lost.
        """
        self._dropped += packets

    def follow(self, channel: IDatagramChannel | None) -> None:
        """
        The face's link is C{channel} from now on.
        """
        if self._channel is not None:
            self._dropped += self._channel.droppedDatagrams
            self._malformed += int(getattr(self._channel, "skippedPackets", 0))
        self._channel = channel
