"""
What every store does: the tests that each implementation passes.
"""

from __future__ import annotations

import random
from typing import Any

from attrs import evolve
from twisted.internet.defer import CancelledError, Deferred, DeferredList, gatherResults
from zope.interface.verify import verifyObject

from hermes.control.errors import NotLeading
from hermes.control.store.errors import StoreError
from hermes.control.values import CONTROLLER, AuditEntry, NodeEntry, NodeReason, Phase
from hermes.interfaces.store import ILeadership, IStore
from hermes.test.control.store.user import PATIENCE, StoreUser, record


class StoreContract(StoreUser):
    """
    A mixin for a C{TestCase}.
    """

    async def test_it_is_a_store(self) -> None:
        store = await self.opened()
        verifyObject(IStore, store)
        verifyObject(ILeadership, await store.campaign("here"))

    # Versions

    async def test_a_new_store_has_nothing(self) -> None:
        store = await self.opened()
        self.assertIsNone(await store.current())
        self.assertIsNone(await store.version(1))
        self.assertEqual(list(await store.versions(10)), [])
        self.assertEqual(list(await store.nodes()), [])
        self.assertEqual(list(await store.audits(10)), [])
        self.assertEqual(dict(await store.revocations(0.0)), {})
        self.assertIsNone(await store.leader())

    async def test_versions_get_numbers_from_one_upwards(self) -> None:
        store = await self.leading()
        self.assertEqual([await store.appendVersion(record()) for _ in range(3)], [1, 2, 3])

    async def test_a_version_comes_back_as_it_was_appended(self) -> None:
        store = await self.leading()
        appended = record(
            "überall: \U0001f30d\n",
            comment="zwei\nZeilen \x00",
            measurements="edge relay 12ms",
            digests={"edge": "ab" * 32, "relay": "cd" * 32},
        )
        number = await store.appendVersion(evolve(appended, number=77))
        self.assertEqual(await store.version(number), evolve(appended, number=number))

    async def test_a_document_may_have_megabytes(self) -> None:
        store = await self.leading()
        # Not to be compressed: every part of it counts.
        text = "".join(random.Random(1).choices("abcdefghijklmnopqrstuvwxyz0123456789", k=5_000_000))
        number = await store.appendVersion(record(text, digests={f"node{n}": "ab" * 32 for n in range(1000)}))
        found = await store.version(number)
        self.assertTrue(found.document == text)
        self.assertEqual(len(found.digests), 1000)
        self.assertEqual(await store.versions(1), [found])

    async def test_a_document_that_is_too_large_is_refused_and_leaves_no_trace(self) -> None:
        store = await self.leading()
        error = await self.failing(StoreError, store.appendVersion(record("x" * (17 * 1024 * 1024))))
        self.assertIn("at most", str(error))
        self.assertEqual(await store.versions(5), [])
        self.assertEqual(await store.appendVersion(record()), 1)

    async def test_a_version_begins_as_preparing(self) -> None:
        store = await self.leading()
        await self.failing(ValueError, store.appendVersion(record(phase="committed")))
        self.assertEqual(await store.versions(5), [])

    async def test_versions_are_listed_newest_first(self) -> None:
        store = await self.leading()
        for number in range(7):
            await store.appendVersion(record(f"document {number + 1}"))
        self.assertEqual([each.number for each in await store.versions(3)], [7, 6, 5])
        self.assertEqual([each.number for each in await store.versions(3, 5)], [4, 3, 2])
        self.assertEqual([each.number for each in await store.versions(3, 2)], [1])
        self.assertEqual(list(await store.versions(3, 1)), [])
        self.assertEqual(list(await store.versions(0)), [])
        self.assertEqual([each.number for each in await store.versions(2, 1000)], [7, 6])
        self.assertEqual([each.document for each in await store.versions(2)], ["document 7", "document 6"])

    async def test_a_list_can_leave_the_documents_out(self) -> None:
        store = await self.leading()
        await store.appendVersion(record("text", measurements="some", digests={"edge": "ab"}))
        (found,) = await store.versions(1, whole=False)
        self.assertEqual(found, evolve(record(""), number=1))

    async def test_old_versions_are_dropped_and_the_committed_one_stays(self) -> None:
        store = await self.leading(keepVersions=3)
        await store.appendVersion(record("first"))
        await store.setPhase(1, "preparing", "committed")
        for number in range(2, 9):
            await store.appendVersion(record(f"{number}", 1))
        self.assertEqual([each.number for each in await store.versions(100)], [8, 7, 6, 1])
        self.assertEqual(await store.current(), 1)
        self.assertIsNone(await store.version(2))
        self.assertEqual((await store.version(1)).document, "first")
        self.assertEqual([each.number for each in await store.versions(1, 6)], [1])

    async def test_numbers_go_on_after_old_versions_are_dropped(self) -> None:
        store = await self.leading(keepVersions=1)
        self.assertEqual([await store.appendVersion(record()) for _ in range(4)], [1, 2, 3, 4])

    # Phases

    async def test_a_phase_is_compared_and_set(self) -> None:
        store = await self.leading()
        number = await store.appendVersion(record())
        self.assertTrue(await store.setPhase(number, "preparing", "trial"))
        self.assertEqual((await store.version(number)).phase, "trial")
        self.assertFalse(await store.setPhase(number, "preparing", "trial"))
        self.assertFalse(await store.setPhase(number + 1, "preparing", "trial"))
        self.assertEqual((await store.version(number)).phase, "trial")

    async def test_committing_makes_it_the_current_one(self) -> None:
        store = await self.leading()
        first = await store.appendVersion(record())
        self.assertTrue(await store.setPhase(first, "preparing", "trial"))
        self.assertIsNone(await store.current())
        self.assertTrue(await store.setPhase(first, "trial", "committed"))
        self.assertEqual(await store.current(), first)
        second = await store.appendVersion(record(parent=first))
        self.assertEqual(await store.current(), first)
        self.assertTrue(await store.setPhase(second, "preparing", "committed"))
        self.assertEqual(await store.current(), second)

    async def test_a_version_of_another_parent_is_not_committed(self) -> None:
        store = await self.leading()
        first, rival = await store.appendVersion(record()), await store.appendVersion(record())
        self.assertTrue(await store.setPhase(first, "preparing", "committed"))
        self.assertFalse(await store.setPhase(rival, "preparing", "committed"))
        self.assertEqual((await store.version(rival)).phase, "preparing")
        self.assertEqual(await store.current(), first)

    async def test_an_aborted_version_keeps_its_reasons(self) -> None:
        store = await self.leading()
        number = await store.appendVersion(record("text"))
        reasons = (
            NodeReason("edge", "listener apps: address in use\nsecond line"),
            NodeReason(CONTROLLER, "ü", "probe"),
        )
        self.assertTrue(await store.setPhase(number, "preparing", "aborted", reasons))
        found = await store.version(number)
        self.assertEqual((found.phase, found.reasons, found.document), ("aborted", reasons, "text"))
        self.assertIsNone(await store.current())

    async def test_what_is_decided_stays(self) -> None:
        store = await self.leading()
        number = await store.appendVersion(record())
        await store.setPhase(number, "preparing", "committed")
        decided: tuple[Phase, ...] = ("committed", "aborted")
        for phase in decided:
            await self.failing(ValueError, store.setPhase(number, phase, "aborted"))
        await self.failing(ValueError, store.setPhase(number, "trial", "preparing"))
        self.assertEqual((await store.version(number)).phase, "committed")

    async def test_a_thousand_nodes_reasons_are_kept_as_far_as_they_go(self) -> None:
        store = await self.leading()
        number = await store.appendVersion(record())
        reasons = [NodeReason(f"node{n}", "long " * 2000) for n in range(1000)]
        self.assertTrue(await store.setPhase(number, "preparing", "aborted", reasons))
        found = (await store.version(number)).reasons
        self.assertEqual(found[0].node, "node0")
        self.assertIn("more reasons", found[-1].text)
        self.assertLess(sum(len(each.text) for each in found), 500_000)

    async def test_of_two_swaps_one_wins(self) -> None:
        store = await self.leading()
        number = await store.appendVersion(record())
        phases: list[Phase] = ["committed", "aborted"] * 4
        done = await gatherResults([store.setPhase(number, "preparing", phase) for phase in phases])
        self.assertEqual(sorted(done), [False] * 7 + [True])
        won = phases[done.index(True)]
        self.assertEqual((await store.version(number)).phase, won)
        self.assertEqual(await store.current(), number if won == "committed" else None)

    async def test_appends_at_the_same_time_get_different_numbers(self) -> None:
        store = await self.leading()
        numbers = await gatherResults([store.appendVersion(record(f"document {n}")) for n in range(6)])
        self.assertEqual(sorted(numbers), [1, 2, 3, 4, 5, 6])
        found = await gatherResults([store.version(each) for each in numbers])
        self.assertEqual([each.document for each in found], [f"document {n}" for n in range(6)])

    async def test_all_is_there_when_it_is_opened_again(self) -> None:
        store = await self.leading()
        number = await store.appendVersion(record("kept"))
        await store.setPhase(number, "preparing", "committed")
        await store.putNode(NodeEntry("edge", "ab"))
        await store.putToken("hash", "edge", 100.0)
        await store.putSecret("key", b"\x00\xff")
        await store.audit(AuditEntry(1.0, "alice", "apply"))
        await store.putRevocations({"cd": 50.0})
        store.seen("edge", 77.0)
        await self.closed(store)
        store = await self.leading()
        self.assertEqual(await store.current(), number)
        self.assertEqual((await store.version(number)).document, "kept")
        self.assertEqual(await store.node("edge"), NodeEntry("edge", "ab", lastSeen=77.0))
        self.assertEqual(await store.takeToken("hash", 0.0), "edge")
        self.assertEqual(await store.secret("key"), b"\x00\xff")
        self.assertEqual([each.actor for each in await store.audits(5)], ["alice"])
        self.assertEqual(dict(await store.revocations(0.0)), {"cd": 50.0})
        self.assertEqual(await store.appendVersion(record(parent=number)), number + 1)

    # Who leads

    async def test_only_a_leader_writes_versions(self) -> None:
        store = await self.opened()
        await self.failing(NotLeading, store.appendVersion(record()))
        leadership = await store.campaign("here")
        number = await store.appendVersion(record())
        await leadership.resign()
        await self.failing(NotLeading, store.setPhase(number, "preparing", "committed"))
        await self.failing(NotLeading, store.appendVersion(record()))
        self.assertEqual((await store.version(number)).phase, "preparing")

    async def test_the_leader_is_known_to_all(self) -> None:
        first, second = await self.two()
        await first.campaign("first.example:9000")
        self.assertEqual(await second.leader(), "first.example:9000")

    async def test_another_one_leads_when_the_first_resigns(self) -> None:
        first, second = await self.two()
        leadership = await first.campaign("first")
        self.assertTrue(leadership.leads)
        waiting = second.campaign("second")
        await self.turn(0.05)
        self.assertFalse(waiting.called)
        lost = leadership.lost
        await leadership.resign()
        self.assertFalse(leadership.leads)
        await self.until(lost)
        other = await self.until(waiting)
        self.assertTrue(other.leads)
        self.assertEqual(await first.leader(), "second")
        await leadership.resign()
        self.assertTrue(other.leads)

    async def test_who_waits_no_more_does_not_lead_later(self) -> None:
        first, second = await self.two()
        leadership = await first.campaign("first")
        waiting = second.campaign("second")
        await self.turn()
        waiting.cancel()
        await self.failing(CancelledError, waiting)
        third = first.campaign("third")
        await leadership.resign()
        self.assertEqual((await self.until(third)).identity, "third")
        self.assertEqual(await second.leader(), "third")

    async def test_closing_ends_a_leadership(self) -> None:
        store = await self.opened()
        leadership = await store.campaign("here")
        await self.closed(store)
        await self.until(leadership.lost)
        self.assertFalse(leadership.leads)
        again = await self.opened()
        self.assertTrue((await self.until(again.campaign("again"))).leads)

    async def test_several_may_read_while_one_leads(self) -> None:
        first, second = await self.two()
        await first.campaign("first")
        number = await first.appendVersion(record("text"))
        await first.setPhase(number, "preparing", "committed")
        self.assertEqual(await second.current(), number)
        self.assertEqual((await second.version(number)).document, "text")

    # Nodes

    async def test_a_node_comes_back_as_it_was_put(self) -> None:
        store = await self.opened()
        entry = NodeEntry("edge", "0a1b", 1.5, 2.5, True, 3.5, {"ff": 9.0}, "1.2.3")
        await store.putNode(entry)
        self.assertEqual(await store.node("edge"), entry)
        self.assertIsNone(await store.node("edg"))

    async def test_nodes_are_listed_by_name(self) -> None:
        store = await self.opened()
        names = ["b", "a.example", "A", "ü/..%", "a", "a-b", "a_b"]
        for name in names:
            await store.putNode(NodeEntry(name, name))
        self.assertEqual([each.name for each in await store.nodes()], sorted(names))
        self.assertEqual((await store.node("ü/..%")).serial, "ü/..%")

    async def test_many_nodes_are_listed(self) -> None:
        store = await self.opened()
        names = [f"node{number:04}" for number in range(450)]
        await gatherResults([store.putNode(NodeEntry(name)) for name in names])
        self.assertEqual([each.name for each in await store.nodes()], names)

    async def test_a_removed_node_is_gone(self) -> None:
        store = await self.opened()
        await store.putNode(NodeEntry("edge"))
        await store.putNode(NodeEntry("relay"))
        await store.removeNode("edge")
        await store.removeNode("never")
        self.assertIsNone(await store.node("edge"))
        self.assertEqual([each.name for each in await store.nodes()], ["relay"])

    async def test_a_node_is_changed_with_nobody_between(self) -> None:
        first, second = await self.two()
        await first.putNode(NodeEntry("edge", "0"))

        def more(entry: NodeEntry | None) -> NodeEntry | None:
            assert entry is not None
            return evolve(entry, serial=str(int(entry.serial) + 1))

        await gatherResults([(first, second)[n % 2].changeNode("edge", more) for n in range(10)])
        self.assertEqual((await first.node("edge")).serial, "10")

    async def test_a_change_may_make_a_node_or_leave_it(self) -> None:
        store = await self.opened()
        self.assertIsNone(await store.changeNode("edge", lambda entry: entry))
        self.assertIsNone(await store.node("edge"))
        made = await store.changeNode("edge", lambda entry: NodeEntry("edge", "1"))
        self.assertEqual(made, NodeEntry("edge", "1"))
        left = await store.changeNode("edge", lambda entry: None)
        self.assertEqual(left, made)
        self.assertEqual(await store.node("edge"), made)

    async def test_what_a_change_raises_is_told_and_nothing_was_changed(self) -> None:
        store = await self.opened()
        await store.putNode(NodeEntry("edge", "1"))

        def wrong(entry: NodeEntry | None) -> NodeEntry | None:
            raise LookupError("no")

        await self.failing(LookupError, store.changeNode("edge", wrong))
        self.assertEqual((await store.node("edge")).serial, "1")

    async def test_when_a_node_was_seen_shows_at_once(self) -> None:
        store = await self.opened()
        await store.putNode(NodeEntry("edge", lastSeen=10.0))
        store.seen("edge", 20.0)
        store.seen("edge", 15.0)
        self.assertEqual((await store.node("edge")).lastSeen, 20.0)
        self.assertEqual([each.lastSeen for each in await store.nodes()], [20.0])
        # Put by somebody who has not heard of it.
        await store.putNode(NodeEntry("edge", "new"))
        found = await store.node("edge")
        self.assertEqual((found.serial, found.lastSeen), ("new", 20.0))

    async def test_when_a_node_was_seen_is_written_after_a_while(self) -> None:
        first, second = await self.opened(interval=0.05), await self.opened() if self.shared else None
        await first.putNode(NodeEntry("edge"))
        first.seen("edge", 20.0)
        first.seen("ghost", 20.0)
        if second is None:
            await self.closed(first)
            second = await self.opened()
        for _ in range(int(PATIENCE / 0.05)):
            if (await second.node("edge")).lastSeen == 20.0:
                break
            await self.turn(0.05)
        self.assertEqual((await second.node("edge")).lastSeen, 20.0)
        self.assertIsNone(await second.node("ghost"))

    # Revocations

    async def test_revocations_are_remembered_until_they_expire(self) -> None:
        store = await self.opened()
        await store.putRevocations({"aa": 100.0, "bb": 200.0})
        await store.putRevocations({"bb": 150.0, "cc": 300.0})
        self.assertEqual(dict(await store.revocations(0.0)), {"aa": 100.0, "bb": 200.0, "cc": 300.0})
        self.assertEqual(dict(await store.revocations(100.0)), {"bb": 200.0, "cc": 300.0})
        # A clock that was wrong has done no harm.
        await store.revocations(1e12)
        self.assertEqual(len(await store.revocations(0.0)), 3)

    async def test_revocations_outlast_the_node(self) -> None:
        store = await self.opened()
        await store.putNode(NodeEntry("edge", "aa"))
        await store.putRevocations({"aa": 100.0})
        await store.removeNode("edge")
        self.assertEqual(dict(await store.revocations(0.0)), {"aa": 100.0})

    async def test_hundreds_of_revocations_at_once(self) -> None:
        store = await self.opened()
        serials = {f"{number:x}": 100.0 + number for number in range(333)}
        await store.putRevocations(serials)
        self.assertEqual(dict(await store.revocations(0.0)), serials)

    # Tokens

    async def test_a_token_is_used_once(self) -> None:
        store = await self.opened()
        await store.putToken("hash", "edge", 100.0)
        self.assertIsNone(await store.takeToken("other", 50.0))
        self.assertEqual(await store.takeToken("hash", 50.0), "edge")
        self.assertIsNone(await store.takeToken("hash", 50.0))

    async def test_an_expired_token_is_none(self) -> None:
        store = await self.opened()
        await store.putToken("hash", "edge", 100.0)
        self.assertIsNone(await store.takeToken("hash", 100.0))

    async def test_of_many_who_take_a_token_one_gets_it(self) -> None:
        first, second = await self.two()
        await first.putToken("hash", "edge", 100.0)
        taken = await gatherResults([(first, second)[n % 2].takeToken("hash", 50.0) for n in range(12)])
        self.assertEqual(sorted(taken, key=str), [None] * 11 + ["edge"])

    async def test_a_nodes_tokens_can_be_dropped(self) -> None:
        store = await self.opened()
        for hashed, node in (("a", "edge"), ("b", "edge"), ("c", "relay"), ("d", "edge")):
            await store.putToken(hashed, node, 100.0)
        await store.takeToken("d", 50.0)
        self.assertEqual(await store.dropTokens("edge"), 2)
        self.assertEqual(await store.dropTokens("edge"), 0)
        self.assertIsNone(await store.takeToken("a", 50.0))
        self.assertEqual(await store.takeToken("c", 50.0), "relay")

    # Secrets

    async def test_a_secret_is_made_once(self) -> None:
        first, second = await self.two()
        done = await gatherResults([(first, second)[n % 2].putSecret("authority", b"key %d" % n) for n in range(6)])
        self.assertEqual(sorted(done), [False] * 5 + [True])
        self.assertEqual(await second.secret("authority"), b"key %d" % done.index(True))

    async def test_a_secret_can_be_replaced_where_that_is_meant(self) -> None:
        store = await self.opened()
        self.assertIsNone(await store.secret("key"))
        self.assertTrue(await store.putSecret("key", b"old", expectedAbsent=False))
        self.assertFalse(await store.putSecret("key", b"new"))
        self.assertTrue(await store.putSecret("key", b"new", expectedAbsent=False))
        self.assertEqual(await store.secret("key"), b"new")

    async def test_a_secret_may_be_empty_or_any_bytes(self) -> None:
        store = await self.opened()
        for name, value in (("empty", b""), ("bytes", bytes(range(256)) * 100)):
            await store.putSecret(name, value)
            self.assertEqual(await store.secret(name), value)

    async def test_a_secret_that_is_too_large_is_refused(self) -> None:
        store = await self.opened()
        await self.failing(StoreError, store.putSecret("key", b"x" * 300_000))
        self.assertIsNone(await store.secret("key"))

    # The audit log

    async def test_the_log_is_listed_newest_first(self) -> None:
        store = await self.opened()
        entries = [AuditEntry(float(n), "alice", "apply", f"version {n}", "ü", "unix") for n in range(6)]
        numbers = [await store.audit(entry) for entry in entries]
        self.assertEqual(numbers, [1, 2, 3, 4, 5, 6])
        wanted = [evolve(entry, number=number) for entry, number in zip(entries, numbers, strict=True)]
        self.assertEqual(list(await store.audits(2)), wanted[:3:-1])
        self.assertEqual(list(await store.audits(3, 5)), wanted[3:0:-1])
        self.assertEqual(list(await store.audits(0)), [])

    async def test_entries_of_several_controllers_get_different_numbers(self) -> None:
        first, second = await self.two()
        numbers = await gatherResults(
            [(first, second)[n % 2].audit(AuditEntry(1.0, f"{n}", "apply")) for n in range(10)]
        )
        self.assertEqual(sorted(numbers), list(range(1, 11)))
        self.assertEqual(sorted(each.actor for each in await first.audits(20)), [f"{n}" for n in range(10)])

    async def test_what_is_long_in_the_log_is_shortened_and_never_refused(self) -> None:
        store = await self.opened()
        await store.audit(AuditEntry(1.0, "alice", "apply", text="ü" * 500_000))
        (found,) = await store.audits(1)
        self.assertTrue(found.text.startswith("üüü") and found.text.endswith("..."))
        self.assertLess(len(found.text.encode()), 70_000)

    async def test_the_oldest_entries_go_where_there_are_too_many(self) -> None:
        store = await self.opened(keepAudits=4)
        for number in range(9):
            await store.audit(AuditEntry(float(number), "alice", "apply"))
        self.assertEqual([each.number for each in await store.audits(100)], [9, 8, 7, 6])
        self.assertEqual([each.number for each in await store.audits(100, 8)], [7, 6])

    # Watching

    async def test_changes_are_told_by_what_they_are_about(self) -> None:
        first, second = await self.two()
        versions, nextVersion = self.told(second, "versions")
        nodes, nextNode = self.told(second, "nodes")
        _, nextLeader = self.told(second, "leader")
        waiting = nextLeader()
        leadership = await first.campaign("first")
        await waiting
        self.assertEqual((len(versions), len(nodes)), (0, 0))
        waiting = nextVersion()
        number = await first.appendVersion(record())
        await waiting
        waiting = nextVersion()
        await first.setPhase(number, "preparing", "committed")
        await waiting
        self.assertEqual(len(nodes), 0)
        told = len(versions)
        waiting = nextNode()
        await first.putNode(NodeEntry("edge"))
        await waiting
        waiting = nextNode()
        await first.putRevocations({"aa": 1.0})
        await waiting
        waiting = nextNode()
        await first.removeNode("edge")
        await waiting
        self.assertEqual(len(versions), told)
        waiting = nextLeader()
        await leadership.resign()
        await waiting

    async def test_a_watch_is_not_called_within_a_call_and_not_after_its_end(self) -> None:
        store = await self.opened()
        calls: list[str] = []
        end = store.watch(lambda: calls.append("ended"), "nodes")
        _, following = self.told(store, "nodes")
        end()
        end()
        waiting = following()
        await store.putNode(NodeEntry("edge"))
        await waiting
        self.assertEqual(calls, [])

    async def test_one_that_watches_and_fails_does_not_keep_it_from_others(self) -> None:
        store = await self.opened()

        def wrong() -> None:
            raise LookupError("mine")

        self.addCleanup(store.watch(wrong, "nodes"))
        _, following = self.told(store, "nodes")
        waiting = following()
        await store.putNode(NodeEntry("edge"))
        await waiting
        self.assertEqual(len(self.flushLoggedErrors(LookupError)), 1)

    async def test_who_watches_can_read_what_has_changed(self) -> None:
        first, second = await self.two()
        found: Deferred[Any] = Deferred()

        def look() -> None:
            second.node("edge").addCallback(lambda node: None if found.called or node is None else found.callback(node))

        self.addCleanup(second.watch(look, "nodes"))
        await first.putNode(NodeEntry("edge", "1"))
        self.assertEqual((await self.until(found)).serial, "1")

    async def test_many_calls_at_once_are_all_answered(self) -> None:
        store = await self.leading()
        calls: list[Deferred[Any]] = []
        for number in range(40):
            calls += [
                store.putNode(NodeEntry(f"n{number}")),
                store.audit(AuditEntry(0.0, "a", "b")),
                store.putToken(f"t{number}", "edge", 1.0),
                store.current(),
            ]
        done = await DeferredList(calls, consumeErrors=True)
        self.assertEqual([result for fine, result in done if not fine], [])
        self.assertEqual((len(await store.nodes()), len(await store.audits(100))), (40, 40))
