"""
Routes in the configuration of a node: see L{hermes.config.schema}.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from attrs import field, frozen

from hermes.config.actions import HeadersConfig, MirrorConfig, RedirectConfig, RespondConfig, RewriteConfig, checkTexts
from hermes.config.problems import Misfit
from hermes.config.retry import ResumeConfig, RetryConfig
from hermes.config.types import FieldName, Method, Name, Network, ParameterName, Seconds, Transport
from hermes.matching import HostPattern, Match, PathPattern, TargetPattern, ValuePattern
from hermes.matching.match import criteria


@frozen
class MatchConfig:
    """
    Which flows and requests a route takes: all keys that are given must hold. Each takes one value, or a list of which
    one must hold. With C{host}, C{path}, C{method}, C{header} or C{query} it takes only HTTP requests.

    @ivar any: C{true}: every flow and request.
    @ivar target: where the flow wants to go: C{HOST}, C{HOST:PORT}, C{*.SUFFIX}, a CIDR prefix, C{:PORT}.
    @ivar user: who sent it, by a credential.
    @ivar node: the proxy that sent it, by its certificate.
    @ivar listener: the listener of this node that accepted it.
    @ivar protocol: C{tcp}, C{udp}, C{http}; C{listen}, a listening port for somebody else, and C{ip}, IP packets, which
        must be named.
    @ivar transport: of IP packets: what is in them. C{tcp}, C{udp}, C{icmp}, C{icmpv6}, or a number.
    @ivar source: the client's address, a CIDR prefix.
    @ivar host: the host in the request: C{HOST}, C{*.SUFFIX}, C{*} for every one.
    @ivar path: the path in the request, without the query: C{/a} itself; C{/a/}, what lies below; C{/users/{id}/posts},
        with any segment where the braces are; C{{prefix: /a}}, C{/a} and what lies below; C{{regex: EXPRESSION}}, which
        must match all of it.
    @ivar method: the method. An upgrade, such as a WebSocket, has the method C{CONNECT}.
    @ivar header: header fields by name, all of which must match: text, C{true} (it is there), C{false} (it is not),
        C{{prefix: TEXT}}, C{{suffix: TEXT}}, C{{contains: TEXT}}, C{{regex: EXPRESSION}}.
    @ivar query: parameters of the query by name, in the same way.
    """

    any: bool = False
    target: tuple[TargetPattern, ...] = ()
    user: tuple[str, ...] = ()
    node: tuple[Name, ...] = ()
    listener: tuple[str, ...] = ()
    protocol: tuple[Literal["tcp", "udp", "http", "listen", "ip"], ...] = ()
    transport: tuple[Transport, ...] = ()
    source: tuple[Network, ...] = ()
    host: tuple[HostPattern, ...] = ()
    path: tuple[PathPattern, ...] = ()
    method: tuple[Method, ...] = ()
    header: dict[FieldName, tuple[ValuePattern, ...]] = field(factory=dict)
    query: dict[ParameterName, tuple[ValuePattern, ...]] = field(factory=dict)

    def __attrs_post_init__(self) -> None:
        flows = self.target or self.user or self.node or self.listener or self.protocol or self.source
        requests = self.host or self.path or self.method or self.header or self.query
        others = flows or requests or self.transport
        if requests and self.protocol and "http" not in self.protocol:
            raise Misfit("takes HTTP requests, and the protocol is none", below=("protocol",))
        if self.packets and len(self.protocol) > 1:
            raise Misfit("packets have routes of their own: 'ip' goes with no other", below=("protocol",))
        if self.transport and not self.packets:
            raise Misfit("is of IP packets: give the match 'protocol: ip'", below=("transport",))
        if self.packets:
            self._checkPackets()
        if self.any and others:
            raise Misfit("'any: true' takes every flow: it goes with no other key", below=("any",))
        if not self.any and not others:
            raise Misfit("matches nothing: say 'any: true' for every flow")

    def _checkPackets(self) -> None:
        for place, target in enumerate(self.target):
            if target.suffix is not None or isinstance(target.host, str):
                raise Misfit(
                    f"{target} is a name, and packets have addresses: write an address or a prefix",
                    below=("target", place) if len(self.target) > 1 else ("target",),
                )

    @property
    def packets(self) -> bool:
        """
        Whether it takes IP packets.
        """
        return "ip" in self.protocol

    @property
    def requestsOnly(self) -> bool:
        """
        Whether nothing but HTTP requests is taken.
        """
        criteria = self.host or self.path or self.method or self.header or self.query
        return bool(criteria) or set(self.protocol) == {"http"}

    def captures(self) -> frozenset[str]:
        """
        The names that each of C{path} captures.
        """
        found = [set(one.names) if one.regex is None else one.regex.names for one in self.path]
        return frozenset(found[0].intersection(*found[1:])) if found else frozenset()

    def match(self) -> Match:
        """
        What it stands for; C{any} is a match that asks for nothing. A node's name is in its certificate in lower case.
        """
        return Match(
            targets=self.target,
            users=frozenset(self.user),
            nodes=frozenset(node.lower() for node in self.node),
            listeners=frozenset(self.listener),
            protocols=frozenset(self.protocol),
            sources=self.source,
            hosts=self.host,
            paths=self.path,
            methods=frozenset(method.encode() for method in self.method),
            headers=criteria({name.encode(): patterns for name, patterns in self.header.items()}),
            query=criteria({name.encode(): patterns for name, patterns in self.query.items()}),
        )


@frozen
class RouteConfig:
    """
    What is done with the flows and HTTP requests that it takes. The first route that takes one decides; where none
    does, it is denied.

    @ivar match: which flows and requests.
    @ivar to: the upstream where they end, or the listener: a C{tun} listener for IP packets, one of NDN for streams and
        datagrams; left out, the target that they asked for: for IP packets whoever has the address.
    @ivar split: upstreams with their weights, in place of C{to}: each request goes to one of them.
    @ivar via: the proxies between, in order. The first is an upstream of this node. The others are names that the one
        before each knows; with C{nested}, upstreams of this node too.
    @ivar nested: open each tunnel inside the one before, so that a proxy in the middle learns neither target nor bytes.
    @ivar backup: other ways, each a list of proxies as in C{via}, which are tried in order where that can't be had.
    @ivar deny: refuse them, for this reason.
    @ivar silent: with C{deny}, of IP packets: drop them, and do not tell who sent them.
    @ivar allowSpecial: allow targets that are loopback, private or otherwise special-purpose addresses. A route whose
        C{to} or whose C{match.target} names them allows them too.
    @ivar rewrite: change what requests ask for.
    @ivar headers: change the fields of requests.
    @ivar responseHeaders: change the fields of responses.
    @ivar redirect: answer requests with another place.
    @ivar respond: answer requests from here.
    @ivar mirror: send a copy of requests elsewhere.
    @ivar retry: when a request is sent again; left out, never.
    @ivar timeout: how long a request and its whole response may take, retries included; left out, for ever. A
        deadline that comes with the request from the proxy before this one holds too.
    @ivar resume: how the body of a response goes on that was cut short; left out, it does not.
    @ivar assist: assisting components that requests pass, in order, behind those of the listener.
    @ivar name: what it is called in logs and metrics; left out, its place in the list, from 0.
    """

    match: MatchConfig
    to: str | None = None
    split: dict[str, int] = field(factory=dict)
    via: tuple[str, ...] = ()
    nested: bool = False
    backup: tuple[tuple[str, ...], ...] = ()
    deny: str | None = None
    silent: bool = False
    allowSpecial: bool = False
    rewrite: RewriteConfig | None = None
    headers: HeadersConfig | None = None
    responseHeaders: HeadersConfig | None = None
    redirect: RedirectConfig | None = None
    respond: RespondConfig | None = None
    mirror: MirrorConfig | None = None
    retry: RetryConfig | None = None
    timeout: Seconds | None = None
    resume: ResumeConfig | None = None
    assist: tuple[str, ...] = ()
    name: Name | None = None

    def __attrs_post_init__(self) -> None:
        # What decides where a request ends excludes what else would; nothing else is done to one that is refused.
        sending = [key for key in _SENDING if getattr(self, key)]
        changing = [key for key in _CHANGING if getattr(self, key)]
        if self.deny is not None and (others := [*sending, *_given(self, ("redirect", "respond")), *changing]):
            raise Misfit(f"goes with no other action, and {others[0]!r} is one: the flow is refused", below=("deny",))
        for key in _given(self, ("redirect", "respond")):
            if others := [*sending, *_given(self, {"redirect", "respond"} - {key}), *_given(self, _OF_REQUESTS)]:
                raise Misfit(f"answers, and {others[0]!r} is for what is sent on", below=(key,))
        if self.silent and (self.deny is None or not self.match.packets):
            raise Misfit("goes with 'deny', and with 'protocol: ip' in the match", below=("silent",))
        if self.match.packets:
            self._checkPackets()
        if self.to is not None and self.split:
            raise Misfit("goes not with 'to': it stands in place of it", below=("split",))
        if self.split and (min(self.split.values()) < 0 or not any(self.split.values())):
            raise Misfit("weights are whole numbers from 0, and one at least is above it", below=("split",))
        if self.timeout is not None and self.timeout <= 0:
            raise Misfit("in no time there is no response", below=("timeout",))
        for key in ("nested", "backup"):
            if getattr(self, key) and not self.via:
                raise Misfit("goes only with 'via'", below=(key,))
        for place, way in enumerate(self.backup):
            if not way:
                raise Misfit("a way over no proxy is none", below=("backup", place))
        if "listen" in self.match.protocol and (sending or changing or self.redirect or self.respond):
            raise Misfit("a port to listen on goes nowhere: no other action than 'deny'", below=("match", "protocol"))
        if not self.match.requestsOnly:
            for key in ("split", "redirect", "respond", "assist"):
                if getattr(self, key):
                    message = "is for HTTP requests, and the match takes other flows too: give it 'protocol: http'"
                    raise Misfit(message, below=(key,))
        self._checkPlaces()

    def _checkPackets(self) -> None:
        for key in (*_OF_REQUESTS, "redirect", "respond", "assist", "split", "allowSpecial"):
            if getattr(self, key):
                raise Misfit("is not for IP packets", below=(key,))

    def _checkPlaces(self) -> None:
        captures = self.match.captures()
        for key in ("rewrite", "headers", "responseHeaders", "redirect"):
            part = getattr(self, key)
            if part is not None:
                try:
                    checkTexts(part.texts(), captures)
                except Misfit as error:
                    raise Misfit(error.message, error.suggestion, (key, *error.below)) from None
        if self.rewrite is not None and self.rewrite.prefix is not None:
            paths = self.match.path
            if not paths or not all(path.below for path in paths):
                message = "the match has no prefix to replace: give it a 'path' such as /a/ or {prefix: /a}"
                raise Misfit(message, below=("rewrite", "prefix"))


_SENDING = ("to", "split", "via", "backup", "allowSpecial")
_OF_REQUESTS = ("rewrite", "headers", "responseHeaders", "mirror", "retry", "timeout", "resume")
_CHANGING = (*_OF_REQUESTS, "assist")


def _given(route: RouteConfig, keys: Iterable[str]) -> list[str]:
    return [key for key in keys if getattr(route, key) is not None]
