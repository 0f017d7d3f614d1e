"""
What faces have counted, by what they are: for whoever watches a node. Faces that have ended stay counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Final

from zope.interface import implementer

from hermes.ndn.interfaces import IFaceObserver, INDNFace

COUNTED: Final = (
    "inInterests",
    "inData",
    "inNacks",
    "outInterests",
    "outData",
    "outNacks",
    "inBytes",
    "outBytes",
    "droppedPackets",
    "malformedPackets",
    "fragmentsDropped",
    "retransmittedPackets",
    "lostPackets",
    "congestionMarks",
)
"""
What is told of L{hermes.ndn.face.counters.FaceCounters}.
"""


def kindOf(face: INDNFace) -> str:
    """
    What a face is that has no name: the scheme of its peer's URI with a colon, C{udp:}, which no name has. Programs,
    neighbours and what strangers connect from come and go: each by itself would make series without end.
    """
    scheme: str = face.remoteURI.partition("://")[0]
    return f"{scheme.rstrip('46')}:"


@implementer(IFaceObserver)
class FaceTally:
    """
    Adds up what faces count. It costs them nothing: what they have counted is read when somebody asks.
    """

    def __init__(self, nameOf: Callable[[INDNFace], str | None]) -> None:
        """
        @param nameOf: the name that a face has in the configuration, if any. Is asked once, when it comes.
        """
        self._nameOf = nameOf
        self._faces: dict[int, tuple[str, INDNFace]] = {}
        self._ended: dict[str, Counter[str]] = {}

    def faceCreated(self, face: INDNFace) -> None:
        group = self._nameOf(face) or kindOf(face)
        self._faces[face.id] = group, face
        self._ended.setdefault(group, Counter())

    def faceUp(self, face: INDNFace) -> None:
        pass

    def faceDown(self, face: INDNFace) -> None:
        pass

    def faceDestroyed(self, face: INDNFace) -> None:
        group, _ = self._faces.pop(face.id, ("", face))
        if group:
            self._ended[group].update(_counts(face))

    def groups(self) -> dict[str, dict[str, int]]:
        """
        By name or kind: how many faces there are (C{faces}), how many of them are C{up}, and what L{COUNTED} names, of
        all that there were.
        """
        groups: dict[str, Counter[str]] = {
            name: Counter({"faces": 0, "up": 0, **dict.fromkeys(COUNTED, 0), **ended})
            for name, ended in self._ended.items()
        }
        for name, face in self._faces.values():
            counts = groups[name]
            counts.update(_counts(face))
            counts["faces"] += 1
            counts["up"] += face.up
        return {name: dict(counts) for name, counts in groups.items()}


def _counts(face: INDNFace) -> dict[str, int]:
    counters = face.counters
    return {key: getattr(counters, key) for key in COUNTED}
