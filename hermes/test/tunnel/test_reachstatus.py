"""
Tests for L{hermes.tunnel.reachstatus}.
"""

from __future__ import annotations

from typing import Any

from attrs import frozen
from twisted.trial.unittest import SynchronousTestCase

from hermes.net.tcpinfo import TCPInfo
from hermes.tunnel.reachstatus import reachStatus


@frozen
class FakeTransport:
    """
    Over TCP.
    """

    info: TCPInfo | None

    def tcpInfo(self) -> TCPInfo | None:
        """
        As it was given.
        """
        return self.info


@frozen
class FakeConnection:
    """
    To a hop.
    """

    transport: Any
    roundTrip: float | None = None
    openExchanges: int = 2


class ReachStatusTests(SynchronousTestCase):
    """
    L{reachStatus}.
    """

    def test_connectionsAreSummed(self) -> None:
        found = reachStatus(
            "h:1",
            [
                FakeConnection(FakeTransport(TCPInfo(0.5, 10, 1)), 0.02),
                FakeConnection(FakeTransport(TCPInfo(0.4, 5, 0)), 0.01),
                # Closed just now; and one inside another hop's tunnel.
                FakeConnection(FakeTransport(None)),
                FakeConnection(object()),
            ],
        )
        expected = {"connections": 4, "streams": 8, "roundTripSeconds": 0.01, "segmentsSent": 15, "segmentsResent": 1}
        self.assertEqual(found, {"address": "h:1", **expected})

    def test_beforeDataFlowsTheKernelTellsTheRoundTrip(self) -> None:
        found = reachStatus("h:1", [FakeConnection(FakeTransport(TCPInfo(0.5, 0, 0)))])
        self.assertEqual(found["roundTripSeconds"], 0.5)

    def test_withoutConnectionsNothingIsKnown(self) -> None:
        self.assertEqual(reachStatus("h:1", ())["roundTripSeconds"], None)
