"""
The operator's commands, a real controller, and two real nodes: each a process.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from io import StringIO
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from threading import Thread
from typing import Any, cast

from rich.console import Console
from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from hermes.cli import main
from hermes.test.processes import PATIENCE, ProxyProcess, freePort

reactor = cast(Any, _reactor)

DOCUMENT = """
overlay: example
nodes:
  edge:    {{listeners: {{apps: {{type: proxy, bind: "127.0.0.1:{apps}"}}}}}}
  gateway: {{address: "127.0.0.1:{overlay}"}}
services:
  web.hermes: {{on: [gateway], protocol: http, endpoints: ["127.0.0.1:{web}"]}}
policy:
  - {{allow: any, to: web.hermes}}
settings: {{trial: 500ms, decide: 20s}}
"""


class TwistdProcess(ProxyProcess):
    """
    One C{twistd -n} of any plugin.
    """

    @classmethod
    def run(cls, *arguments: str) -> TwistdProcess:
        """
        Start it.
        """
        process = cls(reactor)
        program = "import sys; from twisted.scripts.twistd import run; sys.argv[0] = 'twistd'; run()"
        command = [sys.executable, "-c", program, "-n", "--pidfile=", *arguments]
        environment = {**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        reactor.spawnProcess(process, sys.executable, command, env=environment)
        return process


class Web(BaseHTTPRequestHandler):
    """
    A web server behind the overlay.
    """

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-length", "5")
        self.end_headers()
        self.wfile.write(b"hello")

    def log_message(self, *_: Any) -> None:
        pass


class ProcessesTests(TestCase):
    """
    From an empty directory to an overlay that carries a request, and back.
    """

    timeout = 240

    def setUp(self) -> None:
        self.directory = Path(mkdtemp())
        self.addCleanup(rmtree, self.directory)
        self.socket = f"unix:{self.directory}/operator.sock"
        self.ports = {name: freePort() for name in ("nodes", "https", "apps", "overlay")}
        server = HTTPServer(("127.0.0.1", 0), Web)
        self.ports["web"] = server.server_port
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        self.addCleanup(server.server_close)
        self.addCleanup(deferToThread, server.shutdown)
        self.patch(sys, "stdin", StringIO())

    def start(self, *arguments: str) -> TwistdProcess:
        """
        Start a process, and end it with the test.
        """
        process = TwistdProcess.run(*arguments)
        self.addCleanup(process.stop)
        return process

    def hermes(self, *arguments: str) -> Deferred[tuple[int, str]]:
        """
        @return: fires with the exit status and what it writes.
        """
        output = StringIO()

        def run() -> tuple[int, str]:
            status = main(list(arguments), Console(file=output, width=200, highlight=False))
            return status, "\n".join(" ".join(line.split()) for line in output.getvalue().splitlines())

        return deferToThread(run)

    async def done(self, *arguments: str) -> str:
        """
        Run a command that goes well.

        @return: what it writes.
        """
        status, text = await self.hermes(*arguments, "--controller", self.socket)
        self.assertEqual(status, 0, text)
        return text

    async def until(self, wanted: Callable[[str], bool], *arguments: str) -> str:
        """
        Run a command until it writes what is wanted.
        """
        end = reactor.seconds() + PATIENCE
        while True:
            _, text = await self.hermes(*arguments, "--controller", self.socket)
            if wanted(text):
                return text
            self.assertLess(reactor.seconds(), end, text)
            await deferLater(reactor, 0.1)

    def document(self, **changed: int) -> str:
        """
        @return: the path of an overlay document.
        """
        file = self.directory / "overlay.yaml"
        file.write_text(DOCUMENT.format(**{**self.ports, **changed}))
        return str(file)

    def fetch(self) -> Deferred[tuple[int, bytes]]:
        """
        Ask the web server, over the overlay.
        """
        from http.client import HTTPConnection

        def fetched() -> tuple[int, bytes]:
            connection = HTTPConnection("127.0.0.1", self.ports["apps"], timeout=30)
            try:
                connection.request("GET", "http://web.hermes/")
                response = connection.getresponse()
                return response.status, response.read()
            finally:
                connection.close()

        return deferToThread(fetched)

    async def overlay(self) -> None:
        """
        A controller, and two nodes that have joined.
        """
        nodes = f"127.0.0.1:{self.ports['nodes']}"
        controller = self.start(
            "hermes-controller",
            *("--state", str(self.directory / "controller"), "--socket", self.socket.removeprefix("unix:")),
            *("--listen", nodes, "--address", nodes, "--https", f"127.0.0.1:{self.ports['https']}"),
        )
        await controller.ready()
        for name in ("edge", "gateway"):
            text = await self.done("enrol", name)
            words = text.splitlines()[-1].split()
            self.assertEqual(words[:3], ["twistd", "-n", "hermes-proxy"])
            # What is to be typed there, in a directory of the test's.
            self.start(*words[2:-1], str(self.directory / name))
        await self.until(lambda text: text.count("waiting") == 2, "nodes")

    async def test_fromNothingToAnOverlayAndBack(self) -> None:
        await self.overlay()
        text = await self.done("apply", self.document(), "--yes", "-m", "the first")
        self.assertIn("version 1 is committed on 2 nodes", text)
        self.assertEqual(await self.fetch(), (200, b"hello"))
        text = await self.done("explain", "http://web.hermes/")
        self.assertIn("by edge > gateway", text)
        text = await self.done("top", "--once")
        self.assertRegex(text, r"(?m)^edge > gateway up - [1-9]\d* \d+ \d[\d.]* k?bit/s \S+ \S+ [\d.]+ ms 0 %$")

        # A port that somebody has.
        status, text = await self.hermes(
            "apply", self.document(apps=self.ports["web"]), "--yes", "--controller", self.socket
        )
        self.assertEqual(status, 1)
        self.assertRegex(text, r"version 2 is aborted: every node runs what it ran before\nedge \(prepare\): .*in use")
        self.assertEqual(await self.fetch(), (200, b"hello"))

        moved = freePort()
        await self.done("apply", self.document(overlay=moved), "--yes")
        self.assertEqual(await self.fetch(), (200, b"hello"))
        text = await self.done("rollback", "1", "--yes")
        self.assertIn("version 4 is committed", text)
        self.assertEqual(await self.fetch(), (200, b"hello"))
        text = await self.done("history")
        self.assertRegex(text, r"(?s)4 3 committed.*back to version 1.*3 1 committed.*2 1 aborted.*the first")
        text = await self.done("logs", "edge", "-n", "50")
        self.assertIn("connected to the controller", text)

        await self.done("node", "revoke", "gateway", "--yes")
        await self.until(lambda text: "gateway revoked" in text, "nodes")
        status, body = await self.fetch()
        self.assertIn(status, (502, 503, 504), body)
        text = await self.done("history", "--audit")
        self.assertRegex(text, r"revoke gateway")
        text = await self.done("drain", "edge", "--timeout", "5")
        self.assertIn("edge is drained", text)

    async def test_byHTTPSWithAToken(self) -> None:
        await self.overlay()
        address = f"https://127.0.0.1:{self.ports['https']}"
        trusted = ("--trust", str(self.directory / "edge" / "trust.pem"), "--controller", address)
        status, text = await self.hermes("status", *trusted)
        self.assertEqual(status, 0, text)
        status, text = await self.hermes("apply", self.document(), "--yes", *trusted)
        self.assertEqual((status, text), (1, "this needs an operator's token"))
        token = ("--token-file", str(self.directory / "controller" / "operator.token"))
        status, text = await self.hermes("apply", self.document(), "--yes", *trusted, *token)
        self.assertEqual(status, 0, text)
        status, text = await self.hermes("status", "--controller", address)
        self.assertEqual(status, 1)
        self.assertIn("certificate verify failed", text)
