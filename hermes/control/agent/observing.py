"""
What an agent sees of its node's traffic: how much of it fails, and who was refused lately.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from zope.interface import implementer

from hermes.admin.entries import describe, describeRequest
from hermes.interfaces import IFlowObserver, IRequestObserver

REFUSALS = 100
"""
How many refusals are remembered.
"""

DENIED = frozenset({"http_request_denied", "http_request_error", "destination_ip_prohibited", None})
"""
Proxy-Status error types that say that a flow was not to be: it is no fault of the network that it was not. L{None}: its
client went away.
"""


@implementer(IFlowObserver, IRequestObserver)
class TrafficObserver:
    """
    Counts, and remembers.

    @ivar opened: flows and exchanges that came to be.
    @ivar failed: those that should have and did not.
    @ivar carried: of those that have ended, bytes to and from each next hop, by its name.
    """

    def __init__(self, time: Callable[[], float]) -> None:
        """
        @param time: seconds since the epoch.
        """
        self.opened = 0
        self.failed = 0
        self.carried: dict[str, list[int]] = {}
        self._time = time
        self._refusals: deque[tuple[str, Any, float]] = deque(maxlen=REFUSALS)

    def refusals(self) -> Sequence[dict[str, Any]]:
        """
        The last refusals, oldest first, as the access log describes them.
        """
        describing = {"flow": describe, "request": describeRequest}
        return [describing[kind](record, at) for kind, record, at in self._refusals]

    def flowOpened(self, record: Any) -> None:
        self.opened += 1

    def flowClosed(self, record: Any) -> None:
        self._carried(self.carried, record)

    def flowRefused(self, record: Any) -> None:
        self._refused("flow", record)

    def requestStarted(self, record: Any) -> None:
        pass

    def requestEnded(self, record: Any) -> None:
        self._carried(self.carried, record)
        if record.error is None:
            self.opened += 1
        else:
            self._refused("request", record)

    @staticmethod
    def _carried(carried: dict[str, list[int]], record: Any) -> None:
        if record.hops:
            counts = carried.setdefault(record.hops[0], [0, 0])
            counts[0] += record.bytesIn
            counts[1] += record.bytesOut

    def carrying(self, records: Iterable[Any], ports: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, int]]:
        """
        Bytes to and from each next hop, by its name, since the process started.

        @param records: of the flows and exchanges that go on.
        @param ports: those of IP packets, as the node's status has them.
        """
        found = {hop: list(counts) for hop, counts in self.carried.items()}
        for record in records:
            self._carried(found, record)
        for port in ports:
            if port["kind"] == "hop":
                counts = found.setdefault(port["name"], [0, 0])
                counts[0] += port["bytesOut"]
                counts[1] += port["bytesIn"]
        return {hop: {"bytesSent": sent, "bytesReceived": received} for hop, (sent, received) in sorted(found.items())}

    def _refused(self, kind: str, record: Any) -> None:
        if record.proxyStatus not in DENIED:
            self.failed += 1
        elif record.proxyStatus is not None:
            self._refusals.append((kind, record, self._time()))
