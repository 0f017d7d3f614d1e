"""
Forwarders joined in memory, and what must hold of everything that they send.
"""

from __future__ import annotations

from typing import Any, Protocol

from attrs import define, field
from twisted.internet.task import Clock
from zope.interface import implementer

from hermes.ndn.face.counters import FaceCounters
from hermes.ndn.forwarder.forwarder import Forwarder
from hermes.ndn.interfaces import CONTENT_STORE_FACE, INDNFace, LinkType, Persistency
from hermes.ndn.packet.name import Name
from hermes.ndn.packet.peek import DataView, InterestView
from hermes.test.ndn.forwarder.forwarding import data

OLD = 5.0
"""
A packet is not longer than so many seconds on its way: less than a Nonce is known for.
"""


class Machine(Protocol):
    """
    What nodes and faces are part of.
    """

    clock: Clock
    nodes: list[Node]


def freshness(name: bytes) -> int | None:
    """
    How long the Data of a name is fresh, in milliseconds.
    """
    return (None, 100, 100_000)[len(name) % 3]


@define(eq=False)
class Node:
    """
    A forwarder and its faces.
    """

    number: int
    forwarder: Forwarder
    consumer: LinkFace
    producer: LinkFace
    # Which forwarders an Interest has passed on its way here, unless it was answered since.
    paths: dict[tuple[bytes, int | None], tuple[int, ...]] = field(factory=dict)
    # Those of them that it has sent on.
    sent: set[tuple[bytes, int | None]] = field(factory=set)
    # The one that has come back just now.
    looped: tuple[bytes, int | None] | None = None

    def receiveData(self, face: LinkFace, view: DataView) -> None:
        """
        What is answered is answered again, from the store, or asked for again.
        """
        self.answered(view)
        self.forwarder.receiveData(face, view)

    def answered(self, view: DataView) -> None:
        for name, nonce in list(self.paths):
            if view.name.startswith(name):
                del self.paths[name, nonce]
                self.sent.discard((name, nonce))


@define
class Packet:
    """
    On its way to a face's forwarder.
    """

    what: str
    view: Any
    reason: int
    path: tuple[int, ...]
    sent: float


@implementer(INDNFace)
class LinkFace:
    """
    One end of a link, or an application's.

    @ivar peer: the other end, where it is a link.
    @ivar arriving: what is on its way here.
    @ivar wanted: what its peer has asked for and not got yet: until when, by name, CanBePrefix, MustBeFresh and token.
    @ivar asked: Interests that an application was asked.
    @ivar asking: what comes from its peer at this moment.
    """

    mtu = 8800
    expires = None
    linkType: LinkType = "point-to-point"
    flags = 0

    def __init__(self, machine: Machine, node: int, faceID: int, local: bool = False) -> None:
        self.machine = machine
        self.node = node
        self.id = faceID
        self.local = local
        self.up = True
        self.persistency: Persistency = "persistent"
        self.remoteURI = self.localURI = f"link://{node}/{faceID}"
        self.counters = FaceCounters()
        self.peer: LinkFace | None = None
        self.arriving: list[Packet] = []
        self.wanted: dict[tuple[bytes, bool, bool, bytes | None], float] = {}
        self.asked: list[InterestView] = []
        self.asking: tuple[bytes, bool, bool, bytes | None] | None = None

    # From its forwarder

    def sendInterest(self, view: InterestView, pitToken: bytes | None = None, incomingFace: int | None = None) -> None:
        node = self.machine.nodes[self.node]
        assert node.looped != (view.name, view.nonce), "a loop"
        # A probe has a Nonce of its own, and begins here.
        path = node.paths.setdefault((view.name, view.nonce), (self.node,))
        node.sent.add((view.name, view.nonce))
        assert view.hopLimit != 0 or self.local
        assert self.local or not view.name.startswith(b"\x08\x09localhost")
        if self.peer is not None:
            self.peer.arriving.append(Packet("interest", view, 0, path, self.machine.clock.seconds()))
        else:
            self.asked.append(view)

    def sendData(
        self, view: DataView, pitToken: bytes | None = None, congestionMark: int = 0, incomingFace: int | None = None
    ) -> None:
        now = self.machine.clock.seconds()
        answered = [key for key in self.wanted if self._answers(key, view) and pitToken in (None, key[3])]
        if incomingFace == CONTENT_STORE_FACE:
            # It answers the Interest that has come just now; what else it would answer waits on.
            answered = [key for key in answered if key == self.asking]
        assert answered, f"Data {view} that nobody has asked for"
        assert any(self.wanted[key] > now for key in answered), f"Data {view} after its time"
        assert view.wire == data(str(Name.fromValue(view.name)), freshness(view.name)).wire
        self.machine.nodes[self.node].answered(view)
        for key in answered:
            del self.wanted[key]
        if self.peer is not None:
            self.peer.arriving.append(Packet("data", view, 0, (), now))

    @staticmethod
    def _answers(key: tuple[bytes, bool, bool, bytes | None], view: DataView) -> bool:
        name, canBePrefix, _, _ = key
        return view.name == name or (canBePrefix and view.name.startswith(name))

    def sendNack(
        self, view: InterestView, reason: int, pitToken: bytes | None = None, incomingFace: int | None = None
    ) -> None:
        key = (view.name, view.canBePrefix, view.mustBeFresh, pitToken)
        # A second of the same name with a Nonce that looped may have been refused while the first waits.
        assert key in self.wanted or reason == 100, f"Nack for {view} that nobody has asked for"
        if reason != 100:
            del self.wanted[key]
        if self.peer is not None:
            self.peer.arriving.append(Packet("nack", view, reason, (), self.machine.clock.seconds()))

    def close(self) -> None:
        self.machine.nodes[self.node].forwarder.removeFace(self)

    # To its forwarder

    def ask(self, view: InterestView, token: bytes | None, path: tuple[int, ...]) -> None:
        node = self.machine.nodes[self.node]
        until = self.machine.clock.seconds() + view.lifetime / 1000
        key = (view.name, view.canBePrefix, view.mustBeFresh, token)
        self.wanted.setdefault(key, until)
        if node.paths.setdefault((view.name, view.nonce), (*path, self.node)) == (*path, self.node):
            self.wanted[key] = until
        elif (view.name, view.nonce) in node.sent:
            node.looped = view.name, view.nonce
        self.asking = key
        node.forwarder.receiveInterest(self, view, token)
        self.asking = node.looped = None

    def deliver(self, index: int) -> None:
        packet = self.arriving.pop(index % len(self.arriving))
        forwarder = self.machine.nodes[self.node].forwarder
        if self.machine.clock.seconds() - packet.sent > OLD:
            return
        if packet.what == "interest":
            self.ask(packet.view, None, packet.path)
        elif packet.what == "data":
            self.machine.nodes[self.node].receiveData(self, packet.view)
        else:
            forwarder.receiveNack(self, packet.reason, packet.view)
