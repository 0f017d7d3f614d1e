"""
Tests for L{hermes.ndn.face.reassembly}.
"""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.ndn.face.reassembly import (
    FRAGMENT_COST,
    MAX_AGE,
    MAX_FRAGMENTS,
    SEQUENCES,
    Reassembler,
    cut,
)
from hermes.ndn.packet.errors import PacketError
from hermes.ndn.packet.lp import LpPacket, decode, encode


def fragments(packet: bytes, room: int, first: int = 100, **fields: object) -> list[LpPacket]:
    """
    The fragments of a packet, as they come from a link.
    """
    pieces = cut(packet, room)
    return [
        decode(encode(piece, (first + index) % SEQUENCES, index, len(pieces), **(fields if not index else {})))  # type: ignore[arg-type]
        for index, piece in enumerate(pieces)
    ]


PACKET = bytes(range(256)) * 34


class ReassemblerTests(SynchronousTestCase):
    """
    Fragments become packets, in whatever order they come.
    """

    def setUp(self) -> None:
        self.reassembler = Reassembler()

    def feed(self, packets: list[LpPacket], now: float = 0.0, source: object = None) -> list[bytes]:
        """
        The packets that become whole.
        """
        found = [self.reassembler.receive(packet, now, source) for packet in packets]
        return [whole[0] for whole in found if whole is not None]

    def test_inOrder(self) -> None:
        self.assertEqual(self.feed(fragments(PACKET, 1400)), [PACKET])
        self.assertEqual((len(self.reassembler), self.reassembler.heldBytes, self.reassembler.dropped), (0, 0, 0))

    def test_outOfOrder(self) -> None:
        pieces = fragments(PACKET, 1400)
        self.assertEqual(len(pieces), 7)
        for seed in range(20):
            Random(seed).shuffle(pieces)
            self.assertEqual(self.feed(pieces), [PACKET])

    def test_duplicatesAreIgnored(self) -> None:
        pieces = fragments(PACKET, 1400)
        self.assertEqual(self.feed([piece for piece in pieces[:-1] for _ in "ab"] + pieces[-1:]), [PACKET])
        self.assertEqual(self.reassembler.heldBytes, 0)

    def test_packetsMayBeMixed(self) -> None:
        one, two = fragments(b"one" * 500, 400, 0), fragments(b"two" * 500, 400, 50)
        mixed = [piece for pair in zip(one, two, strict=True) for piece in pair]
        self.assertEqual(self.feed(mixed), [b"one" * 500, b"two" * 500])

    def test_sequenceNumbersWrap(self) -> None:
        pieces = fragments(PACKET, 1400, SEQUENCES - 3)
        self.assertEqual(self.feed(pieces[::-1]), [PACKET])

    def test_whatIsSaidAboutThePacketIsInItsFirstFragment(self) -> None:
        pieces = fragments(PACKET, 1400, pitToken=b"token")
        whole = [self.reassembler.receive(piece, 0.0) for piece in pieces[::-1]][-1]
        assert whole is not None
        self.assertEqual(whole[1].pitToken, b"token")

    def test_sendersAreKeptApart(self) -> None:
        one, two = fragments(b"1" * 900, 300), fragments(b"2" * 900, 300)
        self.assertEqual(self.feed(one[:2], source="a") + self.feed(two, source="b"), [b"2" * 900])
        self.assertEqual(self.feed(one[2:], source="a"), [b"1" * 900])

    def test_whatIsIncompleteForTooLongIsGivenUp(self) -> None:
        pieces = fragments(PACKET, 1400)
        self.feed(pieces[:3], 10.0)
        self.reassembler.expire(10.0 + MAX_AGE - 0.01)
        self.assertEqual(len(self.reassembler), 1)
        self.assertEqual(self.feed(pieces[3:], 10.0 + MAX_AGE), [])
        self.assertEqual(self.reassembler.dropped, 3)
        self.assertEqual(len(self.reassembler), 1)

    def test_thePacketThatIsIncompleteLongestMakesRoom(self) -> None:
        self.reassembler = Reassembler(maxPartial=2)
        first, second, third = (fragments(bytes([kind]) * 900, 300, 1000 * kind) for kind in (1, 2, 3))
        self.feed(first[:2] + second[:2] + third[:2])
        self.assertEqual((len(self.reassembler), self.reassembler.dropped), (2, 2))
        self.assertEqual(self.feed(second[2:] + third[2:]), [b"\x02" * 900, b"\x03" * 900])

    def test_bytesAreBounded(self) -> None:
        self.reassembler = Reassembler(maxBytes=20_000)
        for number in range(100):
            self.feed(fragments(PACKET, 1400, 1000 * number)[:-1])
            self.assertLessEqual(self.reassembler.heldBytes, 20_000)
        self.assertGreater(self.reassembler.dropped, 500)

    def test_emptyFragmentsAreNotFree(self) -> None:
        self.reassembler = Reassembler(maxBytes=100 * FRAGMENT_COST)
        for number in range(1000):
            self.feed([decode(encode(b"", number * 10, 0, 400))])
        self.assertLess(len(self.reassembler), 100)
        self.assertLessEqual(self.reassembler.heldBytes, 100 * FRAGMENT_COST)

    def test_moreFragmentsThanAPacketMayHaveAreRefused(self) -> None:
        packet = decode(encode(b"x", 1, 0, MAX_FRAGMENTS + 1))
        with self.assertRaises(PacketError):
            self.reassembler.receive(packet, 0.0)
        self.assertEqual(len(self.reassembler), 0)

    def test_aPacketThatGrowsTooLargeIsRefused(self) -> None:
        pieces = fragments(bytes(9000), 1000)
        with self.assertRaises(PacketError):
            self.feed(pieces)
        self.assertEqual((len(self.reassembler), self.reassembler.heldBytes), (0, 0))

    def test_fragmentsThatDisagreeAreRefused(self) -> None:
        self.feed(fragments(PACKET, 1400)[:2])
        with self.assertRaises(PacketError):
            self.feed([decode(encode(b"x", 102, 2, 8))])
        self.assertEqual((len(self.reassembler), self.reassembler.heldBytes), (0, 0))

    @given(st.binary(min_size=1, max_size=3000), st.integers(8, 1500), st.randoms(use_true_random=False))
    def test_anyPacketAnyOrder(self, packet: bytes, room: int, random: Random) -> None:
        pieces = fragments(packet, room)
        if len(pieces) == 1:
            return
        pieces += random.choices(pieces, k=3)
        random.shuffle(pieces)
        reassembler = Reassembler()
        found = [reassembler.receive(piece, 0.0) for piece in pieces]
        self.assertEqual([whole[0] for whole in found if whole is not None][:1], [packet])
