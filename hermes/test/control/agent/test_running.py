"""
Tests for L{hermes.control.agent.running}: an agent's node, of fake parts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyClass, verifyObject

from hermes.config import ConfigError, ListenerConfig, NodeConfig, Problem
from hermes.config.types import Name, WorkerCount
from hermes.control.agent.observing import REFUSALS, TrafficObserver
from hermes.control.agent.roles import IPreparedConfiguration, IRunner
from hermes.control.agent.running import NodeRunner
from hermes.control.values import Health, Probe, ProbeResult
from hermes.errors import NoRoute, TargetRefused
from hermes.fabric.record import FlowRecord
from hermes.interfaces import IFlowObserver
from hermes.messages import RequestRecord
from hermes.node import Node, NodeError
from hermes.prepared import Prepared
from hermes.test.fabric.fakes import FakeChannel
from hermes.test.fakes import FakeAssembly, FakeOptions
from hermes.values import Flow, RequestHead, Target

FLOW = Flow("tcp", Target("db.example", 3306))


def load(text: str, file: str, directory: str) -> NodeConfig:
    """
    A configuration as a list of words: the node's name, then C{listener=address}; C{workers} for two of them.
    """
    name, *words = text.split()
    if name == "?":
        raise ConfigError([Problem(file, None, "", "no configuration")])
    listeners = dict(word.split("=") for word in words if "=" in word)
    return NodeConfig(
        Name(name),
        workers=WorkerCount(2 if "workers" in words else 1),
        listeners={each: ListenerConfig("fake", FakeOptions(bind)) for each, bind in listeners.items()},
    )


class RunnerCase(SynchronousTestCase):
    """
    A runner of fake nodes.
    """

    def setUp(self) -> None:
        self.assembly = FakeAssembly()
        self.made: list[Node] = []
        self.observer = TrafficObserver(lambda: 1e9)
        self.runner = NodeRunner("edge", "/state", self.makeNode, self.observer, self.assembly.clock, load)

    def makeNode(self, config: NodeConfig, observers: Sequence[IFlowObserver]) -> Node:
        """
        A node of the fake assembly.
        """
        self.made.append(Node(self.assembly.clock, config, self.assembly))
        return self.made[-1]

    def prepare(self, config: bytes) -> Any:
        """
        Have it prepare one.
        """
        return self.successResultOf(self.runner.prepare(1, config))

    def run_(self, config: bytes) -> None:
        """
        Have it run one.
        """
        self.successResultOf(self.prepare(config).commit())


class RunningTests(RunnerCase):
    """
    From nothing to a node, and on.
    """

    def test_itIsARunner(self) -> None:
        verifyObject(IRunner, self.runner)
        verifyClass(IPreparedConfiguration, Prepared)
        verifyObject(IPreparedConfiguration, self.prepare(b"edge"))

    def test_theFirstConfigurationMakesANode(self) -> None:
        prepared = self.prepare(b"edge a=h:1")
        self.assertFalse(self.runner.running)
        self.assertEqual(self.assembly.taken, set())
        self.successResultOf(prepared.commit())
        self.assertIs(self.runner.node, self.made[0])
        self.assertEqual(self.assembly.taken, {"h:1"})

    def test_theNextOnesAreTheSameNodes(self) -> None:
        self.run_(b"edge a=h:1")
        listener = self.made[0].listeners["a"]
        self.run_(b"edge a=h:1 b=h:2")
        self.assertEqual(len(self.made), 1)
        self.assertIs(self.made[0].listeners["a"], listener)
        self.assertEqual(self.assembly.taken, {"h:1", "h:2"})

    def test_aFirstOneThatIsDiscardedLeavesNothing(self) -> None:
        prepared = self.prepare(b"edge a=h:1")
        self.successResultOf(prepared.discard())
        self.successResultOf(prepared.discard())
        self.assertEqual(self.assembly.discarded, self.assembly.committed)
        self.failureResultOf(prepared.commit(), NodeError)
        self.assertFalse(self.runner.running)

    def test_aFirstOneHoldsItsPlaces(self) -> None:
        prepared = self.prepare(b"edge a=h:1")
        self.assertEqual([each.held for each in self.assembly.made], [1])
        self.successResultOf(prepared.discard())
        self.assertEqual([each.held for each in self.assembly.made], [0])
        self.run_(b"edge a=h:1")
        self.assertEqual([each.held for each in self.assembly.made], [0, 0])

    def test_aFirstOneWhosePlacesAreTakenIsRefused(self) -> None:
        self.assembly.taken.add("h:1")
        failure = self.failureResultOf(self.runner.prepare(1, b"edge a=h:1"), NodeError)
        self.assertEqual(str(failure.value), "listener a: can't listen on h:1: address already in use")
        self.assertEqual(self.assembly.discarded, self.assembly.committed)
        self.run_(b"edge a=h:2")

    def test_aFirstOneThatCanNotBeStartedLeavesNothing(self) -> None:
        prepared = self.prepare(b"edge a=h:1")
        self.assembly.taken.add("h:1")
        failure = self.failureResultOf(prepared.commit(), NodeError)
        self.assertEqual(str(failure.value), "listener a: can't listen on h:1: address already in use")
        self.assertFalse(self.runner.running)
        self.assertEqual(self.assembly.discarded, self.assembly.committed)
        self.run_(b"edge a=h:2")

    def test_oneOfTwoFirstOnesRuns(self) -> None:
        first, second = self.prepare(b"edge a=h:1"), self.prepare(b"edge b=h:2")
        self.successResultOf(first.commit())
        self.failureResultOf(second.commit(), NodeError)
        self.successResultOf(second.discard())
        self.assertEqual(self.assembly.taken, {"h:1"})

    def test_whatIsNoConfigurationOfThisNodeIsRefused(self) -> None:
        for config, error in (
            (b"?", ConfigError),
            (b"\xff", NodeError),
            (b"gateway", NodeError),
            (b"edge workers", NodeError),
        ):
            self.failureResultOf(self.runner.prepare(1, config), error)
            self.assertRaises(error, self.runner.check, 1, config)
        self.assertEqual(self.made, [])
        self.runner.check(1, b"edge")

    def test_itStopsAndStartsAgain(self) -> None:
        self.successResultOf(self.runner.stop())
        self.run_(b"edge a=h:1")
        self.successResultOf(self.runner.stop())
        self.assertEqual(self.assembly.taken, set())
        self.run_(b"edge a=h:1")
        self.assertEqual(len(self.made), 2)

    def test_itStopsWhileItStarts(self) -> None:
        waits = self.assembly.starting = Deferred()
        prepared = self.prepare(b"edge a=h:1")
        node = self.made[0]
        committing = prepared.commit()
        self.assertNoResult(committing)
        stopping = self.runner.stop()
        waits.callback(None)
        self.successResultOf(committing)
        self.successResultOf(stopping)
        self.assertTrue(node.draining)
        self.assertEqual(self.assembly.taken, set())
        self.assertFalse(self.runner.running)

    def test_itDrains(self) -> None:
        self.assertTrue(self.successResultOf(self.runner.drain(5)))
        self.run_(b"edge a=h:1")
        self.assertTrue(self.successResultOf(self.runner.drain(5)))
        self.assertFalse(self.runner.running)


class ToldTests(RunnerCase):
    """
    What a runner says of its node.
    """

    def test_itsStatusIsTheNodes(self) -> None:
        self.assertEqual(self.runner.status()["node"], "edge")
        self.run_(b"edge a=h:1")
        status = self.runner.status()
        self.assertEqual((status["node"], status["listeners"][0]["name"], status["refusals"]), ("edge", "a", []))

    def test_aListenerThatDoesNotListenIsAProblem(self) -> None:
        self.assertEqual(self.runner.health(), Health())
        self.run_(b"edge a=h:1 b=h:2")
        self.assertIsNone(self.runner.health().problem)
        self.made[0].listeners["b"].stop()
        self.assertEqual(self.runner.health().problem, "b: does not listen")

    def test_whatFailsIsCountedAndWhoIsRefusedRemembered(self) -> None:
        for error in TargetRefused("db.example refused"), NoRoute("no route takes it"), RuntimeError("gone"):
            record = FlowRecord(FLOW, 0.0)
            record.failed(error)
            self.observer.flowRefused(record)
        self.observer.flowOpened(record)
        self.observer.flowClosed(record)
        request = RequestRecord(FLOW, RequestHead(b"GET", b"http", b"db.example", b"/"), "1.1", 0.0)
        self.observer.requestStarted(request)
        self.observer.requestEnded(request)
        request.failed(NoRoute("no route takes it"))
        self.observer.requestEnded(request)
        health = self.runner.health()
        self.assertEqual((health.opened, health.failed), (2, 1))
        refusals = self.observer.refusals()
        self.assertEqual([each["error"] for each in refusals], ["no route takes it"] * 2)

    def test_soManyRefusalsAreRemembered(self) -> None:
        for number in range(2 * REFUSALS):
            record = FlowRecord(Flow("tcp", Target("db.example", number)), 0.0)
            record.failed(NoRoute("no"))
            self.observer.flowRefused(record)
        self.assertEqual(len(self.observer.refusals()), REFUSALS)
        self.assertEqual(self.observer.refusals()[-1]["target"], f"db.example:{2 * REFUSALS - 1}")


class ProbeTests(RunnerCase):
    """
    Flows of the agent's own.
    """

    def setUp(self) -> None:
        super().setUp()
        self.run_(b"edge a=h:1")

    def probe(self, probe: Probe) -> Deferred[Sequence[ProbeResult]]:
        """
        Try one.
        """
        return self.runner.probe([probe])

    def dialed(self) -> tuple[Flow, Deferred[Any], Any]:
        """
        What was dialed.
        """
        return self.assembly.direct.asked.pop()

    def test_aStreamIsOpenedAndClosed(self) -> None:
        trying = self.probe(Probe("db", "db.example:3306", user="alice", listener="apps"))
        flow, asked, far = self.dialed()
        self.assertEqual((flow.protocol, str(flow.target)), ("tcp", "db.example:3306"))
        self.assertEqual((flow.identity.user, flow.listener), ("alice", "apps"))
        transport = StringTransport()
        far.makeConnection(transport)
        self.assembly.clock.advance(0.5)
        asked.callback(far)
        self.assertEqual(self.successResultOf(trying), [ProbeResult("db", True, "connected to db.example:3306", 0.5)])
        self.assertTrue(transport.disconnecting)

    def test_aFlowOfDatagramsIsOpened(self) -> None:
        trying = self.probe(Probe("dns", "dns.example:53", "udp"))
        flow, asked, far = self.dialed()
        self.assertEqual((flow.protocol, flow.listener), ("udp", "(probe)"))
        channel = FakeChannel()
        channel.setReceiver(far)
        asked.callback(far)
        (result,) = self.successResultOf(trying)
        self.assertEqual((result.passed, result.text), (True, "a flow of datagrams to dns.example:53 can be opened"))
        self.assertEqual(channel.calls, ["loseChannel"])
        self.assertEqual(self.made[0].flows.openFlows(), [])

    def test_aTargetThatIsDownFails(self) -> None:
        for expect in True, False:
            trying = self.probe(Probe("db", "db.example:3306", expect=expect))
            self.dialed()[1].errback(TargetRefused("db.example:3306 refused the connection"))
            (result,) = self.successResultOf(trying)
            self.assertEqual((result.passed, result.text), (False, "db.example:3306 refused the connection"))

    def test_whatARouteRefusesIsRefused(self) -> None:
        for expect in True, False:
            trying = self.probe(Probe("db", "db.example:3306", expect=expect))
            self.dialed()[1].errback(NoRoute("not allowed"))
            (result,) = self.successResultOf(trying)
            self.assertEqual((result.passed, result.text), (not expect, "refused: not allowed"))

    def test_whatShouldBeRefusedAndIsNotFails(self) -> None:
        trying = self.probe(Probe("db", "db.example:3306", expect=False))
        _, asked, far = self.dialed()
        far.makeConnection(StringTransport())
        asked.callback(far)
        (result,) = self.successResultOf(trying)
        self.assertEqual(
            (result.passed, result.text), (False, "connected to db.example:3306, and should have been refused")
        )

    def test_itTakesNoLongerThanItMay(self) -> None:
        trying = self.probe(Probe("db", "db.example:3306", timeout=2.0))
        self.assembly.clock.advance(2.0)
        (result,) = self.successResultOf(trying)
        self.assertEqual((result.passed, result.text), (False, "db.example:3306 did not answer in 2 seconds"))

    def test_allAreTriedAtOnce(self) -> None:
        trying = self.runner.probe([Probe("one", "a:1"), Probe("two", "?")])
        self.dialed()[1].errback(NoRoute("no"))
        self.assertEqual(
            [(each.name, each.passed) for each in self.successResultOf(trying)], [("one", False), ("two", False)]
        )

    def test_aRequestIsSent(self) -> None:
        trying = self.probe(Probe("shop", "shop.example", "http", path="/healthz"))
        flow, asked, connection = self.dialed()
        self.assertEqual(str(flow.target), "shop.example:80")
        transport = StringTransport()
        connection.makeConnection(transport)
        asked.callback(connection)
        self.assertIn(b"GET /healthz HTTP/1.1", transport.value())
        connection.dataReceived(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")
        (result,) = self.successResultOf(trying)
        self.assertEqual((result.passed, result.text), (True, "shop.example answered 404"))

    def test_anErrorOfTheServerFails(self) -> None:
        for status, text in ((503, "shop.example:503 answered 503"), (403, "refused: shop.example:403 answered 403")):
            trying = self.probe(Probe("shop", f"shop.example:{status}", "http"))
            _, asked, connection = self.dialed()
            connection.makeConnection(StringTransport())
            asked.callback(connection)
            connection.dataReceived(f"HTTP/1.1 {status} No\r\ncontent-length: 0\r\n\r\n".encode())
            (result,) = self.successResultOf(trying)
            self.assertEqual((result.passed, result.text), (False, text))

    def test_aNodeThatRunsNothingReachesNothing(self) -> None:
        self.successResultOf(self.runner.stop())
        (result,) = self.successResultOf(self.probe(Probe("db", "db.example:3306")))
        self.assertEqual((result.passed, result.text), (False, "the node runs nothing"))


class CarriedTests(RunnerCase):
    """
    How much goes over each link.
    """

    def test_flowsThatEndedAndThoseThatGoOnCount(self) -> None:
        ended = FlowRecord(FLOW, 0.0, hops=("relay", "exit"), bytesIn=10, bytesOut=20)
        here = FlowRecord(FLOW, 0.0, bytesIn=1000)
        going = FlowRecord(FLOW, 0.0, hops=("relay",), bytesIn=1, bytesOut=2)
        other = FlowRecord(FLOW, 0.0, hops=("other",), bytesIn=5, bytesOut=6)
        for record in (ended, here):
            self.observer.flowClosed(record)
        ports = [
            {"kind": "hop", "name": "other", "bytesIn": 100, "bytesOut": 200},
            {"kind": "device", "name": "lan", "bytesIn": 9, "bytesOut": 9},
        ]
        expected = {
            "other": {"bytesSent": 205, "bytesReceived": 106},
            "relay": {"bytesSent": 11, "bytesReceived": 22},
        }
        for _ in range(2):
            self.assertEqual(self.observer.carrying([going, other], ports), expected)

    def test_theStatusHasIt(self) -> None:
        self.run_(b"edge a=h:1")
        self.observer.flowClosed(FlowRecord(FLOW, 0.0, hops=("relay",), bytesIn=10, bytesOut=20))
        self.assertEqual(self.runner.status()["carried"], {"relay": {"bytesSent": 10, "bytesReceived": 20}})
