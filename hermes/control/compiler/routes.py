"""
The routes of one node.

A user is known where it comes in, and nowhere after: so that is where the policy is enforced. The nodes after it let in
those nodes whose ways lead through them, for the destinations to which they do, and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from hermes.control.compiler.graph import Flows, Graph, NextHops
from hermes.control.compiler.policy import Goal, Part, partsOf, usersOf
from hermes.control.compiler.text import networkText
from hermes.control.document.schema import NodeEntry, OverlayDocument

OVERLAY: Final = "overlay"
"""
The listener for other nodes.
"""

ELSEWHERE_COST: Final = 1000
"""
Of the way from a node that has an NDN prefix to another that has it, too.
"""


class Routing:
    """
    The ways of one document to each destination, and what comes of them for each node.

    @ivar config: the document.
    @ivar graph: its nodes and links.
    """

    def __init__(self, document: OverlayDocument, graph: Graph, goals: Sequence[Goal]) -> None:
        config = self.config = document.config
        self._policy: Sequence[Any] = document.plain.get("policy", ())
        self._nodes: Mapping[str, NodeEntry] = {str(name): node for name, node in config.nodes.items()}
        self.graph = graph
        self._goals = goals
        self._parts: dict[str, list[Part]] = {goal.name: partsOf(goal, config.policy) for goal in goals}
        # By the nodes that lead somewhere: many destinations have the same.
        self._flows: dict[tuple[str, ...], Flows] = {}
        self._waysOf = self._allPacketWays()
        self._starts = [name for name in graph.nodes if self._nodes[name].listeners or config.users]

    def flows(self, on: tuple[str, ...]) -> Flows:
        """
        The ways to some nodes.
        """
        key = tuple(sorted(on))
        found = self._flows.get(key)
        if found is None:
            found = self._flows[key] = Flows.toward(self.graph, key, self._starts)
        return found

    def neighbours(self, node: str) -> list[str]:
        """
        The nodes that a node connects to.
        """
        found = dict.fromkeys(self.graph.measures(node))
        for goal in self._goals:
            found.update(dict.fromkeys(self.flows(goal.on).hops[node].all))
        for way in self._packetWays(node):
            found.update(dict.fromkeys(way))
        for other in self._producing():
            flows = self.flows((other,))
            if flows.into.get(node) or other in self._producers(node):
                found.update(dict.fromkeys(flows.hops[node].all))
        return sorted(found)

    def routes(self, node: str) -> list[dict[str, Any]]:
        """
        The routes of a node, after those of its own: what other nodes send through it, then what comes in here.
        """
        found: list[dict[str, Any]] = []
        for goal in self._goals:
            found += self._transit(node, goal)
        found += self._carried(node)
        found += self._names(node)
        for goal in self._goals:
            found += self._entering(node, goal)
        found += self._packets(node)
        return found

    # Connections and requests

    def _way(self, node: str, goal: Goal, passing: bool = False) -> dict[str, Any] | None:
        """
        What a route does with what is for a destination; L{None} where there is no way.

        @param passing: whether it comes from another node.
        """
        if node in goal.on:
            return {"to": goal.name} if goal.service is not None else {"allowSpecial": True}
        hops = self.flows(goal.on).hops[node]
        return None if hops.first is None else _via(hops.onward if passing else hops)

    def _targets(self, goal: Goal, part: Part | None = None) -> list[str]:
        if goal.service is not None:
            ports = (part.ports if part is not None else ()) or goal.ports
            return [f"{goal.name}:{port}" for port in ports]
        network = goal.network if part is None or part.network is None else part.network
        assert network is not None
        text = networkText(network)
        if part is None or not part.ports:
            return [text]
        return [f"[{text}]:{port}" if ":" in text else f"{text}:{port}" for port in part.ports]

    def _protocol(self, goal: Goal) -> dict[str, Any]:
        return {} if goal.service is None else {"protocol": [goal.service.protocol]}

    def _transit(self, node: str, goal: Goal) -> list[dict[str, Any]]:
        senders = self.flows(goal.on).into.get(node, ())
        way = self._way(node, goal, passing=True)
        if not senders or way is None or not any(part.entry.allow for part in self._parts[goal.name]):
            return []
        return [{"match": {"node": list(senders), "target": self._targets(goal), **self._protocol(goal)}, **way}]

    def _entering(self, node: str, goal: Goal) -> list[dict[str, Any]]:
        """
        The policy, for a destination, where users come in.
        """
        found: list[dict[str, Any]] = []
        way = self._way(node, goal)
        for part in self._parts[goal.name]:
            entry = part.entry
            if entry.at and node not in entry.at:
                continue
            if entry.transport:
                continue
            action = {"deny": entry.reason} if entry.deny else way
            if action is None:
                action = {"deny": f"no way leads from {node} to {goal.name}"}
            asked: dict[str, Any] = {"target": self._targets(goal, part), **self._protocol(goal)}
            if entry.method:
                asked["method"] = list(entry.method)
            if entry.path:
                # As it was written: what it was read as is not what a file says.
                path = self._policy[part.number]["path"]
                asked["path"] = path if isinstance(path, list) else [path]
            found += [{"match": {**who, **asked}, **action} for who in self._who(node, part)]
        return found

    def _who(self, node: str, part: Part, packets: bool = False) -> Iterable[dict[str, Any]]:
        """
        The part of a match that says who asks: one for users, one for whoever comes in at the node's own listeners.
        """
        entry = part.entry
        users = usersOf(entry, self.config)
        if users:
            yield {"user": users}
        kinds = {subject.kind for subject in entry.subjects}
        here = any(subject.kind == "node" and subject.name == node for subject in entry.subjects)
        listeners = self._own(node, packets)
        if ("any" in kinds or here) and listeners:
            yield {"listener": listeners}
        if "any" in kinds and self.config.users:
            # Users who come in where other nodes do, by a MASQUE client of theirs.
            rest = [name for name in self.config.users if name not in users]
            if rest:
                yield {"user": rest, "listener": [OVERLAY]} if self._hasOverlay(node) else {"user": rest}

    def _hasOverlay(self, node: str) -> bool:
        return self._nodes[node].address is not None

    def _own(self, node: str, packets: bool = False) -> list[str]:
        """
        The node's own listeners: devices for packets, the others for the rest.
        """
        listeners = self._nodes[node].listeners
        return [name for name, each in listeners.items() if (each.type == "tun") == packets]

    # IP packets

    def _devices(self, node: str) -> list[str]:
        return self._own(node, packets=True)

    def _packetGoals(self) -> list[Goal]:
        return [
            goal
            for goal in self._goals
            if goal.network is not None and any(goal.device or self._devices(node) for node in goal.on)
        ]

    def _exits(self, goal: Goal) -> tuple[str, ...]:
        return tuple(node for node in goal.on if goal.device or self._devices(node))

    def _packetWays(self, node: str) -> list[tuple[str, ...]]:
        """
        The ways that packets from a node take, each once.
        """
        return self._waysOf.get(node, [])

    def _allPacketWays(self) -> dict[str, list[tuple[str, ...]]]:
        found: dict[str, list[tuple[str, ...]]] = {}
        destinations = self._packetGoals()
        for node in self.graph.nodes if destinations else ():
            if self._sendsPackets(node):
                ways = [
                    way
                    for goal in destinations
                    if node not in goal.on
                    for way in self._disjoint(node, self._exits(goal))
                ]
                found[node] = list(dict.fromkeys(ways))
        return found

    def _sendsPackets(self, node: str) -> bool:
        return bool(self._devices(node)) or (bool(self.config.users) and bool(self._nodes[node].pools))

    def _disjoint(self, node: str, exits: tuple[str, ...]) -> list[tuple[str, ...]]:
        """
        The cheapest way, and if there is one, another that shares no node with it but perhaps its end.
        """
        first = self.graph.path(node, exits)
        if first is None:
            return []
        middle, end = first[:-1], first[-1]
        others = [exit for exit in exits if exit != end]
        second = self.graph.path(node, exits, middle) if middle else None
        if second is None and others:
            second = self.graph.path(node, others, first)
        return [first] if second is None or second == first else [first, second]

    def _packets(self, node: str) -> list[dict[str, Any]]:
        """
        Of IP packets the longest prefix decides: so each prefix that the policy names has all entries that concern it.
        """
        found: list[dict[str, Any]] = []
        for goal in self._packetGoals():
            exits = self._exits(goal)
            arriving = [each for each in self.graph.nodes if each != node and self._reaches(each, node, goal)]
            for network in self._networks(goal):
                parts = [part for part in self._parts[goal.name] if _holds(part.network, network)]
                if node in exits:
                    out: dict[str, Any] | None = {"to": goal.device or self._devices(node)[0]}
                    allowed = any(part.entry.allow for part in parts)
                    if arriving and allowed:
                        match = {"protocol": "ip", "node": arriving, "target": [networkText(network)]}
                        found.append({"match": match, **out})  # type: ignore[dict-item]
                else:
                    out = self._packetWay(node, exits) if self._sendsPackets(node) else None
                for part in parts:
                    found += self._packetRoutes(node, part, network, out)
        return found

    def _networks(self, goal: Goal) -> list[Any]:
        """
        The prefixes in a destination's that the policy names, and its own; the longest first.
        """
        found: set[Any] = {part.network for part in self._parts[goal.name]} | {goal.network}
        return sorted(found, key=lambda each: (each.version, -each.prefixlen, int(each[0])))

    def _reaches(self, start: str, node: str, goal: Goal) -> bool:
        """
        Whether packets that come in at C{start} may leave at C{node}.
        """
        if node not in self._exits(goal) or not self._sendsPackets(start):
            return False
        return any(way[-1] == node for way in self._disjoint(start, self._exits(goal)))

    def _packetWay(self, node: str, exits: tuple[str, ...]) -> dict[str, Any] | None:
        ways = self._disjoint(node, exits)
        if not ways:
            return None
        way: dict[str, Any] = {"via": list(ways[0])}
        if any(len(each) > 1 for each in ways):
            # The end must know who it is: it gives the addresses.
            way["nested"] = True
        if len(ways) > 1:
            way["backup"] = [list(each) for each in ways[1:]]
        return way

    def _packetRoutes(self, node: str, part: Part, network: Any, out: dict[str, Any] | None) -> list[dict[str, Any]]:
        entry = part.entry
        if (entry.at and node not in entry.at) or (not self._sendsPackets(node) and not self._devices(node)):
            return []
        text = networkText(network)
        targets = [f"[{text}]:{port}" if ":" in text else f"{text}:{port}" for port in part.ports] or [text]
        match: dict[str, Any] = {"protocol": "ip", "target": targets}
        if entry.transport:
            match["transport"] = list(entry.transport)
        action: dict[str, Any]
        if entry.deny:
            action = {"deny": entry.reason, **({"silent": True} if entry.silent else {})}
        else:
            action = out or {"deny": f"no way leads from {node} to {network}"}
        who = list(self._who(node, part, packets=True))
        if "to" in action and not entry.deny:
            # What comes out of the very device that it would go into is on its way already.
            who = [each for each in who if "user" in each]
        return [{"match": {**match, **each}, **action} for each in who]

    def _carried(self, node: str) -> list[dict[str, Any]]:
        """
        Nested tunnels that run through this node: streams to the next node's address.
        """
        passing: dict[str, set[str]] = {}
        for start, ways in self._waysOf.items():
            for way in ways:
                if node in way[:-1]:
                    passing.setdefault(way[way.index(node) + 1], set()).add(start)
        found = []
        for following, starts in sorted(passing.items()):
            address = self._nodes[following].address
            match = {"node": sorted(starts), "target": [address]}
            found.append({"match": match, "allowSpecial": True})
        return found

    # Named data

    def _ndnListener(self, node: str) -> str | None:
        listeners = self._nodes[node].listeners
        return next((name for name, each in listeners.items() if each.type == "ndn"), None)

    def _producers(self, node: str) -> list[str]:
        """
        The nodes that this one has a face to: those that have a prefix.
        """
        return [] if self._ndnListener(node) is None else [other for other in self._producing() if other != node]

    def _producing(self) -> list[str]:
        """
        The nodes that have a prefix, and a forwarder.
        """
        found = {str(other) for prefix in self.config.names.values() for other in prefix.on}
        return sorted(other for other in found if self._ndnListener(other) is not None)

    def ndnParts(self, node: str) -> Mapping[str, dict[str, Any]]:
        """
        What is added to a node's C{ndn} listener, by its name.
        """
        name = self._ndnListener(node)
        if name is None or not self.config.names:
            return {}
        faces: dict[str, Any] = {}
        prefixes: list[dict[str, Any]] = []
        strategies: dict[str, Any] = {}
        for prefix, entry in sorted(self.config.names.items()):
            for other in entry.on:
                if other not in self._producers(node):
                    continue
                faces[other] = {"to": f"udp:{ndnName(other)}:6363"}
                way: dict[str, Any] = {"prefix": prefix, "face": other}
                if node in entry.on:
                    # Programs at the node itself come first.
                    way["cost"] = ELSEWHERE_COST
                prefixes.append(way)
            if entry.strategy is not None:
                strategies[prefix] = entry.strategy
        added: dict[str, Any] = {"faces": faces, "prefixes": prefixes, "strategies": strategies}
        return {name: {key: value for key, value in added.items() if value}}

    def _names(self, node: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for producer in self._producing():
            listener = self._ndnListener(producer)
            flows = self.flows((producer,))
            target = [f"{ndnName(producer)}:6363"]
            senders = flows.into.get(node, ())
            own = self._ndnListener(node)
            if node == producer:
                if senders:
                    found.append({"match": {"node": list(senders), "target": target}, "to": listener})
                continue
            hops = flows.hops[node]
            if hops.first is None:
                continue
            if senders:
                found.append({"match": {"node": list(senders), "target": target}, **_via(hops.onward)})
            if own is not None and producer in self._producers(node):
                found.append({"match": {"listener": own, "target": target}, **_via(hops)})
        return found


def _via(hops: NextHops) -> dict[str, Any]:
    way: dict[str, Any] = {"via": [hops.first]}
    if hops.backup is not None:
        way["backup"] = [[hops.backup]]
    return way


def ndnName(node: str) -> str:
    """
    The name under which the forwarder of a node is reached.
    """
    return f"ndn.{node}.hermes"


def _holds(outer: Any, inner: Any) -> bool:
    return outer is not None and outer.version == inner.version and bool(inner.subnet_of(outer))
