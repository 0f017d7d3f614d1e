"""
What is in a wheel ends in time, and never early.
"""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hermes.ndn.forwarder.wheel import Timed, TimerWheel


class Item:
    """
    Something that ends.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.due = 0.0
        self.slot: dict[Timed, None] | None = None

    def __repr__(self) -> str:
        return self.name


class TimerWheelTests(SynchronousTestCase):
    """
    L{TimerWheel}.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(77.7)
        self.ended: list[tuple[str, float]] = []
        self.wheel: TimerWheel[Item] = TimerWheel(self.clock, self.end)

    def end(self, item: Item) -> None:
        self.ended.append((item.name, self.clock.seconds()))

    def insert(self, name: str, delay: float) -> Item:
        item = Item(name)
        now = self.clock.seconds()
        self.wheel.insert(item, now + delay, now)
        return item

    def names(self) -> list[str]:
        return [name for name, _ in self.ended]

    def test_oneTimerServesAll(self) -> None:
        for number in range(1000):
            self.insert(str(number), 4 + number / 1000)
        self.assertEqual((len(self.wheel), len(self.clock.getDelayedCalls())), (1000, 1))
        self.clock.pump([0.01] * 550)
        self.assertEqual(sorted(map(int, self.names())), list(range(1000)))
        self.assertEqual((len(self.wheel), self.clock.getDelayedCalls()), (0, []))

    def test_neitherEarlyNorMoreThanASlotLate(self) -> None:
        self.insert("x", 4)
        self.clock.advance(3.999)
        self.assertEqual(self.names(), [])
        self.clock.advance(0.0111)
        self.assertEqual(self.names(), ["x"])

    def test_whatIsDueSoonerEndsSooner(self) -> None:
        self.insert("later", 4)
        self.insert("sooner", 1)
        self.insert("soonest", 0.5)
        self.clock.pump([0.25] * 20)
        self.assertEqual(self.names(), ["soonest", "sooner", "later"])

    def test_inOneSlotTheFirstEndsFirst(self) -> None:
        for name in "abc":
            self.insert(name, 1)
        self.clock.advance(2)
        self.assertEqual(self.names(), ["a", "b", "c"])

    def test_whatWasTakenOutDoesNotEnd(self) -> None:
        item = self.insert("x", 1)
        self.wheel.remove(item)
        self.wheel.remove(item)
        self.insert("y", 1)
        self.clock.advance(2)
        self.assertEqual(self.names(), ["y"])

    def test_aTimeThatWasMovedToLaterHolds(self) -> None:
        item = self.insert("x", 1)
        item.due += 2
        self.clock.advance(1.5)
        self.assertEqual(self.names(), [])
        self.clock.advance(1.6)
        self.assertEqual(self.names(), ["x"])

    def test_whatIsFarAwayIsLateByASecondAtMost(self) -> None:
        for number in range(1000):
            self.insert(str(number), 100 + number / 100)
        self.assertLess(len(self.wheel._slots), 15)
        started = self.clock.seconds()
        self.clock.pump([0.05] * 2300)
        for name, time in self.ended:
            late = time - started - 100 - int(name) / 100
            self.assertTrue(-1e-6 <= late <= 1.06, late)
        self.assertEqual(len(self.ended), 1000)

    def test_thousandsThatEndAtOnceEndInSeveralTurns(self) -> None:
        for number in range(5000):
            self.insert(str(number), 1)
        turns: list[int] = []
        callLater = self.clock.callLater

        def counting(delay: float, call: Callable[[], None]) -> object:
            turns.append(len(self.ended))
            return callLater(delay, call)

        self.patch(self.clock, "callLater", counting)
        self.clock.advance(1.1)
        self.assertEqual(self.names(), [str(number) for number in range(5000)])
        self.assertEqual(turns, [2000, 4000])

    def test_whatEndsMayPutInAndTakeOut(self) -> None:
        items: dict[str, Item] = {}

        def end(item: Item) -> None:
            self.end(item)
            if item.name == "a":
                self.wheel.remove(items["b"])
                now = self.clock.seconds()
                self.wheel.insert(items["a"], now + 1, now)
                # Taken out, and put in again for later.
                self.wheel.remove(items["c"])
                self.wheel.insert(items["c"], now + 2, now)

        self.wheel._ended = end
        for name in "abc":
            items[name] = self.insert(name, 1)
        self.clock.advance(1.1)
        self.assertEqual(self.names(), ["a"])
        self.wheel.remove(items["a"])
        self.clock.advance(1)
        self.assertEqual(self.names(), ["a"])
        self.clock.advance(1.1)
        self.assertEqual(self.names(), ["a", "c"])

    def test_oneThatFailsDoesNotKeepTheOthers(self) -> None:
        def end(item: Item) -> None:
            if item.name == "bad":
                raise RuntimeError("bad")
            self.end(item)

        self.wheel._ended = end
        for name in ("a", "bad", "b"):
            self.insert(name, 1)
        self.assertRaises(RuntimeError, self.clock.advance, 1.1)
        self.clock.advance(0)
        self.assertEqual(self.names(), ["a", "b"])

    def test_whatIsStoppedEndsNothing(self) -> None:
        item = self.insert("x", 1)
        self.wheel.stop()
        self.assertEqual((item.slot, self.clock.getDelayedCalls(), len(self.wheel)), (None, [], 0))

    @given(
        st.lists(
            st.tuples(st.floats(0, 3, allow_nan=False), st.sampled_from(["keep", "remove", "extend"]), st.floats(0, 1)),
            max_size=30,
        )
    )
    def test_everythingEndsOnceInItsTime(self, items: list[tuple[float, str, float]]) -> None:
        clock = Clock()
        ended: dict[str, float] = {}

        def end(item: Item) -> None:
            self.assertNotIn(item.name, ended)
            ended[item.name] = clock.seconds()

        wheel: TimerWheel[Item] = TimerWheel(clock, end)
        expected = {}
        for number, (delay, what, more) in enumerate(items):
            item = Item(str(number))
            wheel.insert(item, clock.seconds() + delay, clock.seconds())
            if what == "remove":
                wheel.remove(item)
                continue
            if what == "extend":
                item.due += more
            expected[item.name] = item.due
        clock.pump([0.003] * 1500)
        self.assertEqual(ended.keys(), expected.keys())
        for name, due in expected.items():
            self.assertTrue(-1e-6 <= ended[name] - due < 0.014, (ended[name], due))
