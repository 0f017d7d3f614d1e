"""
What can happen to a transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from attrs import frozen
from twisted.internet.defer import Deferred

from hermes.control.values import NodeReason


class Inputs(Protocol):
    """
    What can happen to a transaction.
    """

    def begin(self) -> None:
        """
        It begins.
        """

    def recorded(self, number: int) -> None:
        """
        The store has it.
        """

    def notRecorded(self, reasons: Sequence[NodeReason]) -> None:
        """
        It has not, or has not said so.
        """

    def allReady(self) -> None:
        """
        Every node has built it.
        """

    def marked(self) -> None:
        """
        The record says that it is on trial.
        """

    def allSwapped(self) -> None:
        """
        Every node runs it, on trial.
        """

    def passed(self) -> None:
        """
        The trial is over, and nothing is wrong.
        """

    def decided(self) -> None:
        """
        The record says that it is committed.
        """

    def failed(self, reasons: Sequence[NodeReason]) -> None:
        """
        Somebody refuses, or something is wrong.
        """

    def cancel(self, reasons: Sequence[NodeReason]) -> None:
        """
        Nobody wants it any more.
        """

    def wasAborted(self) -> None:
        """
        The record says that it is aborted.
        """

    def finished(self) -> None:
        """
        Every node was told.
        """

    def abandon(self) -> None:
        """
        This controller does not lead any more: it is another's.
        """


@frozen(eq=False)
class Working:
    """
    While something is done.
    """

    work: Deferred[None]
