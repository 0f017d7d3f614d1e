"""
Tests for L{hermes.wire.icmpv6}, against scapy. Against the kernel: C{test_router}.
"""

from __future__ import annotations

from ipaddress import IPv6Address
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import UDP
from scapy.layers.inet6 import (
    ICMPv6DestUnreach,
    ICMPv6EchoReply,
    ICMPv6EchoRequest,
    ICMPv6PacketTooBig,
    ICMPv6TimeExceeded,
    ICMPv6Unknown,
    IPv6,
    IPv6ExtHdrFragment,
)
from scapy.packet import Raw
from twisted.trial.unittest import SynchronousTestCase

from hermes.test.wire.ippackets import Scapy, build, ordinary, ports, special
from hermes.wire.errors import MalformedError
from hermes.wire.icmpv6 import (
    ADDRESS_UNREACHABLE,
    ADMINISTRATIVELY_PROHIBITED,
    NO_ROUTE,
    SOURCE_REFUSED,
    destinationUnreachable,
    echoReply,
    echoRequest,
    mayAnswer,
    packetTooBig,
    parseError,
    timeExceeded,
)
from hermes.wire.ip import flowKey, parse, reverseKey
from hermes.wire.quoted import ICMPError

US = IPv6Address("2001:db8::1")


def ipv6(**fields: Any) -> Scapy:
    return IPv6(**{"src": "fd00::1", "dst": "fd00::2", **fields})


def error(about: bytes, message: Scapy) -> bytes:
    """
    The error that scapy makes.
    """
    head = IPv6(src=str(US), dst=str(IPv6Address(about[8:24])), hlim=64)
    return build(head / message / Raw(about[:1232]))


class ErrorTests(SynchronousTestCase):
    """
    Errors that we send.
    """

    @given(special().filter(lambda each: IPv6 in each))
    def test_theyAreWhatScapyMakes(self, packet: Scapy) -> None:
        data = build(packet)
        for code in (NO_ROUTE, ADMINISTRATIVELY_PROHIBITED, ADDRESS_UNREACHABLE, SOURCE_REFUSED):
            self.assertEqual(
                destinationUnreachable(memoryview(data), US, code), error(data, ICMPv6DestUnreach(code=code))
            )
        self.assertEqual(timeExceeded(data, US), error(data, ICMPv6TimeExceeded(code=0)))
        self.assertEqual(packetTooBig(data, US, 1280), error(data, ICMPv6PacketTooBig(mtu=1280)))

    @given(special().filter(lambda each: IPv6 in each))
    def test_asMuchIsQuotedAsFits(self, packet: Scapy) -> None:
        data = build(packet)
        sent = packetTooBig(data, US, 1280)
        self.assertEqual(sent[48:], data[:1232])
        self.assertEqual(len(sent), min(48 + len(data), 1280))

    @given(special().filter(lambda each: IPv6 in each), st.sampled_from([0, 1280, 0xFFFFFFFF]))
    def test_whatIsSentIsReadBackToTheFlow(self, packet: Scapy, mtu: int) -> None:
        data = build(packet)
        flow = parse(data, 0)
        for sent, kind, code, told in (
            (destinationUnreachable(data, US, 1), 1, 1, None),
            (timeExceeded(data, US), 3, 0, None),
            (packetTooBig(data, US, mtu), 2, 0, mtu),
        ):
            frame = bytes(10) + sent
            answer = parse(frame)
            self.assertEqual((answer.source, answer.destination), (US, flow.source))
            self.assertEqual(parseError(frame, answer), ICMPError(kind, code, told, data[:1232], flow.key))
            self.assertFalse(mayAnswer(answer))

    def test_lessThanAHeaderIsNotQuoted(self) -> None:
        self.assertRaises(ValueError, timeExceeded, b"\x60" * 39, US)

    def test_whatIsNoErrorIsNotReadAsOne(self) -> None:
        for data in (
            build(ipv6() / UDP()),
            build(ipv6() / ICMPv6EchoRequest()),
            build(ipv6() / IPv6ExtHdrFragment(m=1, nh=58) / Raw(b"\x01" + bytes(31))),
        ):
            self.assertIsNone(parseError(data, parse(data, 0), 0))

    def test_aWrongChecksumIsMalformed(self) -> None:
        data = bytearray(timeExceeded(build(ipv6() / UDP()), US))
        data[-1] ^= 1
        self.assertRaises(MalformedError, parseError, data, parse(data, 0), 0)

    def test_whatIsAddedBehindTheQuoteIsNoPartOfIt(self) -> None:
        about = build(ipv6() / UDP(sport=7, dport=8) / Raw(bytes(80)))
        for message in (ICMPv6DestUnreach(length=16), ICMPv6TimeExceeded(length=16)):
            data = build(ipv6() / message / Raw(about + b"\x20\x00extension"))
            found = parseError(data, parse(data, 0), 0)
            assert found is not None
            self.assertEqual((found.quoted, found.key), (about, flowKey(about, 0)))


class EchoTests(SynchronousTestCase):
    """
    Echo.
    """

    @given(ports, ports, st.binary(max_size=100), st.integers(1, 255))
    def test_aRequestIsWhatScapyMakes(self, identifier: int, sequence: int, payload: bytes, ttl: int) -> None:
        sent = echoRequest(US, IPv6Address("fd00::2"), identifier, sequence, payload, ttl)
        message = ICMPv6EchoRequest(id=identifier, seq=sequence, data=payload)
        self.assertEqual(sent, build(ipv6(src=str(US), hlim=ttl) / message))

    @given(ordinary(("echo",)).filter(lambda each: ICMPv6EchoRequest in each))
    def test_aReplyIsWhatScapyMakes(self, packet: Scapy) -> None:
        data = build(packet)
        asked = packet[ICMPv6EchoRequest]
        message = ICMPv6EchoReply(id=asked.id, seq=asked.seq, data=asked.data)
        reply = echoReply(data)
        self.assertEqual(reply, build(IPv6(src=packet.dst, dst=packet.src, tc=packet.tc & 0xFC) / message))
        request = flowKey(data, 0)
        assert request is not None
        self.assertEqual(flowKey(reply, 0), reverseKey(request))

    def test_aReplyMayComeFromAnotherAddress(self) -> None:
        data = echoRequest(IPv6Address("fd00::1"), IPv6Address("ff02::1"), 1, 2)
        self.assertEqual(parse(echoReply(data, US), 0).source, US)

    def test_whatIsBehindTheRequestIsNotAnswered(self) -> None:
        data = echoRequest(US, IPv6Address("fd00::2"), 1, 2, b"hello")
        self.assertEqual(echoReply(data + b"padding"), echoReply(data))

    def test_onlyARequestIsAnswered(self) -> None:
        request = build(ipv6() / ICMPv6EchoRequest(data=b"hello"))
        wrong = bytearray(request)
        wrong[-1] ^= 1
        for data in (
            build(ipv6() / UDP(sport=0x8000) / Raw(b"hello")),
            build(ipv6() / ICMPv6EchoReply()),
            build(ipv6() / ICMPv6EchoRequest(code=1)),
            build(ipv6() / IPv6ExtHdrFragment(m=1) / ICMPv6EchoRequest()),
            request[:-1],
            bytes(wrong),
        ):
            self.assertRaises(MalformedError, echoReply, data)

    def test_aPayloadThatNoPacketHoldsIsRefused(self) -> None:
        self.assertEqual(len(echoRequest(US, US, 0, 0, bytes(65487))), 65535)
        self.assertRaises(ValueError, echoRequest, US, US, 0, 0, bytes(65488))


class AnswerTests(SynchronousTestCase):
    """
    What no error may be sent about (RFC 4443 section 2.4 (e)).
    """

    def may(self, packet: Scapy, tooBig: bool = False) -> bool:
        return mayAnswer(parse(build(packet), 0), tooBig)

    @given(ordinary().filter(lambda each: IPv6 in each))
    def test_ordinaryPacketsMayBeAnswered(self, packet: Scapy) -> None:
        packet.src, packet.dst = "fd00::1", "fd00::2"
        self.assertTrue(self.may(packet))

    def test_errorsAndRedirectsAreNot(self) -> None:
        for kind in range(256):
            packet = ipv6() / ICMPv6Unknown(type=kind, msgbody=bytes(40))
            self.assertEqual(self.may(packet), kind >= 128 and kind != 137)

    def test_laterFragmentsAreUnlessTheyMayBeOfAnError(self) -> None:
        for protocol, may in ((17, True), (47, True), (58, False), (60, False)):
            self.assertEqual(self.may(ipv6() / IPv6ExtHdrFragment(nh=protocol, offset=2) / Raw(bytes(8))), may)

    def test_whatGoesToManyIsNotUnlessItIsTooBig(self) -> None:
        packet = ipv6(dst="ff05::1") / UDP()
        self.assertFalse(self.may(packet))
        self.assertTrue(self.may(packet, tooBig=True))

    def test_whatComesFromNoSingleHostIsNot(self) -> None:
        for address in ("::", "::1", "ff02::1"):
            self.assertFalse(self.may(ipv6(src=address) / UDP()))
            self.assertFalse(self.may(ipv6(src=address) / UDP(), tooBig=True))
