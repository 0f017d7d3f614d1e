"""
Components of names: each is L{bytes}, the whole TLV element (packet format v0.3, section "Name"; NDN naming
conventions, revision 3).

The bytewise order of components is NDN's canonical order: types first, then lengths, then values.
"""

from __future__ import annotations

from typing import Final

from hermes.ndn.packet.errors import PacketError
from hermes.ndn.packet.tlv import MAX_NUMBER, encodeElement, encodeNumber, nonNegative, readHead
from hermes.values import Buffer

IMPLICIT_DIGEST: Final = 0x01
PARAMETERS_DIGEST: Final = 0x02
GENERIC: Final = 0x08
KEYWORD: Final = 0x20
SEGMENT: Final = 0x32
BYTE_OFFSET: Final = 0x34
VERSION: Final = 0x36
TIMESTAMP: Final = 0x38
SEQUENCE: Final = 0x3A
"""
Types of components.
"""

MAX_COMPONENT_TYPE: Final = 65535

DIGEST_SIZE: Final = 32

_DIGESTS = {IMPLICIT_DIGEST: "sha256digest", PARAMETERS_DIGEST: "params-sha256"}
_NUMBERS = {SEGMENT: "seg", BYTE_OFFSET: "off", VERSION: "v", TIMESTAMP: "t", SEQUENCE: "seq"}
_TYPES = {text: kind for names in (_DIGESTS, _NUMBERS) for kind, text in names.items()}
_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_ESCAPED = [chr(byte) if byte in _UNRESERVED else f"%{byte:02X}" for byte in range(256)]
_HEX = frozenset("0123456789abcdefABCDEF")
_NUMBER_HEADS = [encodeElement(SEGMENT, bytes(size))[:2] for size in range(9)]


def typed(kind: int, value: Buffer) -> bytes:
    """
    A component of any type.

    @param kind: 1 to 65535.
    @raise ValueError: if the type is none, or the value of a digest has not 32 bytes.
    """
    if not 0 < kind <= MAX_COMPONENT_TYPE:
        raise ValueError(f"{kind} is no type of a name component")
    if kind in _DIGESTS and len(value) != DIGEST_SIZE:
        raise ValueError(f"a digest in a name has {DIGEST_SIZE} bytes, not {len(value)}")
    return b"".join((encodeNumber(kind), encodeNumber(len(value)), value))


def generic(value: Buffer) -> bytes:
    """
    A component that is nothing special.
    """
    return b"".join((b"\x08", encodeNumber(len(value)), value))


def keyword(value: Buffer) -> bytes:
    """
    A well-known word, C{32=metadata} for one.
    """
    return b"".join((b"\x20", encodeNumber(len(value)), value))


def implicitDigest(digest: Buffer) -> bytes:
    """
    The SHA-256 digest of a whole Data packet: C{sha256digest=}.

    @param digest: 32 bytes.
    """
    return typed(IMPLICIT_DIGEST, digest)


def parametersDigest(digest: Buffer) -> bytes:
    """
    The SHA-256 digest of an Interest's parameters: C{params-sha256=}.

    @param digest: 32 bytes.
    """
    return typed(PARAMETERS_DIGEST, digest)


def segment(number: int) -> bytes:
    """
    C{seg=}, from 0.
    """
    value = nonNegative(number)
    return _NUMBER_HEADS[len(value)] + value


def byteOffset(number: int) -> bytes:
    """
    C{off=}, in bytes.
    """
    return typed(BYTE_OFFSET, nonNegative(number))


def version(number: int) -> bytes:
    """
    C{v=}; often microseconds since 1970.
    """
    return typed(VERSION, nonNegative(number))


def timestamp(microseconds: int) -> bytes:
    """
    C{t=}, in microseconds since 1970.
    """
    return typed(TIMESTAMP, nonNegative(microseconds))


def sequence(number: int) -> bytes:
    """
    C{seq=}.
    """
    return typed(SEQUENCE, nonNegative(number))


def _head(component: Buffer) -> tuple[int, int]:
    kind, start, stop = readHead(component, 0, len(component))
    if stop != len(component):
        raise PacketError("something follows the name component")
    return kind, start


def componentType(component: Buffer) -> int:
    """
    Its TLV-TYPE.

    @raise PacketError: if it is none.
    """
    return _head(component)[0]


def componentValue(component: bytes) -> bytes:
    """
    Its value.

    @raise PacketError: if it is none.
    """
    return component[_head(component)[1] :]


def number(component: Buffer) -> int:
    """
    The number that it holds, whatever its type.

    @raise PacketError: if it holds none: 1, 2, 4 or 8 bytes.
    """
    start = _head(component)[1]
    if len(component) - start not in (1, 2, 4, 8):
        raise PacketError("the name component holds no number")
    return int.from_bytes(component[start:], "big")


def isNumber(component: Buffer, kind: int) -> bool:
    """
    Whether it is of this type and holds a number.
    """
    found, start = _head(component)
    return found == kind and len(component) - start in (1, 2, 4, 8)


def escape(value: bytes) -> str:
    """
    Percent-encode what is not unreserved in URIs (RFC 3986 section 2.3). What consists of periods only, or of nothing,
    gets three more periods.
    """
    text = "".join(map(_ESCAPED.__getitem__, value))
    return text if text.strip(".") else text + "..."


def toText(component: bytes, alternate: bool = True) -> str:
    """
    As it is written in a URI. L{fromText} makes the same component of it.

    @param alternate: whether numbers are written as the naming conventions do, C{seg=7}; else it is the canonical form,
        C{50=%07}.
    @raise PacketError: if it is none.
    """
    kind, start = _head(component)
    value = component[start:]
    if kind == GENERIC:
        return escape(value)
    if kind in _DIGESTS:
        return f"{_DIGESTS[kind]}={value.hex()}"
    if alternate and kind in _NUMBERS and len(value) in (1, 2, 4, 8):
        held = int.from_bytes(value, "big")
        if nonNegative(held) == value:
            return f"{_NUMBERS[kind]}={held}"
    return f"{kind}={escape(value)}"


def fromText(text: str) -> bytes:
    """
    Parse one component of a URI: percent-encoded, with a type before an equals sign where it is not a generic one.

    @raise ValueError: with a sentence for the user.
    """
    kind, equals, rest = text.partition("=")
    if not equals:
        return generic(_unescape(text, text))
    known = _TYPES.get(kind)
    if known in _DIGESTS:
        if len(rest) != 2 * DIGEST_SIZE or not _HEX.issuperset(rest):
            raise ValueError(f"{text!r}: a digest is {2 * DIGEST_SIZE} hexadecimal digits")
        return typed(known, bytes.fromhex(rest))
    if not (kind if known is None else rest).isascii():
        raise ValueError(f"{text!r}: neither a type nor a number")
    if known is not None:
        if not rest.isdigit() or (rest[0] == "0" and rest != "0") or len(rest) > 20 or int(rest) > MAX_NUMBER:
            raise ValueError(f"{text!r}: {rest!r} is not a number")
        return typed(known, nonNegative(int(rest)))
    if not kind.isdigit() or kind[0] == "0" or len(kind) > 5 or int(kind) > MAX_COMPONENT_TYPE:
        raise ValueError(f"{text!r}: {kind!r} is no type of a name component; write an equals sign as %3D")
    return typed(int(kind), _unescape(rest, text))


def _unescape(text: str, whole: str) -> bytes:
    first, *parts = text.split("%")
    value = [first.encode()]
    for part in parts:
        if len(part) < 2 or not _HEX.issuperset(part[:2]):
            raise ValueError(f"{whole!r}: a percent sign is followed by two hexadecimal digits; write it as %25")
        value += (bytes.fromhex(part[:2]), part[2:].encode())
    joined = b"".join(value)
    if joined.strip(b"."):
        return joined
    if len(joined) < 3:
        raise ValueError(f"{whole!r}: a component of {len(joined)} periods is written with {len(joined) + 3}")
    return joined[3:]
