"""
Tests for L{hermes.wire.fields}.
"""

from __future__ import annotations

import contextlib
from base64 import b64encode

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.wire.errors import MalformedError
from hermes.wire.fields import (
    MAX_VIA,
    ProxyStatus,
    forwarded,
    parseBasic,
    parseBearer,
    parseCapsuleProtocol,
    parseProxyStatus,
    parseVia,
    proxyStatus,
    writeVia,
)

visible = st.text(st.characters(min_codepoint=32, max_codepoint=126))


class ProxyStatusTests(SynchronousTestCase):
    """
    Proxy-Status (RFC 9209).
    """

    def test_anErrorIsWritten(self) -> None:
        self.assertEqual(
            proxyStatus("edge", "dns_error", 'no "db"', 503),
            b'edge;error=dns_error;received-status=503;details="no \\"db\\""',
        )

    def test_aNameThatIsNoTokenIsAString(self) -> None:
        self.assertEqual(proxyStatus("7 edge", "dns_error"), b'"7 edge";error=dns_error')

    def test_whatAStringCannotHoldIsReplaced(self) -> None:
        self.assertEqual(proxyStatus("a", "dns_error", "ä\r\nx"), b'a;error=dns_error;details="???x"')

    def test_aLongTextIsCut(self) -> None:
        self.assertLess(len(proxyStatus("a", "dns_error", "x" * 100_000)), 2000)

    def test_severalMembersAreRead(self) -> None:
        value = b'origin-side; error=connection_timeout , "edge 1";received-status=504;details="slow";next-hop=x'
        self.assertEqual(
            parseProxyStatus(value),
            (ProxyStatus("origin-side", "connection_timeout"), ProxyStatus("edge 1", None, "slow", 504)),
        )

    def test_parametersOfAWrongTypeAreLeftOut(self) -> None:
        self.assertEqual(parseProxyStatus(b'a;error="x";received-status=?1;details=1'), (ProxyStatus("a"),))

    def test_whatIsNoProxyStatusIsRefused(self) -> None:
        for value in (b"(a b)", b"1", b"a,", b'"a', b"\xff", b"a" * 10_000):
            self.assertRaises(MalformedError, parseProxyStatus, value)

    @settings(deadline=None)
    @given(
        visible,
        st.sampled_from(["dns_error", "connection_refused"]),
        st.none() | visible,
        st.none() | st.integers(100, 599),
    )
    def test_whatIsWrittenIsReadBack(self, name: str, error: str, detail: str | None, received: int | None) -> None:
        value = proxyStatus(name, error, detail, received)
        self.assertEqual(parseProxyStatus(value), (ProxyStatus(name, error, detail, received),))

    @settings(deadline=None)
    @given(st.text(), st.text())
    def test_anyTextMakesAValidField(self, name: str, detail: str) -> None:
        self.assertEqual(len(parseProxyStatus(proxyStatus(name[:200], "dns_error", detail))), 1)


class ViaTests(SynchronousTestCase):
    """
    C{hermes-via}.
    """

    def test_namesAreAListOfStrings(self) -> None:
        self.assertEqual(writeVia(["r1", "r2"]), b'"r1", "r2"')
        self.assertEqual(parseVia(b'"r1",\t"r2";x=1'), ("r1", "r2"))

    def test_anEmptyListIsNotWritten(self) -> None:
        self.assertRaises(ValueError, writeVia, [])

    def test_tooManyNamesAreRefused(self) -> None:
        self.assertRaises(ValueError, writeVia, ["r"] * (MAX_VIA + 1))
        self.assertRaises(MalformedError, parseVia, b", ".join([b'"r"'] * (MAX_VIA + 1)))

    def test_whatIsNoListOfNamesIsRefused(self) -> None:
        for value in (b"r1", b'("r1")', b"1", b'""', b'"r1" "r2"', b'"r1",', b'"%s"' % (b"r" * 256), b"x" * 10_000):
            self.assertRaises(MalformedError, parseVia, value)

    @settings(deadline=None)
    @given(st.lists(st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1), min_size=1, max_size=16))
    def test_whatIsWrittenIsReadBack(self, names: list[str]) -> None:
        self.assertEqual(parseVia(writeVia(names)), tuple(names))

    @settings(deadline=None)
    @given(st.binary())
    def test_noBytesRaiseAnythingElse(self, value: bytes) -> None:
        for parse in (parseVia, parseProxyStatus):
            with contextlib.suppress(MalformedError):
                parse(value)


class CapsuleProtocolTests(SynchronousTestCase):
    """
    C{capsule-protocol} (RFC 9297 section 3.4).
    """

    def test_onlyATrueBooleanCounts(self) -> None:
        for value in (b"?1", b" ?1 ", b"?1;x=2"):
            self.assertTrue(parseCapsuleProtocol(value), value)
        for wrong in (None, b"", b"?0", b"1", b'"?1"', b"?1, ?1", b"?1x", b"\xff", b"?1;" * 9000):
            self.assertFalse(parseCapsuleProtocol(wrong), wrong)


class ForwardedTests(SynchronousTestCase):
    """
    Forwarded (RFC 7239).
    """

    def test_anAddressWithAPortIsQuoted(self) -> None:
        self.assertEqual(forwarded(("192.0.2.43", 47011)), b'for="192.0.2.43:47011"')

    def test_anIPv6AddressIsBracketed(self) -> None:
        self.assertEqual(forwarded(("2001:db8::1", 47011)), b'for="[2001:db8::1]:47011"')

    def test_aSourceThatIsNotKnownIsUnknown(self) -> None:
        self.assertEqual(
            forwarded(None, by="edge 1", host="a.example:80", proto="https"),
            b'for=unknown;by=_edge_1;host="a.example:80";proto=https',
        )

    def test_noLineBreakGetsIn(self) -> None:
        self.assertRaises(ValueError, forwarded, None, host="a\r\nx: y")

    def test_quotesAreEscaped(self) -> None:
        self.assertEqual(forwarded(None, host='a"\\'), b'for=unknown;host="a\\"\\\\"')


class CredentialTests(SynchronousTestCase):
    """
    Basic (RFC 7617) and Bearer (RFC 6750).
    """

    def test_basicCredentialsAreRead(self) -> None:
        # RFC 7617 section 2.
        self.assertEqual(parseBasic(b"Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="), ("Aladdin", "open sesame"))
        self.assertEqual(parseBasic(b"bASIC  dGVzdDoxMjPCow== "), ("test", "123£"))

    def test_aPasswordMayHoldColons(self) -> None:
        self.assertEqual(parseBasic(b"Basic " + b64encode(b"a:b:c")), ("a", "b:c"))

    def test_anotherSchemeIsNone(self) -> None:
        self.assertIsNone(parseBasic(b"Bearer abc"))
        self.assertIsNone(parseBearer(b"Basic QTpC"))
        self.assertIsNone(parseBasic(b""))

    def test_whatIsNotReadableIsRefused(self) -> None:
        for credentials in (
            b"",
            b"=",
            b"QQ==",
            b"Q",
            b"QTp*",
            b64encode(b"\xff:a"),
            b64encode(b"a:b\x00"),
            b"QTpC QTpC",
        ):
            self.assertRaises(MalformedError, parseBasic, b"Basic " + credentials)
        for token in (b"", b"a b", b"a,b", b"\xff", b"x" * 9000):
            self.assertRaises(MalformedError, parseBearer, b"Bearer " + token)

    def test_aBearerTokenIsRead(self) -> None:
        self.assertEqual(parseBearer(b"Bearer mF_9.B5f-4.1JqM"), "mF_9.B5f-4.1JqM")

    @given(visible.filter(lambda user: ":" not in user), visible)
    def test_anyCredentialsAreReadBack(self, user: str, password: str) -> None:
        self.assertEqual(parseBasic(b"Basic " + b64encode(f"{user}:{password}".encode())), (user, password))

    @given(st.binary())
    def test_noBytesRaiseAnythingElse(self, value: bytes) -> None:
        for prefix in (b"", b"Basic ", b"Bearer "):
            for parse in (parseBasic, parseBearer):
                with contextlib.suppress(MalformedError):
                    parse(prefix + value)
