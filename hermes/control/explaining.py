"""
May somebody reach something, and by which way: asked of what the nodes would run, from where it comes in to its end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import urlsplit

from attrs import frozen

from hermes.config import NodeConfig
from hermes.control.compiler import Compiled
from hermes.control.compiler.routes import OVERLAY
from hermes.errors import FlowError, HermesError
from hermes.fabric.router import Router
from hermes.ip.table import Asked
from hermes.routing import makePackets, makeRouter
from hermes.values import Flow, Identity, RequestHead, Target
from hermes.wire.protocols import protocolNumber

LONGEST: Final = 32
"""
Nodes on one way. A longer one goes round.
"""


class Unasked(HermesError):
    """
    What is asked about is nothing that can be. The text is for the operator.
    """


@frozen
class Question:
    """
    Who asks for what.

    @ivar destination: C{HOST:PORT}, a URL, or for packets an address, with a port or without. A service is asked for
        by what it speaks: one of HTTP for C{/}, one of UDP with datagrams; all else is a connection.
    @ivar user: who; or L{None}.
    @ivar packets: whether IP packets are asked about.
    @ivar transport: what is in these: C{tcp} with a port, else C{icmp}, where nothing is said.
    @ivar method: of a request.
    """

    destination: str
    user: str | None = None
    packets: bool = False
    transport: str | None = None
    method: str = "GET"


@frozen
class Explanation:
    """
    The answer.

    @ivar allowed: whether it gets there.
    @ivar path: the nodes on the way, the first where it comes in.
    @ivar end: what the last one does with it, or why one refuses, in words.
    @ivar lines: of each node on the way: its name, and what its routes say, a sentence each.
    @ivar backups: of each node on the way that has one: where it would go if the next were down.
    """

    allowed: bool
    path: tuple[str, ...]
    end: str
    lines: tuple[tuple[str, tuple[str, ...]], ...] = ()
    backups: Mapping[str, tuple[str, ...]] = {}


class Explainer:
    """
    Answers questions about one version.
    """

    def __init__(self, compiled: Compiled) -> None:
        self._configs = compiled.configs
        self._protocols = compiled.protocols
        self._router = lru_cache(None)(self._makeRouter)
        self._table = lru_cache(None)(lambda name: makePackets(self._configs[name]).table)

    def _makeRouter(self, name: str) -> Router:
        return makeRouter(self._configs[name])

    def entrances(self) -> list[str]:
        """
        The nodes where somebody comes in: those that have listeners of their own; all, where none has.
        """
        found = [name for name, config in self._configs.items() if _own(config, False) or _own(config, True)]
        return found or list(self._configs)

    def may(self, question: Question, at: str) -> Explanation:
        """
        Follow it from the node C{at}.

        @raise Unasked: where it can't be asked.
        """
        if at not in self._configs:
            raise Unasked(f"no node is called {at!r}")
        return self._packets(question, at) if question.packets else self._connection(question, at)

    # Connections and requests

    def _connection(self, question: Question, at: str) -> Explanation:
        flow, head = self._asked(question)
        listeners = _own(self._configs[at], False)
        if not listeners and question.user is None:
            return Explanation(False, (at,), f"nobody without a name comes in at {at}")
        flow = Flow(flow.protocol, flow.target, None, Identity(None, question.user), (*listeners, OVERLAY)[0])
        lines: list[tuple[str, tuple[str, ...]]] = []
        backups: dict[str, tuple[str, ...]] = {}
        path = [at]
        while True:
            node = path[-1]
            router = self._router(node)
            lines.append((node, tuple(_reached(router.explain(flow, head)))))
            try:
                decision = router.decide(flow) if head is None else router.decideRequest(flow, head)
            except FlowError as error:
                return Explanation(False, tuple(path), f"{node}: {error}", tuple(lines), backups)
            route = decision.route
            if not route.via:
                end = f"{node}: {_end(self._configs[node], route.to, flow)}"
                return Explanation(True, tuple(path), end, tuple(lines), backups)
            if route.backup:
                backups[node] = tuple(way[0] for way in route.backup)
            following = route.via[0]
            if following not in self._configs or following in path or len(path) >= LONGEST:
                return Explanation(False, tuple(path), f"{node}: {following} is no way", tuple(lines), backups)
            path.append(following)
            flow = Flow(flow.protocol, flow.target, None, Identity(node, None), OVERLAY)

    def _asked(self, question: Question) -> tuple[Flow, RequestHead | None]:
        destination = question.destination
        try:
            if "://" not in destination:
                target = Target.fromText(destination)
                protocol = self._protocols.get(target.host, "tcp")
                if protocol != "http":
                    return Flow(protocol, target), None
                destination = f"http://{target}/"
            return _request(destination, question.method)
        except ValueError as error:
            raise Unasked(str(error)) from None

    # Packets

    def _packets(self, question: Question, at: str) -> Explanation:
        address, port = _address(question.destination)
        transport = question.transport or ("tcp" if port is not None else "icmp" if address.version == 4 else "icmpv6")
        listeners = _own(self._configs[at], True)
        if not listeners and question.user is None:
            return Explanation(False, (at,), f"no packet of somebody without a name comes in at {at}")
        source = ip_address("0.0.0.0" if address.version == 4 else "::")
        asked = Asked(
            source,
            address,
            protocolNumber(transport),
            None,
            port,
            Identity(None, question.user),
            (*(listeners if question.user is None else ()), OVERLAY)[0],
        )
        lines: list[tuple[str, tuple[str, ...]]] = []
        backups: dict[str, tuple[str, ...]] = {}
        path = [at]
        while True:
            node = path[-1]
            table = self._table(node)
            lines.append((node, tuple(_reached(table.explain(asked)))))
            rule = table.decide(asked)
            if rule is None or rule.deny is not None:
                end = "no route takes it" if rule is None else rule.action
                return Explanation(False, tuple(path), f"{node}: {end}", tuple(lines), backups)
            if not rule.via:
                return Explanation(True, tuple(path), f"{node}: {rule.action}", tuple(lines), backups)
            if rule.backup:
                backups[node] = tuple(" > ".join(way) for way in rule.backup)
            path += rule.via
            if rule.via[-1] not in self._configs or len(path) >= LONGEST:
                return Explanation(False, tuple(path), f"{node}: no way", tuple(lines), backups)
            # The tunnel is between the two ends.
            asked = Asked(source, address, asked.protocol, None, port, Identity(node, None), OVERLAY)


def _reached(lines: Sequence[str]) -> list[str]:
    """
    What a node's routes say of it, as far as they are looked at.
    """
    found: list[str] = []
    for line in lines:
        found.append(line)
        if ": matches" in line or "is refused" in line:
            break
    return found


def _own(config: NodeConfig, packets: bool) -> list[str]:
    return [name for name, each in config.listeners.items() if name != OVERLAY and (each.type == "tun") == packets]


def _request(url: str, method: str) -> tuple[Flow, RequestHead]:
    """
    @raise ValueError: where it is none.
    """
    parts = urlsplit(url)
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    if parts.hostname is None or port is None:
        raise ValueError(f"{url!r} is not a URL: write http://HOST/PATH")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    head = RequestHead(method.encode(), parts.scheme.encode(), parts.netloc.encode(), path.encode("ascii", "replace"))
    return Flow("http", Target(parts.hostname, port)), head


def _address(text: str) -> tuple[Any, int | None]:
    try:
        return ip_address(text.strip("[]")), None
    except ValueError:
        pass
    try:
        target = Target.fromText(text)
        return ip_address(target.host), target.port
    except ValueError:
        raise Unasked(f"{text!r} is no address: packets go to an address, with a port or without") from None


def _end(config: NodeConfig, to: str | None, flow: Flow) -> str:
    if to is None:
        return f"to {flow.target}"
    upstream: Any = config.upstreams.get(to)
    if upstream is None:
        return f"to the listener {to}"
    return f"to {to} ({', '.join(upstream.addresses)})"
