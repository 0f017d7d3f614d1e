"""
The extension in the documentation: a package of listener types, on the path and installed.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from hermes.test.docs.console import Command, File, Reader
from hermes.test.docs.pages import DOCS, EXAMPLES, MISSING
from hermes.test.processes import PATIENCE

PACKAGE = EXAMPLES / "echo_listener"


def said(port: str, *lines: str) -> str:
    """
    What a server answers to these lines and the end.
    """
    with socket.create_connection(("127.0.0.1", int(port)), PATIENCE) as client:
        client.sendall("".join(f"{line}\n" for line in lines).encode())
        client.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: client.recv(4096), b"")).decode()


class PluginTests(SynchronousTestCase):
    """
    A node finds the types.
    """

    skip = MISSING

    def setUp(self) -> None:
        self.directory = Path(self.mktemp()).absolute()
        self.directory.mkdir(parents=True)
        self.package = self.directory / "source"
        # A copy: Twisted writes its cache of plugins there, and a build its own files.
        shutil.copytree(PACKAGE, self.package)

    def node(self, path: Path) -> Reader:
        """
        A node with C{path} on its path, listening.
        """
        reader = Reader(self.directory, path=[str(path)])
        reader.substitute(7007, 7008)
        self.addCleanup(reader.stop)
        reader.do(File("node.yaml", PACKAGE / "node.yaml"))
        reader.do(Command("hermes check node.yaml", ("OK node.yaml: node example", "...")))
        ready = "...node example is ready: echo (echo) on 127.0.0.1:7007, asked (asked) on 127.0.0.1:7008"
        reader.do(Command("twistd -n --pidfile=node.pid hermes-proxy --config node.yaml", (ready,)))
        return reader

    def test_onThePath(self) -> None:
        reader = self.node(self.package)
        echo, asked = reader.ports["7007"], reader.ports["7008"]
        self.assertEqual(said(echo, "hello"), "Say something.\nhello\n")
        self.assertEqual(said(asked, "echo.hermes:7", "hello"), "Say something.\nhello\n")
        refusal = "no route takes tcp to db.hermes:3306 from -\n"
        self.assertEqual(said(asked, "db.hermes:3306"), refusal)
        self.assertEqual(said(asked, "nonsense"), "'nonsense' names no port: write HOST:PORT\n")
        reader.do(Command("hermes schema | grep -A 1 patience", ("    patience: number (default: 10.0)", "...")))

    def test_itsKeysAreChecked(self) -> None:
        reader = Reader(self.directory, path=[str(self.package)])
        (self.directory / "node.yaml").write_text(
            "node: example\nlisteners:\n  asked: {type: asked, bind: 127.0.0.1:7008, pacience: 5}\n"
        )
        problem = "node.yaml:3:46: listeners.asked.pacience: unknown key; did you mean 'patience'?"
        reader.do(Command("hermes check node.yaml", (problem, "node.yaml: 1 problem")))

    def test_installed(self) -> None:
        site = self.directory / "site"
        # What pip has setuptools do, without the network that pip wants for it.
        program = "import setuptools; setuptools.setup()"
        subprocess.run(
            [sys.executable, "-c", program, "--quiet", "build", "--build-lib", str(site)],
            check=True,
            capture_output=True,
            timeout=PATIENCE,
            cwd=self.package,
        )
        self.assertTrue((site / "twisted" / "plugins" / "echo_listener_plugins.py").is_file())
        reader = self.node(site)
        self.assertEqual(said(reader.ports["7008"], "echo.hermes:7", "hello"), "Say something.\nhello\n")


class ServerTests(SynchronousTestCase):
    """
    The HTTP/2 server on the page about subclassing.
    """

    skip = MISSING or (None if shutil.which("curl") else "this machine has no curl")

    def test_itAnswers(self) -> None:
        directory = Path(self.mktemp()).absolute()
        directory.mkdir(parents=True)
        reader = Reader(directory)
        reader.substitute(8000)
        self.addCleanup(reader.stop)
        reader.follow(DOCS / "howto" / "subclassing.md")
