"""
Tests of L{hermes.ndn.management.prefixes.sessions}.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.ndn.management.prefixes.messages import MAX_COST, MAX_PATH, Update
from hermes.ndn.management.prefixes.paths import Path
from hermes.ndn.management.prefixes.sessions import Hearing, Telling
from hermes.ndn.packet.component import generic
from hermes.ndn.packet.name import Name


def prefix(number: int) -> bytes:
    """
    A name's value.
    """
    return Name([generic(b"prefix"), generic(b"%d" % number)]).value


class Pair:
    """
    A node that tells and one that hears.

    @ivar known: what there is to tell.
    @ivar heard: what has arrived, as costs.
    """

    def __init__(self, maxPrefixes: int = 1000) -> None:
        self.known: dict[bytes, Path] = {}
        self.heard: dict[bytes, Path] = {}
        self.sessions = 0
        self.telling = Telling("edge", 15_000, self.known.get, self.random)
        self.maxPrefixes = maxPrefixes
        self.hearing = Hearing("far", maxPrefixes)
        self.updates = 0
        self.now = 0.0
        self.telling.begin(self.known)

    def random(self, size: int) -> bytes:
        """
        Never the same.
        """
        self.sessions += 1
        return self.sessions.to_bytes(size, "big")

    def set(self, key: bytes, path: Path | None) -> None:
        """
        Something has changed.
        """
        if path is None:
            self.known.pop(key, None)
        else:
            self.known[key] = path
        self.telling.changed(key)

    def exchange(self, arrives: bool = True, answered: bool = True) -> None:
        """
        One update, and its answer.
        """
        wire = self.telling.update()
        if not arrives:
            return
        update = Update.decode(wire)
        update.check()
        self.updates += 1
        answer, changes = self.hearing.receive(update, self.now)
        for key, path in changes.items():
            if path is None:
                del self.heard[key]
            else:
                self.heard[key] = path
        if answered and not self.telling.acknowledged(answer):
            self.telling.begin(self.known)

    def settle(self) -> None:
        """
        Until all is told.
        """
        for _ in range(1000):
            if not self.telling.pending:
                return
            self.exchange()
        raise AssertionError("it never ends")

    def expected(self) -> dict[bytes, Path]:
        """
        What should be heard.
        """
        return {
            key: Path.over(("edge", *path.nodes), path.cost)
            for key, path in self.known.items()
            if "far" not in path.nodes and path.length < MAX_PATH and path.cost <= MAX_COST
        }


HERE = Path.over((), 0)


class SessionTests(SynchronousTestCase):
    """
    What is told is heard.
    """

    def setUp(self) -> None:
        self.pair = Pair()

    def settled(self) -> None:
        """
        All has arrived.
        """
        self.pair.settle()
        self.assertEqual(self.pair.heard, self.pair.expected())

    def test_changesAreToldAndNothingElse(self) -> None:
        self.pair.set(prefix(1), HERE)
        self.settled()
        self.pair.set(prefix(2), HERE)
        self.assertEqual(len(Update.decode(self.pair.telling.update()).announcements), 1)
        self.settled()
        self.pair.set(prefix(1), None)
        self.settled()
        self.pair.set(prefix(1), None)
        self.settled()
        self.assertEqual(self.pair.updates, 4)

    def test_muchIsToldInSeveralUpdates(self) -> None:
        for number in range(500):
            self.pair.set(prefix(number), Path.over(("b", "c"), number))
        self.settled()
        self.assertGreater(self.pair.updates, 2)
        self.assertLess(self.pair.updates, 10)

    def test_withNothingToTellItSaysThatItIsThere(self) -> None:
        self.settled()
        self.pair.now = 100.0
        self.pair.exchange()
        self.assertEqual(self.pair.hearing.until, 115.0)
        self.assertEqual(self.pair.hearing.node, "edge")
        self.settled()

    def test_anUpdateThatIsLostIsToldAgain(self) -> None:
        self.pair.set(prefix(1), HERE)
        first = self.pair.telling.update()
        self.pair.exchange(arrives=False)
        self.pair.set(prefix(2), HERE)
        self.assertIs(self.pair.telling.update(), first)
        self.settled()

    def test_anUpdateThatComesTwiceIsTakenOnce(self) -> None:
        self.pair.set(prefix(1), HERE)
        self.pair.exchange(answered=False)
        self.pair.exchange()
        self.settled()
        self.assertEqual(self.pair.sessions, 1)

    def test_whoHasForgottenIsToldAnew(self) -> None:
        self.pair.set(prefix(1), HERE)
        self.settled()
        self.assertEqual(self.pair.hearing.forget(), [prefix(1)])
        self.pair.heard.clear()
        self.pair.set(prefix(2), HERE)
        self.settled()
        self.assertEqual((self.pair.sessions, len(self.pair.heard)), (2, 2))

    def test_whoBeginsAnewTakesBackWhatItDoesNotSayAgain(self) -> None:
        for number in range(300):
            self.pair.set(prefix(number), HERE)
        self.settled()
        for number in range(300):
            if number % 3:
                del self.pair.known[prefix(number)]
        self.pair.telling.begin(self.pair.known)
        self.pair.exchange()
        # What comes again never goes.
        self.assertTrue(self.pair.expected().keys() <= self.pair.heard.keys())
        self.settled()

    def test_whatLeadsBackIsNoWay(self) -> None:
        self.pair.set(prefix(1), Path.over(("b", "far", "c"), 1))
        self.pair.set(prefix(2), Path.over(("b",), 1))
        self.settled()
        self.assertEqual(len(self.pair.heard), 1)
        self.pair.set(prefix(2), Path.over(("far",), 1))
        self.settled()
        self.assertEqual(self.pair.heard, {})

    def test_whatIsTooFarTooDearOrTooLargeIsNotTold(self) -> None:
        self.pair.set(prefix(1), Path.over(tuple(map(str, range(MAX_PATH))), 1))
        self.pair.set(prefix(2), Path.over((), MAX_COST + 1))
        self.pair.set(prefix(3), HERE)
        self.settled()
        self.assertEqual((self.pair.telling.silent, list(self.pair.heard)), (2, [prefix(3)]))
        large = Name([generic(bytes(8000))]).value
        self.pair.set(large, HERE)
        self.pair.settle()
        self.assertEqual((self.pair.telling.silent, len(self.pair.heard)), (3, 1))
        self.pair.set(large, None)
        self.pair.set(prefix(2), HERE)
        self.pair.set(prefix(3), Path.over((), MAX_COST + 1))
        self.settled()
        self.assertEqual((self.pair.telling.silent, list(self.pair.heard)), (2, [prefix(2)]))

    def test_soManyAreTakenAndNoMoreUntilThereIsRoom(self) -> None:
        pair = self.pair = Pair(maxPrefixes=20)
        for number in range(25):
            pair.set(prefix(number), HERE)
        pair.settle()
        self.assertEqual((len(pair.heard), pair.hearing.ignored), (20, 5))
        for number in range(4):
            pair.set(prefix(number), None)
        pair.settle()
        self.assertEqual((len(pair.heard), pair.hearing.ignored), (20, 1))
        pair.set(prefix(4), None)
        for number in range(5, 9):
            pair.set(prefix(number), None)
        self.settled()
        self.assertEqual(pair.hearing.ignored, 0)

    def test_anUpdateOfAnUnknownSessionIsNotTaken(self) -> None:
        update = Update(node="edge", session=b"unknowns", sequence=3, hold=1000)
        answer, changes = self.pair.hearing.receive(update, 0)
        self.assertEqual((answer.session, answer.expected, changes), (b"unknowns", 0, {}))

    def test_anUpdateOutOfOrderIsNotTaken(self) -> None:
        self.pair.set(prefix(1), HERE)
        self.settled()
        session = Update.decode(self.pair.telling.update()).session
        for sequence in (5, 2):
            answer, changes = self.pair.hearing.receive(
                Update(node="edge", session=session, sequence=sequence, hold=1000), 0
            )
            self.assertEqual((answer.expected, changes), (0, {}))

    @settings(max_examples=150, deadline=None)
    @given(
        st.lists(
            st.one_of(
                st.tuples(st.just("set"), st.integers(0, 8), st.integers(0, 3)),
                st.tuples(st.just("unset"), st.integers(0, 8), st.just(0)),
                st.tuples(st.just("exchange"), st.booleans(), st.booleans()),
                st.tuples(st.just("begin"), st.just(0), st.just(0)),
                st.tuples(st.just("forget"), st.just(0), st.just(0)),
            ),
            max_size=40,
        )
    )
    def test_whateverHappensAllArrives(self, steps: list[tuple[str, int, int]]) -> None:
        pair = Pair()
        for step, first, second in steps:
            if step == "set":
                nodes = ((), ("b",), ("far",), ("b", "c"))[second]
                pair.set(prefix(first), Path.over(nodes, second))
            elif step == "unset":
                pair.set(prefix(first), None)
            elif step == "exchange":
                pair.exchange(bool(first), bool(second))
            elif step == "begin":
                pair.telling.begin(pair.known)
            else:
                self.assertEqual(sorted(pair.hearing.forget()), sorted(pair.heard))
                pair.heard.clear()
        # Whoever forgets says so only when asked: so there is one more exchange.
        pair.exchange()
        pair.settle()
        self.assertEqual(pair.heard, pair.expected())
