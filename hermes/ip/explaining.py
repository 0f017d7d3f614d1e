"""
Where a packet would go, in words.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any

from hermes.ip.table import Asked, PacketTable
from hermes.values import Identity
from hermes.wire.protocols import protocolNumber

FIELDS = ("destination", "source", "transport", "port", "user", "node", "listener")


def askedFor(given: Mapping[str, str]) -> Asked:
    """
    A packet, from what somebody says of it.

    @param given: of L{FIELDS} C{destination} at least.
    @raise ValueError: with a sentence for the user.
    """
    for name in given:
        if name not in FIELDS:
            raise ValueError(f"{name!r} is nothing that a packet is asked about: there is {', '.join(FIELDS)}")
    if "destination" not in given:
        raise ValueError("a destination is missing")
    destination = ip_address(given["destination"])
    anywhere, ping = ("0.0.0.0", "icmp") if destination.version == 4 else ("::", "icmpv6")
    source = ip_address(given.get("source") or anywhere)
    if source.version != destination.version:
        raise ValueError(f"{source} and {destination} are of different versions of IP")
    port: int | None = None
    if given.get("port"):
        if not given["port"].isdigit() or not 0 < int(given["port"]) < 65536:
            raise ValueError(f"{given['port']!r} is not a port")
        port = int(given["port"])
    transport = given.get("transport") or (ping if port is None else "tcp")
    return Asked(
        source,
        destination,
        protocolNumber(transport),
        destinationPort=port,
        identity=Identity(given.get("node") or None, given.get("user") or None),
        listener=given.get("listener") or "",
    )


def explain(table: PacketTable, asked: Asked) -> dict[str, Any]:
    """
    Plain values: C{packet}, the packet in words; C{lines}, a sentence for each route; C{action}, what is done; and
    C{allowed}.
    """
    rule = table.decide(asked)
    return {
        "packet": str(asked),
        "lines": table.explain(asked),
        "action": "refused: no route takes it" if rule is None else rule.action,
        "allowed": rule is not None and rule.deny is None,
    }
