"""
What an upstream is told of a flow in a PROXY protocol header.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from hermes.fabric.places import Endpoint
from hermes.values import Address, Flow, Identity, Target
from hermes.wire.proxyprotocol import PP2_TYPE_AUTHORITY, ProxyHeader, writeV1, writeV2

ProxyProtocolVersion: TypeAlias = Literal["v1", "v2"]


def preamble(version: ProxyProtocolVersion, flow: Flow, endpoint: Endpoint, transport: Any) -> bytes:
    """
    The header.

    @param transport: the connection; L{None} where it is a tunnel, whose peer is a hop.
    """
    return (writeV1 if version == "v1" else writeV2)(_header(flow, endpoint, transport))


def _header(flow: Flow, endpoint: Endpoint, transport: Any) -> ProxyHeader:
    """
    What the upstream is told: where the client is, what it connected to, and who it is.
    """
    tlvs: tuple[tuple[int, bytes], ...] = ()
    if flow.target.address() is None:
        tlvs = ((PP2_TYPE_AUTHORITY, flow.target.host.encode("utf-8", "replace")),)
    header = ProxyHeader(source=flow.source, destination=_destination(flow, endpoint, transport), tlvs=tlvs)
    return header.withIdentity(_identityText(flow.identity)) if flow.identity else header


def _identityText(identity: Identity) -> str:
    """
    C{node=NODE}, C{user=USER} or C{node=NODE;user=USER}: who is a node and who a user must not be guessed. A node's
    name has no C{;}, and the user's comes last.
    """
    parts = (("node", identity.node), ("user", identity.user))
    return ";".join(f"{kind}={name}" for kind, name in parts if name is not None)


def _destination(flow: Flow, endpoint: Endpoint, transport: Any) -> Address | None:
    """
    The address that the client connected to. A name is none: then that of the endpoint, or where that is not known
    either, the unspecified one, for without a destination the header could not tell the source.
    """
    if flow.target.address() is not None:
        return flow.target.host, flow.target.port
    peer: Any = transport and transport.getPeer()
    if hasattr(peer, "port"):
        return peer.host, peer.port
    if not endpoint.address.startswith("unix:"):
        target = Target.fromText(endpoint.address)
        if target.address() is not None:
            return target.host, target.port
    if flow.source is None:
        return None
    return "::" if ":" in flow.source[0] else "0.0.0.0", flow.target.port
