"""
What crosses a connection that stands: the controller's calls, the node's states and events.
"""

from __future__ import annotations

from typing import Any

from attrs import evolve
from twisted.internet.defer import Deferred
from zope.interface.verify import verifyObject

from hermes.control.channel.client import ControllerClient
from hermes.control.channel.links import NodeLink
from hermes.control.channel.methods import Events
from hermes.control.channel.session import Session
from hermes.control.errors import NodeFailed, NodeLost, NodeTimeout
from hermes.control.values import READY, Answer, Health, LinkFigure, NodeState, Probe, ProbeResult
from hermes.interfaces.control import IAgentSide, INodeLink, INodeLinks
from hermes.test.control.portcase import PortCase


class SessionCase(PortCase):
    """
    One node.
    """

    def setUp(self) -> None:
        super().setUp()
        self.link, self.agent = self.connected()
        self.agent.asked.clear()

    @property
    def session(self) -> Session:
        """
        The node's.
        """
        (client,) = self.members
        assert isinstance(client, ControllerClient) and client.session is not None
        return client.session


class Calls(SessionCase):
    """
    The controller's.
    """

    def test_they_provide_what_they_should(self) -> None:
        verifyObject(INodeLink, self.link)
        verifyObject(INodeLinks, self.port.links)
        verifyObject(IAgentSide, self.agent)

    def test_each_arrives_as_it_was_made_and_is_answered(self) -> None:
        probes = (Probe("a", "db:1"), Probe("b", "shop:80", "http", "bob", "/x", False, 9.0))
        calls: list[tuple[str, tuple[Any, ...], Any]] = [
            ("prepare", (7, 6, b"\xff", "d", 30.0), READY),
            ("prepare", (7, None, b"", "d", 0.5), Answer(False, ("no", "not at all"))),
            ("commit", (7,), READY),
            ("confirm", (7,), READY),
            ("rollback", (7,), READY),
            ("drain", (5.0,), False),
            ("status", (), {"a": [1.5, None, {"b": "c"}]}),
            ("health", (), Health(3, 2, "one")),
            ("logs", (10,), ("one", "two")),
            ("probe", (probes,), (ProbeResult("a", True, "", 0.1), ProbeResult("b", False, "no route", 0.2))),
            ("revoked", (("ab", "cd"),), None),
        ]
        for name, arguments, answer in calls:
            self.agent.answers[name] = answer
            self.assertEqual(self.wait(getattr(self.link, name)(*arguments)), answer, name)
            self.assertEqual(self.agent.asked.pop(), (name, *arguments))

    def test_one_that_the_node_can_not_answer(self) -> None:
        self.agent.answers["commit"] = ValueError("/etc/secret")
        self.assertNotIn("secret", str(self.fails(self.link.commit(7), NodeFailed)))
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.assertEqual(self.wait(self.link.rollback(7)), READY)

    def test_one_that_is_not_answered(self) -> None:
        self.agent.answers["commit"] = Deferred()
        waiting = self.link.commit(7)
        self.wires.advance(119.0, 7.0)
        self.assertNoResult(waiting)
        self.wires.advance(2.0)
        self.failureResultOf(waiting, NodeTimeout)

    def test_draining_may_take_as_long_as_it_was_given(self) -> None:
        done: Deferred[bool] = Deferred()
        self.agent.answers["drain"] = done
        waiting = self.link.drain(600.0)
        self.wires.advance(600.0, 7.0)
        done.callback(True)
        self.assertTrue(self.wait(waiting))

    def test_one_whose_node_is_gone(self) -> None:
        self.agent.answers["commit"] = Deferred()
        waiting = self.link.commit(7)
        self.wires.flush()
        self.session.broker.cut()
        self.fails(waiting, NodeLost)
        self.failureResultOf(self.link.status(), NodeLost)


class States(SessionCase):
    """
    The node's.
    """

    def setUp(self) -> None:
        super().setUp()
        self.told: list[NodeState] = []
        self.port.links.watch(lambda link: self.told.append(link.state))
        self.told.clear()

    def test_the_first_comes_with_hello(self) -> None:
        state = self.link.state
        self.assertTrue(state.connected)
        self.assertEqual(state.seen, self.seconds())
        self.assertEqual((state.name, state.software), ("edge", "test"))

    def test_a_change_is_told(self) -> None:
        self.agent.become(runs=7, digest="d", trial=True, prepared=8, problem="a disk is full", confirmed=6)
        self.wires.advance(2.0)
        self.assertEqual(self.told, [evolve(self.agent.state, connected=True, seen=self.seconds() - 2.0)])

    def test_of_many_changes_at_once_the_first_and_the_last(self) -> None:
        for number in range(50):
            self.agent.become(runs=number)
        self.wires.flush()
        self.assertEqual([state.runs for state in self.told], [0, 49])

    def test_what_did_not_change_is_not_told(self) -> None:
        self.agent.become(seen=55.0, connected=True)
        self.wires.flush()
        self.assertEqual(self.told, [])

    def test_one_that_was_taken_back_meanwhile_is_told_again(self) -> None:
        self.agent.become(runs=1)
        self.agent.become(runs=None)
        self.wires.flush()
        self.assertEqual([state.runs for state in self.told], [1, None])

    def test_the_loss_is_told_last(self) -> None:
        self.agent.become(runs=7)
        self.wires.flush()
        self.session.broker.cut()
        self.wires.flush()
        self.assertEqual([(state.connected, state.runs) for state in self.told], [(True, 7), (False, 7)])
        self.agent.become(runs=8)

    def test_whoever_watches_may_fail(self) -> None:
        def fail(link: NodeLink) -> None:
            raise ValueError("a mistake")

        stop = self.port.links.watch(fail)
        self.agent.become(runs=7)
        self.wires.flush()
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 2)
        stop()
        self.assertEqual(len(self.told), 1)

    def test_whoever_stops_watching_hears_no_more(self) -> None:
        heard: list[NodeLink] = []
        stop = self.port.links.watch(heard.append)
        stop()
        stop()
        self.agent.become(runs=7)
        self.wires.flush()
        self.assertEqual(heard, [self.link])


class Told(SessionCase):
    """
    What else the node tells.
    """

    def test_events(self) -> None:
        heard: list[tuple[NodeLink, Events]] = []
        stop = self.port.links.listen(lambda link, events: heard.append((link, events)))
        events = Events(
            (LinkFigure("relay", 0.01, 0.5), LinkFigure("gateway", up=False)), ({"target": "db:1"},), {"bytes": 5}
        )
        self.wait(self.session.tell(events))
        self.assertEqual(heard, [(self.link, events)])
        stop()
        self.wait(self.session.tell(events))
        self.assertEqual(len(heard), 1)
