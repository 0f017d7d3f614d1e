"""
The overlay document, as attrs classes. An attribute is a key in the file; its C{@ivar} is that key's documentation.
"""

from __future__ import annotations

from typing import Any, Literal

from attrs import field, frozen

from hermes.config.direct import DirectBalance, EndpointKind, HealthConfig, OutlierConfig, TLSKind
from hermes.config.problems import Misfit
from hermes.config.routes import RouteConfig
from hermes.config.schema import AccessLogConfig, AdminConfig, AssistConfig, ListenerConfig, TracingConfig, UserConfig
from hermes.config.types import IPAddress, Method, Name, NDNName, Network, Seconds, SocketAddress, Transport
from hermes.control.document.subjects import Destination, Subject
from hermes.matching import PathPattern


@frozen
class NodeEntry:
    """
    A node.

    @ivar address: where other nodes reach it, C{HOST:PORT}; left out, none does: it only opens connections itself.
    @ivar bind: where its C{tunnel} listener for other nodes is bound; left out, at C{address}'s port on every address.
    @ivar networks: IP prefixes that lie behind it: it may send from there.
    @ivar pools: prefixes from which it gives addresses to those who open CONNECT-IP tunnels to it.
    @ivar reserved: addresses that it gives to one user or node only, by name.
    @ivar labels: words of the operator's about it, by name.
    @ivar required: whether a change waits for it: it is refused where this node is not there.
    @ivar listeners: what it accepts beside other nodes, as in a node's file.
    @ivar assist: assisting components that its listeners name, as in a node's file.
    @ivar admin: its admin listener.
    @ivar accessLog: where its flows and HTTP exchanges are logged.
    @ivar tracing: where its spans are sent.
    @ivar drain: how long flows may go on once it is told to stop.
    @ivar routes: routes of its own, as in a node's file. They come before what the document's policy says.
    """

    address: SocketAddress | None = None
    bind: SocketAddress | None = None
    networks: tuple[Network, ...] = ()
    pools: tuple[Network, ...] = ()
    reserved: dict[Name, tuple[IPAddress, ...]] = field(factory=dict)
    labels: dict[Name, str] = field(factory=dict)
    required: bool = False
    listeners: dict[str, ListenerConfig] = field(factory=dict)
    assist: dict[str, AssistConfig] = field(factory=dict)
    admin: AdminConfig | None = None
    accessLog: AccessLogConfig | None = None
    tracing: TracingConfig | None = None
    drain: Seconds | None = None
    routes: tuple[RouteConfig, ...] = ()

    def __attrs_post_init__(self) -> None:
        if self.address is not None and self.address.startswith("unix:") and self.bind is None:
            raise Misfit("of a Unix socket, 'bind' says the path", below=("address",))
        if self.bind is not None and self.address is None:
            raise Misfit("goes with 'address': nobody would know of it", below=("bind",))
        if "overlay" in self.listeners:
            raise Misfit("'overlay' is the listener for other nodes: give it another name", below=("listeners",))


@frozen
class LinkEntry:
    """
    Two nodes that may connect to each other.

    @ivar between: their names.
    @ivar weight: what it costs to go this way; left out, what is measured.
    """

    between: tuple[Name, ...]
    weight: int | None = None

    def __attrs_post_init__(self) -> None:
        if len(self.between) != 2 or self.between[0] == self.between[1]:
            raise Misfit("a link is between two nodes", below=("between",))
        if self.weight is not None and not 0 < self.weight <= 1_000_000:
            raise Misfit("a weight is from 1 to 1,000,000", below=("weight",))


@frozen
class ServiceEntry:
    """
    A service: a name that needs no DNS.

    @ivar on: the nodes that reach its endpoints. The nearest is taken, another where that is down.
    @ivar endpoints: its servers, as these nodes reach them.
    @ivar protocol: what it speaks; C{http} is requests, with what can be done for them.
    @ivar ports: the ports under which it is asked for; C{http} has 80 if none is given.
    @ivar balance: which endpoint a flow or request gets.
    @ivar tls: whether the endpoints are reached over TLS.
    @ivar health: active health checks.
    @ivar outlier: passive health checks.
    """

    on: tuple[Name, ...]
    endpoints: tuple[EndpointKind, ...]
    protocol: Literal["tcp", "udp", "http"] = "tcp"
    ports: tuple[int, ...] = ()
    balance: DirectBalance = "round-robin"
    tls: TLSKind = False
    health: HealthConfig | None = None
    outlier: OutlierConfig | None = None

    def __attrs_post_init__(self) -> None:
        if not self.on:
            raise Misfit("a service is on one node at least", below=("on",))
        if not self.ports and self.protocol != "http":
            raise Misfit("a service has a port at least under which it is asked for", below=("ports",))
        for port in self.ports:
            if not 0 < port < 65536:
                raise Misfit(f"{port} is not a port", below=("ports",))


@frozen
class PrefixEntry:
    """
    An IP prefix that nodes lead to.

    @ivar on: these nodes. The nearest is taken, another where that is down.
    @ivar device: the C{tun} listener of these nodes that packets leave by; left out, their only one.
    """

    on: tuple[Name, ...]
    device: Name | None = None

    def __attrs_post_init__(self) -> None:
        if not self.on:
            raise Misfit("a prefix is on one node at least", below=("on",))


@frozen
class NDNPrefixEntry:
    """
    An NDN prefix that producers at nodes have.

    @ivar on: these nodes.
    @ivar strategy: how next hops are chosen, where there are several.
    """

    on: tuple[Name, ...]
    strategy: str | None = None

    def __attrs_post_init__(self) -> None:
        if not self.on:
            raise Misfit("a prefix is on one node at least", below=("on",))


@frozen
class PolicyEntry:
    """
    Who may do what. The first entry that takes a flow, a request or a packet decides; where none does, it is denied.

    @ivar allow: whom it allows.
    @ivar deny: whom it denies, in place of C{allow}.
    @ivar to: what they ask for: C{SERVICE}, C{SERVICE:PORT}, a prefix, an address, C{any}.
    @ivar method: of HTTP requests: the methods.
    @ivar path: of HTTP requests: the paths, as routes match them.
    @ivar transport: of IP packets: what is in them.
    @ivar at: the nodes where they come in; left out, all.
    @ivar reason: why it is denied: told to whoever is.
    @ivar silent: with C{deny}: IP packets are dropped, and nobody is told.
    """

    to: tuple[Destination, ...]
    allow: tuple[Subject, ...] = ()
    deny: tuple[Subject, ...] = ()
    method: tuple[Method, ...] = ()
    path: tuple[PathPattern, ...] = ()
    transport: tuple[Transport, ...] = ()
    at: tuple[Name, ...] = ()
    reason: str = "not allowed by the policy"
    silent: bool = False

    def __attrs_post_init__(self) -> None:
        if bool(self.allow) == bool(self.deny):
            raise Misfit("an entry has either 'allow' or 'deny'")
        if not self.to:
            raise Misfit("name one destination at least", below=("to",))
        if self.transport and (self.method or self.path):
            raise Misfit("is of IP packets, and 'method' and 'path' are of HTTP requests", below=("transport",))
        if self.silent and not self.deny:
            raise Misfit("goes with 'deny'", below=("silent",))

    @property
    def subjects(self) -> tuple[Subject, ...]:
        """
        Whom it is about.
        """
        return self.allow or self.deny


@frozen
class TestEntry:
    """
    What must hold of every version: it is tried on what the nodes would run, before any of them hears of it.

    @ivar user: who asks; left out, somebody without a name.
    @ivar at: the nodes where they come in; left out, every node that has listeners of its own.
    @ivar can: what they reach: C{SERVICE:PORT}, an address, a URL.
    @ivar cannot: what they don't.
    @ivar packets: whether IP packets are asked about, in place of connections.
    """

    user: Name | None = None
    at: tuple[Name, ...] = ()
    can: tuple[str, ...] = ()
    cannot: tuple[str, ...] = ()
    packets: bool = False

    def __attrs_post_init__(self) -> None:
        if not self.can and not self.cannot:
            raise Misfit("a test says what somebody 'can' or 'cannot' reach")


TRIAL = Seconds(5.0)
DECIDE = Seconds(30.0)
REROUTE = Seconds(60.0)


@frozen
class SettingsEntry:
    """
    How changes are made.

    @ivar trial: how long a change is watched before it is for good.
    @ivar decide: after how long a node that hears no more returns to what it ran before.
    @ivar probe: destinations, C{SERVICE:PORT}, that nodes with listeners of their own try in that time; a change after
        which one can't be reached that could is taken back.
    @ivar reroute: whether the controller makes a change by itself where measurements say that other ways are better
        than those that are in use. Links that have a weight never move.
    @ivar rerouteAfter: how much time passes between a change and such a one, at least; after each, for a while, twice
        as much.
    """

    trial: Seconds = TRIAL
    decide: Seconds = DECIDE
    probe: tuple[str, ...] = ()
    reroute: bool = True
    rerouteAfter: Seconds = REROUTE

    def __attrs_post_init__(self) -> None:
        if self.decide <= self.trial:
            raise Misfit("is longer than the trial: nodes would go back in the middle of it", below=("decide",))


@frozen
class OverlayConfig:
    """
    The overlay.

    @ivar overlay: its name.
    @ivar nodes: its nodes, by name.
    @ivar links: who may connect to whom; left out, every node to every other that has an address.
    @ivar services: services, by name.
    @ivar prefixes: IP prefixes, and the nodes that lead there.
    @ivar names: NDN prefixes, and the nodes that have them.
    @ivar users: who may use it, by name.
    @ivar groups: groups of users, by name.
    @ivar policy: who may do what.
    @ivar tests: what must hold of every version.
    @ivar settings: how changes are made.
    """

    overlay: Name
    nodes: dict[Name, NodeEntry]
    links: tuple[LinkEntry, ...] | None = None
    services: dict[str, ServiceEntry] = field(factory=dict)
    prefixes: dict[Network, PrefixEntry] = field(factory=dict)
    names: dict[NDNName, NDNPrefixEntry] = field(factory=dict)
    users: dict[Name, UserConfig] = field(factory=dict)
    groups: dict[Name, tuple[Name, ...]] = field(factory=dict)
    policy: tuple[PolicyEntry, ...] = ()
    tests: tuple[TestEntry, ...] = ()
    settings: SettingsEntry = field(factory=SettingsEntry)


@frozen(eq=False)
class OverlayDocument:
    """
    An overlay document, loaded.

    @ivar text: as it was written.
    @ivar config: what it says.
    @ivar plain: the same as plain values: what is a node's own is handed on as it stands.
    """

    text: str
    config: OverlayConfig
    plain: dict[str, Any] = field(repr=False)
