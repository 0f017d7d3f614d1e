"""
Module C{status}: the forwarder itself (NFD Management, "Forwarder Status").
"""

from __future__ import annotations

from collections.abc import Callable

from hermes import __version__
from hermes.ndn.forwarder.forwarder import Forwarder
from hermes.ndn.management.commands import Module, Origin
from hermes.ndn.management.statuses import ForwarderStatus


class StatusModule:
    """
    @ivar module: for the dispatcher.
    """

    def __init__(self, forwarder: Forwarder, now: Callable[[], float]) -> None:
        """
        @param now: seconds since 1970; the forwarder has started now.
        """
        self._forwarder = forwarder
        self._now = now
        self._started = int(now() * 1000)
        self.module = Module("status", {}, {"general": self._general})

    def _general(self, origin: Origin) -> bytes:
        status = self._forwarder.status()
        return ForwarderStatus(
            version=f"hermes-{__version__}",
            started=self._started,
            now=int(self._now() * 1000),
            nameTreeEntries=status.nameTreeEntries,
            fibEntries=status.fibEntries,
            pitEntries=status.pitEntries,
            measurementsEntries=status.measurementsEntries,
            csEntries=status.csEntries,
            inInterests=status.inInterests,
            inData=status.inData,
            inNacks=status.inNacks,
            outInterests=status.outInterests,
            outData=status.outData,
            outNacks=status.outNacks,
            satisfiedInterests=status.satisfied,
            unsatisfiedInterests=status.unsatisfied,
        ).encode()
