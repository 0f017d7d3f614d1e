"""
The PROXY protocol of HAProxy, versions 1 and 2: a header before a connection's first byte that tells the address of
the client behind a proxy.
"""

from __future__ import annotations

import re
import struct
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

from attrs import evolve, frozen

from hermes.wire.buffers import Buffer
from hermes.wire.crc32c import crc32c
from hermes.wire.errors import MalformedError
from hermes.wire.host import parsePort

SIGNATURE: Final = b"\r\n\r\n\x00\r\nQUIT\n"
"""
The twelve bytes that version 2 begins with.
"""

MAX_HEADER: Final = 16384
"""
The default bound on a header of version 2, in bytes.
"""

# Types of TLVs (section 2.2 of the specification).
PP2_TYPE_ALPN: Final = 0x01
PP2_TYPE_AUTHORITY: Final = 0x02
PP2_TYPE_CRC32C: Final = 0x03
PP2_TYPE_NOOP: Final = 0x04
PP2_TYPE_UNIQUE_ID: Final = 0x05
PP2_TYPE_SSL: Final = 0x20
PP2_TYPE_NETNS: Final = 0x30
PP2_TYPE_MIN_CUSTOM: Final = 0xE0
PP2_TYPE_MAX_CUSTOM: Final = 0xEF

PP2_TYPE_IDENTITY: Final = 0xE8
"""
Ours, in the range for custom types: the identity of the caller as Hermes authenticated it, in UTF-8.
"""

_V1_START = b"PROXY "
_V1_LIMIT = 107  # with its line end; the specification's own bound
_V1_LINE = re.compile(rb"PROXY (?:UNKNOWN(?: [^\r\n]*)?|(TCP[46]) ([0-9A-Fa-f:.]+) ([0-9A-Fa-f:.]+) ([0-9]+) ([0-9]+))")
_FAMILY_UNSPEC, _FAMILY_INET, _FAMILY_INET6, _FAMILY_UNIX = range(4)
_LENGTHS = {_FAMILY_UNSPEC: 0, _FAMILY_INET: 12, _FAMILY_INET6: 36, _FAMILY_UNIX: 216}
_TRANSPORTS = ("unspec", "stream", "dgram")
_LOCAL, _PROXY = 0x20, 0x21


@frozen
class ProxyHeader:
    """
    What a header says.

    @ivar source: numeric address and port of the client; L{None} where the header tells none, so that the addresses of
        the connection itself are to be used.
    @ivar destination: numeric address and port that the client connected to, or L{None}.
    @ivar command: C{"proxy"}, or C{"local"} where the sender speaks for itself, as for a health check.
    @ivar unix: the paths of source and destination, without padding, where they are Unix sockets.
    @ivar tlvs: type and value of each extension of version 2, without checksum and padding.
    @ivar transport: C{"stream"}, C{"dgram"} or C{"unspec"}.
    """

    source: tuple[str, int] | None = None
    destination: tuple[str, int] | None = None
    command: str = "proxy"
    unix: tuple[bytes, bytes] | None = None
    tlvs: tuple[tuple[int, bytes], ...] = ()
    transport: str = "stream"

    def tlv(self, tlvType: int) -> bytes | None:
        """
        The value of the first extension of this type, or L{None}.
        """
        return next((value for key, value in self.tlvs if key == tlvType), None)

    @property
    def identity(self) -> str | None:
        """
        The caller's identity (L{PP2_TYPE_IDENTITY}), or L{None} where there is none, or none in UTF-8. It is worth what
        the sender is trusted.
        """
        try:
            return (self.tlv(PP2_TYPE_IDENTITY) or b"").decode("utf-8") or None
        except UnicodeDecodeError:
            return None

    def withIdentity(self, identity: str) -> ProxyHeader:
        """
        The same header with an L{identity}.
        """
        others = tuple(tlv for tlv in self.tlvs if tlv[0] != PP2_TYPE_IDENTITY)
        return evolve(self, tlvs=(*others, (PP2_TYPE_IDENTITY, identity.encode("utf-8"))))


def parse(buffer: Buffer, maxHeader: int = MAX_HEADER) -> tuple[ProxyHeader | None, int]:
    """
    Read a header of either version from the begin of a connection.

    @param buffer: all that has arrived so far.
    @param maxHeader: the largest header of version 2 that is taken, in bytes.
    @return: the header and how many bytes it has; L{None} and 0 where more is needed. What is needed is never more than
        C{maxHeader} bytes.
    @raise MalformedError: as soon as this can't become a header.
    """
    start = bytes(buffer[:16])
    if start[: len(_V1_START)] == _V1_START[: len(start)]:
        return _parseV1(bytes(buffer[:_V1_LIMIT])) if start else (None, 0)
    if start[:12] != SIGNATURE[: len(start)]:
        raise MalformedError("the connection does not begin with a PROXY protocol header")
    if len(start) < 16:
        return None, 0
    versionCommand, familyTransport, length = struct.unpack_from("!BBH", start, 12)
    if versionCommand not in (_LOCAL, _PROXY):
        raise MalformedError(f"the PROXY protocol header has version and command {versionCommand:#04x}")
    end = 16 + length
    if end > maxHeader:
        raise MalformedError(f"the PROXY protocol header is {end} bytes long")
    if len(buffer) < end:
        return None, 0
    if versionCommand == _LOCAL:
        # The block is skipped, whatever it holds.
        return ProxyHeader(command="local", transport="unspec"), end
    return _parseV2(bytes(buffer[:end]), familyTransport), end


def writeV1(header: ProxyHeader) -> bytes:
    """
    The header in version 1, which tells nothing but addresses of TCP.
    """
    if header.command == "local" or header.source is None or header.destination is None:
        return b"PROXY UNKNOWN\r\n"
    source, destination = _sameFamily(header.source[0], header.destination[0])
    line = f"PROXY TCP{source.version} {source} {destination} {header.source[1]} {header.destination[1]}\r\n"
    return line.encode("ascii")


def writeV2(header: ProxyHeader, checksum: bool = False) -> bytes:
    """
    The header in version 2.

    @param checksum: add a CRC32C.
    @raise ValueError: if it is longer than the protocol allows, or has a transport that the protocol does not know.
    """
    if header.command == "local":
        family, addresses = _FAMILY_UNSPEC, b""
    else:
        family, addresses = _addresses(header)
    transport = _TRANSPORTS.index(header.transport) if family != _FAMILY_UNSPEC else 0
    extensions = b"".join(struct.pack("!BH", tlvType, len(value)) + value for tlvType, value in header.tlvs)
    length = len(addresses) + len(extensions) + (7 if checksum else 0)
    if length > 0xFFFF:
        raise ValueError("the PROXY protocol header would be longer than 65,551 bytes")
    command = _LOCAL if header.command == "local" else _PROXY
    written = SIGNATURE + struct.pack("!BBH", command, family << 4 | transport, length) + addresses + extensions
    if not checksum:
        return written
    # The checksum is taken with its own place zero, and is put last.
    written += struct.pack("!BHI", PP2_TYPE_CRC32C, 4, 0)
    return written[:-4] + crc32c(written).to_bytes(4, "big")


def _parseV1(data: bytes) -> tuple[ProxyHeader | None, int]:
    """
    Version 1: one line. C{data} has at most as many bytes as such a line may have.
    """
    line, lineEnd, _ = data.partition(b"\r\n")
    if not lineEnd:
        if len(data) >= _V1_LIMIT or b"\n" in data or b"\r" in data[:-1]:
            raise MalformedError("the PROXY protocol line does not end where it must")
        return None, 0
    found = _V1_LINE.fullmatch(line)
    if found is None:
        raise MalformedError("the PROXY protocol line is not one")
    consumed = len(line) + 2
    family, source, destination, sourcePort, destinationPort = found.groups()
    if family is None:
        return ProxyHeader(), consumed
    kind = IPv4Address if family == b"TCP4" else IPv6Address
    try:
        return ProxyHeader(
            (str(kind(source.decode("ascii"))), _port(sourcePort)),
            (str(kind(destination.decode("ascii"))), _port(destinationPort)),
        ), consumed
    except ValueError:
        raise MalformedError("the PROXY protocol line has addresses that are none") from None


def _port(raw: bytes) -> int:
    """
    A port of version 1: no leading zeros.
    """
    if raw == b"0":
        return 0
    if raw.startswith(b"0"):
        raise MalformedError("a port of the PROXY protocol line begins with a zero")
    return parsePort(raw)


def _parseV2(data: bytes, familyTransport: int) -> ProxyHeader:
    """
    Version 2, complete, with the command PROXY.
    """
    family, transport = familyTransport >> 4, familyTransport & 15
    if family not in _LENGTHS or transport >= len(_TRANSPORTS):
        raise MalformedError(f"the PROXY protocol header has the family {familyTransport:#04x}")
    rest = 16 + _LENGTHS[family]
    if len(data) < rest:
        raise MalformedError("the PROXY protocol header is too short for its addresses")
    header = ProxyHeader(transport=_TRANSPORTS[transport], tlvs=_parseTlvs(data, rest))
    if family == _FAMILY_UNIX:
        source, destination = struct.unpack_from("108s108s", data, 16)
        return evolve(header, unix=(source.rstrip(b"\x00"), destination.rstrip(b"\x00")))
    if family == _FAMILY_UNSPEC:
        return header
    source, destination, sourcePort, destinationPort = struct.unpack_from(
        "!4s4sHH" if family == _FAMILY_INET else "!16s16sHH", data, 16
    )
    return evolve(
        header,
        source=(str(ip_address(source)), sourcePort),
        destination=(str(ip_address(destination)), destinationPort),
    )


def _parseTlvs(data: bytes, at: int) -> tuple[tuple[int, bytes], ...]:
    """
    The extensions from C{at} to the end of the header; a checksum among them is verified.
    """
    tlvs = []
    while at < len(data):
        if len(data) - at < 3:
            raise MalformedError("the PROXY protocol header ends within an extension")
        tlvType, length = struct.unpack_from("!BH", data, at)
        value = data[at + 3 : at + 3 + length]
        if len(value) < length:
            raise MalformedError("the PROXY protocol header ends within an extension")
        if tlvType == PP2_TYPE_CRC32C:
            blank = data[: at + 3] + bytes(4) + data[at + 7 :]
            if length != 4 or crc32c(blank) != int.from_bytes(value, "big"):
                raise MalformedError("the PROXY protocol header has a wrong checksum")
        elif tlvType != PP2_TYPE_NOOP:
            tlvs.append((tlvType, value))
        at += 3 + length
    return tuple(tlvs)


def _addresses(header: ProxyHeader) -> tuple[int, bytes]:
    """
    Family and address block of version 2.
    """
    if header.unix is not None:
        source, destination = header.unix
        if max(len(source), len(destination)) > 108:
            raise ValueError("a path in a PROXY protocol header has at most 108 bytes")
        return _FAMILY_UNIX, struct.pack("108s108s", source, destination)
    if header.source is None or header.destination is None:
        return _FAMILY_UNSPEC, b""
    near, far = _sameFamily(header.source[0], header.destination[0])
    ports = struct.pack("!HH", header.source[1], header.destination[1])
    return _FAMILY_INET if near.version == 4 else _FAMILY_INET6, near.packed + far.packed + ports


def _sameFamily(source: str, destination: str) -> tuple[IPv4Address | IPv6Address, IPv4Address | IPv6Address]:
    """
    Both addresses; where one is of IPv6, the other is mapped into it, since a header has one family.
    """
    near, far = ip_address(source), ip_address(destination)
    if near.version == far.version:
        return near, far
    return _mapped(near), _mapped(far)


def _mapped(address: IPv4Address | IPv6Address) -> IPv6Address:
    """
    The address as one of IPv6 (RFC 4291 section 2.5.5.2).
    """
    return address if isinstance(address, IPv6Address) else IPv6Address(f"::ffff:{address}")
