"""
Addresses for those who ask: pools, what is reserved for whom, and leases that outlive a restart.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from ipaddress import ip_address
from typing import Final

from attrs import define

from hermes.errors import HermesError
from hermes.ip.prefixes import IPAddress, IPNetwork
from hermes.values import Identity

MAX_KEPT: Final = 65_536
"""
Leases that are remembered: beyond, the one that was used longest ago and is not used now is forgotten.
"""


class LeaseError(HermesError):
    """
    The file of leases can't be used. The text is for the operator.
    """


@define(eq=False)
class Lease:
    """
    An address that somebody had last, and has again when it comes back.
    """

    holder: str
    address: IPAddress


class LeaseFile:
    """
    Leases on disk: a small SQLite database, whole after kill -9. Without a path they live as long as the process.
    """

    def __init__(self, path: str | None = None) -> None:
        """
        @raise LeaseError: where the file can't be opened, or is none of ours.
        """
        self.path = path
        try:
            self._database = sqlite3.connect(":memory:" if path is None else path, isolation_level=None)
            self._database.execute("pragma journal_mode=wal")
            self._database.execute("pragma synchronous=normal")
            self._database.execute(
                "create table if not exists leases"
                " (address text primary key, holder text not null, used integer not null)"
            )
            self._count = self._database.execute("select coalesce(max(used), 0) from leases").fetchone()[0]
        except sqlite3.Error as error:
            raise LeaseError(f"{path}: the leases can't be kept there: {error}") from error

    def load(self) -> list[Lease]:
        """
        All of them, the one that was used longest ago first.
        """
        rows = self._database.execute("select holder, address from leases order by used").fetchall()
        return [Lease(holder, ip_address(address)) for holder, address in rows]

    def save(self, lease: Lease) -> None:
        """
        C{lease} is used now.
        """
        self._count += 1
        self._database.execute(
            "insert or replace into leases values (?, ?, ?)", (str(lease.address), lease.holder, self._count)
        )

    def forget(self, lease: Lease) -> None:
        """
        C{lease} is nobody's any more.
        """
        self._database.execute("delete from leases where address = ?", (str(lease.address),))

    def close(self) -> None:
        """
        Close the file.
        """
        self._database.close()


class AddressPool:
    """
    Gives addresses to those who ask. The same one gets the same again; somebody who has no name gets one for as long as
    it stays.

    The first address of each pool is kept for the node, the first and last number of an IPv4 prefix for nobody.
    """

    def __init__(
        self,
        networks: Sequence[IPNetwork],
        reserved: Mapping[str, Sequence[IPAddress]] = {},
        file: LeaseFile | None = None,
        own: Iterable[IPAddress] = (),
    ) -> None:
        """
        @param networks: what addresses are given from.
        @param reserved: addresses of users and nodes, by name: in a pool or not.
        @param own: addresses that the node has itself.
        """
        self.networks = tuple(networks)
        self._reserved = {name: tuple(addresses) for name, addresses in reserved.items()}
        self._taken = {address for addresses in reserved.values() for address in addresses} | set(own)
        self._file = LeaseFile() if file is None else file
        # By address, used longest ago first; and those of each holder.
        self._leases: dict[IPAddress, Lease] = {}
        self._holders: dict[str, list[Lease]] = {}
        self._used: dict[IPAddress, int] = {}
        # From here on nothing of a pool was ever given; of what was, some is free again.
        self._next = {network: _first(network) for network in self.networks}
        self._free: dict[int, list[IPAddress]] = {4: [], 6: []}
        for lease in self._file.load():
            if any(lease.address in network for network in self.networks) and lease.address not in self._taken:
                self._remember(lease)

    def first(self, version: int) -> IPAddress | None:
        """
        The node's own address in the first pool of a version of IP.
        """
        for network in self.networks:
            if network.version == version:
                return network[1] if network.num_addresses > 2 else network[0]
        return None

    def take(self, identity: Identity, version: int, wished: IPAddress | None = None) -> IPAddress | None:
        """
        An address for C{identity}, which is in use until it is given back with L{release}; L{None} where there is none
        left.

        @param wished: given if it may be: it is reserved for this one, was its own last, or is nobody's. What another
            connection of the same one uses is given too: it takes its place.
        """
        address = None
        if wished is not None and wished.version == version and self._may(identity, wished):
            address = wished
        if address is None:
            address = self._own(identity, version)
        if address is None:
            address = self._fresh(version)
        if address is None:
            return None
        self._used[address] = self._used.get(address, 0) + 1
        self._keep(identity, address)
        return address

    def release(self, address: IPAddress) -> None:
        """
        One use of C{address} has ended.
        """
        left = self._used.get(address, 0) - 1
        if left > 0:
            self._used[address] = left
            return
        self._used.pop(address, None)
        lease = self._leases.get(address)
        if lease is not None and not lease.holder:
            self._forget(lease)

    def holder(self, address: IPAddress) -> str | None:
        """
        Whose lease C{address} is.
        """
        lease = self._leases.get(address)
        return None if lease is None else lease.holder

    def _may(self, identity: Identity, address: IPAddress) -> bool:
        if address in self._taken:
            return any(address in self._reserved.get(name, ()) for name in names(identity))
        lease = self._leases.get(address)
        if lease is not None:
            return bool(identity) and lease.holder == str(identity)
        return any(_fits(address, network) for network in self.networks)

    def _own(self, identity: Identity, version: int) -> IPAddress | None:
        for name in names(identity):
            for address in self._reserved.get(name, ()):
                if address.version == version and address not in self._used:
                    return address
        if identity:
            for lease in self._holders.get(str(identity), ()):
                if lease.address.version == version and lease.address not in self._used:
                    return lease.address
        return None

    def _fresh(self, version: int) -> IPAddress | None:
        free = self._free[version]
        while free:
            address = free.pop()
            if address not in self._leases and address not in self._taken:
                return address
        for network in self.networks:
            if network.version != version:
                continue
            address = self._next[network]
            while _fits(address, network):
                if address not in self._leases and address not in self._taken:
                    self._next[network] = address + 1
                    return address
                address += 1
            self._next[network] = address
        return self._reclaimed(version)

    def _reclaimed(self, version: int) -> IPAddress | None:
        """
        The address that was used longest ago.
        """
        for address, lease in self._leases.items():
            if address.version == version and address not in self._used:
                self._forget(lease)
                return address
        return None

    def _keep(self, identity: Identity, address: IPAddress) -> None:
        if address in self._taken:
            return
        lease = self._leases.pop(address, None)
        if lease is None:
            self._bound()
            lease = Lease(str(identity) if identity else "", address)
            self._remember(lease)
        else:
            self._leases[address] = lease
        if lease.holder:
            self._file.save(lease)

    def _bound(self) -> None:
        if len(self._leases) >= MAX_KEPT:
            for address, lease in self._leases.items():
                if address not in self._used:
                    self._forget(lease)
                    return

    def _remember(self, lease: Lease) -> None:
        self._leases[lease.address] = lease
        self._holders.setdefault(lease.holder, []).append(lease)

    def _forget(self, lease: Lease) -> None:
        del self._leases[lease.address]
        held = self._holders[lease.holder]
        held.remove(lease)
        if not held:
            del self._holders[lease.holder]
        if lease.holder:
            self._file.forget(lease)
        self._free[lease.address.version].append(lease.address)

    def close(self) -> None:
        """
        Close the file of leases.
        """
        self._file.close()


def names(identity: Identity) -> list[str]:
    """
    What somebody is called in C{reserved} and C{networks}: the user, the node.
    """
    return [name for name in (identity.user, identity.node) if name]


def _first(network: IPNetwork) -> IPAddress:
    """
    The first address that is given: behind the node's own.
    """
    return network[2] if network.num_addresses > 2 else network[0]


def _fits(address: IPAddress, network: IPNetwork) -> bool:
    """
    Whether it may be given.
    """
    if address not in network or int(address) < int(_first(network)):
        return False
    return network.version == 6 or network.num_addresses <= 2 or address != network.broadcast_address
