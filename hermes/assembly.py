"""
The real parts of a node.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from attrs import define, evolve
from cryptography.x509 import load_pem_x509_certificate
from OpenSSL import SSL
from prometheus_client import CollectorRegistry
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import Clock
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

import hermes
from hermes.admin.metrics import FlowMetrics
from hermes.admin.names import NameMetrics
from hermes.admin.packets import PacketMetrics
from hermes.admin.pools import UpstreamMetrics
from hermes.admin.requests import RequestMetrics
from hermes.admin.resources import nodeSite
from hermes.admin.status import Status
from hermes.commons import Commons
from hermes.config import AdminConfig, IdentityConfig, ListenerConfig, NodeConfig
from hermes.fabric.direct import DirectDialer
from hermes.fabric.handler import FlowHandler
from hermes.generation import AssistantContext, Generation, ListenerContext
from hermes.http.handler import RequestHandler
from hermes.http.origins import Origins
from hermes.http.plans import Plans
from hermes.interfaces import (
    IAssistant,
    IAssistantType,
    IAuthenticator,
    IDialer,
    IHop,
    IListener,
    IListenerType,
    INetwork,
    IServerCredentials,
)
from hermes.ip.plane import PacketPlane
from hermes.listeners import assistantTypes as installedAssistantTypes
from hermes.listeners import listenerTypes as installedListenerTypes
from hermes.net.certificates import ServerCredentials, nodeNames
from hermes.net.kernelroutes import Outside
from hermes.net.network import Network, checkMark
from hermes.net.resolution import resolve
from hermes.net.revocation import RevokedCertificates
from hermes.node import ADMIN, Node, NodeError
from hermes.routing import makePackets, makeRouter
from hermes.sites import SiteListener
from hermes.upstreams import OriginTLS, Upstream, UpstreamMaker, reachedStraight
from hermes.users import Users, UserSecret
from hermes.values import Identity, Target
from hermes.watchers import Watchers, Watching


@implementer(IServerCredentials)
class CurrentCredentials:
    """
    The node's certificate as its last configuration names it: a listener that stays bound when it changes keeps this.

    @ivar credentials: what answers now.
    """

    def __init__(self, credentials: ServerCredentials) -> None:
        self.credentials = credentials

    def context(self) -> SSL.Context:
        """
        See L{ServerCredentials.context}.
        """
        return self.credentials.context()

    def connection(self) -> SSL.Connection:
        """
        See L{ServerCredentials.connection}.
        """
        return self.credentials.connection()

    def identity(self, connection: SSL.Connection) -> Identity:
        """
        See L{ServerCredentials.identity}.
        """
        return self.credentials.identity(connection)

    @property
    def revoked(self) -> RevokedCertificates | None:
        """
        See L{ServerCredentials.revoked}.
        """
        return self.credentials.revoked


@define(eq=False)
class RealGeneration(Generation):
    """
    What one configuration makes, with what L{Assembly.commit} needs.

    @ivar made: the upstreams with what they were made of.
    @ivar credentials: the node's own certificate.
    @ivar watching: who watches.
    """

    made: Mapping[str, Upstream]
    credentials: ServerCredentials | None
    watching: Watching

    def checkFiles(self) -> None:
        if self.credentials is not None:
            evolve(self.credentials)
        for upstream in self.made.values():
            upstream.checkFiles()

    def readFiles(self) -> None:
        if self.credentials is not None:
            self.credentials.reload()
        for upstream in self.made.values():
            upstream.readFiles()


class Assembly:
    """
    See L{hermes.generation.Assembly}.

    @ivar network: the kernel.
    @ivar metrics: counts the node's flows; L{None} before L{flows}.
    """

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        network: INetwork,
        types: Mapping[str, IListenerType] | None = None,
        assistantTypes: Mapping[str, IAssistantType] | None = None,
        observers: Sequence[Any] = (),
        revoked: RevokedCertificates | None = None,
    ) -> None:
        """
        @param types: the types of listeners, by name; those that are installed where not given.
        @param assistantTypes: the same for assisting components.
        @param observers: who else hears of flows and exchanges: L{hermes.interfaces.IFlowObserver} and
            L{hermes.interfaces.IRequestObserver}.
        @param revoked: the certificates of nodes that were shut out: neither accepted nor connected to.
        """
        self.network = network
        self.metrics: FlowMetrics | None = None
        self._reactor = reactor
        self._types = installedListenerTypes() if types is None else types
        self._assistantTypes = installedAssistantTypes() if assistantTypes is None else assistantTypes
        self._credentials: CurrentCredentials | None = None
        self._registry = CollectorRegistry()
        self._commons = Commons()
        self._watchers = Watchers(reactor, self._registry)
        self._upstreams: Mapping[str, IDialer | IHop] = {}
        self._observers = tuple(observers)
        self._revoked = revoked
        UpstreamMetrics(lambda: self._upstreams, self._registry)
        NameMetrics(lambda: self._commons.all("ndn"), self._registry)

    def credentials(self) -> IServerCredentials | None:
        return self._credentials

    def generation(self, config: NodeConfig, before: Generation | None) -> Generation:
        assert before is None or isinstance(before, RealGeneration)
        made: dict[str, Upstream] = {}
        assistants: dict[str, IAssistant] = {}
        try:
            identity = config.identity
            credentials = None
            if identity is not None:
                credentials = ServerCredentials(
                    identity.certificate, identity.key, identity.trust, revoked=self._revoked
                )
                checkIdentity(config.node, identity)
                if self._credentials is None:
                    # Listeners that are made now find it, whenever they start.
                    self._credentials = CurrentCredentials(credentials)
            if _marksSockets(config) and isinstance(self.network, Network):
                checkMark(Outside().mark)
            self._makeUpstreams(config, before, made)
            users = _users(config, before)
            self._makeAssistants(config, before, users, assistants)
            return RealGeneration(
                config=config,
                users=users,
                router=makeRouter(config),
                packets=makePackets(config),
                upstreams={name: upstream.dialer for name, upstream in made.items()},
                assistants=assistants,
                made=made,
                credentials=credentials,
                watching=self._watchers.make(config, None if before is None else before.watching),
            )
        except BaseException:
            self._close(made, {} if before is None else before.made)
            self._closeAssistants(assistants, {} if before is None else before.assistants)
            raise

    def _makeUpstreams(self, config: NodeConfig, before: RealGeneration | None, made: dict[str, Upstream]) -> None:
        maker = UpstreamMaker(self.network, self._reactor, config.identity, self._revoked)
        for name, upstream in config.upstreams.items():
            old = before.made.get(name) if before is not None else None
            if old is not None and old.config == upstream and old.identity == config.identity:
                # Its connections stay. What its files say now must be good all the same.
                old.checkFiles()
                made[name] = old
            else:
                made[name] = maker.make(name, upstream)

    def _makeAssistants(
        self,
        config: NodeConfig,
        before: RealGeneration | None,
        users: IAuthenticator,
        assistants: dict[str, IAssistant],
    ) -> None:
        context = AssistantContext(self._reactor, config.node, users, self._registry, self._commons)
        for name, assist in config.assist.items():
            old = before.config.assist.get(name) if before is not None else None
            if before is not None and old == assist and before.users is users:
                assistants[name] = before.assistants[name]
            else:
                assistants[name] = self._assistantTypes[assist.type].assistant(name, assist.options, context)

    def commit(self, generation: Generation) -> None:
        assert isinstance(generation, RealGeneration)
        generation.readFiles()
        if generation.credentials is not None:
            assert self._credentials is not None, "it was made with the generation"
            self._credentials.credentials = generation.credentials
        straight = reachedStraight(generation.config)
        for name, upstream in generation.made.items():
            upstream.start(name in straight)
        self._watchers.commit(generation.watching)
        self._upstreams = generation.upstreams
        if _marksSockets(generation.config):
            # Before anything is bound or connected: what the node sends is not to go through its own device.
            setattr(self.network, "mark", Outside().mark)  # noqa: B010

    def discard(self, generation: Generation, kept: Generation | None) -> Deferred[None]:
        assert isinstance(generation, RealGeneration)
        assert kept is None or isinstance(kept, RealGeneration)
        closing = self._close(generation.made, {} if kept is None else kept.made)
        closing += self._closeAssistants(generation.assistants, {} if kept is None else kept.assistants)
        closing.append(self._watchers.discard(generation.watching, None if kept is None else kept.watching))
        return gatherResults(closing).addCallback(lambda _: None)

    def retire(self, generation: Generation, successor: Generation) -> None:
        self._closeAssistants(generation.assistants, successor.assistants)
        assert isinstance(generation, RealGeneration) and isinstance(successor, RealGeneration)
        # Hops are the flows' to close: some may still be being opened.
        direct = {name: each for name, each in generation.made.items() if not IHop.providedBy(each.dialer)}
        self._close(direct, successor.made)

    def _closeAssistants(
        self, assistants: Mapping[str, IAssistant], kept: Mapping[str, IAssistant]
    ) -> list[Deferred[None]]:
        gone = [(name, each) for name, each in assistants.items() if kept.get(name) is not each]
        return [each.close().addErrback(self._closeFailed, name) for name, each in gone]

    def _close(self, made: Mapping[str, Upstream], kept: Mapping[str, Upstream]) -> list[Deferred[None]]:
        gone = [(name, each) for name, each in made.items() if kept.get(name) is not each]
        return [each.close().addErrback(self._closeFailed, name) for name, each in gone]

    def _closeFailed(self, failure: Failure, name: str) -> None:
        self.log.failure("closing {name} failed", failure, name=name)

    def flows(self, generation: Generation) -> FlowHandler:
        metrics = self.metrics = FlowMetrics(
            lambda: flows.openFlows(), generation.config.node, hermes.__version__, self._registry
        )
        flows = FlowHandler(
            generation.router,
            generation.upstreams,
            lambda allowSpecial: DirectDialer(self.network, allowSpecial),
            [metrics, self._watchers, *self._observers],
            self._reactor,
        )
        return flows

    def packets(self, generation: Generation, flows: FlowHandler) -> PacketPlane:
        def resolved(host: str) -> Deferred[list[str]]:
            # What may be reached there, the routes say.
            found = resolve(self._reactor, Target(host, 0), allowSpecial=True)
            return found.addCallback(lambda addresses: [address for address, _ in addresses])

        plane = PacketPlane(
            self._reactor,
            generation.packets,
            flows.connectPackets,
            flows.hops,
            resolved,
        )
        flows.packets = plane
        PacketMetrics(plane.status, self._registry)
        return plane

    def requests(self, generation: Generation, users: IAuthenticator) -> RequestHandler:
        metrics = RequestMetrics(lambda: requests.openRequests(), self._registry)
        requests = RequestHandler(
            self.plans(generation),
            users,
            [metrics, self._watchers, *self._observers],
            self._reactor,
            generation.config.node,
        )
        return requests

    def plans(self, generation: Generation) -> Plans:
        secure = OriginTLS(self._reactor)
        return Plans(
            generation.router,
            generation.upstreams,
            generation.assistants,
            lambda allowSpecial: DirectDialer(self.network, allowSpecial),
            lambda dialer: Origins(dialer, self._reactor, secure),
            self._reactor,
        )

    def listener(self, name: str, config: ListenerConfig, context: ListenerContext) -> IListener:
        return self._types[config.type].listener(name, config.options, evolve(context, commons=self._commons))

    def admin(self, config: AdminConfig, node: Node) -> IListener:
        assert self.metrics is not None
        status = Status(node, hermes.__version__, self._reactor.seconds)
        return SiteListener(ADMIN, config.bind, nodeSite(self.metrics.registry, status), self.network)


def checkCertificates(config: NodeConfig) -> None:
    """
    Whether the files of a configuration hold what they should.

    @raise HermesError: where one does not.
    """
    clock = Clock()
    identity = config.identity
    if identity is not None:
        ServerCredentials(identity.certificate, identity.key, identity.trust)
        checkIdentity(config.node, identity)
    maker = UpstreamMaker(Network(clock), clock, identity)
    for name, upstream in config.upstreams.items():
        maker.make(name, upstream)


def checkIdentity(node: str, identity: IdentityConfig) -> None:
    """
    @raise NodeError: where the certificate is another node's: every peer would refuse it, one by one.
    """
    with open(identity.certificate, "rb") as file:
        names = nodeNames(load_pem_x509_certificate(file.read()))
    if names != [node.lower()]:
        said = f"names {' and '.join(names)}" if names else "names no node"
        raise NodeError(f"{identity.certificate}: the certificate {said}, not {node} (URI hermes://{node.lower()})")


def _marksSockets(config: NodeConfig) -> bool:
    return any(getattr(listener.options, "marksSockets", False) for listener in config.listeners.values())


def _users(config: NodeConfig, before: RealGeneration | None) -> IAuthenticator:
    if before is not None and before.config.users == config.users:
        return before.users
    return Users({name: UserSecret(user.password, user.token) for name, user in config.users.items()})
