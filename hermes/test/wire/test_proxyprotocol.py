"""
Tests for L{hermes.wire.proxyprotocol} and L{hermes.wire.crc32c}.
"""

from __future__ import annotations

import contextlib
import struct
from ipaddress import ip_address

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.protocols.haproxy._v1parser import V1Parser
from twisted.protocols.haproxy._v2parser import V2Parser
from twisted.trial.unittest import SynchronousTestCase

from hermes.wire.crc32c import crc32c
from hermes.wire.errors import MalformedError
from hermes.wire.proxyprotocol import (
    MAX_HEADER,
    PP2_TYPE_AUTHORITY,
    PP2_TYPE_CRC32C,
    PP2_TYPE_IDENTITY,
    PP2_TYPE_NOOP,
    SIGNATURE,
    ProxyHeader,
    parse,
    writeV1,
    writeV2,
)

ports = st.integers(0, 65535)
v4 = st.tuples(st.ip_addresses(v=4).map(str), ports)
v6 = st.tuples(st.ip_addresses(v=6).map(str), ports)
pairs = st.tuples(v4, v4) | st.tuples(v6, v6)
paths = st.binary(max_size=108).map(lambda path: path.rstrip(b"\x00"))
tlvs = st.lists(
    st.tuples(st.integers(0, 255).filter(lambda kind: kind not in (PP2_TYPE_CRC32C, PP2_TYPE_NOOP)), st.binary()),
    max_size=5,
).map(tuple)
transports = st.sampled_from(["stream", "dgram", "unspec"])
headers = st.one_of(
    st.builds(
        lambda pair, extensions, transport: ProxyHeader(pair[0], pair[1], tlvs=extensions, transport=transport),
        pairs,
        tlvs,
        transports,
    ),
    st.builds(ProxyHeader, unix=st.tuples(paths, paths), tlvs=tlvs, transport=transports),
    st.builds(ProxyHeader, tlvs=tlvs, transport=st.just("unspec")),
    st.just(ProxyHeader(command="local", transport="unspec")),
)

V4 = ProxyHeader(("192.0.2.1", 5000), ("198.51.100.2", 443))
V6 = ProxyHeader(("2001:db8::1", 5000), ("2001:db8::2", 443))


def v2(versionCommand: int, family: int, body: bytes) -> bytes:
    return SIGNATURE + struct.pack("!BBH", versionCommand, family, len(body)) + body


class Version1Tests(SynchronousTestCase):
    """
    The line of version 1.
    """

    def test_linesAreWritten(self) -> None:
        self.assertEqual(writeV1(V4), b"PROXY TCP4 192.0.2.1 198.51.100.2 5000 443\r\n")
        self.assertEqual(writeV1(V6), b"PROXY TCP6 2001:db8::1 2001:db8::2 5000 443\r\n")

    def test_anAddressOfEachFamilyIsWrittenAsIPv6(self) -> None:
        header, _ = parse(writeV1(ProxyHeader(V4.source, V6.destination)))
        assert header is not None and header.source is not None
        self.assertEqual(ip_address(header.source[0]), ip_address("::ffff:192.0.2.1"))
        self.assertEqual(header.destination, V6.destination)

    def test_whatIsNotKnownIsWrittenAsUnknown(self) -> None:
        for header in (ProxyHeader(), ProxyHeader(V4.source), ProxyHeader(unix=(b"a", b"b"))):
            self.assertEqual(writeV1(header), b"PROXY UNKNOWN\r\n")
        self.assertEqual(writeV1(ProxyHeader(V4.source, V4.destination, command="local")), b"PROXY UNKNOWN\r\n")

    def test_unknownHasNoAddresses(self) -> None:
        for line in (b"PROXY UNKNOWN\r\n", b"PROXY UNKNOWN ffff::1 whatever 1 2\r\n"):
            self.assertEqual(parse(line + b"GET"), (ProxyHeader(), len(line)))

    def test_whatIsNoLineIsRefused(self) -> None:
        for line in (
            b"PROXY\r\n",
            b"PROXY \r\n",
            b"PROXY TCP4\r\n",
            b"PROXY TCP5 192.0.2.1 192.0.2.2 1 2\r\n",
            b"PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n",
            b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2 3\r\n",
            b"PROXY TCP4  192.0.2.1 192.0.2.2 1 2\r\n",
            b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2 \r\n",
            b"PROXY TCP4 192.0.2.1 192.0.2.2 01 2\r\n",
            b"PROXY TCP4 192.0.2.1 192.0.2.2 1 65536\r\n",
            b"PROXY TCP4 192.0.2.256 192.0.2.2 1 2\r\n",
            b"PROXY TCP4 192.0.2.01 192.0.2.2 1 2\r\n",
            b"PROXY TCP4 ::1 ::2 1 2\r\n",
            b"PROXY TCP6 192.0.2.1 192.0.2.2 1 2\r\n",
            b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n",
            b"PROXY UNKNOWNX\r\n",
            b"proxy UNKNOWN\r\n",
            b"PROXY UNKNOWN \rx",
            b"PROXY UNKNOWN " + b"x" * 93,
        ):
            self.assertRaises(MalformedError, parse, line)

    def test_theLongestLineIsRead(self) -> None:
        line = b"PROXY UNKNOWN " + b"f" * 91 + b"\r\n"
        self.assertEqual(len(line), 107)
        self.assertEqual(parse(line)[1], 107)

    @given(pairs)
    def test_itIsWhatTwistedReads(self, pair: tuple[tuple[str, int], tuple[str, int]]) -> None:
        info = V1Parser.parse(writeV1(ProxyHeader(*pair))[:-2])
        assert isinstance(info.source, IPv4Address | IPv6Address)
        assert isinstance(info.destination, IPv4Address | IPv6Address)
        self.assertEqual((info.source.host, info.source.port), pair[0])
        self.assertEqual((info.destination.host, info.destination.port), pair[1])

    @given(pairs, st.binary(max_size=20))
    def test_whatIsWrittenIsReadBack(self, pair: tuple[tuple[str, int], tuple[str, int]], after: bytes) -> None:
        line = writeV1(ProxyHeader(*pair))
        self.assertEqual(parse(line + after), (ProxyHeader(*pair), len(line)))
        for size in range(len(line)):
            self.assertEqual(parse(line[:size]), (None, 0))


class Version2Tests(SynchronousTestCase):
    """
    The header of version 2.
    """

    def test_aHeaderIsWritten(self) -> None:
        self.assertEqual(
            writeV2(V4),
            SIGNATURE + b"\x21\x11\x00\x0c" + bytes([192, 0, 2, 1, 198, 51, 100, 2]) + b"\x13\x88\x01\xbb",
        )

    def test_localHasNoAddresses(self) -> None:
        header = ProxyHeader(V4.source, V4.destination, command="local")
        self.assertEqual(writeV2(header), SIGNATURE + b"\x20\x00\x00\x00")
        for body in (b"", b"junk", bytes(12)):
            data = v2(0x20, 0x11, body)
            self.assertEqual(parse(data), (ProxyHeader(command="local", transport="unspec"), len(data)))

    def test_anUnknownFamilyWithoutAddressesIsRead(self) -> None:
        for family, transport in ((0x00, "unspec"), (0x01, "stream"), (0x02, "dgram")):
            self.assertEqual(parse(v2(0x21, family, b""))[0], ProxyHeader(transport=transport))

    def test_anAddressOfEachFamilyIsWrittenAsIPv6(self) -> None:
        header, _ = parse(writeV2(ProxyHeader(V4.source, V6.destination)))
        assert header is not None and header.source is not None
        self.assertEqual(ip_address(header.source[0]), ip_address("::ffff:192.0.2.1"))

    def test_whatIsNoHeaderIsRefused(self) -> None:
        for data in (
            b"\x00",
            b"G",
            b"\r\n\r\n\x00\r\nQUIX",
            v2(0x11, 0x11, bytes(12)),
            v2(0x22, 0x11, bytes(12)),
            v2(0x21, 0x41, bytes(12)),
            v2(0x21, 0x13, bytes(12)),
            v2(0x21, 0x11, bytes(11)),
            v2(0x21, 0x21, bytes(35)),
            v2(0x21, 0x31, bytes(215)),
            v2(0x21, 0x11, bytes(12) + b"\x01"),
            v2(0x21, 0x11, bytes(12) + b"\x01\x00"),
            v2(0x21, 0x11, bytes(12) + b"\x01\x00\x02a"),
            v2(0x21, 0x11, bytes(12) + b"\x03\x00\x04abcd"),
            v2(0x21, 0x11, bytes(12) + b"\x03\x00\x03abc"),
        ):
            self.assertRaises(MalformedError, parse, data)

    def test_aLongHeaderIsRefusedAtItsLength(self) -> None:
        data = SIGNATURE + b"\x21\x11" + struct.pack("!H", MAX_HEADER - 15)
        self.assertRaises(MalformedError, parse, data)
        self.assertEqual(parse(data, MAX_HEADER + 1), (None, 0))

    def test_anOverlongHeaderIsNotWritten(self) -> None:
        self.assertRaises(ValueError, writeV2, ProxyHeader(tlvs=((1, bytes(60000)), (1, bytes(6000)))))
        self.assertRaises(ValueError, writeV2, ProxyHeader(unix=(bytes(109), b"")))

    def test_paddingIsNoExtension(self) -> None:
        data = v2(0x21, 0x11, bytes(12) + b"\x04\x00\x02\x00\x00" + b"\x02\x00\x01a")
        header, _ = parse(data)
        assert header is not None
        self.assertEqual(header.tlvs, ((PP2_TYPE_AUTHORITY, b"a"),))

    def test_aChangedByteIsFoundByTheChecksum(self) -> None:
        data = writeV2(V4.withIdentity("alice"), checksum=True)
        for at in range(16, len(data)):
            changed = bytearray(data)
            changed[at] ^= 0x40
            # A change in a length makes it no header; in a type of ours, the checksum alone finds it.
            if at != len(data) - 7:
                self.assertRaises(MalformedError, parse, bytes(changed))

    def test_theIdentityTravels(self) -> None:
        header = V4.withIdentity("alice").withIdentity("edge+bob")
        found, _ = parse(writeV2(header))
        assert found is not None
        self.assertEqual(found.identity, "edge+bob")
        self.assertEqual(found.tlv(PP2_TYPE_IDENTITY), b"edge+bob")
        self.assertIsNone(V4.identity)
        self.assertIsNone(ProxyHeader(tlvs=((PP2_TYPE_IDENTITY, b"\xff"),)).identity)

    @settings(deadline=None)
    @given(headers, st.booleans(), st.binary(max_size=20))
    def test_whatIsWrittenIsReadBack(self, header: ProxyHeader, checksum: bool, after: bytes) -> None:
        data = writeV2(header, checksum)
        self.assertEqual(parse(memoryview(data + after)), (header, len(data)))
        for size in range(len(data)):
            self.assertEqual(parse(data[:size]), (None, 0))

    @settings(deadline=None)
    @given(headers.filter(lambda header: header.transport != "unspec"), st.booleans())
    def test_itIsWhatTwistedReads(self, header: ProxyHeader, checksum: bool) -> None:
        info = V2Parser.parse(writeV2(header, checksum))
        if header.unix is not None:
            assert isinstance(info.source, UNIXAddress) and isinstance(info.destination, UNIXAddress)
            self.assertEqual((info.source.name or b"", info.destination.name or b""), header.unix)
            return
        assert isinstance(info.source, IPv4Address | IPv6Address)
        assert header.source is not None
        self.assertEqual(info.source.type, "UDP" if header.transport == "dgram" else "TCP")
        self.assertEqual(
            (ip_address(info.source.host), info.source.port), (ip_address(header.source[0]), header.source[1])
        )

    @settings(deadline=None)
    @given(st.sampled_from([b"", b"PROXY ", SIGNATURE, SIGNATURE + b"\x21\x11\x00\x14"]), st.binary(max_size=60))
    def test_noBytesRaiseAnythingElse(self, start: bytes, rest: bytes) -> None:
        with contextlib.suppress(MalformedError):
            header, consumed = parse(start + rest)
            self.assertEqual(header is None, consumed == 0)


class ChecksumTests(SynchronousTestCase):
    """
    L{crc32c}.
    """

    def test_theExamplesOfTheRFC(self) -> None:
        # RFC 3720 appendix B.4, there with the bytes in the order of transmission.
        for data, checksum in ((bytes(32), 0x8A9136AA), (b"\xff" * 32, 0x62A8AB43), (bytes(range(32)), 0x46DD794E)):
            self.assertEqual(crc32c(data), checksum)
