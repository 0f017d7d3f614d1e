"""
Tests for L{hermes.watchers}, and for what watches a node of real parts.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from textwrap import dedent
from typing import Any

from prometheus_client import CollectorRegistry
from twisted.internet import reactor as installedReactor
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase, TestCase
from twisted.web.client import Agent, readBody
from twisted.web.http_headers import Headers
from twisted.web.resource import Resource

from hermes.admin.tracing import Tracing
from hermes.assembly import Assembly
from hermes.config import ConfigError, NodeConfig, loadNodeText
from hermes.net.network import Network
from hermes.node import Node
from hermes.test.admin.collector import Collector, Reactor, serve, told
from hermes.test.admin.records import flowRecord, requestRecord
from hermes.watchers import WatcherError, Watchers, Watching
from hermes.wire.tracecontext import TraceParent

reactor: Any = installedReactor


class WatchersTests(SynchronousTestCase):
    """
    L{Watchers}.
    """

    def setUp(self) -> None:
        self.directory: str = os.path.abspath(self.mktemp())
        os.mkdir(self.directory)
        self.watchers = Watchers(Reactor(), CollectorRegistry())
        self.watching: Watching | None = None

    def use(self, text: str) -> Watching:
        """
        Watch as a configuration says.
        """
        config = loadNodeText(f"node: edge\n{dedent(text)}", "edge.yaml", self.directory, {})
        self.watching = self.watchers.make(config, self.watching)
        self.watchers.commit(self.watching)
        self.addCleanup(self.watchers.discard, self.watching, None)
        return self.watching

    def lines(self, name: str) -> list[str]:
        """
        What is in a file.
        """
        return Path(self.directory, name).read_text().splitlines()

    def test_withoutAnAccessLogNothingIsWritten(self) -> None:
        self.use("")
        self.watchers.requestStarted(requestRecord())
        self.watchers.requestEnded(requestRecord())
        self.watchers.flowClosed(flowRecord())
        self.assertEqual(os.listdir(self.directory), [])

    def test_flowsAndExchangesAreInOneLog(self) -> None:
        watching = self.use("accessLog: {path: access.log}")
        self.watchers.flowClosed(flowRecord(duration=1.0))
        self.watchers.flowRefused(flowRecord(duration=1.0))
        self.watchers.requestEnded(requestRecord())
        self.watchers.discard(watching, None)
        self.assertEqual(
            [json.loads(line)["event"] for line in self.lines("access.log")], ["closed", "refused", "request"]
        )

    def test_aReloadOpensTheLogAnewAndLosesNothing(self) -> None:
        self.use("accessLog: {path: access.log}")
        self.watchers.requestEnded(requestRecord())
        os.rename(f"{self.directory}/access.log", f"{self.directory}/access.log.1")
        watching = self.use("accessLog: {path: access.log}")
        self.watchers.requestEnded(requestRecord())
        self.watchers.discard(watching, None)
        self.assertEqual([len(self.lines(name)) for name in ("access.log.1", "access.log")], [1, 1])

    def test_anotherFormatIsAnotherLogAndTheOldOneIsWrittenOut(self) -> None:
        self.use("accessLog: {path: access.log}")
        self.watchers.requestEnded(requestRecord())
        watching = self.use("accessLog: {path: access.log, format: common, query: false}")
        self.watchers.requestEnded(requestRecord())
        self.watchers.discard(watching, None)
        old, new = self.lines("access.log")
        self.assertEqual(json.loads(old)["path"], "/items?page=2")
        self.assertIn('"GET http://shop.example/items HTTP/1.1"', new)

    def test_whatIsNotUsedAfterAllIsClosedAndTheOldGoesOn(self) -> None:
        before = self.use("accessLog: {path: access.log}")
        config = loadNodeText("node: edge\naccessLog: {path: other.log}", "edge.yaml", self.directory, {})
        after = self.watchers.make(config, before)
        self.watchers.discard(after, before)
        self.watchers.requestEnded(requestRecord())
        self.watchers.discard(before, None)
        self.assertEqual([len(self.lines(name)) for name in ("access.log", "other.log")], [1, 0])

    def test_aLogThatCanNotBeOpenedIsSaid(self) -> None:
        # A link that leads to itself: what is wrong is found out when it is opened, and by root too.
        os.symlink("access.log", f"{self.directory}/access.log")
        error = self.assertRaises(WatcherError, self.use, "accessLog: {path: access.log}")
        self.assertEqual(str(error), f"{self.directory}/access.log: Too many levels of symbolic links")

    def test_withoutItsPackagesTracingSaysWhichExtraHasThem(self) -> None:
        name = "hermes.admin.otlp"
        loaded: Any = sys.modules.get(name)
        sys.modules[name] = None  # type: ignore[assignment]
        self.addCleanup(sys.modules.__setitem__ if loaded else sys.modules.pop, name, loaded)
        text = 'accessLog: {path: access.log}\ntracing: {endpoint: "http://127.0.0.1:1/v1/traces"}'
        error = self.assertRaises(WatcherError, self.use, text)
        self.assertIn("pip install 'hermes-overlay[otlp]'", str(error))

    def test_tracingThatDidNotChangeIsKept(self) -> None:
        text = 'tracing: {endpoint: "http://127.0.0.1:1/v1/traces", sample: 0.5}\n'
        first = self.use(text)
        self.assertIsInstance(first.tracing, Tracing)
        self.assertIs(self.use(text + "drain: 5").spans, first.spans)
        self.assertIsNot(self.use(text.replace("0.5", "0.6")).spans, first.spans)
        self.assertIsNone(self.use("").spans)


class ConfigTests(SynchronousTestCase):
    """
    The keys of tracing.
    """

    def load(self, text: str) -> NodeConfig:
        """
        A configuration with C{tracing}.
        """
        return loadNodeText(f"node: edge\ntracing: {text}", "edge.yaml", "/", {})

    def test_theKeys(self) -> None:
        tracing = self.load("{endpoint: 'https://c.example/v1/traces', sample: 0.1, headers: {x-key: s3cret}}").tracing
        assert tracing is not None
        self.assertEqual((tracing.endpoint, tracing.sample, tracing.follow), ("https://c.example/v1/traces", 0.1, True))
        self.assertEqual(tracing.headers, {"x-key": "s3cret"})
        self.assertNotIn("s3cret", repr(tracing))

    def test_whatIsWrongIsSaid(self) -> None:
        for text, said in (
            ("{endpoint: collector:4318}", "tracing.endpoint: 'collector:4318' is not an http: or https: URL"),
            ("{endpoint: 'http://'}", "tracing.endpoint: 'http://' is not an http: or https: URL"),
            ("{endpoint: 'http://a b/'}", "is not an http: or https: URL"),
            ("{endpoint: 'http://c:99999/'}", "is not an http: or https: URL"),
            ("{endpoint: 'http://c/', sample: 1.5}", "tracing.sample: 1.5 is not a share: a number from 0 to 1"),
            ('{endpoint: "http://c/", headers: {a: "b\\nc"}}', "tracing.headers.a: a header's value is printable"),
        ):
            error = self.assertRaises(ConfigError, self.load, text)
            self.assertIn(said, str(error))


class Origin(Resource):
    """
    Keeps what it was asked.
    """

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.fields: list[dict[bytes, list[bytes]]] = []

    def render_GET(self, request: Any) -> bytes:
        self.fields.append({name.lower(): values for name, values in request.requestHeaders.getAllRawHeaders()})
        request.setHeader(b"connection", b"close")
        return b"an answer"


class NodeTests(TestCase):
    """
    A node that is watched, with an origin behind it.
    """

    timeout = 30

    def setUp(self) -> None:
        self.directory: str = os.path.abspath(self.mktemp())
        os.mkdir(self.directory)
        self.origin, self.collector = Origin(), Collector()
        self.places = [serve(self, each).getHost().port for each in (self.origin, self.collector)]

    async def node(self, more: str) -> Node:
        """
        A node that is started.
        """
        text = """\
            node: edge
            listeners: {web: {type: http, bind: "127.0.0.1:0"}}
            routes: [{match: {any: true}, name: shop, allowSpecial: true}]
            admin: {bind: "127.0.0.1:0"}
            accessLog: {path: access.log}
            """
        config = loadNodeText(dedent(text) + more, "edge.yaml", self.directory)
        node = Node(reactor, config, Assembly(reactor, Network(reactor)))
        await node.start()
        self.addCleanup(node.stop)
        return node

    async def get(self, node: Node, listener: str, path: str, **fields: str) -> bytes:
        """
        What a listener answers.
        """
        address: Any = node.addresses()[listener]
        headers = Headers(
            {"host": [f"127.0.0.1:{self.places[0]}"], **{name: [value] for name, value in fields.items()}}
        )
        response = await Agent(reactor).request(b"GET", f"http://127.0.0.1:{address.port}{path}".encode(), headers)
        body: bytes = await readBody(response)
        return body

    def test_anExchangeIsTracedCountedAndLogged(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self._seen())

    async def _seen(self) -> None:
        node = await self.node(f'tracing: {{endpoint: "http://127.0.0.1:{self.places[1]}/v1/traces"}}')
        trace, span = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
        answer = await self.get(node, "web", "/a?b=c", traceparent=f"00-{trace}-{span}-01", tracestate="vendor=1")
        self.assertEqual(answer, b"an answer")
        status = json.loads(await self.get(node, "(admin)", "/status"))
        self.assertEqual(status["requests"], {"open": 0, "taken": 1})
        metrics = await self.get(node, "(admin)", "/metrics")
        place = b'listener="web",route="shop",upstream="direct"'
        self.assertIn(b'hermes_requests_total{listener="web",method="GET",route="shop",status="200"', metrics)
        self.assertIn(b"hermes_request_duration_seconds_count{%b} 1.0" % place, metrics)
        self.assertIn(b'hermes_request_bytes_total{direction="out",%b} 9.0' % place, metrics)
        exported = self.collector.asked()
        await node.drain(5)
        await exported
        (line,) = Path(self.directory, "access.log").read_text().splitlines()
        entry = json.loads(line)
        told_ = {name: entry[name] for name in ("event", "route", "path", "status", "bytesOut", "tries", "traceID")}
        self.assertEqual(
            told_,
            {
                "event": "request",
                "route": "shop",
                "path": "/a?b=c",
                "status": 200,
                "bytesOut": 9,
                "tries": 1,
                "traceID": trace,
            },
        )
        (fields,) = self.origin.fields
        self.assertEqual(fields[b"tracestate"], [b"vendor=1"])
        parent = TraceParent.parse(fields[b"traceparent"][0])
        assert parent is not None
        server, client = self.collector.spans()
        self.assertEqual((parent.traceID, parent.spanID), (trace, client.span_id.hex()))
        self.assertEqual((server.parent_span_id.hex(), client.parent_span_id), (span, server.span_id))
        self.assertEqual(told(server.attributes)["hermes.upstream"], "direct")

    def test_whatItHasSeenIsSentBeforeItEnds(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self._ended())

    async def _ended(self) -> None:
        """
        The process may be gone next, and no thread of it goes on.
        """
        node = await self.node(f'tracing: {{endpoint: "http://127.0.0.1:{self.places[1]}/v1/traces"}}')
        await self.get(node, "web", "/")
        await node.drain(5)
        self.assertEqual(len(self.collector.spans()), 2)

    def test_withoutTracingTheFieldsGoOnAsTheyAre(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self._untouched())

    async def _untouched(self) -> None:
        node = await self.node("")
        for given in ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "whatever it is"):
            await self.get(node, "web", "/", traceparent=given, tracestate="a=1,,b")
            fields = self.origin.fields.pop()
            self.assertEqual((fields[b"traceparent"], fields[b"tracestate"]), ([given.encode()], [b"a=1,,b"]))
        await self.get(node, "web", "/")
        self.assertNotIn(b"traceparent", self.origin.fields.pop())
        await node.drain(5)
