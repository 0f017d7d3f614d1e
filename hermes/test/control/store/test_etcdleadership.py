"""
Who leads, where several controllers share an etcd: losing it is known in time.
"""

from __future__ import annotations

import signal
import time
from typing import Any

from attrs import evolve
from twisted.internet.defer import Deferred, gatherResults

from hermes.control.errors import NotLeading
from hermes.control.store.errors import StoreUnavailable
from hermes.control.store.etcd.leadership import margin
from hermes.control.values import NodeEntry
from hermes.test.control.store.etcds import Etcd
from hermes.test.control.store.killing import KillingContract, Writer
from hermes.test.control.store.user import record
from hermes.test.control.store.waycase import StoppableTime, WayCase


class LeadershipTests(WayCase, KillingContract):
    """
    One leads, another one waits.
    """

    def setUp(self) -> None:
        super().setUp()
        self.options = evolve(self.options, lease=2)
        self.events: list[str] = []

    async def waiting(self, other: Any, leadership: Any) -> Deferred[Any]:
        """
        Another controller campaigns; what happens is noted in its order.
        """
        leadership.lost.addCallback(lambda _: self.events.append("lost"))
        campaign = other.campaign("other")

        def won(found: Any) -> Any:
            self.events.append("won")
            self.assertFalse(leadership.leads)
            return found

        return self.until(campaign.addCallback(won))

    async def test_a_leader_stays_one_while_its_lease_is_renewed(self) -> None:
        leader, other = await self.over(), await self.opened()
        leadership = await leader.campaign("leader")
        won = await self.waiting(other, leadership)
        await self.until(self.way.until(lambda: self.way.requests.count("/v3/lease/keepalive") >= 6))
        self.assertTrue(leadership.leads)
        self.assertEqual(self.events, [])
        await leadership.resign()
        await won

    async def test_a_leader_that_is_cut_off_knows_before_another_one_leads(self) -> None:
        leader, other = await self.over(), await self.opened()
        leadership = await leader.campaign("leader")
        won = await self.waiting(other, leadership)
        self.way.fate = lambda request: "swallow"
        self.way.dead = True
        await won
        self.assertEqual(self.events, ["lost", "won"])

    async def test_a_leader_whose_requests_are_refused_knows_it_too(self) -> None:
        leader, other = await self.over(), await self.opened()
        leadership = await leader.campaign("leader")
        won = await self.waiting(other, leadership)
        self.way.fate = lambda request: "lose request"
        self.way.cut()
        await won
        self.assertEqual(self.events, ["lost", "won"])

    async def test_a_renewal_that_is_answered_late_counts_from_when_it_was_asked_for(self) -> None:
        clock = StoppableTime(self.reactor)
        leader = self.makeStore({**self.wayOptions, "answer": 30.0}, clock=clock)
        await leader.start()
        self.addCleanup(self.closed, leader)
        leadership: Any = await leader.campaign("leader")
        before = leadership._lease.until
        self.way.fate = lambda request: "hold" if b"/keepalive" in request else "pass"
        await self.until(self.way.until(lambda: "/v3/lease/keepalive" in self.way.requests))
        asked = clock.seconds()
        clock.jump(0.5)
        self.way.fate = lambda request: "pass"
        await self.until(self.way.release())
        await self.until(self.way.until(lambda: self.way.requests.count("/v3/lease/keepalive") == 2))
        self.assertGreater(leadership._lease.until, before)
        self.assertLess(
            leadership._lease.until, asked + leadership._lease.lasts - margin(leadership._lease.lasts) + 0.1
        )

    async def test_a_machine_that_was_suspended_does_not_lead(self) -> None:
        clock = StoppableTime(self.reactor)
        leader = self.makeStore(self.wayOptions, clock=clock)
        await leader.start()
        self.addCleanup(self.closed, leader)
        leadership = await leader.campaign("leader")
        await leader.appendVersion(record())
        sent = len(self.way.requests)
        clock.jump(3600.0)
        # Before any timer has come to that.
        await self.failing(NotLeading, leader.setPhase(1, "preparing", "committed"))
        self.assertFalse(leadership.leads)
        self.assertTrue(leadership.lost.called)
        self.assertNotIn("/v3/kv/txn", self.way.requests[sent:])

    async def test_a_clock_that_is_set_back_changes_nothing(self) -> None:
        leader = await self.over()
        leadership = await leader.campaign("leader")
        begun = len(self.way.requests)
        # All that the reactor is asked to do comes an hour late; leases are renewed all the same.
        real = self.patch(self.reactor, "seconds", lambda: time.time() - 3600)
        try:
            await self.way.until(lambda: self.way.requests[begun:].count("/v3/lease/keepalive") >= 5)
            self.assertTrue(leadership.leads)
        finally:
            real.restore()

    async def test_a_lease_that_is_revoked_ends_it_at_once(self) -> None:
        self.options = evolve(self.options, lease=600)
        leader = await self.over()
        leadership = await leader.campaign("leader")
        self.server.ask("/lease/revoke", {"ID": leadership._lease.name})
        await self.until(leadership.lost)

    async def test_a_key_that_is_removed_ends_it_at_once(self) -> None:
        self.options = evolve(self.options, lease=600)
        leader = await self.over()
        leadership = await leader.campaign("leader")
        self.server.ask("/kv/deleterange", {"key": self.key("state/leader")})
        await self.until(leadership.lost)

    async def test_one_after_the_other_leads(self) -> None:
        stores = [await self.opened() for _ in range(4)]
        order: list[str] = []
        done = []

        def led(leadership: Any) -> Deferred[None]:
            self.assertEqual(len(order) % 2, 0)
            order.append(leadership.identity)
            return self.turn().addCallback(lambda _: order.append("end")).addCallback(lambda _: leadership.resign())

        for number in range(12):
            done.append(stores[number % 4].campaign(f"{number}").addCallback(led))
        await self.until(gatherResults(done))
        self.assertEqual(sorted(order[::2]), sorted(str(number) for number in range(12)))

    async def test_a_campaign_outlasts_that_etcd_is_not_reached(self) -> None:
        store = await self.over(patience=0.5)
        self.way.fate = lambda request: "lose request"
        campaign = store.campaign("here")
        await self.until(self.way.until(lambda: self.way.requests.count("/v3/kv/txn") > 5))
        self.assertFalse(campaign.called)
        self.way.fate = lambda request: "pass"
        self.assertTrue((await self.until(campaign)).leads)

    async def test_closing_where_etcd_is_not_reached_takes_no_longer_than_it_must(self) -> None:
        store = await self.over()
        leadership = await store.campaign("here")
        other = store.campaign("there")
        self.way.fate = lambda request: "swallow"
        self.way.dead = True
        self.closed(store)
        await self.until(leadership.lost)
        self.failureResultOf(other)
        await self.failing(StoreUnavailable, store.nodes())

    async def test_a_killed_leader_is_followed_and_leaves_old_or_new(self) -> None:
        before = 0
        where = f"etcd://{self.server.url.removeprefix('http://')}{self.options.prefix}?lease=2"
        for lines in (3, 6, 11):
            writer = Writer(where)
            writer.until(lines)
            writer.kill()
            store = await self.opened()
            await self.until(store.campaign("next"))
            before = await self.check(store, writer, before)
            for version in await store.versions(3):
                if not version.decided:
                    await store.setPhase(version.number, version.phase, "aborted")
            await self.closed(store)


class StoppedServerTests(WayCase):
    """
    An etcd that does nothing for a while.
    """

    def setUp(self) -> None:
        self.own = Etcd()
        self.addCleanup(self.own.stop)
        self.own.start()
        self.own.ready()
        super().setUp()
        self.options = evolve(self.options, endpoints=(self.own.url,), lease=2, answer=0.5, patience=1.0, ping=0.5)

    async def test_the_leader_knows_and_can_lead_again(self) -> None:
        store = await self.opened()
        leadership = await store.campaign("here")
        self.own.signal(signal.SIGSTOP)
        try:
            error = await self.failing(StoreUnavailable, store.nodes())
            self.assertIn("did not answer in time", str(error))
            await self.until(leadership.lost)
        finally:
            self.own.signal(signal.SIGCONT)
        again = await self.until(store.campaign("again"))
        self.assertTrue(again.leads)
        self.assertEqual(await store.appendVersion(record()), 1)

    async def test_what_was_written_is_there_when_it_was_killed_and_started_again(self) -> None:
        store = await self.leading()
        await store.appendVersion(record("kept"))
        await store.setPhase(1, "preparing", "committed")
        _, following = self.told(store, "nodes")
        self.own.signal(signal.SIGKILL)
        self.own.start()
        self.own.ready()
        self.assertEqual((await store.version(1)).document, "kept")
        # The watch has found it again too.
        waiting = following()
        other = await self.opened()
        await other.putNode(NodeEntry("edge"))
        await waiting
