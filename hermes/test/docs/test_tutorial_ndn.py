"""
The tutorial of Named Data Networking: typed in as a newcomer would, and its configuration on two hosts.
"""

from __future__ import annotations

import importlib.util
import shutil
import sys
from pathlib import Path
from tempfile import mkdtemp

from twisted.trial.unittest import SynchronousTestCase, TestCase

from hermes.net.authority import OverlayAuthority
from hermes.test.docs.console import Reader
from hermes.test.docs.pages import DOCS, EXAMPLES, MISSING
from hermes.test.interop.processes import TWISTD
from hermes.test.namespaces import Namespace

NO_PROGRAMS = None if importlib.util.find_spec("ndn") else "python-ndn is not installed"


def place() -> Path:
    """
    A directory with a short path: a Unix socket's has little room (unix(7)).
    """
    return Path(mkdtemp(prefix="ndn"))


class NDNTutorialTests(SynchronousTestCase):
    """
    Every command runs, and prints what is said.
    """

    skip = MISSING or NO_PROGRAMS

    def test_everyCommandPrintsWhatIsSaid(self) -> None:
        root = place()
        self.addCleanup(shutil.rmtree, root)
        directory = root / "page"
        directory.mkdir()
        reader = Reader(directory)
        reader.substitute(8443)
        self.addCleanup(reader.stop)
        reader.follow(DOCS / "tutorial-ndn.md")

    def test_bothConfigurationsAreAsShortAsIsSaid(self) -> None:
        lines = [len((EXAMPLES / f"ndn-{name}.yaml").read_text().splitlines()) for name in ("there", "here")]
        self.assertEqual(lines, [4, 5])


class TwoHostsTests(TestCase):
    """
    The same configuration, save for the address, and the same programs, on two machines.
    """

    skip = MISSING or NO_PROGRAMS
    timeout = 60

    def setUp(self) -> None:
        self.directory = place()
        self.addCleanup(shutil.rmtree, self.directory)
        authority = OverlayAuthority.create(str(self.directory / "pki"))
        for name in ("there", "here"):
            authority.issue(name)
            text = (EXAMPLES / f"ndn-{name}.yaml").read_text()
            (self.directory / f"{name}.yaml").write_text(text.replace("127.0.0.1", "10.99.0.2"))

    async def test_theyTalk(self) -> None:
        here, there = Namespace.forTest(self, "here"), Namespace.forTest(self, "there")
        here.link(there)
        root = str(Path(DOCS).parent)
        for namespace, name in ((there, "there"), (here, "here")):
            command = (*TWISTD, "hermes-proxy", "--config", str(self.directory / f"{name}.yaml"))
            node = namespace.start(*command, environment={"PYTHONPATH": root})
            await node.said(f"node {name} is ready")

        def program(name: str, at: str) -> tuple[str, ...]:
            transport = f"NDN_CLIENT_TRANSPORT=unix://{self.directory}/{at}.sock"
            return "env", transport, sys.executable, str(EXAMPLES / "programs" / name)

        await there.start(*program("thermometer.py", "there")).said("registered")
        answer = await here.output(*program("ask-weather.py", "here"))
        self.assertEqual(answer, "/weather/temperature: 21 degrees\n")
