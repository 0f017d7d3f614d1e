"""
The limit of open descriptors.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hermes.net.descriptorlimit import raiseDescriptorLimit


class Limits:
    """
    A kernel's limits.
    """

    RLIMIT_NOFILE = 7

    def __init__(self, soft: int, hard: int, fixed: bool = False) -> None:
        self.limits = (soft, hard)
        self.fixed = fixed

    def getrlimit(self, which: int) -> tuple[int, int]:
        assert which == self.RLIMIT_NOFILE
        return self.limits

    def setrlimit(self, which: int, limits: tuple[int, int]) -> None:
        if self.fixed:
            raise ValueError("not allowed to raise maximum limit")
        self.limits = limits


class DescriptorLimitTests(SynchronousTestCase):
    """
    L{raiseDescriptorLimit}.
    """

    def test_theSoftLimitBecomesTheHardOne(self) -> None:
        limits = Limits(1024, 524288)
        self.assertEqual(raiseDescriptorLimit(limits), 524288)
        self.assertEqual(limits.limits, (524288, 524288))

    def test_whereItCanNotBeRaisedItStays(self) -> None:
        limits = Limits(1024, 524288, fixed=True)
        self.assertEqual(raiseDescriptorLimit(limits), 1024)
        self.assertEqual(limits.limits, (1024, 524288))
