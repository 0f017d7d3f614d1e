"""
Tests for L{hermes.ndn.app.fetcher}: whole objects, in order, verified, with bounded memory.
"""

from __future__ import annotations

from functools import partial
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from hermes.ndn.app.errors import Disconnected
from hermes.ndn.app.windows import AimdWindow, CubicWindow, FixedWindow
from hermes.ndn.packet.component import segment
from hermes.ndn.packet.data import Data, encodeData
from hermes.ndn.packet.metainfo import MetaInfo
from hermes.ndn.packet.name import Name
from hermes.ndn.packet.peek import DataView, peekData
from hermes.ndn.security.errors import Untrusted
from hermes.ndn.security.integrity import IntegrityVerifier
from hermes.ndn.security.signers import DigestSigner
from hermes.ndn.security.validator import Validator
from hermes.test.ndn.app.fetches import PREFIX, Fetch, at
from hermes.test.ndn.security.keys import NOW, Identity


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

    def test_aSegmentThatIsHereAlreadyIsNotAskedFor(self) -> None:
        for size, known in ((1000, 0), (1000, 7), (100, 0)):
            wire = Fetch(size).object.data(known)
            assert wire is not None
            fetch = Fetch(size, known=peekData(wire))
            report = fetch.run()
            self.assertEqual(b"".join(fetch.got), fetch.content)
            self.assertNotIn(known, fetch.asked)
            self.assertEqual(report.sent, report.segments - 1)

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
            lost = report.timeouts + report.overtaken
            self.assertGreater(report.overtaken, 5)
            self.assertEqual(report.sent, 200 + lost)
            self.assertAlmostEqual(report.loss, lost / report.sent)
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
