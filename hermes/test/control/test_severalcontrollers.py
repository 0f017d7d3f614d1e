"""
Three controllers and two nodes, each a process, on an etcd of three members: the leader is killed in the middle of a
change, or falls asleep, or the etcd's own leader is gone. Old or new on all nodes, and never between.
"""

from __future__ import annotations

import os
import signal

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from hermes.control.stops import CONTROLLER_POINTS
from hermes.test.control.processoverlay import ProcessOverlay, reactor
from hermes.test.control.store.etcds import SKIP, members
from hermes.test.control.test_killed import BACK, KEPT
from hermes.test.processes import PATIENCE, ports

EVERYWHERE = bool(os.environ.get("HERMES_KILLED_EVERYWHERE"))
"""
Whether the leader is killed at each point: another leads only once the lease of the one that was killed has ended.
"""

POINTS = (
    [point for point in CONTROLLER_POINTS if point.startswith("apply.")]
    if EVERYWHERE
    else ["apply.prepared", "apply.committed", "apply.decided", "apply.aborted"]
)

DOCUMENT = """
overlay: example
nodes:
  edge:  {{address: "127.0.0.1:{edge}", drain: {version}s, listeners: {{apps: {{type: proxy, bind: "{apps}"}}}}}}
  relay: {{address: "127.0.0.1:{relay}", drain: {version}s}}
settings: {{trial: 150ms, decide: {decide}}}
"""


class ControllersCase(TestCase):
    """
    C{one}, C{two} and C{three}.

    @cvar lease: seconds after which another leads, where the leader is gone.
    """

    skip = SKIP
    timeout = 10 * PATIENCE
    lease: int

    async def setUp(self) -> None:  # type: ignore[override]
        self.members = await deferToThread(members, 3, "--heartbeat-interval=50", "--election-timeout=500")
        for each in self.members:
            self.addCleanup(each.stop)
        self.overlay = ProcessOverlay(self, ("edge", "relay"), ("one", "two", "three"))
        hosts = ",".join(each.url.partition("//")[2] for each in self.members)
        self.overlay.store = f"etcd://{hosts}/hermes?lease={self.lease}"
        self.ports = dict(zip(("edge", "relay"), ports(2), strict=True))
        self.version = 0
        await self.overlay.start()
        await self.made()

    async def apply(self, *, good: bool = True, decide: str = "60s") -> tuple[int, str]:
        """
        Make a change that concerns both nodes, at the leader.

        @param good: whether both can take it: one can't listen where etcd does.
        """
        self.version += 1
        apps = "127.0.0.1:0" if good else self.members[0].url.partition("//")[2]
        document = DOCUMENT.format(**self.ports, version=self.version, apps=apps, decide=decide)
        return await self.overlay.apply(document)

    async def made(self) -> None:
        """
        Make one that both take.
        """
        status, text = await self.apply()
        self.assertEqual(status, 0, f"{text}\n{self.overlay.said()}")
        self.assertIn("committed on 2 nodes", text)


class LeaderGoneTests(ControllersCase):
    """
    The leader is gone in the middle of a change.
    """

    lease = 3

    async def another(self, before: str, committed: int, point: str) -> None:
        """
        Another controller leads, and all nodes are its; what has become of the change is known.

        @param before: the one that led.
        @param committed: so many versions are.
        """
        overlay = self.overlay
        after = await overlay.lead(but=before)
        await overlay.until(overlay.current)
        self.assertEqual((point, await self.overlay.committed()), (point, committed))
        for name, node in overlay.nodes.items():
            # The last that it has connected to.
            found = [line for line in node.lines if "connected to the controller at" in line]
            self.assertIn(overlay.addresses[after], found[-1], name)

    async def test_the_leader_is_killed_in_the_middle_of_a_change_and_comes_back_as_a_follower(self) -> None:
        overlay = self.overlay
        for point in POINTS:
            leader, before = overlay.leader, await self.overlay.committed()
            overlay.killAt(leader, point)
            await self.apply(good=point not in BACK)
            ended = overlay.controllers[leader].ended().addTimeout(PATIENCE, reactor)
            self.assertEqual((point, await ended), (point, -9))
            await self.another(leader, before + int(point in KEPT), point)
            overlay.killAt(leader, "")
            await overlay.startController(leader)
            status = await overlay.status(leader)
            found = status["leading"], status["leader"]
            self.assertEqual((point, found), (point, (False, overlay.addresses[overlay.leader])))
        await self.made()

    async def test_a_leader_that_falls_asleep_in_the_middle_decides_nothing_when_it_wakes_up(self) -> None:
        overlay = self.overlay
        leader, before = overlay.leader, await self.overlay.committed()
        overlay.killAt(leader, "apply.decide", "STOP")
        applied = Deferred.fromCoroutine(self.apply())
        await overlay.controllers[leader].printed("SIGSTOP at apply.decide")
        await overlay.lead(but=leader)
        overlay.killAt(leader, "")
        overlay.controllers[leader].signal("CONT")
        await applied
        await self.another(leader, before, "apply.decide")
        await self.made()


class StoreLeaderGoneTests(ControllersCase):
    """
    The leader goes on.
    """

    # The members of an etcd need their time to find a leader, on a busy machine more than the usual second.
    lease = 20

    async def test_a_change_is_made_though_the_member_that_leads_the_store_is_killed(self) -> None:
        for member in self.members:
            told = await deferToThread(member.ask, "/maintenance/status", {})
            if told["leader"] == told["header"]["member_id"]:
                break
        before = await self.overlay.committed()
        member.signal(signal.SIGKILL)
        status, text = await self.apply()
        self.assertEqual(status, 0, f"{text}\n{self.overlay.said()}")
        self.assertEqual(await self.overlay.committed(), before + 1)
        await self.overlay.until(self.overlay.current)
