"""
Tests for L{hermes.ndn.app.fetcher}: what it does where the network loses, refuses and marks.
"""

from __future__ import annotations

from itertools import pairwise
from random import Random
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from hermes.ndn.app.errors import FetchFailed
from hermes.ndn.app.windows import AimdWindow, CubicWindow, FixedWindow
from hermes.ndn.packet.component import segment
from hermes.ndn.packet.data import encodeData
from hermes.ndn.packet.metainfo import MetaInfo
from hermes.ndn.packet.peek import DataView, InterestView
from hermes.ndn.packet.typenumbers import CONTENT_NACK
from hermes.ndn.security.signers import DigestSigner
from hermes.test.ndn.app.fetches import PREFIX, Fetch, at


class LossTests(SynchronousTestCase):
    """
    What is lost is asked for again, in time and not too often.
    """

    def test_onceAfterATimeOutThatFollowsTheRoundTrip(self) -> None:
        fetch = Fetch(1000, FixedWindow(1))
        lost: list[float] = []

        def loses(view: Any) -> bool:
            if isinstance(view, InterestView) and at(view) == 5 and not lost:
                lost.append(fetch.network.clock.seconds())
                return True
            return False

        fetch.network.loses = loses
        report = fetch.run()
        self.assertEqual((report.timeouts, fetch.asked[5], fetch.asked[4]), (1, 1, 1))
        # The least time-out is 200 ms; all else takes 10 round trips.
        self.assertApproximates(report.seconds, 10 * 0.02 + 0.2, 0.02)

    def test_whatWasSentTwiceMeasuresNothing(self) -> None:
        fetch = Fetch(300, FixedWindow(1))
        seen: set[int] = set()

        def loses(view: Any) -> bool:
            first = isinstance(view, InterestView) and at(view) not in seen
            seen.add(at(view))
            return first and at(view) == 1

        fetch.network.loses = loses
        report = fetch.run()
        self.assertEqual((report.roundTrips, report.segments), (2, 3))

    def test_whatComesLateIsTakenAndNotAskedForAgain(self) -> None:
        fetch = Fetch(200, FixedWindow(2))
        deliver = fetch.network._data
        slow: list[DataView] = []

        def delayed(view: DataView) -> None:
            if at(view) == 1 and not slow:
                slow.append(view)
                # Later than the time-out, before what is sent again would be answered.
                fetch.network.clock.callLater(1.0, deliver, view)
            else:
                deliver(view)

        fetch.network._data = delayed  # type: ignore[method-assign]
        report = fetch.run()
        self.assertEqual(b"".join(fetch.got), fetch.content)
        self.assertEqual(report.segments, 2)

    def test_anInterestIsWaitedForNoLongerThanItLives(self) -> None:
        fetch = Fetch(100, lifetime=300)
        first: list[Any] = []
        fetch.network.loses = lambda view: not first and not first.append(view)  # type: ignore[func-returns-value]
        report = fetch.run()
        # The initial time-out is a second (RFC 6298).
        self.assertLess(report.seconds, 0.5)
        self.assertEqual(fetch.network.interests[-1].lifetime, 300)

    def test_tooOftenIsAFailureThatNamesTheSegment(self) -> None:
        fetch = Fetch(1000, retries=3)
        fetch.network.loses = lambda view: at(view) == 7
        with self.assertRaisesRegex(FetchFailed, "/a/v=1: segment 7 can't be had: no answer, 4 times"):
            fetch.run()
        self.assertEqual(b"".join(fetch.got), fetch.content[:700])
        self.assertEqual(sum(at(view) == 7 for view in fetch.network.interests), 4)
        fetch.network.run(5)
        self.assertEqual(fetch.network.clock.getDelayedCalls(), [])
        self.assertEqual(fetch.client._exact, {})

    def test_eachTimeItIsWaitedForTwiceAsLong(self) -> None:
        fetch = Fetch(1000, FixedWindow(5), retries=4, lifetime=1000)
        asked: list[float] = []

        def loses(view: Any) -> bool:
            if at(view) == 7:
                asked.append(fetch.network.clock.seconds())
            return at(view) == 7

        fetch.network.loses = loses
        with self.assertRaises(FetchFailed):
            fetch.run()
        for pause, expected in zip([b - a for a, b in pairwise(asked)], (0.2, 0.4, 0.8, 1.0), strict=True):
            self.assertApproximates(pause, expected, 0.02)

    def test_othersAreNotWaitedForLongerWhereOneIsLostAgainAndAgain(self) -> None:
        fetch = Fetch(20000, FixedWindow(10), retries=-1)
        fetch.network.loses = lambda view: (
            (at(view) == 7 and fetch.network.clock.seconds() < 5)
            or (
                isinstance(view, InterestView)
                and at(view) == 150
                and sum(at(each) == 150 for each in fetch.network.interests) == 1
            )
        )
        waiting = fetch.fetcher.start()
        fetch.network.run(2)
        self.assertEqual(fetch.asked[150], 1)
        fetch.network.result(waiting)

    def test_soAreNacks(self) -> None:
        fetch = Fetch(1000, retries=3)
        fetch.network.nacks = lambda view: 150 if at(view) == 7 else None
        with self.assertRaisesRegex(FetchFailed, "segment 7 can't be had: Nack, no route, 4 times"):
            fetch.run()
        self.assertEqual(fetch.fetcher.report.nacks, {150: 4})

    def test_aDuplicateIsAskedForAtOnceWithANewNonce(self) -> None:
        fetch = Fetch(100)
        fetch.network.nacks = lambda view: 100 if len(fetch.network.interests) < 11 and at(view) == 0 else None
        report = fetch.run()
        nonces = [view.nonce for view in fetch.network.interests if at(view) == 0]
        self.assertEqual(len(nonces), len(set(nonces)))
        self.assertGreater(report.nacks[100], 0)
        self.assertLess(report.seconds, 0.2)

    def test_contentTypeNackIsAFailure(self) -> None:
        fetch = Fetch(1000)
        data = fetch.object.data
        fetch.object.data = lambda at: (  # type: ignore[method-assign]
            encodeData(PREFIX + segment(at), b"", DigestSigner(), MetaInfo(CONTENT_NACK)) if at == 3 else data(at)
        )
        with self.assertRaisesRegex(FetchFailed, "the producer has no segment 3"):
            fetch.run()


class WindowTests(SynchronousTestCase):
    """
    The window hears of what happens.
    """

    class Window(FixedWindow):
        """
        Counts.
        """

        losses = 0
        answers = 0

        def received(self, now: float, smoothed: float, measured: float) -> None:
            """
            Count.
            """
            self.answers += 1

        def lost(self, now: float) -> None:
            """
            Count.
            """
            self.losses += 1

    def test_oneLossForAWindowThatIsLostAsAWhole(self) -> None:
        window = self.Window(10)
        fetch = Fetch(5000, window)
        fetch.network.loses = lambda view: (
            isinstance(view, InterestView) and 20 <= at(view) < 30 and view.nonce in nonces
        )
        nonces = set(range(21, 31))
        report = fetch.run()
        self.assertEqual(report.timeouts, 10)
        self.assertEqual(window.losses, 1)
        self.assertEqual(window.answers, 50)

    def test_orOneForEach(self) -> None:
        window = self.Window(10)
        fetch = Fetch(5000, window, everyLoss=True)
        fetch.network.marks = lambda view: 1
        fetch.run()
        self.assertEqual((window.losses, window.answers), (50, 0))

    def test_marksAreLossesOnceInAWindow(self) -> None:
        window = self.Window(10)
        fetch = Fetch(5000, window)
        fetch.network.marks = lambda view: int(20 <= at(view) < 25)
        report = fetch.run()
        self.assertEqual((report.marks, window.losses, window.answers), (5, 1, 45))

    def test_marksCanBeIgnored(self) -> None:
        window = self.Window(10)
        fetch = Fetch(5000, window, ignoreMarks=True)
        fetch.network.marks = lambda view: 1
        report = fetch.run()
        self.assertEqual((report.marks, window.losses, window.answers), (50, 0, 50))

    def test_nacksOfCongestionAreLosses(self) -> None:
        window = self.Window(10)
        fetch = Fetch(5000, window)
        fetch.network.nacks = lambda view: 50 if at(view) == 25 and view.nonce == 26 else None
        fetch.run()
        self.assertEqual(window.losses, 1)

    def test_adaptiveWindowsFillTheNetworkAndGiveWay(self) -> None:
        for window in (AimdWindow(), CubicWindow()):
            fetch = Fetch(50000, window)
            # A queue of 40: what comes to a longer one is marked.
            fetch.network.marks = lambda view, fetch=fetch: int(len(fetch.fetcher._flights) > 40)  # type: ignore[misc]
            report = fetch.run()
            self.assertEqual(b"".join(fetch.got), fetch.content)
            self.assertGreater(report.mostInFlight, 38)
            self.assertLess(report.mostInFlight, 90)
            self.assertEqual(report.timeouts, 0)


class OvertakenTests(SynchronousTestCase):
    """
    What others overtake is lost, and is asked for again before its time-out.
    """

    def test_aSegmentThatOthersOvertakeIsAskedForAtOnce(self) -> None:
        fetch = Fetch(10000, FixedWindow(10))
        fetch.network.loses = lambda view: at(view) == 20 and isinstance(view, InterestView) and view.nonce == 21
        report = fetch.run()
        self.assertEqual((report.overtaken, report.timeouts, report.sent), (1, 0, 101))
        # Ten round trips of 20 ms, and a bit.
        self.assertLess(report.seconds, 0.3)
        self.assertEqual(b"".join(fetch.got), fetch.content)

    def test_whatIsLostOnceMoreHasItsTimeOut(self) -> None:
        fetch = Fetch(10000, FixedWindow(10))
        times: list[int] = []

        def loses(view: Any) -> bool:
            if at(view) != 20 or not isinstance(view, InterestView) or len(times) == 2:
                return False
            times.append(1)
            return True

        fetch.network.loses = loses
        report = fetch.run()
        self.assertEqual((report.overtaken, report.timeouts), (1, 1))

    def test_aSmallReorderingIsNoLoss(self) -> None:
        fetch = Fetch(10000, FixedWindow(10))
        deliver = fetch.network._data

        def reordered(view: DataView) -> None:
            fetch.network.clock.callLater(0.01 if at(view) % 3 else 0.0, deliver, view)

        fetch.network._data = reordered  # type: ignore[method-assign]
        report = fetch.run()
        self.assertEqual((report.overtaken, report.timeouts, report.sent), (0, 0, 100))

    def test_whatComesFromFurtherAwayIsNotAskedForAgainAndAgain(self) -> None:
        # Every other segment comes from a cache nearby, the rest from ten times as far.
        fetch = Fetch(40000, FixedWindow(10))
        deliver = fetch.network._data

        def farther(view: DataView) -> None:
            fetch.network.clock.callLater(0.2 if at(view) % 2 else 0.0, deliver, view)

        fetch.network._data = farther  # type: ignore[method-assign]
        report = fetch.run()
        self.assertEqual(b"".join(fetch.got), fetch.content)
        self.assertLess(report.sent, 400 + 20)

    def test_losesAndComesFromFurtherAway(self) -> None:
        fetch = Fetch(40000, FixedWindow(10))
        deliver = fetch.network._data
        random = Random(5)

        def farther(view: DataView) -> None:
            fetch.network.clock.callLater(0.2 if at(view) % 2 else 0.0, deliver, view)

        fetch.network._data = farther  # type: ignore[method-assign]
        fetch.network.loses = lambda view: random.random() < 0.02
        report = fetch.run()
        self.assertEqual(b"".join(fetch.got), fetch.content)
        self.assertLess(report.sent, 400 + 60)
