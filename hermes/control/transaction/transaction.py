"""
One change, under way.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred

from hermes.control.transaction.core import Core
from hermes.control.transaction.inputs import Inputs
from hermes.control.transaction.machine import TransactionMachine
from hermes.control.values import CONTROLLER, NodeReason, Outcome


class Transaction:
    """
    One change. See L{hermes.control.transaction.machine}.
    """

    def __init__(self, core: Core) -> None:
        self._core = core
        self._machine: Inputs = TransactionMachine(core)

    @property
    def number(self) -> int | None:
        """
        The version's number, once it has one.
        """
        return None if self._core.record is None else self._core.number

    @property
    def taking(self) -> frozenset[str]:
        """
        The nodes that take part.
        """
        return frozenset(self._core.taking)

    @property
    def suspect(self) -> bool:
        """
        Whether the store may have a record of it that nobody has decided.
        """
        return self._core.suspect

    def run(self) -> Deferred[Outcome]:
        """
        Begin. Fires with what came of it; never errbacks.
        """
        self._machine.begin()
        return self._core.finished

    def cancel(self, reason: str) -> None:
        """
        Nobody wants it any more. Once it is decided, that changes nothing.
        """
        reasons = [NodeReason(CONTROLLER, reason, "abort")]
        # Whoever says so may be called from within.
        self._core.clock.callLater(0, self._machine.cancel, reasons)

    def abandon(self) -> None:
        """
        This controller does not lead any more: it writes nothing, and tells nobody anything.
        """
        self._core.clock.callLater(0, self._machine.abandon)
