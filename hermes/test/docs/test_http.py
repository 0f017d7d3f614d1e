"""
The page about HTTP, typed in as a reader would.
"""

from __future__ import annotations

import shutil
from importlib.util import find_spec
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from hermes.test.docs.console import Reader
from hermes.test.docs.pages import DOCS, MISSING


class HTTPTests(SynchronousTestCase):
    """
    Real services, a real node, real clients.
    """

    skip = (
        MISSING
        or (None if shutil.which("curl") else "this machine has no curl")
        or (None if find_spec("grpc") and find_spec("websockets") else "grpcio or websockets is not installed")
    )

    def test_everyCommandPrintsWhatIsSaid(self) -> None:
        directory = Path(self.mktemp()).absolute()
        directory.mkdir(parents=True)
        reader = Reader(directory)
        reader.substitute(3128, 8000, 8080, 8443, 8765, 50051)
        self.addCleanup(reader.stop)
        reader.follow(DOCS / "howto" / "http.md")
