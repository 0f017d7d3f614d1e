"""
The page about upstreams, typed in as a reader would.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from hermes.test.docs.console import Reader
from hermes.test.docs.pages import DOCS, MISSING


class UpstreamsTests(SynchronousTestCase):
    """
    What is said of upstreams holds.
    """

    skip = MISSING or (None if shutil.which("curl") else "this machine has no curl")

    def test_everyCommandPrintsWhatIsSaid(self) -> None:
        directory = Path(self.mktemp()).absolute()
        directory.mkdir(parents=True)
        reader = Reader(directory)
        reader.substitute(8080, 8081, 8082, 8083, 9901)
        self.addCleanup(reader.stop)
        reader.follow(DOCS / "howto" / "upstreams.md")
