"""
The link service of a face (NDNLPv2): what is said about packets between two neighbours, fragments, reliability.

A packet about which there is nothing to say crosses bare, and the face does not come here for it.
"""

from __future__ import annotations

from random import randrange
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from hermes.ndn.face.reassembly import SEQUENCES, Reassembler, cut
from hermes.ndn.face.reliability import ACK_SIZE, Reliability, Sending
from hermes.ndn.interfaces import IFaceReceiver
from hermes.ndn.packet.errors import PacketError
from hermes.ndn.packet.lp import LpPacket, decode, encode
from hermes.ndn.packet.peek import InterestView, marked, peekData, peekInterest
from hermes.ndn.packet.typenumbers import DATA, INTEREST

if TYPE_CHECKING:
    from hermes.ndn.face.face import Face

LOCAL_FIELDS: Final = 1
RELIABILITY: Final = 2
CONGESTION_MARKING: Final = 4
"""
NFD's face flags.
"""

LEAST_MTU: Final = 128
"""
A link that carries less in one piece, in bytes, carries nothing: a fragment's header takes up to half of that.
"""

OVERHEAD: Final = 8 + 10 + 8
"""
Bytes that a fragment has before its payload: the types and lengths of LpPacket and Fragment, Sequence, FragIndex and
FragCount.
"""

TX_SEQUENCE_SIZE: Final = 12


class LinkService:
    """
    What a face does beside passing packets on.

    @ivar reliability: L{None} before somebody wants it.
    """

    def __init__(
        self, face: Face, receiver: IFaceReceiver, clock: IReactorTime, firstSequence: int | None = None
    ) -> None:
        """
        @param firstSequence: the first Sequence and TxSequence; any, where nothing is said.
        """
        self.reliability: Reliability | None = None
        self._face = face
        self._receiver = receiver
        self._clock = clock
        self._sequence = randrange(SEQUENCES) if firstSequence is None else firstSequence
        self._reassembler: Reassembler | None = None
        self._timer: IDelayedCall | None = None
        self._wakesAt = 0.0

    # Sending

    def send(self, packet: bytes, fields: dict[str, Any], view: InterestView | None = None) -> None:
        """
        Send a network packet.

        @param fields: what is said about it: arguments for L{encode}.
        @param view: the Interest that it is, where it is one.
        """
        face = self._face
        mtu = face.mtu
        reliable = bool(face.flags & RELIABILITY)
        if not reliable and len(packet) <= mtu:
            whole = encode(packet, **fields)
            # With what is said about it, it may not fit any more.
            if len(whole) <= mtu:
                face.put(whole)
                return
        said = len(encode(b"\0", **fields)) if fields else 0
        room = mtu - OVERHEAD - said - (TX_SEQUENCE_SIZE if reliable else 0)
        pieces = [packet] if len(packet) <= room else cut(packet, room)
        sending = Sending(view)
        for index, piece in enumerate(pieces):
            each: dict[str, Any] = {"sequence": self._sequence, "fragIndex": index, "fragCount": len(pieces)}
            # What is said about the packet is said once.
            if index == 0:
                each |= fields
            self._sequence = (self._sequence + 1) % SEQUENCES
            if reliable:
                reliability = self._reliably()
                face.put(reliability.send(piece, each, sending, self._clock.seconds(), room - len(piece)))
            else:
                face.put(encode(piece, **each))
        if reliable:
            self._lookAtReliability()

    def _reliably(self) -> Reliability:
        if self.reliability is None:
            self.reliability = Reliability(self._sequence)
        return self.reliability

    # Receiving

    def receive(self, wire: bytes, source: object = None) -> None:
        """
        Take an LpPacket from the link.

        @param source: who sent it, on a link that several send to.
        @raise PacketError: where it is malformed, or says what it may not.
        """
        packet = decode(wire)
        if (packet.acks or packet.txSequence is not None) and not self._acknowledge(packet):
            self._face.counters.duplicatePackets += 1
            return
        fragment = packet.fragment
        if fragment is None:
            return
        if packet.fragCount > 1:
            reassembler = self._reassembler
            if reassembler is None:
                reassembler = self._reassembler = Reassembler()
            whole = reassembler.receive(packet, self._clock.seconds(), source)
            self._face.counters.fragmentsDropped = reassembler.dropped
            if whole is None:
                self._wake(self._clock.seconds() + 1.0)
                return
            fragment, packet = whole
        self._deliver(fragment, packet)

    def _deliver(self, fragment: bytes, packet: LpPacket) -> None:
        face = self._face
        counters = face.counters
        isLocal = face.flags & LOCAL_FIELDS
        nextHop = packet.nextHopFace
        if nextHop is not None and not isLocal:
            raise PacketError("NextHopFaceId comes from a face that may not choose")
        kind = fragment[0] if fragment else 0
        if kind == INTEREST:
            view = peekInterest(fragment)
            if packet.nackReason is not None:
                counters.inNacks += 1
                self._receiver.receiveNack(face, packet.nackReason, view, packet.pitToken)
                return
            counters.inInterests += 1
            mark = packet.congestionMark
            self._receiver.receiveInterest(face, marked(view, mark), packet.pitToken, nextHop, mark)
        elif kind == DATA:
            if packet.nackReason is not None or nextHop is not None:
                raise PacketError("Data with a field that only an Interest has")
            data = peekData(fragment)
            counters.inData += 1
            policy = packet.cachePolicy if isLocal else None
            self._receiver.receiveData(face, data, packet.pitToken, packet.congestionMark, policy)
        else:
            raise PacketError("an LpPacket holds neither Interest nor Data")

    # Reliability

    def _acknowledge(self, packet: LpPacket) -> bool:
        """
        @return: whether the packet is new.
        """
        now = self._clock.seconds()
        reliability = self._reliably()
        isNew = True
        if packet.txSequence is not None:
            face = self._face
            if not face.flags & RELIABILITY and face.persistency == "on-demand":
                # Whoever has opened the link says how it is used.
                face.flags |= RELIABILITY
            isNew = reliability.received(packet.txSequence, packet.sequence, now)
        if packet.acks:
            self._again(reliability.acknowledged(packet.acks, now))
        self._lookAtReliability()
        return isNew

    def _again(self, packets: list[bytes]) -> None:
        counters = self._face.counters
        counters.retransmittedPackets += len(packets)
        for packet in packets:
            self._face.put(packet)
        reliability = self._reliably()
        lost, reliability.lost = reliability.lost, []
        counters.lostPackets += len(lost)
        for view in lost:
            if view is not None:
                self._receiver.interestLost(self._face, view)

    def _lookAtReliability(self) -> None:
        if self.reliability is not None:
            due = self.reliability.nextEvent()
            if due is not None:
                self._wake(due)

    def _wake(self, due: float) -> None:
        """
        Look at what is overdue at C{due}, or before.
        """
        if self._timer is not None:
            if self._wakesAt <= due:
                return
            self._timer.cancel()
        self._wakesAt = due
        self._timer = self._clock.callLater(max(0.0, due - self._clock.seconds()), self._look)

    def _look(self) -> None:
        self._timer = None
        now = self._clock.seconds()
        reliability = self.reliability
        if reliability is not None:
            self._again(reliability.expire(now))
            while reliability.ackIsDue(now):
                room = max(self._face.mtu - 8, ACK_SIZE)
                self._face.put(encode(None, acks=reliability.takeAcks(room)))
        if self._reassembler is not None and self._reassembler:
            self._reassembler.expire(now)
            self._face.counters.fragmentsDropped = self._reassembler.dropped
            if self._reassembler:
                self._wake(now + 1.0)
        self._lookAtReliability()

    def reset(self) -> None:
        """
        The link is another now, or none: nothing of the old one comes any more, nor is anything sent again.
        """
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._reassembler is not None:
            self._reassembler.clear()
            self._face.counters.fragmentsDropped = self._reassembler.dropped
        self.reliability = None
