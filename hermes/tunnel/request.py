"""
What a request asks a proxy to open, and the heads that ask for it.

    ============  ==================================================================================================
    CONNECT       RFC 9110 section 9.3.6: the authority is the target
    CONNECT_TCP   draft-ietf-httpbis-connect-tcp, in the form it has from version 08 on: C{:protocol: connect-tcp}, a
                  URI template, DATA and FINAL_DATA capsules (see L{hermes.tunnel.tcpcapsules})
    CONNECT_UDP   RFC 9298: C{:protocol: connect-udp}, a URI template, HTTP Datagrams in DATAGRAM capsules
    CONNECT_IP    RFC 9484: C{:protocol: connect-ip}, the same with whole IP packets (see L{hermes.tunnel.iprequest})
    LISTEN        ours: a listening port at the proxy (see L{hermes.tunnel.reverse})
    ACCEPT        ours: one connection that such a port accepted
    ============  ==================================================================================================
"""

from __future__ import annotations

import re
from enum import Enum
from typing import Final

from attrs import frozen

from hermes.errors import BadRequest, FlowError
from hermes.tunnel.iprequest import EVERYWHERE, scopeOf
from hermes.values import Headers, RequestHead, Target
from hermes.wire import template
from hermes.wire.errors import MalformedError
from hermes.wire.host import parseAuthority, parseHost, writeAuthority
from hermes.wire.template import PathTemplate, targetOf

TCP_TEMPLATE: Final = PathTemplate(template.TCP_TEMPLATE)
UDP_TEMPLATE: Final = PathTemplate(template.UDP_TEMPLATE)
IP_TEMPLATE: Final = PathTemplate(template.IP_TEMPLATE, required=())
LISTEN_TEMPLATE: Final = PathTemplate("/.well-known/hermes/listen/tcp/{target_host}/{target_port}/")
ACCEPT_TEMPLATE: Final = PathTemplate("/.well-known/hermes/accept/{id}/", required=("id",))

CAPSULE_PROTOCOL: Final[Headers] = ((b"capsule-protocol", b"?1"),)
"""
Says that the stream carries capsules (RFC 9297 section 3.4).
"""

_TOKEN = re.compile(r"[A-Za-z0-9_-]{16,128}\Z")


class PathUnknown(FlowError):
    """
    Nothing is served at the path of the request.
    """

    status = 404
    proxyStatus = "http_request_error"


class Kind(Enum):
    """
    The kinds of tunnel.
    """

    CONNECT = "CONNECT"
    CONNECT_TCP = "connect-tcp"
    CONNECT_UDP = "connect-udp"
    CONNECT_IP = "connect-ip"
    LISTEN = "hermes-listen"
    ACCEPT = "hermes-accept"

    @property
    def templated(self) -> bool:
        """
        Whether the proxy is the origin that the request names, so that a client authenticates with C{Authorization} and
        is answered 401, not 407 (draft-ietf-httpbis-connect-tcp section 3.3; RFC 9298 names its proxy in the same way).
        """
        return self is not Kind.CONNECT


@frozen
class TunnelRequest:
    """
    @ivar target: where to; for LISTEN the address to bind, for ACCEPT nowhere. For CONNECT_IP its port is 0, and its
        host may be a prefix, or C{"*"} for everywhere.
    @ivar listener: for ACCEPT the id of the listening port; else empty.
    @ivar ipProtocol: for CONNECT_IP the protocol of the packets, L{None} for every one.
    """

    kind: Kind
    target: Target
    listener: str = ""
    ipProtocol: int | None = None


NOWHERE: Final = Target("", 0)

_KINDS: Final = {
    b"connect-tcp": Kind.CONNECT_TCP,
    # The draft's name for tests between implementations, until it is an RFC.
    b"connect-tcp-07": Kind.CONNECT_TCP,
    b"connect-udp": Kind.CONNECT_UDP,
    b"connect-ip": Kind.CONNECT_IP,
    b"hermes-listen": Kind.LISTEN,
    b"hermes-accept": Kind.ACCEPT,
}


@frozen
class Templates:
    """
    The URI templates under which a proxy serves each kind of tunnel.
    """

    tcp: tuple[PathTemplate, ...] = (TCP_TEMPLATE,)
    udp: tuple[PathTemplate, ...] = (UDP_TEMPLATE,)
    ip: tuple[PathTemplate, ...] = (IP_TEMPLATE,)

    def of(self, kind: Kind) -> tuple[PathTemplate, ...]:
        """
        Those of one kind.
        """
        match kind:
            case Kind.CONNECT_TCP:
                return self.tcp
            case Kind.CONNECT_UDP:
                return self.udp
            case Kind.CONNECT_IP:
                return self.ip
            case Kind.LISTEN:
                return (LISTEN_TEMPLATE,)
            case Kind.ACCEPT:
                return (ACCEPT_TEMPLATE,)
        return ()

    def serve(self, path: bytes) -> bool:
        """
        Whether a tunnel of some kind is served at C{path}.
        """
        return any(known.match(path) is not None for kind in Kind for known in self.of(kind))


DEFAULT_TEMPLATES: Final = Templates()


def recognise(head: RequestHead, templates: Templates = DEFAULT_TEMPLATES) -> TunnelRequest | None:
    """
    What tunnel a request asks for; L{None} where it is no CONNECT of either form, or has a C{:protocol} that is not for
    proxies: a WebSocket, for one.

    @raise BadRequest: where it is malformed.
    @raise PathUnknown: for a path that no template of that protocol has.
    """
    if head.method != b"CONNECT":
        return None
    if head.protocol is None:
        return TunnelRequest(Kind.CONNECT, _authorityTarget(head.authority))
    kind = _KINDS.get(head.protocol.lower())
    if kind is None:
        return None
    if not head.authority or not head.scheme or not head.path:
        raise BadRequest("an extended CONNECT names a scheme, an authority and a path")
    for known in templates.of(kind):
        values = known.match(head.path)
        if values is not None:
            return _fromValues(kind, values)
    raise PathUnknown(f"no {kind.value} is served at this path")


def _authorityTarget(authority: bytes) -> Target:
    """
    The target of a CONNECT. The port may not be left out (RFC 9110 section 9.3.6).
    """
    try:
        host, port = parseAuthority(authority)
    except MalformedError as error:
        raise BadRequest(f"CONNECT names a host and a port: {error}") from None
    if port is None:
        raise BadRequest("CONNECT names a host and a port: the port is missing")
    return Target(host, port)


def _fromValues(kind: Kind, values: dict[str, str]) -> TunnelRequest:
    if kind is Kind.ACCEPT:
        listener = values["id"]
        if _TOKEN.match(listener) is None:
            raise BadRequest("the id of the listening port is malformed")
        return TunnelRequest(kind, NOWHERE, listener)
    try:
        if kind is Kind.CONNECT_IP:
            target, protocol = scopeOf(values)
            return TunnelRequest(kind, target, ipProtocol=protocol)
        if kind is Kind.LISTEN and values["target_port"] == "0":
            return TunnelRequest(kind, Target(parseHost(values["target_host"].encode("utf-8")), 0))
        return TunnelRequest(kind, Target(*targetOf(values)))
    except MalformedError as error:
        raise BadRequest(f"{error}") from None


def connectHead(target: Target, headers: Headers = ()) -> RequestHead:
    """
    CONNECT: the authority and nothing else (RFC 9113 section 8.5).
    """
    try:
        authority = writeAuthority(target.host, target.port)
    except UnicodeEncodeError:
        raise BadRequest("a name in a request is ASCII: write it in its xn-- form") from None
    return RequestHead(b"CONNECT", authority=authority, headers=headers)


def connectTCPHead(
    target: Target,
    authority: bytes,
    scheme: bytes = b"https",
    pathTemplate: PathTemplate = TCP_TEMPLATE,
    headers: Headers = (),
) -> RequestHead:
    """
    connect-tcp at the proxy C{authority}.
    """
    return _extended(b"connect-tcp", target, authority, scheme, pathTemplate, headers)


def connectUDPHead(
    target: Target,
    authority: bytes,
    scheme: bytes = b"https",
    pathTemplate: PathTemplate = UDP_TEMPLATE,
    headers: Headers = (),
) -> RequestHead:
    """
    CONNECT-UDP at the proxy C{authority}.
    """
    return _extended(b"connect-udp", target, authority, scheme, pathTemplate, headers)


def connectIPHead(
    target: str,
    protocol: int | None,
    authority: bytes,
    scheme: bytes = b"https",
    pathTemplate: PathTemplate = IP_TEMPLATE,
    headers: Headers = (),
) -> RequestHead:
    """
    CONNECT-IP at the proxy C{authority}.

    @param target: C{*}, a name, an IP address or a prefix.
    @param protocol: of the packets, L{None} for every one.
    @raise BadRequest: where the template has no place for what is asked for: the packets of others would come too.
    """
    for name, asked in (("target", target != EVERYWHERE), ("ipproto", protocol is not None)):
        if asked and name not in pathTemplate.variables:
            raise BadRequest(f"the proxy's template for IP has no variable {name}: it takes everything")
    path = pathTemplate.expand(target=target, ipproto=EVERYWHERE if protocol is None else protocol).encode("ascii")
    return RequestHead(b"CONNECT", scheme, authority, path, b"connect-ip", CAPSULE_PROTOCOL + headers)


def listenHead(bind: Target, authority: bytes, scheme: bytes = b"https", headers: Headers = ()) -> RequestHead:
    """
    Ask the proxy C{authority} to listen on C{bind}.
    """
    return _extended(b"hermes-listen", bind, authority, scheme, LISTEN_TEMPLATE, headers, capsules=False)


def acceptHead(listener: str, authority: bytes, scheme: bytes = b"https", headers: Headers = ()) -> RequestHead:
    """
    Wait for a connection that the listening port C{listener} accepts.
    """
    path = ACCEPT_TEMPLATE.expand(id=listener).encode("ascii")
    return RequestHead(b"CONNECT", scheme, authority, path, b"hermes-accept", headers)


def _extended(
    protocol: bytes,
    target: Target,
    authority: bytes,
    scheme: bytes,
    pathTemplate: PathTemplate,
    headers: Headers,
    capsules: bool = True,
) -> RequestHead:
    path = pathTemplate.expand(target_host=target.host, target_port=target.port).encode("ascii")
    if capsules:
        headers = CAPSULE_PROTOCOL + headers
    return RequestHead(b"CONNECT", scheme, authority, path, protocol, headers)
