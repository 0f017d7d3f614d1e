"""
Which ways there are to a prefix: it is registered here, or neighbours can reach it. Sans-IO.
"""

from __future__ import annotations

from collections.abc import Iterator

from attrs import frozen


@frozen(order=True)
class Path:
    """
    A way to a prefix. Of two the lesser is better: cheaper, then shorter, then the first by the names of its nodes.

    @ivar cost: of all of it.
    @ivar length: in nodes.
    @ivar nodes: the names of the nodes that it leads over, the nearest first; none where the prefix is registered here.
    """

    cost: int
    length: int
    nodes: tuple[str, ...]

    @classmethod
    def over(cls, nodes: tuple[str, ...], cost: int) -> Path:
        """
        One over these nodes.
        """
        return cls(cost, len(nodes), nodes)


class Paths:
    """
    For each prefix (a name's value) the cost of what is registered here, and one path for each neighbour.
    """

    def __init__(self) -> None:
        self._paths: dict[bytes, dict[int, Path]] = {}
        self._counts: dict[int, int] = {}

    # The key of what is registered here: no face has this ID.
    _HERE = 0

    def __len__(self) -> int:
        """
        How many prefixes there are.
        """
        return len(self._paths)

    def __iter__(self) -> Iterator[bytes]:
        """
        All prefixes.
        """
        return iter(list(self._paths))

    def count(self, neighbour: int) -> int:
        """
        How many prefixes a neighbour can reach.
        """
        return self._counts.get(neighbour, 0)

    def get(self, prefix: bytes, neighbour: int) -> Path | None:
        """
        A neighbour's path.
        """
        return self._paths.get(prefix, {}).get(neighbour)

    def setHere(self, prefix: bytes, cost: int | None) -> bool:
        """
        A prefix is registered here at a cost; with L{None}, it is not.

        @return: whether that is new.
        """
        return self.set(prefix, self._HERE, None if cost is None else Path.over((), cost))

    def set(self, prefix: bytes, neighbour: int, path: Path | None) -> bool:
        """
        A neighbour can reach a prefix so; with L{None}, it can't.

        @return: whether that is new.
        """
        paths = self._paths.get(prefix)
        before = None if paths is None else paths.get(neighbour)
        if before == path:
            return False
        if path is None:
            if paths is not None:
                del paths[neighbour]
                if not paths:
                    del self._paths[prefix]
        elif paths is None:
            self._paths[prefix] = {neighbour: path}
        else:
            paths[neighbour] = path
        self._counts[neighbour] = self._counts.get(neighbour, 0) + (path is not None) - (before is not None)
        if not self._counts[neighbour]:
            del self._counts[neighbour]
        return True

    def of(self, neighbour: int) -> list[bytes]:
        """
        All prefixes that a neighbour can reach.
        """
        return [prefix for prefix, paths in self._paths.items() if neighbour in paths]

    def here(self) -> Iterator[tuple[bytes, int]]:
        """
        What is registered here, with its cost.
        """
        for prefix, paths in self._paths.items():
            path = paths.get(self._HERE)
            if path is not None:
                yield prefix, path.cost

    def best(self, prefix: bytes, neighbour: int, node: str | None) -> Path | None:
        """
        The best path that a neighbour could use: not its own, and none that leads over it.

        @param node: the neighbour's name, where it is known.
        """
        best: Path | None = None
        for key, path in self._paths.get(prefix, {}).items():
            if key != neighbour and (best is None or path < best) and (node is None or node not in path.nodes):
                best = path
        return best
