"""
The compiler: an overlay document, and what links cost, to a configuration for each node. It asks nobody, and the same
gives the same bytes.
"""

from __future__ import annotations

import copy
import marshal
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from attrs import field, frozen
from cattrs import BaseValidationError

from hermes.config import NodeConfig
from hermes.config.document import parseDocument
from hermes.config.problems import Misfit
from hermes.config.references import danglingReferences, endsOf, missingParts
from hermes.config.structure import misfits
from hermes.config.types import Name
from hermes.control.compiler.graph import Graph
from hermes.control.compiler.measuring import NONE, Measurements
from hermes.control.compiler.policy import Goal, goals
from hermes.control.compiler.routes import OVERLAY, Routing
from hermes.control.compiler.text import NodeOutput, networkText, render
from hermes.control.document.load import RemoteStructurer
from hermes.control.document.schema import NodeEntry, OverlayDocument
from hermes.listeners import assistantTypes, listenerTypes

IDENTITY: Mapping[str, str] = {"certificate": "node.pem", "key": "node.key", "trust": "trust.pem"}
"""
Where a node keeps who it is: beside its configuration.
"""

LEASES = "leases.db"


@frozen
class Compiled:
    """
    What a document comes to.

    @ivar nodes: what each node is to run, by name.
    @ivar configs: the same, loaded, as far as it is one.
    @ivar problems: what is wrong with it, in sentences that name the node: then nothing of it is to be used.
    @ivar protocols: what each service speaks, by its name.
    """

    nodes: Mapping[str, NodeOutput]
    configs: Mapping[str, NodeConfig] = field(factory=dict, repr=False)
    problems: tuple[str, ...] = ()
    protocols: Mapping[str, str] = field(factory=dict, repr=False)
    _keys: Mapping[str, bytes] = field(factory=dict, repr=False, eq=False)

    def digests(self) -> dict[str, str]:
        """
        The digest of each node's configuration.
        """
        return {name: output.digest for name, output in self.nodes.items()}

    def same(self, name: str, key: bytes | None) -> bool:
        """
        Whether a node's values were these, and are a configuration.
        """
        return key is not None and self._keys.get(name) == key and name in self.configs


def compile(document: OverlayDocument, measurements: Measurements = NONE, before: Compiled | None = None) -> Compiled:
    """
    Compile a document.

    @param before: what another came to: a node whose values are the same there is not written and loaded once more.
    """
    config = document.config
    found = goals(config)
    graph = Graph(config, measurements.costs)
    routing = Routing(document, graph, found)
    checker = _Checker()
    nodes: dict[str, NodeOutput] = {}
    configs: dict[str, NodeConfig] = {}
    problems: list[str] = []
    keys: dict[str, bytes] = {}
    for name in graph.nodes:
        values = _node(name, document, routing, found)
        key = _keyOf(values)
        if key is not None:
            keys[name] = key
        if before is not None and before.same(name, key):
            nodes[name], configs[name] = before.nodes[name], before.configs[name]
            continue
        output = nodes[name] = render(values)
        loaded, wrong = checker.check(values, output.text, name)
        if loaded is not None:
            configs[name] = loaded
        problems += [f"{name}: {problem}" for problem in wrong]
    protocols = {goal.name: goal.service.protocol for goal in found if goal.service is not None}
    return Compiled(nodes, configs, tuple(problems), protocols, keys)


def _keyOf(values: dict[str, Any]) -> bytes | None:
    """
    The same for the same values, written in the same order, of the same types; L{None} where that can't be told.
    """
    try:
        # Before version 3 it is the values alone that count, and not which are one object.
        return sha256(marshal.dumps(values, 2)).digest()
    except ValueError:
        return None


class _Checker:
    """
    Loads what a node would load, without its files.
    """

    def __init__(self) -> None:
        self._types = listenerTypes()
        self._ending = [name for name, each in self._types.items() if endsOf(each)]
        self._structurer = RemoteStructurer("/", self._types, assistantTypes())

    def check(self, values: dict[str, Any], text: str, node: str) -> tuple[NodeConfig | None, list[str]]:
        """
        @param values: the configuration as plain values; C{text} is the same.
        @return: the configuration, L{None} where it is none, and what is wrong.
        """
        wrong = list(danglingReferences(values, self._ending))
        config: NodeConfig | None = None
        try:
            config = self._structurer.converter.structure(values, NodeConfig)
            wrong += missingParts(config, self._types)
        except (BaseValidationError, Misfit) as error:
            wrong += misfits(error)
        if not wrong:
            return config, []
        document = parseDocument(text, node)
        return None, [str(document.problem(path, each.message, each.suggestion, each.atKey)) for path, each in wrong]


def _node(name: str, document: OverlayDocument, routing: Routing, found: list[Goal]) -> dict[str, Any]:
    """
    One node's configuration, as plain values.
    """
    config = document.config
    entry = config.nodes[Name(name)]
    plain: dict[str, Any] = copy.deepcopy(document.plain["nodes"][name] or {})
    values: dict[str, Any] = {"node": name, "identity": dict(IDENTITY)}
    listeners: dict[str, Any] = plain.get("listeners") or {}
    for listener, added in routing.ndnParts(name).items():
        for key, value in added.items():
            given = listeners[listener].get(key)
            listeners[listener][key] = (
                value if not given else [*given, *value] if isinstance(value, list) else given | value
            )
    if entry.address is not None:
        listeners = {OVERLAY: {"type": "tunnel", "bind": _bind(entry)}, **listeners}
    values["listeners"] = listeners
    for key in ("admin", "accessLog", "tracing", "assist", "drain"):
        if plain.get(key) is not None:
            values[key] = plain[key]
    if config.users:
        users: dict[str, Any] = copy.deepcopy(document.plain.get("users") or {})
        values["users"] = users
    ip = _ip(name, document)
    if ip:
        values["ip"] = ip
    upstreams: dict[str, Any] = {}
    for other in routing.neighbours(name):
        address = config.nodes[Name(other)].address
        if address is not None:
            upstreams[other] = {"type": "hermes", "endpoints": [address]}
    for goal in found:
        if goal.service is not None and name in goal.on:
            upstreams[goal.name] = _service(document.plain["services"][goal.name])
    if upstreams:
        values["upstreams"] = upstreams
    values["routes"] = [*(plain.get("routes") or []), *routing.routes(name)]
    return values


def _bind(entry: NodeEntry) -> str:
    if entry.bind is not None:
        return str(entry.bind)
    assert entry.address is not None
    host, _, port = entry.address.rpartition(":")
    return f"[::]:{port}" if host.startswith("[") else f"0.0.0.0:{port}"


def _ip(name: str, document: OverlayDocument) -> dict[str, Any]:
    """
    Whose addresses are whose: every node that takes packets knows what lies behind the others.
    """
    config = document.config
    entry = config.nodes[Name(name)]
    found: dict[str, Any] = {}
    if entry.pools:
        found["pools"] = [networkText(pool) for pool in entry.pools]
        found["leases"] = LEASES
    if entry.reserved:
        found["reserved"] = {holder: [str(each) for each in some] for holder, some in sorted(entry.reserved.items())}
    if entry.pools or any(each.type == "tun" for each in entry.listeners.values()):
        networks = {
            other: [networkText(network) for network in node.networks]
            for other, node in sorted(config.nodes.items())
            if node.networks and other != name
        }
        if networks:
            found["networks"] = networks
    return found


def _service(plain: dict[str, Any]) -> dict[str, Any]:
    """
    A service as the upstream that it is at a node that leads there.
    """
    kept = ("endpoints", "balance", "tls", "health", "outlier")
    return {"type": "direct", **{key: copy.deepcopy(plain[key]) for key in kept if key in plain}}
