"""
Tests for L{hermes.cli} and L{hermes.commands}.
"""

from __future__ import annotations

import os
import sys
from io import StringIO
from textwrap import dedent

from rich.console import Console
from twisted.trial.unittest import SynchronousTestCase

import hermes
from hermes.cli import commands, main


class CommandTests(SynchronousTestCase):
    """
    What an operator sees.
    """

    def setUp(self) -> None:
        self.status: int | None = None

    def run_(self, *arguments: str) -> str:
        """
        Run C{hermes}, keep its exit status, return what it printed.
        """
        output = StringIO()
        self.status = main(arguments, Console(file=output, width=160, highlight=False))
        return output.getvalue()

    def file(self, text: str) -> str:
        """
        A file with some text.
        """
        path: str = self.mktemp()
        with open(path, "w", encoding="utf-8") as file:
            file.write(dedent(text))
        return path

    def usage(self, *arguments: str) -> tuple[int, str]:
        """
        The status and the words that C{hermes} exits with where it is called wrongly.
        """
        words = StringIO()
        self.patch(sys, "stderr", words)
        with self.assertRaises(SystemExit) as caught:
            main(arguments)
        return int(str(caught.exception.code)), words.getvalue()

    def test_everyCommandSaysWhatItDoes(self) -> None:
        for name, command in commands().items():
            self.assertTrue(command.SUMMARY, name)
            self.assertTrue(command.run.__doc__, name)

    def test_checkSaysWhatARightFileSays(self) -> None:
        path = self.file(
            """\
            node: edge
            upstreams:
              relay: {type: masque, endpoints: relay.example:8443, password: s3cret, user: me}
              db: {type: direct, endpoints: [10.1.0.5:3306, 10.1.0.6:3306], balance: least-request}
            routes:
              - {match: {target: db.hermes, protocol: [tcp, udp]}, to: db, via: [relay]}
              - {match: {any: true}, deny: closed}
            """
        )
        output = self.run_("check", path)
        self.assertEqual(self.status, 0)
        lines = [" ".join(line.split()) for line in output.splitlines()]
        self.assertIn(f"OK {path}: node edge", lines)
        self.assertIn("relay masque relay.example:8443 user me", lines)
        self.assertIn("db direct 10.1.0.5:3306, 10.1.0.6:3306 balance least-request", lines)
        self.assertIn("0 target db.hermes and protocol tcp | udp to db via relay", lines)
        self.assertIn("1 any deny: closed", lines)
        self.assertNotIn("s3cret", output)

    def test_checkSaysOfAListenerWhatIsNotAsUsual(self) -> None:
        """
        In the file's words.
        """
        output = self.run_(
            "check",
            self.file(
                """\
                node: edge
                listeners:
                  apps: {type: tcp, bind: '127.0.0.1:3306', target: 'db.hermes:3306'}
                  web: {type: http, bind: '127.0.0.1:8080', limits: {streams: 7}}
                  plain: {type: http, bind: '127.0.0.1:8081'}
                  names:
                    type: ndn
                    bind: ['tcp:127.0.0.1:6363', 'ws:127.0.0.1:9696']
                    faces: {far: {to: 'udp:far.hermes:6363', reliability: true}}
                """
            ),
        )
        lines = [" ".join(line.split()) for line in output.splitlines()]
        for line in (
            "apps tcp 127.0.0.1:3306 target db.hermes:3306",
            "web http 127.0.0.1:8080 limits (streams 7)",
            "plain http 127.0.0.1:8081",
            "names ndn tcp:127.0.0.1:6363, ws:127.0.0.1:9696 faces (far (to udp:far.hermes:6363, reliability true))",
        ):
            self.assertIn(line, lines)

    def test_checkIsQuietWhenAsked(self) -> None:
        self.assertEqual(self.run_("check", "--quiet", self.file("node: edge\n")), "")
        self.assertEqual(self.status, 0)

    def test_checkSaysWhatIsWrongAndFails(self) -> None:
        path = self.file("node: edge\nworkers: 0\ndrian: 5\n")
        self.assertEqual(
            self.run_("check", path).splitlines(),
            [
                f"{path}:2:10: workers: 0 workers: between 1 and 256 can be run",
                f"{path}:3:1: drian: unknown key; did you mean 'drain'?",
                f"{path}: 2 problems",
            ],
        )
        self.assertEqual(self.status, 1)

    def test_checkOfAFileThatIsNotThereIsAWrongCall(self) -> None:
        path = os.path.join(self.mktemp(), "none.yaml")
        self.assertEqual(self.run_("check", path), f"{path}: no such file or directory\n")
        self.assertEqual(self.status, 2)

    def test_aWrongCallExitsWith2(self) -> None:
        status, words = self.usage("chek")
        self.assertEqual(status, 2)
        self.assertIn("invalid choice: 'chek'", words)

    def test_versionNamesOursFirst(self) -> None:
        self.assertEqual(self.run_("version").splitlines()[0], f"hermes {hermes.__version__}")
        self.assertEqual(self.status, 0)

    def test_schemaPrintsTheReference(self) -> None:
        self.assertIn("node: name (required)\n    its name in the overlay.\n", self.run_("schema"))

    def test_passwdHashesALineOfStandardInput(self) -> None:
        self.patch(sys, "stdin", StringIO("s3cret\n"))
        output = self.run_("passwd", "--stdin")
        self.assertEqual(self.status, 0)
        self.assertTrue(output.startswith("scrypt:"), output)
        self.assertNotIn("s3cret", output)

    def test_passwdRefusesAnEmptyPassword(self) -> None:
        self.patch(sys, "stdin", StringIO("\n"))
        self.patch(sys, "stderr", StringIO())
        self.assertEqual(self.run_("passwd"), "")
        self.assertEqual(self.status, 1)

    def test_pkiMakesAnAuthorityAndWhatANodeNeeds(self) -> None:
        directory: str = os.path.abspath(self.mktemp())
        output = self.run_("pki", "init", directory)
        self.assertEqual((self.status, output), (0, f"{directory}/overlay-ca.pem\n"))
        output = self.run_("pki", "issue", directory, "edge", "--name", "edge.example")
        self.assertEqual(self.status, 0)
        self.assertEqual(
            output,
            f"identity: {{certificate: {directory}/edge.pem, key: {directory}/edge.key, "
            f"trust: {directory}/overlay-ca.pem}}\n",
        )
        self.run_("check", "--quiet", self.file(f"node: edge\n{output}"))
        self.assertEqual(self.status, 0)

    def test_checkReadsCertificates(self) -> None:
        directory: str = os.path.abspath(self.mktemp())
        self.run_("pki", "init", directory)
        identity = self.run_("pki", "issue", directory, "edge")
        path = self.file(f"node: exit\n{identity}")
        self.assertEqual(
            self.run_("check", path),
            f"{path}: {directory}/edge.pem: the certificate names edge, not exit (URI hermes://exit)\n",
        )
        self.assertEqual(self.status, 1)

    def test_pkiReplacesNoAuthority(self) -> None:
        directory: str = self.mktemp()
        self.run_("pki", "init", directory)
        self.assertIn("File exists", self.run_("pki", "init", directory))
        self.assertEqual(self.status, 1)

    def test_pkiWritesNowhereElse(self) -> None:
        directory: str = self.mktemp()
        self.run_("pki", "init", directory)
        self.assertIn("is not a name", self.run_("pki", "issue", directory, "../edge"))
        self.assertEqual(self.status, 1)
