"""
Tests for C{hermes route get}.
"""

from __future__ import annotations

from io import StringIO
from pathlib import Path

from rich.console import Console
from twisted.trial.unittest import SynchronousTestCase

from hermes.cli import main

NODE = """
node: edge
users: {alice: {password: wonderland}}
listeners:
  overlay: {type: tunnel, bind: 127.0.0.1:0, tls: false}
  lan: {type: tun, device: hermes0, address: 10.0.0.1/24}
upstreams:
  site: {type: masque, endpoints: [127.0.0.1:1]}
routes:
  - {match: {protocol: ip, target: 10.0.0.0/8}, via: [site]}
  - {match: {protocol: ip, user: alice, target: "10.1.0.0/16:3306", transport: tcp}, to: lan, name: mysql}
  - {match: {protocol: ip, target: 192.168.0.0/16}, deny: private, silent: true}
  - {match: {any: true}}
"""


class RouteCommandTests(SynchronousTestCase):
    """
    Where a packet goes, by a file.
    """

    def setUp(self) -> None:
        self.path = Path(self.mktemp())
        self.path.write_text(NODE)

    def route(self, *words: str) -> tuple[int, list[str]]:
        """
        Exit status and lines.
        """
        out = StringIO()
        status = main(["route", "get", *words], Console(file=out, width=160))
        return status, out.getvalue().splitlines()

    def test_itSaysWhichRouteDecidesAndWhy(self) -> None:
        """
        The longest prefix, and what the packet must be for it.
        """
        status, lines = self.route("10.1.2.3", "--user", "alice", "--port", "3306", "-c", str(self.path))
        self.assertEqual((status, lines[0]), (0, "tcp from 0.0.0.0 to 10.1.2.3 port 3306"))
        self.assertEqual(lines[1], "route mysql: matches: to the device lan")
        self.assertEqual(lines[-1], "=> to the device lan")
        status, lines = self.route("10.1.2.3", "-c", str(self.path))
        self.assertEqual((status, lines[-1]), (0, "=> via site"))

    def test_aPacketThatDoesNotGetOnIsAFailure(self) -> None:
        """
        Denied, or taken by no route: those of connections are none.
        """
        status, lines = self.route("192.168.1.1", "-c", str(self.path))
        self.assertEqual((status, lines[-1]), (1, "=> dropped: private"))
        status, lines = self.route("8.8.8.8", "-c", str(self.path))
        self.assertEqual((status, lines[-1]), (1, "=> refused: no route takes it"))

    def test_whatIsNoPacketIsAWrongCall(self) -> None:
        """
        With a sentence.
        """
        for words, said in (
            (("db.hermes",), "'db.hermes' does not appear to be an IPv4 or IPv6 address"),
            (("10.0.0.1", "--port", "0"), "'0' is not a port"),
            (("10.0.0.1", "--source", "fd00::1"), "are of different versions of IP"),
            (("10.0.0.1", "--transport", "tpc"), "'tpc' is not an IP protocol"),
        ):
            status, lines = self.route(*words, "-c", str(self.path))
            self.assertEqual(status, 2)
            self.assertIn(said, lines[0])

    def test_aNodeThatDoesNotRunIsTold(self) -> None:
        """
        With exit status 1.
        """
        status, lines = self.route("10.0.0.1", "--admin", "unix:/nowhere")
        self.assertEqual((status, lines[0][:44]), (1, "no node answers at unix:/nowhere: [Errno 2] "))
