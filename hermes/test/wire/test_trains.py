"""
L{hermes.wire.trains}.
"""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import IPv6, IPv6ExtHdrDestOpt
from scapy.packet import Raw
from twisted.trial.unittest import SynchronousTestCase

from hermes.wire.buffers import Buffer
from hermes.wire.checksum import pseudoSum
from hermes.wire.offload import GSO_UDP_L4, HEAD_SIZE, PLAIN, checkOffload, complete, segment, wireSize
from hermes.wire.trains import MAX_LENGTH, couple


def partial(packet: Any) -> bytearray:
    """
    A packet of TCP or UDP as a kernel hands it over whose checksum is still to be completed.
    """
    data = bytearray(bytes(packet))
    start = 20 if data[0] >> 4 == 4 else 40
    protocol, field = (17, 6) if UDP in packet else (6, 16)
    addresses = bytes(data[12:20] if start == 20 else data[8:40])
    half = len(addresses) // 2
    total = pseudoSum(addresses[:half], addresses[half:], protocol, len(data) - start) % 65535 or 65535
    data[start + field : start + field + 2] = total.to_bytes(2, "big")
    return bytearray((1, 0, 0, 0, 0, 0, start, 0, field, 0)) + data


def datagram(payload: bytes, version: int = 4, port: int = 5, **fields: Any) -> Any:
    """
    One, as scapy makes it.
    """
    udp = UDP(sport=7, dport=port) / Raw(payload)
    if version == 6:
        return IPv6(**{"src": "fd77::1", "dst": "fd01::2", **fields}) / udp
    return IP(**{"src": "10.77.0.10", "dst": "10.1.0.2", "flags": "DF", **fields}) / udp


def singly(frames: list[Any]) -> list[bytes]:
    """
    The packets of frames as they go over a wire, IPv4 ones without identification.
    """
    return [_anonymous(bytes(part)[HEAD_SIZE:]) for frame in frames for part in segment(frame)]


def _anonymous(packet: bytes) -> bytes:
    parsed = IP(packet) if packet[0] >> 4 == 4 else IPv6(packet)
    if IP in parsed:
        # The sum that scapy makes must be the one that was there.
        found = parsed.chksum
        del parsed.chksum
        again = IP(bytes(parsed))
        assert again.chksum == found, (again.chksum, found)
        parsed.id = 0
        del parsed.chksum
    return bytes(parsed)


class CoupleTests(SynchronousTestCase):
    def couples(self, packets: list[Any], sizes: list[int]) -> list[Buffer]:
        """
        Couple packets.

        @param sizes: of the frames that must come of it.
        """
        coupled = list(couple([memoryview(partial(packet)) for packet in packets]))
        self.assertEqual([len(frame) for frame in coupled], sizes)
        self.assertEqual(singly(coupled), [_anonymous(bytes(packet)) for packet in packets])
        return coupled

    def test_datagramsOfOneFlowAndSizeBecomeATrain(self) -> None:
        packets = [datagram(bytes([number] * 100), id=number) for number in range(10)]
        train = self.couples(packets, [HEAD_SIZE + 28 + 1000])[0]
        checkOffload(train)
        self.assertEqual((train[1], wireSize(train)), (GSO_UDP_L4, 128))

    def test_soDoThoseOfIPv6(self) -> None:
        packets = [datagram(bytes([number] * 99), 6, tc=3, fl=7) for number in range(10)]
        train = self.couples(packets, [HEAD_SIZE + 48 + 990])[0]
        checkOffload(train)
        self.assertEqual((train[1], wireSize(train)), (GSO_UDP_L4, 147))

    def test_aTrainCanBeWrittenTo(self) -> None:
        (train,) = self.couples([datagram(b"x" * 9)] * 5, [HEAD_SIZE + 28 + 45])
        self.assertFalse(memoryview(train).readonly)

    def test_aFlowStaysInOrder(self) -> None:
        small, large = [datagram(b"1" * 50)] * 4, [datagram(b"2" * 60)] * 3
        trainOfSmall, trainOfLarge = HEAD_SIZE + 28 + 200, HEAD_SIZE + 28 + 180
        self.couples([*small, *large], [trainOfSmall, trainOfLarge])
        self.couples([*small, large[0], *small], [trainOfSmall, HEAD_SIZE + 88, trainOfSmall])
        self.couples([small[0], large[0]] * 3, [HEAD_SIZE + 78, HEAD_SIZE + 88] * 3)

    def test_flowsAreToldApart(self) -> None:
        flows = [datagram(b"1" * 50, port=1), datagram(b"2" * 50, port=2), datagram(b"3" * 50, 6)]
        frames = [memoryview(partial(packet)) for packet in flows * 4]
        coupled = couple(frames)
        self.assertEqual([len(frame) for frame in coupled], [HEAD_SIZE + 228, HEAD_SIZE + 228, HEAD_SIZE + 248])
        self.assertEqual(singly(list(coupled)), [_anonymous(bytes(packet)) for packet in flows for _ in range(4)])

    def test_oneIsLeftAlone(self) -> None:
        frames = [partial(datagram(b"x" * 50))]
        self.assertIs(couple(frames), frames)
        frames.append(partial(datagram(b"x" * 50, port=9)))
        self.assertIs(couple(frames), frames)

    def test_noTrainIsLongerThanAPacketOrOfMoreThanTheKernelCuts(self) -> None:
        frames = [partial(datagram(bytes(1372)))] * 100
        coupled = couple(frames)
        self.assertEqual(len(coupled), 3)
        for train in coupled:
            self.assertLessEqual(len(train) - HEAD_SIZE, MAX_LENGTH)
            checkOffload(train)
        coupled = couple([partial(datagram(b"x"))] * 300)
        self.assertEqual([len(train) - HEAD_SIZE - 28 for train in coupled], [128, 128, 44])
        # One that is left over has no company.
        frames = [partial(datagram(b"x"))] * 129
        self.assertIs(couple(frames)[1], frames[128])
        huge = [partial(datagram(bytes(40000)))] * 4
        self.assertEqual([len(frame) for frame in couple(huge)], [40038] * 4)

    def test_whatDiffersIsNotCoupled(self) -> None:
        def differs(version: int = 4, **fields: Any) -> None:
            one, other = datagram(b"x" * 50, version), datagram(b"x" * 50, version, **fields)
            train = HEAD_SIZE + (28 if version == 4 else 48) + 150
            coupled = couple([memoryview(partial(packet)) for packet in [one, other] * 3])
            self.assertNotIn(train + 150, [len(frame) for frame in coupled])
            expected = sorted([_anonymous(bytes(packet)) for packet in [one, other] * 3])
            self.assertEqual(sorted(singly(list(coupled))), expected)

        differs(port=6)
        differs(src="10.77.0.11")
        differs(dst="10.1.0.3")
        differs(ttl=3)
        differs(tos=4)
        differs(6, port=6)
        differs(6, src="fd77::2")
        differs(6, src="fd77::1:0:0:2")
        differs(6, dst="fd01::1:2")
        differs(6, hlim=3)
        differs(6, fl=3)
        sizes = [HEAD_SIZE + 28 + size for size in (5, 6, 7, 8)]
        self.couples([datagram(bytes(size)) for size in (5, 6, 7, 8)], sizes)

    def leaves(self, frames: list[Any]) -> None:
        self.assertEqual([bytes(frame) for frame in couple(frames)], [bytes(frame) for frame in frames])

    def test_whatMayBeCutOrIsAPartKeepsItsIdentification(self) -> None:
        for fields in {"flags": 0}, {"flags": "MF"}, {"frag": 5}, {"flags": "DF+MF"}:
            self.leaves([partial(datagram(b"x" * 48, **fields))] * 5)

    def test_whatIsNoDatagramIsLeft(self) -> None:
        tcp = IP(src="10.0.0.1", dst="10.0.0.2", flags="DF") / TCP(sport=1, dport=2) / Raw(b"x" * 50)
        tcp6 = IPv6(src="fd77::1", dst="fd01::2") / TCP(sport=1, dport=2) / Raw(b"x" * 50)
        behind = IPv6(src="fd77::1", dst="fd01::2") / IPv6ExtHdrDestOpt() / UDP(sport=1, dport=2) / Raw(b"x" * 50)
        self.leaves([partial(tcp)] * 5)
        self.leaves([partial(tcp6)] * 5)
        self.leaves([bytearray((1, 0, 0, 0, 0, 0, 48, 0, 6, 0)) + bytes(behind)] * 5)
        icmp = bytearray(PLAIN + bytes(IP(src="10.0.0.1", dst="10.0.0.2", flags="DF") / ICMP()))
        self.leaves([icmp] * 5)

    def test_whoseChecksumIsThereIsLeft(self) -> None:
        # It may be wrong: then it must stay so.
        self.leaves([bytearray(PLAIN + bytes(datagram(b"x" * 50)))] * 5)
        self.leaves([bytearray(b"\x02" + PLAIN[1:] + bytes(datagram(b"x" * 50)))] * 5)

    def test_aTrainIsLeft(self) -> None:
        (train,) = couple([partial(datagram(b"x" * 50))] * 5)
        self.leaves([train] * 5)

    def test_whatIsMalformedIsLeft(self) -> None:
        good = partial(datagram(b"x" * 50))
        good6 = partial(datagram(b"x" * 50, 6))
        for frame in (
            good[:-1],
            good + b"x",
            good[:37],
            good[:10],
            good[:1],
            bytearray(),
            good6[:-1],
            good6 + b"x",
            good6[:57],
            good6[:50],
            good[:6] + b"\x15" + good[7:],
            good[:8] + b"\x10" + good[9:],
            good[:34] + b"\x00\x00" + good[36:],
            partial(datagram(b"")),
            partial(datagram(b"", 6)),
        ):
            self.leaves([frame] * 5)

    @given(
        st.lists(
            st.tuples(
                st.sampled_from([4, 6]),
                st.integers(1, 2),
                st.sampled_from([1, 2, 3, 99, 1372]),
                st.integers(1, 140),
                st.integers(0, 255),
            ),
            max_size=4,
        )
    )
    def test_whateverIsCoupledIsTheSameWhenItIsCut(self, runs: list[tuple[int, int, int, int, int]]) -> None:
        frames: list[bytearray] = []
        for version, port, size, count, letter in runs:
            frames += [partial(datagram(bytes([letter]) * size, version, port))] * count
        before = [bytes(frame) for frame in frames]
        coupled = couple(frames)
        self.assertEqual([bytes(frame) for frame in frames], before)
        for frame in coupled:
            checkOffload(frame)
        cut = [_short(part) for frame in coupled for part in segment(frame)]
        whole = [_short(complete(frame)) for frame in frames]
        for flow in {_flow(packet) for packet in whole}:
            self.assertEqual(
                [packet for packet in cut if _flow(packet) == flow],
                [packet for packet in whole if _flow(packet) == flow],
            )
        self.assertEqual(len(cut), len(whole))

    @given(st.lists(st.binary(max_size=80).map(bytearray), max_size=6), st.integers(1, 4))
    def test_anyBytesAreTaken(self, frames: list[bytearray], times: int) -> None:
        frames = [frame for frame in frames for _ in range(times)]
        for frame in frames:
            frame[:2] = b"\x01\x00"
        self.assertLessEqual(len(couple(frames)), len(frames))


def _short(frame: Any) -> bytes:
    """
    A complete packet without identification and the sum that covers it.
    """
    packet = bytearray(frame[HEAD_SIZE:])
    if packet[0] >> 4 == 4:
        packet[4:6] = packet[10:12] = b"\0\0"
    return bytes(packet)


def _flow(packet: bytes) -> bytes:
    """
    What tells the flows of these tests apart.
    """
    ports = 20 if packet[0] >> 4 == 4 else 40
    return packet[:1] + packet[ports : ports + 4]
