"""
Whether the names in an overlay document name something.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from hermes.config.problems import KeyPath, Misfit, nearest
from hermes.config.references import sameTokens
from hermes.control.document.schema import OverlayConfig, PolicyEntry


def dangling(config: OverlayConfig) -> Iterator[tuple[KeyPath, Misfit]]:
    """
    References that name nothing, and what could never be.
    """
    nodes = config.nodes
    for number, link in enumerate(config.links or ()):
        yield from _unknown(("links", number, "between"), link.between, "node", nodes)
        if not any(nodes[name].address for name in link.between if name in nodes):
            yield ("links", number), Misfit("none of the two has an address: neither could connect to the other")
    places = [("services", name, each.on) for name, each in config.services.items()]
    places += [("prefixes", str(network), prefix.on) for network, prefix in config.prefixes.items()]
    places += [("names", name, prefix.on) for name, prefix in config.names.items()]
    for section, name, on in places:
        yield from _unknown((section, name, "on"), on, "node", nodes)
    for network, prefix in config.prefixes.items():
        for node in prefix.on:
            if prefix.device is not None and node in nodes and prefix.device not in nodes[node].listeners:
                path: KeyPath = ("prefixes", str(network), "device")
                yield path, Misfit(f"{node} has no listener called {prefix.device!r}")
    for group, members in config.groups.items():
        yield from _unknown(("groups", group), members, "user", config.users)
    yield from sameTokens(config.users.items())
    for number, policy in enumerate(config.policy):
        yield from _policy(("policy", number), policy, config)
    for number, test in enumerate(config.tests):
        yield from _unknown(("tests", number, "at"), test.at, "node", nodes)
        if test.user is not None:
            yield from _unknown(("tests", number, "user"), (test.user,), "user", config.users)


def _policy(here: KeyPath, policy: PolicyEntry, config: OverlayConfig) -> Iterator[tuple[KeyPath, Misfit]]:
    for subject in policy.subjects:
        key = "allow" if policy.allow else "deny"
        if subject.kind == "user":
            yield from _unknown((*here, key), (subject.name,), "user", config.users)
        elif subject.kind == "group":
            yield from _unknown((*here, key), (subject.name,), "group", config.groups)
        elif subject.kind == "node":
            yield from _unknown((*here, key), (subject.name,), "node", config.nodes)
    yield from _unknown((*here, "at"), policy.at, "node", config.nodes)
    for target in policy.to:
        if target.service is None:
            continue
        yield from _unknown((*here, "to"), (target.service,), "service", config.services)
        service = config.services.get(target.service)
        if service is None:
            continue
        if target.port is not None and service.ports and target.port not in service.ports:
            known = ", ".join(map(str, service.ports))
            yield (*here, "to"), Misfit(f"{target.service} has no port {target.port}: there is {known}")
        if service.protocol != "http" and (policy.method or policy.path):
            yield (*here, "to"), Misfit(f"{target.service} is of protocol {service.protocol}: it has no requests")


def _unknown(path: KeyPath, names: Iterable[str], what: str, known: Iterable[str]) -> Iterator[tuple[KeyPath, Misfit]]:
    listed = list(known)
    for name in names:
        if name not in listed:
            suggestion = nearest(name, listed)
            others = f" (there is {', '.join(listed)})" if listed and suggestion is None else ""
            yield path, Misfit(f"no {what} is called {name!r}{others}", suggestion)
