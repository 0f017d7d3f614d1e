"""
What is below a name.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from typing import Final

NODE_COST: Final = 320
"""
Bytes that a name counts which others go on from: a dict, and its entry in another. Measured, see
C{docs/performance.md}.
"""


class Children:
    """
    A tree of names: those that were added, and all their prefixes. What was added last comes first.

    Names are added and removed by a look or two, as most have siblings. A node without children is in no dict of its
    own.

    @ivar cost: bytes that the nodes count.
    """

    __slots__ = ("_children", "_leaves", "cost")

    def __init__(self, leaves: Container[bytes]) -> None:
        """
        @param leaves: the names that are added; a name is in it from before L{add} until after L{remove}.
        """
        self.cost = 0
        self._leaves = leaves
        self._children: dict[bytes, dict[bytes, None]] = {}

    def __len__(self) -> int:
        """
        How many names others go on from.
        """
        return len(self._children)

    def add(self, name: bytes, ends: tuple[int, ...]) -> None:
        """
        Add a name that is not there.
        """
        nodes = self._children
        child = name
        if child in nodes:
            return
        for index in range(len(ends) - 2, -2, -1):
            parent = name[: ends[index]] if index >= 0 else b""
            siblings = nodes.get(parent)
            if siblings is not None:
                siblings[child] = None
                return
            nodes[parent] = {child: None}
            self.cost += NODE_COST + len(parent)
            if parent in self._leaves:
                return
            child = parent

    def remove(self, name: bytes, ends: tuple[int, ...]) -> None:
        """
        Remove a name that was added.
        """
        nodes = self._children
        child = name
        if child in nodes:
            return
        for index in range(len(ends) - 2, -2, -1):
            parent = name[: ends[index]] if index >= 0 else b""
            siblings = nodes[parent]
            del siblings[child]
            if siblings:
                return
            del nodes[parent]
            self.cost -= NODE_COST + len(parent)
            if parent in self._leaves:
                return
            child = parent

    def below(self, prefix: bytes) -> Iterator[bytes]:
        """
        The names that were added and begin with a prefix, it itself not among them. The tree must not change meanwhile.
        """
        nodes = self._children
        leaves = self._leaves
        first = nodes.get(prefix)
        waiting = [] if first is None else [reversed(first)]
        while waiting:
            child = next(waiting[-1], None)
            if child is None:
                waiting.pop()
                continue
            if child in leaves:
                yield child
            following = nodes.get(child)
            if following is not None:
                waiting.append(reversed(following))
