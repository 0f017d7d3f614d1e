"""
A store in memory, shared by several controllers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from attrs import define, evolve, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from hermes.control.values import NodeReason, Phase, VersionRecord


class StoreGone(Exception):
    """
    The store can't be reached. Whether what was asked was done is not known.
    """


@define(eq=False)
class MemoryStoreState:
    """
    What is stored.

    @ivar current: the version that is committed.
    @ivar decided: how often each version was committed: once, or something is wrong.
    @ivar waiting: who wants to lead, the leader first.
    """

    versions: dict[int, VersionRecord] = field(factory=dict)
    current: int | None = None
    decided: dict[int, int] = field(factory=dict)
    nodes: dict[str, Any] = field(factory=dict)
    tokens: dict[str, tuple[str, float]] = field(factory=dict)
    secrets: dict[str, Any] = field(factory=dict)
    audited: list[Any] = field(factory=list)
    waiting: list[MemoryLeadership] = field(factory=list)
    watchers: list[Callable[[], object]] = field(factory=list)

    def expire(self) -> None:
        """
        The leader's lease ends: the next one leads.
        """
        if self.waiting:
            self.waiting[0].end()


@define(eq=False)
class MemoryLeadership:
    """
    See L{hermes.interfaces.store.ILeadership}.
    """

    state: MemoryStoreState
    store: MemoryStore
    elected: Deferred[MemoryLeadership] = field(factory=Deferred)
    lost: Deferred[None] = field(factory=Deferred)
    over: bool = False

    def begin(self) -> None:
        """
        It leads.
        """
        if not self.elected.called:
            self.store._later(lambda: None if self.elected.called else self.elected.callback(self))

    def end(self) -> None:
        """
        It does not lead any more.
        """
        if self.over:
            return
        self.over = True
        self.state.waiting.remove(self)
        if self.elected.called and not self.lost.called:
            self.store._later(lambda: None if self.lost.called else self.lost.callback(None))
        if self.state.waiting:
            self.state.waiting[0].begin()

    def resign(self) -> Deferred[None]:
        self.end()
        return self.store._done(lambda: None)


class MemoryStore:
    """
    One controller's connection to what is stored. Every answer comes in a later turn of the clock.

    @ivar reachable: whether the store is; where not, calls fail after a while.
    @ivar forgets: the answers to the next calls, so many, are lost: they were done, and fail.
    @ivar fails: the next calls, so many, fail and were not done.
    """

    def __init__(self, clock: IReactorTime, state: MemoryStoreState | None = None, latency: float = 0.001) -> None:
        self.state = MemoryStoreState() if state is None else state
        self.reachable = True
        self.forgets = 0
        self.fails = 0
        self._clock = clock
        self._latency = latency

    def start(self) -> Deferred[None]:
        return self._done(lambda: None)

    def close(self) -> Deferred[None]:
        for each in list(self.state.waiting):
            if each.store is self:
                each.end()
        return self._done(lambda: None)

    def _later(self, call: Callable[[], object]) -> None:
        self._clock.callLater(self._latency, call)

    def _done(self, call: Callable[[], Any]) -> Deferred[Any]:
        """
        Do it, then answer.
        """
        answer: Deferred[Any] = Deferred(lambda _: None)

        def send() -> None:
            if not self.reachable or self.fails:
                self.fails = max(0, self.fails - 1)
                answer.errback(StoreGone("the store does not answer"))
                return
            result = call()
            if self.forgets:
                self.forgets -= 1
                answer.errback(StoreGone("the answer was lost"))
            else:
                answer.callback(result)

        self._later(send)
        return answer

    # Versions

    def appendVersion(self, record: VersionRecord) -> Deferred[int]:
        def append() -> int:
            number = max(self.state.versions, default=0) + 1
            self.state.versions[number] = evolve(record, number=number)
            self._changed()
            return number

        return self._done(append)

    def version(self, number: int) -> Deferred[VersionRecord | None]:
        return self._done(lambda: self.state.versions.get(number))

    def versions(self, limit: int, before: int | None = None) -> Deferred[Sequence[VersionRecord]]:
        def found() -> list[VersionRecord]:
            numbers = [each for each in sorted(self.state.versions, reverse=True) if before is None or each < before]
            return [self.state.versions[each] for each in numbers[:limit]]

        return self._done(found)

    def current(self) -> Deferred[int | None]:
        return self._done(lambda: self.state.current)

    def setPhase(
        self, number: int, expected: Phase, phase: Phase, reasons: Sequence[NodeReason] = ()
    ) -> Deferred[bool]:
        def swap() -> bool:
            record = self.state.versions.get(number)
            if record is None or record.phase != expected:
                return False
            if phase == "committed":
                if record.parent != self.state.current:
                    return False
                self.state.current = number
                self.state.decided[number] = self.state.decided.get(number, 0) + 1
            self.state.versions[number] = evolve(record, phase=phase, reasons=tuple(reasons))
            self._changed()
            return True

        return self._done(swap)

    # Nodes, tokens, secrets, the log

    def putNode(self, entry: Any) -> Deferred[None]:
        return self._done(lambda: self.state.nodes.__setitem__(entry.name, entry))

    def node(self, name: str) -> Deferred[Any]:
        return self._done(lambda: self.state.nodes.get(name))

    def nodes(self) -> Deferred[Sequence[Any]]:
        return self._done(lambda: [self.state.nodes[name] for name in sorted(self.state.nodes)])

    def removeNode(self, name: str) -> Deferred[None]:
        return self._done(lambda: self.state.nodes.pop(name, None)).addCallback(lambda _: None)

    def putToken(self, hashed: str, node: str, expires: float) -> Deferred[None]:
        return self._done(lambda: self.state.tokens.__setitem__(hashed, (node, expires)))

    def takeToken(self, hashed: str, now: float) -> Deferred[str | None]:
        def take() -> str | None:
            node, expires = self.state.tokens.pop(hashed, ("", 0.0))
            return node if node and now < expires else None

        return self._done(take)

    def audit(self, entry: Any) -> Deferred[None]:
        return self._done(lambda: self.state.audited.append(entry))

    def audits(self, limit: int, before: int | None = None) -> Deferred[Sequence[Any]]:
        return self._done(lambda: list(reversed(self.state.audited[:before]))[:limit])

    def secret(self, name: str) -> Deferred[Any]:
        return self._done(lambda: self.state.secrets.get(name))

    def putSecret(self, name: str, value: Any, expectedAbsent: bool = True) -> Deferred[bool]:
        def put() -> bool:
            if expectedAbsent and name in self.state.secrets:
                return False
            self.state.secrets[name] = value
            return True

        return self._done(put)

    # Changes, and who leads

    def watch(self, callback: Callable[[], object]) -> Callable[[], None]:
        def told() -> None:
            self._later(callback)

        self.state.watchers.append(told)
        return lambda: self.state.watchers.remove(told)

    def _changed(self) -> None:
        for each in list(self.state.watchers):
            each()

    def campaign(self, identity: str) -> Deferred[MemoryLeadership]:
        leadership = MemoryLeadership(self.state, self)
        self.state.waiting.append(leadership)
        if self.state.waiting[0] is leadership:
            leadership.begin()
        return leadership.elected
