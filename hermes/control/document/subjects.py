"""
Who and what a policy is about: C{user:alice}, C{db.hermes:3306}.
"""

from __future__ import annotations

from ipaddress import ip_network
from typing import Literal, TypeAlias

from attrs import frozen

from hermes.config.problems import Misfit, nearest
from hermes.config.types import Network

SubjectKind: TypeAlias = Literal["any", "user", "group", "node"]
KINDS: tuple[SubjectKind, ...] = ("any", "user", "group", "node")


@frozen
class Subject:
    """
    Who asks: C{any}, C{user:NAME}, C{group:NAME}; C{node:NAME}, whoever comes in at that node.
    """

    kind: SubjectKind
    name: str = ""

    @classmethod
    def fromText(cls, text: str) -> Subject:
        """
        @raise Misfit: with a sentence for the user.
        """
        if text == "any":
            return cls("any")
        kind, colon, name = text.partition(":")
        if not colon or not name or kind not in KINDS or kind == "any":
            suggestion = nearest(kind, KINDS) if colon else None
            raise Misfit(f"{text!r} is nobody: write any, user:NAME, group:NAME or node:NAME", suggestion)
        return cls(kind, name)

    def __str__(self) -> str:
        return self.kind if self.kind == "any" else f"{self.kind}:{self.name}"


@frozen
class Destination:
    """
    What is asked for: a service of the document, a prefix or an address, either with a port or without; or C{any}.

    @ivar service: the name of a service; or L{None}.
    @ivar network: or L{None}; with neither, everything.
    @ivar port: or L{None} for all.
    """

    service: str | None = None
    network: Network | None = None
    port: int | None = None

    @classmethod
    def fromText(cls, text: str) -> Destination:
        """
        @raise Misfit: with a sentence for the user.
        """
        if text == "any":
            return cls()
        host, port = _split(text)
        try:
            return cls(network=ip_network(host), port=port)
        except ValueError as error:
            if "/" in host:
                raise Misfit(f"{text!r}: {error}") from None
        if not host or any(character in host for character in "/ *@"):
            raise Misfit(f"{text!r} is no destination: write SERVICE, SERVICE:PORT, a prefix or an address")
        return cls(service=host, port=port)

    def __str__(self) -> str:
        host = self.service or (str(self.network) if self.network is not None else "any")
        if self.network is not None and self.network.prefixlen == self.network.max_prefixlen:
            host = str(self.network.network_address)
        if self.port is None:
            return host
        return f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"


def _split(text: str) -> tuple[str, int | None]:
    host, port = text, ""
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        port = rest.removeprefix(":") if rest.startswith(":") else rest
        if not bracket:
            raise Misfit(f"{text!r}: write [ADDRESS]:PORT")
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
        if not port:
            raise Misfit(f"{text!r} names no port behind its colon")
    if not port:
        return host, None
    if not (port.isascii() and port.isdigit()) or not 0 < int(port[:6]) < 65536:
        raise Misfit(f"{text!r}: {port!r} is not a port")
    return host, int(port)
