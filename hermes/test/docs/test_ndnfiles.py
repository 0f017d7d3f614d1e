"""
The page about objects by name, typed in as a reader would.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

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
            self.variables[name] = self._here(value)
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
        directory = Path(self.mktemp()).absolute()
        directory.mkdir(parents=True)
        reader = NDNReader(directory)
        reader.substitute(6363)
        self.addCleanup(reader.stop)
        reader.follow(DOCS / "howto" / "ndn-files.md")
