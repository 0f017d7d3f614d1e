"""
The routes of one host, by path.
"""

from __future__ import annotations

from collections.abc import Iterator

from hermes.fabric.buckets import Bucket, Condition
from hermes.matching import Match, PathPattern
from hermes.values import Flow, RequestHead


class _Node:
    """
    A place in a tree of path segments.

    @ivar first: the place of the first route here and below.
    @ivar children: by what the segment is.
    @ivar wild: where any segment leads that is not empty.
    @ivar here: for paths that end here.
    @ivar below: for paths that go on.
    """

    __slots__ = ("below", "children", "first", "here", "wild")

    def __init__(self, first: int) -> None:
        self.first = first
        self.children: dict[bytes, _Node] = {}
        self.wild: _Node | None = None
        self.here: Bucket | None = None
        self.below: Bucket | None = None


class PathIndex:
    """
    The routes of one host, by path.

    @ivar first: the place of the first of them.
    @ivar asks: whether any of them asks for a path.
    """

    __slots__ = ("_any", "_buckets", "_exact", "_regexes", "_root", "asks", "first")

    def __init__(self, first: int) -> None:
        self.first = first
        self.asks = False
        self._any: Bucket | None = None
        self._exact: dict[bytes, Bucket] = {}
        self._root: _Node | None = None
        self._regexes: list[tuple[int, PathPattern, Bucket]] = []
        self._buckets: list[Bucket] = []

    def add(self, place: int, match: Match, more: tuple[Condition, ...]) -> None:
        """
        File a route; they come in the order of their places.

        @param more: what is to be looked at beside what this index looks at.
        """
        if not match.paths:
            self._any = self._any or self._bucket()
            self._any.add(place, match, more)
        for pattern in match.paths:
            self.asks = True
            for bucket in self._bucketsFor(place, pattern):
                bucket.add(place, match, more)

    def _bucket(self) -> Bucket:
        bucket = Bucket()
        self._buckets.append(bucket)
        return bucket

    def _bucketsFor(self, place: int, pattern: PathPattern) -> Iterator[Bucket]:
        if pattern.regex is not None:
            bucket = self._bucket()
            self._regexes.append((place, pattern, bucket))
            yield bucket
            return
        if not pattern.below and not pattern.names:
            path = b"/" + b"/".join(segment or b"" for segment in pattern.segments)
            found = self._exact.get(path)
            if found is None:
                found = self._exact[path] = self._bucket()
            yield found
            return
        if self._root is None:
            self._root = _Node(place)
        node = self._root
        for segment in pattern.segments:
            if segment is None:
                node.wild = node.wild or _Node(place)
                node = node.wild
            else:
                node = node.children.setdefault(segment, _Node(place))
        if pattern.itself:
            node.here = node.here or self._bucket()
            yield node.here
        if pattern.below:
            node.below = node.below or self._bucket()
            yield node.below

    def seal(self) -> None:
        """
        All are filed.
        """
        for bucket in self._buckets:
            bucket.seal()

    def find(self, path: bytes, best: int, flow: Flow, head: RequestHead) -> int:
        """
        The place of the first route that takes a request, where that is before C{best}; else C{best}.

        @param path: in normal form; looked at only where the index L{asks}.
        """
        if self.asks:
            bucket = self._exact.get(path)
            if bucket is not None and bucket.first < best:
                best = bucket.find(best, flow, head)
            if self._root is not None and self._root.first < best:
                best = self._walk(self._root, path, best, flow, head)
            for place, pattern, one in self._regexes:
                if place >= best:
                    break
                # What it costs to look at the rest is less.
                if one.find(best, flow, head) < best and pattern.match(path) is not None:
                    best = place
                    break
        if self._any is not None and self._any.first < best:
            best = self._any.find(best, flow, head)
        return best

    def _walk(self, node: _Node, path: bytes, best: int, flow: Flow, head: RequestHead) -> int:
        if path[:1] != b"/":
            return best
        segments = path.split(b"/")
        count = len(segments)
        at = 1
        # Where a segment leads two ways, the wild one waits here.
        waiting: list[tuple[_Node, int]] = []
        while True:
            bucket = node.below if at < count else node.here
            if bucket is not None and bucket.first < best:
                best = bucket.find(best, flow, head)
            child = None
            if at < count:
                segment = segments[at]
                at += 1
                child = node.children.get(segment)
                if segment and node.wild is not None:
                    if child is not None:
                        waiting.append((node.wild, at))
                    else:
                        child = node.wild
            while child is None or child.first >= best:
                if not waiting:
                    return best
                child, at = waiting.pop()
            node = child
