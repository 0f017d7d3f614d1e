"""
Ways that follow what links cost, while leaders go, nodes are killed, and operators make changes: whatever has happened,
they come to be the best, and not by more changes than are allowed.
"""

from __future__ import annotations

from itertools import pairwise
from random import Random

from hermes.control.damping import LONGEST
from hermes.control.values import CONTROLLER
from hermes.test.control.reroutingcase import BAD, DOCUMENT, GOOD, NAMES, ReroutingCase

SEEDS = range(12)
STEPS = 40


class FaultsTests(ReroutingCase):
    """
    By chance, and always the same.
    """

    def expire(self, random: Random) -> None:
        """
        Another controller leads; nodes come to it after a while.
        """
        before, self.leader = self.leader, self.lead(f"leader {random.random()}")
        self.clock.advance(1)
        self.state.expire()
        for node in self.nodes.values():
            if node.link is not None:
                node.link.cut()
        self.clock.advance(random.choice((1, 30, 300)))
        before.end()
        self.connect()

    def restart(self, random: Random) -> None:
        """
        A node is killed, and comes back.
        """
        name = random.choice(NAMES)
        node = self.nodes[name]
        told = self.figures.pop(name, None)
        node.kill()
        self.pass_(random.choice((1, 20, 200)))
        node.start()
        assert node.agent is not None
        node.link = self.leader.links.connect(node.agent)
        if told is not None:
            self.figures[name] = told

    def step(self, random: Random) -> None:
        """
        Something happens.
        """
        what = random.randrange(10)
        if what < 5:
            trips = (GOOD, GOOD * 1.1, BAD, None)
            self.measure(one=random.choice(trips), two=random.choice(trips))
        elif what < 7:
            self.leader.controller.apply(f"{DOCUMENT}# {random.random()}\n", "ops").addErrback(lambda failure: None)
        elif what < 8:
            self.expire(random)
        elif what < 9:
            self.restart(random)
        self.pass_(random.choice((1, 10, 70, 400)))

    def test_waysComeToBeTheBest(self) -> None:
        for seed in SEEDS:
            random = Random(seed)
            self.setUp()
            for _ in range(STEPS):
                self.step(random)
            for wanted, trips in ((("edge", "two", "gateway"), (BAD, GOOD)), (("edge", "one", "gateway"), (GOOD, BAD))):
                self.measure(one=trips[0], two=trips[1])
                self.pass_(2 * LONGEST + 100)
                self.assertEqual((seed, self.path), (seed, wanted))
            digests = self.current.digests
            for name, node in self.nodes.items():
                assert node.agent is not None
                self.assertEqual((seed, name, node.agent.state.digest), (seed, name, digests[name]))
            self.check(seed)
            self.leader.end()

    def check(self, seed: int) -> None:
        """
        No change that was made by itself came soon after another, changed the document, or is left undecided.
        """
        versions = self.versions()
        made = 0
        for before, record in pairwise(versions):
            self.assertTrue(record.decided)
            if record.author == CONTROLLER:
                made += 1
                self.assertGreaterEqual(record.time - before.time, 60, (seed, before, record))
                assert record.parent is not None
                self.assertEqual(record.document, self.state.versions[record.parent].document)
        self.assertGreater(made, 0)
