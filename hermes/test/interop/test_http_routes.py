"""
What routes do to requests, as curl and the servers behind a node see it.
"""

from __future__ import annotations

import json
from typing import Any

from attrs import frozen

from hermes.test.interop.httpnodes import HTTPCase
from hermes.test.interop.local import Local
from hermes.test.interop.processes import Node, proxy
from hermes.test.interop.recorder import Answer, Recorder
from hermes.test.processes import freePort


@frozen
class Got:
    """
    What curl got.

    @ivar fields: as text lines, names in lower case.
    """

    status: int
    fields: dict[str, str]
    body: str


class RouteCase(HTTPCase):
    """
    One node before servers of the test's own.
    """

    def setUp(self) -> None:
        super().setUp()
        self.local = Local(self)

    async def origin(self, body: bytes = b"ok") -> tuple[Recorder, dict[str, Any]]:
        """
        @return: an origin, and an upstream for it.
        """
        recorder = Recorder(body)
        port = await self.local.site(recorder)
        return recorder, {"type": "direct", "endpoints": [f"127.0.0.1:{port}"]}

    async def get(self, node: Node, path: str, *arguments: str, listener: str = "web", host: str = "a.example") -> Got:
        """
        Ask a reverse proxy.
        """
        text = await self.curl("-i", "-H", f"Host: {host}", *arguments, f"http://{node.address(listener)}{path}")
        head, _, body = text.partition("\r\n\r\n")
        lines = head.split("\r\n")
        pairs = [line.split(": ", 1) for line in lines[1:]]
        return Got(int(lines[0].split()[1]), {name.lower(): value for name, value in pairs}, body)


WEB = {"web": {"type": "http", "bind": "127.0.0.1:0"}}


class ActionTests(RouteCase):
    """
    One action after the other, on one node.
    """

    async def test_eachAction(self) -> None:
        one, upstreamOne = await self.origin(b"one")
        two, upstreamTwo = await self.origin(b"two")
        (self.directory / "sorry.html").write_text("<p>sorry</p>")
        node = await self.node(
            "edge",
            listeners=WEB,
            upstreams={"one": upstreamOne, "two": upstreamTwo},
            routes=[
                {"match": {"path": "/split"}, "split": {"one": 3, "two": 1}, "name": "parted"},
                {
                    "match": {"path": "/users/{id}/orders"},
                    "to": "one",
                    "rewrite": {"path": "/orders?of={id}", "host": "{id}.orders.example"},
                },
                {"match": {"path": {"prefix": "/old"}}, "to": "one", "rewrite": {"prefix": "/new"}},
                {
                    "match": {"path": {"regex": r"/v(?P<n>\d+)/.*"}},
                    "to": "one",
                    "rewrite": {"regex": r"^/v(\d+)/", "substitution": r"/api/\1/"},
                    "headers": {"set": {"x-version": "{n}"}},
                },
                {
                    "match": {"path": "/fields"},
                    "to": "one",
                    "headers": {
                        "remove": ["x-secret"],
                        "set": {"x-from": "{source}", "x-host": "{host}", "x-path": "{path}", "x-user": "{user}"},
                        "add": {"x-many": ["b", "c"]},
                    },
                    "responseHeaders": {"remove": "server", "set": {"x-way": "{{here}}"}, "add": {"x-origin": "more"}},
                },
                {"match": {"path": "/sorry"}, "respond": {"status": 503, "file": "sorry.html"}},
                {"match": {"path": "/empty"}, "respond": {"status": 204}},
                {"match": {"path": "/moved/"}, "redirect": {"scheme": "https", "host": "b.example:8443"}},
                {"match": {"path": "/away"}, "redirect": {"to": "https://c.example/x?from={path}", "status": 308}},
                {"match": {"path": "/closed"}, "deny": "not for you", "name": "closed"},
                {"match": {"method": "DELETE"}, "deny": "nothing is deleted"},
                {"match": {"query": {"v": "2"}}, "to": "two"},
                {"match": {"header": {"x-team": {"prefix": "re"}}}, "to": "two"},
                {"match": {"host": "*.two.example"}, "to": "two"},
                {"match": {"host": "one.example"}, "to": "one"},
            ],
        )

        await self.curl(f"http://{node.address('web')}/split?[1-80]")
        # Of 80, 60 are expected: 6 standard deviations are 23.
        self.assertEqual(len(one.asked) + len(two.asked), 80)
        self.assertTrue(37 <= len(one.asked) <= 79, len(one.asked))
        for upstream in ("one", "two"):
            await node.flow(route="parted", upstream=upstream, status=200)

        one.asked.clear()
        await self.get(node, "/users/17/orders?page=2")
        asked = one.asked.pop()
        self.assertEqual((asked.path, asked.fields["host"]), ("/orders?of=17", "17.orders.example"))
        await self.get(node, "/old/x//y?z=%20")
        self.assertEqual(one.asked.pop().path, "/new/x//y?z=%20")
        await self.get(node, "/old")
        self.assertEqual(one.asked.pop().path, "/new")
        await self.get(node, "/v3/x?q=1")
        asked = one.asked.pop()
        self.assertEqual((asked.path, asked.fields["x-version"]), ("/api/3/x?q=1", "3"))

        one.answer = lambda asked: Answer(fields=(("Server", "secret"), ("X-Origin", "first")))
        got = await self.get(node, "/fields?q=1", "-H", "X-Secret: s", "-H", "X-Many: a", "-H", "X-From: forged")
        asked = one.asked.pop()
        self.assertNotIn("x-secret", asked.fields)
        self.assertEqual(asked.fields["x-many"], "a, b, c")
        self.assertEqual(asked.fields["x-from"], "127.0.0.1")
        self.assertEqual((asked.fields["x-host"], asked.fields["x-path"]), ("a.example", "/fields?q=1"))
        self.assertEqual(asked.fields["x-user"], "")
        self.assertNotIn("server", got.fields)
        self.assertEqual((got.fields["x-way"], got.fields["x-origin"]), ("{here}", "more"))

        got = await self.get(node, "/sorry")
        self.assertEqual((got.status, got.body), (503, "<p>sorry</p>"))
        self.assertRegex(got.fields["content-type"], "^text/html")
        got = await self.get(node, "/sorry", "-I")
        self.assertEqual((got.status, got.fields["content-length"], got.body), (503, "12", ""))
        got = await self.get(node, "/empty")
        self.assertEqual((got.status, got.body), (204, ""))
        self.assertNotIn("content-length", got.fields)
        got = await self.get(node, "/moved/x?y=z")
        self.assertEqual((got.status, got.fields["location"]), (302, "https://b.example:8443/moved/x?y=z"))
        got = await self.get(node, "/away")
        self.assertEqual((got.status, got.fields["location"]), (308, "https://c.example/x?from=/away"))
        got = await self.get(node, "/%63losed")
        self.assertEqual((got.status, got.body), (403, "a.example:80 is denied by route closed: not for you\n"))
        self.assertRegex(got.fields["proxy-status"], "^edge;error=http_request_denied")
        entry = await node.flow(route="closed")
        self.assertEqual((entry["status"], entry["error"], entry["tries"]), (403, got.body.strip(), 0))
        self.assertEqual((await self.get(node, "/x", "-X", "DELETE", host="one.example")).status, 403)
        self.assertEqual((await self.get(node, "/x?a=1&v=2", host="one.example")).body, "two")
        self.assertEqual((await self.get(node, "/x?v=3", host="one.example")).body, "ok")
        self.assertEqual((await self.get(node, "/x", "-H", "X-Team: red", host="one.example")).body, "two")
        self.assertEqual((await self.get(node, "/x", host="deep.down.two.example")).body, "two")
        got = await self.get(node, "/x", host="two.example")
        self.assertEqual(got.status, 403)
        self.assertNotIn("Traceback", node.output)


USERS = {"alice": {"password": "wonder"}, "bob": {"password": "build"}}


class WhoTests(RouteCase):
    """
    Who asks decides.
    """

    async def test_byUserAtBothKindsOfListener(self) -> None:
        one, upstreamOne = await self.origin(b"one")
        _, upstreamTwo = await self.origin(b"two")
        node = await self.node(
            "edge",
            users=USERS,
            listeners={"web": {**WEB["web"], "assist": "who"}, "apps": proxy(anonymous=False)},
            assist={"who": {"type": "authentication"}},
            upstreams={"one": upstreamOne, "two": upstreamTwo},
            routes=[
                {"match": {"user": "alice", "protocol": "http"}, "to": "one", "headers": {"set": {"x-user": "{user}"}}},
                {"match": {"host": "*", "path": {"prefix": "/admin"}}, "deny": "for administrators"},
                {"match": {"user": "bob", "host": "*"}, "to": "two"},
            ],
        )
        got = await self.get(node, "/admin")
        self.assertEqual(got.status, 401)
        self.assertRegex(got.fields["www-authenticate"], "^Basic realm=")
        self.assertEqual((await self.get(node, "/admin", "-u", "alice:build")).status, 401)
        got = await self.get(node, "/admin", "-u", "alice:wonder", "-H", "X-User: root", "-H", "User: root")
        self.assertEqual((got.status, got.body), (200, "one"))
        asked = one.asked.pop()
        self.assertEqual(asked.fields["x-user"], "alice")
        self.assertNotIn("user", asked.fields)
        self.assertNotIn("authorization", asked.fields)
        self.assertEqual((await self.get(node, "/admin/x", "-u", "bob:build")).status, 403)
        self.assertEqual((await self.get(node, "/x", "-u", "bob:build")).body, "two")
        await node.flow(event="request", user="bob", status=200, upstream="two")
        await node.flow(event="request", user="alice", path="/admin", upstream="one")

        through = ("--noproxy", "", "-x", f"http://{node.address('apps')}")
        url = "http://a.example/admin"
        self.assertEqual(await self.curl("-o", "/dev/null", "-w", "%{http_code}", *through, url), "407")
        for user, expected in (("alice:wonder", "one200"), ("bob:build", "403"), ("alice:x", "407")):
            text = await self.curl(*through, "-U", user, url, "-w", "%{http_code}")
            self.assertRegex(text, f"{expected}$")
        asked = one.asked.pop()
        self.assertEqual((asked.fields["host"], asked.fields["x-user"]), ("a.example", "alice"))
        self.assertNotIn("proxy-authorization", asked.fields)

    async def test_nobodyIsBelievedWhoIsNoNode(self) -> None:
        one, upstream = await self.origin(b"one")
        node = await self.node(
            "edge",
            listeners=WEB,
            upstreams={"one": upstream},
            routes=[
                {"match": {"path": "/u/{id}"}, "to": "one", "headers": {"set": {"x-id": "{id}"}}},
                {"match": {"host": "*"}, "to": "one"},
            ],
        )
        forged = (
            *("User: root", "Forwarded: for=1.2.3.4", "X-Forwarded-For: 1.2.3.4", "X-Forwarded-Host: evil"),
            *("X-Real-IP: 1.2.3.4", "Hermes-Via: exit", "Hermes-Retries: 9", "Hermes-Deadline: 1", "Hermes-Request: x"),
            *("Hermes-Anything: x", "Connection: X-Hop", "X-Hop: y", "Keep-Alive: 5", "Proxy-Connection: keep-alive"),
            *("Proxy-Authorization: Basic eDp5", "TE: trailers, gzip"),
        )
        got = await self.get(node, "/", *(part for line in forged for part in ("-H", line)))
        self.assertEqual(got.status, 200)
        fields = one.asked.pop().fields
        self.assertRegex(fields.pop("forwarded"), r'^for=127\.0\.0\.1;host="a\.example";proto=http$')
        self.assertEqual(set(fields), {"host", "via", "user-agent", "accept"}, fields)
        one.answer = lambda asked: Answer(
            fields=(("Hermes-Retries-Spent", "3"), ("Proxy-Authenticate", "Basic"), ("Hermes-X", "y"))
        )
        got = await self.get(node, "/")
        self.assertEqual([name for name in got.fields if name.startswith(("hermes", "proxy-auth"))], [])

        for path in ("/u/a%0d%0aX-Evil:%20b", "/u/a%0aX-Evil:%20b", "/u/%00"):
            one.asked.clear()
            got = await self.get(node, path)
            for asked in one.asked:
                self.assertNotIn("x-evil", asked.fields)
                self.assertNotIn("\n", asked.fields["x-id"])


class MirrorTests(RouteCase):
    """
    Copies.
    """

    async def test_aCopyChangesNothingForTheClient(self) -> None:
        one, upstreamOne = await self.origin(b"one")
        two, upstreamTwo = await self.origin(b"two")
        dead = {"type": "direct", "endpoints": [f"127.0.0.1:{freePort()}"]}
        node = await self.node(
            "edge",
            listeners=WEB,
            upstreams={"one": upstreamOne, "two": upstreamTwo, "dead": dead},
            routes=[
                {"match": {"path": "/nowhere"}, "to": "one", "mirror": {"to": "dead"}},
                {"match": {"path": "/never"}, "to": "one", "mirror": {"to": "two", "share": 0}},
                {"match": {"host": "*"}, "to": "one", "mirror": {"to": "two"}, "headers": {"set": {"x-a": "b"}}},
            ],
        )
        two.answer = lambda asked: Answer(500, b"broken")
        body = self.directory / "body"
        for size in (0, 10, 200_000):
            body.write_bytes(bytes(size))
            got = await self.get(node, "/x?y", "--data-binary", f"@{body}", "-H", "Expect:")
            self.assertEqual((got.status, got.body), (200, "one"))
            await two.count(1)
            asked, copy = one.asked.pop(), two.asked.pop()
            self.assertEqual((copy.method, copy.path, copy.body), (asked.method, asked.path, asked.body))
            self.assertEqual(len(copy.body), size)
            self.assertEqual((copy.fields["host"], copy.fields["x-a"]), ("a.example", "b"))
        for path in ("/nowhere", "/never"):
            got = await self.get(node, path, "-d", "x")
            self.assertEqual((got.status, got.body), (200, "one"))
        # One that is never answered holds up nobody.
        two.answer = lambda asked: Answer(body=None)
        for _ in range(3):
            self.assertEqual((await self.get(node, "/x")).body, "one")
        await two.count(3)
        self.assertEqual(json.loads(await node.ask("/requests")), [])
        self.assertNotIn("/never", [asked.path for asked in two.asked])
        entries = [await node.flow(path=path) for path in ("/x?y", "/nowhere")]
        self.assertEqual({(entry["upstream"], entry["tries"], entry["status"]) for entry in entries}, {("one", 1, 200)})
        self.assertNotIn("Traceback", node.output)
