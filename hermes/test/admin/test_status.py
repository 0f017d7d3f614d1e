"""
Tests for L{hermes.admin.status} and L{hermes.admin.resources}.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from attrs import define, evolve, field
from prometheus_client import CollectorRegistry
from twisted.internet.address import IPv4Address
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.test.requesthelper import DummyRequest

from hermes.admin.resources import nodeSite
from hermes.admin.status import Status
from hermes.config import AssistConfig, ListenerConfig, NodeConfig
from hermes.config.types import Name
from hermes.test.admin.records import flowRecord, requestRecord


@define(eq=False)
class Flows:
    """
    What a node's C{flows} tell.
    """

    records: list[Any]
    opened: int = 7
    refused: int = 2

    def openFlows(self) -> list[Any]:
        """
        Oldest first.
        """
        return self.records


@define(eq=False)
class Requests:
    """
    What a node's C{requests} tell.
    """

    records: list[Any]
    started: int = 40

    def openRequests(self) -> list[Any]:
        """
        Oldest first.
        """
        return self.records


class Shown:
    """
    What has a status.
    """

    def status(self) -> dict[str, Any]:
        """
        Something.
        """
        return {"entries": 3}


class Packets:
    """
    A node's IP side.
    """

    def status(self) -> dict[str, Any]:
        """
        See L{hermes.ip.plane.PacketPlane}.
        """
        return {"ports": []}

    def port(self, name: str) -> Any:
        """
        None.
        """
        return None

    def explain(self, asked: Mapping[str, str]) -> dict[str, Any]:
        """
        What was asked.
        """
        if "destination" not in asked:
            raise ValueError("a destination is missing")
        return {"asked": dict(asked)}


@define(eq=False)
class FakeNode:
    """
    A node to read the status of.
    """

    config: NodeConfig
    flows: Flows
    requests: Requests
    draining: bool = False
    upstreams: dict[str, Any] = field(factory=lambda: {"stock": Shown(), "plain": object()})
    assistants: dict[str, Any] = field(factory=lambda: {"memory": Shown()})
    listeners: dict[str, Any] = field(factory=dict)
    packets: Packets = field(factory=lambda: Packets())

    def addresses(self) -> dict[str, Any]:
        """
        Where its listeners are.
        """
        return {"web": IPv4Address("TCP", "127.0.0.1", 80), "apps": IPv4Address("TCP", "127.0.0.1", 3128)}


class StatusTests(SynchronousTestCase):
    """
    What is told of a node.
    """

    def setUp(self) -> None:
        config = NodeConfig(
            Name("edge"),
            listeners={"web": ListenerConfig("http", None), "apps": ListenerConfig("proxy", None)},
            assist={"memory": AssistConfig("cache", None)},
        )
        self.node = FakeNode(config, Flows([flowRecord()]), Requests([requestRecord(), requestRecord()]))
        self.clock = Clock()
        self.clock.advance(10)
        self.status = Status(self.node, "1.2", self.clock.seconds)

    def get(self, path: str, **arguments: str) -> tuple[int, bytes]:
        """
        What a page answers: status and body.
        """
        site = nodeSite(CollectorRegistry(), self.status)
        request: Any = DummyRequest([path.encode()])
        request.args = {name.encode(): [value.encode()] for name, value in arguments.items()}
        request.uri = b"/" + path.encode()
        site.resource.getChildWithDefault(path.encode(), request).render(request)
        return request.responseCode or 200, b"".join(request.written)

    def test_flowsAndExchangesAreCountedByListener(self) -> None:
        summary = self.status.summary()
        self.assertEqual(summary["flows"], {"open": 1, "opened": 7, "refused": 2})
        self.assertEqual(summary["requests"], {"open": 2, "taken": 40})
        self.assertEqual(
            summary["listeners"],
            [
                {"name": "web", "type": "http", "address": "127.0.0.1:80", "flows": 0, "requests": 2},
                {"name": "apps", "type": "proxy", "address": "127.0.0.1:3128", "flows": 1, "requests": 0},
            ],
        )

    def test_upstreamsAndAssistingComponentsTellOfThemselves(self) -> None:
        summary = self.status.summary()
        self.assertEqual(summary["upstreams"], [{"name": "plain"}, {"name": "stock", "entries": 3}])
        self.assertEqual(summary["assist"], [{"name": "memory", "type": "cache", "entries": 3}])

    def test_aListenerMayTellOfItself(self) -> None:
        self.node.listeners = {"web": object(), "apps": Shown()}
        web, apps = self.status.summary()["listeners"]
        self.assertNotIn("entries", web)
        self.assertEqual(apps["entries"], 3)

    def test_exchangesAreShownNewestFirstAndNoMoreThanWereAskedFor(self) -> None:
        self.node.requests.records = [
            requestRecord(head={"path": b"/%d" % number}, seconds=None, status=0) for number in range(200)
        ]
        for record in self.node.requests.records:
            record.startedAt = self.clock.seconds()
            self.clock.advance(1)
        status, body = self.get("requests", limit="3")
        shown = json.loads(body)
        self.assertEqual((status, [each["path"] for each in shown]), (200, ["/199", "/198", "/197"]))
        self.assertEqual([each["seconds"] for each in shown], [1.0, 2.0, 3.0])
        self.assertEqual(len(json.loads(self.get("requests")[1])), 100)

    def test_whoeverDrainsIsNotHealthy(self) -> None:
        self.assertEqual(self.get("healthz"), (200, b"ok\n"))
        self.node.draining = True
        self.assertEqual(self.get("healthz"), (503, b"draining\n"))

    def test_theIndexNamesEveryPage(self) -> None:
        index = self.get("")[1].decode()
        site = nodeSite(CollectorRegistry(), self.status)
        names = [name.decode() for name in site.resource.listNames() if name]
        self.assertEqual(len(names), 7)
        for name in names:
            self.assertIn(f"\n/{name} ", index)

    def test_whereAPacketWouldGoIsTold(self) -> None:
        """
        What is asked is passed on; what is wrong with it is told with 400.
        """
        code, body = self.get("route", destination="10.0.0.1", user="alice")
        self.assertEqual((code, json.loads(body)), (200, {"asked": {"destination": "10.0.0.1", "user": "alice"}}))
        code, body = self.get("route", user="alice")
        self.assertEqual((code, json.loads(body)), (400, {"error": "a destination is missing"}))

    def test_theStatusIsWhatThePageShows(self) -> None:
        self.assertEqual(json.loads(self.get("status")[1]), self.status.summary())
        self.node.config = evolve(self.node.config, node=Name("other"))
        self.assertEqual(json.loads(self.get("status")[1])["node"], "other")
