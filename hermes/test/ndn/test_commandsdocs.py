"""
The page about objects by name, typed in as a reader would.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

from attrs import define, field
from twisted.trial.unittest import SynchronousTestCase

from hermes.test.docs.console import Command, File, Reader
from hermes.test.docs.pages import DOCS, MISSING

_RUNS_ON = re.compile(r"hermes ndn (put|pingserver) ")


@define(eq=False)
class NDNReader(Reader):
    """
    A reader with tools that run on, and variables that stay.
    """

    variables: dict[str, str] = field(factory=dict)

    def environment(self) -> dict[str, str]:
        """
        With a home of their own, and what was exported.
        """
        return {**super().environment(), "HOME": str(self.directory), **self.variables}

    def do(self, step: Command | File) -> None:
        """
        Do one thing.
        """
        if isinstance(step, Command) and step.text.startswith("export "):
            name, _, value = step.text.removeprefix("export ").partition("=")
            self.variables[name] = value.replace("$PWD", str(self.directory))
        elif isinstance(step, Command) and _RUNS_ON.match(step.text):
            quiet = not step.output
            # Nobody hears when it is ready where it is to be quiet.
            self._start(step.text, Command(step.text.removesuffix(" -q"), ("PING SERVER...",)) if quiet else step)
        else:
            super().do(step)


class FilesTests(SynchronousTestCase):
    """
    A real node, real tools.
    """

    skip = MISSING or (None if shutil.which("xxd") else "this machine has no xxd")

    def test_everyCommandPrintsWhatIsSaid(self) -> None:
        # A Unix socket's path is short.
        short = TemporaryDirectory(prefix="ndn-")
        self.addCleanup(short.cleanup)
        reader = NDNReader(Path(short.name) / "home")
        reader.directory.mkdir()
        self.addCleanup(reader.stop)
        reader.follow(DOCS / "howto" / "ndn-files.md")
