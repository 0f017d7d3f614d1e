"""
What a hostile or broken peer sends: it is counted, nothing is raised, and what is good is taken.
"""

from __future__ import annotations

from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hermes.ndn.face.face import Face
from hermes.ndn.face.link import CONGESTION_MARKING, LOCAL_FIELDS, RELIABILITY
from hermes.ndn.face.reassembly import MAX_PARTIAL_BYTES
from hermes.ndn.face.reliability import MAX_WAITING
from hermes.ndn.face.streamchannel import StreamChannel
from hermes.ndn.face.turn import Turn
from hermes.ndn.packet.lp import encode
from hermes.test.fabric.fakes import FakeStream
from hermes.test.ndn.face.fakes import FakeReceiver, Wire, data, dataOf, interest

GOOD = [
    interest().wire,
    data().wire,
    dataOf(1500).wire,
    encode(interest().wire, pitToken=b"token", congestionMark=1, nextHopFace=300),
    encode(interest().wire, nackReason=150),
    encode(data().wire, cachePolicy=1, incomingFace=5),
    encode(dataOf(1500).wire[:700], sequence=9, fragIndex=0, fragCount=3),
    encode(dataOf(1500).wire[700:1400], sequence=10, fragIndex=1, fragCount=3),
    encode(data().wire, sequence=40, txSequence=41, acks=(1, 2, 3)),
    encode(None, acks=(7, 8)),
]

mutations = st.lists(st.tuples(st.integers(0, 1600), st.integers(0, 255)), min_size=1, max_size=4)

anything = st.lists(st.one_of(st.binary(max_size=200), st.tuples(st.sampled_from(GOOD), mutations)), max_size=20)


def mutated(packet: bytes, changes: list[tuple[int, int]]) -> bytes:
    """
    A packet with some bytes changed, and cut at the first of them now and then.
    """
    changed = bytearray(packet)
    for place, value in changes:
        changed[place % len(changed)] = value
    return bytes(changed[: changes[0][0] % len(changed)] if changes[0][1] % 5 == 0 else changed)


class HostileTests(SynchronousTestCase):
    """
    Faces that are sent anything.
    """

    def face(self, channel: Any, flags: int) -> tuple[Face, FakeReceiver, Clock]:
        """
        A face of its own.
        """
        clock, receiver = Clock(), FakeReceiver()
        face = Face(channel, mtu=1400, flags=flags)
        face.start(receiver, clock, Turn(clock))
        return face, receiver, clock

    flags = st.sampled_from([0, CONGESTION_MARKING, LOCAL_FIELDS, RELIABILITY | LOCAL_FIELDS])

    @given(flags, anything)
    @settings(deadline=None)
    def test_datagrams(self, flags: int, sent: list[Any]) -> None:
        wire = Wire()
        face, receiver, clock = self.face(wire, flags)
        for each in sent:
            wire.deliver(each if isinstance(each, bytes) else mutated(*each))
        self.assertTrue(face.up)
        wire.deliver(interest("/last").wire)
        self.assertEqual(receiver.packets[-1][:3], ("interest", face, interest("/last").wire))
        self.assertLessEqual(face.counters.malformedPackets, len(sent))
        clock.advance(10)
        clock.advance(10)
        face.close()
        self.assertEqual(clock.getDelayedCalls(), [])

    @given(anything)
    @settings(deadline=None)
    def test_streams(self, sent: list[Any]) -> None:
        clock = Clock()
        stream = FakeStream(clock)
        face, receiver, _ = self.face(StreamChannel(stream), 0)
        for each in sent:
            if stream.reading and not stream.calls:
                stream.deliver(each if isinstance(each, bytes) else mutated(*each))
        clock.advance(0)
        # It goes on, or it has ended; nothing in between.
        self.assertEqual(face.up, stream.lost is None)
        for packet in receiver.packets:
            self.assertIn(packet[2][0], (5, 6))

    def test_mutatedPacketsByTheThousand(self) -> None:
        random = Random(7)
        wire = Wire()
        face, receiver, clock = self.face(wire, RELIABILITY | LOCAL_FIELDS)
        for _ in range(20_000):
            changes = [(random.randrange(1600), random.randrange(256)) for _ in range(random.randrange(1, 4))]
            wire.deliver(mutated(random.choice(GOOD), changes))
            clock.advance(0.001)
        counters = face.counters
        self.assertGreater(counters.malformedPackets, 5000)
        self.assertEqual(counters.inInterests + counters.inData + counters.inNacks, len(receiver.packets))
        face.close()

    def test_aFloodOfFragmentsAndAcknowledgementsIsBounded(self) -> None:
        random = Random(8)
        wire = Wire()
        face, _, _ = self.face(wire, RELIABILITY)
        for number in range(20_000):
            wire.deliver(
                encode(
                    bytes(500),
                    sequence=random.getrandbits(64),
                    fragIndex=number % 400,
                    fragCount=400,
                    txSequence=random.getrandbits(64),
                    acks=[random.getrandbits(64) for _ in range(5)],
                )
            )
        link = face._link
        assert link._reassembler is not None and link.reliability is not None
        self.assertLessEqual(link._reassembler.heldBytes, MAX_PARTIAL_BYTES)
        self.assertLessEqual(len(link.reliability._acks), MAX_WAITING)
        self.assertLessEqual(len(link.reliability._seen), MAX_WAITING)
        face.close()
