"""
What every store does: the tests that each implementation passes.
"""

from __future__ import annotations

from typing import Any

from attrs import evolve
from twisted.internet.defer import CancelledError, Deferred, DeferredList, gatherResults
from zope.interface.verify import verifyObject

from hermes.control.errors import NotLeading
from hermes.control.store.errors import StoreError
from hermes.control.values import AuditEntry, NodeEntry
from hermes.interfaces.store import ILeadership, IStore
from hermes.test.control.store.nodescontract import NodesContract
from hermes.test.control.store.user import record
from hermes.test.control.store.versionscontract import VersionsContract


class StoreContract(VersionsContract, NodesContract):
    """
    A mixin for a C{TestCase}.
    """

    async def test_it_is_a_store(self) -> None:
        store = await self.opened()
        verifyObject(IStore, store)
        verifyObject(ILeadership, await store.campaign("here"))

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
