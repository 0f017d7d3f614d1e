"""
When the kernel lets the process run.
"""

from __future__ import annotations

import os
import sys
from subprocess import run

from twisted.trial.unittest import SynchronousTestCase

from hermes.net.scheduling import scheduledInBatches, scheduleInBatches, scheduleNormally


class Scheduler:
    """
    A kernel's scheduler.
    """

    SCHED_OTHER = 0
    SCHED_RR = 2
    SCHED_BATCH = 3

    def __init__(self, policy: int = SCHED_OTHER, allows: bool = True) -> None:
        self.policy = policy
        self.allows = allows

    def sched_getscheduler(self, process: int) -> int:
        return self.policy

    def sched_param(self, priority: int) -> int:
        return priority

    def sched_setscheduler(self, process: int, policy: int, priority: int) -> None:
        if not self.allows:
            raise PermissionError(1, "Operation not permitted")
        # The kernel takes no other priority for it.
        assert (process, priority) == (0, 0)
        self.policy = policy


class SchedulingTests(SynchronousTestCase):
    """
    L{scheduleInBatches}.
    """

    def test_anOrdinaryProcessIsScheduledInBatches(self) -> None:
        kernel = Scheduler()
        self.assertTrue(scheduleInBatches(kernel))
        self.assertEqual(kernel.policy, Scheduler.SCHED_BATCH)

    def test_theKernelSaysWhetherItIs(self) -> None:
        kernel = Scheduler()
        self.assertFalse(scheduledInBatches(kernel))
        scheduleInBatches(kernel)
        self.assertTrue(scheduledInBatches(kernel))
        self.assertTrue(scheduleNormally(kernel))
        self.assertFalse(scheduledInBatches(kernel))
        self.assertFalse(scheduleNormally(kernel))
        self.assertFalse(scheduledInBatches(object()))

    def test_whatSomebodyHasChosenStays(self) -> None:
        kernel = Scheduler(Scheduler.SCHED_RR)
        self.assertFalse(scheduleInBatches(kernel))
        self.assertEqual(kernel.policy, Scheduler.SCHED_RR)

    def test_whereItIsNotAllowedAllStaysAsItIs(self) -> None:
        kernel = Scheduler(allows=False)
        self.assertFalse(scheduleInBatches(kernel))
        self.assertEqual(kernel.policy, Scheduler.SCHED_OTHER)

    def test_aSystemWithoutPoliciesIsNoProblem(self) -> None:
        self.assertFalse(scheduleInBatches(object()))

    def test_theKernelTakesIt(self) -> None:
        """
        In a process of its own, as this one is to stay what it is.
        """
        program = (
            "import os; os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))\n"
            "from hermes.net.scheduling import scheduleInBatches\n"
            "print(scheduleInBatches(), os.sched_getscheduler(0) == os.SCHED_BATCH)"
        )
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        done = run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment)
        self.assertEqual(done.stdout, "True True\n")
