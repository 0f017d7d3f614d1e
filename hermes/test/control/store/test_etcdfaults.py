"""
Requests and answers that get lost on their way to etcd: what was asked is done once, or not.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from typing import Any

from attrs import evolve
from twisted.internet.defer import gatherResults

from hermes.control.errors import NotLeading
from hermes.control.store.errors import StoreUnavailable
from hermes.control.values import AuditEntry, NodeEntry
from hermes.test.control.store.cutting import Fate
from hermes.test.control.store.user import record
from hermes.test.control.store.waycase import StoppableTime, WayCase


class LostOnceTests(WayCase):
    """
    One request or one answer is lost: nobody notices.
    """

    async def afterLosses(
        self, act: Callable[[Any], Awaitable[Any]], wanted: Any, check: Callable[[Any, Any], Awaitable[None]]
    ) -> None:
        """
        Lose each transaction of C{act} in turn, once its request and once its answer.

        @param act: what is done with a store.
        @param wanted: what it returns each time.
        @param check: called with a store, and with what was returned, to look at what is stored.
        """
        prefix = self.options.prefix
        fates: tuple[Fate, ...] = ("lose request", "lose answer")
        for fate in fates:
            for which in range(12):
                self.options = evolve(self.options, prefix=f"{prefix}/{fate.replace(' ', '-')}/{which}")
                store = await self.over()
                await store.campaign("here")
                await store.putNode(NodeEntry("edge", "0"))
                await store.appendVersion(record("first"))
                lost = len(self.way.requests)
                self.way.once(b"/kv/txn", fate, which)
                result = await act(store)
                count = sum("/kv/txn" in path for path in self.way.requests[lost:])
                self.way.fate = lambda request: "pass"
                self.assertEqual(result, wanted, f"{fate} {which}")
                await check(store, result)
                await self.closed(store)
                if which + 1 >= count:
                    break
            else:
                self.fail("so many transactions?")

    async def test_a_version_is_appended_once(self) -> None:
        async def act(store: Any) -> Any:
            # Of more than one part.
            return await store.appendVersion(record(_incompressible(700_000)))

        async def check(store: Any, result: Any) -> None:
            self.assertEqual([each.number for each in await store.versions(5)], [2, 1])
            self.assertEqual((await store.version(2)).document, _incompressible(700_000))

        await self.afterLosses(act, 2, check)

    async def test_a_phase_is_set_once_and_who_set_it_knows(self) -> None:
        async def act(store: Any) -> Any:
            return await store.setPhase(1, "preparing", "committed")

        async def check(store: Any, result: Any) -> None:
            self.assertEqual(await store.current(), 1)
            self.assertFalse(await store.setPhase(1, "preparing", "aborted"))

        await self.afterLosses(act, True, check)

    async def test_of_those_who_set_a_phase_one_has_done_it(self) -> None:
        async def act(store: Any) -> Any:
            return sorted(
                await gatherResults(
                    [store.setPhase(1, "preparing", phase) for phase in ("committed", "aborted", "trial")]
                )
            )

        async def check(store: Any, result: Any) -> None:
            found = await store.version(1)
            self.assertEqual(await store.current(), 1 if found.phase == "committed" else None)

        await self.afterLosses(act, [False, False, True], check)

    async def test_a_node_is_changed_once(self) -> None:
        async def act(store: Any) -> Any:
            def more(entry: NodeEntry | None) -> NodeEntry | None:
                assert entry is not None
                return evolve(entry, serial=str(int(entry.serial) + 1))

            return (await store.changeNode("edge", more)).serial

        async def check(store: Any, result: Any) -> None:
            self.assertEqual((await store.node("edge")).serial, "1")

        await self.afterLosses(act, "1", check)

    async def test_a_token_is_taken_by_who_takes_it(self) -> None:
        async def act(store: Any) -> Any:
            await store.putToken("hash", "edge", 100.0)
            return [await store.takeToken("hash", 50.0), await store.takeToken("hash", 50.0)]

        async def check(store: Any, result: Any) -> None:
            self.assertEqual(await store.dropTokens("edge"), 0)

        await self.afterLosses(act, ["edge", None], check)

    async def test_an_entry_of_the_log_is_written_once(self) -> None:
        async def act(store: Any) -> Any:
            return await store.audit(AuditEntry(1.0, "alice", "apply"))

        async def check(store: Any, result: Any) -> None:
            self.assertEqual([each.number for each in await store.audits(5)], [1])

        await self.afterLosses(act, 1, check)

    async def test_a_secret_is_made_by_who_makes_it(self) -> None:
        async def act(store: Any) -> Any:
            return [await store.putSecret("authority", b"key"), await store.putSecret("authority", b"other")]

        async def check(store: Any, result: Any) -> None:
            self.assertEqual(await store.secret("authority"), b"key")

        await self.afterLosses(act, [True, False], check)

    async def test_who_gets_to_lead_knows_it(self) -> None:
        async def act(store: Any) -> Any:
            await store._leadership.resign()
            leadership = await self.until(store.campaign("again"))
            return leadership.leads

        async def check(store: Any, result: Any) -> None:
            self.assertEqual(await store.leader(), "again")
            self.assertEqual(await store.appendVersion(record()), 2)

        await self.afterLosses(act, True, check)

    async def test_nodes_and_revocations(self) -> None:
        async def act(store: Any) -> Any:
            await store.putRevocations({f"{number}": 10.0 for number in range(150)})
            await store.removeNode("edge")
            await store.putNode(NodeEntry("relay", "1"))
            return await store.node("edge")

        async def check(store: Any, result: Any) -> None:
            self.assertEqual([each.name for each in await store.nodes()], ["relay"])
            self.assertEqual(len(await store.revocations(0.0)), 150)

        await self.afterLosses(act, None, check)


class LeaderGoneTests(WayCase):
    """
    The leader is gone in the middle of a decision: whoever leads next finds the old or the new.
    """

    def setUp(self) -> None:
        super().setUp()
        self.options = evolve(self.options, lease=2)

    async def trial(self, **more: Any) -> tuple[Any, Any, Any]:
        """
        A leader with a version on trial, its leadership, and another controller.

        @param more: what else its store is made with.
        """
        leader = self.makeStore({**self.wayOptions, "patience": 3.0}, **more)
        await leader.start()
        self.addCleanup(self.closed, leader)
        leadership = await leader.campaign("leader")
        await leader.appendVersion(record("first"))
        await leader.setPhase(1, "preparing", "trial")
        return leader, leadership, await self.opened()

    async def recovered(self, other: Any) -> tuple[str, int | None]:
        """
        What the next leader finds, having aborted what is undecided.
        """
        await self.until(other.campaign("other"))
        await other.setPhase(1, "trial", "aborted")
        return (await other.version(1)).phase, await other.current()

    async def test_before_the_request_got_there_it_is_the_old(self) -> None:
        leader, leadership, other = await self.trial()
        self.way.fate = lambda request: "swallow"
        deciding = leader.setPhase(1, "trial", "committed")
        self.assertEqual(await self.recovered(other), ("aborted", None))
        self.assertFalse(leadership.leads)
        await self.failing(StoreUnavailable, deciding)

    async def test_after_it_got_there_it_is_the_new(self) -> None:
        leader, leadership, other = await self.trial()
        written: list[bytes] = []

        def fate(request: bytes) -> Fate:
            if b"request_put" in request:
                written.append(request)
                return "lose answer" if len(written) == 1 else "swallow"
            return "swallow" if written else "pass"

        self.way.fate = fate
        deciding = leader.setPhase(1, "trial", "committed")
        self.assertEqual(await self.recovered(other), ("committed", 1))
        self.assertFalse(leadership.leads)
        await self.failing(StoreUnavailable, deciding)

    async def test_a_decision_that_comes_late_decides_nothing(self) -> None:
        leader, leadership, other = await self.trial()

        def fate(request: bytes) -> Fate:
            if b"request_put" in request:
                return "hold"
            return "pass" if b"/kv/txn" in request else "swallow"

        self.way.fate = fate
        deciding = leader.setPhase(1, "trial", "committed")
        await self.failing(StoreUnavailable, deciding)
        await self.until(other.campaign("other"))
        self.assertFalse(leadership.leads)
        self.assertGreater(len(self.way.held), 0)
        # Only now does it get there.
        self.way.fate = lambda request: "pass"
        await self.until(self.way.release())
        self.assertEqual(((await other.version(1)).phase, await other.current()), ("trial", None))

    async def stopped(self) -> tuple[Any, Any, Any]:
        """
        A leader that does not know that it leads no more: its clock has stopped, and it hears of nothing.
        """
        clock = StoppableTime(self.reactor)
        leader, leadership, other = await self.trial(clock=clock)
        clock.stop()
        self.addCleanup(clock.goOn)
        self.way.cut()
        self.server.ask("/lease/revoke", {"ID": leadership._lease.name})
        await self.until(other.campaign("other"))
        self.assertTrue(leadership.leads)
        return leader, leadership, other

    async def test_an_old_leader_that_does_not_know_it_decides_nothing(self) -> None:
        leader, leadership, other = await self.stopped()
        await self.failing(NotLeading, leader.setPhase(1, "trial", "committed"))
        self.assertFalse(leadership.leads)
        self.assertEqual(((await other.version(1)).phase, await other.current()), ("trial", None))

    async def test_an_old_leader_that_does_not_know_it_appends_nothing(self) -> None:
        for size in (10, 2_000_000):
            leader, leadership, other = await self.stopped()
            await self.failing(NotLeading, leader.appendVersion(record(_incompressible(size))))
            self.assertFalse(leadership.leads)
            self.assertEqual(len(await other.versions(5)), 1)
            self.options = evolve(self.options, prefix=f"{self.options.prefix}/again")


def _incompressible(size: int) -> str:
    return "".join(
        random.Random(size).choices("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+/", k=size)
    )
