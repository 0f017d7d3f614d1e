"""
What the IP side of a node does, as plain values: for the status API.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hermes.ip.port import DevicePort, Port
from hermes.ip.switch import PacketSwitch
from hermes.ip.tunnels import TunnelPort
from hermes.ip.uplink import Uplink


def status(switch: PacketSwitch, devices: Mapping[DevicePort, Any]) -> dict[str, Any]:
    """
    The ports of a switch, and what did not get on.

    @param devices: what listeners tell of their devices.
    """
    return {
        "ports": [_port(port, devices) for port in switch.ports],
        "refused": {why.value: count for why, count in switch.refusals.counts.items()},
        "errorsNotSent": switch.refusals.unanswered,
    }


def _port(port: Port, devices: Mapping[DevicePort, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {
        "name": port.name,
        "kind": "device",
        "listener": port.listener,
        "identity": str(port.identity),
        "up": port.up,
        "mtu": port.mtu,
        "flows": len(port.ways),
        "packetsIn": port.packetsIn,
        "bytesIn": port.bytesIn,
        "packetsOut": port.packetsOut,
        "bytesOut": port.bytesOut,
        "dropped": port.dropped,
        "addresses": [],
    }
    if isinstance(port, TunnelPort):
        found["kind"] = "tunnel"
        found["addresses"] = [str(address) for address in port.addresses]
        found["networks"] = [str(network) for network in port.networks]
    elif isinstance(port, Uplink):
        found["kind"] = "hop"
        found["addresses"] = [str(network.network_address) for network in port.assigned]
        found["routes"] = [f"{start}-{end}" for start, end, _ in port.routes]
        found["opened"] = port.opened
        if port.failure is not None:
            found["failure"] = port.failure
    elif isinstance(port, DevicePort) and port in devices:
        found["addresses"] = [str(interface) for interface in devices[port].addresses]
    return found
