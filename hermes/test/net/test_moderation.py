"""
Scheduled in batches while that pays.
"""

from __future__ import annotations

from tempfile import NamedTemporaryFile

from twisted.trial.unittest import SynchronousTestCase

from hermes.net.moderation import Moderation, ThreadUsage, Usage
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


class ModerationTests(SynchronousTestCase):
    """
    L{Moderation}. Time passes as the tests say, and the thread has run and waited for as long as they say.
    """

    def setUp(self) -> None:
        self.time = 100.0
        self.usage = Usage(0.0, 0.0, 0)
        self.reads = 0
        self.kernel = Scheduler()
        self.moderation = self.make()

    def make(self) -> Moderation:
        """
        A moderation that has looked once.
        """

        def usage() -> Usage:
            self.reads += 1
            return self.usage

        moderation = Moderation(lambda: self.time, usage, self.kernel)
        moderation.look()
        return moderation

    def passes(self, busy: float, wait: float = 0.0, seconds: float = 0.02, slices: int = 16) -> None:
        """
        So many seconds, in which the thread ran for this share of them and waited so many seconds for each slice.
        """
        self.time += seconds
        ran, waited, so = self.usage
        self.usage = Usage(ran + busy * seconds, waited + slices * wait, so + slices)
        self.moderation.look()

    def assertBatches(self, batches: bool) -> None:
        """
        It thinks so, and the kernel knows.
        """
        self.assertEqual(self.moderation.batches, batches)
        self.assertEqual(self.kernel.policy, Scheduler.SCHED_BATCH if batches else Scheduler.SCHED_OTHER)

    def disappoint(self) -> float:
        """
        Make it batch where each slice is waited for too long, until it gives up.

        @return: for how many seconds it then does not try again although it is busy.
        """
        while not self.moderation.batches:
            self.passes(0.5)
        while self.moderation.batches:
            self.passes(0.5, wait=0.003)
        self.assertBatches(False)
        since = self.time
        while not self.moderation.batches:
            self.passes(0.5)
        return self.time - since

    def test_aBusyThreadIsScheduledInBatches(self) -> None:
        self.assertBatches(False)
        self.passes(0.5)
        self.assertBatches(True)
        self.passes(0.5)
        self.assertBatches(True)

    def test_oneThatIsNotBusyIsNot(self) -> None:
        for _ in range(100):
            self.passes(0.05)
        self.assertBatches(False)

    def test_whatWasBusyAndIsNoMoreIsOrdinaryAtOnce(self) -> None:
        self.passes(0.5)
        self.passes(0.01)
        self.assertBatches(False)
        self.passes(0.5)
        self.assertBatches(True)

    def test_halfAsBusyForTheSameIsBusyEnough(self) -> None:
        """
        As there are fewer turns for the same packets, it is less busy once it is scheduled in batches.
        """
        self.passes(0.15)
        for _ in range(100):
            self.passes(0.07)
        self.assertBatches(True)

    def test_itDoesNotWaitLongForOthers(self) -> None:
        self.passes(0.5)
        self.passes(0.5, wait=0.0029)
        self.assertBatches(False)

    def test_waitingALittleIsWhatBatchesAreFor(self) -> None:
        self.passes(0.5)
        for _ in range(100):
            self.passes(0.5, wait=0.0009)
        self.assertBatches(True)

    def test_oneLongWaitIsForgiven(self) -> None:
        self.passes(0.5)
        for _ in range(100):
            self.passes(0.5, wait=0.0022)
            self.passes(0.5)
            self.passes(0.5)
        self.assertBatches(True)

    def test_manyWaitsThatAreALittleTooLongAddUp(self) -> None:
        self.passes(0.5)
        for _ in range(9):
            self.passes(0.5, wait=0.0012)
        self.assertBatches(True)
        self.passes(0.5, wait=0.0012)
        self.assertBatches(False)

    def test_oneThatIsIdleAsItWaitsIsDisappointedToo(self) -> None:
        """
        Else it would be scheduled in batches again as soon as it is busy, as it is without.
        """
        self.passes(0.5)
        self.passes(0.02, wait=0.002)
        self.assertBatches(False)
        self.passes(0.5)
        self.assertBatches(False)

    def test_itTriesAgainLaterAndLater(self) -> None:
        pauses = [round(self.disappoint()) for _ in range(8)]
        self.assertEqual(pauses, [1, 2, 4, 8, 16, 32, 60, 60])

    def test_whatWentWellForLongIsTriedSoonAgain(self) -> None:
        self.disappoint()
        self.disappoint()
        self.passes(0.5, seconds=61.0)
        self.assertEqual(round(self.disappoint()), 1)

    def test_aMomentIsTooShortToTell(self) -> None:
        reads = self.reads
        self.passes(1.0, seconds=0.009)
        self.assertBatches(False)
        self.assertEqual(self.reads, reads)
        self.passes(1.0, seconds=0.001)
        self.assertBatches(True)

    def test_whatSomebodyHasChosenStays(self) -> None:
        self.kernel = Scheduler(Scheduler.SCHED_RR)
        self.moderation = self.make()
        self.passes(0.5)
        self.assertEqual(self.kernel.policy, Scheduler.SCHED_RR)
        reads = self.reads
        self.passes(0.5)
        self.assertEqual(self.reads, reads)

    def test_whereTheKernelDoesNotCountAllStaysAsItIs(self) -> None:
        self.moderation = Moderation(lambda: self.time, ThreadUsage("/nonexistent/schedstat"), self.kernel)
        for _ in range(3):
            self.time += 1
            self.moderation.look()
        self.assertBatches(False)

    def test_aKernelThatChangesItsMind(self) -> None:
        self.passes(0.5)
        self.kernel.allows = False
        self.passes(0.01)
        self.assertFalse(self.moderation.batches)
        reads = self.reads
        self.passes(0.5)
        self.assertEqual(self.reads, reads)
