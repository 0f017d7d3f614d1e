"""
Scheduled in batches while that pays.
"""

from __future__ import annotations

from tempfile import NamedTemporaryFile

from twisted.trial.unittest import SynchronousTestCase

from hermes.net.moderation import Moderation, Span, ThreadUsage, Usage
from hermes.test.net.test_scheduling import Scheduler


class ThreadUsageTests(SynchronousTestCase):
    """
    L{ThreadUsage}.
    """

    def usage(self, text: bytes) -> ThreadUsage:
        """
        What a kernel that says this counts.
        """
        file = self.enterContext(NamedTemporaryFile())
        file.write(text)
        file.flush()
        usage = ThreadUsage(file.name)
        self.addCleanup(usage.close)
        return usage

    def test_nanosecondsAreSeconds(self) -> None:
        self.assertEqual(self.usage(b"2500000000 1500000 42\n")(), Usage(2.5, 0.0015, 42))

    def test_theKernelCountsOn(self) -> None:
        usage = ThreadUsage()
        self.addCleanup(usage.close)
        before = usage()
        after = usage()
        while after.ran == before.ran:
            after = usage()
        self.assertGreater(after.ran, before.ran)
        self.assertGreaterEqual(after.slices, before.slices)

    def test_aKernelThatSaysSomethingElse(self) -> None:
        self.assertRaises(ValueError, self.usage(b"nothing\n"))

    def test_aKernelThatDoesNotCount(self) -> None:
        self.assertRaises(OSError, ThreadUsage("/nonexistent/schedstat"))


class SpanTests(SynchronousTestCase):
    """
    L{Span}.
    """

    def span(self, seconds: float, ran: float, bytes: int) -> Span:
        """
        A span of two looks.
        """
        span = Span()
        span.add(seconds / 2, ran / 4, bytes // 4)
        span.add(seconds / 2, 3 * ran / 4, 3 * bytes // 4)
        self.assertEqual(span.seconds, seconds)
        return span

    def test_whatCostsLessAndIsAsMuchIsBetter(self) -> None:
        usual = self.span(1.0, 0.5, 1000)
        self.assertTrue(self.span(1.0, 0.4, 1000).betterThan(usual))
        self.assertTrue(self.span(2.0, 0.8, 2000).betterThan(usual))
        self.assertTrue(self.span(1.0, 0.5, 1300).betterThan(usual))

    def test_asMuchMayBeALittleLess(self) -> None:
        usual = self.span(1.0, 0.5, 1000)
        self.assertTrue(self.span(1.0, 0.3, 900).betterThan(usual))
        self.assertFalse(self.span(1.0, 0.2, 700).betterThan(usual))

    def test_whatCostsHardlyLessIsNot(self) -> None:
        usual = self.span(1.0, 0.5, 1000)
        self.assertFalse(self.span(1.0, 0.5, 1000).betterThan(usual))
        self.assertFalse(self.span(1.0, 0.46, 1000).betterThan(usual))

    def test_withoutBytesThereIsNothingToCompare(self) -> None:
        usual, nothing = self.span(1.0, 0.5, 1000), self.span(1.0, 0.5, 0)
        for one, other in ((usual, nothing), (nothing, usual), (nothing, nothing)):
            self.assertFalse(one.betterThan(other) and other.betterThan(one))
        self.assertFalse(nothing.betterThan(usual))


class ModerationTests(SynchronousTestCase):
    """
    L{Moderation}. Time passes as the tests say, and the thread has run, waited and received as much as they say.

    @ivar cost: seconds for a byte, as an ordinary thread and as one that is scheduled in batches.
    """

    def setUp(self) -> None:
        self.time = 100.0
        self.usage = Usage(0.0, 0.0, 0)
        self.bytes = 0
        self.reads = 0
        self.cost = {False: 1e-6, True: 5e-7}
        self.kernel = Scheduler()
        self.moderation = self.make()

    def make(self) -> Moderation:
        """
        A moderation that has looked once.
        """

        def usage() -> Usage:
            self.reads += 1
            return self.usage

        moderation = Moderation(lambda: self.time, usage, lambda: self.bytes, self.kernel)
        moderation.look()
        return moderation

    def passes(self, busy: float, wait: float = 0.0, seconds: float = 0.02, slices: int = 16) -> None:
        """
        So many seconds, in which the thread ran for this share of them and waited so many seconds for each slice.
        """
        self.time += seconds
        ran, waited, so = self.usage
        self.usage = Usage(ran + busy * seconds, waited + slices * wait, so + slices)
        self.bytes += round(busy * seconds / self.cost[self.moderation.batches])
        self.moderation.look()

    def assertBatches(self, batches: bool) -> None:
        """
        It thinks so, and the kernel knows.
        """
        self.assertEqual(self.moderation.batches, batches)
        self.assertEqual(self.kernel.policy, Scheduler.SCHED_BATCH if batches else Scheduler.SCHED_OTHER)

    def begin(self, busy: float = 0.5) -> float:
        """
        The thread is busy until it is scheduled in batches.

        @return: after how many seconds it was.
        """
        since = self.time
        while not self.moderation.batches:
            self.passes(busy)
        self.assertBatches(True)
        return self.time - since

    def disappoint(self) -> float:
        """
        Make it batch where each slice is waited for too long, until it gives up.

        @return: for how many seconds it then does not try again although it is busy.
        """
        self.begin()
        while self.moderation.batches:
            self.passes(0.5, wait=0.003)
        self.assertBatches(False)
        return self.begin()

    def test_aBusyThreadIsScheduledInBatches(self) -> None:
        self.assertBatches(False)
        self.assertLess(self.begin(), 0.1)

    def test_andStaysSoWhereThatPays(self) -> None:
        """
        But for a moment now and then, in which it is measured whether it still does.
        """
        self.begin()
        batches = 0
        for _ in range(1000):
            self.passes(0.25)
            batches += self.moderation.batches
        self.assertGreater(batches, 900)
        self.assertLess(batches, 1000)

    def test_whereABytesCostsAsMuchItIsTakenBack(self) -> None:
        self.cost[True] = 1e-6
        self.begin()
        for _ in range(4):
            self.passes(0.5)
        self.assertBatches(False)
        self.assertAlmostEqual(self.begin(), 1, 1)

    def test_whereLessComesItIsTakenBack(self) -> None:
        """
        Though that costs less.
        """
        self.begin()
        for _ in range(4):
            self.passes(0.15)
        self.assertBatches(False)

    def test_whatDoesNotPayAnyMoreIsNoticed(self) -> None:
        self.begin()
        for _ in range(50):
            self.passes(0.5)
        self.cost[True] = 2e-6
        since = self.time
        while self.moderation.batches or self.time < self.moderation._notBefore:
            self.passes(0.5)
        self.assertLess(self.time - since, 8)

    def test_oneThatIsNotBusyIsNot(self) -> None:
        for _ in range(100):
            self.passes(0.05)
        self.assertBatches(False)

    def test_whatWasBusyAndIsNoMoreIsOrdinaryAtOnce(self) -> None:
        self.begin()
        self.passes(0.01)
        self.assertBatches(False)
        self.assertLess(self.begin(), 0.1)

    def test_halfAsBusyForTheSameIsBusyEnough(self) -> None:
        """
        As there are fewer turns for the same packets, it is less busy once it is scheduled in batches.
        """
        self.begin(0.15)
        for _ in range(5):
            self.passes(0.075)
        self.assertBatches(True)

    def test_itDoesNotWaitLongForOthers(self) -> None:
        self.begin()
        self.passes(0.5, wait=0.0029)
        self.assertBatches(False)

    def test_waitingALittleIsWhatBatchesAreFor(self) -> None:
        self.begin()
        for _ in range(8):
            self.passes(0.5, wait=0.0009)
        self.assertBatches(True)

    def test_oneLongWaitIsForgiven(self) -> None:
        self.begin()
        for _ in range(3):
            self.passes(0.5, wait=0.0022)
            self.passes(0.5)
            self.passes(0.5)
        self.assertBatches(True)

    def test_manyWaitsThatAreALittleTooLongAddUp(self) -> None:
        self.begin()
        for _ in range(9):
            self.passes(0.5, wait=0.0012)
        self.assertBatches(True)
        self.passes(0.5, wait=0.0012)
        self.assertBatches(False)

    def test_oneThatIsIdleAsItWaitsIsDisappointedToo(self) -> None:
        """
        Else it would be scheduled in batches again as soon as it is busy, as it is without.
        """
        self.begin()
        self.passes(0.02, wait=0.002)
        self.assertBatches(False)
        self.assertAlmostEqual(self.begin(), 1, 1)

    def test_itTriesAgainLaterAndLater(self) -> None:
        pauses = [round(self.disappoint()) for _ in range(8)]
        self.assertEqual(pauses, [1, 2, 4, 8, 16, 32, 60, 60])

    def test_whatHasPaidIsTriedSoonAgain(self) -> None:
        self.disappoint()
        self.disappoint()
        for _ in range(4):
            self.passes(0.5)
        self.assertBatches(True)
        self.assertEqual(round(self.disappoint()), 1)

    def test_aMomentIsTooShortToTell(self) -> None:
        reads = self.reads
        self.passes(1.0, seconds=0.009)
        self.assertEqual(self.reads, reads)
        self.passes(1.0, seconds=0.001)
        self.assertEqual(self.reads, reads + 1)

    def test_whatSomebodyHasChosenStays(self) -> None:
        self.kernel = Scheduler(Scheduler.SCHED_RR)
        self.moderation = self.make()
        for _ in range(5):
            self.passes(0.5)
        self.assertEqual(self.kernel.policy, Scheduler.SCHED_RR)
        reads = self.reads
        self.passes(0.5)
        self.assertEqual(self.reads, reads)

    def test_soDoesWhatSomebodyChoosesMeanwhile(self) -> None:
        self.begin()
        self.kernel.policy = Scheduler.SCHED_RR
        for _ in range(5):
            self.passes(0.01)
        self.assertEqual(self.kernel.policy, Scheduler.SCHED_RR)
        reads = self.reads
        self.passes(0.5)
        self.assertEqual(self.reads, reads)

    def test_whereTheKernelDoesNotCountAllStaysAsItIs(self) -> None:
        usage = ThreadUsage("/nonexistent/schedstat")
        self.moderation = Moderation(lambda: self.time, usage, lambda: self.bytes, self.kernel)
        for _ in range(5):
            self.time += 1
            self.moderation.look()
        self.assertBatches(False)

    def test_aKernelThatChangesItsMind(self) -> None:
        self.begin()
        self.kernel.allows = False
        self.passes(0.01)
        self.assertFalse(self.moderation.batches)
        reads = self.reads
        self.passes(0.5)
        self.assertEqual(self.reads, reads)
