"""
Tests for C{hermes status}.
"""

from __future__ import annotations

import json
import os
import socket
from io import StringIO
from threading import Thread
from typing import Any

from rich.console import Console
from twisted.trial.unittest import SynchronousTestCase

from hermes.cli import main

FLOW = {
    "listener": "apps",
    "source": "192.0.2.7:4000",
    "node": "edge",
    "user": "alice",
    "protocol": "tcp",
    "target": "db.hermes:3306",
    "hops": ["relay", "exit"],
    "upstream": "exit",
    "bytesIn": 2048,
    "bytesOut": 5,
    "seconds": 61.0,
}
REQUEST: dict[str, Any] = {
    "listener": "web",
    "source": "192.0.2.7:4000",
    "node": None,
    "user": "alice",
    "method": "GET",
    "scheme": "https",
    "authority": "shop.example",
    "path": "/\x1b[31m[bold]",
    "hops": [],
    "upstream": "stock",
    "status": 0,
    "bytesOut": 0,
    "seconds": 2.0,
}
ENDPOINT: dict[str, Any] = {
    "state": "up",
    "healthy": True,
    "ejected": False,
    "active": 3,
    "flows": 0,
    "connections": 4,
    "pending": 1,
    "failures": 7,
    "error": None,
}
STATUS = {
    "node": "edge",
    "uptimeSeconds": 3700.0,
    "draining": True,
    "workers": 2,
    "flows": {"open": 1, "opened": 5, "refused": 2},
    "requests": {"open": 3, "taken": 70},
    "listeners": [{"name": "apps", "type": "proxy", "address": "127.0.0.1:3128", "flows": 1, "requests": 3}],
    "upstreams": [
        {
            "name": "exit",
            "type": "hop",
            "endpoints": [{"address": "h:8443", "connections": 1, "streams": 9, "roundTripSeconds": 0.0012}],
        },
        {
            "name": "stock",
            "type": "direct",
            "requests": 3,
            "retries": 0,
            "refused": 0,
            "endpoints": [
                {**ENDPOINT, "address": "10.1.0.5:80"},
                {**ENDPOINT, "address": "10.1.0.6:80", "state": "unhealthy", "error": "it [b]answers 503"},
            ],
        },
    ],
}


class StatusTests(SynchronousTestCase):
    """
    What it asks an admin listener, and what it shows of the answer.
    """

    def serve(self, bind: str, answers: dict[str, tuple[int, Any]]) -> None:
        """
        An admin listener for one request at C{bind}, a Unix socket.
        """
        sock = socket.socket(socket.AF_UNIX)
        self.addCleanup(sock.close)
        sock.bind(bind)
        sock.listen()

        def answer() -> None:
            connection, _ = sock.accept()
            with connection:
                page = connection.recv(4096).split(b" ")[1].decode()
                status, value = answers[page]
                body = json.dumps(value).encode()
                connection.sendall(b"HTTP/1.1 %d x\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body))

        thread = Thread(target=answer, daemon=True)
        thread.start()
        self.addCleanup(thread.join, 5)

    def run_(self, *arguments: str) -> tuple[int, list[str]]:
        """
        Its exit status, and the lines that it prints, blanks made one.
        """
        output = StringIO()
        status = main(("status", *arguments), Console(file=output, width=160, highlight=False))
        return status, [" ".join(line.split()) for line in output.getvalue().splitlines()]

    def path(self) -> str:
        """
        Where a Unix socket can be, short enough for one.
        """
        path: str = os.path.relpath(self.mktemp())
        return path

    def test_listenersAndUpstreamsAreShown(self) -> None:
        path = self.path()
        self.serve(path, {"/status": (200, STATUS)})
        status, lines = self.run_("--admin", f"unix:{path}")
        self.assertEqual(status, 0)
        self.assertIn(
            "edge: draining for 1 h 1 min, 2 workers; flows: 1 open, 5 opened, 2 refused; requests: 3 open, 70 taken",
            lines,
        )
        self.assertIn("apps proxy 127.0.0.1:3128 1 3", lines)
        self.assertIn("exit h:8443 1 9 1.20 ms", lines)
        self.assertIn("stock 10.1.0.5:80 up 3 4 1 7", lines)
        self.assertIn("10.1.0.6:80 unhealthy 3 4 1 7 it [b]answers 503", lines)

    def test_flowsAreShown(self) -> None:
        path = self.path()
        self.serve(path, {"/flows": (200, [FLOW])})
        status, lines = self.run_("--admin", f"unix:{path}", "--flows")
        self.assertEqual(status, 0)
        row = "apps 192.0.2.7:4000 edge+alice tcp db.hermes:3306 relay > exit 2.0 KiB 5 B 1 min 1 s"
        self.assertIn(row, lines)

    def test_requestsAreShownAndDrawNothingOnTheTerminal(self) -> None:
        path = self.path()
        self.serve(path, {"/requests": (200, [REQUEST])})
        status, lines = self.run_("--admin", f"unix:{path}", "--requests")
        self.assertEqual(status, 0)
        row = "web 192.0.2.7:4000 alice GET https://shop.example/?[31m[bold] stock - 0 B 2.0 s"
        self.assertIn(row, lines)

    def test_theFileOfTheNodeTellsWhereItIs(self) -> None:
        # An abstract name, which no file stands for.
        name = f"hermes-test-status-{os.getpid()}"
        self.serve(f"\0{name}", {"/status": (200, STATUS)})
        path: str = self.mktemp()
        with open(path, "w", encoding="utf-8") as file:
            file.write(f"node: edge\nadmin: {{bind: 'unix:@{name}'}}\n")
        status, lines = self.run_("--config", path, "--json")
        self.assertEqual(status, 0)
        self.assertEqual(json.loads("".join(lines)), STATUS)

    def test_whatDoesNotAnswerIsSaid(self) -> None:
        status, lines = self.run_("--admin", "unix:/nowhere/admin.sock")
        self.assertEqual(
            (status, lines), (1, ["no node answers at unix:/nowhere/admin.sock: [Errno 2] No such file or directory"])
        )
        path = self.path()
        self.serve(path, {"/status": (500, None)})
        status, lines = self.run_("--admin", f"unix:{path}")
        self.assertEqual((status, lines), (1, [f"no node answers at unix:{path}: it answered 500"]))

    def test_aNodeWithoutAnAdminListenerCanNotBeAsked(self) -> None:
        path: str = self.mktemp()
        with open(path, "w", encoding="utf-8") as file:
            file.write("node: edge\n")
        status, lines = self.run_("--config", path)
        self.assertEqual(status, 2)
        self.assertIn("no admin listener", lines[0])
