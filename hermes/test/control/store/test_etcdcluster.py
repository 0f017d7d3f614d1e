"""
An etcd of three members, of which some are gone.
"""

from __future__ import annotations

import random
import signal
from itertools import count
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from hermes.control.store.errors import StoreUnavailable
from hermes.control.store.etcd.options import EtcdOptions
from hermes.control.store.etcd.store import EtcdStore
from hermes.control.values import NodeEntry
from hermes.interfaces.store import IStore
from hermes.test.control.store.etcds import SKIP, Etcd, members
from hermes.test.control.store.user import StoreUser, record


class ClusterTests(TestCase, StoreUser):
    """
    Two of three are enough.
    """

    skip = SKIP
    timeout = 180
    patience = 20.0

    def setUp(self) -> None:
        self.reactor: Any = reactor
        self.members = members(3, "--heartbeat-interval=50", "--election-timeout=500")
        for each in self.members:
            self.addCleanup(each.stop)
        self.order = count()

    def makeStore(self, **options: Any) -> IStore:
        """
        Each controller has another member that it asks first.
        """
        first = next(self.order) % 3
        urls = [each.url for each in self.members[first:] + self.members[:first]]
        found: IStore = EtcdStore(
            self.reactor, EtcdOptions(tuple(urls), lease=5, answer=1.0, patience=self.patience, ping=0.5), **options
        )
        return found

    def leadingMember(self) -> Etcd:
        """
        The one that leads the others.
        """
        for each in self.members:
            status = each.ask("/maintenance/status", {})
            if status["leader"] == status["header"]["member_id"]:
                return each
        raise AssertionError("none leads")

    async def test_a_controller_goes_on_when_the_member_that_leads_is_killed(self) -> None:
        leader, other = await self.leading(), await self.opened()
        leadership = leader._leadership
        changes, _ = self.told(other, "versions")
        current = None
        for number in range(1, 31):
            appended = await leader.appendVersion(record("text " * 10_000, current))
            self.assertEqual(appended, number)
            if number == 10:
                self.leadingMember().signal(signal.SIGKILL)
            self.assertTrue(await leader.setPhase(number, "preparing", "trial"))
            self.assertTrue(await leader.setPhase(number, "trial", "committed"))
            current = number
        self.assertTrue(leadership.leads)
        self.assertEqual(await other.current(), 30)
        self.assertEqual([each.phase for each in await other.versions(40)], ["committed"] * 30)
        for _ in range(100):
            if len(changes) >= 30:
                break
            await self.turn(0.1)
        told = len(changes)
        await leader.appendVersion(record())
        for _ in range(100):
            if len(changes) > told:
                break
            await self.turn(0.1)
        self.assertGreater(len(changes), told)

    async def test_every_member_in_turn_may_be_gone(self) -> None:
        store = await self.opened()
        for number, member in enumerate(self.members * 2):
            member.signal(signal.SIGKILL if number % 2 else signal.SIGSTOP)
            await store.putNode(NodeEntry(f"node{number}"))
            self.assertEqual(len(await store.nodes()), number + 1)
            if number % 2:
                member.start()
            else:
                member.signal(signal.SIGCONT)
            member.ready()
        self.assertEqual(len(await store.nodes()), 6)

    async def test_one_of_three_decides_nothing_and_says_so(self) -> None:
        self.patience = 6.0
        store = await self.leading()
        leadership = store._leadership
        await store.appendVersion(record())
        down = self.members[:2]
        for each in down:
            each.signal(signal.SIGKILL)
        deciding: Deferred[bool] = store.setPhase(1, "preparing", "committed")
        await self.until(leadership.lost)
        await self.failing(StoreUnavailable, deciding)
        for each in down:
            each.start()
        for each in down:
            each.ready()
        await self.until(store.campaign("again"))
        # Old or new: the write may have waited in the member that was left.
        found, current = await store.version(1), await store.current()
        self.assertIn((found.phase, current), [("preparing", None), ("committed", 1)])

    async def test_controllers_write_while_members_come_and_go(self) -> None:
        stores = [await self.opened() for _ in range(3)]
        chance = random.Random(7)
        going = True
        written: dict[str, str] = {}

        async def write(which: int) -> None:
            number = 0
            while going:
                number += 1
                try:
                    await stores[which].putNode(NodeEntry(f"node{which}", f"{number}"))
                    written[f"node{which}"] = f"{number}"
                except StoreUnavailable:
                    await self.turn(0.05)

        writers = [Deferred.fromCoroutine(write(which)) for which in range(3)]
        for _ in range(4):
            member = chance.choice(self.members)
            member.signal(signal.SIGKILL)
            before = dict(written)
            while any(written.get(name) == before.get(name) for name in ("node0", "node1", "node2")):
                await self.turn(0.05)
            member.start()
            member.ready()
        going = False
        for each in writers:
            await each
        found = {each.name: each.serial for each in await stores[0].nodes()}
        self.assertEqual(found, written)
