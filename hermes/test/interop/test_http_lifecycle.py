"""
Reverse proxies that change and stop while somebody asks them.
"""

from __future__ import annotations

import http.client
import json
import signal
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

from twisted.internet import reactor as theReactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.python.failure import Failure

from hermes.test.interop.processes import Node
from hermes.test.interop.recorder import Answer
from hermes.test.interop.streams import Answering, inOrder
from hermes.test.interop.test_http_routes import WEB, RouteCase
from hermes.test.processes import freePort

reactor: Any = theReactor


class Asking:
    """
    Asks for a path again and again on one connection, in a thread, until it is told to stop.

    @ivar answers: statuses, and how often they came.
    """

    def __init__(self, node: Node, method: str, path: str) -> None:
        self.answers: Counter[int] = Counter()
        self._port = node.ports["web"]
        self._method = method
        self._path = path
        self._stopped = False
        self._waiting: list[tuple[int, Deferred[None]]] = []
        self.done: Deferred[None] = deferToThread(self._run)
        self.done.addErrback(self._failed)

    def _run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=20)
        while not self._stopped:
            body = b"question" if self._method == "POST" else None
            connection.request(self._method, self._path, body, {"Host": "a.example"})
            response = connection.getresponse()
            response.read()
            reactor.callFromThread(self._answered, response.status)
        connection.close()

    def _failed(self, failure: Failure) -> None:
        waiting, self._waiting = self._waiting, []
        self.answers[0] += 1
        for _, reached in waiting:
            reached.errback(failure)

    def _answered(self, status: int) -> None:
        self.answers[status] += 1
        waiting, self._waiting = self._waiting, []
        for count, reached in waiting:
            if self.answers.total() >= count:
                reached.callback(None)
            else:
                self._waiting.append((count, reached))

    def some(self, count: int) -> Deferred[None]:
        """
        Wait until it has so many answers more.
        """
        reached: Deferred[None] = Deferred()
        self._waiting.append((self.answers.total() + count, reached))
        return reached

    def stop(self) -> Deferred[None]:
        """
        End it after the request that is on its way.
        """
        self._stopped = True
        return self.done


class ReloadTests(RouteCase):
    """
    SIGHUP.
    """

    async def test_noRequestFailsWhileRoutesUpstreamsAndAssistantsChange(self) -> None:
        one, upstreamOne = await self.origin(b"one")
        two, upstreamTwo = await self.origin(b"two")
        fresh = (("Cache-Control", "max-age=3600"),)
        one.answer = two.answer = lambda asked: Answer(fields=fresh if asked.path == "/kept" else ())

        bind = f"127.0.0.1:{freePort()}"

        def config(turn: int) -> dict[str, Any]:
            odd = turn % 2 == 1
            upstreams = {"one": {**upstreamOne, "pool": {"warm": turn % 3}, "balance": "random" if odd else "maglev"}}
            assist: dict[str, Any] = {"cache": {"type": "cache"}, "many": {"type": "limits", "rate": 10_000 + turn}}
            if odd:
                assist["two"] = {"type": "cache", "store": "disk", "path": str(self.directory / "cache.db")}
            routes: list[dict[str, Any]] = [
                {"match": {"path": "/kept"}, "to": "one", "assist": ["cache"]},
                {"match": {"path": "/moving"}, "to": "one", "headers": {"set": {"x-turn": str(turn)}}},
            ]
            if odd:
                upstreams["two"] = {**upstreamTwo, "health": {"interval": "1h"}}
                routes[1] |= {"to": "two", "assist": ["two"]}
            return self.config(
                "edge",
                listeners={"web": {"type": "http", "bind": bind, "assist": ["many"]}},
                upstreams=upstreams,
                assist=assist,
                routes=[*routes, {"match": {"host": "*"}, "to": "one", "timeout": "20s"}],
            )

        node = self.startNode("edge", config(2))
        await node.ready()
        await self.get(node, "/kept")
        before = len(list(Path(f"/proc/{node.pid}/fd").iterdir()))
        asking = [Asking(node, *what) for what in (("GET", "/x"), ("POST", "/moving"), ("GET", "/kept"))]
        for each in asking:
            self.addCleanup(each.stop)
        load = self.start("h2load", "-n", "3000", "-c", "2", "-m", "5", f"http://{node.address('web')}/moving")
        for turn in range(20):
            await gatherResults([each.some(3) for each in asking])
            changed = config(turn)
            node.configure(changed)
            self.assertTrue((await node.reload()).startswith("reloaded"))
        await load.end()
        self.assertIn("3000 succeeded, 0 failed", load.output)
        self.assertIn("3000 2xx", load.output)
        for each in asking:
            await each.stop()
            self.assertEqual(set(each.answers), {200})
        kept = [asked for recorder in (one, two) for asked in recorder.asked if asked.path == "/kept"]
        self.assertEqual(len(kept), 1)
        self.assertGreater(
            len({asked.fields["x-turn"] for asked in one.asked + two.asked if "x-turn" in asked.fields}), 9
        )

        # What is used no more is closed: one upstream, one connection for the last request, and nothing else is left.
        changed["upstreams"] = {"one": {**upstreamOne, "pool": {"mostIdle": 1}}}
        del changed["assist"]["two"]
        changed["routes"] = [{"match": {"host": "*"}, "to": "one"}]
        node.configure(changed)
        self.assertTrue((await node.reload()).startswith("reloaded"))
        await self.get(node, "/x")
        while len(list(Path(f"/proc/{node.pid}/fd").iterdir())) > before + 1:
            await node.ask("/healthz")
        status = json.loads(await node.ask("/status"))
        self.assertEqual([each["name"] for each in status["upstreams"]], ["one"])
        self.assertEqual(status["requests"]["open"], 0)
        self.assertNotIn("Traceback", node.output)


class KeepAlive(Answering):
    """
    An origin that answers each read.
    """

    def keep(self, data: bytes) -> None:
        self.socket.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")


class StopTests(RouteCase):
    """
    SIGTERM.
    """

    async def test_whatWasAcceptedIsAnswered(self) -> None:
        one, upstream = await self.origin()
        keeping = await self.local.server(KeepAlive)
        node = await self.node(
            "edge",
            listeners=WEB,
            upstreams={"one": upstream, "kept": {"type": "direct", "endpoints": [f"127.0.0.1:{keeping.port}"]}},
            routes=[{"match": {"path": "/kept"}, "to": "kept"}, {"match": {"host": "*"}, "to": "one"}],
        )
        base = f"http://{node.address('web')}"
        self.assertEqual(await self.curl(f"{base}/kept"), "ok")
        one.answer = lambda asked: Answer(body=None)
        curl = ("curl", "-sS", "--noproxy", "*", "-w", "%{http_code}")
        held = [self.start(*curl, option, f"{base}/x") for option in ("--http1.1", "--http2-prior-knowledge")]
        held.append(self.start(*curl, "-d", "question", f"{base}/x"))
        await one.count(3)
        node.signal(signal.SIGTERM)
        await node.said("draining")
        late = self.start(*curl, f"{base}/late")
        self.assertEqual(await late.end(), 7)
        while one.open:
            one.open[0].write(b"answer")
            one.open[0].finish()
        for process in held:
            self.assertEqual(await process.end(), 0)
            self.assertEqual(process.stdout, b"answer200")
        await node.end()
        self.assertIn("drained", node.output)
        for stream in keeping.streams:
            self.assertTrue(inOrder(await stream.ended()))
        entries = [entry["status"] for entry in node.flows() if entry["path"] == "/x"]
        self.assertEqual(entries, [200] * 3)
        self.assertNotIn("Traceback", node.output)

    async def test_aSecondSignalEndsWhatIsOpen(self) -> None:
        one, upstream = await self.origin()
        node = await self.node(
            "edge", listeners=WEB, upstreams={"one": upstream}, routes=[{"match": {"host": "*"}, "to": "one"}]
        )
        one.answer = lambda asked: Answer(body=None)
        curl = self.start("curl", "-sS", "--noproxy", "*", f"http://{node.address('web')}/x")
        await one.count(1)
        node.signal(signal.SIGTERM)
        await node.said("draining")
        node.signal(signal.SIGTERM)
        await node.end()
        self.assertNotEqual(await curl.end(), 0)
        (entry,) = node.flows()
        self.assertEqual((entry["status"], entry["error"]), (0, "the proxy is shutting down"))


class RollingTests(RouteCase):
    """
    Two nodes behind one, of which one goes at a time.
    """

    async def test_oneExitAfterTheOtherIsReplacedAndNoRequestFails(self) -> None:
        _, upstream = await self.origin()
        identity = self.identity("exit")
        ports = freePort(), freePort()

        async def exit(number: int) -> Node:
            node = self.startNode(
                f"exit-{number}",
                self.config(
                    "exit",
                    identity=identity,
                    listeners={"overlay": {"type": "tunnel", "bind": f"127.0.0.1:{ports[number]}"}},
                    upstreams={"one": upstream},
                    routes=[{"match": {"host": "*"}, "to": "one"}],
                ),
            )
            await node.ready()
            return node

        exits = [await exit(number) for number in (0, 1)]
        edge = await self.node(
            "edge",
            identity=self.identity("edge"),
            listeners=WEB,
            upstreams={"exit": {"type": "hermes", "endpoints": [f"127.0.0.1:{port}" for port in ports]}},
            routes=[
                {"match": {"method": "GET"}, "via": "exit", "retry": {"on": ["connect", "refused", "reset", 503]}},
                {"match": {"host": "*"}, "via": "exit"},
            ],
        )
        asking = [Asking(edge, "GET", "/x") for _ in range(4)]
        for each in asking:
            self.addCleanup(each.stop)
        for number, how in ((0, signal.SIGTERM), (1, signal.SIGKILL)):
            await gatherResults([each.some(10) for each in asking])
            exits[number].signal(how)
            await exits[number].end()
            await gatherResults([each.some(10) for each in asking])
            # Without retries, too: a connection that is refused is another endpoint's.
            for _ in range(4):
                self.assertEqual((await self.get(edge, "/x", "-d", "question")).status, 200)
            exits[number] = await exit(number)
        for each in asking:
            await each.stop()
            self.assertEqual(set(each.answers), {200})
        self.assertNotIn("Traceback", edge.output)


class WorkerTests(RouteCase):
    """
    One node of two processes.
    """

    def stored(self, name: str) -> int:
        """
        How many responses are in a cache on disk.
        """
        with closing(sqlite3.connect(self.directory / name)) as database:
            (found,) = database.execute("SELECT count(*) FROM response").fetchone()
            return int(found)

    async def test_twoWorkersAreOneNode(self) -> None:
        one, upstream = await self.origin()
        one.answer = lambda asked: Answer(fields=(("Cache-Control", "max-age=3600"),))
        admin = freePort()
        node = self.startNode(
            "edge",
            self.config(
                "edge",
                workers=2,
                admin={"bind": f"127.0.0.1:{admin}"},
                listeners=WEB,
                assist={"disk": {"type": "cache", "store": "disk", "path": str(self.directory / "cache.db")}},
                upstreams={"one": upstream},
                routes=[
                    {"match": {"path": "/kept"}, "to": "one", "assist": "disk", "name": "kept"},
                    {"match": {"host": "*"}, "to": "one", "name": "rest"},
                ],
            ),
        )
        await node.ready()
        node.ports["admin"] = admin
        base = f"http://{node.address('web')}"
        # Connections are shared out by their source ports: so many that each worker gets some.
        for number in range(10):
            await self.curl("-o", "/dev/null", f"{base}/kept", "-o", "/dev/null", f"{base}/kept")
            while not number and not self.stored("cache.db"):
                # It is written after it is answered: only then does the other worker have it too.
                await deferLater(reactor, 0.02)
        load = self.start("h2load", "-n", "400", "-c", "20", f"{base}/x")
        await load.end()
        self.assertIn("400 2xx", load.output)
        kept = [asked for asked in one.asked if asked.path == "/kept"]
        self.assertEqual(len(kept), 1)
        metrics = await node.ask("/metrics")
        for route, count in (("kept", 20), ("rest", 400)):
            self.assertIn(
                f'hermes_requests_total{{listener="web",method="GET",route="{route}",status="200",upstream="one"}} '
                f"{count:.1f}",
                metrics,
            )
        self.assertIn('hermes_request_cache_total{listener="web",result="miss",route="kept"} 1.0', metrics)
        status = json.loads(await node.ask("/status"))
        self.assertEqual((status["workers"], status["requests"]), (2, {"open": 0, "taken": 420}))
        ((endpoint,),) = [each["endpoints"] for each in status["upstreams"]]
        self.assertEqual((endpoint["address"], endpoint["state"]), (upstream["endpoints"][0], "up"))
        self.assertEqual(
            {each["name"]: each["address"] for each in status["listeners"]},
            {"(admin)": node.address("admin"), "web": node.address("web")},
        )
        stored = sqlite3.connect(self.directory / "cache.db").execute("PRAGMA integrity_check").fetchall()
        self.assertEqual(stored, [("ok",)])
        node.signal(signal.SIGTERM)
        await node.end()
        self.assertEqual(len([entry for entry in node.flows() if entry["event"] == "request"]), 420)
        self.assertNotIn("Traceback", node.output)
