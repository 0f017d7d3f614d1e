"""
A node stays connected to whichever controller leads.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from hermes.control.channel.backoff import Backoff
from hermes.control.channel.client import STEADY, ControllerClient
from hermes.control.channel.doorway import Leadership
from hermes.control.port import NodePort
from hermes.test.control.channel.agents import RecordingAgent
from hermes.test.control.portcase import CONTROLLER, PortCase

OTHER = "other.example:7700"
THIRD = "third.example:7700"


class Waiting(SynchronousTestCase):
    """
    How long it waits.
    """

    def test_twice_as_long_each_time_up_to_a_bound(self) -> None:
        backoff = Backoff(1.0, 10.0, chance=lambda: 1.0)
        self.assertEqual([backoff.next() for _ in range(6)], [1.0, 2.0, 4.0, 8.0, 10.0, 10.0])
        backoff.reset()
        self.assertEqual(backoff.next(), 1.0)

    def test_by_chance_half_of_it_or_more(self) -> None:
        for chance, expected in ((0.0, 4.0), (0.5, 6.0), (1.0, 8.0)):
            backoff = Backoff(8.0, 8.0, chance=lambda chance=chance: chance)  # type: ignore[misc]
            self.assertEqual(backoff.next(), expected)

    def test_for_ever(self) -> None:
        backoff = Backoff(1.0, 60.0, chance=lambda: 1.0)
        for _ in range(5000):
            self.assertLessEqual(backoff.next(), 60.0)


class Reconnecting(PortCase):
    """
    Connections end, and others begin.
    """

    def attempts(self) -> list[float]:
        """
        When connections were asked for, from now on.
        """
        times: list[float] = []
        connect = self.wires.connect

        def noted(*arguments: Any) -> Any:
            times.append(self.clock.seconds())
            return connect(*arguments)

        self.patch(self.wires, "connect", noted)
        return times

    def test_after_the_connection_was_lost(self) -> None:
        link, agent = self.connected()
        link.disconnect("a test")
        self.wires.flush()
        self.assertIsNone(self.port.links.get("edge"))
        self.wires.advance(0.5, 0.5)
        again = self.port.links.get("edge")
        assert again is not None
        self.assertIsNot(again, link)
        self.assertFalse(link.state.connected)
        events = [name for name, *_ in agent.asked if name.startswith("controller")]
        self.assertEqual(events, ["controllerConnected", "controllerLost", "controllerConnected"])

    def test_less_and_less_often_while_nobody_is_there(self) -> None:
        self.port.stop()
        times = self.attempts()
        self.client(RecordingAgent("edge"))
        self.wires.advance(10.0, 0.5)
        self.assertEqual(times, [0.0, 0.5, 1.5, 3.5, 7.5])

    def test_each_of_several_addresses_at_once(self) -> None:
        client = self.client(RecordingAgent("edge"), THIRD, OTHER, CONTROLLER)
        self.assertIsNotNone(client.session)
        self.assertEqual(self.clock.seconds(), 0.0)

    def test_a_connection_that_ends_at_once_does_not_make_it_hurry(self) -> None:
        times = self.attempts()
        self.client(RecordingAgent("edge"))
        for _ in range(200):
            link = self.port.links.get("edge")
            if link is not None:
                link.disconnect("a test")
            self.wires.advance(0.5, 0.5)
        self.assertLess(len(times), 10)

    def test_one_that_has_lasted_does(self) -> None:
        self.client(RecordingAgent("edge"))
        for _ in range(5):
            self.wires.advance(STEADY, 5.0)
            link = self.port.links.get("edge")
            assert link is not None
            link.disconnect("a test")
            self.wires.advance(0.5, 0.5)
            self.assertIsNotNone(self.port.links.get("edge"))

    def test_what_is_wrong_is_told(self) -> None:
        client = self.client(RecordingAgent("edge"), enrolled=False)
        self.assertIn("not enrolled", str(client.problem))
        self.port.stop()
        self.wires.advance(1.0)
        self.assertIn("nobody listens", str(client.problem))

    def test_what_is_no_address_is_told(self) -> None:
        client = self.client(RecordingAgent("edge"))
        client.stop()
        self.wires.flush()

        def endpoint(address: str) -> Any:
            raise ValueError(address)

        self.patch(client, "_endpoint", endpoint)
        client.start()
        self.assertIn("no address", str(client.problem))

    def test_it_goes_on_after_an_error_that_nobody_has_thought_of(self) -> None:
        connect = self.wires.connect
        errors: list[Exception] = [OSError(107, "not connected"), CancelledError(), ValueError("anything")]

        def failing(*arguments: Any) -> Any:
            if errors:
                raise errors.pop()
            return connect(*arguments)

        self.patch(self.wires, "connect", failing)
        client = self.client(RecordingAgent("edge"), CONTROLLER)
        self.assertIn("anything", str(client.problem))
        self.wires.advance(10.0, 0.5)
        self.assertEqual(errors, [])
        self.assertIsNotNone(client.session)
        self.assertEqual(len(self.flushLoggedErrors(OSError, CancelledError, ValueError)), 3)

    def test_and_after_one_of_whoever_wants_to_know_of_sessions(self) -> None:
        client = self.client(RecordingAgent("edge"), CONTROLLER)
        failing = [KeyError("a watcher")]

        def watcher(session: object) -> None:
            if failing:
                raise failing.pop()

        client.watch(watcher)
        client.again()
        self.wires.advance(10.0, 0.5)
        self.assertEqual(failing, [])
        self.assertIsNotNone(client.session)
        self.assertEqual(len([link for link in self.port.links if link.name == "edge"]), 1)
        self.flushLoggedErrors(KeyError)

    def test_a_controller_that_does_not_answer_hello_is_given_up(self) -> None:
        self.patch(self.port.registrar, "mayConnect", lambda *arguments: Deferred())
        client = self.client(RecordingAgent("edge"), CONTROLLER)
        self.wires.advance(16.0)
        self.assertIsNone(client.session)
        self.assertIsNotNone(client.problem)

    def test_no_more_once_it_was_stopped(self) -> None:
        client = self.client(RecordingAgent("edge"))
        stopped = client.stop()
        self.wait(stopped)
        times = self.attempts()
        self.wires.advance(100.0, 10.0)
        self.assertEqual(times, [])
        self.assertIsNone(self.port.links.get("edge"))

    def test_nor_when_it_was_stopped_while_it_waited_or_connected(self) -> None:
        self.port.stop()
        for seconds in (0.0, 0.3):
            client = self.client(RecordingAgent("edge"))
            self.wires.advance(seconds, 0.1)
            self.wait(client.stop())
        times = self.attempts()
        self.wires.advance(100.0, 10.0)
        self.assertEqual(times, [])

    def test_a_node_that_connects_twice_has_one_link(self) -> None:
        link, _ = self.connected()
        told: list[tuple[bool, bool]] = []
        self.port.links.watch(lambda each: told.append((each is link, each.state.connected)))
        credentials = self.credentials("edge")
        other = RecordingAgent("edge")
        client = ControllerClient(
            self.clock,
            other,
            [CONTROLLER],
            lambda address: self.connect(address, credentials),
            self.port.refusals,
            backoff=Backoff(chance=lambda: 1.0),
        )
        self.members.append(client)
        client.start()
        self.wires.flush()
        self.assertEqual(told[:3], [(True, True), (True, False), (False, True)])
        self.assertEqual(len(self.port.links), 1)
        self.assertIsNot(self.port.links.get("edge"), link)


class Redirected(PortCase):
    """
    Several controllers, of which one leads.
    """

    def setUp(self) -> None:
        super().setUp()
        self.leads: dict[str, Leadership] = {}
        self.ports: dict[str, NodePort] = {}
        self.port.stop()
        for address in (CONTROLLER, OTHER):
            self.leads[address] = Leadership(True, "", ())
            port = self.makePort(address, leadership=lambda address=address: self.leads[address])
            self.ports[address] = port
        self.port = self.ports[CONTROLLER]
        self.addCleanup(self.ports[OTHER].stop)

    def lead(self, address: str, known: bool = True) -> None:
        """
        From now on this one does.
        """
        for each in self.leads:
            leader = address if known and each != address else ""
            self.leads[each] = Leadership(each == address, leader, tuple(self.leads))
        for port in self.ports.values():
            port.leadershipChanged()
        self.wires.flush()

    def test_to_the_one_that_leads(self) -> None:
        self.lead(OTHER)
        client = self.client(RecordingAgent("edge"), CONTROLLER)
        self.assertIsNotNone(client.session)
        self.assertIsNotNone(self.ports[OTHER].links.get("edge"))
        self.assertIsNone(self.ports[CONTROLLER].links.get("edge"))

    def test_to_any_other_where_nobody_knows_which_leads(self) -> None:
        self.lead(OTHER, known=False)
        self.client(RecordingAgent("edge"), CONTROLLER, THIRD, OTHER)
        self.assertIsNotNone(self.ports[OTHER].links.get("edge"))

    def test_when_another_leads_now(self) -> None:
        self.lead(CONTROLLER)
        client = self.client(RecordingAgent("edge"), CONTROLLER)
        self.assertEqual(client.addresses, (CONTROLLER, OTHER))
        self.lead(OTHER)
        self.assertIsNone(self.ports[CONTROLLER].links.get("edge"))
        self.wires.advance(0.5, 0.5)
        self.assertIsNotNone(self.ports[OTHER].links.get("edge"))

    def test_when_the_one_that_leads_is_gone(self) -> None:
        self.lead(CONTROLLER)
        self.client(RecordingAgent("edge"), CONTROLLER)
        self.ports[CONTROLLER].stop()
        self.wires.flush()
        self.leads[OTHER] = Leadership(True, "", (CONTROLLER, OTHER))
        self.wires.advance(0.5, 0.5)
        self.assertIsNotNone(self.ports[OTHER].links.get("edge"))

    def test_round_and_round_it_does_not_hurry(self) -> None:
        for each in self.leads:
            other = OTHER if each == CONTROLLER else CONTROLLER
            self.leads[each] = Leadership(False, other, (CONTROLLER, OTHER))
        client = self.client(RecordingAgent("edge"), CONTROLLER)
        self.assertIn("does not lead", str(client.problem))
        self.assertEqual(self.clock.seconds(), 0.0)
        self.lead(OTHER)
        self.wires.advance(0.5, 0.5)
        self.assertIsNotNone(client.session)
