"""
Each node to what is committed: who comes back, who was left behind, who carries something of another time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from attrs import define, field, frozen
from twisted.internet.defer import Deferred, DeferredSemaphore, gatherResults, maybeDeferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from hermes.control.errors import ControlError, NodeCallFailed
from hermes.control.stops import StopAt
from hermes.control.values import Answer, NodeState, Settings, VersionRecord
from hermes.interfaces.control import INodeLink, INodeLinks

AT_ONCE = 64
"""
So many nodes are given something at the same time.
"""

RETRY_FIRST = 5.0
RETRY_MOST = 300.0
"""
Seconds until a node that could not take what is committed is given it again; doubled each time.
"""

STALE = 5.0
"""
Seconds that a node may take to tell what it has been given.
"""

SWEEP = 30.0
"""
Seconds after which every node is looked at again, whatever was told of it.
"""


@frozen(eq=False)
class Wanted:
    """
    What one node should run.

    @ivar version: the version that is committed.
    @ivar digests: the digests of what is as good as it: what it was when it was committed, and what it compiles to now,
        where another version of Hermes compiles it.
    @ivar config: the configuration, or L{None} where it can't be compiled any more.
    @ivar digest: its digest.
    """

    version: int
    digests: frozenset[str]
    config: bytes | None
    digest: str


@define(eq=False)
class _Node:
    """
    What is known about one node.

    @ivar working: whether something is under way.
    @ivar again: whether it is to be looked at once that is over.
    @ivar given: the connection by which it was given something, what, and when: its own word may be on its way.
    @ivar refused: why it does not take what it should.
    """

    working: bool = False
    again: bool = False
    given: tuple[INodeLink, str, float] | None = None
    refused: tuple[str, ...] | None = None
    failures: int = 0
    retry: IDelayedCall | None = None
    waiting: list[Deferred[None]] = field(factory=list)


class Reconciler:
    """
    Looks at each node whenever something about it changes, and gives it what it lacks. A node that takes part in a
    change is left alone until that is over.
    """

    log = Logger()

    def __init__(
        self,
        links: INodeLinks,
        wanted: Callable[[str], Wanted | None],
        taking: Callable[[str], bool],
        version: Callable[[int], Deferred[VersionRecord | None]],
        clock: IReactorTime,
        stopAt: StopAt,
        settings: Settings,
    ) -> None:
        """
        @param wanted: what a node of this name should run; L{None} for one that the overlay does not have.
        @param taking: whether it takes part in a change.
        @param version: reads a version from the store.
        """
        self._links = links
        self._wanted = wanted
        self._taking = taking
        self._version = version
        self._clock = clock
        self._stopAt = stopAt
        self._settings = settings
        self._nodes: dict[str, _Node] = {}
        self._atOnce = DeferredSemaphore(AT_ONCE)
        self._unwatch: Callable[[], None] | None = None
        self._sweep = LoopingCall(self._lookAtAll)
        self._sweep.clock = clock

    def start(self) -> None:
        """
        Look at every node from now on.
        """
        self._unwatch = self._links.watch(lambda link: self.look(link.name))
        self._sweep.start(SWEEP, now=False)

    def stop(self) -> None:
        """
        Give nobody anything any more.
        """
        unwatch, self._unwatch = self._unwatch, None
        if unwatch is not None:
            unwatch()
            self._sweep.stop()
        for node in self._nodes.values():
            _cancel(node)

    def problems(self) -> dict[str, tuple[str, ...]]:
        """
        Why nodes do not take what they should, by their names.
        """
        return {name: node.refused for name, node in self._nodes.items() if node.refused is not None}

    def _lookAtAll(self) -> None:
        self.lookAt([link.name for link in self._links])

    def lookAt(self, names: Iterable[str]) -> None:
        """
        Look at some nodes.
        """
        for name in names:
            self.look(name)

    def look(self, name: str) -> None:
        """
        Look at one node.
        """
        link = self._links.get(name)
        if link is None:
            gone = self._nodes.get(name)
            if gone is not None and not gone.working:
                # It may be another one when it comes back.
                _cancel(self._nodes.pop(name))
            return
        if self._unwatch is None or self._taking(name) or not self._needs(link):
            return
        node = self._nodes.setdefault(name, _Node())
        if node.working:
            node.again = True
            return
        if node.retry is not None:
            return
        node.working, node.again = True, False
        self._atOnce.run(lambda: Deferred.fromCoroutine(self._bring(link, node))).addErrback(
            self._failed, name
        ).addCallback(self._over, node, link)

    def _needs(self, link: INodeLink) -> bool:
        state = link.state
        if state.draining or not state.connected:
            return False
        if unsettled(state):
            return True
        wanted, node = self._wanted(link.name), self._nodes.get(link.name)
        if wanted is None or wanted.config is None or state.digest in wanted.digests:
            if node is not None:
                node.refused, node.failures = None, 0
            return False
        if node is None or node.given is None:
            return True
        by, digest, at = node.given
        return by is not link or digest not in wanted.digests or self._clock.seconds() > at + STALE

    def _failed(self, failure: Failure, name: str) -> tuple[str, ...]:
        if failure.check(ControlError) is None:
            self.log.failure("bringing {node} to what is committed failed", failure, node=name)
        return (failure.getErrorMessage() or "internal error",)

    def _over(self, reasons: tuple[str, ...], node: _Node, link: INodeLink) -> None:
        name = link.name
        node.working = False
        waiting, node.waiting = node.waiting, []
        same = self._links.get(name) is link
        if not reasons:
            node.refused, node.failures = None, 0
        elif same:
            node.refused = reasons
            self.log.error("{node} is not at what is committed: {reasons}", node=name, reasons="; ".join(reasons))
            delay = min(RETRY_MOST, RETRY_FIRST * 2 ** min(node.failures, 10))
            node.failures += 1
            if self._unwatch is not None:
                node.retry = self._clock.callLater(delay, self._again, name, node)
        if node.again or not same:
            self.look(name)
        for each in waiting:
            each.callback(None)

    def _again(self, name: str, node: _Node) -> None:
        node.retry = None
        self.look(name)

    def renew(self, names: Iterable[str]) -> None:
        """
        Something else is committed: whoever has refused what was before is asked at once.
        """
        for name in names:
            node = self._nodes.get(name)
            if node is not None:
                node.failures = 0
                _cancel(node)
            self.look(name)

    # What is done

    async def _bring(self, link: INodeLink, node: _Node) -> tuple[str, ...]:
        """
        @return: why it does not take what it should; empty where it does.
        """
        if unsettled(link.state):
            return await self._settle(link)
        wanted = self._wanted(link.name)
        if wanted is None or wanted.config is None or self._links.get(link.name) is not link:
            return ()
        config, base = wanted.config, link.state.confirmed
        for point, call in (
            ("prepare", lambda: link.prepare(wanted.version, base, config, wanted.digest, self._settings.decide)),
            ("commit", lambda: link.commit(wanted.version)),
            ("confirm", lambda: link.confirm(wanted.version)),
        ):
            await self._stopAt(f"catchup.{point}")
            answer = await self._timed(call)
            if not answer.ready:
                return answer.reasons or ("refused",)
        node.given = link, wanted.digest, self._clock.seconds()
        return ()

    async def _settle(self, link: INodeLink) -> tuple[str, ...]:
        """
        Finish what an earlier change has left at a node.
        """
        state = link.state
        if state.prepared is not None:
            prepared = state.prepared
            answer = await self._timed(lambda: link.rollback(prepared))
            if not answer.ready:
                return answer.reasons
        if not state.trial or state.runs is None:
            return ()
        runs = state.runs
        record = await self._version(runs)
        kept = record is not None and record.phase == "committed" and record.digests.get(link.name) == state.digest
        answer = await self._timed(lambda: link.confirm(runs) if kept else link.rollback(runs))
        return () if answer.ready else answer.reasons

    def _timed(self, call: Callable[[], Deferred[Answer]]) -> Deferred[Answer]:
        return maybeDeferred(call).addTimeout(self._settings.answer, self._clock, _timedOut)

    def settle(self, links: Sequence[INodeLink]) -> Deferred[None]:
        """
        Wait until nothing of an earlier change is left at these nodes, or can't be helped. Never errbacks.
        """
        waiting: list[Deferred[Any]] = []
        for link in links:
            self.look(link.name)
            node = self._nodes.get(link.name)
            if node is not None and node.working:
                done: Deferred[None] = Deferred()
                node.waiting.append(done)
                waiting.append(done)
        return gatherResults(waiting).addCallback(lambda _: None)


def unsettled(state: NodeState) -> bool:
    """
    Whether a node carries something of a change.
    """
    return state.trial or state.prepared is not None


def _timedOut(result: Any, seconds: float) -> Any:
    raise NodeCallFailed(f"it did not answer in {seconds:g} seconds")


def _cancel(node: _Node) -> None:
    retry, node.retry = node.retry, None
    if retry is not None:
        retry.cancel()
