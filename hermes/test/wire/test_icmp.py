"""
Tests for L{hermes.wire.icmp}, against scapy. Against the kernel: C{test_router}.
"""

from __future__ import annotations

from ipaddress import IPv4Address

from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, UDP
from scapy.packet import Raw
from scapy.utils import checksum
from twisted.trial.unittest import SynchronousTestCase

from hermes.test.wire.ippackets import Scapy, build, ordinary, ports, special
from hermes.wire.errors import MalformedError
from hermes.wire.icmp import (
    ADMINISTRATIVELY_PROHIBITED,
    FRAGMENTATION_NEEDED,
    HOST_UNREACHABLE,
    NET_UNREACHABLE,
    destinationUnreachable,
    echoReply,
    echoRequest,
    fragmentationNeeded,
    mayAnswer,
    parseError,
    timeExceeded,
)
from hermes.wire.ip import flowKey, parse, reverseKey
from hermes.wire.quoted import ICMPError

US = IPv4Address("192.0.2.1")


def error(about: bytes, kind: int, code: int, mtu: int = 0) -> bytes:
    """
    The error that scapy makes.
    """
    head = IP(src=str(US), dst=str(IPv4Address(about[12:16])), tos=0xC0, id=0, flags="DF", ttl=64, proto=1)
    # Scapy's own ICMP has other fields for every type: it does the checksum only.
    message = bytes((kind, code, 0, 0)) + mtu.to_bytes(4, "big") + about[:548]
    return build(head / Raw(summed(message)))


def summed(message: bytes) -> bytes:
    """
    A message with its checksum, which scapy computes.
    """
    return message[:2] + checksum(message).to_bytes(2, "big") + message[4:]


class ErrorTests(SynchronousTestCase):
    """
    Errors that we send.
    """

    @given(special().filter(lambda each: IP in each))
    def test_theyAreWhatScapyMakes(self, packet: Scapy) -> None:
        data = build(packet)
        for code in (NET_UNREACHABLE, HOST_UNREACHABLE, ADMINISTRATIVELY_PROHIBITED):
            self.assertEqual(destinationUnreachable(memoryview(data), US, code), error(data, 3, code))
        self.assertEqual(timeExceeded(data, US), error(data, 11, 0))
        self.assertEqual(fragmentationNeeded(data, US, 1400), error(data, 3, FRAGMENTATION_NEEDED, 1400))

    @given(special().filter(lambda each: IP in each))
    def test_asMuchIsQuotedAsFits(self, packet: Scapy) -> None:
        data = build(packet)
        sent = destinationUnreachable(data, US, HOST_UNREACHABLE)
        self.assertEqual(sent[28:], data[:548])
        self.assertEqual(len(sent), min(28 + len(data), 576))

    @given(special().filter(lambda each: IP in each), st.sampled_from([0, 576, 1400, 65535]))
    def test_whatIsSentIsReadBackToTheFlow(self, packet: Scapy, mtu: int) -> None:
        data = build(packet)
        flow = parse(data, 0)
        for sent, kind, code, told in (
            (destinationUnreachable(data, US, 13), 3, 13, None),
            (timeExceeded(data, US), 11, 0, None),
            (fragmentationNeeded(data, US, mtu), 3, 4, mtu),
        ):
            frame = bytes(10) + sent
            answer = parse(frame)
            self.assertEqual((answer.source, answer.destination), (US, flow.source))
            self.assertEqual(parseError(frame, answer), ICMPError(kind, code, told, data[:548], flow.key))
            self.assertFalse(mayAnswer(answer))

    def test_lessThanAHeaderIsNotQuoted(self) -> None:
        self.assertRaises(ValueError, timeExceeded, b"\x45" * 19, US)

    def test_whatIsNoErrorIsNotReadAsOne(self) -> None:
        for data in (
            build(IP(src="1.2.3.4", dst="5.6.7.8") / UDP()),
            build(IP(src="1.2.3.4", dst="5.6.7.8") / ICMP()),
            build(IP(src="1.2.3.4", dst="5.6.7.8", flags="MF") / ICMP(type=3) / Raw(bytes(32))),
        ):
            self.assertIsNone(parseError(data, parse(data, 0), 0))

    def test_aWrongChecksumIsMalformed(self) -> None:
        data = bytearray(timeExceeded(build(IP(src="1.2.3.4", dst="5.6.7.8") / UDP()), US))
        data[-1] ^= 1
        self.assertRaises(MalformedError, parseError, data, parse(data, 0), 0)

    def test_whatIsAddedBehindTheQuoteIsNoPartOfIt(self) -> None:
        about = build(IP(src="1.2.3.4", dst="5.6.7.8") / UDP(sport=7, dport=8) / Raw(bytes(100)))
        for kind in (3, 11, 12):
            message = summed(bytes((kind, 0, 0, 0, 0, 32, 0, 0)) + about + b"\x20\x00extension")
            data = build(IP(src="9.9.9.9", dst="1.2.3.4", proto=1) / Raw(message))
            found = parseError(data, parse(data, 0), 0)
            assert found is not None
            self.assertEqual((found.quoted, found.key), (about, flowKey(about, 0)))


class EchoTests(SynchronousTestCase):
    """
    Echo.
    """

    @given(ports, ports, st.binary(max_size=100), st.integers(1, 255))
    def test_aRequestIsWhatScapyMakes(self, identifier: int, sequence: int, payload: bytes, ttl: int) -> None:
        sent = echoRequest(US, IPv4Address("5.6.7.8"), identifier, sequence, payload, ttl)
        head = IP(src=str(US), dst="5.6.7.8", id=0, flags="DF", ttl=ttl)
        self.assertEqual(sent, build(head / ICMP(type=8, id=identifier, seq=sequence) / Raw(payload)))

    @given(ordinary(("echo",)).filter(lambda each: IP in each))
    def test_aReplyIsWhatScapyMakes(self, packet: Scapy) -> None:
        packet[ICMP].type = 8
        data = build(packet)
        head = IP(src=packet.dst, dst=packet.src, id=0, flags="DF", tos=packet.tos & 0xFC)
        message = ICMP(type=0, id=packet[ICMP].id, seq=packet[ICMP].seq) / packet[Raw]
        reply = echoReply(data)
        self.assertEqual(reply, build(head / message))
        request = flowKey(data, 0)
        assert request is not None
        self.assertEqual(flowKey(reply, 0), reverseKey(request))

    def test_aReplyMayComeFromAnotherAddress(self) -> None:
        data = echoRequest(IPv4Address("1.2.3.4"), IPv4Address("5.6.7.8"), 1, 2)
        self.assertEqual(parse(echoReply(data, US), 0).source, US)

    def test_whatIsBehindTheRequestIsNotAnswered(self) -> None:
        data = echoRequest(IPv4Address("1.2.3.4"), IPv4Address("5.6.7.8"), 1, 2, b"hello")
        self.assertEqual(echoReply(data + b"padding"), echoReply(data))

    def test_onlyARequestIsAnswered(self) -> None:
        request = IP(src="1.2.3.4", dst="5.6.7.8") / ICMP() / Raw(b"hello")
        wrong = bytearray(build(request))
        wrong[-1] ^= 1
        for data in (
            build(IP(src="1.2.3.4", dst="5.6.7.8") / UDP(sport=0x800) / Raw(b"hello")),
            build(IP(src="1.2.3.4", dst="5.6.7.8") / ICMP(type=0)),
            build(IP(src="1.2.3.4", dst="5.6.7.8") / ICMP(code=1)),
            build(IP(src="1.2.3.4", dst="5.6.7.8", flags="MF") / ICMP()),
            build(request)[:-1],
            bytes(wrong),
        ):
            self.assertRaises(MalformedError, echoReply, data)

    def test_aPayloadThatNoPacketHoldsIsRefused(self) -> None:
        self.assertEqual(len(echoRequest(US, US, 0, 0, bytes(65507))), 65535)
        self.assertRaises(ValueError, echoRequest, US, US, 0, 0, bytes(65508))


class AnswerTests(SynchronousTestCase):
    """
    What no error may be sent about (RFC 1122 section 3.2.2).
    """

    def may(self, packet: Scapy) -> bool:
        return mayAnswer(parse(build(packet), 0))

    @given(ordinary().filter(lambda each: IP in each))
    def test_ordinaryPacketsMayBeAnswered(self, packet: Scapy) -> None:
        packet.src, packet.dst = "10.0.0.1", "10.0.0.2"
        self.assertTrue(self.may(packet))

    def test_errorsAreNot(self) -> None:
        for kind in range(256):
            packet = IP(src="1.2.3.4", dst="5.6.7.8", proto=1) / Raw(bytes((kind,)) + bytes(40))
            self.assertEqual(self.may(packet), kind in (0, 8, 9, 10, 13, 14, 15, 16, 17, 18, 42, 43))

    def test_laterFragmentsAreNotAndTheFirstIs(self) -> None:
        for at in (0, 1, 2, 8000):
            for protocol in (1, 17):
                first = IP(src="1.2.3.4", dst="5.6.7.8", proto=protocol, flags="MF", frag=at) / Raw(b"\x08" * 64)
                self.assertEqual(self.may(first), at == 0)

    def test_whatGoesToManyIsNot(self) -> None:
        for address in ("224.0.0.1", "239.255.255.255", "255.255.255.255"):
            self.assertFalse(self.may(IP(src="1.2.3.4", dst=address) / UDP()))

    def test_whatComesFromNoSingleHostIsNot(self) -> None:
        for address in ("0.0.0.0", "0.1.2.3", "127.0.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255"):
            self.assertFalse(self.may(IP(src=address, dst="5.6.7.8") / UDP()))
        for address in ("1.0.0.0", "126.255.255.255", "128.0.0.1", "223.255.255.255"):
            self.assertTrue(self.may(IP(src=address, dst="5.6.7.8") / UDP()))
