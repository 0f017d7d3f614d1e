"""
What faces feed, and what they travel over, in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from attrs import define, field
from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from hermes.interfaces import IDatagramChannel, IDatagramReceiver
from hermes.ndn.interfaces import IFaceObserver, IFaceReceiver, INDNFace
from hermes.ndn.packet.data import encodeData
from hermes.ndn.packet.interest import encodeInterest
from hermes.ndn.packet.name import Name
from hermes.ndn.packet.peek import DataView, InterestView, peekData, peekInterest
from hermes.ndn.security.signers import DigestSigner
from hermes.values import Buffer


def interest(name: str = "/a/b", nonce: int = 7, **fields: Any) -> InterestView:
    """
    An Interest.
    """
    return peekInterest(encodeInterest(Name.fromText(name), nonce=nonce, **fields))


def data(name: str = "/a/b", content: bytes = b"content") -> DataView:
    """
    Data.
    """
    return peekData(encodeData(Name.fromText(name), content, DigestSigner()))


def dataOf(size: int, name: str = "/a/b") -> DataView:
    """
    Data of so many bytes in all.
    """
    content = size - 200
    content += size - len(data(name, bytes(content)).wire)
    found = data(name, bytes(index * 31 % 256 for index in range(content)))
    if len(found.wire) != size:
        raise ValueError(f"no Data has {size} bytes")
    return found


@implementer(IFaceReceiver)
@define(eq=False)
class FakeReceiver:
    """
    Keeps what it is fed.

    @ivar packets: kind, face, wire, and what was said about the packet, each.
    @ivar answer: is called with face and view of each Interest.
    """

    packets: list[tuple[Any, ...]] = field(factory=list)
    lost: list[InterestView] = field(factory=list)
    answer: Callable[[Any, InterestView], None] | None = None

    def receiveInterest(
        self,
        face: INDNFace,
        view: InterestView,
        pitToken: bytes | None = None,
        nextHop: int | None = None,
        congestionMark: int = 0,
    ) -> None:
        self.packets.append(("interest", face, view.wire, pitToken, nextHop, congestionMark))
        if self.answer is not None:
            self.answer(face, view)

    def receiveData(
        self,
        face: INDNFace,
        view: DataView,
        pitToken: bytes | None = None,
        congestionMark: int = 0,
        cachePolicy: int | None = None,
    ) -> None:
        self.packets.append(("data", face, view.wire, pitToken, congestionMark, cachePolicy))

    def receiveNack(self, face: INDNFace, reason: int, view: InterestView, pitToken: bytes | None = None) -> None:
        self.packets.append(("nack", face, view.wire, reason, pitToken))

    def interestLost(self, face: INDNFace, view: InterestView) -> None:
        self.lost.append(view)

    def wires(self) -> list[bytes]:
        """
        The packets themselves.
        """
        return [packet[2] for packet in self.packets]


@implementer(IFaceObserver)
@define(eq=False)
class FakeObserver:
    """
    Keeps what it hears: event and face ID.
    """

    events: list[tuple[str, int]] = field(factory=list)

    def faceCreated(self, face: INDNFace) -> None:
        self.events.append(("created", face.id))

    def faceUp(self, face: INDNFace) -> None:
        self.events.append(("up", face.id))

    def faceDown(self, face: INDNFace) -> None:
        self.events.append(("down", face.id))

    def faceDestroyed(self, face: INDNFace) -> None:
        self.events.append(("destroyed", face.id))


@implementer(IDatagramChannel)
class Wire:
    """
    One end of a link in memory that a test moves datagrams over, as it likes.

    @ivar sent: what was written and is not moved yet.
    """

    droppedDatagrams = 0

    def __init__(self, maxDatagramSize: int = 65_507) -> None:
        self.maxDatagramSize = maxDatagramSize
        self.sent: list[bytes] = []
        self.bufferedBytes = 0
        self.receiver: Any = None
        self.calls: list[str] = []
        self.peer: Wire | None = None

    def setReceiver(self, receiver: IDatagramReceiver) -> None:
        self.receiver = receiver
        receiver.channelConnected(self)

    def write(self, datagrams: Sequence[Buffer]) -> None:
        self.sent += map(bytes, datagrams)

    def take(self) -> list[bytes]:
        """
        What was written since the last time.
        """
        sent, self.sent = self.sent, []
        return sent

    def deliver(self, *datagrams: bytes) -> None:
        """
        The other end sent these, lent.
        """
        lent = [bytearray(datagram) for datagram in datagrams]
        self.receiver.datagramsReceived([memoryview(buffer) for buffer in lent])
        for buffer in lent:
            buffer[:] = b"!" * len(buffer)

    def loseChannel(self) -> None:
        self.calls.append("loseChannel")
        self.lose(ConnectionDone())

    def abortChannel(self) -> None:
        self.calls.append("abortChannel")
        self.lose(ConnectionDone())

    def lose(self, error: Exception) -> None:
        """
        The link has ended.
        """
        receiver, self.receiver = self.receiver, None
        if receiver is not None:
            receiver.channelLost(Failure(error))
