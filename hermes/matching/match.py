"""
Which flows and which HTTP requests a rule takes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from ipaddress import ip_network
from typing import Final

from attrs import frozen

from hermes.errors import BadRequest
from hermes.matching.hosts import HostPattern, authorityHost
from hermes.matching.paths import NO_CAPTURES, Captures, PathPattern, readings
from hermes.matching.targets import IPAddress, IPNetwork, TargetPattern, canonicalHost
from hermes.matching.values import Criterion, ValuePattern, queryParameters
from hermes.values import Flow, RequestHead

PROTOCOLS: Final = ("tcp", "udp", "http", "listen", "ip")
LISTEN: Final = "listen"
"""
To open a listening port here for somebody else: a right that only a route which names it gives.
"""

IP: Final = "ip"
"""
IP packets.
"""

NAMED: Final = frozenset((LISTEN, IP))
"""
What a match takes only where it names it.
"""

AMBIGUOUS: Final = "the path is read in more than one way, and the rules do not say the same of each"

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def _networks(texts: Iterable[str]) -> tuple[IPNetwork, ...]:
    networks = []
    for text in texts:
        try:
            networks.append(ip_network(text))
        except ValueError as error:
            raise ValueError(f"{text!r} is not a network: {error}") from None
    return tuple(networks)


def parseMethod(text: str) -> bytes:
    """
    A request method; those that have letters are meant in capitals.

    @raise ValueError: with a sentence for the user.
    """
    return parseToken(text, "a method").upper().encode()


def parseFieldName(text: str) -> bytes:
    """
    The name of a header field, in lower case.

    @raise ValueError: with a sentence for the user.
    """
    return parseToken(text, "the name of a header field").lower().encode()


def parseToken(text: str, what: str) -> str:
    """
    A token (RFC 9110 section 5.6.2).

    @raise ValueError: with a sentence for the user.
    """
    if not _TOKEN.fullmatch(text):
        raise ValueError(f"{text!r} is not {what}")
    return text


def criteria(given: Mapping[bytes, Iterable[ValuePattern]]) -> tuple[Criterion, ...]:
    """
    Criteria from patterns by name.
    """
    return tuple(Criterion(name, tuple(patterns)) for name, patterns in given.items())


@frozen
class Match:
    """
    What must hold for a rule to take a flow or a request: one of each that is given. Nothing given takes all.

    With C{hosts}, C{paths}, C{methods}, C{headers} or C{query} it takes only HTTP requests.

    @ivar targets: where the flow goes.
    @ivar users: who sent it, by credential.
    @ivar nodes: which proxy sent it, by certificate.
    @ivar listeners: the listener that accepted it.
    @ivar protocols: of C{tcp}, C{udp}, C{http}, C{listen}, C{ip}; none given is all but C{listen} and C{ip}.
    @ivar sources: where the client is. A client without an address (Unix socket) is in none.
    @ivar hosts: the host in the request.
    @ivar paths: its path, without the query.
    @ivar methods: its method.
    @ivar headers: fields of it, all of which must match. Where a field is there more than once, its value is what all
        of them say, joined with commas.
    @ivar query: parameters in its query, all of which must match. Where a parameter is there more than once, one of its
        values must match.
    """

    targets: tuple[TargetPattern, ...] = ()
    users: frozenset[str] = frozenset()
    nodes: frozenset[str] = frozenset()
    listeners: frozenset[str] = frozenset()
    protocols: frozenset[str] = frozenset()
    sources: tuple[IPNetwork, ...] = ()
    hosts: tuple[HostPattern, ...] = ()
    paths: tuple[PathPattern, ...] = ()
    methods: frozenset[bytes] = frozenset()
    headers: tuple[Criterion, ...] = ()
    query: tuple[Criterion, ...] = ()

    @classmethod
    def fromTexts(
        cls,
        targets: Iterable[str] = (),
        users: Iterable[str] = (),
        nodes: Iterable[str] = (),
        listeners: Iterable[str] = (),
        protocols: Iterable[str] = (),
        sources: Iterable[str] = (),
        hosts: Iterable[str] = (),
        paths: Iterable[object] = (),
        methods: Iterable[str] = (),
        headers: Mapping[str, object] = {},
        query: Mapping[str, object] = {},
    ) -> Match:
        """
        Parse the values of a C{match} in the configuration.

        @param paths: see L{PathPattern.fromValue}.
        @param headers: see L{ValuePattern.fromValue}.
        @param query: the same.
        @raise ValueError: with a sentence for the user.
        """
        for protocol in (protocols := tuple(protocols)):
            if protocol not in PROTOCOLS:
                raise ValueError(f"{protocol!r} is not a protocol: write {', '.join(PROTOCOLS)}")
        return cls(
            targets=tuple(map(TargetPattern.fromText, targets)),
            users=frozenset(users),
            nodes=frozenset(nodes),
            listeners=frozenset(listeners),
            protocols=frozenset(protocols),
            sources=_networks(sources),
            hosts=tuple(map(HostPattern.fromText, hosts)),
            paths=tuple(map(PathPattern.fromValue, paths)),
            methods=frozenset(map(parseMethod, methods)),
            headers=criteria({parseFieldName(name): [ValuePattern.fromValue(one)] for name, one in headers.items()}),
            query=criteria({name.encode(): [ValuePattern.fromValue(one)] for name, one in query.items()}),
        )

    @property
    def requestsOnly(self) -> bool:
        """
        Whether only HTTP requests are taken.
        """
        return bool(self.hosts or self.paths or self.methods or self.headers or self.query)

    def takes(self, flow: Flow, head: RequestHead | None = None) -> bool:
        """
        Whether everything that is given holds.

        @param head: of the request; L{None} where C{flow} is none.
        @raise BadRequest: where that depends on how somebody reads the path.
        """
        if not self.takesSender(flow) or (self.targets and not self._takesTarget(flow)):
            return False
        if not self.requestsOnly:
            return True
        if head is None:
            return False
        if (
            (self.methods and head.method not in self.methods)
            or (self.hosts and not self._takesHost(flow, head))
            or not all(one.matches(head.get(one.name)) for one in self.headers)
            or not all(takesParameter(one, head.path) for one in self.query)
        ):
            return False
        return not self.paths or self._takesEveryReading(head.path)

    def takesPath(self, path: bytes) -> bool:
        """
        Whether a path in normal form is one of C{paths}.
        """
        return any(pattern.match(path) is not None for pattern in self.paths)

    def captures(self, head: RequestHead) -> Captures:
        """
        What the first of C{paths} that matches finds in the path of a request that was taken.
        """
        if self.paths:
            path = readings(head.path)[0]
            for pattern in self.paths:
                found = pattern.match(path)
                if found is not None:
                    return found
        return NO_CAPTURES

    def refusal(self, flow: Flow, head: RequestHead | None = None) -> str | None:
        """
        Why L{takes} is false, in words; L{None} where it is true.

        @raise BadRequest: as L{takes} does.
        """
        return self._targetRefusal(flow) or self._flowRefusal(flow) or self._requestRefusal(flow, head)

    def takesSender(self, flow: Flow) -> bool:
        """
        Whether all but the target, and what is asked of an HTTP request, holds.
        """
        identity = flow.identity
        return (
            (flow.protocol in self.protocols if self.protocols else flow.protocol not in NAMED)
            and (not self.listeners or flow.listener in self.listeners)
            and (not self.users or identity.user in self.users)
            and (not self.nodes or identity.node in self.nodes)
            and (not self.sources or fromSource(flow, self.sources))
        )

    def _takesTarget(self, flow: Flow) -> bool:
        host = canonicalHost(flow.target.host)
        return any(pattern.matches(host, flow.target.port) for pattern in self.targets)

    def _takesHost(self, flow: Flow, head: RequestHead) -> bool:
        host = requestHost(flow, head)
        return any(pattern.matches(host) for pattern in self.hosts)

    def _takesEveryReading(self, path: bytes) -> bool:
        normal, others = readings(path)
        taken = self.takesPath(normal)
        if others and any(self.takesPath(other) != taken for other in others):
            raise BadRequest(AMBIGUOUS)
        return taken

    def _targetRefusal(self, flow: Flow) -> str | None:
        if not self.targets or self._takesTarget(flow):
            return None
        return f"target is {flow.target}, not {_either(map(str, self.targets))}"

    def _flowRefusal(self, flow: Flow) -> str | None:
        if self.protocols and flow.protocol not in self.protocols:
            return f"protocol is {flow.protocol}, not {_either(self.protocols)}"
        if not self.protocols and flow.protocol in NAMED:
            return f"protocol is {flow.protocol}, which must be named"
        if self.listeners and flow.listener not in self.listeners:
            return f"listener is {flow.listener or 'none'}, not {_either(self.listeners)}"
        if self.users and flow.identity.user not in self.users:
            return f"user is {flow.identity.user or 'nobody'}, not {_either(self.users)}"
        if self.nodes and flow.identity.node not in self.nodes:
            return f"node is {flow.identity.node or 'none'}, not {_either(self.nodes)}"
        if self.sources and not fromSource(flow, self.sources):
            source = flow.source[0] if flow.source else "without an address"
            return f"source is {source}, not in {_either(map(str, self.sources))}"
        return None

    def _requestRefusal(self, flow: Flow, head: RequestHead | None) -> str | None:
        if not self.requestsOnly:
            return None
        if head is None:
            return "it takes HTTP requests only"
        if self.hosts and not self._takesHost(flow, head):
            return f"host is {requestHost(flow, head) or 'none'}, not {_either(map(str, self.hosts))}"
        if self.methods and head.method not in self.methods:
            return f"method is {_text(head.method)}, not {_either(map(_text, self.methods))}"
        for one in self.headers:
            value = head.get(one.name)
            if not one.matches(value):
                return f"header {_text(one.name)} is {_found(value)}, not {one.wanted}"
        for one in self.query:
            if not takesParameter(one, head.path):
                values = queryParameters(head.path).get(one.name)
                return f"query {_text(one.name)} is {_found(b', '.join(values) if values else None)}, not {one.wanted}"
        if self.paths and not self._takesEveryReading(head.path):
            return f"path is {_text(readings(head.path)[0]) or 'none'}, not {_either(map(str, self.paths))}"
        return None


def requestHost(flow: Flow, head: RequestHead) -> str | IPAddress:
    """
    The host that C{hosts} are compared with: that of the authority, or where the request has none, of the target.
    """
    return authorityHost(head.authority) if head.authority else canonicalHost(flow.target.host)


def takesParameter(criterion: Criterion, path: bytes) -> bool:
    """
    Whether a query parameter is what a match asks for.
    """
    values = queryParameters(path).get(criterion.name)
    return any(map(criterion.matches, values)) if values else criterion.matches(None)


def fromSource(flow: Flow, networks: tuple[IPNetwork, ...]) -> bool:
    """
    Whether a flow's client is in one of C{networks}.
    """
    if flow.source is None:
        return False
    source = canonicalHost(flow.source[0])
    return not isinstance(source, str) and any(source in network for network in networks)


def _found(value: bytes | None) -> str:
    return "absent" if value is None else repr(_text(value))


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")


def _either(values: Iterable[str]) -> str:
    return " or ".join(sorted(values))
