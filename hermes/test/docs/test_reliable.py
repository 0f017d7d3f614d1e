"""
The page about reliable delivery, typed in as a reader would.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from hermes.test.docs.console import Reader
from hermes.test.docs.pages import DOCS, MISSING


class ReliableTests(SynchronousTestCase):
    """
    What is said of retries and resumption holds.
    """

    skip = MISSING or (None if shutil.which("curl") else "this machine has no curl")

    def test_everyCommandPrintsWhatIsSaid(self) -> None:
        directory = Path(self.mktemp()).absolute()
        directory.mkdir(parents=True)
        reader = Reader(directory)
        reader.substitute(8080, 8081)
        self.addCleanup(reader.stop)
        reader.follow(DOCS / "howto" / "reliable-delivery.md")
