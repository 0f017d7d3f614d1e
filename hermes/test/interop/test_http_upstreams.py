"""
Upstreams in trouble: retries, deadlines, balancing and breakers, with real nodes, clients and servers.
"""

from __future__ import annotations

import json
import re
import sys
from typing import Any

from hermes.test.interop.processes import Node
from hermes.test.interop.recorder import Answer, Asked
from hermes.test.interop.streams import Stream
from hermes.test.interop.test_http_routes import WEB, RouteCase
from hermes.test.processes import freePort


class Resetting(Stream):
    """
    Resets each connection once something has come.
    """

    def keep(self, data: bytes) -> None:
        self.socket.abortConnection()


PROGRAM = (sys.executable, "-c", "from hermes.cli import main; main()")


def failing(times: int, status: int = 503, wait: str = "") -> Any:
    """
    An answer that is an error so often, and then no more.
    """
    left = [times]

    def answer(asked: Asked) -> Answer:
        left[0] -= 1
        return Answer(status, b"no", (("Retry-After", wait),) * bool(wait)) if left[0] >= 0 else Answer(body=b"at last")

    return answer


class RetryTests(RouteCase):
    """
    Sent again.
    """

    async def test_forEachReason(self) -> None:
        one, upstream = await self.origin()
        resetting = await self.local.server(Resetting)
        dead = freePort()
        backoff = {"first": "1ms", "most": "2ms"}

        def retry(*on: Any, **more: Any) -> dict[str, Any]:
            return {"on": list(on), "tries": 3, "backoff": backoff, **more}

        node = await self.node(
            "edge",
            listeners=WEB,
            upstreams={
                "one": upstream,
                "reset": {"type": "direct", "endpoints": [f"127.0.0.1:{resetting.port}"]},
                "dead": {"type": "direct", "endpoints": [f"127.0.0.1:{dead}"]},
            },
            routes=[
                {"match": {"path": "/503"}, "to": "one", "retry": retry(503)},
                {"match": {"path": "/5xx"}, "to": "one", "retry": retry("5xx")},
                {"match": {"path": "/gateway"}, "to": "one", "retry": retry("gateway")},
                {"match": {"path": "/slow"}, "to": "one", "retry": retry("timeout", perTry="100ms")},
                {"match": {"path": "/posted"}, "to": "one", "retry": retry(503, methods=["POST"])},
                {"match": {"path": "/reset"}, "to": "reset", "retry": retry("reset")},
                {"match": {"path": "/dead"}, "to": "dead", "retry": retry("connect")},
                {"match": {"path": "/plain"}, "to": "one"},
            ],
        )
        for path, times, status, expected, tries in (
            ("/503", 2, 503, 200, 3),
            ("/503", 3, 503, 503, 3),
            ("/503", 1, 500, 500, 1),
            ("/5xx", 2, 507, 200, 3),
            ("/gateway", 2, 504, 200, 3),
            ("/gateway", 1, 500, 500, 1),
            ("/plain", 1, 503, 503, 1),
        ):
            one.asked.clear()
            one.answer = failing(times, status)
            got = await self.get(node, path)
            self.assertEqual((got.status, len(one.asked)), (expected, tries), (path, times, status))
        # A method that is not idempotent is not sent again, save where the route says so: with its body.
        for path, tries in (("/503", 1), ("/posted", 3)):
            one.asked.clear()
            one.answer = failing(2)
            got = await self.get(node, path, "--data-binary", "question")
            self.assertEqual([asked.body for asked in one.asked], [b"question"] * tries)
            self.assertEqual(got.status, 503 if tries == 1 else 200)
        # One that is larger than what is kept is sent once.
        (self.directory / "large").write_bytes(bytes(70_000))
        one.asked.clear()
        one.answer = failing(1)
        got = await self.get(node, "/posted", "--data-binary", f"@{self.directory / 'large'}")
        self.assertEqual((got.status, len(one.asked)), (503, 1))

        one.asked.clear()
        one.answer = lambda asked: Answer(body=b"at last" if len(one.asked) > 2 else None)
        got = await self.get(node, "/slow")
        self.assertEqual((got.status, got.body, len(one.asked)), (200, "at last", 3))
        got = await self.get(node, "/reset")
        self.assertEqual((got.status, len(resetting.streams)), (502, 3))
        self.assertIn("error=http_response_incomplete", got.fields["proxy-status"])
        got = await self.get(node, "/dead")
        self.assertEqual(got.status, 502)
        self.assertIn("error=connection_refused", got.fields["proxy-status"])

        for path, retries in (
            ("/slow", ["timeout"] * 2),
            ("/reset", ["reset"] * 2),
            ("/dead", ["connect"] * 2),
        ):
            self.assertEqual((await node.flow(path=path))["retries"], retries)
        metrics = await node.ask("/metrics")
        for reason, count in (("timeout", 2), ("reset", 2), ("connect", 2), ("507", 2), ("504", 2)):
            found = re.findall(rf'hermes_request_retries_total{{[^}}]*reason="{reason}"[^}}]*}} (\S+)', metrics)
            self.assertEqual(found, [f"{count:.1f}"], reason)
        self.assertNotIn("Traceback", node.output)

    async def test_retryAfterAndDeadlines(self) -> None:
        one, upstream = await self.origin()
        backoff = {"first": "1ms", "most": "1ms"}
        node = await self.node(
            "edge",
            listeners=WEB,
            upstreams={"one": upstream},
            routes=[
                {"match": {"path": "/bounded"}, "to": "one", "timeout": "300ms", "retry": {"on": 503, "tries": 9}},
                {"match": {"path": "/x"}, "to": "one", "retry": {"on": 503, "backoff": backoff}},
            ],
        )
        one.answer = failing(1, wait="1")
        got = await self.get(node, "/x")
        self.assertEqual((got.status, len(one.asked)), (200, 2))
        self.assertGreaterEqual((await node.flow(path="/x"))["seconds"], 1)
        # It is handed on where the deadline comes before, or where it is much.
        one.answer = failing(1, wait="1")
        got = await self.get(node, "/bounded")
        self.assertEqual((got.status, got.fields["retry-after"], len(one.asked)), (503, "1", 3))
        one.answer = failing(1, wait="3600")
        self.assertEqual(((await self.get(node, "/x")).status, len(one.asked)), (503, 4))
        # Nothing comes in time.
        one.answer = lambda asked: Answer(body=None)
        got = await self.get(node, "/bounded")
        self.assertEqual(got.status, 504)
        self.assertIn("error=http_response_timeout", got.fields["proxy-status"])
        entry = await node.flow(path="/bounded", status=504)
        self.assertEqual(entry["proxyStatus"], "http_response_timeout")
        self.assertEqual(json.loads(await node.ask("/requests")), [])


class ChainTests(RouteCase):
    """
    Four nodes in a row.
    """

    async def test_retriesDoNotMultiplyAlongAChain(self) -> None:
        one, upstream = await self.origin()
        resetting = await self.local.server(Resetting)
        upstreams: dict[str, Any] = {
            "one": upstream,
            "reset": {"type": "direct", "endpoints": [f"127.0.0.1:{resetting.port}"]},
        }
        retry = {"on": ["5xx"], "tries": 3, "backoff": {"first": "1ms", "most": "2ms"}}
        routes = [
            {"match": {"host": "a.example"}, "to": "one", "retry": retry, "timeout": "10s"},
            {"match": {"host": "reset.example"}, "to": "reset", "retry": retry},
        ]
        nodes: list[Node] = []
        for place in (4, 3, 2, 1):
            name = f"p{place}"
            listeners = WEB if place == 1 else {"overlay": {"type": "tunnel", "bind": "127.0.0.1:0"}}
            nodes.insert(
                0,
                await self.node(
                    name,
                    identity=self.identity(name),
                    listeners=listeners,
                    upstreams=upstreams,
                    routes=routes,
                ),
            )
            upstreams = {
                f"{name}": {"type": "hermes", "endpoints": [nodes[0].address("overlay")]} if place > 1 else upstream
            }
            routes = [
                {"match": {"host": host}, "via": [name], "retry": retry, "timeout": "10s"}
                for host in ("a.example", "reset.example")
            ]
        first = nodes[0]
        one.answer = lambda asked: Answer(503, b"no")
        got = await self.get(first, "/x")
        self.assertEqual((got.status, got.body, len(one.asked)), (503, "no", 3))
        got = await self.get(first, "/x", host="reset.example")
        self.assertEqual((got.status, len(resetting.streams)), (502, 3))
        one.asked.clear()
        one.answer = failing(2)
        got = await self.get(first, "/x")
        self.assertEqual((got.status, got.body, len(one.asked)), (200, "at last", 3))
        for asked in one.asked:
            self.assertEqual([name for name in asked.fields if name.startswith("hermes")], [])
        self.assertEqual([name for name in got.fields if name.startswith("hermes")], [])
        # The last hop's death is met, too; and what it says is told by the first.
        await nodes[3].kill()
        got = await self.get(first, "/x")
        self.assertEqual(got.status, 502)
        self.assertNotIn("Traceback", "".join(node.output for node in nodes))


class BalanceTests(RouteCase):
    """
    Which endpoint, and which not.
    """

    async def origins_(self, count: int) -> tuple[list[Any], list[str]]:
        """
        @return: origins that answer with their number, and their addresses.
        """
        made = [await self.origin(b"%d" % number) for number in range(count)]
        return [recorder for recorder, _ in made], [upstream["endpoints"][0] for _, upstream in made]

    async def test_theSameKeyGoesToTheSameEndpoint(self) -> None:
        _, addresses = await self.origins_(3)
        keyed = {"type": "direct", "endpoints": addresses}
        node = await self.node(
            "edge",
            users={f"u{number}": {"password": "p"} for number in range(12)},
            assist={"who": {"type": "authentication", "required": False}},
            listeners={"web": {**WEB["web"], "assist": "who"}},
            upstreams={
                "header": {**keyed, "balance": "ring-hash", "hashOn": "header x-key"},
                "cookie": {**keyed, "balance": "maglev", "hashOn": "cookie basket"},
                "user": {**keyed, "balance": "maglev", "hashOn": "user"},
                "round": keyed,
            },
            routes=[{"match": {"path": f"/{name}"}, "to": name} for name in ("header", "cookie", "user", "round")],
        )
        base = f"http://{node.address('web')}"
        for path, argument in (
            ("header", "-Hx-key: {}"),
            ("cookie", "-HCookie: a=b; basket={}; c=d"),
            ("user", "-uu{}:p"),
        ):
            places = []
            for key in range(12):
                text = await self.curl(argument.format(key), "-w", "\n", *[f"{base}/{path}"] * 3)
                got = text.split()
                self.assertEqual(got, got[:1] * 3, (path, key))
                places.append(got[0])
            self.assertGreater(len(set(places)), 1, path)
        text = await self.curl("-w", "\n", *[f"{base}/round"] * 6)
        self.assertEqual(sorted(text.split()), ["0", "0", "1", "1", "2", "2"])

    async def test_outliersAreLeftOutAndHealthIsChecked(self) -> None:
        recorders, addresses = await self.origins_(4)
        zero, _, two, three = recorders
        zero.answer = lambda asked: Answer(500, b"0")
        two.answer = lambda asked: Answer(503 if asked.path == "/ready" else 200, b"2")
        node = await self.node(
            "edge",
            admin={"bind": f"127.0.0.1:{freePort()}"},
            listeners=WEB,
            upstreams={
                "odd": {"type": "direct", "endpoints": addresses[:2], "outlier": {"consecutive": 2, "ejection": "1h"}},
                "checked": {
                    "type": "direct",
                    "endpoints": addresses[2:],
                    "health": {"path": "/ready", "interval": "50ms", "healthy": 1, "unhealthy": 1, "host": "h.example"},
                },
            },
            routes=[{"match": {"path": "/odd"}, "to": "odd"}, {"match": {"path": "/checked"}, "to": "checked"}],
        )
        base = f"http://{node.address('web')}"
        codes = ""
        for _ in range(4):
            codes += await self.curl("-o", "/dev/null", f"{base}/odd", "-w", "%{http_code}\n")
        self.assertEqual(sorted(codes.split()), ["200", "200", "500", "500"])
        text = await self.curl("-w", "\n", *[f"{base}/odd"] * 6)
        self.assertEqual(text.split(), ["1"] * 6)
        await node.said(f"{addresses[0]} failed 2 times in a row")

        await three.count(1)
        await two.count(2)
        self.assertEqual({asked.fields["host"] for asked in two.asked if asked.path == "/ready"}, {"h.example"})
        text = await self.curl("-w", "\n", *[f"{base}/checked"] * 4)
        self.assertEqual(text.split(), ["3"] * 4)
        status = json.loads(await node.ask("/status"))
        states = {
            endpoint["address"]: endpoint["state"] for each in status["upstreams"] for endpoint in each["endpoints"]
        }
        self.assertEqual([states[address] for address in addresses], ["ejected", "up", "unhealthy", "up"])
        metrics = await node.ask("/metrics")
        self.assertIn(f'hermes_upstream_ejected{{endpoint="{addresses[0]}",upstream="odd"}} 1.0', metrics)
        self.assertIn(f'hermes_upstream_unhealthy{{endpoint="{addresses[2]}",upstream="checked"}} 1.0', metrics)

        # It comes back, and the other goes.
        two.answer = lambda asked: Answer(body=b"2")
        three.answer = lambda asked: Answer(503 if asked.path == "/ready" else 200, b"3")
        seen = len(two.asked), len(three.asked)
        await two.count(seen[0] + 3)
        await three.count(seen[1] + 3)
        text = await self.curl("-w", "\n", *[f"{base}/checked"] * 4)
        self.assertEqual(text.split(), ["2"] * 4)
        text = await self.output(*PROGRAM, "status", "--config", str(node.path))
        self.assertRegex(text, rf"{re.escape(addresses[0])}\s.*ejected")
        self.assertRegex(text, rf"{re.escape(addresses[3])}\s.*unhealthy")

    async def test_beyondItsBoundsAnUpstreamRefuses(self) -> None:
        one, upstream = await self.origin()
        node = await self.node(
            "edge",
            listeners=WEB,
            upstreams={
                "few": {**upstream, "limits": {"requests": 2}},
                "queue": {**upstream, "limits": {"connections": 1, "pending": 1}},
                "patient": {**upstream, "limits": {"retries": 0}},
            },
            routes=[
                {"match": {"path": "/few"}, "to": "few"},
                {"match": {"path": "/queue"}, "to": "queue"},
                {"match": {"path": "/patient"}, "to": "patient", "retry": {"on": 503}},
            ],
        )
        one.answer = lambda asked: Answer(body=None)
        for path, arrive in (("/few", 2), ("/queue", 1)):
            one.asked.clear()
            held = [self.start("curl", "-sS", "--noproxy", "*", f"http://{node.address('web')}{path}") for _ in "ab"]
            await one.count(arrive)
            while sum(entry["path"] == path for entry in json.loads(await node.ask("/requests"))) < 2:
                pass
            got = await self.get(node, path)
            self.assertEqual(got.status, 503, path)
            self.assertIn("edge;error=", got.fields["proxy-status"])
            self.assertEqual(len(one.asked), arrive)
            while one.open:
                one.open[0].finish()
                if path == "/queue" and arrive == 1:
                    # The one that waited has the connection now.
                    await one.count(arrive := 2)
            for process in held:
                self.assertEqual(await process.end(), 0, process.output)
        one.answer = failing(1)
        self.assertEqual((await self.get(node, "/few")).status, 503)
        self.assertEqual((await self.get(node, "/few")).body, "at last")
        self.assertEqual((await self.get(node, "/queue")).body, "at last")
        one.answer = failing(1)
        one.asked.clear()
        self.assertEqual(((await self.get(node, "/patient")).status, len(one.asked)), (503, 1))
        metrics = await node.ask("/metrics")
        for name in ("few", "patient"):
            self.assertIn(f'hermes_upstream_refused_total{{upstream="{name}"}} 1.0', metrics)
        self.assertNotIn("Traceback", node.output)
