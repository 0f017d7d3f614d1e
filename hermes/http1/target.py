"""
The request target (RFC 9112 section 3.2), and what it and C{Host} say together.
"""

from __future__ import annotations

import re

from attrs import define

from hermes.http1.errors import Malformed

_AUTHORITY = re.compile(rb"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~!$&'()*+,;=%-]+)(?::[0-9]{0,5})?")
_HOST_AND_PORT = re.compile(rb"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~!$&'()*+,;=%-]+):([0-9]{1,5})")
_ABSOLUTE = re.compile(rb"([A-Za-z][A-Za-z0-9+.-]*)://([^/?]*)([^?]*)(\?.*)?")


# Hosts that are none the worse for having been looked at before.
_MAX_HOSTS = 1024
_hosts: set[bytes] = set()


@define
class Destination:
    """
    As in L{hermes.values.RequestHead}.
    """

    scheme: bytes
    authority: bytes
    path: bytes


def readTarget(method: bytes, target: bytes, host: bytes | None, scheme: bytes) -> Destination:
    """
    @param target: as in the request line.
    @param host: the C{Host} field's value; L{None} where an HTTP/1.0 request has none.
    @param scheme: of a target that has none of its own: by whether the connection is secure.
    @raise Malformed: where the target has none of the four forms, or C{Host} is no host.
    """
    if host and host not in _hosts:
        if _AUTHORITY.fullmatch(host) is None:
            raise Malformed("Host is no host")
        if len(_hosts) >= _MAX_HOSTS:
            _hosts.clear()
        _hosts.add(host)
    if b"#" in target:
        raise Malformed("a request target has no fragment")
    if method == b"CONNECT":
        match = _HOST_AND_PORT.fullmatch(target)
        if match is None or int(match[1]) > 65535:
            raise Malformed("CONNECT takes HOST:PORT")
        # Clients differ in what Host they send with CONNECT; the target alone says where to (RFC 9110 section 9.3.6).
        return Destination(b"", target, b"")
    if target[:1] == b"/":
        return Destination(scheme, host or b"", target)
    if target == b"*":
        if method != b"OPTIONS":
            raise Malformed("the target * is for OPTIONS")
        return Destination(scheme, host or b"", target)
    match = _ABSOLUTE.fullmatch(target)
    if match is None:
        raise Malformed("the request target has no known form")
    scheme, authority, path, query = match[1].lower(), match[2], match[3], match[4] or b""
    if _AUTHORITY.fullmatch(authority) is None:
        raise Malformed("the request target names no host, or user information")
    # RFC 9112 section 3.2.2 has a proxy ignore what Host says; whoever looks at it nevertheless, behind us or before,
    # must not be told of another origin.
    if host is not None and host != authority and _origin(host, scheme) != _origin(authority, scheme):
        raise Malformed("Host and the request target differ")
    if not path:
        path = b"*" if method == b"OPTIONS" and not query else b"/"
    return Destination(scheme, authority, path + query)


_DEFAULT_PORTS = {b"http": b":80", b"https": b":443"}


def _origin(authority: bytes, scheme: bytes) -> bytes:
    """
    An authority for comparison: lower case, and without the scheme's own port.
    """
    return authority.lower().removesuffix(_DEFAULT_PORTS.get(scheme, b"")).removesuffix(b":")
