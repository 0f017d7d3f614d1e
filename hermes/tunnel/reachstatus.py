"""
What one endpoint of a hop carries now, for the status API; and its round trip.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred, fail

from hermes.errors import NotImplementedHere


def reachStatus(address: str, connections: Sequence[Any]) -> dict[str, Any]:
    """
    @param connections: to that endpoint. The kernel tells of those that run over a TCP connection of their own how many
        segments were sent and how many of them once more: what the network lost, or nearly so.
    """
    trips = [each.roundTrip for each in connections if each.roundTrip is not None]
    told = [info() for each in connections if (info := getattr(each.transport, "tcpInfo", None)) is not None]
    known = [info for info in told if info is not None]
    if not trips:
        # No data has flowed that HTTP/2 could have measured it by.
        trips = [info.roundTrip for info in known if info.roundTrip > 0]
    return {
        "address": address,
        "connections": len(connections),
        "streams": sum(each.openExchanges for each in connections),
        "roundTripSeconds": min(trips, default=None),
        "segmentsSent": sum(info.sent for info in known),
        "segmentsResent": sum(info.resent for info in known),
    }


def ping(client: Any) -> Deferred[float]:
    """
    Measure the round trip to an endpoint. See L{hermes.interfaces.IMeasuredHop}.

    @param client: of that endpoint.
    """
    connected = getattr(client, "connected", None)
    if connected is None:
        return fail(NotImplementedHere("the round trip is measured over HTTP/2 only"))
    measured: Deferred[float] = connected().addCallback(lambda connection: connection.ping())
    return measured
