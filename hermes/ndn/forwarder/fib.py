"""
The Forwarding Information Base: which faces lead towards which prefix.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from hermes.ndn.forwarder.port import Port
from hermes.ndn.forwarder.prefixtable import PrefixTable, endsOf

MAX_PREFIX: Final = 32
"""
The longest prefix in the FIB, in components: as in NFD.
"""


class NextHop:
    """
    One way towards a prefix.

    @ivar port: the face.
    @ivar cost: less is better.
    """

    __slots__ = ("cost", "port")

    def __init__(self, port: Port, cost: int) -> None:
        self.port = port
        self.cost = cost

    def __repr__(self) -> str:
        return f"<NextHop {self.port.id} cost {self.cost}>"


class FIBEntry:
    """
    All ways towards a prefix.

    @ivar prefix: the value of its name.
    @ivar hops: the next hops, the cheapest first, and of those that cost the same, the oldest face; at least one. The
        tuple is never changed: a new one takes its place.
    """

    __slots__ = ("hops", "prefix")

    def __init__(self, prefix: bytes) -> None:
        self.prefix = prefix
        self.hops: tuple[NextHop, ...] = ()

    def __repr__(self) -> str:
        return f"<FIBEntry {self.prefix!r} {list(self.hops)}>"


class FIB:
    """
    Prefixes and their next hops.

    @ivar longest: finds the entry of the longest prefix of a name; see L{PrefixTable.longest}.
    """

    def __init__(self) -> None:
        self._entries: PrefixTable[FIBEntry] = PrefixTable()
        self.longest = self._entries.longest

    def __len__(self) -> int:
        """
        How many prefixes there are.
        """
        return len(self._entries)

    def __iter__(self) -> Iterator[FIBEntry]:
        """
        The entries, in no order.
        """
        return self._entries.values()

    def get(self, prefix: bytes) -> FIBEntry | None:
        """
        The entry of exactly this prefix.
        """
        return self._entries.get(prefix)

    def setNextHop(self, prefix: bytes, port: Port, cost: int) -> bool:
        """
        Add a next hop, or give it another cost.

        @return: whether it is new.
        @raise ValueError: if the prefix is too long or no name, or the cost is below 0.
        """
        if cost < 0:
            raise ValueError("a cost is not below 0")
        entry = self._entries.get(prefix)
        if entry is None:
            if len(endsOf(prefix)) > MAX_PREFIX:
                raise ValueError(f"a prefix in the FIB has at most {MAX_PREFIX} components")
            entry = FIBEntry(prefix)
            self._entries.set(prefix, entry)
        others = [hop for hop in entry.hops if hop.port is not port]
        new = len(others) == len(entry.hops)
        entry.hops = tuple(sorted([*others, NextHop(port, cost)], key=lambda hop: (hop.cost, hop.port.id)))
        port.routes[entry] = None
        return new

    def removeNextHop(self, prefix: bytes, port: Port) -> bool:
        """
        Take a next hop away; with its last one the prefix goes.

        @return: whether there was one.
        """
        entry = self._entries.get(prefix)
        if entry is None or entry not in port.routes:
            return False
        self._drop(entry, port)
        return True

    def remove(self, prefix: bytes) -> bool:
        """
        Take a prefix away, with all its next hops.

        @return: whether there was one.
        """
        entry = self._entries.remove(prefix)
        if entry is None:
            return False
        for hop in entry.hops:
            del hop.port.routes[entry]
        entry.hops = ()
        return True

    def removePort(self, port: Port) -> None:
        """
        Take all next hops away that are this face.
        """
        for entry in list(port.routes):
            self._drop(entry, port)

    def _drop(self, entry: FIBEntry, port: Port) -> None:
        del port.routes[entry]
        entry.hops = tuple([hop for hop in entry.hops if hop.port is not port])
        if not entry.hops:
            self._entries.remove(entry.prefix)
