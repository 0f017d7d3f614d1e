"""
The tutorial, typed in as a newcomer would.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from hermes.test.docs.console import Reader
from hermes.test.docs.pages import DOCS, MISSING


class TutorialTests(SynchronousTestCase):
    """
    Every command of the tutorial runs, and prints what it says.
    """

    skip = MISSING or (None if shutil.which("curl") else "this machine has no curl")

    def test_everyCommandPrintsWhatIsSaid(self) -> None:
        directory = Path(self.mktemp()).absolute()
        directory.mkdir(parents=True)
        reader = Reader(directory)
        reader.substitute(3128, 8080, 8081, 8443, 9901, 9902)
        self.addCleanup(reader.stop)
        reader.follow(DOCS / "tutorial.md")
