"""
Tests for L{hermes.wire.offload}, against scapy. Against the kernel: C{test_offload_kernel}.
"""

from __future__ import annotations

from struct import pack
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6, IPv6ExtHdrDestOpt
from scapy.packet import Raw
from twisted.trial.unittest import SynchronousTestCase

from hermes.test.wire.ippackets import Scapy, build, ordinary, tcpOptions, v4Addresses, v6Addresses
from hermes.wire.checksum import pseudoSum
from hermes.wire.errors import MalformedError
from hermes.wire.ip import flowKey, parse
from hermes.wire.offload import (
    DATA_VALID,
    GSO_ECN,
    GSO_NONE,
    GSO_TCPV4,
    GSO_TCPV6,
    GSO_UDP_L4,
    MAX_DATAGRAMS,
    MAX_SEGMENTS,
    NEEDS_CSUM,
    PLAIN,
    checkOffload,
    complete,
    needsWork,
    segment,
    wireSize,
)


def partial(data: bytes) -> bytearray:
    """
    A packet as a kernel gives it to a device that completes checksums: the field holds the pseudo header's sum.
    """
    packet = parse(data, 0)
    field = packet.transportOffset + (16 if packet.protocol == 6 else 6)
    length = packet.totalLength - packet.transportOffset
    total = pseudoSum(packet.source.packed, packet.destination.packed, packet.protocol, length)
    changed = bytearray(data)
    changed[field : field + 2] = (total % 65535).to_bytes(2, "big")
    return changed


def frameOf(packet: Scapy | bytes, kind: int = GSO_NONE, size: int = 0, **fields: int) -> bytes:
    """
    The frame in which a kernel hands over C{packet}.

    @param fields: what else the head says: C{flags}, C{headers}, C{start}, C{field}.
    """
    data = packet if isinstance(packet, bytes) else build(packet)
    parsed = parse(data, 0)
    head = pack(
        "<BBHHHH",
        fields.get("flags", NEEDS_CSUM),
        kind,
        fields.get("headers", parsed.transportOffset + (20 if parsed.protocol == 6 else 8) if kind else 0),
        size,
        fields.get("start", parsed.transportOffset),
        fields.get("field", 16 if parsed.protocol == 6 else 6),
    )
    return head + partial(data)


def bulk(version: int = 4, size: int = 5000, **fields: Any) -> Scapy:
    """
    A large TCP segment.
    """
    head: Scapy = IP(src="10.0.0.1", dst="10.0.0.2") if version == 4 else IPv6(src="fd00::1", dst="fd00::2")
    content = bytes(n * 7 & 0xFF for n in range(size))
    return head / TCP(**{"sport": 5, "dport": 6, "flags": "A", **fields}) / Raw(content)


def train(version: int = 4, size: int = 5000) -> Scapy:
    """
    A row of datagrams.
    """
    head: Scapy = IP(src="10.0.0.1", dst="10.0.0.2") if version == 4 else IPv6(src="fd00::1", dst="fd00::2")
    return head / UDP(sport=5, dport=6) / Raw(bytes(n * 7 & 0xFF for n in range(size)))


@st.composite
def segmented(draw: st.DrawFn) -> tuple[Scapy, int, int]:
    """
    A packet to be cut, of what kind, and into what sizes.
    """
    content = draw(st.binary(min_size=1, max_size=50)) * draw(st.integers(1, 300))
    if draw(st.booleans()):
        head: Scapy = IP(
            src=str(draw(v4Addresses)),
            dst=str(draw(v4Addresses)),
            id=draw(st.integers(0, 65535)),
            tos=draw(st.integers(0, 255)),
            flags=draw(st.sampled_from(["", "DF"])),
        )
        kind = GSO_TCPV4
    else:
        head = IPv6(src=str(draw(v6Addresses)), dst=str(draw(v6Addresses)), fl=draw(st.integers(0, 0xFFFFF)))
        if draw(st.booleans()):
            head /= IPv6ExtHdrDestOpt()
        kind = GSO_TCPV6
    if draw(st.booleans()):
        transport: Scapy = TCP(
            sport=draw(st.integers(0, 65535)),
            dport=7,
            seq=draw(st.integers(0, 0xFFFFFFFF)),
            ack=draw(st.integers(0, 0xFFFFFFFF)),
            flags=draw(st.sampled_from(["A", "PA", "FA", "FPA", "CA", "CPEA", "CFPA"])),
            options=draw(tcpOptions),
        )
        if "C" in transport.flags:
            kind |= GSO_ECN
        return head / transport / Raw(content), kind, draw(st.integers(len(content) // 60 + 1, 1460))
    datagrams = UDP(sport=draw(st.integers(0, 65535)), dport=7)
    return head / datagrams / Raw(content), GSO_UDP_L4, draw(st.integers(len(content) // 100 + 1, 1472))


def expected(packet: Scapy, size: int) -> list[bytes]:
    """
    The packets that scapy makes of the pieces.
    """
    content = packet[Raw].load
    found = []
    for number, at in enumerate(range(0, len(content), size)):
        each = packet.copy()
        each[Raw].load = content[at : at + size]
        if IP in each:
            each[IP].id = packet[IP].id + number & 0xFFFF
        if TCP in each:
            each[TCP].seq = packet[TCP].seq + at & 0xFFFFFFFF
            flags = set(str(packet[TCP].flags))
            if number:
                flags.discard("C")
            if at + size < len(content):
                flags -= {"F", "P"}
            each[TCP].flags = "".join(flags)
        found.append(PLAIN + build(each))
    return found


class CompleteTests(SynchronousTestCase):
    """
    A packet whose checksum is to be completed.
    """

    @given(ordinary(("tcp", "udp")))
    def test_theChecksumIsWhatScapySays(self, packet: Scapy) -> None:
        frame = frameOf(packet)
        for buffer in (frame, bytearray(frame), memoryview(frame)):
            self.assertEqual(bytes(complete(buffer)), PLAIN + build(packet))
        self.assertTrue(needsWork(frame))
        self.assertFalse(needsWork(complete(frame)))

    def test_whatIsGivenIsNotChanged(self) -> None:
        frame = bytearray(frameOf(bulk(size=100)))
        before = bytes(frame)
        complete(frame)
        segment(frame)
        self.assertEqual(frame, before)

    @given(ordinary(("tcp", "udp", "echo")))
    def test_whereThereIsNothingToDoItIsTheFrameItself(self, packet: Scapy) -> None:
        frame = PLAIN + build(packet)
        self.assertIs(complete(frame), frame)
        self.assertIs(segment(frame)[0], frame)
        self.assertFalse(needsWork(frame))

    def test_thatAChecksumWasFoundRightIsForgotten(self) -> None:
        data = build(bulk(size=100))
        frame = bytes((DATA_VALID,)) + bytes(9) + data
        checkOffload(frame)
        self.assertFalse(needsWork(frame))
        self.assertEqual(complete(frame), PLAIN + data)
        self.assertEqual(segment(memoryview(frame)), [PLAIN + data])

    def test_aUDPChecksumOfZeroIsWrittenAsOnes(self) -> None:
        for version, start in ((4, 20), (6, 40)):
            # With no other content, the checksum is what is left for the content to make up for.
            left = build(train(version, 0) / Raw(bytes(2)))[start + 6 : start + 8]
            packet = train(version, 0) / Raw(left)
            whole = bytes(complete(frameOf(packet)))
            self.assertEqual(whole[10 + start + 6 : 10 + start + 8], b"\xff\xff")
            self.assertEqual(whole, PLAIN + build(packet))

    def test_aFrameOfSegmentsIsNotCompleted(self) -> None:
        self.assertRaises(ValueError, complete, frameOf(bulk(), GSO_TCPV4, 1000))

    def test_otherPlacesThanTheChecksumAreNotWrittenTo(self) -> None:
        # The ports, the addresses: what was decided about is not what would be sent.
        for start, field in ((0, 16), (0, 12), (20, 0), (20, 2), (20, 6), (16, 20), (24, 12), (40, 16), (65535, 65535)):
            frame = frameOf(bulk(size=100), start=start, field=field)
            self.assertRaises(MalformedError, complete, frame)
            self.assertRaises(MalformedError, segment, frame)
            self.assertRaises(MalformedError, checkOffload, frame)
            self.assertRaises(MalformedError, checkOffload, frame, flowKey(frame))

    def test_aFragmentHasNoChecksumToBeCompleted(self) -> None:
        data = build(IP(src="1.2.3.4", dst="5.6.7.8", flags="MF") / UDP() / Raw(bytes(64)))
        frame = frameOf(data)
        self.assertRaises(MalformedError, complete, frame)
        self.assertRaises(MalformedError, checkOffload, frame)

    def test_otherProtocolsHaveNoneToBeCompleted(self) -> None:
        for protocol in (1, 47, 132):
            data = build(IP(src="1.2.3.4", dst="5.6.7.8", proto=protocol) / Raw(bytes(64)))
            for field in (2, 6, 16):
                self.assertRaises(MalformedError, complete, frameOf(data, field=field))

    def test_behindExtensionHeadersItIsCompletedToo(self) -> None:
        packet = IPv6(src="fd00::1", dst="fd00::2") / IPv6ExtHdrDestOpt() / UDP() / Raw(b"odd")
        frame = frameOf(packet)
        checkOffload(frame)
        self.assertEqual(complete(frame), PLAIN + build(packet))


class SegmentTests(SynchronousTestCase):
    """
    A packet that is to be cut.
    """

    @given(segmented())
    def test_thePacketsAreWhatScapySays(self, made: tuple[Scapy, int, int]) -> None:
        packet, kind, size = made
        frame = frameOf(packet, kind, size)
        wanted = expected(packet, size)
        checkOffload(frame)
        self.assertEqual([bytes(each) for each in segment(memoryview(frame))], wanted)
        self.assertEqual(wireSize(frame), max(map(len, wanted)) - 10)
        for each in wanted:
            self.assertIsNotNone(parse(each))

    @given(segmented(), st.integers(300, 1500))
    def test_anMTUMakesTCPSmallerAndLeavesDatagrams(self, made: tuple[Scapy, int, int], mtu: int) -> None:
        packet, kind, cut = made
        headers = len(build(packet)) - len(packet[Raw].load)
        size = min(cut, mtu - headers) if TCP in packet else cut
        self.assertEqual(segment(frameOf(packet, kind, cut), mtu), expected(packet, size))

    def test_aFrameOfSixtyFourKilobytesIsCut(self) -> None:
        for version, kind in ((4, GSO_TCPV4), (6, GSO_TCPV6)):
            packet = bulk(version, 65535 - 60 - 10)
            frames = segment(frameOf(packet, kind, 1400))
            self.assertEqual(frames, expected(packet, 1400))

    def test_aPayloadThatFitsIsOnePacket(self) -> None:
        packet = bulk(size=100, flags="FPCA")
        for size in (100, 101, 65535):
            frame = frameOf(packet, GSO_TCPV4 | GSO_ECN, size)
            self.assertEqual(segment(frame), [PLAIN + build(packet)])
            self.assertEqual(wireSize(frame), 140)

    def test_noPayloadIsOnePacket(self) -> None:
        packet = IP(src="1.2.3.4", dst="5.6.7.8") / TCP()
        self.assertEqual(segment(frameOf(packet, GSO_TCPV4, 1000)), [PLAIN + build(packet)])

    def test_anMTUWithoutRoomForTheHeadersIsRefused(self) -> None:
        self.assertRaises(MalformedError, segment, frameOf(bulk(), GSO_TCPV4, 1000), 47)
        self.assertEqual(len(segment(frameOf(bulk(), GSO_TCPV4, 1000), 48)), 625)


class CheckTests(SynchronousTestCase):
    """
    What a peer may say.
    """

    def assertRefused(self, frame: bytes, reason: str) -> None:
        for key in (None, flowKey(frame)):
            error = self.assertRaises(MalformedError, checkOffload, frame, key)
            self.assertIn(reason, str(error))
        error = self.assertRaises(MalformedError, segment, frame)
        self.assertIn(reason, str(error))

    @given(ordinary(("tcp", "udp")))
    def test_whatAKernelSaysOfOrdinaryPacketsIsTaken(self, packet: Scapy) -> None:
        frame = frameOf(packet)
        checkOffload(frame)
        checkOffload(memoryview(frame), flowKey(frame))
        checkOffload(PLAIN + build(packet))

    def test_aHeadThatIsCut(self) -> None:
        for size in range(10):
            frame = frameOf(bulk())[:size]
            self.assertRaises(MalformedError, checkOffload, frame)
            self.assertRaises(MalformedError, complete, frame)
            self.assertRaises(MalformedError, segment, frame)

    def test_aPacketThatIsCutOrPadded(self) -> None:
        for frame in (frameOf(bulk(size=100)), frameOf(bulk(), GSO_TCPV4, 1000), frameOf(train(), GSO_UDP_L4, 1000)):
            for size in range(10, len(frame)):
                self.assertRaises(MalformedError, checkOffload, frame[:size])
                self.assertRaises(MalformedError, segment, frame[:size])
            self.assertRefused(frame + b"\x00", "does not end where its packet does")

    def test_unknownFlags(self) -> None:
        for flag in (4, 8, 128):
            self.assertRefused(frameOf(bulk(), GSO_TCPV4, 1000, flags=NEEDS_CSUM | flag), "unknown flags")

    def test_unknownKinds(self) -> None:
        for kind in (2, 3, 6, 0x40, GSO_ECN, GSO_ECN | GSO_UDP_L4):
            self.assertRefused(frameOf(bulk(), kind, 1000), "of kind")

    def test_anotherKindThanThePacketIs(self) -> None:
        self.assertRefused(frameOf(bulk(4), GSO_TCPV6, 1000), "of kind 0x4")
        self.assertRefused(frameOf(bulk(6), GSO_TCPV4, 1000), "of kind 0x1")
        self.assertRefused(frameOf(bulk(4), GSO_UDP_L4, 1000), "of kind 0x5")
        self.assertRefused(frameOf(train(4), GSO_TCPV4, 1000), "of kind 0x1")
        self.assertRefused(frameOf(train(6), GSO_TCPV6, 1000), "of kind 0x4")

    def test_segmentsWithoutAChecksumToBeCompleted(self) -> None:
        self.assertRefused(frameOf(bulk(), GSO_TCPV4, 1000, flags=0), "not to be completed")

    def test_segmentsOfNoSize(self) -> None:
        self.assertRefused(frameOf(bulk(), GSO_TCPV4, 0), "no size")
        self.assertRefused(frameOf(train(), GSO_UDP_L4, 0), "no size")

    def test_moreSegmentsThanAnybodyNeeds(self) -> None:
        self.assertRefused(frameOf(bulk(size=4 * MAX_SEGMENTS + 1), GSO_TCPV4, 4), "more than")
        self.assertEqual(len(segment(frameOf(bulk(size=4 * MAX_SEGMENTS), GSO_TCPV4, 4))), MAX_SEGMENTS)
        self.assertRefused(frameOf(train(size=9 * MAX_DATAGRAMS + 1), GSO_UDP_L4, 9), "more than")
        self.assertEqual(len(segment(frameOf(train(size=9 * MAX_DATAGRAMS), GSO_UDP_L4, 9))), MAX_DATAGRAMS)

    def test_moreHeadersThanAnybodyNeeds(self) -> None:
        long = (
            IPv6(src="fd00::1", dst="fd00::2", nh=60)
            / Raw(bytes((6, 30, 1, 244)) + bytes(244))
            / Raw(build(bulk(6))[40:])
        )
        self.assertEqual(parse(build(long), 0).transportOffset, 288)
        self.assertRefused(frameOf(long, GSO_TCPV6, 1000), "bytes of headers")

    def test_headersBeyondThePacket(self) -> None:
        self.assertRefused(frameOf(bulk(size=100), GSO_TCPV4, 1000, headers=141), "141 bytes of headers")
        self.assertRaises(MalformedError, checkOffload, frameOf(bulk(size=100), headers=141))
        checkOffload(frameOf(bulk(size=100), headers=140))

    def test_aTCPHeaderBeyondThePacket(self) -> None:
        for words in (*range(5), 15):
            data = bytearray(build(IP(src="1.2.3.4", dst="5.6.7.8") / TCP() / Raw(b"x" * 30)))
            data[32] = words << 4
            self.assertRefused(frameOf(bytes(data), GSO_TCPV4, 10), "within its TCP header")

    def test_aFragment(self) -> None:
        data = build(IP(src="1.2.3.4", dst="5.6.7.8", flags="MF") / TCP() / Raw(bytes(1004)))
        self.assertRefused(frameOf(data, GSO_TCPV4, 100), "fragment")

    @given(
        segmented(), st.binary(min_size=10, max_size=10), st.integers(0, 10), st.integers(0, 80), st.integers(0, 255)
    )
    def test_whateverItIsOnlyMalformedErrorIsRaised(
        self, made: tuple[Scapy, int, int], head: bytes, kept: int, at: int, byte: int
    ) -> None:
        packet, kind, size = made
        frame = bytearray(frameOf(packet, kind, size))
        frame[kept:10] = head[kept:]
        frame[10 + at % (len(frame) - 10)] = byte
        try:
            checkOffload(frame)
        except MalformedError:
            if frame[:10] != PLAIN and needsWork(frame):
                self.assertRaises(MalformedError, segment, frame)
            return
        frames = segment(frame)
        self.assertLessEqual(len(frames), MAX_SEGMENTS)
        self.assertLessEqual(max(map(len, frames)), wireSize(frame) + 10)
        if frame[:10] != PLAIN:
            for each in frames:
                # What was decided about is what is sent.
                self.assertEqual(parse(each).key, parse(frame).key)
