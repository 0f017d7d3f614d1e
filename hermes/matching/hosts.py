"""
Hosts of HTTP requests, and the patterns for them.
"""

from __future__ import annotations

from functools import lru_cache

from attrs import frozen

from hermes.matching.targets import IPAddress, canonicalHost, checkedName
from hermes.wire.errors import MalformedError
from hermes.wire.host import parseAuthority


@lru_cache(4096)
def authorityHost(authority: bytes) -> str | IPAddress:
    """
    The host of a request's authority, as hosts are compared: see L{canonicalHost}. Empty where there is none, or
    nothing that is one.
    """
    if not authority:
        return ""
    try:
        return canonicalHost(parseAuthority(authority)[0])
    except MalformedError:
        return ""


@frozen
class HostPattern:
    """
    One C{host} of a match.

    @ivar host: an exact host; or L{None}.
    @ivar suffix: C{.example} of C{*.example}: names below it, at any depth, not itself; or L{None}. Without either,
        every host.
    """

    host: str | IPAddress | None = None
    suffix: str | None = None

    @classmethod
    def fromText(cls, text: str) -> HostPattern:
        """
        Parse C{video.example}, C{*.example}, an IP address, C{*}.

        @raise ValueError: with a sentence for the user.
        """
        if text == "*":
            return cls()
        if text.startswith("*."):
            return cls(suffix=_named(text[1:].lower().removesuffix("."), text))
        canonical = canonicalHost(text.removeprefix("[").removesuffix("]") if text.startswith("[") else text)
        return cls(host=_named(canonical, text) if isinstance(canonical, str) else canonical)

    def matches(self, host: str | IPAddress) -> bool:
        """
        @param host: from L{authorityHost}.
        """
        if self.host is not None:
            return self.host == host
        return self.suffix is None or (isinstance(host, str) and host.endswith(self.suffix))

    def __str__(self) -> str:
        if self.suffix is not None:
            return f"*{self.suffix}"
        return "*" if self.host is None else str(self.host)


def _named(name: str, text: str) -> str:
    try:
        return checkedName(name, text)
    except ValueError:
        raise ValueError(f"{text!r} is not a host: write HOST or *.NAME, without a port") from None
