"""
HTTP fields that proxies write and read: Proxy-Status, Forwarded, credentials, and the structured ones of our own.
"""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Sequence
from typing import Final

import http_sf
from attrs import frozen

from hermes.wire.errors import MalformedError
from hermes.wire.host import parseAuthority, writeAuthority

__all__ = [
    "CAPSULE_PROTOCOL",
    "MAX_VIA",
    "ProxyStatus",
    "forwarded",
    "parseAuthority",
    "parseBasic",
    "parseBearer",
    "parseCapsuleProtocol",
    "parseProxyStatus",
    "parseVia",
    "proxyStatus",
    "writeAuthority",
    "writeVia",
]

CAPSULE_PROTOCOL: Final = b"?1"
"""
The value of C{capsule-protocol} where the body is a sequence of capsules (RFC 9297 section 3.4).
"""

MAX_VIA: Final = 16
"""
So many names a C{hermes-via} field has at most.
"""

_MAX_FIELD = 8192
_MAX_NAME = 255
_MAX_DETAILS = 1024
_TOKEN = re.compile(r"[A-Za-z*][A-Za-z0-9!#$%&'*+.^_`|~:/-]*")
_HTTP_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_TOKEN68 = re.compile(rb"[A-Za-z0-9._~+/-]+=*")


@frozen
class ProxyStatus:
    """
    One member of a Proxy-Status field (RFC 9209 section 2).

    @ivar name: the proxy that wrote it.
    @ivar error: the error type, or L{None} where there was none.
    @ivar detail: a text for humans.
    @ivar received: the status that the proxy got from its next hop.
    """

    name: str
    error: str | None = None
    detail: str | None = None
    received: int | None = None


def proxyStatus(
    name: str,
    error: str | None,
    detail: str | None = None,
    received: int | None = None,
    beyond: bytes | None = None,
) -> bytes:
    """
    A Proxy-Status field with a member of our own.

    @param name: this proxy's name.
    @param error: an error type of RFC 9209 section 2.3.
    @param detail: a text for humans; characters that the field can't hold are replaced, and it is cut at 1,024.
    @param received: the status that the next hop sent.
    @param beyond: the value of the field that it sent, whose members come before ours (RFC 9209 section 2).
    """
    parameters: dict[str, http_sf.types.BareItemType] = {}
    if error is not None:
        parameters["error"] = http_sf.Token(error)
    if received is not None:
        parameters["received-status"] = received
    if detail is not None:
        parameters["details"] = _sanitised(detail)[:_MAX_DETAILS]
    item = http_sf.Token(name) if _TOKEN.fullmatch(name) else _sanitised(name)
    own: bytes = http_sf.ser([(item, parameters)]).encode("ascii")
    return own if beyond is None else beyond + b", " + own


def parseProxyStatus(value: bytes) -> tuple[ProxyStatus, ...]:
    """
    The members of a Proxy-Status field, the proxy nearest to the origin first. Parameters of a wrong type are left out.

    @raise MalformedError: if it is not such a field, or too long. RFC 9209 wants it ignored then.
    """
    members = []
    for member, parameters in _items(value):
        if not isinstance(member, str | http_sf.Token):
            raise MalformedError("a Proxy-Status member is not a name")
        error, detail = parameters.get("error"), parameters.get("details")
        received = parameters.get("received-status")
        members.append(
            ProxyStatus(
                str(member),
                str(error) if isinstance(error, http_sf.Token) else None,
                detail if isinstance(detail, str) else None,
                received if type(received) is int and 100 <= received <= 599 else None,
            )
        )
    return tuple(members)


def writeVia(names: Sequence[str]) -> bytes:
    """
    The value of C{hermes-via}: the hops to go through, the nearest first, as a structured list of strings.

    @param names: 1 to L{MAX_VIA} names of visible ASCII characters.
    @raise ValueError: if they are too many, too long, or none; without hops the field is left out.
    """
    if not 1 <= len(names) <= MAX_VIA or not all(1 <= len(name) <= _MAX_NAME for name in names):
        raise ValueError(f"hermes-via holds 1 to {MAX_VIA} names of at most {_MAX_NAME} characters")
    return http_sf.ser(list(names)).encode("ascii")


def parseVia(value: bytes) -> tuple[str, ...]:
    """
    The inverse of L{writeVia}. Parameters are ignored.

    @raise MalformedError: if it is not a list of names, or too long.
    """
    names = tuple(name for name, _ in _items(value))
    if len(names) > MAX_VIA:
        raise MalformedError("hermes-via names too many hops")
    if not all(isinstance(name, str) and 1 <= len(name) <= _MAX_NAME for name in names):
        raise MalformedError("hermes-via is not a list of names")
    return tuple(map(str, names))


def parseCapsuleProtocol(value: bytes | None) -> bool:
    """
    Whether C{capsule-protocol} says that the body is a sequence of capsules. Any value that is not a true Boolean is
    the same as no field (RFC 9297 section 3.4).
    """
    if value is None or len(value) > _MAX_FIELD:
        return False
    if value == CAPSULE_PROTOCOL:
        return True
    try:
        item = http_sf.parse(value, tltype="item")
    except http_sf.StructuredFieldError:
        return False
    return isinstance(item, tuple) and item[0] is True


def forwarded(
    source: tuple[str, int] | None,
    by: str | None = None,
    host: str | None = None,
    proto: str | None = None,
) -> bytes:
    """
    A Forwarded field with one element (RFC 7239).

    @param source: address and port of the client; L{None} is written as C{unknown}.
    @param by: our name: an obfuscated identifier (a leading underscore) is made of it.
    @param host: the Host that the client sent.
    @param proto: the scheme that the client used.
    @raise ValueError: if a value has characters that no quoted string holds.
    """
    node = "unknown" if source is None else writeAuthority(*source).decode("ascii")
    pairs = [("for", node)]
    if by is not None:
        pairs.append(("by", "_" + re.sub(r"[^A-Za-z0-9._-]", "_", by)))
    if host is not None:
        pairs.append(("host", host))
    if proto is not None:
        pairs.append(("proto", proto))
    return ";".join(f"{name}={_quoted(value)}" for name, value in pairs).encode("ascii")


def parseBasic(value: bytes) -> tuple[str, str] | None:
    """
    User and password from the value of an Authorization or Proxy-Authorization field (RFC 7617), in UTF-8.

    @return: L{None} where the field is of another scheme.
    @raise MalformedError: if it is of this scheme and can't be read.
    """
    credentials = _credentials(value, b"basic")
    if credentials is None:
        return None
    try:
        text = b64decode(credentials, validate=True).decode("utf-8")
    except ValueError:
        raise MalformedError("the Basic credentials are not text in base64") from None
    user, colon, password = text.partition(":")
    if not colon or any(character < " " or character == "\x7f" for character in text):
        raise MalformedError("the Basic credentials are not USER:PASSWORD")
    return user, password


def parseBearer(value: bytes) -> str | None:
    """
    The token from the value of an Authorization or Proxy-Authorization field (RFC 6750).

    @return: L{None} where the field is of another scheme.
    @raise MalformedError: if it is of this scheme and has no token.
    """
    credentials = _credentials(value, b"bearer")
    return None if credentials is None else credentials.decode("ascii")


def _credentials(value: bytes, scheme: bytes) -> bytes | None:
    """
    The token68 (RFC 9110 section 11.2) behind a scheme, or L{None} where the scheme is another.
    """
    name, _, rest = value.strip(b" \t").partition(b" ")
    if name.lower() != scheme:
        return None
    token = rest.strip(b" ")
    if len(token) > _MAX_FIELD or not _TOKEN68.fullmatch(token):
        raise MalformedError(f"the {scheme.decode('ascii').capitalize()} credentials can't be read")
    return token


def _items(value: bytes) -> list[tuple[http_sf.types.BareItemType, http_sf.types.ParamsType]]:
    """
    A structured list that has no inner lists.
    """
    if len(value) > _MAX_FIELD:
        raise MalformedError("a structured field is too long")
    try:
        members = http_sf.parse(value, tltype="list")
    except http_sf.StructuredFieldError as error:
        raise MalformedError(f"a structured field can't be read: {error}") from None
    items: list[tuple[http_sf.types.BareItemType, http_sf.types.ParamsType]] = []
    assert isinstance(members, list)
    for member in members:
        if not isinstance(member, tuple) or isinstance(member[0], list):
            raise MalformedError("a structured field has an inner list where an item is to be")
        items.append((member[0], member[1]))
    return items


def _sanitised(text: str) -> str:
    """
    What a structured string can hold (RFC 9651 section 3.3.3): visible ASCII and spaces.
    """
    return "".join(character if " " <= character <= "~" else "?" for character in text)


def _quoted(value: str) -> str:
    """
    A token, or a quoted string (RFC 9110 section 5.6.4).
    """
    if _HTTP_TOKEN.fullmatch(value):
        return value
    if not all(" " <= character <= "~" for character in value):
        raise ValueError(f"{value!r} has characters that a field can't hold")
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
