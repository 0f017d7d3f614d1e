"""
Which packets go where: the routes of a node that take C{protocol: ip}.

Among those that take a packet, the one whose target is the longest prefix decides, as in every table of routes; among
equals the first.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_network
from typing import Final

from attrs import field, frozen

from hermes.ip.prefixes import AddressSet, IPAddress, IPNetwork, PrefixTable
from hermes.matching import Match
from hermes.values import ANONYMOUS, Flow, Identity, Target
from hermes.wire.protocols import protocolName

MOST_RANGES: Final = 500
"""
Ranges of each version of IP that are advertised to one sender. A capsule holds twice as many.
"""

EVERYWHERE: Final = (ip_network("0.0.0.0/0"), ip_network("::/0"))


@frozen
class Asked:
    """
    What a packet is judged by.

    @ivar protocol: the IP protocol of what is in it, behind IPv6's extension headers.
    @ivar sourcePort: L{None} where it has none that can be seen.
    @ivar identity: who sent it.
    @ivar listener: the listener, a device or that of a tunnel, where it came in.
    """

    source: IPAddress
    destination: IPAddress
    protocol: int
    sourcePort: int | None = None
    destinationPort: int | None = None
    identity: Identity = ANONYMOUS
    listener: str = ""

    def flow(self) -> Flow:
        """
        The same in the terms of L{Match}.
        """
        return Flow(
            "ip",
            Target(str(self.destination), self.destinationPort or 0),
            (str(self.source), self.sourcePort or 0),
            self.identity,
            self.listener,
        )

    def __str__(self) -> str:
        port = "" if self.destinationPort is None else f" port {self.destinationPort}"
        return f"{protocolName(self.protocol)} from {self.source} to {self.destination}{port}"


@frozen(eq=False)
class PacketRule:
    """
    A route, for packets.

    @ivar match: its targets are addresses, prefixes and ports.
    @ivar transports: the IP protocols that it takes; empty is all.
    @ivar name: how it is called.
    @ivar to: the device where packets go; or L{None}.
    @ivar via: the hops where they go; with neither, whoever has the address gets them.
    @ivar nested: whether the tunnel through the last hop runs inside the one through the hop before it.
    @ivar backup: other ways, to be tried in order where that is down.
    @ivar deny: why they are refused, or L{None}.
    @ivar silent: whether who sent them is not told.
    """

    match: Match
    transports: frozenset[int] = frozenset()
    name: str = ""
    to: str | None = None
    via: tuple[str, ...] = ()
    nested: bool = False
    backup: tuple[tuple[str, ...], ...] = ()
    deny: str | None = None
    silent: bool = False

    @property
    def ways(self) -> tuple[tuple[tuple[str, ...], bool], ...]:
        """
        The ways over hops, the first to be tried first: the hops, and whether tunnels are nested.
        """
        return tuple((names, self.nested) for names in (self.via, *self.backup) if names) if self.deny is None else ()

    @property
    def action(self) -> str:
        """
        What it does, in words.
        """
        if self.deny is not None:
            return f"{'dropped' if self.silent else 'refused'}: {self.deny}"
        if self.to is not None:
            return f"to the device {self.to}"
        if self.via:
            others = "".join(f", or {', '.join(way)}" for way in self.backup)
            return f"via {', '.join(self.via)}" + (", nested" if self.nested else "") + others
        return "to whoever has the address"

    def takesSender(self, identity: Identity, listener: str) -> bool:
        """
        Whether it takes packets of this sender at all.
        """
        match = self.match
        return (
            (not match.users or identity.user in match.users)
            and (not match.nodes or identity.node in match.nodes)
            and (not match.listeners or listener in match.listeners)
        )

    def takes(self, asked: Asked) -> bool:
        """
        Whether all but the destination holds.
        """
        match = self.match
        return (
            (not self.transports or asked.protocol in self.transports)
            and self.takesSender(asked.identity, asked.listener)
            and (not match.sources or any(asked.source in network for network in match.sources))
        )

    def refusal(self, asked: Asked) -> str | None:
        """
        Why it does not take a packet, in words; L{None} where it does.
        """
        refused = self.match.refusal(asked.flow())
        if refused is None and self.transports and asked.protocol not in self.transports:
            wanted = " or ".join(map(protocolName, sorted(self.transports)))
            refused = f"transport is {protocolName(asked.protocol)}, not {wanted}"
        return refused


@frozen(eq=False)
class _Posting:
    """
    A rule under one of its prefixes.
    """

    place: int
    rule: PacketRule
    port: int | None


@frozen(eq=False)
class PacketTable:
    """
    The rules, compiled.

    @ivar rules: in their order.
    """

    rules: tuple[PacketRule, ...]
    _postings: PrefixTable[list[_Posting]] = field(factory=PrefixTable, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        for place, rule in enumerate(self.rules):
            for network, port in prefixes(rule.match):
                postings = self._postings.get(network)
                if postings is None:
                    postings = []
                    self._postings.set(network, postings)
                postings.append(_Posting(place, rule, port))

    def decide(self, asked: Asked) -> PacketRule | None:
        """
        The rule that takes a packet; L{None} where none does, which is a refusal.
        """
        for postings in self._postings.findAll(asked.destination):
            for posting in postings:
                if (posting.port is None or posting.port == asked.destinationPort) and posting.rule.takes(asked):
                    return posting.rule
        return None

    def takesAny(self, identity: Identity, listener: str) -> bool:
        """
        Whether there is any packet that this sender may send.
        """
        return any(rule.deny is None and rule.takesSender(identity, listener) for rule in self.rules)

    def reachable(self, identity: Identity, listener: str) -> list[tuple[IPAddress, IPAddress, int]]:
        """
        What to advertise to a sender: ranges of addresses that it may send to, at least some of what it sends. The
        protocol of each is 0. Where they are too many, the smallest gaps are told as well, though nothing gets there.
        """
        sets = {4: AddressSet(4), 6: AddressSet(6)}
        for network, postings in reversed(list(self._postings)):
            for posting in postings:
                rule = posting.rule
                if not rule.takesSender(identity, listener):
                    continue
                if rule.deny is None:
                    sets[network.version].add(network)
                    break
                if posting.port is None and not rule.transports and not rule.match.sources:
                    # Whatever comes after it is not reached.
                    sets[network.version].discard(network)
                    break
        for addresses in sets.values():
            addresses.coarsen(MOST_RANGES)
        return [(start, end, 0) for version in (4, 6) for start, end in sets[version].ranges()]

    def explain(self, asked: Asked) -> list[str]:
        """
        For each rule, in the order in which they are tried, a sentence that says whether it takes a packet, or why
        not.
        """
        lines: list[str] = []
        told: set[int] = set()
        decided = False
        found = [posting for postings in self._postings.findAll(asked.destination) for posting in postings]
        takes = [posting.port is None or posting.port == asked.destinationPort for posting in found]
        order = [posting.place for posting, right in zip(found, takes, strict=True) if right]
        for place in [*order, *range(len(self.rules))]:
            if place in told:
                continue
            told.add(place)
            rule = self.rules[place]
            called = f"route {rule.name}" if rule.name else f"route {place + 1}"
            refusal = rule.refusal(asked)
            if refusal is not None:
                lines.append(f"{called}: does not match: {refusal}")
            elif decided:
                lines.append(f"{called}: would match, but is not reached")
            else:
                decided = True
                lines.append(f"{called}: matches: {rule.action}")
        if not decided:
            lines.append("no route matches: refused")
        return lines


def prefixes(match: Match) -> list[tuple[IPNetwork, int | None]]:
    """
    The prefixes that a match names, each with the port that it asks for.

    @raise ValueError: where a target is a name: with a sentence for the user.
    """
    found: list[tuple[IPNetwork, int | None]] = []
    for target in match.targets:
        if target.network is not None:
            found.append((target.network, target.port))
        elif isinstance(target.host, IPv4Address | IPv6Address):
            found.append((ip_network(target.host), target.port))
        elif target.host is not None or target.suffix is not None:
            raise ValueError(f"{target} is a name: packets have addresses, so write an address or a prefix")
        else:
            found += [(network, target.port) for network in EVERYWHERE]
    return found or [(network, None) for network in EVERYWHERE]
