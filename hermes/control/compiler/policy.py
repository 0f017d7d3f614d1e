"""
From the policy to what each destination asks of whom: the entries that can concern it, in their order.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from attrs import frozen

from hermes.config.types import Name, Network
from hermes.control.document.schema import OverlayConfig, PolicyEntry, ServiceEntry
from hermes.control.document.subjects import Destination


@frozen
class Goal:
    """
    Somewhere that flows and packets go to.

    @ivar name: a service's name, or the text of a prefix.
    @ivar service: what it is; or L{None}.
    @ivar network: the prefix; or L{None}.
    @ivar on: the nodes that lead there.
    @ivar device: of a prefix, the listener of theirs that packets leave by.
    """

    name: str
    on: tuple[str, ...]
    service: ServiceEntry | None = None
    network: Network | None = None
    device: str | None = None

    @property
    def ports(self) -> tuple[int, ...]:
        """
        Of a service, those under which it is asked for.
        """
        if self.service is None:
            return ()
        return self.service.ports or (80,)


@frozen
class Part:
    """
    One entry of the policy, as far as it concerns one destination.

    @ivar entry: the entry.
    @ivar number: its place in the policy.
    @ivar network: of a prefix: the narrower one of the entry's and the destination's.
    @ivar ports: what it is for; empty is all.
    """

    entry: PolicyEntry
    number: int
    network: Network | None = None
    ports: tuple[int, ...] = ()


def goals(config: OverlayConfig) -> list[Goal]:
    """
    All services, then all prefixes, in order.
    """
    found = [Goal(name, service.on, service) for name, service in sorted(config.services.items())]
    ordered = sorted(config.prefixes.items(), key=lambda item: (item[0].version, -item[0].prefixlen, int(item[0][0])))
    found += [Goal(str(network), prefix.on, None, network, prefix.device) for network, prefix in ordered]
    return found


def partsOf(goal: Goal, policy: Sequence[PolicyEntry]) -> list[Part]:
    """
    The entries that concern a destination, in their order.
    """
    return [part for number, entry in enumerate(policy) for part in _parts(goal, entry, number)]


def _parts(goal: Goal, entry: PolicyEntry, number: int) -> Iterator[Part]:
    for target in entry.to:
        if goal.service is not None:
            yield from _serviceParts(goal, entry, number, target)
        elif goal.network is not None:
            narrower = _narrower(goal.network, target)
            if narrower is not None and not (entry.method or entry.path):
                yield Part(entry, number, narrower, () if target.port is None else (target.port,))


def _serviceParts(goal: Goal, entry: PolicyEntry, number: int, target: Destination) -> Iterator[Part]:
    if entry.transport or target.network is not None or (target.service is not None and target.service != goal.name):
        return
    if goal.service is not None and goal.service.protocol != "http" and (entry.method or entry.path):
        return
    if target.port is not None and target.port not in goal.ports:
        return
    yield Part(entry, number, None, () if target.port is None else (target.port,))


def _narrower(network: Network, target: Destination) -> Network | None:
    """
    What is in both; L{None} where nothing is.
    """
    if target.service is not None:
        return None
    other: Any = target.network
    if other is None:
        return network
    if other.version != network.version or not other.overlaps(network):
        return None
    return other if other.prefixlen > network.prefixlen else network


def usersOf(entry: PolicyEntry, config: OverlayConfig) -> list[str]:
    """
    The users that an entry is about, those of its groups among them.
    """
    found: dict[str, None] = {}
    for subject in entry.subjects:
        if subject.kind == "user":
            found[subject.name] = None
        elif subject.kind == "group":
            found.update(dict.fromkeys(config.groups[Name(subject.name)]))
    return list(found)
