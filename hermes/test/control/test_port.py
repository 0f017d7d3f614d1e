"""
A controller's port, and nodes that come to it, in one process.
"""

from __future__ import annotations

from hermes.control.agent.files import Files
from hermes.control.channel.limits import Limits
from hermes.control.enrolment.errors import EnrolmentRefused
from hermes.control.errors import NodeLost
from hermes.control.values import READY, digestOf
from hermes.test.control.portcase import PortCase


class Joining(PortCase):
    """
    From a token to a connection.
    """

    def test_a_token_is_all_that_a_node_needs(self) -> None:
        token = self.wait(self.port.registrar.enrol("edge"))
        member, agents = self.member(token)
        self.wait(member.start())
        link = self.port.links.get("edge")
        assert link is not None
        self.assertEqual(self.wait(link.commit(3)), READY)
        self.assertEqual(agents[0].asked, [("controllerConnected",), ("revoked", ()), ("commit", 3)])

    def test_it_joins_once(self) -> None:
        token = self.wait(self.port.registrar.enrol("edge"))
        files = Files(self.mktemp())
        self.wait(self.member(token, files=files)[0].start())
        again, agents = self.member(None, files=files)
        self.wait(again.start())
        self.assertEqual(agents[0].name, "edge")

    def test_a_token_is_good_once(self) -> None:
        token = self.wait(self.port.registrar.enrol("edge"))
        self.wait(self.member(token)[0].start())
        self.fails(self.member(token)[0].start(), EnrolmentRefused)
        self.assertEqual(self.port.refusals.counts["token"], 1)

    def test_a_node_that_is_shut_out_loses_its_connection_and_gets_no_other(self) -> None:
        token = self.wait(self.port.registrar.enrol("edge"))
        member, _ = self.member(token)
        self.wait(member.start())
        link = self.port.links.get("edge")
        assert link is not None
        waiting = link.status()
        self.wait(self.port.registrar.revoke("edge"))
        self.assertIsNone(self.port.links.get("edge"))
        self.fails(waiting, NodeLost)
        self.wires.advance(60.0)
        self.assertIsNone(self.port.links.get("edge"))
        self.assertGreater(self.port.refusals.counts["handshake"], 0)

    def test_the_others_are_told_who_is_shut_out(self) -> None:
        _, agent = self.connected("relay")
        token = self.wait(self.port.registrar.enrol("edge"))
        self.wait(self.member(token)[0].start())
        entry = self.wait(self.store.node("edge"))
        self.wait(self.port.registrar.revoke("edge"))
        self.assertEqual(agent.asked, [("controllerConnected",), ("revoked", ()), ("revoked", (entry.serial,))])


class Large(PortCase):
    """
    What is too large for a message.
    """

    def test_it_crosses_in_pages_both_ways(self) -> None:
        link, agent = self.connected()
        config = bytes(range(256)) * 20_000
        agent.answers["status"] = {"routes": [{"name": f"route {number}"} for number in range(50_000)]}
        self.assertEqual(self.wait(link.prepare(1, None, config, digestOf(config), 10.0)), READY)
        self.assertEqual(agent.asked[-1][3], config)
        self.assertEqual(self.wait(link.status()), agent.answers["status"])
        self.assertEqual(Limits().message, 512 * 1024)
