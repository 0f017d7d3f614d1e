"""
In which order a controller hears that a node's connection is gone: that of a real channel. Links in memory follow it,
so that what is tried with them is what happens.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hermes.interfaces.control import INodeLink
from hermes.test.control.channel.agents import RecordingAgent
from hermes.test.control.portcase import PortCase
from hermes.testing.control import MemoryLinks


class Heard:
    """
    What is heard, in its order.
    """

    def __init__(self, links: Any, link: INodeLink) -> None:
        self.heard: list[str] = []
        link.health().addErrback(lambda failure: self.heard.append(f"a call: {link.state.connected}"))
        links.watch(self._changed)

    def _changed(self, link: INodeLink) -> None:
        if not link.state.connected:
            self.heard.append("the link")


ORDER = ["a call: True", "the link"]
"""
Whoever waits for an answer is told first, when the link still looks as if it were there.
"""


class RealTests(PortCase):
    """
    Over a connection.
    """

    def test_whoWaitsHearsOfItBeforeTheLinkIsToldAsLost(self) -> None:
        link, agent = self.connected()
        agent.answers["health"] = Deferred()
        heard = Heard(self.port.links, link)
        self.wires.flush()
        self.assertIn(("health",), agent.asked)
        link.disconnect("a test")
        self.wires.flush()
        self.assertEqual(heard.heard, ORDER)


class MemoryTests(SynchronousTestCase):
    """
    In memory.
    """

    def test_whoWaitsHearsOfItBeforeTheLinkIsToldAsLost(self) -> None:
        clock, agent = Clock(), RecordingAgent("edge")
        links = MemoryLinks(clock)
        link = links.connect(agent)
        agent.answers["health"] = Deferred()
        heard = Heard(links, link)
        clock.pump([0.1] * 3)
        self.assertIn(("health",), agent.asked)
        link.disconnect("a test")
        self.assertEqual(heard.heard, ORDER)
