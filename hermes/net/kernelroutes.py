"""
What a device is to have, and the difference from what it has.

A route is in the main table, as anybody would add it, unless some sockets are to stay outside the device: those of
the proxies, whose packets are what goes through it. Then routes are in tables of their own, one for each length of a
prefix, and rules say who looks there. With routes to 10.0.0.0/8 and 0.0.0.0/0, and the numbers of the default, they
are::

    18432: from all fwmark 0x4845 goto 18691
    18481: from all lookup main suppress_prefixlength 8
    18482: from all lookup 4736264
    18497: from all lookup main suppress_prefixlength 0
    18498: from all lookup 18501
    18691: from all nop

Marked sockets pass all of it by. For everybody else the longest prefix counts, in all tables together: what the main
table has that is longer than a route of ours comes before it. However many routes there are, the rules are few.

When the device goes, its routes go with it, and the rules lead nowhere. Where nothing is to go past it even then, each
of these tables has a second route to each prefix, that comes after the first, and says that nothing is there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
)
from typing import Any, TypeAlias

from attrs import field, frozen

from hermes.interfaces.kernel import (
    MAIN_TABLE,
    Add,
    Change,
    LinkAddress,
    LinkRoute,
    LinkState,
    PolicyRule,
    Remove,
    SetLink,
)

ALIAS = "hermes"
"""
What is written on devices that are there because of us, so that they can be told when we are gone.
"""

BLOCK = 512
"""
How many priorities the rules of one device may take; they begin at a multiple of it.
"""

LAST_RULE = 259
"""
How far behind the first one the last rule is: there are two for each length that a prefix can have, 0 to 128.
"""

IPAddress: TypeAlias = "IPv4Address | IPv6Address"
IPInterface: TypeAlias = "IPv4Interface | IPv6Interface"
IPNetwork: TypeAlias = "IPv4Network | IPv6Network"


def _checkPriority(instance: object, attribute: Any, priority: int) -> None:
    if priority % BLOCK or not 0 < priority <= 32766 - BLOCK:
        raise ValueError(f"rules begin at a multiple of {BLOCK} below 32256, not at {priority}")


def _checkTable(instance: object, attribute: Any, table: int) -> None:
    if not 0 < table < 1 << 24 or 253 <= table <= 255:
        raise ValueError(f"{table} is no routing table of ours")


def _checkMark(instance: object, attribute: Any, mark: int) -> None:
    if not 0 < mark < 1 << 31:
        raise ValueError(f"{mark} is no mark of a packet")


@frozen
class Outside:
    """
    Which sockets stay outside a device, and what that takes. No two devices of a machine share a table or a priority.

    @ivar mark: of these sockets (C{SO_MARK}), see L{hermes.net.network.Network}.
    @ivar table: the routing table for everybody else's packets to everywhere. Those to prefixes of other lengths are in
        256 times this plus their length.
    @ivar priority: of the first of the rules: a multiple of L{BLOCK}.
    """

    mark: int = field(default=0x4845, validator=_checkMark)
    table: int = field(default=0x4845, validator=_checkTable)
    priority: int = field(default=0x4800, validator=_checkPriority)

    def tableOf(self, network: IPNetwork) -> int:
        """
        The routing table that a route is in.
        """
        return self.table << 8 | network.prefixlen if network.prefixlen else self.table

    def holds(self, table: int) -> bool:
        """
        Whether a routing table is one of these.
        """
        return self.table in (table, table >> 8)


@frozen
class DesiredDevice:
    """
    What a device is to have. It is set up.

    @ivar addresses: its addresses, with the prefixes that are reached without a route.
    @ivar peers: of those of its addresses that are one end of a point to point link, the other end.
    @ivar routes: what else is reached through it. With a prefix of length 0 it is everything.
    @ivar outside: which sockets pass its routes by; L{None}: none.
    @ivar mtu: in bytes; L{None}: as it is.
    @ivar queue: how many packets wait for its reader at most; L{None}: as it is.
    @ivar ours: whether it is there because of us, though it stays when its process ends: then
        L{hermes.net.devicesetup.repair} may remove it.
    @ivar strict: whether what its routes take is unreachable without it, and goes no other way. For that it needs an
        C{outside}.
    """

    addresses: tuple[IPInterface, ...] = ()
    peers: Mapping[IPAddress, IPAddress] = field(factory=dict)
    routes: tuple[IPNetwork, ...] = ()
    outside: Outside | None = None
    mtu: int | None = None
    queue: int | None = None
    ours: bool = False
    strict: bool = False

    def __attrs_post_init__(self) -> None:
        if self.outside is None and any(route.prefixlen == 0 for route in self.routes):
            raise ValueError(
                "a route to everything would catch what goes through the device itself: it needs a mark for the "
                "sockets that stay outside"
            )
        if self.strict and self.outside is None:
            raise ValueError("without tables of its own, nothing can stand in for the routes of a device")
        if self.mtu is not None and not 68 <= self.mtu <= 65535:
            raise ValueError(f"the MTU of a device is 68 to 65535 bytes, not {self.mtu}")
        if self.mtu is not None and self.mtu < 1280 and any(item.version == 6 for item in self.addresses + self.routes):
            raise ValueError(f"IPv6 needs an MTU of 1280 bytes, not {self.mtu}")

    def linkAddresses(self, device: str) -> frozenset[LinkAddress]:
        """
        Its addresses.
        """
        return frozenset(LinkAddress(device, address, self.peers.get(address.ip)) for address in self.addresses)

    def linkRoutes(self, device: str) -> frozenset[LinkRoute]:
        """
        Its routes, and those that stand in for them.
        """
        outside = self.outside
        return frozenset(
            LinkRoute(place, network, MAIN_TABLE if outside is None else outside.tableOf(network))
            for network in self.routes
            for place in ((device, "") if self.strict else (device,))
        )

    def rules(self) -> frozenset[PolicyRule]:
        """
        The rules that lead to its routes.
        """
        if self.outside is None:
            return frozenset()
        return frozenset(_rules(self.routes, self.outside))


def _rules(networks: Sequence[IPNetwork], outside: Outside) -> Iterable[PolicyRule]:
    first, last = outside.priority, outside.priority + LAST_RULE
    for network in networks:
        # The longest first. The two of one length are the same for all its prefixes.
        place = first + 1 + 2 * (network.max_prefixlen - network.prefixlen)
        yield PolicyRule(network.version, place, table=MAIN_TABLE, suppress=network.prefixlen)
        yield PolicyRule(network.version, place + 1, table=outside.tableOf(network))
    for family in {network.version for network in networks}:
        yield PolicyRule(family, first, mark=outside.mark, goto=last)
        yield PolicyRule(family, last)


def difference(
    device: str, state: LinkState, desired: DesiredDevice | None, place: Outside | None = None
) -> list[Change]:
    """
    What is to be changed so that a device has what is desired, and nothing of ours more. First is made what is new,
    then removed what is old: what stays reachable is so all the time.

    Rules of ours that lead nowhere are removed, too, whichever device they were for: a process that was killed has left
    them. Those that lead to where something is said to be unreachable lead somewhere.

    @param state: what there is.
    @param desired: L{None}: nothing; then there need be no device.
    @param place: where the device has its tables and rules, if C{desired} does not say; L{None}: nowhere.
    """
    if desired is not None and desired.outside is not None:
        place = desired.outside
    changes: list[Change] = []
    addresses: frozenset[LinkAddress] = frozenset()
    routes: frozenset[LinkRoute] = frozenset()
    rules: frozenset[PolicyRule] = frozenset()
    if desired is not None:
        addresses, routes, rules = desired.linkAddresses(device), desired.linkRoutes(device), desired.rules()
        changes += _linkChanges(device, state, desired)
    have = {_identity(address): address for address in state.addresses}
    wanted = {_identity(address): address for address in addresses}
    newAddresses = [address for key, address in wanted.items() if key not in have]
    oldAddresses = [address for key, address in have.items() if address.ours and key not in wanted]
    # IPv6 has an address once. IPv4 has it once for each length of a prefix.
    sixes = {address.interface.ip for address in newAddresses if address.interface.version == 6}
    first = [address for address in oldAddresses if address.interface.ip in sixes]
    if any(address.interface.version == 4 for address in oldAddresses) and state.link and not state.link.promotes:
        changes.append(SetLink(device, promotes=True))
    changes += [Remove(address) for address in _ordered(first)]
    changes += [Add(address) for address in _ordered(newAddresses)]
    # A route that is there for another reason does as well: an address brings one with it.
    there = {_way(route) for route in state.routes}
    changes += [Add(route) for route in _ordered(routes) if _way(route) not in there]
    stale = frozenset(_staleRules(device, state, place)) - rules
    changes += [Add(rule) for rule in sorted(rules - state.rules, key=_order)]
    changes += [Remove(rule) for rule in sorted(stale, key=_order, reverse=True)]
    kept = {_way(route) for route in routes}
    oldRoutes = [route for route in state.routes if route.ours and _isItsOwn(route, device, place)]
    changes += [Remove(route) for route in _ordered(oldRoutes) if _way(route) not in kept]
    changes += [Remove(address) for address in _ordered(oldAddresses) if address not in first]
    return changes


def _linkChanges(device: str, state: LinkState, desired: DesiredDevice) -> list[Change]:
    link = state.link
    if link is None:
        return []
    mtu = desired.mtu if desired.mtu != link.mtu else None
    queue = desired.queue if desired.queue != link.queue else None
    up = None if link.up else True
    alias = ALIAS if desired.ours and not link.alias else None
    change = SetLink(device, mtu, up, queue, alias)
    return [] if change == SetLink(device) else [change]


def _identity(address: LinkAddress) -> tuple[IPInterface, IPAddress | None]:
    return address.interface, address.peer


def _way(route: LinkRoute) -> tuple[str, IPNetwork, int]:
    return route.device, route.network, route.table


def _isItsOwn(route: LinkRoute, device: str, place: Outside | None) -> bool:
    """
    Whether a route is this device's, or stands in for one of its.
    """
    if route.device:
        return route.device == device
    return place is not None and place.holds(route.table)


def _ordered(items: Iterable[Any]) -> list[Any]:
    """
    In an order that is always the same.
    """
    return sorted(items, key=str)


def _order(rule: PolicyRule) -> tuple[int, int, int]:
    """
    In which order rules are made. Nothing goes to our table before the marked sockets pass it by and the main table's
    longer prefixes come first.
    """
    if rule.table and rule.suppress is None:
        kind = 3
    elif rule.table:
        kind = 2
    else:
        kind = 1 if rule.goto else 0
    return kind, rule.family, rule.priority


def _staleRules(device: str, state: LinkState, place: Outside | None) -> Iterable[PolicyRule]:
    """
    The rules of ours that are this device's or nobody's.
    """
    mine = None if place is None else place.priority // BLOCK
    ours = [route for route in state.routes if route.ours and not _isItsOwn(route, device, place)]
    others = {route.table for route in ours} - {MAIN_TABLE}
    blocks: dict[int, list[PolicyRule]] = {}
    for rule in state.rules:
        blocks.setdefault(rule.priority // BLOCK, []).append(rule)
    for block, rules in blocks.items():
        if block == mine or not any(rule.table in others for rule in rules):
            yield from rules
