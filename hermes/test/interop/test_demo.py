"""
The demonstration, run as a newcomer runs it, with all that it says to type.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from threading import Timer

from twisted.trial.unittest import SynchronousTestCase

from hermes.test.docs.pages import ROOT
from hermes.test.processes import PATIENCE

DEMONSTRATION = ROOT / "bin" / "demonstration"
MISSING = None if DEMONSTRATION.is_dir() else "this machine has Hermes without its demonstration"


class DemonstrationTests(SynchronousTestCase):
    """
    Real nodes, real origins; one of them is killed.
    """

    skip = MISSING or (None if shutil.which("curl") else "this machine has no curl")

    def setUp(self) -> None:
        self.environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        self.environment |= {"PYTHONUNBUFFERED": "1", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        # Where trial has its directories the paths of Unix sockets would be too long.
        self.temporary = Path(tempfile.mkdtemp(prefix="demo-"))
        self.addCleanup(shutil.rmtree, self.temporary)
        self.environment["TMPDIR"] = str(self.temporary)
        self.demonstration = subprocess.Popen(
            [sys.executable, str(DEMONSTRATION), "--stay"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=self.environment,
        )
        self.addCleanup(self.end, signal.SIGTERM)

    def end(self, signum: int) -> int:
        """
        Tell it to end, and wait until it has: it ends what it has started.
        """
        self.demonstration.send_signal(signum)
        self.demonstration.communicate(timeout=PATIENCE)
        return self.demonstration.returncode

    def readUntil(self, last: str) -> str:
        """
        What it prints, up to the line that holds C{last}.
        """
        output = self.demonstration.stdout
        assert output is not None
        text = ""
        watchdog = Timer(4 * PATIENCE, self.demonstration.terminate)
        watchdog.start()
        try:
            for line in output:
                text += line
                if last in line:
                    return text
        finally:
            watchdog.cancel()
        raise AssertionError(f"{last!r} was not printed, but:\n{text}")

    def type(self, command: str) -> str:
        """
        What a command prints.
        """
        done = subprocess.run(
            ["bash", "-c", command], capture_output=True, text=True, timeout=PATIENCE, env=self.environment
        )
        return done.stdout

    def test_itWorksAndStaysForWhatItSaysToType(self) -> None:
        text = self.readUntil("Ctrl-C ends it")
        self.assertEqual(2, text.count("64 MiB in "), text)
        self.assertEqual(4, text.count("digest matches"), text)
        self.assertRegex(text, r"www\.demo\.hermes is 192\.0\.2\.80; 100 exchanges")
        self.assertRegex(text, r"first .* cache-status: edge/pages; fwd=uri-miss")
        self.assertRegex(text, r"second .* cache-status: edge/pages; hit")
        self.assertIn("the origin saw 1 request, as it should", text)
        killed = re.search(r"killed after 200: (\d+) answered by one, (\d+) by two, .* none failed", text)
        assert killed is not None, text
        self.assertEqual(400, int(killed[1]) + int(killed[2]))
        self.assertEqual(["403", "407", "200"], re.findall(r"(\d{3}) .*, as it should", text)[-3:])
        self.assertRegex(text, r"between the forwarders: digest matches; again, .* Content Store: digest matches")
        self.assertRegex(text, r"all came back; to a neighbour: refused by the policy|not shown: .*")
        self.assertIn("== IT WORKS", text)

        commands = re.findall(r"(?m)^   (\S.*)$", text[text.index("The overlay is running") :])
        printed = {command: self.type(command) for command in commands}
        expected = (
            (r"curl -x http://\S+ http://files", r"Hello from behind the overlay\."),
            (r"curl -x socks5h://\S+ http://files", r"Hello from behind the overlay\."),
            (r"curl .*/photo", r"(?i)cache-status: edge/pages; hit"),
            (r"for .* http://shop", r"^(one\n){4}$"),
            (r"curl -si .* http://staff", r"^HTTP/1\.1 403 (?s:.)*for alice only"),
            (r"curl -s -x http://alice:", r"^Hello from behind the overlay\.\n$"),
            (r"\S+ explain ", r"=> staff\.hermes:80 is denied by route 1: for alice only"),
            (r"\S+ status ", r"^edge: running"),
            (r"curl \S+/metrics", r"(?m)^hermes_cache_requests_total\{.*hit"),
        )
        self.assertEqual(len(expected), len(commands), commands)
        for command, (wanted, output) in zip(commands, expected, strict=True):
            self.assertRegex(command, wanted)
            self.assertRegex(printed[command], output, command)

        (directory,) = self.temporary.iterdir()
        self.assertIn(f"Its files are in {directory}: edge.yaml, gateway.yaml", text)
        self.assertTrue((directory / "edge.yaml").exists())
        self.assertEqual(0, self.end(signal.SIGINT))
        self.assertEqual([], list(self.temporary.iterdir()))

    def test_toldToEndItLeavesNothing(self) -> None:
        self.readUntil("== Starting")
        self.assertEqual(1, self.end(signal.SIGTERM))
        self.assertEqual([], list(self.temporary.iterdir()))
