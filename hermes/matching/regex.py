"""
Regular expressions in rules: matched in linear time, whatever a client sends.
"""

from __future__ import annotations

from typing import Any

import re2
from attrs import field, frozen

_OPTIONS = re2.Options()
_OPTIONS.log_errors = False
# Byte by byte: what is not UTF-8, or holds a line break, must not slip past a rule.
_OPTIONS.encoding = re2.Options.Encoding.LATIN1
_OPTIONS.dot_nl = True


@frozen
class Regex:
    """
    An expression in the syntax of RE2, which has no look-around and no back-references, and in return no input that
    takes it long. It matches bytes: C{.} is one, a line break too, and text in it is its UTF-8.

    @ivar text: as it was written.
    """

    text: str
    _compiled: Any = field(init=False, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        try:
            compiled = re2.compile(self.text.encode(), _OPTIONS)
        except re2.error as error:
            reason = error.args[0].decode("utf-8", "replace") if error.args else "it can't be read"
            raise ValueError(f"{self.text!r} is not a regular expression: {reason}") from None
        object.__setattr__(self, "_compiled", compiled)

    @property
    def names(self) -> frozenset[str]:
        """
        The names of its groups.
        """
        return frozenset(name.decode() for name in self._compiled.groupindex)

    @property
    def groups(self) -> int:
        """
        How many groups it has.
        """
        return int(self._compiled.groups)

    def fullMatch(self, data: bytes) -> dict[str, str] | None:
        """
        What the named groups hold, those that took part, where all of C{data} matches; else L{None}.
        """
        found = self._compiled.fullmatch(data)
        if found is None:
            return None
        groups = found.groupdict() if self._compiled.groupindex else {}
        return {name.decode(): value.decode("utf-8", "replace") for name, value in groups.items() if value is not None}

    def matches(self, data: bytes) -> bool:
        """
        Whether all of C{data} matches.
        """
        return self._compiled.fullmatch(data) is not None

    def substitute(self, replacement: str, data: bytes) -> bytes:
        """
        C{data} with every place that matches replaced; C{\\\\1} in C{replacement} is the first group.
        """
        replaced: bytes = self._compiled.sub(replacement.encode(), data)
        return replaced

    def __str__(self) -> str:
        return self.text
