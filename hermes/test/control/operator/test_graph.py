"""
Tests for L{hermes.control.operator.graph}.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hermes.control.compiler.measuring import Measurements
from hermes.control.errors import NodeLost
from hermes.control.operator.graph import INTERVAL, MESH, Counts, GraphReader, Rates, shapeOf
from hermes.control.status import NodeStatus, OverlayStatus
from hermes.control.values import LinkFigure, NodeState, VersionRecord
from hermes.test.control.operator.running import DOCUMENT

MESHED = "overlay: m\nnodes:\n" + "".join(f'  n{n}: {{address: "n{n}:1"}}\n' for n in range(MESH))


class FakeController:
    """
    A controller whose nodes say what they were told to.
    """

    measurements = ""

    def __init__(self, document: str, *names: str) -> None:
        self.document = document
        self.names = names
        self.says: dict[str, Deferred[Mapping[str, Any]]] = {}
        self.asked: list[str] = []
        self.read = 0

    def status(self) -> Deferred[OverlayStatus]:
        """
        All nodes are there.
        """
        nodes = tuple(NodeStatus(name, NodeState(name, True, 1), 1, True) for name in self.names)
        return succeed(OverlayStatus(True, "me", 1, nodes=nodes))

    def version(self, number: int) -> Deferred[VersionRecord]:
        """
        The document.
        """
        self.read += 1
        return succeed(VersionRecord(number, None, "ops", 0, "", self.document, measurements=self.measurements))

    def nodeStatus(self, name: str) -> Deferred[Mapping[str, Any]]:
        """
        What a node says.
        """
        self.asked.append(name)
        said = self.says.get(name)
        return Deferred() if said is None else said


class GraphTests(SynchronousTestCase):
    """
    L{GraphReader}.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.make(DOCUMENT, "edge", "gateway", "relay")

    def make(self, document: str, *names: str) -> None:
        """
        Of another overlay.
        """
        self.controller = FakeController(document, *names)
        controller: Any = self.controller
        self.reader = GraphReader(controller, self.clock, lambda call, *arguments: succeed(call(*arguments)))
        for name in names:
            self.say(name)

    def say(self, name: str, to: str = "", sent: int = 0, segments: int = 0, resent: int = 0, **more: Any) -> None:
        """
        What a node says from now on.
        """
        endpoint = {
            "connections": 1,
            "streams": 2,
            "roundTripSeconds": 0.01,
            "segmentsSent": segments,
            "segmentsResent": resent,
        }
        upstreams = [{"name": to, "type": "hop", "endpoints": [endpoint]}] if to else []
        carried = {to: {"bytesSent": sent, "bytesReceived": 2 * sent}}
        self.controller.says[name] = succeed({"upstreams": upstreams, "carried": carried, **more})

    def read(self) -> dict[str, Any]:
        """
        The graph, a while later.
        """
        self.clock.advance(10)
        return self.successResultOf(self.reader.read())

    def link(self, graph: dict[str, Any], *between: str) -> dict[str, Any]:
        """
        The link between two nodes.
        """
        return next(link for link in graph["links"] if link["between"] == list(between))

    def test_linksOfTheDocumentAreThereWhoeverSaysSo(self) -> None:
        graph = self.read()
        self.assertEqual(
            [(link["between"], link["weight"], link["state"], link["ends"]) for link in graph["links"]],
            [
                (["edge", "gateway"], 50, "idle", []),
                (["edge", "relay"], 10, "idle", []),
                (["gateway", "relay"], 10, "idle", []),
            ],
        )

    def test_ratesAreDifferences(self) -> None:
        self.say("edge", "relay", 1000)
        (end,) = self.link(self.read(), "edge", "relay")["ends"]
        self.assertEqual((end["sentPerSecond"], end["receivedPerSecond"]), (None, None))
        self.say("edge", "relay", 6000)
        link = self.link(self.read(), "edge", "relay")
        (end,) = link["ends"]
        self.assertEqual((end["sentPerSecond"], end["receivedPerSecond"]), (500.0, 1000.0))
        self.assertEqual((link["state"], end["roundTripSeconds"], end["connections"]), ("up", 0.01, 1))
        # It has begun anew.
        self.say("edge", "relay", 10)
        (end,) = self.link(self.read(), "edge", "relay")["ends"]
        self.assertEqual(end["sentPerSecond"], None)

    def test_lossIsOfLateOrOfAllWhereFewWereSent(self) -> None:
        rates = Rates()
        losses = []
        for at, segments, resent in ((0.0, 0, 0), (1.0, 100, 10), (2.0, 300, 10), (3.0, 301, 11), (4.0, 5, 1)):
            now = at, Counts(0, 0, segments, resent)
            losses.append(rates.rate("a", "b", now)["loss"])
            rates.keep({("a", "b"): now})
        self.assertEqual(losses, [None, 0.1, 0.0, round(11 / 301, 5), 0.2])

    def test_whoeverLooksNodesAreNotAskedMoreOften(self) -> None:
        waiting: Deferred[Mapping[str, Any]] = Deferred()
        self.controller.says["edge"] = waiting
        first, second = self.reader.read(), self.reader.read()
        self.assertNoResult(first)
        waiting.callback({})
        self.assertIs(self.successResultOf(first), self.successResultOf(second))
        self.reader.read()
        self.assertEqual(self.controller.asked, ["edge", "gateway", "relay"])
        self.say("edge")
        self.clock.advance(INTERVAL + 1)
        self.reader.read()
        self.assertEqual(len(self.controller.asked), 6)
        self.assertEqual(self.controller.read, 1)

    def test_aNodeThatDoesNotAnswerHoldsNobodyUp(self) -> None:
        self.controller.says["edge"] = Deferred()
        self.controller.says["relay"] = fail(NodeLost("gone"))
        reading = self.reader.read()
        self.assertNoResult(reading)
        self.clock.advance(6)
        graph = self.successResultOf(reading)
        self.assertEqual([node["uptimeSeconds"] for node in graph["nodes"]], [None, None, None])

    def test_whatIsWrongOnceIsAskedAgain(self) -> None:
        status = self.controller.status
        self.controller.status = lambda: fail(NodeLost("the store"))  # type: ignore[method-assign]
        self.failureResultOf(self.reader.read(), NodeLost)
        self.controller.status = status  # type: ignore[method-assign]
        self.successResultOf(self.reader.read())

    def test_whatALinkCostsIsItsWeightOrWhatWasMeasured(self) -> None:
        self.make(DOCUMENT.replace("[edge, relay], weight: 10", "[edge, relay]"), "edge", "gateway", "relay")
        self.assertEqual(self.costs(self.read()), [50, None, 10])
        self.controller.measurements = Measurements({("edge", "relay"): 87, ("edge", "gateway"): 1}).toText()
        self.reader = GraphReader(self.reader._controller, self.clock, lambda call, *some: succeed(call(*some)))
        self.assertEqual(self.costs(self.read()), [50, 87, 10])

    def test_aLinkIsDownWhereNodesSayThatNothingComesBack(self) -> None:
        """
        Though both are there, and have a connection that is not known yet to be lost.
        """
        self.say("edge", "relay")
        figures: dict[tuple[str, str], LinkFigure] = {("edge", "relay"): LinkFigure("", up=False)}
        controller: Any = self.controller
        self.reader = GraphReader(controller, self.clock, lambda call, *some: succeed(call(*some)), lambda: figures)
        self.assertEqual(self.link(self.read(), "edge", "relay")["state"], "down")
        figures["edge", "relay"] = LinkFigure("", 0.01)
        self.say("edge", "relay")
        self.assertEqual(self.link(self.read(), "edge", "relay")["state"], "up")
        self.say("edge")
        self.assertEqual(self.link(self.read(), "edge", "relay")["state"], "idle")

    def costs(self, graph: dict[str, Any]) -> list[int | None]:
        """
        Of the links between C{edge}, C{gateway} and C{relay}.
        """
        return [link["cost"] for link in graph["links"]]

    def test_aMeshShowsAllLinksOrWhereThereAreManyThoseThatAreUsed(self) -> None:
        names = [f"n{n}" for n in range(MESH + 1)]
        self.make(MESHED, *names[:-1])
        self.assertEqual(len(self.read()["links"]), MESH * (MESH - 1) // 2)
        self.make(MESHED + f'  {names[-1]}: {{address: "x:1"}}\n', *names)
        self.say("n3", "n1")
        self.assertEqual([link["between"] for link in self.read()["links"]], [["n1", "n3"]])

    def test_aNodeTellsOfItsOwnLinksAndOfNobodyElse(self) -> None:
        for to in ("nobody", "edge", "relay\x00"):
            self.say("edge", to)
            self.assertEqual([link["ends"] for link in self.read()["links"]], [[], [], []])

    def test_nonsenseIsLeftOut(self) -> None:
        upstreams: Any
        for upstreams in (
            7,
            "x",
            [None, 3, {}],
            [{"name": ["relay"], "type": "hop"}],
            [{"name": "relay", "type": "hop", "endpoints": {"a": 1}}],
            [{"name": "relay", "type": "hop", "endpoints": [{"connections": "many", "roundTripSeconds": -1}]}] * 3,
            [{"name": "relay", "type": "hop", "endpoints": [{"connections": 10**400, "segmentsSent": float("nan")}]}],
        ):
            more: dict[str, Any] = {"upstreams": upstreams, "flows": [], "uptimeSeconds": True, "refusals": upstreams}
            self.controller.says["edge"] = succeed({"carried": 4, **more})
            graph = self.read()
            self.assertIsNone(graph["nodes"][0]["uptimeSeconds"])
            self.assertLessEqual(len(self.link(graph, "edge", "relay")["ends"]), 1)
        controller: Any = self.controller
        controller.says["edge"] = succeed(["no mapping"])
        self.read()

    def test_refusalsAreTheNewestOfAllAndBounded(self) -> None:
        self.say("edge", refusals=[{"time": f"2026-01-01T00:00:{n:02}", "target": "x" * 9999} for n in range(60)])
        self.say("relay", refusals=[{"time": "2026-01-02", "method": "GET", "scheme": "http", "authority": "a"}])
        refusals = self.read()["refusals"]
        self.assertEqual(len(refusals), 50)
        self.assertEqual((refusals[0]["node"], refusals[0]["target"]), ("relay", "GET http://a"))
        self.assertEqual(len(refusals[1]["target"]), 300)

    def test_theShapeIsAnotherWhereNodesOrLinksAre(self) -> None:
        first = self.read()["shape"]
        self.assertEqual(first, self.read()["shape"])
        self.controller.names = ("edge", "gateway")
        self.assertNotEqual(first, self.read()["shape"])

    def test_whatIsNoDocumentHasNoShape(self) -> None:
        self.assertEqual(shapeOf("nonsense").links, {})
