"""
A store as plain dictionaries, and a machine that does the same to it and to a real one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, cast

from attrs import define, evolve, field
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from twisted.internet.defer import Deferred
from twisted.internet.threads import blockingCallFromThread, deferToThread

from hermes.control.errors import NotLeading
from hermes.control.values import AuditEntry, NodeEntry, NodeReason, Phase, VersionRecord
from hermes.test.control.store.user import record

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
names = st.sampled_from(["edge", "relay", "gw/1", "ü ber", "a%2Fb"])
clients = st.integers(0, 1)
numbers = st.integers(0, 8)
times = st.integers(0, 6).map(float)
phases: st.SearchStrategy[Phase] = st.sampled_from(["preparing", "trial", "committed", "aborted"])
entries = st.builds(
    NodeEntry,
    name=names,
    serial=texts,
    enrolledAt=times,
    expires=times,
    revoked=st.booleans(),
    lastSeen=times,
    earlier=st.dictionaries(texts, times, max_size=2),
    software=texts,
)


@define
class Model:
    """
    What is stored.

    @ivar leader: which client leads.
    """

    versions: dict[int, VersionRecord] = field(factory=dict)
    current: int | None = None
    nodes: dict[str, NodeEntry] = field(factory=dict)
    seen: dict[str, float] = field(factory=dict)
    revoked: dict[str, float] = field(factory=dict)
    tokens: dict[str, tuple[str, float]] = field(factory=dict)
    secrets: dict[str, bytes] = field(factory=dict)
    audits: list[AuditEntry] = field(factory=list)
    leader: int | None = None


class Machine(RuleBasedStateMachine):
    """
    Two clients, in a thread of its own.

    @cvar open: opens a store on what is stored for this run. Where clients share one, the same for both.
    @cvar begin: begins with nothing stored.
    """

    reactor: Any
    open: Callable[[], Awaitable[Any]]
    begin: Callable[[], None]
    shared = True

    def __init__(self) -> None:
        super().__init__()
        type(self).begin()
        self.model = Model()
        self.now = 0.0
        self.stores: list[Any] = []
        self.leadership: Any = None
        first = self.wait(type(self).open)
        self.stores = [first, self.wait(type(self).open) if self.shared else first]

    def wait(self, call: Callable[..., Any], *arguments: Any, **more: Any) -> Any:
        """
        Call it in the reactor's thread.
        """

        async def called() -> Any:
            return await call(*arguments, **more)

        return blockingCallFromThread(self.reactor, lambda: Deferred.fromCoroutine(called()))

    def teardown(self) -> None:
        for store in {id(store): store for store in self.stores}.values():
            self.wait(store.close)

    def leads(self, client: int) -> bool:
        """
        Whether it does; both do where they are one.
        """
        return self.model.leader is not None and (not self.shared or self.model.leader == client)

    # Who leads

    @precondition(lambda self: self.model.leader is None)
    @rule(client=clients)
    def campaign(self, client: int) -> None:
        self.leadership = self.wait(self.stores[client].campaign, f"client {client}")
        self.model.leader = client

    @precondition(lambda self: self.model.leader is not None)
    @rule()
    def resign(self) -> None:
        self.wait(self.leadership.resign)
        self.model.leader = None

    @invariant()
    def sameLeader(self) -> None:
        for store in self.stores:
            wanted = None if self.model.leader is None else f"client {self.model.leader}"
            assert self.wait(store.leader) == wanted

    # Versions

    @rule(client=clients, document=texts, parent=st.none() | numbers, usual=st.booleans(), comment=texts)
    def append(self, client: int, document: str, parent: int | None, usual: bool, comment: str) -> None:
        made = record(document, self.model.current if usual else parent, comment=comment, digests={document: comment})
        if not self.leads(client):
            self.refused(self.stores[client].appendVersion, made)
            return
        number = self.wait(self.stores[client].appendVersion, made)
        assert number == len(self.model.versions) + 1
        self.model.versions[number] = evolve(made, number=number)

    @rule(client=clients, number=numbers, expected=phases, phase=phases, text=texts)
    def setPhase(self, client: int, number: int, expected: Phase, phase: Phase, text: str) -> None:
        reasons = (NodeReason("edge", text, "probe"),) if phase == "aborted" else ()
        there = self.model.versions.get(number)
        call = self.stores[client].setPhase
        if expected in ("committed", "aborted") or phase == "preparing":
            try:
                self.wait(call, number, expected, phase, reasons)
            except ValueError:
                return
            raise AssertionError("it was not refused")
        if not self.leads(client):
            self.refused(call, number, expected, phase, reasons)
            return
        wanted = there is not None and there.phase == expected
        if there is not None and phase == "committed" and there.parent != self.model.current:
            wanted = False
        assert self.wait(call, number, expected, phase, reasons) == wanted
        if wanted and there is not None:
            self.model.versions[number] = evolve(there, phase=phase, reasons=reasons)
            if phase == "committed":
                self.model.current = number

    def refused(self, call: Callable[..., Any], *arguments: Any) -> None:
        """
        It needs a leader.
        """
        try:
            self.wait(call, *arguments)
        except NotLeading:
            return
        raise AssertionError("it was not refused")

    @rule(client=clients, number=numbers, limit=st.integers(0, 4), before=st.none() | numbers, whole=st.booleans())
    def readVersions(self, client: int, number: int, limit: int, before: int | None, whole: bool) -> None:
        store = self.stores[client]
        assert self.wait(store.current) == self.model.current
        assert self.wait(store.version, number) == self.model.versions.get(number)
        wanted = [self.model.versions[each] for each in sorted(self.model.versions, reverse=True)]
        wanted = [each for each in wanted if before is None or each.number < before][:limit]
        if not whole:
            wanted = [evolve(each, document="", measurements="", digests={}) for each in wanted]
        assert list(self.wait(store.versions, limit, before, whole)) == wanted

    # Nodes

    @rule(client=clients, entry=entries)
    def putNode(self, client: int, entry: NodeEntry) -> None:
        there = self.model.nodes.get(entry.name)
        self.wait(self.stores[client].putNode, entry)
        seen = max(entry.lastSeen, 0.0 if there is None else there.lastSeen)
        self.model.nodes[entry.name] = evolve(entry, lastSeen=seen)

    @rule(client=clients, name=names, software=texts)
    def changeNode(self, client: int, name: str, software: str) -> None:
        there = self.model.nodes.get(name)
        found = self.wait(
            self.stores[client].changeNode,
            name,
            lambda entry: None if entry is None or software == entry.serial else evolve(entry, software=software),
        )
        if there is not None and software != there.serial:
            self.model.nodes[name] = evolve(there, software=software)
        assert found == self.model.nodes.get(name)

    @rule(client=clients, name=names)
    def removeNode(self, client: int, name: str) -> None:
        self.wait(self.stores[client].removeNode, name)
        self.model.nodes.pop(name, None)

    @rule(client=clients, name=names)
    def readNodes(self, client: int, name: str) -> None:
        assert self.wait(self.stores[client].node, name) == self.model.nodes.get(name)
        wanted = [self.model.nodes[each] for each in sorted(self.model.nodes)]
        assert list(self.wait(self.stores[client].nodes)) == wanted

    @rule(client=clients, serials=st.dictionaries(names, times, max_size=3), now=times)
    def revoke(self, client: int, serials: dict[str, float], now: float) -> None:
        self.wait(self.stores[client].putRevocations, serials)
        for serial, until in serials.items():
            self.model.revoked[serial] = max(until, self.model.revoked.get(serial, 0.0))
        wanted = {serial: until for serial, until in self.model.revoked.items() if until > now}
        assert dict(self.wait(self.stores[1 - client].revocations, now)) == wanted

    # Tokens, secrets, the log

    @rule(client=clients, hashed=names, node=names, expires=times)
    def putToken(self, client: int, hashed: str, node: str, expires: float) -> None:
        self.wait(self.stores[client].putToken, hashed, node, expires)
        self.model.tokens[hashed] = (node, expires)

    @rule(client=clients, hashed=names, now=times)
    def takeToken(self, client: int, hashed: str, now: float) -> None:
        # Time goes on: a store may forget at once what has expired.
        now = self.now = max(now, self.now)
        node, expires = self.model.tokens.get(hashed, ("", 0.0))
        wanted = node if node and now < expires else None
        assert self.wait(self.stores[client].takeToken, hashed, now) == wanted
        if wanted is not None:
            del self.model.tokens[hashed]

    @rule(client=clients, name=names, value=st.binary(max_size=10), absent=st.booleans())
    def secret(self, client: int, name: str, value: bytes, absent: bool) -> None:
        wanted = not absent or name not in self.model.secrets
        assert self.wait(self.stores[client].putSecret, name, value, absent) == wanted
        if wanted:
            self.model.secrets[name] = value
        assert self.wait(self.stores[1 - client].secret, name) == self.model.secrets[name]

    @rule(client=clients, text=texts, limit=st.integers(0, 4), before=st.none() | numbers)
    def audit(self, client: int, text: str, limit: int, before: int | None) -> None:
        number = self.wait(self.stores[client].audit, AuditEntry(1.0, "alice", "apply", text=text))
        self.model.audits.append(AuditEntry(1.0, "alice", "apply", text=text, number=number))
        assert number == len(self.model.audits)
        wanted = [each for each in reversed(self.model.audits) if before is None or each.number < before]
        assert list(self.wait(self.stores[1 - client].audits, limit, before)) == wanted[:limit]

    # Starting again

    @rule(client=clients)
    def again(self, client: int) -> None:
        if not self.shared:
            client = 0
        if self.leads(client):
            self.model.leader = None
        self.wait(self.stores[client].close)
        self.stores[client] = self.wait(type(self).open)
        if not self.shared:
            self.stores = [self.stores[0]] * 2


def agree(case: Any, reactor: Any, examples: int, shared: bool, begin: Callable[[], None]) -> Deferred[None]:
    """
    Fires when the stores of a case have done what the model does.

    @param case: makes stores.
    @param begin: called before each run: what is stored is another, and empty.
    """

    async def opened() -> Any:
        store = case.makeStore()
        await store.start()
        return store

    made = type(
        "Agreeing", (Machine,), {"reactor": reactor, "open": staticmethod(opened), "begin": staticmethod(begin)}
    )
    made.shared = shared  # type: ignore[attr-defined]
    limits = settings(max_examples=examples, stateful_step_count=30, deadline=None, database=None)
    return deferToThread(run_state_machine_as_test, cast(Any, made), settings=limits)
