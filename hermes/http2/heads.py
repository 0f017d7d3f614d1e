"""
Message heads to and from header lists, and the rules of RFC 9113 section 8 for them. Sans-IO.

A head that breaks a rule is a malformed message: a stream error, so that the other streams go on.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from hermes.values import Headers, RequestHead, ResponseHead


class MalformedHead(ValueError):
    """
    A head breaks RFC 9113 section 8.2 or 8.3.
    """


_NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9a-z]+\Z")
# In the values of a head, each between two of these.
_BETWEEN = b"\x00"
_BAD_IN_VALUES = (b"\r", b"\n", b"\x00 ", b" \x00", b"\x00\t", b"\t\x00")
_CONNECTION_SPECIFIC = frozenset({b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"})
_REQUEST_PSEUDO = frozenset({b":method", b":scheme", b":authority", b":path", b":protocol"})
_RESPONSE_PSEUDO = frozenset({b":status"})
# A request goes on in other versions of HTTP too: nothing may be in these that would end there what it is part of.
_NOT_IN_PATHS = bytes({*range(0x21), 0x7F})
_AUTHORITY = re.compile(rb"[A-Za-z0-9\-._~%!$&'()*+,;=:\[\]]+\Z")
_SCHEME = re.compile(rb"[A-Za-z][A-Za-z0-9+\-.]*\Z")
_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+\Z")

# Names that regular fields may have, as far as they were met.
_MAX_NAMES = 2048
_names: set[bytes] = set()

# What most requests have.
_METHODS = frozenset({b"GET", b"POST", b"HEAD", b"PUT", b"DELETE", b"OPTIONS", b"PATCH", b"CONNECT"})
_SCHEMES = frozenset({b"http", b"https"})
_STATUSES = {b"%d" % status: status for status in range(100, 600) if status != 101}


def _split(
    fields: Sequence[tuple[bytes, bytes]], known: frozenset[bytes]
) -> tuple[dict[bytes, bytes], list[tuple[bytes, bytes]]]:
    pseudo: dict[bytes, bytes] = {}
    place = 0
    for name, value in fields:
        if name[:1] != b":":
            break
        if name not in known:
            raise MalformedHead(f"{name!r} does not belong here")
        if name in pseudo:
            raise MalformedHead(f"{name!r} twice")
        pseudo[name] = value
        place += 1
    regular = list(fields[place:])
    for name, value in regular:
        if name not in _names:
            _checkName(name, value)
    values = _BETWEEN.join([b"", *[pair[1] for pair in fields], b""])
    if values.count(_BETWEEN) != len(fields) + 1:
        raise MalformedHead("a value with a NUL")
    for bad in _BAD_IN_VALUES:
        if bad in values:
            raise MalformedHead("a value with an end of line, or with white space around it")
    return pseudo, regular


def _checkName(name: bytes, value: bytes) -> None:
    if name[:1] == b":":
        raise MalformedHead(f"{name!r} after a regular field")
    if _NAME.match(name) is None:
        raise MalformedHead(f"field name {name!r}")
    if name in _CONNECTION_SPECIFIC:
        raise MalformedHead(f"connection-specific field {name!r}")
    if name == b"te":
        # Not remembered: its value matters.
        if value.lower() != b"trailers":
            raise MalformedHead(f"te: {value!r}")
    elif len(name) <= 64:
        if len(_names) >= _MAX_NAMES:
            _names.clear()
        _names.add(name)


def readRequest(fields: Sequence[tuple[bytes, bytes]], extendedConnect: bool) -> RequestHead:
    """
    A request head (RFC 9113 section 8.3.1, CONNECT in 8.5, extended CONNECT in RFC 8441 section 4).

    @param extendedConnect: whether we have offered SETTINGS_ENABLE_CONNECT_PROTOCOL.
    @raise MalformedHead: where it breaks a rule.
    """
    pseudo, regular = _split(fields, _REQUEST_PSEUDO)
    method = pseudo.get(b":method", b"")
    if method not in _METHODS and _TOKEN.match(method) is None:
        raise MalformedHead(":method is missing or no token")
    protocol = pseudo.get(b":protocol")
    scheme, path = pseudo.get(b":scheme", b""), pseudo.get(b":path", b"")
    authority = pseudo.get(b":authority", b"")
    if protocol is not None:
        if not extendedConnect:
            raise MalformedHead(":protocol, and extended CONNECT was not offered")
        if method != b"CONNECT" or _TOKEN.match(protocol) is None:
            raise MalformedHead(":protocol without CONNECT")
    if method == b"CONNECT" and protocol is None:
        if b":scheme" in pseudo or b":path" in pseudo or not authority:
            raise MalformedHead("CONNECT takes :authority and no :scheme or :path")
    elif not scheme or not path or (path[:1] != b"/" and not (path == b"*" and method == b"OPTIONS")):
        raise MalformedHead(":scheme or :path is missing or wrong")
    hosts = [value for name, value in regular if name == b"host"]
    if hosts:
        if len(hosts) > 1 or (authority and hosts[0] != authority):
            raise MalformedHead("host and :authority differ")
        authority = authority or hosts[0]
        regular = [item for item in regular if item[0] != b"host"]
    if not authority and scheme in (b"http", b"https"):
        raise MalformedHead("neither :authority nor host")
    if authority and _AUTHORITY.match(authority) is None:
        # User information is not allowed either.
        raise MalformedHead(f"authority {authority!r}")
    if path and len(path.translate(None, _NOT_IN_PATHS)) != len(path):
        raise MalformedHead(f":path {path!r}")
    if scheme and scheme not in _SCHEMES and _SCHEME.match(scheme) is None:
        raise MalformedHead(f":scheme {scheme!r}")
    return RequestHead(method, scheme, authority, path, protocol, tuple(regular))


def readResponse(fields: Sequence[tuple[bytes, bytes]]) -> ResponseHead:
    """
    A response head (RFC 9113 section 8.3.2).

    @raise MalformedHead: where it breaks a rule.
    """
    pseudo, regular = _split(fields, _RESPONSE_PSEUDO)
    status = _STATUSES.get(pseudo.get(b":status", b""))
    if status is None:
        raise MalformedHead(f":status {pseudo.get(b':status')!r}")
    return ResponseHead(status, tuple(regular))


def readTrailers(fields: Sequence[tuple[bytes, bytes]]) -> Headers:
    """
    Trailer fields (RFC 9113 section 8.1): no pseudo-header fields.
    """
    return tuple(_split(fields, frozenset())[1])


def readContentLength(headers: Headers) -> int | None:
    """
    The value of C{content-length}, or L{None} where there is none.

    @raise MalformedHead: where it is no number, or several differ.
    """
    values = [value for name, value in headers if name == b"content-length"]
    if not values:
        return None
    value = values[0]
    if (len(values) > 1 and len(set(values)) > 1) or not value.isdigit() or len(value) > 18:
        raise MalformedHead("content-length")
    return int(value)


def writeRequest(head: RequestHead) -> Sequence[tuple[bytes, bytes]]:
    """
    The header list of a request.
    """
    fields = [(b":method", head.method)]
    if head.protocol is not None:
        fields.append((b":protocol", head.protocol))
    if head.scheme:
        fields.append((b":scheme", head.scheme))
    if head.authority:
        fields.append((b":authority", head.authority))
    if head.path:
        fields.append((b":path", head.path))
    fields += head.headers
    return fields


def writeResponse(head: ResponseHead) -> Sequence[tuple[bytes, bytes]]:
    """
    The header list of a response.
    """
    return [(b":status", b"%d" % head.status), *head.headers]
