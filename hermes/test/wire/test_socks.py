"""
Tests for L{hermes.wire.socks}.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.wire import socks
from hermes.wire.buffers import Buffer
from hermes.wire.errors import MalformedError
from hermes.wire.socks import (
    REPLY_ADDRESS_NOT_SUPPORTED,
    REPLY_FAILURE,
    REPLY_NOT_ALLOWED,
    REPLY_REFUSED,
    SocksError,
    SocksReply,
    SocksRequest,
)

names = st.from_regex(r"[a-z0-9][a-z0-9.-]{0,80}[a-z]", fullmatch=True)
hosts = st.one_of(st.ip_addresses().map(str), names)
ports = st.integers(0, 65535)
texts = st.text(st.characters(codec="utf-8"), max_size=60)

PARSERS: tuple[Callable[[Buffer], tuple[object, int]], ...] = (
    socks.parseGreeting,
    socks.parseMethod,
    socks.parsePassword,
    socks.parsePasswordReply,
    socks.parseRequest,
    socks.parseReply,
)


class SocksTests(SynchronousTestCase):
    """
    The messages of SOCKS5.
    """

    def assertRoundTrip(self, parse: Callable[[Buffer], tuple[object, int]], data: bytes, value: object) -> None:
        """
        C{data} is C{value}, whatever follows it, and any part of it asks for more.
        """
        self.assertEqual(parse(data + b"next"), (value, len(data)))
        for size in range(len(data)):
            self.assertEqual(parse(memoryview(data)[:size]), (None, 0))

    def test_messagesAreAsTheRFCWritesThem(self) -> None:
        self.assertEqual(socks.writeGreeting([0, 2]), b"\x05\x02\x00\x02")
        self.assertEqual(socks.writeMethod(0xFF), b"\x05\xff")
        self.assertEqual(socks.writePassword("bob", "pw"), b"\x01\x03bob\x02pw")
        self.assertEqual(socks.writePasswordReply(True), b"\x01\x00")
        self.assertEqual(socks.writeRequest(SocksRequest(1, "a.example", 80)), b"\x05\x01\x00\x03\x09a.example\x00\x50")
        self.assertEqual(socks.writeReply(SocksReply(0, "192.0.2.1", 258)), b"\x05\x00\x00\x01\xc0\x00\x02\x01\x01\x02")
        self.assertEqual(socks.writeReply(SocksReply(5)), b"\x05\x05\x00\x01" + bytes(6))
        self.assertEqual(socks.datagramHeader("::1", 53), b"\x00\x00\x00\x04" + bytes(15) + b"\x01\x00\x35")

    def test_anotherVersionIsRefusedAtItsFirstByte(self) -> None:
        for parse in PARSERS:
            self.assertRaises(MalformedError, parse, b"\x04")
            self.assertEqual(parse(b""), (None, 0))

    def test_anAddressTypeThatIsNoneHasItsReply(self) -> None:
        for kind in (0, 2, 5, 255):
            error = self.assertRaises(SocksError, socks.parseRequest, bytes([5, 1, 0, kind]))
            self.assertEqual(error.reply, REPLY_ADDRESS_NOT_SUPPORTED)

    def test_aNameThatIsNoneHasItsReply(self) -> None:
        for name in (b"", b"a b", b"a\x00b", b"user@a", b"a\r\n", b"\xc3\xa4"):
            data = b"\x05\x01\x00\x03" + bytes([len(name)]) + name + b"\x00\x50"
            self.assertEqual(self.assertRaises(SocksError, socks.parseRequest, data).reply, REPLY_FAILURE)

    def test_anAddressWrittenAsANameIsAnAddress(self) -> None:
        request, _ = socks.parseRequest(b"\x05\x01\x00\x03\x0b2001:DB8::1\x00\x50")
        self.assertEqual(request, SocksRequest(1, "2001:db8::1", 80))

    def test_anUnknownCommandIsRead(self) -> None:
        request, _ = socks.parseRequest(b"\x05\x09\x00\x01" + bytes(6))
        self.assertEqual(request, SocksRequest(9, "0.0.0.0", 0))

    def test_passwordsThatAreNoTextAreRefused(self) -> None:
        self.assertRaises(MalformedError, socks.parsePassword, b"\x01\x01\xff\x01a")

    def test_whatIsTooLongIsNotWritten(self) -> None:
        self.assertRaises(ValueError, socks.writePassword, "a" * 256, "")
        self.assertRaises(ValueError, socks.writeRequest, SocksRequest(1, "a" * 256, 1))
        self.assertRaises(ValueError, socks.writeRequest, SocksRequest(1, "", 1))
        self.assertRaises(ValueError, socks.writeRequest, SocksRequest(1, "ä", 1))

    def test_aFragmentIsRefused(self) -> None:
        self.assertRaises(MalformedError, socks.parseDatagram, b"\x00\x00\x01\x01" + bytes(6) + b"x")

    def test_aDatagramCutShortIsRefused(self) -> None:
        for host in ("192.0.2.1", "::1", "a.example"):
            header = socks.datagramHeader(host, 53)
            for size in range(len(header)):
                self.assertRaises(MalformedError, socks.parseDatagram, header[:size])

    def test_thePayloadOfADatagramIsNotCopied(self) -> None:
        datagram = socks.datagramHeader("192.0.2.1", 53) + b"query"
        self.assertIs(socks.parseDatagram(datagram)[2].obj, datagram)

    def test_errorsHaveTheirNearestReply(self) -> None:
        self.assertEqual(socks.replyFor("connection_refused"), REPLY_REFUSED)
        self.assertEqual(socks.replyFor("destination_ip_prohibited"), REPLY_NOT_ALLOWED)
        self.assertEqual(socks.replyFor("something new"), REPLY_FAILURE)

    @given(st.lists(st.integers(0, 255), max_size=255))
    def test_greetingsAreReadBack(self, methods: list[int]) -> None:
        self.assertRoundTrip(socks.parseGreeting, socks.writeGreeting(methods), tuple(methods))

    @given(st.integers(0, 255), st.booleans())
    def test_choicesAreReadBack(self, method: int, accepted: bool) -> None:
        self.assertRoundTrip(socks.parseMethod, socks.writeMethod(method), method)
        self.assertRoundTrip(socks.parsePasswordReply, socks.writePasswordReply(accepted), accepted)

    @given(texts, texts)
    def test_passwordsAreReadBack(self, user: str, password: str) -> None:
        self.assertRoundTrip(socks.parsePassword, socks.writePassword(user, password), (user, password))

    @given(st.integers(0, 255), hosts, ports)
    def test_requestsAndRepliesAreReadBack(self, code: int, host: str, port: int) -> None:
        request, reply = SocksRequest(code, host, port), SocksReply(code, host, port)
        self.assertRoundTrip(socks.parseRequest, socks.writeRequest(request), request)
        self.assertRoundTrip(socks.parseReply, socks.writeReply(reply), reply)

    @given(hosts, ports, st.binary())
    def test_datagramsAreReadBack(self, host: str, port: int, payload: bytes) -> None:
        datagram = socks.datagramHeader(host, port) + payload
        self.assertEqual(socks.parseDatagram(datagram), (host, port, payload))

    @settings(deadline=None)
    @given(st.sampled_from([b"", b"\x05", b"\x05\x01\x00\x03", b"\x01", bytes(3)]), st.binary(max_size=40))
    def test_noBytesRaiseAnythingElse(self, start: bytes, rest: bytes) -> None:
        for parse in (*PARSERS, socks.parseDatagram):
            with contextlib.suppress(MalformedError):
                parse(start + rest)
