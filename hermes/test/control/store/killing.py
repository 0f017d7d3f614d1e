"""
Killing a controller that writes.
"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

from hermes.interfaces.store import IStore


class Writer:
    """
    A L{hermes.test.control.store.writer}.

    @ivar appended: the last version that it was told to be appended; 0 for none.
    @ivar committed: the last that it was told to be committed.
    """

    def __init__(self, where: str) -> None:
        self.appended = 0
        self.committed = 0
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "hermes.test.control.store.writer", where],
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        )

    def until(self, lines: int) -> None:
        """
        Let it say so much.
        """
        for _ in range(lines):
            self._hear()

    def _hear(self) -> bool:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        word, _, number = line.strip().partition(" ")
        if word == "appended":
            self.appended = int(number)
        elif word == "committed":
            self.committed = int(number)
        elif word != "leads":
            return False
        return True

    def kill(self) -> None:
        """
        Kill it (SIGKILL), wherever it is.
        """
        self._process.kill()
        self._process.wait()
        while self._hear():
            pass
        assert self._process.stdout is not None
        self._process.stdout.close()

    @property
    def process(self) -> int:
        """
        Its number.
        """
        return self._process.pid


class KillingContract:
    """
    A mixin for a C{TestCase}: what is there after its writer was killed is old or new, never between.
    """

    assertEqual: Any
    assertIn: Any
    assertGreaterEqual: Any

    async def check(self, store: IStore, writer: Writer, before: int) -> int:
        """
        @param before: what was committed before the writer began.
        @return: what is committed now.
        """
        current = await store.current() or 0
        # What it was told is there; and at most the one step that it was at.
        known = max(before, writer.committed)
        self.assertIn(current, {known, max(writer.appended, known)})
        versions = await store.versions(4)
        if versions:
            self.assertGreaterEqual(versions[0].number, writer.appended)
        for version in versions:
            self.assertEqual(version.document, "a document\n" * 20_000)
            if version.number >= current:
                self.assertEqual(version.phase == "committed", version.number == current)
        if current:
            found = await store.version(current)
            assert found is not None
            self.assertEqual(found.phase, "committed")
        return current
