"""
What every store does with versions.
"""

from __future__ import annotations

import random

from attrs import evolve
from twisted.internet.defer import gatherResults

from hermes.control.store.errors import StoreError
from hermes.control.values import CONTROLLER, AuditEntry, NodeEntry, NodeReason, Phase
from hermes.test.control.store.user import StoreUser, record


class VersionsContract(StoreUser):
    """
    A mixin for a C{TestCase}.
    """

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
