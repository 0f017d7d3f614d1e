"""
What an intermediary changes in the heads that pass it (RFC 9110 sections 5.7 and 7.6, RFC 7239). Fields for one hop
are left out already, by whoever reads a head.
"""

from __future__ import annotations

from collections.abc import Callable
from email.utils import formatdate
from hashlib import blake2s
from typing import Final

from hermes.errors import BadRequest, FlowError
from hermes.messages import Response
from hermes.values import Address, Forwarded, RequestHead, ResponseHead

# What is meant for this proxy.
_CONSUMED: Final = frozenset({b"proxy-authorization", b"max-forwards", b"host", b"sec-websocket-key"})

# What one of us would believe: only from one of us.
_CLAIMS: Final = frozenset({b"forwarded", b"user", b"x-real-ip"})
_CLAIMED: Final = b"x-forwarded-"
_OURS: Final = b"hermes-"

_PREFIX: Final = 7
_PREFIXES: Final = frozenset({_CLAIMED[:_PREFIX], _OURS[:_PREFIX]})

_LOOKED_AT: Final = _CONSUMED | _CLAIMS | {b"cookie", b"trailer", b"via"}

# What only a proxy that is asked may say to whoever asks, or an end of a connection to the other.
_LOOKED_AT_IN_RESPONSES: Final = frozenset(
    {b"proxy-authenticate", b"proxy-authentication-info", b"sec-websocket-accept", b"date", b"trailer"}
)

MAX_CLIENTS: Final = 4096
"""
Clients whose part of C{Forwarded} is kept.
"""


class LoopDetected(FlowError):
    """
    The request was here before.
    """

    proxyStatus = "proxy_loop_detected"


class Heads:
    """
    Heads as they are sent on.

    @ivar pseudonym: this proxy's name in C{Via} (RFC 9110 section 7.6.3), the same as no other's.
    """

    def __init__(self, pseudonym: bytes, seconds: Callable[[], float], secret: bytes) -> None:
        """
        @param pseudonym: a token. Not the node's name: an origin is not to learn how the overlay is built, and the name
            of another's node may be the same.
        @param seconds: the time since 1970.
        @param secret: what the words that stand for addresses are made with, at most 32 bytes.
        """
        self.pseudonym = pseudonym
        self._seconds = seconds
        self._secret = secret
        self._via = {version: (b"via", version.encode() + b" " + pseudonym) for version in ("1.0", "1.1", "2")}
        self._clients: dict[tuple[str | None, Forwarded], bytes] = {}
        self._second = -1
        self._date = (b"date", b"")

    def lastHop(self, head: RequestHead) -> Response | None:
        """
        What this proxy answers itself, because the request may pass no further one (C{Max-Forwards: 0}, RFC 9110
        section 7.6.2); L{None} where it is to be sent on.

        @raise BadRequest: where C{Max-Forwards} is no number.
        """
        if head.method != b"OPTIONS" or _hopsLeft(head) != 0:
            return None
        return Response(ResponseHead(200, ((b"content-length", b"0"),)))

    def request(
        self,
        head: RequestHead,
        version: str,
        source: Address | None,
        trusted: bool = False,
        forwarded: Forwarded = "none",
    ) -> RequestHead:
        """
        A request's head as it is sent on.

        @param version: of HTTP, in which the request came.
        @param source: the client's address.
        @param trusted: whether the client is a node of ours: what it says about whoever was before it is kept.
        @raise BadRequest: where C{Max-Forwards} is no number.
        @raise LoopDetected: where the request has passed this proxy before.
        """
        fields: list[tuple[bytes, bytes]] = []
        append = fields.append
        cookie: bytes | None = None
        trailer = False
        for pair in head.headers:
            name = pair[0]
            if name in _LOOKED_AT:
                if name == b"cookie":
                    # HTTP/2 may have cut it up (RFC 9113 section 8.2.3).
                    cookie = pair[1] if cookie is None else cookie + b"; " + pair[1]
                elif name == b"via":
                    # Nobody else's name holds ours.
                    if self.pseudonym in pair[1]:
                        raise LoopDetected("the request came back to this proxy")
                    append(pair)
                elif name == b"trailer":
                    trailer = True
                    append(pair)
                elif name == b"max-forwards":
                    hops = _hopsLeft(head)
                    append(pair if hops is None else (name, b"%d" % max(hops - 1, 0)))
                elif trusted and name in _CLAIMS:
                    append(pair)
            elif name[:_PREFIX] not in _PREFIXES or not (
                name.startswith(_OURS) or (not trusted and name.startswith(_CLAIMED))
            ):
                append(pair)
        if cookie is not None:
            append((b"cookie", cookie))
        if trailer:
            fields = _withoutLength(fields)
            append = fields.append
        if forwarded != "none":
            client = self._clients.get((None if source is None else source[0], forwarded))
            if client is None:
                client = self._client(source, forwarded)
            # Of an authority that was read, nothing needs an escape.
            append((b"forwarded", b'%s;host="%s";proto=%s' % (client, head.authority, head.scheme or b"http")))
        append(self._via[version])
        return RequestHead(head.method, head.scheme, head.authority, head.path, head.protocol, tuple(fields))

    def response(self, head: ResponseHead, version: str) -> ResponseHead:
        """
        A response's head as it is sent on.

        @param version: of HTTP, in which the response came.
        """
        fields: list[tuple[bytes, bytes]] = []
        append = fields.append
        dated = head.status < 200
        trailer = False
        for pair in head.headers:
            name = pair[0]
            if name in _LOOKED_AT_IN_RESPONSES:
                if name == b"date":
                    dated = True
                elif name == b"trailer":
                    trailer = True
                else:
                    continue
            elif name[:_PREFIX] == _OURS:
                continue
            append(pair)
        if trailer or head.status == 204:
            fields = _withoutLength(fields)
            append = fields.append
        if not dated:
            append(self.date())
        append(self._via[version])
        return ResponseHead(head.status, tuple(fields))

    def informational(self, head: ResponseHead) -> ResponseHead:
        """
        The head of an informational response as it is sent on.
        """
        kept = [pair for pair in head.headers if pair[0][:_PREFIX] != _OURS]
        return ResponseHead(head.status, tuple(_withoutLength(kept)))

    def date(self) -> tuple[bytes, bytes]:
        """
        C{Date}, for a response that has none (RFC 9110 section 6.6.1).
        """
        second = int(self._seconds())
        if second != self._second:
            self._second = second
            self._date = (b"date", formatdate(second, usegmt=True).encode("ascii"))
        return self._date

    def _client(self, source: Address | None, forwarded: Forwarded) -> bytes:
        if source is None:
            node = b"unknown"
        elif forwarded == "obfuscated":
            node = b"_" + blake2s(source[0].encode(), key=self._secret, digest_size=6).hexdigest().encode()
        elif ":" in source[0]:
            node = b'"[%s]"' % source[0].partition("%")[0].encode("ascii")
        else:
            node = source[0].encode("ascii")
        if len(self._clients) >= MAX_CLIENTS:
            self._clients.clear()
        client = self._clients[(None if source is None else source[0], forwarded)] = b"for=" + node
        return client


def _hopsLeft(head: RequestHead) -> int | None:
    """
    How many proxies the request may still pass, this one included; L{None} where that is not said, or means nothing.
    """
    # TRACE counts too, and is nothing that is sent on.
    if head.method != b"OPTIONS":
        return None
    value = head.get(b"max-forwards")
    if value is None:
        return None
    if not value.isdigit() or len(value) > 9:
        raise BadRequest("Max-Forwards is no number")
    return int(value)


def _withoutLength(fields: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """
    In HTTP/1.1 a body of a known length has no place for trailers: chunks have. And what can have no body has no length
    (RFC 9110 section 8.6), though some servers say one.
    """
    return [pair for pair in fields if pair[0] != b"content-length"]
