"""
A store in memory, shared by several controllers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import evolve
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from zope.interface import implementer

from hermes.control.errors import NotLeading
from hermes.control.store.bounds import VALUE, boundedAudit, boundedReasons, checked
from hermes.control.store.codec import Body, checkedPhases, checkedRecord
from hermes.control.store.errors import StoreUnavailable
from hermes.control.store.sqlite import KEEP_AUDITS, KEEP_VERSIONS
from hermes.control.values import AuditEntry, NodeEntry, NodeReason, Phase, VersionRecord
from hermes.interfaces.store import ILeadership, IStore, Watched
from hermes.testing.control.storestate import MemoryLeadership, MemoryStoreState


@implementer(IStore)
class MemoryStore:
    """
    One controller's connection to what is stored. Every answer comes in a later turn of the clock.

    A version and a secret are as large as a real one takes, and as many are kept.

    @ivar reachable: whether the store is; where not, calls fail after a while.
    @ivar forgets: the answers to the next calls, so many, are lost: they were done, and fail.
    @ivar fails: the next calls, so many, fail and were not done.
    @ivar fenced: whether what a leader writes is refused where it does not lead.
    @ivar asked: how often each call was made.
    """

    log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        state: MemoryStoreState | None = None,
        latency: float = 0.001,
        fenced: bool = True,
        network: IReactorTime | None = None,
        keepVersions: int = KEEP_VERSIONS,
        keepAudits: int = KEEP_AUDITS,
    ) -> None:
        """
        @param clock: the controller's: answers come by it, if it still runs.
        @param latency: seconds until a call arrives, and until its answer does.
        @param network: what calls arrive by; C{clock} where not given.
        """
        self.state = MemoryStoreState() if state is None else state
        self.reachable = True
        self.forgets = 0
        self.fails = 0
        self.fenced = fenced
        self.asked: dict[str, int] = {}
        self._clock = clock
        self._network = network or clock
        self._latency = latency
        self._keepVersions = keepVersions
        self._keepAudits = keepAudits
        self._leadership: MemoryLeadership | None = None

    def start(self) -> Deferred[None]:
        return self.done(lambda: None)

    def close(self) -> Deferred[None]:
        if self._leadership is not None:
            self._leadership.end()
            if self._leadership in self.state.untold:
                self.state.untold.remove(self._leadership)
        return self.done(lambda: None)

    def later(self, call: Callable[[], object]) -> None:
        """
        Call something in a later turn.
        """
        self._clock.callLater(self._latency, call)

    def done(self, call: Callable[[], Any], name: str = "") -> Deferred[Any]:
        """
        Do it when it has got there, then answer.
        """
        self.asked[name] = self.asked.get(name, 0) + 1
        answer: Deferred[Any] = Deferred(lambda _: None)
        if getattr(self._clock, "killed", False):
            return answer

        def arrived() -> None:
            if not self.reachable or self.fails:
                self.fails = max(0, self.fails - 1)
                answered(lambda: answer.errback(StoreUnavailable("the store does not answer")))
                return
            try:
                result = call()
            except Exception as error:
                refused = error
                answered(lambda: answer.errback(refused))
                return
            if self.forgets:
                self.forgets -= 1
                answered(lambda: answer.errback(StoreUnavailable("the answer was lost")))
            else:
                answered(lambda: answer.callback(result))

        def answered(fire: Callable[[], None]) -> None:
            self.later(lambda: None if answer.called else fire())

        # Whatever becomes of the controller meanwhile.
        self._network.callLater(self._latency, arrived)
        return answer

    def _led(self) -> None:
        leadership = self._leadership
        if self.fenced and (leadership is None or leadership.over or not leadership.leads):
            raise NotLeading("another controller leads")

    # Versions

    def appendVersion(self, record: VersionRecord) -> Deferred[int]:
        def append() -> int:
            checkedRecord(record)
            self._led()
            Body.of(record)
            number = max(self.state.versions, default=0) + 1
            self.state.versions[number] = evolve(record, number=number)
            for old in [each for each in self.state.versions if each <= number - self._keepVersions]:
                if old != self.state.current:
                    del self.state.versions[old]
            self.state.changed("versions")
            return number

        return self.done(append, "appendVersion")

    def version(self, number: int) -> Deferred[VersionRecord | None]:
        return self.done(lambda: self.state.versions.get(number), "version")

    def versions(self, limit: int, before: int | None = None, whole: bool = True) -> Deferred[Sequence[VersionRecord]]:
        def found() -> list[VersionRecord]:
            numbers = [each for each in sorted(self.state.versions, reverse=True) if before is None or each < before]
            records = [self.state.versions[each] for each in numbers[:limit]]
            return records if whole else [evolve(each, document="", measurements="", digests={}) for each in records]

        return self.done(found, "versions")

    def current(self) -> Deferred[int | None]:
        return self.done(lambda: self.state.current, "current")

    def setPhase(
        self, number: int, expected: Phase, phase: Phase, reasons: Sequence[NodeReason] = ()
    ) -> Deferred[bool]:
        def swap() -> bool:
            checkedPhases(expected, phase)
            self._led()
            record = self.state.versions.get(number)
            if record is None or record.phase != expected:
                return False
            if phase == "committed":
                if record.parent != self.state.current:
                    return False
                self.state.current = number
                self.state.decided[number] = self.state.decided.get(number, 0) + 1
            self.state.versions[number] = evolve(record, phase=phase, reasons=boundedReasons(reasons))
            self.state.changed("versions")
            return True

        return self.done(swap, "setPhase")

    # Nodes

    def putNode(self, entry: NodeEntry) -> Deferred[None]:
        return self.changeNode(entry.name, lambda before: entry).addCallback(lambda _: None)

    def changeNode(
        self, name: str, change: Callable[[NodeEntry | None], NodeEntry | None]
    ) -> Deferred[NodeEntry | None]:
        def swap() -> NodeEntry | None:
            before = self.state.nodes.get(name)
            entry = change(before)
            if entry is None:
                return before
            if before is not None:
                entry = evolve(entry, lastSeen=max(entry.lastSeen, before.lastSeen))
            self.state.nodes[name] = entry
            self.state.changed("nodes")
            return entry

        return self.done(swap, "changeNode")

    def node(self, name: str) -> Deferred[NodeEntry | None]:
        return self.done(lambda: self.state.nodes.get(name), "node")

    def nodes(self) -> Deferred[Sequence[NodeEntry]]:
        return self.done(lambda: [self.state.nodes[name] for name in sorted(self.state.nodes)], "nodes")

    def removeNode(self, name: str) -> Deferred[None]:
        def remove() -> None:
            if self.state.nodes.pop(name, None) is not None:
                self.state.changed("nodes")

        return self.done(remove, "removeNode")

    def seen(self, name: str, when: float) -> None:
        entry = self.state.nodes.get(name)
        if entry is not None:
            self.state.nodes[name] = evolve(entry, lastSeen=max(when, entry.lastSeen))

    def putRevocations(self, serials: Mapping[str, float]) -> Deferred[None]:
        def put() -> None:
            for serial, until in serials.items():
                self.state.revoked[serial] = max(until, self.state.revoked.get(serial, until))
            self.state.changed("nodes")

        return self.done(put, "putRevocations")

    def revocations(self, now: float) -> Deferred[Mapping[str, float]]:
        return self.done(
            lambda: {serial: until for serial, until in self.state.revoked.items() if until > now}, "revocations"
        )

    # Tokens, secrets, the audit log

    def putToken(self, hashed: str, node: str, expires: float) -> Deferred[None]:
        return self.done(lambda: self.state.tokens.__setitem__(hashed, (node, expires)), "putToken")

    def takeToken(self, hashed: str, now: float) -> Deferred[str | None]:
        def take() -> str | None:
            node, expires = self.state.tokens.get(hashed, ("", 0.0))
            if not node or now >= expires:
                return None
            del self.state.tokens[hashed]
            return node

        return self.done(take, "takeToken")

    def dropTokens(self, node: str) -> Deferred[int]:
        def drop() -> int:
            dropped = [hashed for hashed, (name, _) in self.state.tokens.items() if name == node]
            for hashed in dropped:
                del self.state.tokens[hashed]
            return len(dropped)

        return self.done(drop, "dropTokens")

    def secret(self, name: str) -> Deferred[bytes | None]:
        return self.done(lambda: self.state.secrets.get(name), "secret")

    def putSecret(self, name: str, value: bytes, expectedAbsent: bool = True) -> Deferred[bool]:
        def put() -> bool:
            checked(f"secret {name}", len(value), VALUE)
            if expectedAbsent and name in self.state.secrets:
                return False
            self.state.secrets[name] = value
            return True

        return self.done(put, "putSecret")

    def audit(self, entry: AuditEntry) -> Deferred[int]:
        def add() -> int:
            number = self.state.audited[-1].number + 1 if self.state.audited else 1
            self.state.audited.append(evolve(boundedAudit(entry), number=number))
            del self.state.audited[: -self._keepAudits]
            return number

        return self.done(add, "audit")

    def audits(self, limit: int, before: int | None = None) -> Deferred[Sequence[AuditEntry]]:
        def found() -> list[AuditEntry]:
            newest = reversed(self.state.audited)
            return [each for each in newest if before is None or each.number < before][:limit]

        return self.done(found, "audits")

    # Changes, and who leads

    def watch(self, callback: Callable[[], object], what: Watched = "versions") -> Callable[[], None]:
        def called() -> None:
            # Not after its end.
            if told in self.state.watchers:
                try:
                    callback()
                except Exception:
                    self.log.failure("who watches {what} has failed", what=what)

        def told() -> None:
            self.later(called)

        self.state.watchers[told] = what
        return lambda: self.state.watchers.pop(told, None) and None

    def campaign(self, identity: str) -> Deferred[ILeadership]:
        leadership = MemoryLeadership(identity, self)
        self._leadership = leadership
        self.state.waiting.append(leadership)
        if self.state.waiting[0] is leadership:
            leadership.begin()
        elected: Deferred[Any] = leadership.elected
        return elected

    def leader(self) -> Deferred[str | None]:
        def found() -> str | None:
            leading = [each for each in self.state.waiting if each.leads]
            return leading[0].identity if leading else None

        return self.done(found, "leader")
