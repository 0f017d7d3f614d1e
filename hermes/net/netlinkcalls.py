"""
What is read and changed through netlink, with calls that block. For a thread.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from errno import EACCES, EADDRNOTAVAIL, EAFNOSUPPORT, EEXIST, ENODEV, ENOENT, EOPNOTSUPP, EPERM, ESRCH
from functools import lru_cache
from ipaddress import ip_address, ip_interface, ip_network
from socket import AF_INET, AF_INET6
from typing import Any, TypeVar

from hermes.interfaces.kernel import (
    Add,
    Change,
    Link,
    LinkAddress,
    LinkItem,
    LinkRoute,
    LinkState,
    PolicyRule,
    Remove,
    SetLink,
)
from hermes.net.kernelerrors import KernelError, MissingCapability
from hermes.net.promotion import setPromotion

PROTOCOL = 0x48
"""
What routes, rules and addresses of ours are marked with: who made them (C{rtm_protocol}, C{FRA_PROTOCOL},
C{IFA_PROTO}).
"""

LOCAL_TABLE = 255
UNICAST = 1
UNREACHABLE = 7
LINK_SCOPE = 253
LAST_METRIC = 0xFFFFFFFE
NODAD = 0x02
NO_SUPPRESSION = 0xFFFFFFFF
IFF_UP = 0x1
GOTO = 2

ABSENT = frozenset({ENOENT, ESRCH, ENODEV, EADDRNOTAVAIL})
"""
What is said of something that is to be removed and is not there.
"""

READ_ATTEMPTS = 5
"""
How often to read what changes while it is read.
"""

T = TypeVar("T")

_FAMILIES = {4: AF_INET, 6: AF_INET6}


@contextmanager
def _netlink() -> Iterator[Any]:
    """
    A socket.
    """
    # It takes a fifth of a second to import, and most nodes have no device.
    from pyroute2 import IPRoute

    try:
        with IPRoute(groups=0, ext_ack=True, strict_check=True) as route:
            yield route
    except OSError as error:
        raise KernelError(f"netlink can't be used: {error.strerror}", error.errno or 0) from error


def readLinks() -> list[Link]:
    """
    All devices.

    @raise KernelError: where the kernel can't be asked.
    """
    return _read(lambda route: [_link(message) for message in route.get_links()])


def readAddresses() -> list[LinkAddress]:
    """
    The addresses of all devices.

    @raise KernelError: where the kernel can't be asked.
    """
    return _read(_addresses)


def _addresses(route: Any) -> list[LinkAddress]:
    links = {link.index: link for link in map(_link, route.get_links())}
    found = [(message, links.get(message["index"])) for message in route.get_addr()]
    return [_address(message, link) for message, link in found if link is not None]


def readState(device: str) -> LinkState:
    """
    What there is of a device and of ours.

    @raise KernelError: where the kernel can't be asked.
    """
    return _read(lambda route: _state(route, device))


def _read(what: Callable[[Any], T]) -> T:
    from pyroute2.netlink.exceptions import NetlinkDumpInterrupted, NetlinkError

    attempts = READ_ATTEMPTS
    while True:
        attempts -= 1
        try:
            with _netlink() as route:
                return what(route)
        except NetlinkError as error:
            # Something has changed meanwhile: what was read may be half of each. Or the device is gone by now.
            if not attempts or not (isinstance(error, NetlinkDumpInterrupted) or error.code == ENODEV):
                raise KernelError(f"reading the network configuration: {error.args[-1]}", error.code) from error


def _state(route: Any, device: str) -> LinkState:
    links = {link.index: link for link in map(_link, route.get_links())}
    names = {link.index: link.name for link in links.values()}
    link = next((link for link in links.values() if link.name == device), None)
    routes: list[Any] = []
    rules: list[Any] = []
    for family in _FAMILIES.values():
        # Each filter is the kernel's: there may be a million routes of others.
        routes += route.route("dump", family=family, proto=PROTOCOL)
        if link is not None:
            routes += route.route("dump", family=family, oif=link.index)
        rules += _rules(route, family)
    addresses = [] if link is None else route.get_addr(index=link.index)
    return LinkState(
        link,
        frozenset(_address(message, link) for message in addresses if link is not None),
        frozenset(_route(message, names) for message in routes if _isOrdinary(message, names)),
        frozenset(_rule(message) for message in rules if message.get_attr("FRA_PROTOCOL") == PROTOCOL),
        frozenset(_strictDevices({link.name for link in links.values() if link.up and link.name != device})),
    )


def _rules(route: Any, family: int) -> Sequence[Any]:
    from pyroute2.netlink.exceptions import NetlinkError

    try:
        return tuple(route.get_rules(family=family))
    except NetlinkError as error:
        # A kernel without IPv6, or without policy routing.
        if error.code in (EAFNOSUPPORT, EOPNOTSUPP):
            return ()
        raise


def makeChanges(changes: Sequence[Change]) -> None:
    """
    Change things, in order.

    @raise KernelError: at the first that is refused.
    """
    from pyroute2.netlink.exceptions import NetlinkError

    indexes: dict[str, int] = {}
    with _netlink() as route:
        for change in changes:
            try:
                _change(route, change, indexes)
            except NetlinkError as error:
                if not (isinstance(change, Remove) and error.code in ABSENT):
                    raise _refused(change, error.code, str(error.args[-1])) from error
            except OSError as error:
                raise _refused(change, error.errno or 0, error.strerror or str(error)) from error


def _change(route: Any, change: Change, indexes: dict[str, int]) -> None:
    """
    @param indexes: those of devices, as far as they were asked for.
    """
    if isinstance(change, SetLink):
        wanted: dict[str, Any] = {
            "mtu": change.mtu,
            "txqlen": change.queue,
            "ifalias": change.alias,
            "state": None if change.up is None else "up" if change.up else "down",
        }
        wanted = {key: value for key, value in wanted.items() if value is not None}
        index = _index(route, change.device, indexes)
        if wanted:
            route.link("set", index=index, **wanted)
        if change.promotes is not None:
            setPromotion(index, change.promotes)
        return
    command = "add" if isinstance(change, Add) else "del"
    item = change.item
    if isinstance(item, Link):
        route.link("del", index=item.index)
    elif isinstance(item, LinkAddress):
        route.addr(command, index=_index(route, item.device, indexes), **_addressFields(item, command == "add"))
    elif isinstance(item, LinkRoute):
        through = {"oif": _index(route, item.device, indexes)} if item.device else {}
        route.route(command, **through, **_routeFields(item))
    else:
        route.rule(command, **_ruleFields(item))


def _index(route: Any, device: str, indexes: dict[str, int]) -> int:
    from pyroute2.netlink.exceptions import NetlinkError

    if device not in indexes:
        found = route.link_lookup(ifname=device)
        if not found:
            raise NetlinkError(ENODEV)
        indexes[device] = int(found[0])
    return indexes[device]


def _addressFields(address: LinkAddress, new: bool) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "family": _FAMILIES[address.interface.version],
        "local": str(address.interface.ip),
        "prefixlen": address.interface.network.prefixlen,
    }
    if address.peer is not None:
        fields["address"] = str(address.peer)
    if new:
        fields["proto"] = PROTOCOL
        if address.interface.version == 6:
            # There is nobody else on the device who could have it.
            fields["IFA_FLAGS"] = NODAD
    return fields


def _routeFields(route: LinkRoute) -> dict[str, Any]:
    version = route.network.version
    fields = {"family": _FAMILIES[version], "dst": str(route.network), "table": route.table, "proto": PROTOCOL}
    if not route.device:
        # Whatever leads there in another way comes before it.
        fields |= {"type": "unreachable", "priority": LAST_METRIC}
    elif version == 4:
        fields["scope"] = LINK_SCOPE
    return fields


def _ruleFields(rule: PolicyRule) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "family": _FAMILIES[rule.family],
        "priority": rule.priority,
        "FRA_PROTOCOL": PROTOCOL,
        "action": "to_tbl" if rule.table else "goto" if rule.goto else "nop",
    }
    if rule.mark is not None:
        fields["fwmark"] = rule.mark
    if rule.table:
        fields["table"] = rule.table
    if rule.suppress is not None:
        fields["FRA_SUPPRESS_PREFIXLEN"] = rule.suppress
    if rule.goto:
        fields["goto"] = rule.goto
    return fields


def _link(message: Any) -> Link:
    info = message.get_attr("IFLA_LINKINFO")
    return Link(
        message["index"],
        message.get_attr("IFLA_IFNAME"),
        message.get_attr("IFLA_MTU"),
        bool(message["flags"] & IFF_UP),
        bool(message.get_attr("IFLA_CARRIER")),
        (info.get_attr("IFLA_INFO_KIND") if info is not None else None) or "",
        message.get_attr("IFLA_IFALIAS") or "",
        message.get_attr("IFLA_TXQLEN") or 0,
        _promotes(message),
    )


def _promotes(message: Any) -> bool:
    families = message.get_attr("IFLA_AF_SPEC")
    settings = None if families is None else families.get_attr("AF_INET")
    return settings is not None and bool(settings["promote_secondaries"])


def _address(message: Any, link: Link) -> LinkAddress:
    prefix = message["prefixlen"]
    address = message.get_attr("IFA_ADDRESS")
    local = message.get_attr("IFA_LOCAL") or address
    maker = message.get_attr("IFA_PROTO")
    ours = bool(maker == PROTOCOL)
    if maker is None and not _tellsMakers():
        # On a device of ours it is the nearest to it.
        ours = bool(link.alias) and int(message["scope"]) != LINK_SCOPE
    return LinkAddress(
        link.name, ip_interface((local, prefix)), None if local == address else ip_address(address), ours
    )


@lru_cache
def _tellsMakers() -> bool:
    """
    Whether the kernel keeps who made an address: since 5.18.
    """
    match = re.match(r"(\d+)\.(\d+)", os.uname().release)
    return match is not None and (int(match[1]), int(match[2])) >= (5, 18)


def _isOrdinary(message: Any, names: Mapping[int, str]) -> bool:
    """
    Whether a route is what somebody would call one, and not what an address brings with it; or one of ours to nowhere.
    """
    if message["type"] == UNREACHABLE:
        return bool(message["proto"] == PROTOCOL)
    ordinary = message["type"] == UNICAST and message.get_attr("RTA_TABLE") != LOCAL_TABLE
    return ordinary and message.get_attr("RTA_OIF") in names


def _route(message: Any, names: dict[int, str]) -> LinkRoute:
    destination = message.get_attr("RTA_DST") or ("0.0.0.0" if message["family"] == AF_INET else "::")
    return LinkRoute(
        # IPv6 says that the loopback device is what leads to nowhere.
        "" if message["type"] == UNREACHABLE else names[message.get_attr("RTA_OIF")],
        ip_network((destination, message["dst_len"])),
        message.get_attr("RTA_TABLE"),
        message["proto"] == PROTOCOL,
    )


def _rule(message: Any) -> PolicyRule:
    suppress = message.get_attr("FRA_SUPPRESS_PREFIXLEN")
    return PolicyRule(
        4 if message["family"] == AF_INET else 6,
        message.get_attr("FRA_PRIORITY") or 0,
        message.get_attr("FRA_FWMARK"),
        message.get_attr("FRA_TABLE") or 0,
        None if suppress in (None, NO_SUPPRESSION) else suppress,
        (message.get_attr("FRA_GOTO") or 0) if message["action"] == GOTO else 0,
    )


def _strictDevices(names: Iterable[str]) -> Iterator[str]:
    """
    Those devices that take a packet only where its answer would leave (C{rp_filter}, RFC 3704).
    """
    common = _reversePath("all")
    for name in names:
        if name != "lo" and max(common, _reversePath(name)) == 1:
            yield name


def _reversePath(name: str) -> int:
    with suppress(OSError, ValueError), open(f"/proc/sys/net/ipv4/conf/{name}/rp_filter") as setting:
        return int(setting.read())
    return 0


def describe(change: Change) -> str:
    """
    What a change is about, as the beginning of a sentence.
    """
    if isinstance(change, SetLink):
        return f"setting up the device {change.device}"
    verb = "adding" if isinstance(change, Add) else "removing"
    item: LinkItem | Link = change.item
    if isinstance(item, Link):
        return f"{verb} the device {item.name}"
    if isinstance(item, LinkAddress):
        return f"{verb} the address {item.interface} on {item.device}"
    if isinstance(item, LinkRoute):
        return f"{verb} the route to {item.network} through {item.device or 'nothing'}"
    return f"{verb} the IPv{item.family} rule {item.priority}"


def _refused(change: Change, number: int, reason: str) -> KernelError:
    what = describe(change)
    if number == EPERM:
        return MissingCapability(what, number=number)
    if number == EEXIST:
        return KernelError(f"{what}: somebody else's is there already", number)
    if number == ENODEV:
        return KernelError(f"{what}: there is no such device", number)
    if number == EACCES:
        return KernelError(f"{what}: {reason} (net.ipv6.conf.*.disable_ipv6)", number)
    return KernelError(f"{what}: {reason}", number)
