"""
Who comes to a controller's port, and is turned away; with TLS, in memory.
"""

from __future__ import annotations

from typing import Any

from OpenSSL import SSL

from hermes.control.channel.admission import AdmissionLimits
from hermes.control.channel.broker import ControlBroker
from hermes.control.channel.callee import Callee
from hermes.control.channel.client import ControllerClient
from hermes.control.channel.conversion import toValue
from hermes.control.channel.counts import Refusals
from hermes.control.channel.errors import BadCall, CallError, ChannelLost, NoCommonVersion, NotAllowed
from hermes.control.channel.methods import Hello, Report, Welcome
from hermes.control.channel.server import SILENCE
from hermes.control.enrolment.authority import Authority
from hermes.control.values import LinkFigure, NodeState
from hermes.net.certificates import ClientCredentials
from hermes.test.control.channel.agents import RecordingAgent
from hermes.test.control.channel.brokercase import Factory
from hermes.test.control.channel.test_hostilebytes import Raw
from hermes.test.control.portcase import CONTROLLER, PortCase


class ServerCase(PortCase):
    """
    A node that is connected, and goes on whatever others do.
    """

    def setUp(self) -> None:
        super().setUp()
        self.link, self.agent = self.connected("relay")

    def goesOn(self) -> None:
        """
        The connected node does.
        """
        self.assertEqual(self.wait(self.link.status())["node"], "relay")

    def counts(self) -> dict[str, int]:
        """
        What was refused.
        """
        return dict(self.port.refusals.counts)

    def broker(self, credentials: ClientCredentials) -> ControlBroker:
        """
        A connection with these.
        """
        broker = ControlBroker(True, self.clock, Refusals())
        broker.ready.addErrback(lambda _: None)
        connected = self.connect(CONTROLLER, credentials).connect(Factory(lambda: broker))
        connected.addErrback(lambda _: None)
        self.wires.flush()
        return broker

    def hello(self, broker: ControlBroker, name: str = "edge", **changes: Any) -> Any:
        """
        Say hello.
        """
        hello = {**toValue(Hello((1,), NodeState(name)), Hello), **changes}
        return broker.call(broker.root, "hello", hello, objects=(Callee({"revoked": lambda call: None}),))

    def perspective(self, name: str = "edge") -> tuple[ControlBroker, Any]:
        """
        One that has said hello: connection, perspective.
        """
        broker = self.broker(self.credentials(name))
        return broker, self.wait(self.hello(broker, name))[0]


class BeforeTLS(ServerCase):
    """
    Peers that do not get as far.
    """

    def test_garbage(self) -> None:
        for garbage in (b"GET / HTTP/1.1\r\n\r\n", b"\x00" * 1000, b"\x16\x03\x01\xff\xff" + b"\x00" * 70_000):
            raw = Raw()
            self.wires.connect(CONTROLLER, raw)
            raw.transport.write(garbage)
            self.wires.advance(6.0)
            self.assertTrue(raw.transport.disconnected, garbage[:20])
        self.assertEqual(self.counts(), {"handshake": 3})
        self.goesOn()

    def test_silence(self) -> None:
        raw = Raw()
        self.wires.connect(CONTROLLER, raw)
        self.wires.advance(4.0)
        self.assertFalse(raw.transport.disconnected)
        self.wires.advance(1.0)
        self.assertTrue(raw.transport.disconnected)
        self.assertEqual(self.counts(), {"handshake": 1})

    def test_one_byte_after_another_is_silence(self) -> None:
        raw = Raw()
        self.wires.connect(CONTROLLER, raw)
        for byte in b"\x16\x03\x01\x02":
            raw.transport.write(bytes([byte]))
            self.wires.advance(1.0)
        self.wires.advance(1.0)
        self.assertTrue(raw.transport.disconnected)

    def test_a_slow_source_does_not_keep_others_out(self) -> None:
        self.port.stop()
        self.port = self.makePort(admission=AdmissionLimits(most=10, perSource=4, waiting=20))
        slow = [Raw() for _ in range(12)]
        for raw in slow:
            self.wires.connect(CONTROLLER, raw, "203.0.113.1")
        link, _ = self.connected("edge")
        self.assertEqual(self.wait(link.status())["node"], "edge")
        self.assertEqual(self.counts(), {})

    def test_those_behind_one_address_come_in_one_after_another(self) -> None:
        self.port.stop()
        self.port = self.makePort(admission=AdmissionLimits(most=10, perSource=2, waiting=100))
        for number in range(20):
            self.client(RecordingAgent(f"n{number}"))
        self.wires.flush()
        self.assertEqual(len(self.port.links), 20)

    def test_more_than_may_wait_are_closed(self) -> None:
        self.port.stop()
        self.port = self.makePort(admission=AdmissionLimits(most=2, perSource=2, waiting=3))
        raws = [Raw() for _ in range(6)]
        for raw in raws:
            self.wires.connect(CONTROLLER, raw)
        self.wires.flush()
        self.assertEqual([raw.transport.disconnected for raw in raws], [False] * 5 + [True])
        self.assertEqual(self.counts(), {"full": 1})

    def test_who_waits_too_long_is_closed(self) -> None:
        self.port.stop()
        admission = AdmissionLimits(most=1, perSource=1, handshakeTime=100.0, helloTime=100.0, waitTime=30.0)
        self.port = self.makePort(admission=admission)
        raws = [Raw(), Raw()]
        for raw in raws:
            self.wires.connect(CONTROLLER, raw)
        self.wires.advance(31.0)
        self.assertEqual([raw.transport.disconnected for raw in raws], [False, True])
        self.wires.advance(70.0)


class Certificates(ServerCase):
    """
    Peers with another certificate than they should have, or none.
    """

    def turnedAway(self, credentials: ClientCredentials, kind: str) -> None:
        broker = self.broker(credentials)
        self.assertTrue(broker.gone or broker.transport is None)
        self.assertEqual(self.counts(), {kind: 1})
        self.goesOn()

    def test_none(self) -> None:
        trust = self.credentials("edge").trustFile
        credentials = ClientCredentials(
            trustFile=trust, serverName="controller.hermes", protocols=(b"hermes-control/1",)
        )
        self.turnedAway(credentials, "certificate")

    def test_of_another_authority(self) -> None:
        true = self.port.registrar.authority
        trust = self.credentials("edge").trustFile
        self.port.registrar.authority = Authority.make()
        self.addCleanup(setattr, self.port.registrar, "authority", true)
        other = self.credentials("edge")
        self.turnedAway(
            ClientCredentials(
                other.certificateFile,
                other.keyFile,
                trust,
                serverName="controller.hermes",
                protocols=(b"hermes-control/1",),
            ),
            "handshake",
        )

    def test_that_names_nobody(self) -> None:
        authority = self.port.registrar.authority
        self.patch(authority.__class__, "node", lambda self, name, key, days: self.controller(key, [], days))
        # It is good for servers only: OpenSSL refuses it for a client.
        self.turnedAway(self.credentials("edge"), "handshake")

    def test_of_a_node_that_nobody_knows(self) -> None:
        broker = self.broker(self.credentials("edge", enrolled=False))
        self.assertIn("not enrolled", str(self.fails(self.hello(broker), NotAllowed)))
        self.assertEqual(self.counts(), {"NotAllowed": 1})
        self.goesOn()

    def test_that_was_replaced_by_another(self) -> None:
        old = self.credentials("edge")
        self.credentials("edge")
        self.fails(self.hello(self.broker(old)), NotAllowed)

    def test_a_protocol_that_is_not_spoken(self) -> None:
        self.turnedAway(self.credentials("edge", protocol=b"h2"), "handshake")

    def test_no_protocol(self) -> None:
        credentials = self.credentials("edge")
        credentials.protocols = ()
        credentials.reload()
        self.turnedAway(credentials, "protocol")

    def test_no_other_than_a_controller_is_connected_to(self) -> None:
        """
        A node's certificate is of the right authority, and does not make it one.
        """
        node = self.credentials("edge")
        controller = self.port._server
        assert controller is not None
        context = controller.credentials.context()
        self.patch(controller.credentials, "_context", _serving(node))
        agent = RecordingAgent("gateway")
        client = self.client(agent)
        self.assertIn("not that of controller.hermes", str(client.problem))
        self.assertEqual(agent.asked, [])
        client.stop()
        controller.credentials._context = context


def _serving(credentials: ClientCredentials) -> SSL.Context:
    """
    A server's context with a node's certificate.
    """
    context = SSL.Context(SSL.TLS_METHOD)
    context.use_certificate_chain_file(credentials.certificateFile or "")
    context.use_privatekey_file(credentials.keyFile or "")
    context.set_alpn_select_callback(lambda connection, offered: offered[0])
    return context


class Greeting(ServerCase):
    """
    The first call.
    """

    def test_it_is_answered_with_a_perspective(self) -> None:
        broker = self.broker(self.credentials("edge"))
        perspective, found = self.wait(self.hello(broker))
        self.assertEqual(found["version"], 1)
        self.assertFalse(found["redirect"])
        self.assertEqual(found.keys(), toValue(Welcome(1), Welcome).keys())
        self.assertIsNone(self.wait(broker.call(perspective, "ping")))

    def test_another_version_is_told_which_there_are(self) -> None:
        broker = self.broker(self.credentials("edge"))
        self.assertIn("1", str(self.fails(self.hello(broker, versions=[7, 8]), NoCommonVersion)))

    def test_the_highest_in_common_is_used(self) -> None:
        broker = self.broker(self.credentials("edge"))
        self.assertEqual(self.wait(self.hello(broker, versions=[3, 1, 2]))[1]["version"], 1)

    def test_with_the_name_of_another_node(self) -> None:
        broker = self.broker(self.credentials("edge"))
        self.assertIn("that of edge", str(self.fails(self.hello(broker, "relay"), NotAllowed)))
        self.assertTrue(broker.gone)
        self.assertIs(self.port.links.get("relay"), self.link)
        self.assertEqual(self.counts(), {"NotAllowed": 1})
        self.goesOn()

    def test_with_wrong_arguments(self) -> None:
        wrongs: list[dict[str, Any]] = [{"versions": 1}, {"state": "fine"}, {"state": {}}, {"software": 5}]
        for changes in wrongs:
            broker = self.broker(self.credentials("edge"))
            self.fails(self.hello(broker, **changes), BadCall)
            self.assertTrue(broker.gone)
        self.goesOn()

    def test_without_a_state_or_an_agent(self) -> None:
        broker = self.broker(self.credentials("edge"))
        self.fails(self.hello(broker, state=None), NotAllowed)
        broker = self.broker(self.credentials("edge"))
        self.fails(broker.call(broker.root, "hello", toValue(Hello((1,), NodeState("edge")), Hello)), NotAllowed)

    def test_twice(self) -> None:
        broker, _ = self.perspective()
        self.fails(self.hello(broker), NotAllowed)
        self.assertIsNone(self.port.links.get("edge"))

    def test_never(self) -> None:
        broker = self.broker(self.credentials("edge"))
        self.wires.advance(20.0)
        self.assertTrue(broker.gone)
        self.assertEqual(self.counts(), {"slow": 1})

    def test_whoever_is_gone_before_it_is_taken_is_not_there(self) -> None:
        broker = self.broker(self.credentials("edge"))
        self.hello(broker).addErrback(lambda failure: failure.trap(ChannelLost))
        broker.cut()
        self.wires.flush()
        self.assertIsNone(self.port.links.get("edge"))


class Perspectives(ServerCase):
    """
    A node with a valid certificate, which does what it may not.
    """

    def test_it_tells_the_state_of_another_node(self) -> None:
        broker, perspective = self.perspective()
        state = toValue(Report(NodeState("relay", runs=99)), Report)
        self.assertIn("that of edge", str(self.fails(broker.call(perspective, "state", state), NotAllowed)))
        self.assertTrue(broker.gone)
        self.assertIsNone(self.port.links.get("edge"))
        self.assertIsNone(self.link.state.runs)
        self.goesOn()

    def test_it_calls_what_operators_may(self) -> None:
        for method in ("apply", "rollback", "revoke", "enrol", "status"):
            broker, perspective = self.perspective()
            self.fails(broker.call(perspective, method, {"document": "overlay: mine"}), NotAllowed)
            self.assertTrue(broker.gone)
        self.assertEqual(self.counts(), {"NotAllowed": 5})
        self.goesOn()

    def test_it_calls_with_wrong_arguments(self) -> None:
        for method, values in (
            ("state", {"state": 5}),
            ("renew", {"request": b"bytes"}),
            ("renew", {}),
            ("events", {"measurements": {}}),
            ("events", {"refusals": [5]}),
            ("events", {"measurements": [5]}),
            ("events", {"measurements": [{}]}),
            ("events", {"measurements": [{"to": 5}]}),
            ("events", {"measurements": [{"to": "relay", "roundTrip": "fast"}]}),
            ("events", {"measurements": [{"to": "relay", "roundTrip": float("nan")}]}),
            ("events", {"measurements": [{"to": "relay", "up": 1}]}),
        ):
            broker, perspective = self.perspective()
            self.fails(broker.call(perspective, method, values), BadCall)
            self.assertTrue(broker.gone)
        self.goesOn()

    def test_whatever_it_tells_of_links_it_tells_of_its_own(self) -> None:
        heard: list[Any] = []
        self.port.links.listen(lambda link, events: heard.append((link.name, events.measurements)))
        broker, perspective = self.perspective()
        told = {"measurements": [{"from": "relay", "node": "relay", "to": "gateway", "roundTrip": 0.01}]}
        self.wait(broker.call(perspective, "events", told))
        self.assertEqual(heard, [("edge", (LinkFigure("gateway", 0.01),))])

    def test_it_guesses_the_numbers_of_objects(self) -> None:
        broker, perspective = self.perspective()
        for number in range(1, 20):
            if number != perspective.luid:
                other = type(perspective)(None, broker, number, 0)
                self.fails(broker.call(other, "ping"), CallError)
        self.goesOn()

    def test_its_agent_answers_nonsense(self) -> None:
        broker = self.broker(self.credentials("edge"))
        hello = toValue(Hello((1,), NodeState("edge")), Hello)
        agent = Callee({"commit": lambda call: "yes", "revoked": lambda call: None})
        self.wait(broker.call(broker.root, "hello", hello, objects=(agent,)))
        link = self.port.links.get("edge")
        assert link is not None
        self.assertIn("must be", str(self.fails(link.commit(1))))
        self.assertTrue(broker.gone)
        self.assertEqual(self.counts(), {"malformed": 1})
        self.goesOn()


class Silent(ServerCase):
    """
    Connections that nothing comes over any more.
    """

    def test_a_node_that_says_nothing_is_lost(self) -> None:
        broker, _ = self.perspective()
        self.wires.advance(SILENCE * 10.0 - 1)
        self.assertIsNotNone(self.port.links.get("edge"))
        self.wires.advance(11.0)
        self.assertIsNone(self.port.links.get("edge"))
        self.assertTrue(broker.gone)

    def test_one_that_says_something_stays(self) -> None:
        self.wires.advance(300.0, 5.0)
        self.goesOn()

    def test_a_broken_path_is_noticed_at_both_ends(self) -> None:
        (client,) = self.members
        assert isinstance(client, ControllerClient)
        for ends in self.wires.ends:
            for end in ends:
                end.dropping = True
        self.wires.listening.clear()
        self.wires.advance(60.0, 5.0)
        self.assertIsNone(self.port.links.get("relay"))
        self.assertIsNone(client.session)
        self.assertEqual(self.agent.asked[-1], ("controllerLost",))
