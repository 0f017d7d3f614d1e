"""
Who is shut out, at the controller's port and at every node.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred

from hermes.control.enrolment.revoking import READ_AGAIN, TRY_AGAIN
from hermes.net.certificates import ClientCredentials
from hermes.test.control.channel.agents import RecordingAgent
from hermes.test.control.channel.brokercase import Factory
from hermes.test.control.channel.test_hostilebytes import Raw
from hermes.test.control.portcase import CONTROLLER, PortCase


class Lists(PortCase):
    """
    As the store has them.
    """

    def told(self, agent: RecordingAgent) -> list[tuple[str, ...]]:
        """
        What a node was told.
        """
        return [arguments[0] for name, *arguments in agent.asked if name == "revoked"]

    def broker(self, credentials: ClientCredentials) -> None:
        """
        Connect with these.
        """
        connecting = self.connect(CONTROLLER, credentials).connect(Factory(Raw))
        connecting.addErrback(lambda _: None)
        self.wires.flush()

    def put(self, **serials: float) -> None:
        self.wait(self.store.putRevocations({serial: self.seconds() + left for serial, left in serials.items()}))

    def test_a_node_is_told_when_it_connects_and_when_they_change(self) -> None:
        self.put(aa=1e6)
        _, agent = self.connected()
        self.assertEqual(self.told(agent), [("aa",)])
        self.put(bb=1e6)
        self.assertEqual(self.told(agent), [("aa",), ("aa", "bb")])

    def test_what_did_not_change_is_not_told_again(self) -> None:
        _, agent = self.connected()
        self.wait(self.store.removeNode("somebody"))
        self.connected("relay")
        self.wires.advance(2 * READ_AGAIN, 9.0)
        self.assertEqual(self.told(agent), [()])

    def test_those_that_have_expired_leave_it(self) -> None:
        self.put(aa=READ_AGAIN / 2)
        _, agent = self.connected()
        self.wires.advance(READ_AGAIN, 9.0)
        self.assertEqual(self.told(agent), [("aa",), ()])

    def test_a_node_that_is_told_is_told_the_last_next(self) -> None:
        agent = RecordingAgent("edge")
        first: Deferred[None] = Deferred()
        agent.answers["revoked"] = first
        self.client(agent)
        self.put(aa=1e6)
        self.put(bb=1e6)
        self.assertEqual(self.told(agent), [()])
        del agent.answers["revoked"]
        first.callback(None)
        self.wires.flush()
        self.assertEqual(self.told(agent), [(), ("aa", "bb")])

    def test_a_node_that_does_not_answer_is_disconnected(self) -> None:
        agent = RecordingAgent("edge")
        agent.answers["revoked"] = Deferred()
        self.client(agent)
        link = self.port.links.get("edge")
        self.wires.advance(61.0)
        self.assertIsNot(self.port.links.get("edge"), link)

    def test_one_that_can_not_answer_stays(self) -> None:
        agent = RecordingAgent("edge")
        agent.answers["revoked"] = ValueError("a mistake")
        self.client(agent)
        self.wires.flush()
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.assertIsNotNone(self.port.links.get("edge"))

    def test_a_store_that_is_down_is_asked_again(self) -> None:
        _, agent = self.connected()
        self.store.fails = 1
        self.port._revocations.read()
        self.wires.advance(TRY_AGAIN + 10.0)
        self.put(aa=1e6)
        self.assertEqual(self.told(agent)[-1], ("aa",))

    def test_it_is_in_force_before_anybody_is_let_in(self) -> None:
        credentials = self.credentials("edge")
        serial = self.wait(self.store.node("edge")).serial
        self.port.stop()
        self.put(**{serial: 1e6})
        self.port = self.makePort()
        self.assertEqual(self.port.revoked.serials, frozenset([int(serial, 16)]))
        self.broker(credentials)
        self.assertEqual(self.port.refusals.counts, {"handshake": 1})
