"""
What a proxy changes in the heads of the requests and responses that it sends on.
"""

from __future__ import annotations

from typing import Final

from hermes.errors import BadRequest
from hermes.values import Headers, RequestHead, ResponseHead

# What is meant for this proxy, what only a proxy may say, and what one of us would believe.
DROPPED: Final = frozenset({b"proxy-authorization", b"expect", b"user", b"forwarded", b"x-real-ip", b"max-forwards"})
DROPPED_PREFIXES: Final = (b"x-forwarded-", b"hermes-")

DROPPED_FROM_RESPONSES: Final = frozenset({b"proxy-authenticate", b"proxy-authentication-info"})


class ForwardHeads:
    """
    Heads as they are sent on. Fields for one hop are left out already, by whoever reads a head.
    """

    def __init__(self, pseudonym: bytes) -> None:
        """
        @param pseudonym: this proxy's name in C{Via} (RFC 9110 section 7.6.3), the same as no other's.
        """
        self._pseudonym = pseudonym

    def wasHere(self, head: RequestHead) -> bool:
        """
        Whether the request has passed this proxy before.
        """
        via = head.get(b"via")
        return via is not None and any(
            self._pseudonym in member.strip(b" \t").split(b" ")[1:2] for member in via.split(b",")
        )

    def hopsLeft(self, head: RequestHead) -> int | None:
        """
        How many proxies an OPTIONS request may still pass, this one included (RFC 9110 section 7.6.2); L{None} where
        nothing is said.

        @raise BadRequest: where that is no number.
        """
        value = head.get(b"max-forwards")
        if value is None or head.method != b"OPTIONS":
            return None
        if not value.isdigit() or len(value) > 9:
            raise BadRequest("Max-Forwards is no number")
        return int(value)

    def request(self, head: RequestHead, version: str, hops: int | None = None) -> RequestHead:
        """
        @param version: of HTTP, in which the request came.
        @param hops: what L{hopsLeft} gave.
        """
        fields: list[tuple[bytes, bytes]] = []
        cookies: list[bytes] = []
        for name, value in head.headers:
            if name == b"cookie":
                cookies.append(value)
            elif name != b"via" and name not in DROPPED and not name.startswith(DROPPED_PREFIXES):
                fields.append((name, value))
        if cookies:
            # HTTP/2 may have cut it up (RFC 9113 section 8.2.3).
            fields.append((b"cookie", b"; ".join(cookies)))
        if hops is not None:
            fields.append((b"max-forwards", b"%d" % (hops - 1)))
        fields.append((b"via", self._via(head.get(b"via"), version)))
        return RequestHead(head.method, head.scheme, head.authority, head.path, None, tuple(fields))

    def response(self, head: ResponseHead) -> ResponseHead:
        """
        The response to it, which came in HTTP/1.1.
        """
        fields: Headers = tuple(
            (name, value) for name, value in head.headers if name != b"via" and name not in DROPPED_FROM_RESPONSES
        )
        return ResponseHead(head.status, (*fields, (b"via", self._via(head.get(b"via"), "1.1"))))

    def _via(self, before: bytes | None, version: str) -> bytes:
        own = version.encode() + b" " + self._pseudonym
        return own if before is None else before + b", " + own
