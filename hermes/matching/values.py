"""
Values of header fields and of query parameters, and the patterns for them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Literal, TypeAlias
from urllib.parse import unquote_to_bytes

from attrs import field, frozen

from hermes.matching.regex import Regex

How: TypeAlias = Literal["exact", "prefix", "suffix", "contains", "regex", "present", "absent"]


@frozen
class ValuePattern:
    """
    What a value must be.

    @ivar how: how it is compared.
    @ivar text: with what; empty for C{present} and C{absent}.
    """

    how: How
    text: str = ""
    _bytes: bytes = field(init=False, repr=False, eq=False)
    _regex: Regex | None = field(init=False, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "_bytes", self.text.encode())
        object.__setattr__(self, "_regex", Regex(self.text) if self.how == "regex" else None)

    @classmethod
    def fromValue(cls, value: object) -> ValuePattern:
        """
        Parse text, C{true} (present), C{false} (absent), C{{prefix|suffix|contains|regex: TEXT}}.

        @raise ValueError: with a sentence for the user.
        """
        if isinstance(value, bool):
            return cls("present" if value else "absent")
        if isinstance(value, str):
            return cls("exact", value)
        if isinstance(value, int):
            return cls("exact", str(value))
        if isinstance(value, Mapping) and len(value) == 1:
            [(how, text)] = value.items()
            if how in ("prefix", "suffix", "contains", "regex") and isinstance(text, str) and text:
                return cls(how, text)
        raise ValueError(
            "expected text, true (it is there), false (it is not), or one of {prefix: TEXT}, {suffix: TEXT}, "
            "{contains: TEXT}, {regex: TEXT}"
        )

    def matches(self, value: bytes | None) -> bool:
        """
        @param value: L{None} where there is none, which only C{absent} takes.
        """
        how = self.how
        if value is None:
            return how == "absent"
        if how == "exact":
            return value == self._bytes
        if how == "prefix":
            return value.startswith(self._bytes)
        if how == "suffix":
            return value.endswith(self._bytes)
        if how == "contains":
            return self._bytes in value
        if self._regex is not None:
            return self._regex.matches(value)
        return how == "present"

    def __str__(self) -> str:
        if self.how == "exact":
            return self.text
        return f"{self.how} {self.text}" if self.text else self.how


@frozen
class Criterion:
    """
    One named header field or query parameter of a match.

    @ivar name: of a field in lower case; of a parameter as it is, decoded.
    @ivar values: one of which its value must match.
    """

    name: bytes
    values: tuple[ValuePattern, ...]

    def matches(self, value: bytes | None) -> bool:
        """
        @param value: its value, or L{None} where it is absent.
        """
        return any(pattern.matches(value) for pattern in self.values)

    @property
    def wanted(self) -> str:
        """
        What it asks for, in words.
        """
        return " or ".join(map(str, self.values))

    def __str__(self) -> str:
        return f"{self.name.decode('utf-8', 'replace')}: {self.wanted}"


@lru_cache(1024)
def queryParameters(path: bytes) -> Mapping[bytes, Sequence[bytes]]:
    """
    The parameters in the query of a path (C{application/x-www-form-urlencoded}), each with its values in order. To be
    read only.
    """
    found: dict[bytes, list[bytes]] = {}
    for pair in path.partition(b"?")[2].split(b"&"):
        if pair:
            name, _, value = pair.partition(b"=")
            if b"%" in pair or b"+" in pair:
                name, value = (unquote_to_bytes(one.replace(b"+", b" ")) for one in (name, value))
            found.setdefault(name, []).append(value)
    return found
