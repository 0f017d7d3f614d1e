"""
The page of a controller in memory, over TLS.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from twisted.internet.ssl import DefaultOpenSSLContextFactory

from hermes.net.authority import OverlayAuthority
from hermes.test.control.operator.running import ControllerCase, reactor

REFUSAL = {
    "time": "2026-11-29T13:00:00.000+00:00",
    "listener": "apps",
    "user": "bob",
    "source": "192.0.2.9:4711",
    "target": "db.hermes:3306",
    "route": "",
    "error": "no route allows it",
}


def saying(name: str, trips: Mapping[str, float], carried: int = 0, **more: Any) -> Callable[[], dict[str, Any]]:
    """
    A node's status.

    @param trips: the round trip to each neighbour.
    @param carried: bytes more at each question.
    """
    total = [0]

    def status() -> dict[str, Any]:
        total[0] += carried
        return {
            "node": name,
            "uptimeSeconds": 86400.0 * 3 + 7210,
            "flows": {"open": 12},
            "requests": {"open": 3},
            "upstreams": [
                {
                    "name": to,
                    "type": "hop",
                    "endpoints": [{"connections": 2, "streams": 9, "roundTripSeconds": trip, "segmentsSent": 900}],
                }
                for to, trip in trips.items()
            ],
            "carried": {to: {"bytesSent": total[0], "bytesReceived": total[0] * 3} for to in trips},
            **more,
        }

    return status


class PageCase(ControllerCase):
    """
    See the module.
    """

    def serve(self) -> str:
        """
        @return: the page's address.
        """
        directory = self.mktemp()
        certificate, key = OverlayAuthority.create(directory).issue("controller", ["127.0.0.1"])
        credentials = DefaultOpenSSLContextFactory(key, certificate)
        port = reactor.listenSSL(0, self.served(self.interface.remote()), credentials, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        return f"https://127.0.0.1:{port.getHost().port}/"
