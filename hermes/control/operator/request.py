"""
One request to the operator's interface: bounded, and with headers that keep browsers from doing what nobody meant.
"""

from __future__ import annotations

from typing import Any, Final

from twisted.web.server import Request

from hermes.control.errors import ControlError
from hermes.control.operator.access import Access, Actor

MAX_DOCUMENT: Final = 16 << 20
"""
The longest overlay document, bytes.
"""

MAX_UNKNOWN: Final = 16 << 10
"""
The most that somebody may send who is no operator, or not yet: a form.
"""

HEADERS: Final[tuple[tuple[bytes, bytes], ...]] = (
    (
        b"content-security-policy",
        b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        b"form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"interest-cohort=()"),
    (b"cache-control", b"no-store"),
    (b"vary", b"cookie, authorization"),
    (b"server", b"hermes"),
)


# Without types: what it has is not annotated.
_Request: Any = Request


class OperatorRequest(_Request):  # type: ignore[misc]
    """
    See the module. Its site has C{access} and C{local}, as L{Access.actor} has them.

    @ivar limit: how many bytes it may bring.
    @ivar tooLong: whether it brought more: these were thrown away.
    """

    limit: int = MAX_UNKNOWN
    tooLong: bool = False

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._actor: Actor | ControlError | None = None
        self._taken = 0

    def actor(self) -> Actor:
        """
        Who asks: found out once, so that a wrong token counts once.

        @raise ControlError: as L{Access.actor}.
        """
        if self._actor is None:
            site = self.channel.site
            access: Access = site.access
            try:
                self._actor = access.actor(self, site.local)
            except ControlError as error:
                self._actor = error
        if isinstance(self._actor, ControlError):
            raise self._actor
        return self._actor

    def tell(self, status: int, body: bytes, kind: str) -> None:
        """
        Answer.

        @param kind: the media type.
        """
        self.setResponseCode(status)
        self.setHeader(b"content-type", kind.encode())
        self.setHeader(b"content-length", b"%d" % len(body))
        self.write(body)
        self.finish()

    def gotLength(self, length: int | None) -> None:
        try:
            known = self.actor().known
        except ControlError:
            known = False
        self.limit = MAX_DOCUMENT if known else MAX_UNKNOWN
        self.tooLong = length is not None and length > self.limit
        super().gotLength(0 if self.tooLong else length)

    def handleContentChunk(self, data: bytes) -> None:
        self._taken += len(data)
        self.tooLong = self.tooLong or self._taken > self.limit
        if not self.tooLong:
            super().handleContentChunk(data)

    def process(self) -> None:
        for name, value in HEADERS:
            self.setHeader(name, value)
        super().process()

    def setHeader(self, name: Any, value: Any) -> None:
        # twisted.web would tell its version.
        if name != b"Server":
            super().setHeader(name, value)
