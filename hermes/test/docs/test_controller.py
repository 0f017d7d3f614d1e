"""
The page on controllers, typed in as a reader would.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from tempfile import mkdtemp

from attrs import define
from twisted.trial.unittest import SynchronousTestCase

from hermes.test.docs.console import Reader
from hermes.test.docs.pages import DOCS, MISSING


@define(eq=False)
class OperatorReader(Reader):
    """
    Somebody whose shell remembers what was exported.
    """

    def environment(self) -> dict[str, str]:
        return {**super().environment(), "HERMES_CONTROLLER": "unix:controller.sock"}


class ControllerPageTests(SynchronousTestCase):
    """
    A controller and two nodes.
    """

    skip = MISSING or (None if shutil.which("curl") else "this machine has no curl")

    def test_everyCommandPrintsWhatIsSaid(self) -> None:
        # A Unix socket's path has little room (unix(7)).
        directory = Path(mkdtemp(prefix="controller"))
        self.addCleanup(shutil.rmtree, directory)
        self.addCleanup(shutil.rmtree, f"{directory}-bin", ignore_errors=True)
        reader = OperatorReader(directory)
        reader.substitute(7700, 7780, 3128, 8443, 8080)
        self.addCleanup(reader.stop)
        reader.follow(DOCS / "howto" / "controller.md")
