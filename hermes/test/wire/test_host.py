"""
Tests for L{hermes.wire.host}.
"""

from __future__ import annotations

from ipaddress import IPv6Address

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.wire.errors import MalformedError
from hermes.wire.host import parseAuthority, parseHost, parsePort, writeAuthority


class AuthorityTests(SynchronousTestCase):
    """
    Hosts, ports and authorities.
    """

    def test_authoritiesAreTakenApart(self) -> None:
        for raw, parsed in (
            (b"a.example", ("a.example", None)),
            (b"a.example:80", ("a.example", 80)),
            (b"my_host-1:65535", ("my_host-1", 65535)),
            (b"192.0.2.1:1", ("192.0.2.1", 1)),
            (b"[2001:DB8:0::1]", ("2001:db8::1", None)),
            (b"[::1]:443", ("::1", 443)),
        ):
            self.assertEqual(parseAuthority(raw), parsed)

    def test_whatIsNoAuthorityIsRefused(self) -> None:
        for raw in (
            b"",
            b":80",
            b"a:",
            b"a:0",
            b"a:65536",
            b"a:123456",
            b"a:+1",
            b"a: 1",
            b"a:1 ",
            b"a:\xd9\xa1",
            b"user@a:80",
            b"user:password@a:80",
            b"::1",
            b"2001:db8::1:443",
            b"[::1",
            b"[::1]443",
            b"[::1]:",
            b"[a]",
            b"[192.0.2.1]:1",
            b"[fe80::1%25eth0]:1",
            b"[fe80::1%eth0]:1",
            b"[v1.x]:1",
            b"a/b:80",
            b"a b:80",
            b"a\r\n:80",
            b"a,b:80",
            b"a%2eb:80",
            b"\xc3\xa4:80",
            b"a\x00:80",
            b"a" * 256,
        ):
            self.assertRaises(MalformedError, parseAuthority, raw)

    def test_theErrorIsABadRequest(self) -> None:
        self.assertEqual(self.assertRaises(MalformedError, parseAuthority, b"").status, 400)

    @given(st.ip_addresses(), st.none() | st.integers(1, 65535))
    def test_whatIsWrittenIsReadBack(self, address: object, port: int | None) -> None:
        self.assertEqual(parseAuthority(writeAuthority(str(address), port)), (str(address), port))

    @given(st.binary(max_size=40))
    def test_whatIsAcceptedIsUnambiguous(self, raw: bytes) -> None:
        try:
            host, port = parseAuthority(raw)
        except MalformedError:
            return
        self.assertEqual(parseAuthority(writeAuthority(host, port)), (host, port))

    @given(st.ip_addresses(v=6))
    def test_anIPv6HostIsCanonical(self, address: object) -> None:
        assert isinstance(address, IPv6Address)
        self.assertEqual(parseHost(address.exploded.upper().encode("ascii")), str(address))

    @given(st.integers(1, 65535))
    def test_everyPortIsRead(self, port: int) -> None:
        self.assertEqual(parsePort(b"%d" % port), port)
