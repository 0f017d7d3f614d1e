"""
Tests for L{hermes.admin.lines}.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.task import Clock
from twisted.logger import LogEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from hermes.admin import lines
from hermes.admin.lines import BATCH_DELAY, BATCH_SIZE, MAX_HELD, RETRY_DELAY, LineWriter


class LineWriterTests(SynchronousTestCase):
    """
    L{LineWriter}.
    """

    def setUp(self) -> None:
        self.path = Path(self.mktemp())
        self.clock = Clock()
        self.writer = LineWriter(str(self.path), self.clock)
        self.addCleanup(self.writer.close)
        self.said: list[str] = []
        observer: Any = lambda event: self._observe(event)  # noqa: E731
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)

    def _observe(self, event: LogEvent) -> None:
        if event.get("log_namespace") == lines.__name__ + ".LineWriter":
            self.said.append(str(event["log_format"]).format(**event))

    def failing(self, error: OSError | None = None, after: int = 0) -> Callable[[], None]:
        """
        Let the file take C{after} bytes more and then fail.

        @return: what makes it well again.
        """
        error = OSError(errno.ENOSPC, "No space left on device") if error is None else error
        real, left = os.write, [after]

        def write(descriptor: int, data: bytes) -> int:
            if not left[0]:
                raise error
            taken = real(descriptor, data[: left[0]])
            left[0] -= taken
            return taken

        patch: Any = self.patch(os, "write", write)

        def restore() -> None:
            patch.restore()

        return restore

    def test_theFirstLineIsWrittenAtOnceAndThoseAfterItAreGatheredForATenthOfASecond(self) -> None:
        self.writer.write("one\n")
        self.assertEqual(self.path.read_text(), "one\n")
        for number in range(3):
            self.writer.write(f"two {number}\n")
            self.writer.write(f"three {number}\n")
            self.assertEqual(len(self.path.read_text().splitlines()), 1 + 2 * number)
            self.clock.advance(BATCH_DELAY)
            self.assertEqual(len(self.path.read_text().splitlines()), 3 + 2 * number)
        # After a silence there is a first line again.
        self.clock.advance(BATCH_DELAY)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.writer.write("again\n")
        self.assertEqual(self.path.read_text().splitlines()[-1], "again")

    def test_manyLinesAreWrittenAtOnce(self) -> None:
        line = "x" * 1023 + "\n"
        for _ in range(1 + BATCH_SIZE // 1024):
            self.writer.write(line)
        self.assertEqual(self.path.stat().st_size, 1024 + BATCH_SIZE)

    def test_whatWasGatheredIsWrittenBeforeTheFileIsLeft(self) -> None:
        self.writer.write("old\n")
        moved = self.path.rename(str(self.path) + ".1")
        self.writer.reopen()
        self.writer.write("new\n")
        self.writer.close()
        self.assertEqual((moved.read_text(), self.path.read_text()), ("old\n", "new\n"))

    def test_afterItWasClosedALineIsWrittenAtOnce(self) -> None:
        self.writer.close()
        self.writer.write("late\n")
        self.assertEqual(self.path.read_text(), "late\n")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_aFileThatCanNotBeOpenedAnewIsGoneOnWith(self) -> None:
        moved = self.path.rename(str(self.path) + ".1")
        self.path.mkdir()
        self.writer.reopen()
        self.writer.write("line\n")
        self.writer.flush()
        self.assertEqual(moved.read_text(), "line\n")
        self.assertIn("can't be opened anew", self.said[0])

    def test_aFullDiskIsToldOnceAndNothingIsLostWhenThereIsSpaceAgain(self) -> None:
        restore = self.failing(after=6)
        self.writer.write("one\n")
        self.writer.write("two\n")
        self.clock.advance(BATCH_DELAY)
        self.writer.write("three\n")
        self.clock.advance(RETRY_DELAY)
        self.clock.advance(RETRY_DELAY)
        self.assertEqual(self.path.read_text(), "one\ntw")
        self.assertEqual(len(self.said), 1, self.said)
        self.assertIn("No space left on device", self.said[0])
        restore()
        self.clock.advance(RETRY_DELAY)
        self.assertEqual(self.path.read_text(), "one\ntwo\nthree\n")
        self.assertIn("is written again; 0 lines were lost", self.said[1])
        self.clock.advance(BATCH_DELAY)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_whatIsHeldForAFullDiskIsBoundedAndTheRestIsCounted(self) -> None:
        restore = self.failing()
        line = "x" * 1023 + "\n"
        number = 2 * MAX_HELD // 1024
        for _ in range(number):
            self.writer.write(line)
        self.writer.flush()
        restore()
        self.writer.flush()
        written = len(self.path.read_text().splitlines())
        self.assertEqual(written, MAX_HELD // 1024)
        self.assertIn(f"{number - written} lines were lost", self.said[-1])

    def test_aPipeThatIsFullForAMomentIsNoFailure(self) -> None:
        restore = self.failing(BlockingIOError(errno.EAGAIN, "try again"))
        self.writer.write("line\n")
        self.clock.advance(BATCH_DELAY)
        restore()
        self.clock.advance(BATCH_DELAY)
        self.assertEqual((self.path.read_text(), self.said), ("line\n", []))

    def test_intoAPipeGoPiecesOfWholeLinesThatNobodyCanDivide(self) -> None:
        reader, end = os.pipe()
        self.addCleanup(os.close, reader)
        self.addCleanup(os.close, end)
        writer = LineWriter("-", self.clock, end)
        pieces: list[bytes] = []
        real = os.write

        def write(descriptor: int, data: bytes) -> int:
            pieces.append(data)
            return real(descriptor, data)

        self.patch(os, "write", write)
        sent = [f"{number} ".ljust(999, "x") + "\n" for number in range(9)] + ["y" * 5000 + "\n", "z\n"]
        for line in sent:
            writer.write(line)
        writer.close()
        self.assertEqual(b"".join(pieces).decode(), "".join(sent))
        self.assertTrue(all(piece.endswith(b"\n") for piece in pieces))
        self.assertTrue(all(len(piece) <= 4096 or piece.count(b"\n") == 1 for piece in pieces))
        self.assertLess(len(pieces), len(sent))
        self.assertEqual(os.read(reader, 1 << 20).decode(), "".join(sent))

    def test_nobodyElseMayReadTheFile(self) -> None:
        self.assertEqual(self.path.stat().st_mode & 0o007, 0)
