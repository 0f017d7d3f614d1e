"""
The page on seeing what a node does, typed in as a reader would.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from hermes.test.docs.console import Reader
from hermes.test.docs.pages import DOCS, MISSING


class ObservabilityTests(SynchronousTestCase):
    """
    Every command of the page runs, and prints what it says.
    """

    skip = MISSING or (None if shutil.which("curl") else "this machine has no curl")

    def test_everyCommandPrintsWhatIsSaid(self) -> None:
        directory = Path(self.mktemp()).absolute()
        directory.mkdir(parents=True)
        reader = Reader(directory)
        reader.substitute(8000, 8080, 4318, 9901)
        self.addCleanup(reader.stop)
        reader.follow(DOCS / "howto" / "observability.md")
