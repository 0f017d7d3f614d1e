"""
Tests for L{hermes.control.operator.api}, and that it is as L{hermes.control.operator.openapi} says.
"""

from __future__ import annotations

import json
from typing import Any

from prometheus_client.parser import text_string_to_metric_families
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from hermes.control.operator.openapi import OPERATIONS, openapi
from hermes.control.operator.redacting import redacted
from hermes.test.control.operator.asking import Answered, ask
from hermes.test.control.operator.running import DOCUMENT, TOKEN, ControllerCase
from hermes.test.docs.pages import DOCS, MISSING

BEARER = {"authorization": f"Bearer {TOKEN}"}
YAML = {"content-type": "application/yaml", **BEARER}


class APICase(ControllerCase):
    """
    Asks as over TLS.
    """

    def setUp(self) -> Any:
        starting = super().setUp()
        self.port = self.onPort()
        return starting

    def ask(
        self, method: str, path: str, body: str | None = None, headers: dict[str, str] | None = None
    ) -> Deferred[Answered]:
        """
        Ask C{/api/v1}.
        """
        sent = None if body is None else body.encode()
        return self.inThread(ask, self.port, method, f"/api/v1/{path}", sent, headers)


class DescriptionTests(APICase):
    """
    The description and the interface are the same.
    """

    async def test_everyOperationOfTheDescriptionIsThereAndNoOther(self) -> None:
        site: Any = self.interface.remote()
        api = site.resource.children[b"api"].children[b"v1"]
        described = set()
        for method, path, _, _, changes, _ in OPERATIONS:
            pattern = tuple("*" if part.startswith("{") else part for part in path.strip("/").split("/"))
            described.add((method.upper(), pattern, changes))
        served = {(method, pattern, changes) for (method, pattern), (_, changes) in api.calls.items()}
        self.assertEqual(described, served)

    async def test_whatNeedsATokenIsRefusedWithoutOne(self) -> None:
        await self.applied()
        for method, path, _, _, changes, _ in OPERATIONS:
            real = path.replace("{node}", "edge").replace("{number}", "1").strip("/")
            query = "?destination=db.hermes:3306" if path == "/explain" else ""
            found = await self.ask(method.upper(), real + query)
            self.assertEqual((path, found.status), (path, 401 if changes else 200))
            if changes:
                self.assertEqual(found.headers["www-authenticate"], "Bearer")
                self.assertEqual(found.json, {"error": "this needs an operator's token"})
        self.assertEqual(self.store.state.current, 1)
        self.assertEqual(self.enrolment.shutOut, [])

    async def test_theDescriptionIsServed(self) -> None:
        found = await self.ask("GET", "openapi.json")
        self.assertEqual(found.json, json.loads(json.dumps(openapi())))
        self.assertEqual(found.json["openapi"], "3.1.0")

    async def test_everyStatusThatComesIsDescribed(self) -> None:
        paths = openapi()["paths"]
        for method, path, body, status in (
            ("POST", "apply", "nodes: [", 422),
            ("POST", "rollback/7", "", 404),
            ("POST", "diff", "x" * (17 << 20), 413),
            ("POST", "nodes/nobody/drain", "", 404),
            ("POST", "nodes/edge/drain?timeout=x", "", 400),
            ("POST", "apply?expect=7", DOCUMENT, 409),
        ):
            found = await self.ask(method, path, body, YAML)
            self.assertEqual((path, found.status), (path, status))
            name = "/" + path.partition("?")[0]
            name = name.replace("/7", "/{number}").replace("nobody", "{node}").replace("edge", "{node}")
            self.assertIn(str(status), paths[name][method.lower()]["responses"])


class CallTests(APICase):
    """
    What comes of calls.
    """

    async def test_aChangeIsFollowedLineByLine(self) -> None:
        found = await self.ask("POST", "apply?comment=first", DOCUMENT, YAML | {"accept": "application/x-ndjson"})
        self.assertEqual(found.headers["content-type"], "application/x-ndjson")
        lines = [json.loads(line) for line in found.text.splitlines()]
        self.assertEqual(lines[0], {"progress": {"step": "validate", "node": "", "text": "", "done": 0, "total": 0}})
        self.assertEqual(lines[-1]["outcome"]["result"], "committed")
        entry = (await self.audited())[0]
        self.assertEqual((entry.actor, entry.origin), ("ops", "127.0.0.1"))

    async def test_aChangeThatFailsSaysWithWhichStatusInItsLastLine(self) -> None:
        headers = YAML | {"accept": "application/x-ndjson"}
        found = await self.ask("POST", "apply", "overlay: [", headers)
        self.assertEqual(found.status, 200)
        self.assertEqual(json.loads(found.text.splitlines()[-1])["status"], 422)

    async def test_withoutLinesTheOutcomeIsTheAnswer(self) -> None:
        found = await self.ask("POST", "apply", DOCUMENT, YAML)
        self.assertEqual((found.status, found.json["result"], found.json["number"]), (200, "committed", 1))

    async def test_secondChangesAreBusyAndOneCanBeCancelled(self) -> None:
        first = self.ask("POST", "apply", DOCUMENT, YAML)
        while self.store.state.versions.get(1) is None or self.store.state.versions[1].phase != "trial":
            await self.inThread(lambda: None)
        second = await self.ask("POST", "apply", DOCUMENT, YAML)
        self.assertEqual(second.status, 409)
        cancelled = (await self.ask("POST", "cancel", "", BEARER)).json
        outcome = (await first).json
        self.assertEqual((outcome["result"], outcome["reasons"][0]["step"]), ("aborted", "abort"))
        self.assertEqual(cancelled, {"cancelled": True, "outcome": outcome})
        again = await self.ask("POST", "cancel", "", BEARER)
        self.assertEqual((again.status, again.json), (200, {"cancelled": False, "outcome": None}))

    async def test_withoutATokenNoPasswordIsSeen(self) -> None:
        await self.applied()
        found = await self.ask("GET", "versions/1")
        self.assertEqual(found.status, 200)
        self.assertNotIn("wonderland", found.text)
        self.assertNotIn("hush", found.text)
        self.assertIn("db.hermes", found.json["document"])
        found = await self.ask("GET", "versions/1", headers=BEARER)
        self.assertEqual(found.json["document"], DOCUMENT)

    async def test_wrongPathsAndMethods(self) -> None:
        self.assertEqual((await self.ask("GET", "nothing")).status, 404)
        found = await self.ask("DELETE", "versions/1", headers=BEARER)
        self.assertEqual((found.status, found.headers["allow"]), (405, "GET"))
        self.assertEqual((await self.ask("GET", "versions?limit=-1")).status, 400)
        self.assertEqual((await self.ask("GET", "versions/x")).status, 404)
        self.assertEqual((await self.ask("GET", "explain")).status, 400)

    async def test_theGraphHasNodesLinksAndTheirState(self) -> None:
        await self.applied()
        found = (await self.ask("GET", "graph")).json
        self.assertEqual([node["name"] for node in found["nodes"]], ["edge", "gateway", "relay"])
        link = found["links"][0]
        self.assertEqual((link["between"], link["weight"], link["state"]), (["edge", "gateway"], 50, "idle"))

    async def test_logsAndStatusOfANode(self) -> None:
        self.statuses["edge"] = lambda: {"uptimeSeconds": 5.0}
        found = await self.ask("GET", "nodes/edge", headers=BEARER)
        self.assertEqual(found.json, {"node": "edge", "uptimeSeconds": 5.0})
        found = await self.ask("GET", "nodes/edge/logs?count=3", headers=BEARER)
        self.assertEqual(found.status, 200)
        self.assertIsInstance(found.json["lines"], list)

    async def test_metrics(self) -> None:
        await self.ask("POST", "apply", DOCUMENT, YAML)
        self.nodes["relay"].kill()
        found = await self.inThread(ask, self.port, "GET", "/metrics")
        values = {
            (sample.name, *sample.labels.values()): sample.value
            for family in text_string_to_metric_families(found.text)
            for sample in family.samples
        }
        self.assertEqual(values["hermes_controller_version",], 1)
        self.assertEqual(values["hermes_controller_nodes", "connected"], 2)
        self.assertEqual(values["hermes_controller_nodes", "current"], 2)
        self.assertEqual(values["hermes_controller_nodes", "all"], 3)
        self.assertEqual(values["hermes_controller_changes_total", "committed"], 1)
        self.assertEqual(values["hermes_controller_changes_total", "aborted"], 0)
        self.assertEqual(values["hermes_controller_api_calls_total", "POST", "apply", "200"], 1)
        self.assertEqual(values["hermes_controller_audit_entries",], 1)
        self.assertEqual(values["hermes_controller_leading",], 1)


class AccessTests(APICase):
    """
    Who may what.
    """

    async def test_wrongTokensAreRefusedAndNotWithoutEnd(self) -> None:
        wrong = {"authorization": "Bearer wrong"}
        self.patch(self, "pass_", lambda: None)
        for _ in range(10):
            found = await self.ask("GET", "openapi.json", headers=wrong)
            self.assertEqual((found.status, found.json["error"]), (401, "the token is wrong"))
        found = await self.ask("GET", "openapi.json", headers=wrong)
        self.assertEqual(found.status, 429)
        self.assertGreaterEqual(int(found.headers["retry-after"]), 1)
        # The right one is not looked at any more, or guesses would go on; without any, all is as for others.
        self.assertEqual((await self.ask("POST", "cancel", "", BEARER)).status, 429)
        self.assertEqual((await self.ask("GET", "openapi.json")).status, 200)
        self.clock.advance(60)
        self.assertEqual((await self.ask("POST", "cancel", "", BEARER)).status, 200)

    async def test_questionsWithoutATokenAreNotAnsweredWithoutEnd(self) -> None:
        await self.applied()
        self.patch(self, "pass_", lambda: None)
        self.patch(self.controller, "explain", lambda question, at: _nothing())
        statuses = [(await self.ask("GET", "explain?destination=a:1")).status for _ in range(21)]
        self.assertEqual(statuses, [200] * 20 + [429])
        self.assertEqual((await self.ask("GET", "explain?destination=a:1", headers=BEARER)).status, 200)

    async def test_whoHasNoTokenSendsLittle(self) -> None:
        found = await self.ask("POST", "apply", "x" * 20_000)
        self.assertEqual(found.status, 401)
        chunks = iter([b"x" * 10_000] * 3)
        found = await self.inThread(ask, self.port, "POST", "/login", chunks)
        self.assertEqual(found.status, 400)
        self.assertIn("that is too long", found.text)

    async def test_aFormOfAnotherPageIsNoDocument(self) -> None:
        part = '--x\r\nContent-Disposition: form-data; name="a"\r\n\r\nb\r\n--x--\r\n'
        for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
            found = await self.ask("POST", "cancel", part, BEARER | {"content-type": kind})
            self.assertEqual(found.status, 415)

    async def test_headersKeepBrowsersFromDoingHarm(self) -> None:
        for path in ("/", "/api/v1/status", "/nothing", "/style.css", "/metrics"):
            found = await self.inThread(ask, self.port, "GET", path)
            policy = found.headers["content-security-policy"]
            self.assertIn("default-src 'none'", policy)
            self.assertIn("frame-ancestors 'none'", policy)
            self.assertNotIn("unsafe", policy)
            self.assertEqual(found.headers["x-content-type-options"], "nosniff")
            self.assertEqual(found.headers["x-frame-options"], "DENY")
            self.assertEqual(found.headers["referrer-policy"], "no-referrer")
            self.assertNotIn("twisted", found.headers["server"].lower())

    async def test_aBrowserAtTheUnixSocketIsBelievedOnlyOnOurOwnPage(self) -> None:
        from hermes.test.control.operator.running import reactor

        port = reactor.listenTCP(0, self.interface.local(), interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        number = port.getHost().port
        own = f"localhost:{number}"
        for headers, status in (
            ({}, 200),
            ({"origin": "https://evil.example"}, 401),
            ({"origin": f"http://{own}", "host": own}, 200),
            ({"sec-fetch-site": "cross-site"}, 401),
            ({"sec-fetch-site": "same-origin", "host": own}, 200),
            # Somebody's name that resolves to this machine.
            ({"origin": "http://evil.example", "host": "evil.example"}, 401),
            ({"origin": "null"}, 401),
        ):
            found = await self.inThread(ask, number, "POST", "/api/v1/cancel", b"", headers)
            self.assertEqual((headers, found.status), (headers, status))


async def _answered() -> dict[str, Any]:
    return {}


def _nothing() -> Deferred[dict[str, Any]]:
    return Deferred.fromCoroutine(_answered())


class RedactingTests(SynchronousTestCase):
    """
    L{redacted}.
    """

    def test_whateverIsCalledASecretIsHidden(self) -> None:
        text = redacted(
            "users: {a: {password: pw-one, groups: [x]}, b: {token: {file: pw-two}}}\n"
            "# pw-three\n"
            "nodes: {a: {tracing: {headers: {authorization: pw-four}}, assist: {j: {secret: pw-five}}}}\n"
            "other: &x pw-six\nnodes2: {a: {apiKey: *x}}\n"
        )
        for secret in ("one", "two", "three", "four", "five"):
            self.assertNotIn(f"pw-{secret}", text)
        self.assertIn("groups:", text)

    def test_whatIsNoYAMLIsNotShown(self) -> None:
        self.assertNotIn("secret", redacted("a: [secret"))


class PageOfTheReferenceTests(SynchronousTestCase):
    """
    The reference names every call and every metric.
    """

    skip = MISSING

    def test_everyCallIsThere(self) -> None:
        text = (DOCS / "reference" / "controller-api.md").read_text()
        for method, path, _, parameters, changes, _ in OPERATIONS:
            name = path.replace("{node}", "NODE").replace("{number}", "N")
            query = "&".join(f"{each['name']}=" for each in parameters if each["in"] == "query")
            call = f"`{method.upper()} {name}{'?' if query else ''}{query}`"
            line = next((line for line in text.splitlines() if call in line), "")
            self.assertEqual((call, line.endswith("| needed |")), (call, changes))
            self.assertTrue(line, call)
