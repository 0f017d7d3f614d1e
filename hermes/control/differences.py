"""
What a new version changes, node by node.
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import unified_diff
from typing import Literal, TypeAlias

from attrs import frozen

Change: TypeAlias = Literal["added", "changed", "removed"]


@frozen
class NodeDifference:
    """
    What changes for one node.

    @ivar node: its name.
    @ivar change: whether it is new, changed or gone.
    @ivar lines: the difference of its configuration, as C{diff -u} writes it, without line ends.
    """

    node: str
    change: Change
    lines: tuple[str, ...]


def difference(before: Mapping[str, str], after: Mapping[str, str]) -> list[NodeDifference]:
    """
    The nodes whose configuration is another, by name.

    @param before: the text of each node's configuration, as it is.
    @param after: and as it will be.
    """
    found: list[NodeDifference] = []
    for node in sorted({*before, *after}):
        old, new = before.get(node, ""), after.get(node, "")
        if old == new:
            continue
        change: Change = "added" if node not in before else "removed" if node not in after else "changed"
        lines = unified_diff(old.splitlines(), new.splitlines(), node, node, lineterm="", n=2)
        found.append(NodeDifference(node, change, tuple(lines)))
    return found


def documentDifference(before: str, after: str) -> tuple[str, ...]:
    """
    The difference of two overlay documents.
    """
    return tuple(unified_diff(before.splitlines(), after.splitlines(), "before", "after", lineterm="", n=3))
