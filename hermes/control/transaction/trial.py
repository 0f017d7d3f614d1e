"""
The trial period: whether what the nodes run now is any good.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from hermes.control.asking import Asking
from hermes.control.plans import Plan
from hermes.control.values import Health, NodeReason, ProbeResult
from hermes.interfaces.control import INodeLink, INodeLinks

_T = TypeVar("_T")

ROUNDS = 3
"""
How often probes are tried in the trial period, the last time at its end.
"""

PATIENCE = 2
"""
How often in a row a probe may fail: once may be the swap itself. At the end it may not.
"""

FEWEST = 10
"""
So many flows must have failed in the trial period for their share to mean anything.
"""


class Watch:
    """
    Looks at the nodes of one change before it, and while they run it on trial.
    """

    def __init__(self, number: int, plan: Plan, links: INodeLinks, clock: IReactorTime) -> None:
        self._number = number
        self._plan = plan
        self._links = links
        self._clock = clock
        self._names: frozenset[str] = frozenset()
        self._before: dict[str, Health] = {}
        self._good: set[tuple[str, str]] = set()
        self._failing: dict[tuple[str, str], int] = {}
        self._arrived: dict[str, INodeLink] = {}
        self._gone: dict[str, NodeReason] = {}
        self._woken: Deferred[None] | None = None

    def begin(self, names: Sequence[str]) -> Deferred[None]:
        """
        See how it is before. Never errbacks.

        @param names: the nodes that will be changed.
        """
        return Deferred.fromCoroutine(self._begin(names))

    async def _begin(self, names: Sequence[str]) -> None:
        asking = self._health(names), self._probe()
        self._before = (await asking[0]).answers
        probed = await asking[1]
        for node, results in probed.answers.items():
            self._good |= {(node, each.name) for each in results if each.passed}

    def watch(self, names: Sequence[str], deadline: float) -> Deferred[list[NodeReason]]:
        """
        Look on for as long as the trial lasts. Fires with what is wrong; never errbacks. It can be cancelled.

        @param names: the nodes that run it.
        @param deadline: when it is over in any case, in seconds of the clock.
        """
        return Deferred.fromCoroutine(self._watch(names, deadline))

    async def _watch(self, names: Sequence[str], deadline: float) -> list[NodeReason]:
        self._names = frozenset(names)
        stop = self._links.watch(self._changed)
        try:
            end = min(self._clock.seconds() + self._plan.settings.trial, deadline)
            for left in range(ROUNDS - 1, -1, -1):
                await self._sleep((end - self._clock.seconds()) / (left + 1))
                if self._gone:
                    return list(self._gone.values())
                reasons = self._judge(await self._probe(), 1 if left == 0 else PATIENCE)
                if reasons:
                    return reasons
            return self._compare(names, await self._health(names))
        finally:
            stop()

    # Nodes that do not stay

    def _changed(self, link: INodeLink) -> None:
        """
        Something about a node has changed.
        """
        name, state = link.name, link.state
        if name not in self._names or not state.connected:
            return
        if state.runs == self._number:
            self._arrived[name] = link
        elif name in self._arrived:
            # What it said before it ran the version may still be on its way: then it has not been seen to run it.
            self._gone[name] = NodeReason(name, self._went(state.runs), "probe")
            woken, self._woken = self._woken, None
            if woken is not None:
                woken.callback(None)

    def _went(self, runs: int | None) -> str:
        return f"it went back to {'nothing' if runs is None else f'version {runs}'} by itself"

    async def _sleep(self, seconds: float) -> None:
        woken: Deferred[None] = Deferred()
        self._woken = woken
        call = self._clock.callLater(max(0.0, seconds), self._wake)
        try:
            await woken
        finally:
            if call.active():
                call.cancel()

    def _wake(self) -> None:
        woken, self._woken = self._woken, None
        if woken is not None:
            woken.callback(None)

    # What they say

    def _health(self, names: Sequence[str]) -> Deferred[Asking[Health]]:
        return self._ask(names, lambda link: link.health())

    def _probe(self) -> Deferred[Asking[Sequence[ProbeResult]]]:
        probes = self._plan.probes
        return self._ask(list(probes), lambda link: link.probe(probes[link.name]))

    def _ask(self, names: Sequence[str], call: Callable[[INodeLink], Deferred[_T]]) -> Deferred[Asking[_T]]:
        links = {name: link for name in names if (link := self._links.get(name)) is not None}
        asking: Asking[_T] = Asking(self._clock)
        return asking.ask({name: _later(call, link) for name, link in links.items()}, self._plan.settings.answer)

    def _judge(self, probed: Asking[Sequence[ProbeResult]], patience: int) -> list[NodeReason]:
        """
        Probes that came through before and do not any more.
        """
        reasons = []
        for node, results in sorted(probed.answers.items()):
            for each in results:
                key = node, each.name
                if each.passed or key not in self._good:
                    self._failing.pop(key, None)
                    continue
                count = self._failing[key] = self._failing.get(key, 0) + 1
                if count >= patience:
                    reasons.append(NodeReason(node, f"probe {each.name}: {each.text or 'failed'}", "probe"))
        return reasons

    def _compare(self, names: Sequence[str], asked: Asking[Health]) -> list[NodeReason]:
        """
        How each does now, beside how it did before.
        """
        reasons = [NodeReason(name, str(error), "probe") for name, error in sorted(asked.failures.items())]
        for name in sorted(set(names) - asked.answers.keys() - asked.failures.keys()):
            reasons.append(
                NodeReason(name, "its connection was lost during the trial, and it did not come back", "probe")
            )
        for name, now in sorted(asked.answers.items()):
            before = self._before.get(name, Health())
            if now.runs != self._number:
                reasons.append(NodeReason(name, self._went(now.runs), "probe"))
            elif now.problem is not None and now.problem != before.problem:
                reasons.append(NodeReason(name, now.problem, "probe"))
            elif self._fails(before, now):
                reasons.append(NodeReason(name, f"{now.failed - before.failed} flows failed during the trial", "probe"))
        return reasons

    def _fails(self, before: Health, now: Health) -> bool:
        failed, opened = now.failed - before.failed, now.opened - before.opened
        if failed < FEWEST:
            return False
        usual = before.failed / max(1, before.failed + before.opened)
        return failed / max(1, failed + opened) > usual + self._plan.settings.failing


def _later(call: Callable[[INodeLink], Deferred[_T]], link: INodeLink) -> Callable[[], Deferred[_T]]:
    return lambda: call(link)
