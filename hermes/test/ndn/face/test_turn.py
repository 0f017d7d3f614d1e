"""
Tests for L{hermes.ndn.face.turn}.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hermes.ndn.face.turn import Turn


class Flushed:
    """
    Counts how often it was flushed, and may have something for another meanwhile.
    """

    def __init__(self, then: Callable[[], object] | None = None) -> None:
        self.count = 0
        self._then = then

    def flush(self) -> None:
        self.count += 1
        if self._then is not None:
            self._then()


class TurnTests(SynchronousTestCase):
    """
    When faces are flushed.
    """

    def test_atOnceWhereThereAreNoTurns(self) -> None:
        face = Flushed()
        Turn(Clock()).add(face)
        self.assertEqual(face.count, 1)

    def test_afterTheBatch(self) -> None:
        turn, face, other = Turn(Clock()), Flushed(), Flushed()
        turn.begin()
        turn.add(face)
        turn.begin()
        turn.add(other)
        turn.end()
        self.assertEqual(face.count, 0)
        turn.end()
        self.assertEqual((face.count, other.count), (1, 1))

    def test_atTheEndOfATurn(self) -> None:
        clock = Clock()
        ending: list[Callable[[], object]] = []
        clock.atTurnsEnd = ending.append  # type: ignore[attr-defined]
        turn, face = Turn(clock), Flushed()
        turn.begin()
        turn.add(face)
        turn.end()
        turn.add(Flushed())
        self.assertEqual((face.count, len(ending)), (0, 1))
        ending.pop()()
        self.assertEqual(face.count, 1)
        turn.add(face)
        self.assertEqual(len(ending), 1)

    def test_whatComesOfFlushingLeavesToo(self) -> None:
        turn = Turn(Clock())
        last = Flushed()
        turn.add(Flushed(lambda: turn.add(last)))
        self.assertEqual(last.count, 1)
