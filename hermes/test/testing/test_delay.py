"""
What is on its way.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hermes.testing.links import Rotation
from hermes.testing.links.delay import SLACK, DelayLine


class DelayLineTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.arrived: list[int] = []
        self.line: DelayLine[int] = DelayLine(self.clock, self.arrived.append)

    def test_itemsArriveWhenTheyAreDue(self) -> None:
        self.line.put(2.0, 2)
        self.line.put(1.0, 1)
        self.clock.advance(0.9)
        self.assertEqual(self.arrived, [])
        self.clock.advance(0.1)
        self.assertEqual((self.arrived, len(self.line)), ([1], 1))
        self.clock.advance(1)
        self.assertEqual(self.arrived, [1, 2])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    @given(st.lists(st.floats(0, 10), max_size=30))
    def test_thereIsOneTimerHoweverManyWait(self, dues: list[float]) -> None:
        self.setUp()
        for number, due in enumerate(dues):
            self.line.put(due, number)
            self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        while self.clock.getDelayedCalls():
            self.clock.advance(self.clock.getDelayedCalls()[0].getTime() - self.clock.seconds())
        self.assertEqual(
            self.arrived, [number for number, _ in sorted(enumerate(dues), key=lambda pair: (pair[1], pair[0]))]
        )

    def test_whatIsAlmostDueArrivesToo(self) -> None:
        for number in range(100):
            self.line.put(1.0 + number * SLACK / 200, number)
        self.clock.advance(1.0)
        self.assertEqual(len(self.arrived), 100)

    def test_frozenNothingArrives(self) -> None:
        self.line.put(1.0, 1)
        self.line.freeze()
        self.clock.advance(5)
        self.line.put(6.0, 2)
        self.assertEqual((self.arrived, self.clock.getDelayedCalls()), ([], []))
        self.line.thaw()
        self.clock.advance(0)
        self.assertEqual(self.arrived, [1])
        self.clock.advance(1)
        self.assertEqual(self.arrived, [1, 2])

    def test_clearedNothingIsLeft(self) -> None:
        self.line.put(1.0, 1)
        self.line.clear()
        self.assertEqual((len(self.line), self.clock.getDelayedCalls()), (0, []))

    def test_whoDeliversMayPutMore(self) -> None:
        def deliver(item: int) -> None:
            self.arrived.append(item)
            if item:
                line.put(self.clock.seconds() + 1.0, item - 1)

        line: DelayLine[int] = DelayLine(self.clock, deliver)
        line.put(1.0, 3)
        self.clock.pump([1.0] * 4)
        self.assertEqual(self.arrived, [3, 2, 1, 0])


class FakeLink:
    """
    Writes down what it is.
    """

    isUp = True

    def up(self) -> None:
        self.isUp = True

    def down(self) -> None:
        self.isUp = False


class RotationTests(SynchronousTestCase):
    def test_exactlyOneIsUpAtATime(self) -> None:
        clock = Clock()
        links = [FakeLink() for _ in range(3)]
        turns: list[int] = []
        rotation = Rotation(clock, links, 1.0, turns.append)
        rotation.start(1)
        for expected in (1, 2, 0, 1):
            self.assertEqual([link.isUp for link in links], [place == expected for place in range(3)])
            clock.advance(1)
        rotation.stop()
        self.assertEqual((turns, clock.getDelayedCalls()), ([1, 2, 0, 1, 2], []))
