"""
What is stored in an etcd, and under which keys. After the prefix of the overlay:

  - C{state/}: what is watched.
      - C{state/format}: which form this is.
      - C{state/leader}: who leads; it goes with the leader's lease. What a leader writes depends on this key's being
        the one that it has made.
      - C{state/version/next}: the number of the next version.
      - C{state/version/current}: the one that is committed.
      - C{state/version/head/NUMBER}: a version without its document.
      - C{state/node/NAME}, C{state/revoked/SERIAL}.
  - C{data/}: the rest.
      - C{data/body/NUMBER/PART}: a document, compressed, in parts: etcd takes no request above 1.5 MiB.
      - C{data/token/HASH}, C{data/secret/NAME}, C{data/seen}, C{data/audit/next}, C{data/audit/entry/NUMBER}.

Values are JSON, but for bodies and C{data/seen}, which are JSON compressed. In each JSON, C{by} is a number that nobody
else has: whoever does not hear of the answer finds by it whether what is stored is its own.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import quote, unquote

from attrs import frozen

from hermes.control.store.codec import Unreadable
from hermes.interfaces.store import Watched

FORMAT: Final = 1

PART: Final = 512 * 1024
"""
Bytes of one part of a body.
"""


def after(prefix: bytes) -> bytes:
    """
    The end of the range of all keys that begin so. No prefix of ours ends in 0xFF.
    """
    return prefix[:-1] + bytes((prefix[-1] + 1,))


@frozen
class Keys:
    """
    The keys of one overlay.

    @ivar prefix: what all of them begin with; it ends in a slash.
    """

    prefix: bytes

    @classmethod
    def under(cls, prefix: str) -> Keys:
        """
        @param prefix: with or without a slash at its end.
        """
        return cls(prefix.rstrip("/").encode() + b"/")

    @property
    def state(self) -> bytes:
        return self.prefix + b"state/"

    @property
    def format(self) -> bytes:
        return self.prefix + b"state/format"

    @property
    def leader(self) -> bytes:
        return self.prefix + b"state/leader"

    @property
    def next(self) -> bytes:
        return self.prefix + b"state/version/next"

    @property
    def current(self) -> bytes:
        return self.prefix + b"state/version/current"

    def head(self, number: int) -> bytes:
        return self.prefix + b"state/version/head/%019d" % number

    def body(self, number: int) -> bytes:
        """
        What the keys of its parts begin with.
        """
        return self.prefix + b"data/body/%019d/" % number

    def part(self, number: int, which: int) -> bytes:
        return self.body(number) + b"%04d" % which

    @property
    def nodes(self) -> bytes:
        return self.prefix + b"state/node/"

    def node(self, name: str) -> bytes:
        return self.nodes + _quoted(name)

    @property
    def revocations(self) -> bytes:
        return self.prefix + b"state/revoked/"

    def revocation(self, serial: str) -> bytes:
        return self.revocations + _quoted(serial)

    @property
    def tokens(self) -> bytes:
        return self.prefix + b"data/token/"

    def token(self, hashed: str) -> bytes:
        return self.tokens + _quoted(hashed)

    def secret(self, name: str) -> bytes:
        return self.prefix + b"data/secret/" + _quoted(name)

    @property
    def seen(self) -> bytes:
        return self.prefix + b"data/seen"

    @property
    def auditNext(self) -> bytes:
        return self.prefix + b"data/audit/next"

    def audit(self, number: int) -> bytes:
        return self.prefix + b"data/audit/entry/%019d" % number

    def watched(self, key: bytes) -> Watched | None:
        """
        What a change of this key is about.
        """
        rest = key.removeprefix(self.state)
        if rest.startswith(b"version/"):
            return "versions"
        if rest.startswith((b"node/", b"revoked/")):
            return "nodes"
        return "leader" if rest == b"leader" else None


def _quoted(name: str) -> bytes:
    return quote(name, safe="").encode("ascii")


def nameIn(key: bytes, prefix: bytes) -> str:
    """
    The name in a key.

    @raise Unreadable: it is none that we would write.
    """
    try:
        rest = key.removeprefix(prefix).decode("ascii")
        name = unquote(rest, errors="strict")
    except UnicodeDecodeError:
        raise Unreadable("its key is no name") from None
    if quote(name, safe="") != rest:
        raise Unreadable("its key is no name")
    return name


def numberIn(key: bytes) -> int:
    """
    The number at the end of a key.

    @raise Unreadable: there is none.
    """
    rest = key.rpartition(b"/")[2]
    if len(rest) != 19 or not rest.isdigit():
        raise Unreadable("its key is no number")
    return int(rest)
