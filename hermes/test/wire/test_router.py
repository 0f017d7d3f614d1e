"""
What we make of packets, against what the kernel makes of the same ones: segments, checksums, fragments, ICMP errors,
echo replies.
"""

from __future__ import annotations

import os
from errno import EINVAL
from ipaddress import IPv4Address, IPv6Address
from socket import AF_INET, AF_INET6, SOCK_DGRAM, SOCK_STREAM
from typing import Any
from unittest import SkipTest

from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6EchoRequest, IPv6, IPv6ExtHdrDestOpt
from scapy.packet import Raw
from twisted.trial.unittest import SynchronousTestCase

from hermes.test.namespaces import needTun
from hermes.test.wire.ippackets import Scapy, build
from hermes.test.wire.router import Router
from hermes.test.wire.test_offload import frameOf
from hermes.wire import icmp, icmpv6
from hermes.wire.fragment import fragmentIPv4
from hermes.wire.ip import decrementTTL, flowKey
from hermes.wire.offload import (
    GSO_ECN,
    GSO_NONE,
    GSO_TCPV4,
    GSO_TCPV6,
    GSO_UDP_L4,
    PLAIN,
    checkOffload,
    complete,
    needsWork,
    segment,
    wireSize,
)

SOL_UDP, UDP_SEGMENT = 17, 103
NEAR4, NEAR6 = IPv4Address("10.1.0.1"), IPv6Address("fd01::1")


def content(size: int) -> Scapy:
    return Raw(bytes(n * 7 + n // 251 & 0xFF for n in range(size)))


def ipv4(destination: str = "10.2.0.9", **fields: Any) -> Scapy:
    return IP(**{"src": "10.1.0.9", "dst": destination, "id": 65534, **fields})


def ipv6(destination: str = "fd02::9", **fields: Any) -> Scapy:
    return IPv6(**{"src": "fd01::9", "dst": destination, **fields})


def hop(frame: bytes) -> bytes:
    """
    The frame one hop later.
    """
    changed = bytearray(frame)
    assert decrementTTL(changed)
    return bytes(changed)


class ForwardTests(SynchronousTestCase):
    """
    Frames that the kernel forwards to a device that takes no offload.
    """

    def setUp(self) -> None:
        needTun()

    def test_theKernelCutsFramesAsWeDo(self) -> None:
        options = [("NOP", None), ("NOP", None), ("Timestamp", (7, 9))]
        with Router(1500) as router:
            for head, kind in ((ipv4(flags="DF"), GSO_TCPV4), (ipv4(tos=3), GSO_TCPV4), (ipv6(), GSO_TCPV6)):
                # What is larger than a segment with its headers and smaller without, the kernel drops.
                for size in (100, 1401, 2800, 20001, 60000):
                    for flags in ("A", "FPA", "CPEA"):
                        tcp = TCP(sport=5, dport=6, seq=0xFFFFF000, flags=flags, options=options)
                        ecn = GSO_ECN if "C" in flags else 0
                        self.assertCut(router, frameOf(head / tcp / content(size), kind | ecn, 1400))

    def test_theKernelCutsRowsOfDatagramsAsWeDo(self) -> None:
        with Router(1500) as router:
            for head in (ipv4(), ipv6()):
                for size in (1, 1001, 5555, 60000):
                    frame = frameOf(head / UDP(sport=5, dport=6) / content(size), GSO_UDP_L4, 1000)
                    try:
                        self.assertCut(router, frame)
                    except OSError as error:
                        if error.errno != EINVAL:
                            raise
                        raise SkipTest("this machine's kernel takes no rows of datagrams from a TUN device") from error

    def test_theKernelCompletesChecksumsAsWeDo(self) -> None:
        with Router(1500) as router:
            for head in (ipv4(), ipv6(), ipv6() / IPv6ExtHdrDestOpt()):
                for transport in (TCP(sport=5, dport=6, flags="A"), UDP(sport=5, dport=6)):
                    for size in (0, 1, 2, 3, 1000, 1401):
                        frame = frameOf(head / transport / content(size), GSO_NONE)
                        self.assertTrue(needsWork(frame))
                        self.assertEqual(router.forwarded(frame, 1), [hop(bytes(complete(frame)))])

    def test_theKernelsOwnSocketsTakeWhatWeHaveCut(self) -> None:
        with Router(1500) as router:
            for family, head in ((AF_INET, ipv4(str(NEAR4))), (AF_INET6, ipv6(str(NEAR6)))):
                payload = content(5555)
                with router.socket(family, SOCK_DGRAM, 6) as sock:
                    for each in segment(frameOf(head / UDP(sport=5, dport=6) / payload, GSO_UDP_L4, 1000)):
                        os.write(router.near, each)
                    found = [sock.recv(2000) for _ in range(6)]
                self.assertEqual(b"".join(found), payload.load)
                self.assertEqual([len(each) for each in found], [1000] * 5 + [555])

    def test_theKernelResetsWhatWeHaveCutForNoConnection(self) -> None:
        # It does so only where the checksum is right, and drops all else.
        with Router(1500) as router:
            for head, kind in ((ipv4(str(NEAR4)), GSO_TCPV4), (ipv6(str(NEAR6)), GSO_TCPV6)):
                tcp = TCP(sport=5, dport=6, seq=0xFFFFFC00, ack=77, flags="PA")
                frames = segment(frameOf(head / tcp / content(5000), kind, 1000))
                self.assertEqual(len(frames), 5)
                for each in frames:
                    answer = type(head)(router.answered(bytes(each[10:])))
                    self.assertEqual((str(answer[TCP].flags), answer[TCP].seq), ("R", 77))

    def test_theKernelFragmentsAsWeDo(self) -> None:
        for mtu in (576, 1001, 1281, 1400):
            with Router(mtu) as router:
                for size in (mtu - 27, 1400, 2000, 3 * (mtu - 20) // 8 * 8, 9000, 65507):
                    packet = build(ipv4(ttl=9) / UDP(sport=5, dport=6) / content(size))
                    pieces = fragmentIPv4(hop(PLAIN + packet)[10:], mtu)
                    self.assertGreater(len(pieces), 1)
                    self.assertEqual(router.forwarded(PLAIN + packet, len(pieces)), [PLAIN + each for each in pieces])

    def assertCut(self, router: Router, frame: bytes) -> None:
        checkOffload(frame)
        ours = [hop(bytes(each)) for each in segment(frame)]
        self.assertEqual(router.forwarded(frame, len(ours)), ours)


class KernelFrameTests(SynchronousTestCase):
    """
    Frames that the kernel hands over to a device that offers to cut and complete them.
    """

    def setUp(self) -> None:
        needTun()

    def test_aFrameOfSegmentsThatItForwardsIsTheOneThatItWasGiven(self) -> None:
        with Router(1500, offload=True) as router:
            for head, kind in ((ipv4(), GSO_TCPV4), (ipv6(), GSO_TCPV6)):
                frame = frameOf(head / TCP(flags="PA") / content(20001), kind, 1400)
                (found,) = router.forwarded(frame, 1)
                checkOffload(found)
                self.assertEqual(wireSize(found), wireSize(frame))
                self.assertEqual(segment(found), segment(hop(frame)))

    def test_whatItsTCPSendsIsTakenAndCutWell(self) -> None:
        for family, ip, kind in ((AF_INET, IP, GSO_TCPV4), (AF_INET6, IPv6, GSO_TCPV6)):
            with Router(1500, offload=True) as router, router.socket(family, SOCK_STREAM) as sock:
                sock.setblocking(False)
                sock.connect_ex(("10.2.0.9" if family == AF_INET else "fd02::9", 80))
                asked = router.sent()
                self.assertTrue(needsWork(asked))
                checkOffload(asked, flowKey(asked))
                syn: Scapy = ip(bytes(complete(asked)[10:]))
                assertRight(self, syn)
                back = TCP(sport=80, dport=syn.sport, seq=9, ack=syn[TCP].seq + 1, flags="SA", options=[("MSS", 1400)])
                os.write(router.far, PLAIN + build(ip(src=syn.dst, dst=syn.src) / back))
                checkOffload(router.sent())
                payload = content(10000).load
                self.assertEqual(sock.send(payload), len(payload))
                frame = router.sent()
                self.assertEqual(frame[1], kind)
                checkOffload(frame)
                pieces = segment(frame)
                self.assertEqual(max(map(len, pieces)) - 10, wireSize(frame))
                self.assertGreater(len(pieces), 1)
                parts = [ip(bytes(each[10:])) for each in pieces]
                for each in parts:
                    assertRight(self, each)
                carried = b"".join(each[Raw].load for each in parts)
                self.assertEqual(carried, payload[: len(carried)])
                self.assertEqual(
                    [each[TCP].seq for each in parts], [syn[TCP].seq + 1 + 1400 * n for n in range(len(parts))]
                )

    def test_whatItsUDPSendsIsTakenAndCutWell(self) -> None:
        for family, ip in ((AF_INET, IP), (AF_INET6, IPv6)):
            with Router(1500, offload=True) as router, router.socket(family, SOCK_DGRAM) as sock:
                address = "10.2.0.9" if family == AF_INET else "fd02::9"
                sock.sendto(b"hello", (address, 53))
                frame = router.sent()
                self.assertTrue(needsWork(frame))
                checkOffload(frame, flowKey(frame))
                assertRight(self, ip(bytes(complete(frame)[10:])))
                sock.setsockopt(SOL_UDP, UDP_SEGMENT, 1000)
                payload = content(5555).load
                sock.sendto(payload, (address, 53))
                frame = router.sent()
                if frame[1] != GSO_UDP_L4:
                    raise SkipTest("this machine's kernel gives a TUN device no rows of datagrams")
                checkOffload(frame)
                parts = [ip(bytes(each[10:])) for each in segment(frame)]
                for each in parts:
                    assertRight(self, each)
                self.assertEqual(
                    [each[Raw].load for each in parts], [payload[at : at + 1000] for at in range(0, 5555, 1000)]
                )


def assertRight(case: SynchronousTestCase, packet: Scapy) -> None:
    """
    Scapy would have written the same lengths and checksums.
    """
    again = packet.copy()
    for layer, fields in ((IP, ("len", "chksum")), (IPv6, ("plen",)), (TCP, ("chksum",)), (UDP, ("len", "chksum"))):
        if layer in again:
            for field in fields:
                again[layer].delfieldval(field)
    case.assertEqual(build(again), build(packet))


class AnswerTests(SynchronousTestCase):
    """
    Packets that the kernel answers.
    """

    def setUp(self) -> None:
        needTun()

    def test_theKernelsIPv4ErrorsSayWhatOursDo(self) -> None:
        with Router(1400) as router:
            for size in (0, 1, 500, 519, 520, 521, 1000, 1372):
                payload = UDP(sport=5, dport=6) / content(size)
                prohibited = build(ipv4("10.3.0.9", src=f"10.1.1.{size % 256}") / payload)
                late = build(ipv4(ttl=1) / payload)
                for packet, ours in (
                    (prohibited, icmp.destinationUnreachable(prohibited, NEAR4, icmp.ADMINISTRATIVELY_PROHIBITED)),
                    (late, icmp.timeExceeded(late, NEAR4)),
                ):
                    self.assertSame4(router.answered(packet), ours)
            unknown = build(ipv4("10.4.0.9", src="10.1.2.1") / TCP())
            self.assertSame4(
                router.answered(unknown), icmp.destinationUnreachable(unknown, NEAR4, icmp.NET_UNREACHABLE)
            )
            large = build(ipv4(flags="DF") / UDP() / content(1373))
            self.assertSame4(router.answered(large), icmp.fragmentationNeeded(large, NEAR4, 1400))

    def test_theKernelsIPv6ErrorsSayWhatOursDo(self) -> None:
        with Router(1400) as router:
            for size in (0, 1, 1183, 1184, 1185, 1300):
                payload = UDP(sport=5, dport=6) / content(size)
                for head in (ipv6(), ipv6() / IPv6ExtHdrDestOpt()):
                    late = head / payload
                    late[IPv6].hlim = 1
                    data = build(late)
                    self.assertEqual(router.answered(data), icmpv6.timeExceeded(data, NEAR6))
                prohibited = build(ipv6("fd03::9") / payload)
                self.assertEqual(
                    router.answered(prohibited),
                    icmpv6.destinationUnreachable(prohibited, NEAR6, icmpv6.ADMINISTRATIVELY_PROHIBITED),
                )
            unknown = build(ipv6("fd04::9") / TCP())
            self.assertEqual(router.answered(unknown), icmpv6.destinationUnreachable(unknown, NEAR6, icmpv6.NO_ROUTE))
            large = build(ipv6() / UDP() / content(1353))
            self.assertEqual(router.answered(large), icmpv6.packetTooBig(large, NEAR6, 1400))

    def test_theKernelAnswersEchoesAsWeDo(self) -> None:
        with Router(1500) as router:
            for size in (0, 1, 56, 1001, 60000):
                data = build(ipv4(str(NEAR4), tos=8) / ICMP(id=7, seq=8) / content(size))
                self.assertSame4(router.answered(data), icmp.echoReply(data))
                data = build(ipv6(str(NEAR6)) / ICMPv6EchoRequest(id=7, seq=8, data=content(size).load))
                self.assertEqual(router.answered(data), icmpv6.echoReply(data))
            asked = icmp.echoRequest(IPv4Address("10.1.0.9"), NEAR4, 1, 2, b"hello")
            self.assertSame4(router.answered(asked), icmp.echoReply(asked))
            asked = icmpv6.echoRequest(IPv6Address("fd01::9"), NEAR6, 1, 2, b"hello")
            self.assertEqual(router.answered(asked), icmpv6.echoReply(asked))

    def assertSame4(self, theirs: bytes, ours: bytes) -> None:
        """
        The same packet, but for identification and DF: the kernel numbers its packets, ours are never fragmented.
        """
        one, other = IP(theirs), IP(ours)
        other.id, other.flags = one.id, one.flags
        del other.chksum
        self.assertEqual(theirs, build(other))
