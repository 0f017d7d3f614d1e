"""
A forwarder, faces that only remember, and packets.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from attrs import define, field
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from hermes.ndn.face.counters import FaceCounters
from hermes.ndn.forwarder.forwarder import Forwarder
from hermes.ndn.forwarder.prefixtable import endsOf
from hermes.ndn.interfaces import INDNFace, LinkType, Persistency
from hermes.ndn.packet.interest import encodeInterest
from hermes.ndn.packet.name import Name
from hermes.ndn.packet.peek import DataView, InterestView, peekData, peekInterest
from hermes.ndn.packet.tlv import encodeElement, encodeInteger

CONGESTION, DUPLICATE, NO_ROUTE = 50, 100, 150

LATE = 0.02
"""
Seconds by which a timer is late at most, and a bit.
"""


def value(text: str) -> bytes:
    """
    The value of a name.
    """
    return Name.fromText(text).value


def interest(text: str, nonce: int | None = 1, **more: Any) -> InterestView:
    """
    An Interest; see L{encodeInterest}. C{hint} is of names as text.
    """
    if "hint" in more:
        more["hint"] = [Name.fromText(each) for each in more["hint"]]
    return peekInterest(encodeInterest(Name.fromText(text), nonce=nonce, **more))


def data(text: str, freshness: int | None = None, content: bytes = b"content") -> DataView:
    """
    Data with a signature that nobody looks at.
    """
    metaInfo = b"" if freshness is None else encodeElement(0x14, encodeInteger(0x19, freshness))
    signature = encodeElement(0x16, encodeInteger(0x1B, 0)) + encodeElement(0x17, bytes(32))
    return peekData(
        encodeElement(0x06, Name.fromText(text).encode() + metaInfo + encodeElement(0x15, content) + signature)
    )


@define
class Sent:
    """
    What went out.

    @ivar what: C{interest}, C{data} or C{nack}.
    @ivar name: as text.
    """

    what: str
    name: str
    view: Any = field(repr=False)
    token: bytes | None = None
    mark: int = 0
    reason: int | None = None
    incoming: int | None = None


@implementer(INDNFace)
class FakeFace:
    """
    Remembers what is sent to it.

    @ivar sent: all of it, in order.
    @ivar answer: called with each Interest that is sent, before C{sendInterest} returns.
    """

    mtu = 8800
    expires = None

    def __init__(
        self, faceID: int, local: bool = False, linkType: LinkType = "point-to-point", forwarder: Any = None
    ) -> None:
        self.id = faceID
        self.local = local
        self.linkType = linkType
        self.persistency: Persistency = "persistent"
        self.remoteURI = self.localURI = f"fake://{faceID}"
        self.counters = FaceCounters()
        self.up = True
        self.flags = 0
        self.sent: list[Sent] = []
        self.answer: Callable[[InterestView], None] | None = None
        self.forwarder = forwarder

    def sendInterest(self, view: InterestView, pitToken: bytes | None = None, incomingFace: int | None = None) -> None:
        self.counters.outInterests += 1
        name = str(Name.fromValue(view.name))
        self.sent.append(Sent("interest", name, view, pitToken, incoming=incomingFace))
        if self.answer is not None:
            self.answer(view)

    def sendData(
        self, view: DataView, pitToken: bytes | None = None, congestionMark: int = 0, incomingFace: int | None = None
    ) -> None:
        self.counters.outData += 1
        name = str(Name.fromValue(view.name))
        self.sent.append(Sent("data", name, view, pitToken, congestionMark, incoming=incomingFace))

    def sendNack(
        self, view: InterestView, reason: int, pitToken: bytes | None = None, incomingFace: int | None = None
    ) -> None:
        self.counters.outNacks += 1
        self.sent.append(Sent("nack", str(Name.fromValue(view.name)), view, pitToken, reason=reason))

    def close(self) -> None:
        self.forwarder.removeFace(self)

    # What comes from its peer

    def express(self, view: InterestView, token: bytes | None = None, **more: Any) -> None:
        self.counters.inInterests += 1
        self.forwarder.receiveInterest(self, view, token, **more)

    def put(self, view: DataView, token: bytes | None = None, **more: Any) -> None:
        self.counters.inData += 1
        self.forwarder.receiveData(self, view, token, **more)

    def nack(self, view: InterestView, reason: int) -> None:
        self.counters.inNacks += 1
        self.forwarder.receiveNack(self, reason, view)

    # What was sent

    def take(self) -> list[Sent]:
        """
        All that was sent since the last time.
        """
        taken, self.sent = self.sent, []
        return taken

    def took(self) -> list[tuple[str, str]]:
        """
        The same, kinds and names only.
        """
        return [(sent.what, sent.name) for sent in self.take()]


class ForwardingCase(SynchronousTestCase):
    """
    A forwarder with faces as they are asked for.
    """

    strategy = "best-route"
    options: ClassVar[dict[str, Any]] = {}

    def setUp(self) -> None:
        self.clock = Clock()
        # No time is special.
        self.clock.advance(1000)
        self.forwarder = Forwarder(self.clock, strategy=self.strategy, **self.options)
        self.addCleanup(self.forwarder.stop)

    def face(self, local: bool = False, linkType: LinkType = "point-to-point") -> FakeFace:
        """
        One more face.
        """
        face = FakeFace(256 + len(list(self.forwarder.faces())), local, linkType, self.forwarder)
        self.forwarder.addFace(face)
        return face

    def route(self, prefix: str, *faces: FakeFace) -> None:
        """
        Next hops, the first of which is the cheapest.
        """
        for cost, face in enumerate(faces):
            self.assertTrue(self.forwarder.setNextHop(value(prefix), face.id, cost))

    def pass_(self, seconds: float) -> None:
        """
        Let time go by, in steps that no timer is longer than.
        """
        self.clock.pump([0.005] * round(seconds / 0.005))

    def assertIdle(self) -> None:
        """
        Nothing is pending, and no face is charged for anything.
        """
        self.assertEqual(len(self.forwarder.pit), 0)
        self.assertEqual(self.forwarder.pit.charge, 0)
        for port in self.forwarder._ports.values():
            self.assertEqual((port.charge, len(port.pending)), (0, 0))
        self.assertEqual(len(self.forwarder._wheel), 0)


def ends(name: bytes) -> Sequence[int]:
    """
    See L{endsOf}.
    """
    return tuple(endsOf(name))
