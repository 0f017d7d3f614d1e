"""
The page about faces, typed in as a reader would.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from tempfile import mkdtemp

from twisted.trial.unittest import SynchronousTestCase

from hermes.test.docs.console import Reader
from hermes.test.docs.pages import DOCS, MISSING


class NDNFacesTests(SynchronousTestCase):
    """
    A real node, and the tools.
    """

    skip = MISSING

    def test_everyCommandPrintsWhatIsSaid(self) -> None:
        # A Unix socket's path has little room (unix(7)).
        root = Path(mkdtemp(prefix="ndn"))
        self.addCleanup(shutil.rmtree, root)
        directory = root / "page"
        directory.mkdir()
        reader = Reader(directory)
        reader.substitute(6363, 9696, 9901)
        self.addCleanup(reader.stop)
        reader.follow(DOCS / "howto" / "ndn.md")
