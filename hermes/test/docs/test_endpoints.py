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


def shapes(value: Any) -> set[str]:
    """
    The names in a JSON value, each with those that lead to it. Of what is in an array, the C{type} is one of these,
    where it has one.
    """
    if isinstance(value, dict):
        return {f".{name}{rest}" for name, each in value.items() for rest in shapes(each) | {""}}
    if isinstance(value, list):
        return {f"[{each.get('type', '')}]{rest}" for each in value for rest in shapes(each)}
    return set()


def withoutListenerTypes(names: set[str]) -> set[str]:
    """
    The same, where all listeners tell the same.
    """
    return {re.sub(r"^\.listeners\[\w*\]", ".listeners[]", name) for name in names}


NAMES = "  names: {type: ndn, bind: 'tcp:127.0.0.1:0'}\n"

# One assisting component of each type that there is.
ASSIST = """\
assist:
  memory: {type: cache}
  fair:   {type: limits, by: source, rate: 10}
  policy: {type: rules, rules: [{match: {any: true}, allow: true}]}
  asked:  {type: authorizer, protocol: http, url: "http://127.0.0.1:1/"}
  who:    {type: authentication}
  gate:   {type: ndn, forwarder: names}
users: {alice: {password: wonderland}}
"""


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
        file = self.reader.directory / "gateway.yaml"
        file.write_text(file.read_text().replace("listeners:\n", f"listeners:\n{NAMES}", 1) + ASSIST)
        self.reader.do(Command("kill -HUP $(cat gateway.pid)", ()))
        found: set[str] = set()
        for node in ("edge", "gateway"):
            self.reader.do(Command(f"hermes status --config {node}.yaml --json > status.json", ()))
            found |= shapes(json.loads((self.reader.directory / "status.json").read_text()))
        # What a forwarder of NDN adds is told in words.
        found = {each for each in found if not each.startswith(".listeners[ndn].")}
        page = DOCS / "reference" / "status.md"
        (told,) = [json.loads(block.body) for block in blocks(page) if block.info == "json"]
        # The page shows one assisting component whole, and tells of the others in a table.
        others = {each for each in found if each.startswith(".assist[") and not each.startswith(".assist[cache]")}
        self.assertEqual(withoutListenerTypes(found - others), withoutListenerTypes(shapes(told)))
        rows = re.findall(r"(?m)^\| `(\w+)` \| (.*) \|$", page.read_text())
        columns = {f".assist[{kind}].{name}" for kind, text in rows for name in re.findall(r"`(\w+)`", text)}
        columns = {each for each in columns if not each.startswith(".assist[cache]")}
        self.assertEqual(columns, {each for each in others if not each.endswith((".name", ".type"))})

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
