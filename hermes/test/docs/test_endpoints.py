"""
The programs of the page on endpoints, and what the status API tells, over a real overlay.
"""

from __future__ import annotations

import json
import re
import shutil
import socket
from pathlib import Path
from threading import Thread
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from hermes.net.authority import OverlayAuthority
from hermes.test.docs.console import Command, File, Reader, steps
from hermes.test.docs.pages import DOCS, EXAMPLES, MISSING, blocks


def overlay(reader: Reader) -> None:
    """
    What the tutorial has built when its step 7 is done.
    """
    authority = OverlayAuthority.create(reader.directory / "pki")
    for node in ("edge", "gateway"):
        authority.issue(node)
    for step in steps(DOCS / "tutorial.md"):
        if isinstance(step, Command) and step.text.startswith(("mkdir site", "echo ", "twistd ")):
            reader.do(step)
        elif isinstance(step, File) and step.name != step.example.name:
            # The second edge.yaml is that of step 8.
            return
        elif isinstance(step, File):
            reader.do(step)


def shape(value: Any) -> Any:
    """
    The names in a JSON value; of an array those in its first element.
    """
    if isinstance(value, dict):
        return {name: shape(each) for name, each in value.items()}
    return [shape(value[0])] if isinstance(value, list) else None


class EndpointTests(SynchronousTestCase):
    """
    Every command of the page runs, and prints what it says.
    """

    skip = MISSING or (None if shutil.which("curl") else "this machine has no curl")

    def setUp(self) -> None:
        directory = Path(self.mktemp()).absolute()
        directory.mkdir(parents=True)
        self.reader = Reader(directory)
        self.reader.substitute(3128, 8080, 8081, 8090, 8443, 9901, 9902)
        self.addCleanup(self.reader.stop)
        overlay(self.reader)

    def test_everyCommandPrintsWhatIsSaid(self) -> None:
        self.reader.follow(DOCS / "howto" / "endpoints.md")

    def test_theStatusHasTheFieldsThatAreDescribed(self) -> None:
        self.reader.do(Command("curl -s http://127.0.0.1:8081/hello.txt", ("Hello from behind the overlay.",)))
        self.reader.do(Command("hermes status --config edge.yaml --json > status.json", ()))
        status = json.loads((self.reader.directory / "status.json").read_text())
        (told,) = [json.loads(block.body) for block in blocks(DOCS / "reference" / "status.md") if block.info == "json"]
        self.assertEqual(shape(status), shape(told))

    def test_aDatagramGoesThroughAndItsAnswerComesBack(self) -> None:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind(("127.0.0.1", 0))
        sock.settimeout(60)
        self.addCleanup(sock.close)

        def answer() -> None:
            data, source = sock.recvfrom(2048)
            sock.sendto(data.upper(), source)

        server = Thread(target=answer)
        server.start()
        self.addCleanup(server.join)
        path = self.reader.directory / "gateway.yaml"
        route = f'  - {{match: {{node: edge, target: "127.0.0.1:{sock.getsockname()[1]}"}}}}\n'
        path.write_text(re.sub("^routes:.*\n", lambda found: found[0] + route, path.read_text(), flags=re.MULTILINE))
        self.reader.do(Command("kill -HUP $(cat gateway.pid)", ()))
        shutil.copy(EXAMPLES / "programs" / "ask.py", self.reader.directory)
        target = f"127.0.0.1:{sock.getsockname()[1]}"
        self.reader.do(Command(f"python ask.py hello {target} 127.0.0.1:3128", ("HELLO",)))
