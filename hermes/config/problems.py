"""
What is wrong with a configuration, and where.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import TypeAlias

from attrs import frozen

from hermes.errors import HermesError

KeyPath: TypeAlias = "tuple[str | int, ...]"
"""
Where a value stands in a document: mapping keys and list indexes from the top.
"""


@frozen
class Mark:
    """
    A place in a file; line and column count from 1.
    """

    line: int
    column: int


@frozen
class Problem:
    """
    One thing that is wrong.

    @ivar file: the file's name as the user gave it.
    @ivar mark: where in the file, or L{None} where the file could not be read at all.
    @ivar path: the value it is about, C{routes[2].match.user}; empty for the document.
    @ivar message: what is wrong, a sentence without its full stop.
    @ivar suggestion: the nearest name that would be right, or L{None}.
    """

    file: str
    mark: Mark | None
    path: str
    message: str
    suggestion: str | None = None

    def __str__(self) -> str:
        place = self.file if self.mark is None else f"{self.file}:{self.mark.line}:{self.mark.column}"
        parts = [place, self.path, self.message] if self.path else [place, self.message]
        hint = f"; did you mean {self.suggestion!r}?" if self.suggestion else ""
        return ": ".join(parts) + hint


class ConfigError(HermesError):
    """
    A configuration was refused. The text has one line a problem.

    @ivar problems: every L{Problem} that was found, in the order of the file.
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(
            sorted(problems, key=lambda problem: (problem.mark.line, problem.mark.column) if problem.mark else (0, 0))
        )
        super().__init__("\n".join(str(problem) for problem in self.problems))


class Misfit(ValueError):
    """
    A value does not fit; raised while structuring, where the place in the file is not known yet.

    @ivar message: what is wrong.
    @ivar suggestion: the nearest name that would be right, or L{None}.
    @ivar below: where, seen from the value that was being structured.
    @ivar atKey: whether it is the key itself that is wrong, not the value behind it.
    """

    def __init__(self, message: str, suggestion: str | None = None, below: KeyPath = (), atKey: bool = False) -> None:
        super().__init__(message)
        self.message = message
        self.suggestion = suggestion
        self.below = below
        self.atKey = atKey


def pathText(path: KeyPath) -> str:
    """
    A path as a user writes it: C{routes[2].match.user}.
    """
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            text += f".{step}" if text else step
    return text


def nearest(name: str, names: Iterable[str]) -> str | None:
    """
    The name that C{name} was most likely meant to be, or L{None} where none is near.
    """
    known = {candidate.lower(): candidate for candidate in names}
    matches = get_close_matches(name.lower(), known, n=1, cutoff=0.5)
    return known[matches[0]] if matches else None
