"""
Tests for L{hermes.routing} and C{hermes explain}.
"""

from __future__ import annotations

from io import StringIO
from textwrap import dedent

from rich.console import Console
from twisted.trial.unittest import SynchronousTestCase

from hermes.cli import main

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
