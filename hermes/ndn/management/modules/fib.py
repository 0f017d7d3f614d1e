"""
Module C{fib}: next hops, put in and taken out past the RIB (NFD Management, "FIB Management").
"""

from __future__ import annotations

from attrs import evolve

from hermes.ndn.forwarder.forwarder import Forwarder
from hermes.ndn.management.commands import GONE, OK, TOO_LONG, Command, Module, Origin, Reply, Rule
from hermes.ndn.management.control import ControlParameters, ControlResponse
from hermes.ndn.management.rib import MAX_PREFIX
from hermes.ndn.management.statuses import FIBEntryStatus, NextHop
from hermes.ndn.packet.name import Name


class FIBModule:
    """
    @ivar module: for the dispatcher.
    """

    def __init__(self, forwarder: Forwarder) -> None:
        self._forwarder = forwarder
        self.module = Module(
            "fib",
            {
                "add-nexthop": Command(Rule.of("name", "faceID cost"), self._add),
                "remove-nexthop": Command(Rule.of("name", "faceID"), self._remove),
            },
            {"list": self._list},
        )

    def _add(self, parameters: ControlParameters, origin: Origin) -> Reply:
        name = parameters.name or Name()
        faceID, cost = parameters.faceID or origin.faceID or 0, parameters.cost or 0
        if len(name) > MAX_PREFIX:
            return ControlResponse.of(TOO_LONG, f"FIB entry prefix cannot exceed {MAX_PREFIX} components", parameters)
        if not self._forwarder.setNextHop(name.value, faceID, cost):
            return ControlResponse.of(GONE, "Face not found", parameters)
        return ControlResponse.of(OK, "Success", ControlParameters(name=name, faceID=faceID, cost=cost))

    def _remove(self, parameters: ControlParameters, origin: Origin) -> Reply:
        faceID = parameters.faceID or origin.faceID or 0
        self._forwarder.setNextHop((parameters.name or Name()).value, faceID, None)
        return ControlResponse.of(OK, "Success", evolve(parameters, faceID=faceID))

    def _list(self, origin: Origin) -> bytes:
        return b"".join(
            [
                FIBEntryStatus(
                    name=Name.fromValue(entry.prefix),
                    nextHops=tuple([NextHop(faceID=hop.port.id, cost=hop.cost) for hop in entry.hops]),
                ).encode()
                for entry in sorted(self._forwarder.fib, key=lambda each: each.prefix)
            ]
        )
