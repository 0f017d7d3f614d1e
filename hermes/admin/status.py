"""
What a node is doing, as one JSON object: the status API and C{hermes status} show it.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from hermes.admin.entries import describe, describeRequest

SHOWN = 100
"""
How many flows, or exchanges, are shown where nobody says how many.
"""


class StatusSource(Protocol):
    """
    What the status is read from; L{hermes.node.Node} is one.
    """

    draining: bool

    @property
    def config(self) -> Any: ...

    @property
    def flows(self) -> Any: ...

    @property
    def requests(self) -> Any: ...

    @property
    def packets(self) -> Any: ...

    @property
    def upstreams(self) -> Mapping[str, Any]: ...

    @property
    def assistants(self) -> Mapping[str, Any]: ...

    @property
    def listeners(self) -> Mapping[str, Any]: ...

    def addresses(self) -> Mapping[str, Any]: ...


def addressText(address: Any) -> str:
    """
    An L{IAddress} as the configuration writes it.
    """
    path = getattr(address, "name", None)
    if path is not None:
        return f"unix:{os.fsdecode(path)}"
    host, port = getattr(address, "host", None), getattr(address, "port", None)
    if host is None:
        return str(address)
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class Status:
    """
    Reads the status of a node.
    """

    def __init__(self, node: StatusSource, version: str, seconds: Callable[[], float]) -> None:
        self._node = node
        self._version = version
        self._seconds = seconds
        self._startedAt = seconds()

    def summary(self) -> dict[str, Any]:
        """
        Everything but the flows and exchanges themselves.
        """
        node = self._node
        flows, requests = node.flows, node.requests
        records, exchanges = flows.openFlows(), requests.openRequests()
        flowsOf = Counter(record.flow.listener for record in records)
        requestsOf = Counter(record.flow.listener for record in exchanges)
        return {
            "node": node.config.node,
            "version": self._version,
            "uptimeSeconds": round(self._seconds() - self._startedAt, 1),
            "draining": node.draining,
            "flows": {"open": len(records), "opened": flows.opened, "refused": flows.refused},
            "requests": {"open": len(exchanges), "taken": requests.started},
            "listeners": [
                {
                    "name": name,
                    "type": node.config.listeners[name].type if name in node.config.listeners else "",
                    "address": addressText(address),
                    "flows": flowsOf[name],
                    "requests": requestsOf[name],
                    **self._told(node.listeners.get(name)),
                }
                for name, address in node.addresses().items()
            ],
            "upstreams": [{"name": name, **self._told(upstream)} for name, upstream in sorted(node.upstreams.items())],
            "packets": node.packets.status(),
            "assist": [
                {"name": name, "type": node.config.assist[name].type, **assistant.status()}
                for name, assistant in sorted(node.assistants.items())
            ],
        }

    def _told(self, part: Any) -> dict[str, Any]:
        """
        What an upstream or a listener tells of itself, if anything.
        """
        status = getattr(part, "status", None)
        return dict(status()) if status is not None else {}

    def openFlows(self, limit: int = SHOWN) -> list[dict[str, Any]]:
        """
        The open flows, newest first, at most C{limit}.
        """
        records: Iterable[Any] = reversed(self._node.flows.openFlows()[-limit:])
        now = self._seconds()
        return [describe(record) | {"seconds": round(now - record.startedAt, 3)} for record in records]

    def openRequests(self, limit: int = SHOWN) -> list[dict[str, Any]]:
        """
        The exchanges that go on, newest first, at most C{limit}.
        """
        records: Iterable[Any] = reversed(self._node.requests.openRequests()[-limit:])
        now = self._seconds()
        return [describeRequest(record) | {"seconds": round(now - record.startedAt, 3)} for record in records]

    def packetPort(self, name: str) -> Any:
        """
        The port of IP packets that is called so; or L{None}.
        """
        return self._node.packets.port(name)

    def packetRoute(self, asked: Mapping[str, str]) -> dict[str, Any]:
        """
        Where a packet would go, and why.

        @param asked: C{destination}, and where given C{source}, C{transport}, C{port}, C{user}, C{node}, C{listener}.
        @raise ValueError: with a sentence for the user.
        """
        explained: dict[str, Any] = self._node.packets.explain(asked)
        return explained
