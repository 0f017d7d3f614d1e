"""
Tests for L{hermes.routing} and C{hermes explain}.
"""

from __future__ import annotations

import os
from io import StringIO
from textwrap import dedent

from attrs import evolve
from rich.console import Console
from twisted.trial.unittest import SynchronousTestCase

from hermes.cli import main
from hermes.config import loadNodeText
from hermes.fabric.router import Router
from hermes.http.actions import HeaderChanges, Respond
from hermes.matching import Criterion, Match, ValuePattern
from hermes.routing import makeRouter
from hermes.values import Flow, Target

NODE = """\
node: edge
upstreams:
  relay: {type: masque, endpoints: "relay.example:8443"}
  exit: {type: masque, endpoints: "exit.example:8443"}
  db: {type: direct, endpoints: [10.1.0.5:3306, 10.1.0.6:3306]}
users: {alice: {token: x}}
routes:
  - {match: {user: alice, target: 10.0.0.0/8}, name: office, to: relay}
  - {match: {target: db.hermes}, to: db}
  - {match: {target: "*.onion", protocol: tcp}, via: [relay, exit], nested: true}
  - {match: {target: ":25"}, deny: no mail}
  - {match: {any: true}}
  - {match: {source: 192.0.2.0/24}, to: db}
"""


WEB = """\
node: edge
listeners: {web: {type: proxy, bind: "127.0.0.1:8080"}}
upstreams:
  relay: {type: masque, endpoints: "relay.example:8443"}
  v1: {type: direct, endpoints: [10.1.0.1:80]}
  v2: {type: direct, endpoints: [10.1.0.2:80, 10.1.0.3:80]}
users: {alice: {token: x}}
routes:
  - {match: {path: /admin/, user: alice}, name: admin, to: v1, headers: {set: {x-user: "{user}"}, remove: cookie}}
  - {match: {path: /admin/}, deny: for administrators}
  - {match: {path: "/users/{id}/", method: GET}, to: v1, rewrite: {path: "/u?id={id}", host: "v1.internal:8080"}}
  - {match: {host: old.example}, redirect: {scheme: https, host: new.example}}
  - {match: {path: /health}, respond: {status: 204}}
  - {match: {header: {x-beta: true}}, split: {v1: 9, v2: 1}, mirror: {to: v2, share: 0.5}}
  - {match: {method: CONNECT}, via: relay}
"""


class ExplainTests(SynchronousTestCase):
    """
    What an operator is told of a flow.
    """

    def explain(self, *arguments: str, text: str = NODE) -> tuple[int, list[str]]:
        """
        The exit status and the lines.
        """
        path: str = self.mktemp()
        with open(path, "w", encoding="utf-8") as file:
            file.write(dedent(text))
        output = StringIO()
        status = main(["explain", path, *arguments], Console(file=output, width=160))
        return status, output.getvalue().splitlines()

    def test_itSaysWhichRouteTakesItAndWhyThoseBeforeDoNot(self) -> None:
        status, lines = self.explain("tcp", "db.hermes:3306", "--user", "alice", "--source", "192.0.2.7")
        self.assertEqual(status, 0)
        self.assertEqual(
            lines,
            [
                "route office: does not match: target is db.hermes:3306, not 10.0.0.0/8",
                "route 1: matches: to db",
                "route 2: does not match: target is db.hermes:3306, not *.onion",
                "route 3: does not match: target is db.hermes:3306, not :25",
                "route 4: would match, but is not reached",
                "route 5: would match, but is not reached",
                "=> from here to one of 10.1.0.5:3306, 10.1.0.6:3306 (upstream db, round-robin); special-purpose "
                "addresses are allowed",
            ],
        )

    def test_itSaysHowAChainIsBuilt(self) -> None:
        self.assertEqual(
            self.explain("tcp", "x.onion:80")[1][-1],
            "=> through relay > exit, each tunnel inside the one before, to x.onion:80",
        )
        self.assertEqual(
            self.explain("udp", "10.2.3.4:53", "--user", "alice")[1][-1], "=> through relay, to 10.2.3.4:53"
        )

    def test_itSaysThatPrivateAddressesAreRefused(self) -> None:
        self.assertEqual(
            self.explain("tcp", "web.example:80")[1][-1],
            "=> from here to web.example:80; special-purpose addresses are refused",
        )

    def test_aFlowThatIsDeniedFails(self) -> None:
        status, lines = self.explain("tcp", "mail.example:25")
        self.assertEqual(status, 1)
        self.assertEqual(lines[-1], "=> mail.example:25 is denied by route 3: no mail")
        status, lines = self.explain("tcp", "mail.example:25", text="node: n\n")
        self.assertEqual((status, lines[-1]), (1, "=> no route takes tcp to mail.example:25 from -"))

    def test_namesThatTheNodeDoesNotHaveAreNoted(self) -> None:
        lines = self.explain("tcp", "a.example:1", "--listener", "lan", "--user", "bob")[1]
        self.assertEqual(lines[0], "note: this node has no listener called 'lan'")
        self.assertEqual(lines[1], "note: this node has no user called 'bob'")

    def test_aFlowThatIsNoneIsAWrongCall(self) -> None:
        self.assertEqual(self.explain("tcp", "db"), (2, ["hermes explain: 'db' names no port: write HOST:PORT"]))
        self.assertEqual(self.explain("tcp", "db:1", "--source", "here")[0], 2)

    def web(self, *arguments: str) -> tuple[int, list[str]]:
        """
        The same for requests.
        """
        return self.explain(*arguments, text=WEB)

    def test_itSaysWhichRouteTakesARequestAndWhatBecomesOfIt(self) -> None:
        status, lines = self.web("GET", "https://web.example/users/7/x?y=1", "-H", "X-Beta: 1", "--listener", "web")
        self.assertEqual(status, 0)
        self.assertEqual(
            lines,
            [
                "route admin: does not match: user is nobody, not alice",
                "route 1: does not match: path is /users/7/x, not /admin/",
                "route 2: matches: to v1",
                "route 3: does not match: host is web.example, not old.example",
                "route 4: does not match: path is /users/7/x, not /health",
                "route 5: would match, but is not reached",
                "route 6: does not match: method is GET, not CONNECT",
                "=> from here to 10.1.0.1:80 (upstream v1); special-purpose addresses are allowed; "
                "as GET https://v1.internal:8080/u?id=7",
            ],
        )

    def test_itSaysWhichFieldsChange(self) -> None:
        _, lines = self.web("GET", "http://x/admin/", "--user", "alice", "-H", "Cookie: a", "-H", "accept: b")
        self.assertEqual(
            lines[-1],
            "=> from here to 10.1.0.1:80 (upstream v1); special-purpose addresses are allowed; "
            "without cookie: a; with x-user: alice",
        )

    def test_itSaysWhatIsAnsweredFromHere(self) -> None:
        self.assertEqual(
            self.web("get", "http://old.example:81/a?b")[1][-1],
            "=> redirected with status 302, to https://new.example/a?b",
        )
        status, lines = self.web("get", "http://x/health")
        self.assertEqual((status, lines[-1]), (0, "=> answered from here with status 204"))
        self.assertEqual(lines[4], "route 4: matches: answered from here with status 204")

    def test_itSaysHowRequestsAreSplitAndCopied(self) -> None:
        lines = self.web("GET", "http://x/", "-H", "x-beta: yes")[1]
        self.assertEqual(lines[5], "route 5: matches: to v1 (9) or v2 (1)")
        self.assertEqual(
            lines[-1],
            "=> from here to 10.1.0.1:80 (upstream v1); special-purpose addresses are allowed (9); or "
            "from here to one of 10.1.0.2:80, 10.1.0.3:80 (upstream v2, round-robin); special-purpose addresses are "
            "allowed (1); 50% copied to v2",
        )

    def test_aWebSocketIsOne(self) -> None:
        lines = self.web("GET", "ws://chat.example/room")[1]
        self.assertEqual(lines[-1], "=> through relay, to chat.example:80")

    def test_aRequestThatIsDeniedOrRefusedFails(self) -> None:
        status, lines = self.web("GET", "http://x/%61dmin/")
        self.assertEqual((status, lines[-1]), (1, "=> x:80 is denied by route 1: for administrators"))
        status, lines = self.web("GET", "http://x/a%2f../admin/")
        self.assertEqual(status, 1)
        self.assertTrue(lines[1].startswith("route 1: the request is refused: the path is read in more than one way"))
        self.assertTrue(lines[-1].startswith("=> the path is read in more than one way"))

    def test_aRequestThatIsNoneIsAWrongCall(self) -> None:
        self.assertEqual(
            self.web("GET", "x.example/"),
            (2, ["hermes explain: 'x.example/' is not a URL: write http://HOST/PATH or https://HOST/PATH"]),
        )
        self.assertEqual(self.web("GET", "http:///a")[0], 2)
        self.assertEqual(self.web("GET", "ftp://x/a")[0], 2)
        self.assertEqual(self.web("G T", "http://x/a")[0], 2)
        self.assertEqual(self.web("GET", "http://x/a", "-H", "novalue")[0], 2)
        self.assertEqual(self.web("tcp", "x:1", "-H", "a: b")[0], 2)

    def test_connectIsAFlow(self) -> None:
        self.assertEqual(self.web("CONNECT", "x:1")[1][0], "route admin: does not match: user is nobody, not alice")
        self.assertEqual(self.web("CONNECT", "x:1")[1][-1], "=> no route takes tcp to x:1 from -")


class MakingTests(SynchronousTestCase):
    """
    From the configuration to the router.
    """

    def load(self, routes: str) -> Router:
        """
        The router of some routes.
        """
        directory = self.mktemp()
        os.mkdir(directory)
        with open(os.path.join(directory, "sorry.html"), "wb") as file:
            file.write(b"<p>sorry")
        text = (
            "node: edge\nupstreams:\n  v1: {type: direct, endpoints: [10.1.0.1:80]}\n"
            f"  asked: {{type: direct}}\nroutes:\n{routes}\n"
        )
        return makeRouter(loadNodeText(text, "edge.yaml", directory, {}, {}))

    def test_everythingInAMatchIsTaken(self) -> None:
        router = self.load(
            "  - match: {host: [a.example, '*.b.example'], path: [/x/, {prefix: /y}], method: [get, POST],\n"
            "      protocol: http, header: {X-A: [b, {prefix: c}], x-c: false},\n"
            "      query: {'f[x]': 1, g: true}, source: 10.0.0.0/8}"
        )
        self.assertEqual(
            router.routes[0].match,
            evolve(
                Match.fromTexts(
                    hosts=["a.example", "*.b.example"],
                    paths=["/x/", {"prefix": "/y"}],
                    methods=["GET", "POST"],
                    protocols=["http"],
                    sources=["10.0.0.0/8"],
                    query={"f[x]": "1", "g": True},
                ),
                headers=(
                    Criterion(b"x-a", (ValuePattern("exact", "b"), ValuePattern("prefix", "c"))),
                    Criterion(b"x-c", (ValuePattern("absent"),)),
                ),
            ),
        )

    def test_anAnswerHasItsBodyAndItsType(self) -> None:
        router = self.load(
            "  - {match: {path: /a}, respond: {status: 503, file: sorry.html, headers: {Retry-After: '60'}}}\n"
            "  - {match: {path: /b}, respond: {body: héllo}}\n"
            "  - {match: {path: /c}, respond: {body: '{}', headers: {Content-Type: application/json}}}"
        )
        answers = [route.actions.respond for route in router.routes]
        self.assertEqual(
            answers,
            [
                Respond(503, b"<p>sorry", ((b"retry-after", b"60"), (b"content-type", b"text/html"))),
                Respond(200, "héllo".encode(), ((b"content-type", b"text/plain; charset=utf-8"),)),
                Respond(200, b"{}", ((b"content-type", b"application/json"),)),
            ],
        )

    def test_aRouteThatDoesNothingToRequestsHasNoActions(self) -> None:
        router = self.load("  - {match: {path: /a}, to: v1}\n  - {match: {path: /a}, headers: {remove: [cookie, X-Y]}}")
        self.assertIsNone(router.routes[0].actions)
        self.assertEqual(router.routes[1].actions.headers, HeaderChanges(remove=frozenset((b"cookie", b"x-y"))))

    def test_whatAnswersInPlaceOfAnUpstreamTakesNoFlows(self) -> None:
        router = self.load("  - {match: {protocol: http}, split: {v1: 1}}\n  - {match: {any: true}, to: v1}")
        self.assertEqual([True, False], [route.requestsOnly for route in router.routes])
        self.assertEqual("1", router.decide(Flow("http", Target("x", 80))).route.name)
