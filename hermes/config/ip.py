"""
The C{ip} section in the configuration of a node: see L{hermes.config.schema}.
"""

from __future__ import annotations

from ipaddress import ip_network

from attrs import field, frozen

from hermes.config.problems import Misfit
from hermes.config.types import IPAddress, Name, Network, NewFile

MOST_NETWORKS = 100
"""
Networks behind one user or node: they are told to it in one capsule.
"""


@frozen
class IPConfig:
    """
    IP packets: which addresses belong to whom. Which packets go where, C{routes} say, with C{protocol: ip}.

    @ivar pools: prefixes from which those get an address who open a CONNECT-IP tunnel here and ask for one. The first
        address of each is this node's own.
    @ivar leases: the file where it is kept who had which address, so that it has it again after a restart; left out,
        it is forgotten when the node ends.
    @ivar reserved: addresses of users and nodes, by name.
    @ivar networks: prefixes that lie behind users and nodes, by name: they may send from there, and packets to there go
        to them.
    """

    pools: tuple[Network, ...] = ()
    leases: NewFile | None = None
    reserved: dict[Name, tuple[IPAddress, ...]] = field(factory=dict)
    networks: dict[Name, tuple[Network, ...]] = field(factory=dict)

    def __attrs_post_init__(self) -> None:
        for place, pool in enumerate(self.pools):
            below = ("pools", place) if len(self.pools) > 1 else ("pools",)
            for other in self.pools[:place]:
                if pool.overlaps(other):
                    raise Misfit(f"{pool} overlaps {other}", below=below)
        if self.leases == "-":
            raise Misfit("leases are kept in a file, not on standard output", below=("leases",))
        holders: dict[IPAddress, str] = {}
        for name, addresses in self.reserved.items():
            for address in addresses:
                if address in holders:
                    raise Misfit(f"{address} is reserved for {holders[address]} already", below=("reserved", name))
                holders[address] = name
        taken: list[tuple[Network, str]] = []
        for name, networks in self.networks.items():
            if len(networks) > MOST_NETWORKS:
                raise Misfit(f"more than {MOST_NETWORKS} networks: summarise them", below=("networks", name))
            for network in networks:
                for other, holder in taken:
                    if network.overlaps(other) and network == other:
                        raise Misfit(f"{network} lies behind {holder} already", below=("networks", name))
                for reserved, holder in holders.items():
                    if holder != name and ip_network(str(reserved)) == network:
                        raise Misfit(f"{network} is reserved for {holder}", below=("networks", name))
                taken.append((network, name))
