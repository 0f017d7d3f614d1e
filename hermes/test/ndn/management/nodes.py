"""
Forwarders with management, in memory: applications at them, and links between them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.task import Clock
from zope.interface import implementer

from hermes.ndn.face.counters import FaceCounters
from hermes.ndn.face.table import FaceTable
from hermes.ndn.forwarder.forwarder import Forwarder
from hermes.ndn.interfaces import INDNFace, LinkType, Persistency
from hermes.ndn.management.control import ControlParameters, ControlResponse
from hermes.ndn.management.management import Management, Trust
from hermes.ndn.management.prefixes.propagation import Propagation
from hermes.ndn.packet.component import generic, segment
from hermes.ndn.packet.component import number as numberOf
from hermes.ndn.packet.data import Data, decodeData, encodeData
from hermes.ndn.packet.interest import decodeInterest, encodeInterest
from hermes.ndn.packet.metainfo import MetaInfo
from hermes.ndn.packet.name import Name
from hermes.ndn.packet.peek import DataView, InterestView, peekData, peekInterest
from hermes.ndn.packet.signatureinfo import Signer
from hermes.ndn.security.signedinterest import InterestSigner
from hermes.ndn.security.signers import DigestSigner

TIME = 1_700_000_000.0
"""
When the tests' clocks begin, in seconds since 1970.
"""


@implementer(INDNFace)
class PlainFace:
    """
    A face whose far side is a test.
    """

    def __init__(self, node: Node, local: bool = True, uri: str = "fd://7", up: bool = True) -> None:
        self.id = 0
        self.local = local
        self.linkType: LinkType = "point-to-point"
        self.persistency: Persistency = "on-demand" if local else "persistent"
        self.remoteURI = uri
        self.localURI = "unix:///run/ndn.sock" if local else "udp4://192.0.2.9:6363"
        self.mtu = 8800
        self.counters = FaceCounters()
        self.up = up
        self.flags = 0
        self.expires: float | None = None
        self.node = node
        self.interests: list[InterestView] = []
        self.data: list[DataView] = []
        self.nacks: list[tuple[InterestView, int]] = []

    def sendInterest(self, view: InterestView, pitToken: bytes | None = None, incomingFace: int | None = None) -> None:
        self.counters.outInterests += 1
        self.interests.append(view)

    def sendData(
        self, view: DataView, pitToken: bytes | None = None, congestionMark: int = 0, incomingFace: int | None = None
    ) -> None:
        self.counters.outData += 1
        self.data.append(view)

    def sendNack(
        self, view: InterestView, reason: int, pitToken: bytes | None = None, incomingFace: int | None = None
    ) -> None:
        self.counters.outNacks += 1
        self.nacks.append((view, reason))

    def close(self) -> None:
        self.node.faces.remove(self)


class App(PlainFace):
    """
    A program at a node.
    """

    def __init__(self, node: Node, signer: Signer | None = None) -> None:
        super().__init__(node)
        self.signer = InterestSigner(DigestSigner() if signer is None else signer, node.now, os.urandom)
        self.content: dict[bytes, bytes] = {}
        node.faces.add(self)

    def sendInterest(self, view: InterestView, pitToken: bytes | None = None, incomingFace: int | None = None) -> None:
        super().sendInterest(view, pitToken, incomingFace)
        content = self.content.get(view.name)
        if content is not None:
            answer = peekData(encodeData(Name.fromValue(view.name), content, DigestSigner()))
            self.node.clock.callLater(0, self.node.forwarder.receiveData, self, answer)

    def ask(self, wire: bytes) -> Data | int | None:
        """
        Send an Interest and see what comes back at once: Data, the reason of a Nack, or nothing.
        """
        self.data.clear()
        self.nacks.clear()
        self.node.forwarder.receiveInterest(self, peekInterest(wire))
        self.node.clock.pump([0] * 50)
        if self.data:
            return decodeData(self.data[0].wire)
        return self.nacks[0][1] if self.nacks else None

    def get(self, name: str, **options: Any) -> Data | int | None:
        """
        Ask for something.
        """
        return self.ask(encodeInterest(Name.fromText(name), nonce=self.nonce(), **options))

    def nonce(self) -> int:
        """
        Another one each time.
        """
        return int.from_bytes(os.urandom(4), "big")

    def commandWire(self, verb: str, prefix: str = "/localhost/nfd", **parameters: Any) -> bytes:
        """
        A command, as it is sent.

        @param verb: with its module, C{rib/register}.
        """
        argument = ControlParameters(**parameters).encode()
        name = Name.fromText(f"{prefix}/{verb}") + generic(argument)
        return self.signer.encode(name, nonce=self.nonce(), mustBeFresh=True)

    def command(self, verb: str, prefix: str = "/localhost/nfd", **parameters: Any) -> ControlResponse:
        """
        Give a command.
        """
        data = self.ask(self.commandWire(verb, prefix, **parameters))
        assert isinstance(data, Data), data
        return ControlResponse.decode(data.content)

    def dataset(self, name: str, argument: bytes | None = None) -> bytes:
        """
        Fetch all of a dataset.
        """
        whole = Name.fromText(f"/localhost/nfd/{name}")
        if argument is not None:
            whole += generic(argument)
        data = self.ask(encodeInterest(whole, canBePrefix=True, mustBeFresh=True, nonce=self.nonce()))
        assert isinstance(data, Data), data
        content = bytes(data.content)
        final = data.metaInfo.finalBlock
        assert final is not None
        for index in range(1, numberOf(final) + 1):
            more = self.ask(encodeInterest(data.name[:-1] + segment(index), nonce=self.nonce()))
            assert isinstance(more, Data), more
            content += more.content
        return content

    def serve(self, name: str, content: bytes = b"", metaInfo: MetaInfo | None = None) -> None:
        """
        Have an answer for an Interest.
        """
        self.content[Name.fromText(name).value] = content

    def asked(self) -> list[str]:
        """
        The names that it was asked for, without what is the forwarder's.
        """
        return [str(decodeInterest(view).name) for view in self.interests]


class WireFace(PlainFace):
    """
    One end of a link between nodes.

    @ivar far: the other end.
    @ivar broken: whether what is sent gets lost.
    @ivar lose: says of a packet whether it gets lost.
    @ivar cost: of the link.
    """

    far: WireFace
    cost: int | None

    def __init__(self, node: Node, uri: str) -> None:
        super().__init__(node, local=False, uri=uri)
        self.broken = False
        self.lose: Callable[[bytes], bool] = lambda wire: False
        self.delay = 0.01

    def sendInterest(self, view: InterestView, pitToken: bytes | None = None, incomingFace: int | None = None) -> None:
        super().sendInterest(view, pitToken, incomingFace)
        self._carry(view.wire, lambda far: far.node.forwarder.receiveInterest(far, peekInterest(view.wire)))

    def sendData(
        self, view: DataView, pitToken: bytes | None = None, congestionMark: int = 0, incomingFace: int | None = None
    ) -> None:
        super().sendData(view, pitToken, congestionMark, incomingFace)
        self._carry(view.wire, lambda far: far.node.forwarder.receiveData(far, peekData(view.wire)))

    def sendNack(
        self, view: InterestView, reason: int, pitToken: bytes | None = None, incomingFace: int | None = None
    ) -> None:
        super().sendNack(view, reason, pitToken, incomingFace)
        self._carry(view.wire, lambda far: far.node.forwarder.receiveNack(far, reason, peekInterest(view.wire)))

    def _carry(self, wire: bytes, deliver: Callable[[WireFace], None]) -> None:
        if not self.up or self.broken or self.lose(wire):
            return

        def arrive() -> None:
            if self.far.up and not self.broken:
                deliver(self.far)

        self.node.clock.callLater(self.delay, arrive)


class Node:
    """
    A forwarder with management.

    @ivar links: its ends of links to neighbours, by their names.
    """

    propagation: Propagation

    def __init__(self, name: str = "node", clock: Clock | None = None, trust: Trust | None = None) -> None:
        self.links: dict[str, WireFace] = {}
        self.name = name
        self.clock = Clock() if clock is None else clock
        self.faces = FaceTable(self.clock)
        self.forwarder = Forwarder(self.clock)
        self.faces.receiver = self.forwarder
        self.faces.addObserver(self.forwarder)
        self.management = Management(self.clock, self.forwarder, self.faces, trust, now=self.now)
        self.management.start()

    def propagate(self, **options: Any) -> Node:
        """
        Tell the neighbours at all links of prefixes, and hear of theirs.
        """
        self.propagation = Propagation(
            self.clock, self.management, self.faces, self.name, lambda face: getattr(face, "cost", None), **options
        )
        self.propagation.start()
        return self

    def now(self) -> float:
        """
        Seconds since 1970.
        """
        return TIME + self.clock.seconds()

    def fib(self) -> dict[str, dict[int, int]]:
        """
        The FIB, as cost by face by prefix, without what is the forwarder's own.
        """
        return {
            str(Name.fromValue(entry.prefix)): {hop.port.id: hop.cost for hop in entry.hops}
            for entry in self.forwarder.fib
            if not entry.prefix.startswith(Name.fromText("/localhost").value)
            and not entry.prefix.startswith(Name.fromText("/localhop").value)
        }

    def stop(self) -> None:
        """
        End it.
        """
        if hasattr(self, "propagation"):
            self.propagation.stop()
        self.management.stop()
        self.forwarder.stop()


def link(one: Node, other: Node, cost: int | None = 1) -> tuple[WireFace, WireFace]:
    """
    Join two nodes that have the same clock.

    @param cost: of the link; L{None}: they are no neighbours that tell each other of prefixes.
    """
    here, there = WireFace(one, f"udp4://{other.name}:6363"), WireFace(other, f"udp4://{one.name}:6363")
    here.far, there.far = there, here
    here.cost = there.cost = cost
    one.links[other.name], other.links[one.name] = here, there
    one.faces.add(here)
    other.faces.add(there)
    return here, there


def setLinkUp(ends: Sequence[WireFace], up: bool) -> None:
    """
    A link goes or comes, and both ends notice.
    """
    for end in ends:
        end.up = up
    for end in ends:
        end.node.faces._tell("faceUp" if up else "faceDown", end)
