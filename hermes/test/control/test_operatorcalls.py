"""
Operators with a certificate, over the channel.
"""

from __future__ import annotations

from typing import Any, cast

from twisted.internet.defer import Deferred, fail, succeed

from hermes.control.agent.files import Files
from hermes.control.channel.broker import ControlBroker
from hermes.control.channel.conversion import toValue
from hermes.control.channel.counts import Refusals
from hermes.control.channel.errors import (
    BadCall,
    CallFailed,
    Conflict,
    NotAllowed,
    NotFound,
    NotLeadingHere,
)
from hermes.control.channel.methods import Hello
from hermes.control.controller import Controller
from hermes.control.enrolment.authority import CONTROLLER_NAME
from hermes.control.enrolment.errors import EnrolmentRefused
from hermes.control.enrolment.requests import keyText, makeKey
from hermes.control.errors import Busy, ControlError, NotLeading, Superseded, UnknownNode, UnknownVersion
from hermes.control.operatorcalls import ORIGIN, operatorCalls
from hermes.control.values import Outcome
from hermes.net.certificates import ClientCredentials
from hermes.test.control.channel.brokercase import Factory
from hermes.test.control.portcase import CONTROLLER, PortCase


class FakeController:
    """
    Answers, and remembers.
    """

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self.answer: Deferred[Any] | None = None

    def apply(self, *arguments: Any, origin: str) -> Deferred[Any]:
        self.asked.append(("apply", *arguments, origin))
        return self.answer or succeed(Outcome("committed", 7))

    def rollback(self, *arguments: Any, origin: str) -> Deferred[Any]:
        self.asked.append(("rollback", *arguments, origin))
        return self.answer or succeed(Outcome("committed", 8))

    def enrol(self, *arguments: Any) -> Deferred[Any]:
        self.asked.append(("enrol", *arguments))
        return self.answer or succeed("a token")

    def revoke(self, *arguments: Any) -> Deferred[Any]:
        self.asked.append(("revoke", *arguments))
        return self.answer or succeed(None)

    def drain(self, *arguments: Any) -> Deferred[Any]:
        self.asked.append(("drain", *arguments))
        return self.answer or succeed(True)


class Operators(PortCase):
    """
    C{alice} is one.
    """

    def setUp(self) -> None:
        super().setUp()
        self.controller = FakeController()
        self.port.stop()
        controller = cast(Controller, self.controller)
        self.port = self.makePort(operators=lambda name: operatorCalls(controller, name))
        self.broker = ControlBroker(True, self.clock, Refusals())
        connecting = self.connect(CONTROLLER, self.operator()).connect(Factory(lambda: self.broker))
        self.wait(connecting)
        answer = self.wait(self.broker.call(self.broker.root, "hello", toValue(Hello((1,)), Hello)))
        self.perspective = answer[0]
        self.addCleanup(self.broker.cut)

    def operator(self) -> ClientCredentials:
        key = makeKey()
        authority = self.port.registrar.authority
        files = Files(self.mktemp())
        files.create()
        files.write("alice.pem", authority.operator("alice", key.public_key(), 1.0).text.encode())
        files.write("alice.key", keyText(key))
        files.write("trust.pem", authority.trust.encode())
        return ClientCredentials(
            files.path("alice.pem"),
            files.path("alice.key"),
            files.path("trust.pem"),
            serverName=CONTROLLER_NAME,
            protocols=(b"hermes-control/1",),
        )

    def call(self, method: str, **values: Any) -> Deferred[Any]:
        return self.broker.call(self.perspective, method, values)

    def test_they_may_what_nodes_may_not(self) -> None:
        found = self.wait(self.call("apply", document="overlay: x", comment="why", expect=6))
        self.assertEqual((found["result"], found["number"]), ("committed", 7))
        self.assertEqual(self.wait(self.call("rollback", number=3))["number"], 8)
        self.assertEqual(self.wait(self.call("enrol", node="edge")), {"token": "a token"})
        self.assertEqual(self.wait(self.call("revoke", node="edge")), {})
        self.assertEqual(self.wait(self.call("drain", node="edge", timeout=5)), {"finished": True})
        self.assertIsNone(self.wait(self.call("ping")))
        self.assertEqual(
            self.controller.asked,
            [
                ("apply", "overlay: x", "alice", "why", 6, ORIGIN),
                ("rollback", 3, "alice", "", None, ORIGIN),
                ("enrol", "edge", "alice", ORIGIN),
                ("revoke", "edge", "alice", ORIGIN),
                ("drain", "edge", 5.0, "alice", ORIGIN),
            ],
        )

    def test_they_are_no_nodes(self) -> None:
        self.assertEqual(list(self.port.links), [])
        self.assertNotIn("renew", operatorCalls(cast(Controller, self.controller), "alice"))

    def test_errors_are_told_as_what_they_are(self) -> None:
        for error, told in (
            (NotLeading("x"), NotLeadingHere),
            (Busy("x"), Conflict),
            (Superseded("x"), Conflict),
            (UnknownVersion("x"), NotFound),
            (UnknownNode("x"), NotFound),
            (EnrolmentRefused("x"), CallFailed),
            (ControlError("x"), CallFailed),
        ):
            self.controller.answer = fail(error)
            self.assertEqual(str(self.fails(self.call("revoke", node="edge"), told)), "x")
        self.assertFalse(self.broker.gone)

    def test_nothing_is_told_of_a_mistake(self) -> None:
        self.controller.answer = fail(ValueError("/etc/secret"))
        self.assertNotIn("secret", str(self.fails(self.call("revoke", node="edge"), CallFailed)))
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_wrong_arguments_end_the_connection(self) -> None:
        self.fails(self.call("apply", document=5), BadCall)
        self.assertTrue(self.broker.gone)
        self.assertEqual(self.controller.asked, [])

    def test_a_certificate_that_was_revoked_is_refused(self) -> None:
        peer = self.port._server
        assert peer is not None
        (broker,) = peer._brokers
        serial = broker.transport.getPeerCertificate().get_serial_number()
        self.wait(self.store.putRevocations({f"{serial:x}": self.seconds() + 1e6}))
        self.assertTrue(self.broker.disconnected)

    def test_where_there_is_nothing_for_them_they_are_told(self) -> None:
        self.port.stop()
        self.port = self.makePort()
        broker = ControlBroker(True, self.clock, Refusals())
        self.wait(self.connect(CONTROLLER, self.operator()).connect(Factory(lambda: broker)))
        self.fails(broker.call(broker.root, "hello", toValue(Hello((1,)), Hello)), NotAllowed)


class Seen(PortCase):
    """
    When a node was heard of.
    """

    def test_is_kept(self) -> None:
        link, _ = self.connected()
        self.wires.advance(50.0, 5.0)
        link.disconnect("a test")
        self.wires.flush()
        entry = self.wait(self.store.node("edge"))
        self.assertEqual(entry.lastSeen, self.epoch + 50.0)
