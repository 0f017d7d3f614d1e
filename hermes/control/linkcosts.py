"""
What links cost, by what the nodes at their ends have measured.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from hermes.control.compiler.measuring import DOWN, Measurements, costOf
from hermes.control.plans import Plan
from hermes.control.values import LinkFigure, VersionRecord

AGE: Final = 180.0
"""
Seconds after which a figure says nothing any more: three times what a node has until it tells it again.
"""

LINKS: Final = 256
"""
How many links of a node are listened to.
"""

LONGEST: Final = 3600.0
"""
A round trip is no longer than this, in seconds.
"""

NAMED: Final = 5
"""
How many links a comment names.
"""

Pair = tuple[str, str]


class LinkCosts:
    """
    Keeps the last figures while this controller leads; the nodes tell the next one anew.

    Of what the two ends of a link say, the worse counts: no node can make a link cheap that its other end finds dear.
    That it can make it dear gives it nothing: it might as well carry nothing.

    @ivar taken: how many figures were taken.
    @ivar refused: how many were not: of links that are none of the node's, or that can't be.
    """

    log = Logger()

    def __init__(self, clock: IReactorTime, committed: Callable[[], tuple[VersionRecord, Plan] | None]) -> None:
        """
        @param committed: what is committed, where this controller leads. When that changes, call L{look}.
        """
        self.taken = 0
        self.refused = 0
        self._clock = clock
        self._committed = committed
        self._leadsSince: float | None = None
        self._number: int | None = None
        self._figures: dict[Pair, dict[str, tuple[LinkFigure, float]]] = {}
        # A cost stays until what is measured is clearly another: what links cost in what is committed, then here.
        self._committedCosts: Mapping[Pair, int] = {}
        self._costs: dict[Pair, int] = {}
        self._suspects: set[str] = set()
        self._watchers: list[Callable[[], object]] = []

    def watch(self, callback: Callable[[], object]) -> Callable[[], None]:
        """
        Call C{callback} when a link costs something else. The result ends it.
        """
        self._watchers.append(callback)

        def stop() -> None:
            if callback in self._watchers:
                self._watchers.remove(callback)

        return stop

    def look(self) -> None:
        """
        What is committed, or who leads, may be another.
        """
        committed = self._committed()
        if committed is None:
            self._leadsSince = self._number = None
            self._figures.clear()
            self._costs.clear()
            self._suspects.clear()
            return
        if self._leadsSince is None:
            self._leadsSince = self._clock.seconds()
        if committed[0].number == self._number:
            return
        self._number = committed[0].number
        self._committedCosts = Measurements.fromText(committed[0].measurements).costs
        for pair in list(self._figures):
            if not _isMeasured(pair, *committed):
                self._forget(pair)

    def heard(self, node: str, figures: Sequence[LinkFigure]) -> None:
        """
        A node has told of its links. What it may not say is left out, and counted.

        @param node: as its certificate says.
        """
        self.look()
        committed = self._committed()
        if committed is None:
            return
        now = self._clock.seconds()
        changed = False
        refused = len(figures[LINKS:])
        for figure in figures[:LINKS]:
            a, b = sorted((node, figure.to))
            if not _isLink((a, b), *committed) or not _isSound(figure):
                refused += 1
                continue
            self.taken += 1
            if _isMeasured((a, b), *committed):
                self._figures.setdefault((a, b), {})[node] = figure, now
                changed = self._evaluate((a, b), now) or changed
        if refused:
            self.refused += refused
            if node not in self._suspects:
                self._suspects.add(node)
                # It may be a version ahead, or behind, for a moment.
                self.log.info("{node} tells of links that it does not have, or what can't be", node=node)
        for watcher in list(self._watchers) if changed else ():
            watcher()

    def _evaluate(self, pair: Pair, now: float) -> bool:
        """
        @return: whether it costs something else.
        """
        figure = self._worse(pair, now)
        before = self._costs.get(pair)
        if figure is not None:
            known = self._committedCosts.get(pair) if before is None else before
            self._costs[pair] = costOf(figure.roundTrip or 0.0, figure.loss, known) if figure.up else DOWN
        return self._costs.get(pair) != before

    # What comes of it

    def known(self) -> dict[Pair, LinkFigure]:
        """
        What is known now of each link: the worse of what its ends say.
        """
        now = self._clock.seconds()
        found = {pair: self._worse(pair, now) for pair in list(self._figures)}
        return {pair: figure for pair, figure in found.items() if figure is not None}

    def _worse(self, pair: Pair, now: float) -> LinkFigure | None:
        """
        Of both ends; L{None} where both are old: then it is forgotten.
        """
        said = [figure for figure, at in self._figures[pair].values() if now - at < AGE]
        if not said:
            self._forget(pair)
            return None
        up = all(figure.up for figure in said)
        trip = max(figure.roundTrip or 0.0 for figure in said)
        return LinkFigure("", trip if up else None, max(figure.loss for figure in said), up)

    def _forget(self, pair: Pair) -> None:
        del self._figures[pair]
        self._costs.pop(pair, None)

    def text(self, committed: str, keep: bool = False) -> str:
        """
        What links cost now, as the compiler writes it.

        A link of which nothing is known any more costs what it does in the version that is committed, for as long as
        this controller does not lead, or has not for longer than L{AGE}: its nodes have yet to tell. After that it is
        left out.

        @param committed: what the version that is committed was compiled with.
        @param keep: whether no link is left out but those that were down: they can't be for ever.
        """
        if self._leadsSince is None:
            return committed
        before = Measurements.fromText(committed).costs
        costs = {pair: self._costs[pair] for pair in self.known()}
        if self._clock.seconds() - self._leadsSince < AGE:
            costs = {**before, **costs}
        elif keep:
            costs = {**{pair: cost for pair, cost in before.items() if cost != DOWN}, **costs}
        return Measurements(costs).toText()

    def comment(self, committed: str, now: str) -> str:
        """
        What has changed, for people: the largest changes first.

        @param committed: what links cost before.
        @param now: what they do now.
        """
        before, after = Measurements.fromText(committed).costs, Measurements.fromText(now).costs
        known = self.known()

        def change(pair: Pair) -> float:
            was, is_ = before.get(pair), after.get(pair)
            return 1.0 if was is None or is_ is None else max(is_ / was, was / is_)

        pairs = [pair for pair in before.keys() | after.keys() if after.get(pair) != before.get(pair)]
        changed = sorted(pairs, key=lambda pair: (-change(pair), pair))
        said = [_change(pair, before.get(pair), after.get(pair), known.get(pair)) for pair in changed[:NAMED]]
        more = [f"{len(changed) - NAMED} more"] if len(changed) > NAMED else []
        return f"what links cost has changed: {', '.join(said + more)}"


def _change(pair: Pair, before: int | None, after: int | None, figure: LinkFigure | None) -> str:
    was, is_ = ("unknown" if cost is None else "down" if cost == DOWN else str(cost) for cost in (before, after))
    trip = None if figure is None else figure.roundTrip
    measured = "" if trip is None else f" ({trip * 1000:.1f} ms)"
    return f"{pair[0]} - {pair[1]} from {was} to {is_}{measured}"


def _isLink(pair: Pair, record: VersionRecord, plan: Plan) -> bool:
    a, b = pair
    if plan.weights is not None:
        return pair in plan.weights
    return a != b and a in record.digests and b in record.digests


def _isMeasured(pair: Pair, record: VersionRecord, plan: Plan) -> bool:
    return _isLink(pair, record, plan) and (plan.weights is None or plan.weights[pair] is None)


def _isSound(figure: LinkFigure) -> bool:
    trip = figure.roundTrip
    return 0 <= figure.loss <= 1 and (not figure.up or (trip is not None and 0 <= trip <= LONGEST))
