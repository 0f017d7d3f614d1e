"""
Tests for L{hermes.ndn.app.fetcher}: objects over networks that lose, delay and mark.
"""

from __future__ import annotations

from collections import Counter
from functools import partial
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from hermes.ndn.app.errors import Disconnected, FetchFailed
from hermes.ndn.app.fetcher import SegmentFetcher
from hermes.ndn.app.fetching import FetchOptions, FetchReport
from hermes.ndn.app.publisher import BytesSource, SegmentedObject
from hermes.ndn.app.registration import register
from hermes.ndn.app.windows import AimdWindow, CubicWindow, FixedWindow, Window
from hermes.ndn.packet.component import SEGMENT, isNumber, number, segment
from hermes.ndn.packet.data import Data, encodeData
from hermes.ndn.packet.metainfo import MetaInfo
from hermes.ndn.packet.name import Name
from hermes.ndn.packet.peek import DataView, InterestView
from hermes.ndn.packet.signatureinfo import Signer
from hermes.ndn.packet.typenumbers import CONTENT_NACK
from hermes.ndn.security.errors import Untrusted
from hermes.ndn.security.integrity import IntegrityVerifier
from hermes.ndn.security.signers import DigestSigner
from hermes.ndn.security.validator import Validator
from hermes.test.ndn.app.network import Network
from hermes.test.ndn.security.keys import NOW, Identity

PREFIX = Name.fromText("/a/v=1")


def content(size: int) -> bytes:
    """
    Bytes that show when they are out of place.
    """
    return Random(size).randbytes(size)


def at(view: InterestView | DataView) -> int:
    """
    The segment that it is about; -1 for none.
    """
    last = Name.fromValue(view.name)[-1]
    return number(last) if isNumber(last, SEGMENT) else -1


class Fetch:
    """
    A producer of an object in segments of 100 bytes, and somebody who fetches it.
    """

    def __init__(self, size: int, window: Window | None = None, signer: Signer | None = None, **options: Any) -> None:
        self.network = Network()
        self.network.delay = 0.01
        self.content = content(size)
        self.object = SegmentedObject(PREFIX, BytesSource(self.content), signer or DigestSigner(), 100)
        self.client = self.network.client()
        self.producer = self.network.client()
        self.asked: Counter[int] = Counter()
        self.network.result(
            Deferred.fromCoroutine(register(self.producer, self.network.signer(), PREFIX[:1], self.answer))
        )
        self.got: list[bytes] = []
        self.told: list[tuple[int, int]] = []
        names = ("verifier", "first", "last")
        self.fetcher = SegmentFetcher(
            self.client,
            PREFIX,
            FixedWindow(10) if window is None else window,
            self.deliver,
            FetchOptions(**{key: value for key, value in options.items() if key not in names}),
            progress=lambda report: self.told.append((report.segments, report.bytes)),
            **{key: value for key, value in options.items() if key in names},
        )
        self.begun = self.network.clock.seconds()

    def answer(self, view: InterestView, reply: Any) -> None:
        """
        The producer.
        """
        self.asked[at(view)] += 1
        wire = self.object.data(at(view))
        if wire is not None:
            reply(wire)

    def deliver(self, piece: Any) -> None:
        """
        The consumer.
        """
        self.got.append(bytes(piece))

    def run(self, most: float = 200.0) -> FetchReport:
        """
        Fetch it all.
        """
        report: FetchReport = self.network.result(self.fetcher.start(), most)
        return report


class WholeTests(SynchronousTestCase):
    """
    Objects arrive whole, and in order.
    """

    def test_ofAnySize(self) -> None:
        for size in (0, 1, 99, 100, 101, 1000, 12345):
            fetch = Fetch(size)
            report = fetch.run()
            self.assertEqual(b"".join(fetch.got), fetch.content)
            self.assertEqual((report.segments, report.bytes), (fetch.object.count, size))
            self.assertEqual((report.timeouts, report.nacks, report.loss), (0, {}, 0.0))
            self.assertEqual(str(report.name), "/a/v=1")
            self.network(fetch)

    def network(self, fetch: Fetch) -> None:
        """
        Fail unless nothing is left behind.
        """
        fetch.network.run(5)
        self.assertEqual(fetch.network.clock.getDelayedCalls(), [])
        self.assertEqual((fetch.client._exact, fetch.client._prefixes), ({}, {}))

    def test_theWindowIsFilledAndNotMore(self) -> None:
        fetch = Fetch(10000, FixedWindow(20))
        report = fetch.run()
        self.assertEqual(report.mostInFlight, 20)
        # 100 segments, 20 in a round trip of 20 ms.
        self.assertAlmostEqual(report.seconds, 5 * 0.02)
        self.assertAlmostEqual(report.goodput, 10000 / 0.1)
        self.assertEqual(report.sent, 100)
        self.assertEqual(report.roundTrips, 100)
        self.assertAlmostEqual(report.shortest, 0.02)

    def test_progressIsTold(self) -> None:
        fetch = Fetch(1000)
        fetch.run()
        self.assertEqual(fetch.told[-1], (10, 1000))
        self.assertEqual(fetch.told, sorted(fetch.told))

    def test_aPartOfIt(self) -> None:
        for first, last, begin, end in ((3, 5, 300, 600), (0, 0, 0, 100), (8, 100, 800, 1000), (9, None, 900, 1000)):
            fetch = Fetch(1000, first=first, last=last)
            fetch.run()
            self.assertEqual(b"".join(fetch.got), fetch.content[begin:end])
            self.assertNotIn(first - 1, fetch.asked)
            if last is not None:
                self.assertNotIn(last + 1, fetch.asked)

    def test_outOfOrder(self) -> None:
        fetch = Fetch(3000)
        random = Random(1)
        deliver = fetch.network._data

        def shuffled(view: DataView) -> None:
            fetch.network.clock.callLater(random.choice([0, 0.02, 0.05]), deliver, view)

        fetch.network._data = shuffled  # type: ignore[method-assign]
        report = fetch.run()
        self.assertEqual(b"".join(fetch.got), fetch.content)
        self.assertEqual(report.timeouts, 0)

    def test_withLosses(self) -> None:
        for window in (FixedWindow(20), AimdWindow(), CubicWindow()):
            fetch = Fetch(20000, window)
            fetch.network.loses = partial(lambda random, view: random.random() < 0.05, Random(2))
            report = fetch.run()
            self.assertEqual(b"".join(fetch.got), fetch.content)
            self.assertGreater(report.timeouts, 5)
            self.assertEqual(report.sent, 200 + report.timeouts)
            self.assertAlmostEqual(report.loss, report.timeouts / report.sent)
            self.network(fetch)

    @given(st.integers(0, 3000), st.integers(0, 1 << 32), st.floats(0, 0.3), st.sampled_from([1, 2, 7, 20]))
    @settings(max_examples=30, deadline=None)
    def test_whateverHappensOnTheWay(self, size: int, seed: int, loss: float, width: int) -> None:
        fetch = Fetch(size, FixedWindow(width), retries=-1, ahead=max(width, 5))
        random = Random(seed)
        fetch.network.loses = lambda view: random.random() < loss
        fetch.network.nacks = lambda view: random.choice([50, 100, 150, 0]) if random.random() < loss / 3 else None
        fetch.network.marks = lambda view: random.randrange(2)
        deliver = fetch.network._data

        def shuffled(view: DataView) -> None:
            for _ in range(random.choice([1, 1, 2])):
                fetch.network.clock.callLater(random.random() / 10, deliver, view)

        fetch.network._data = shuffled  # type: ignore[method-assign]
        fetch.run(2000)
        self.assertEqual(b"".join(fetch.got), fetch.content)
        self.network(fetch)

    def test_afterAFlapItGoesOn(self) -> None:
        fetch = Fetch(50000)
        clock = fetch.network.clock
        fetch.network.loses = lambda view: 0.2 < clock.seconds() - fetch.begun < 3
        report = fetch.run()
        self.assertEqual(b"".join(fetch.got), fetch.content)
        # Backed off, it waits no longer than twice what the flap took.
        self.assertLess(report.seconds, 3 + 3 + 2.5)

    def test_afterAWhileWithoutARouteItGoesOn(self) -> None:
        fetch = Fetch(50000)
        clock = fetch.network.clock
        fetch.network.nacks = lambda view: 150 if 0.2 < clock.seconds() - fetch.begun < 3 else None
        report = fetch.run()
        self.assertEqual(b"".join(fetch.got), fetch.content)
        self.assertLess(report.seconds, 3 + 2 + 2.5)
        self.assertEqual(report.timeouts, 0)
        # It does not ask all the time while there is none.
        self.assertLess(report.nacks[150], 10 * 10)


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

        def received(self, now: float, roundTrip: float) -> None:
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


class MemoryTests(SynchronousTestCase):
    """
    What is held is bounded.
    """

    def test_noSegmentIsAskedForTooFarBeyondTheFirstThatIsMissing(self) -> None:
        fetch = Fetch(10000, FixedWindow(20), ahead=30, retries=-1)
        fetch.network.loses = lambda view: at(view) == 10 and fetch.network.clock.seconds() < 10
        waiting = fetch.fetcher.start()
        fetch.network.run(9)
        self.assertEqual(max(fetch.asked), 39)
        self.assertEqual(len(fetch.fetcher._held), 29)
        fetch.network.result(waiting)
        self.assertEqual(b"".join(fetch.got), fetch.content)

    def test_whoDoesNotTakeItIsNotGivenMore(self) -> None:
        fetch = Fetch(10000, FixedWindow(20), ahead=30)
        fetch.fetcher.pause()
        waiting = fetch.fetcher.start()
        fetch.network.run(5)
        self.assertEqual((fetch.got, max(fetch.asked), len(fetch.fetcher._held)), ([], 29, 30))
        fetch.fetcher.resume()
        self.assertEqual(len(fetch.got), 30)
        fetch.network.result(waiting)
        self.assertEqual(b"".join(fetch.got), fetch.content)
        fetch.fetcher.resume()

    def test_pausingWithinADelivery(self) -> None:
        fetch = Fetch(3000)
        deliver = fetch.deliver

        def slowly(piece: Any) -> None:
            deliver(piece)
            fetch.fetcher.pause()
            fetch.network.clock.callLater(0.05, fetch.fetcher.resume)

        fetch.fetcher._deliver = slowly
        report = fetch.run()
        self.assertEqual(b"".join(fetch.got), fetch.content)
        self.assertGreater(report.seconds, 29 * 0.05)


class EndTests(SynchronousTestCase):
    """
    Ends of all sorts.
    """

    def test_cancelledItIsForgotten(self) -> None:
        fetch = Fetch(10000)
        waiting = fetch.fetcher.start()
        fetch.network.run(0.1)
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        count = len(fetch.got)
        fetch.network.run(5)
        self.assertEqual(len(fetch.got), count)
        self.assertEqual((fetch.network.clock.getDelayedCalls(), fetch.client._exact), ([], {}))

    def test_whenTheForwarderGoesAwayItFails(self) -> None:
        fetch = Fetch(10000)
        waiting = fetch.fetcher.start()
        fetch.network.run(0.1)
        fetch.client.close()
        self.failureResultOf(waiting, Disconnected)
        fetch.network.run(5)
        self.assertEqual(fetch.network.clock.getDelayedCalls(), [])

    def test_whenTheForwarderIsGoneItFailsAtOnce(self) -> None:
        fetch = Fetch(10000)
        fetch.client.close()
        self.failureResultOf(fetch.fetcher.start(), Disconnected)

    def test_whatDeliveringRaisesEndsIt(self) -> None:
        fetch = Fetch(10000)

        def full(piece: Any) -> None:
            raise OSError("no space left on device")

        fetch.fetcher._deliver = full
        with self.assertRaises(OSError):
            fetch.run()

    def test_anEndThatIsSaidLateOrOnlyInTheLastSegment(self) -> None:
        fetch = Fetch(3000, FixedWindow(5))
        pieces = [fetch.content[begin : begin + 100] for begin in range(0, 3000, 100)]
        fetch.object.data = lambda at: (  # type: ignore[method-assign]
            encodeData(
                PREFIX + segment(at), pieces[at], DigestSigner(), MetaInfo(finalBlock=segment(29) if at == 29 else None)
            )
            if at < 30
            else None
        )
        fetch.run()
        self.assertEqual(b"".join(fetch.got), fetch.content)
        self.assertLessEqual(max(fetch.asked), 34)
        self.assertEqual(fetch.client._exact, {})


class VerifyTests(SynchronousTestCase):
    """
    With a verifier nothing is delivered that is not verified.
    """

    def setUp(self) -> None:
        self.root = Identity("/a", kind="ed25519")
        self.alice = Identity("/a/v=1", self.root, "ed25519", 1)
        self.wanted: list[Deferred[Data]] = []

    def validator(self) -> Validator:
        """
        One that has to fetch certificates.
        """

        def fetch(name: Name) -> Deferred[Data]:
            self.wanted.append(Deferred())
            return self.wanted[-1]

        return Validator([self.root.certificate], lambda: NOW, fetch)

    def test_signedByAnAnchor(self) -> None:
        fetch = Fetch(3000, signer=self.root.signer, verifier=self.validator())
        fetch.run()
        self.assertEqual(b"".join(fetch.got), fetch.content)

    def test_signedBySomebodyWhoseCertificateHasToBeFetched(self) -> None:
        fetch = Fetch(3000, signer=self.alice.signer, verifier=self.validator())
        waiting = fetch.fetcher.start()
        fetch.network.run(0.5)
        self.assertEqual((len(self.wanted), fetch.got), (1, []))
        self.wanted[0].callback(self.alice.certificate.data)
        fetch.network.result(waiting)
        self.assertEqual(b"".join(fetch.got), fetch.content)
        self.assertEqual(len(self.wanted), 1)

    def test_aSegmentThatIsNotBelievedEndsIt(self) -> None:
        fetch = Fetch(3000, signer=self.root.signer, verifier=self.validator())
        data = fetch.object.data
        forged = encodeData(PREFIX + segment(17), b"forged", DigestSigner())
        fetch.object.data = lambda at: forged if at == 17 else data(at)  # type: ignore[method-assign]
        with self.assertRaises(Untrusted):
            fetch.run()
        self.assertNotIn(b"forged", fetch.got)
        self.assertEqual(b"".join(fetch.got), fetch.content[: len(fetch.got) * 100])

    def test_aCertificateThatCannotBeHadEndsIt(self) -> None:
        fetch = Fetch(3000, signer=self.alice.signer, verifier=self.validator())
        waiting = fetch.fetcher.start()
        fetch.network.run(0.5)
        self.wanted[0].errback(OSError("nothing there"))
        self.failureResultOf(waiting, Untrusted)
        self.assertEqual(fetch.got, [])

    def test_theEndIsBelievedOnlyOfWhatIsVerified(self) -> None:
        fetch = Fetch(3000, signer=self.alice.signer, verifier=self.validator())
        waiting = fetch.fetcher.start()
        fetch.network.run(0.1)
        self.assertIsNone(fetch.fetcher.last)
        self.wanted[0].callback(self.alice.certificate.data)
        fetch.network.result(waiting)
        self.assertEqual(fetch.fetcher.last, 29)

    def test_cancelledWhileItIsVerified(self) -> None:
        fetch = Fetch(3000, signer=self.alice.signer, verifier=self.validator())
        waiting = fetch.fetcher.start()
        fetch.network.run(0.5)
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        self.wanted[0].callback(self.alice.certificate.data)
        fetch.network.run(5)
        self.assertEqual((fetch.got, fetch.network.clock.getDelayedCalls()), ([], []))

    def test_withoutAnAnchorDigestsAreChecked(self) -> None:
        for signer in (DigestSigner(), self.alice.signer):
            fetch = Fetch(3000, signer=signer, verifier=IntegrityVerifier())
            fetch.run()
            self.assertEqual(b"".join(fetch.got), fetch.content)
        fetch = Fetch(3000, verifier=IntegrityVerifier())
        data = fetch.object.data

        def damaged(at: int) -> bytes | None:
            wire = data(at)
            return wire[:60] + bytes([wire[60] ^ 1]) + wire[61:] if at == 7 and wire is not None else wire

        fetch.object.data = damaged  # type: ignore[method-assign]
        with self.assertRaisesRegex(Untrusted, "not whole"):
            fetch.run()
