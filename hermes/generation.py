"""
What a node is made of, and who makes it: what one configuration makes, and what the listeners of each stand on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from attrs import define, field, frozen
from prometheus_client import CollectorRegistry
from twisted.internet.defer import Deferred
from zope.interface import implementer

from hermes.commons import Commons
from hermes.config import AdminConfig, ListenerConfig, NodeConfig
from hermes.fabric.handler import FlowHandler
from hermes.fabric.router import Router
from hermes.http.handler import RequestHandler
from hermes.http.plans import Plans
from hermes.interfaces import (
    IAssistant,
    IAssistantContext,
    IAuthenticator,
    ICommons,
    IDialer,
    IFlowHandler,
    IHop,
    IListener,
    IListenerContext,
    INetwork,
    IRequestHandler,
    IServerCredentials,
)
from hermes.ip.plane import PacketConfig, PacketPlane

if TYPE_CHECKING:
    from hermes.node import Node


@implementer(IAuthenticator)
class CurrentUsers:
    """
    The users of a node as its last configuration names them: a listener that stays bound when they change keeps this.

    @ivar users: what answers now.
    """

    def __init__(self, users: IAuthenticator) -> None:
        self.users = users

    @property
    def required(self) -> bool:
        """
        See L{IAuthenticator}.
        """
        return bool(self.users.required)

    def authenticate(self, authorization: bytes | None) -> str | None:
        return self.users.authenticate(authorization)

    def authenticatePassword(self, user: str, password: str) -> bool:
        return self.users.authenticatePassword(user, password)

    def knownPassword(self, user: str, password: str) -> bool | None:
        return self.users.knownPassword(user, password)


@implementer(IListenerContext)
@frozen(eq=False)
class ListenerContext:
    """
    What a listener stands on.

    @ivar packets: the IP side of the node.
    @ivar nodeName: the node's name, for C{Via}, C{Proxy-Status} and the like.
    @ivar commons: what parts of the node offer each other.
    """

    reactor: Any
    flows: IFlowHandler
    requests: IRequestHandler
    authenticator: IAuthenticator
    network: INetwork
    credentials: IServerCredentials | None
    nodeName: str
    packets: PacketPlane
    commons: ICommons = field(factory=Commons)


@implementer(IAssistantContext)
@frozen(eq=False)
class AssistantContext:
    """
    What an assisting component stands on.
    """

    reactor: Any
    nodeName: str
    authenticator: IAuthenticator
    registry: CollectorRegistry
    commons: ICommons = field(factory=Commons)


@define(eq=False)
class Generation:
    """
    What one configuration makes, save its listeners; it may share parts with the one before.

    @ivar config: the configuration.
    @ivar users: its users.
    @ivar router: its routes.
    @ivar upstreams: its upstreams, by name.
    @ivar assistants: its assisting components, by name.
    @ivar packets: what it says of IP packets.
    """

    config: NodeConfig
    users: IAuthenticator
    router: Router
    upstreams: Mapping[str, IDialer | IHop]
    assistants: Mapping[str, IAssistant]
    packets: PacketConfig

    def checkFiles(self) -> None:
        """
        Whether what L{Assembly.commit} reads once more can be read as it is now. Nothing changes.

        @raise HermesError: where it can't.
        """

    def readFiles(self) -> None:
        """
        Read certificates once more: connections that begin from now on have those.

        @raise HermesError: where that can't be done.
        """


class Assembly(Protocol):
    """
    Makes the parts of a node. L{hermes.assembly.Assembly} makes real ones.
    """

    network: INetwork

    def credentials(self) -> IServerCredentials | None:
        """
        The node's TLS identity: one object for the life of the node, which follows the generation last committed.
        """

    def generation(self, config: NodeConfig, before: Generation | None) -> Generation:
        """
        Make the parts of C{config}, reading every file that it names once more. What did not change is taken from
        C{before}. Nothing is bound, and nothing that runs changes.

        @raise HermesError: with a sentence for the operator.
        """

    def commit(self, generation: Generation) -> None:
        """
        C{generation} is the node's from now on: its certificates are those of new handshakes.
        """

    def retire(self, generation: Generation, successor: Generation) -> None:
        """
        No request is with C{generation} any more: close what only requests stand on and C{successor} has not.
        """

    def discard(self, generation: Generation, kept: Generation | None) -> Deferred[None]:
        """
        C{generation} will not be used: close what it does not share with C{kept}. Fires once that is closed.
        """

    def flows(self, generation: Generation) -> FlowHandler:
        """
        What listeners hand their flows to.
        """

    def packets(self, generation: Generation, flows: FlowHandler) -> PacketPlane:
        """
        What forwards IP packets. Tunnels that C{flows} takes end there, and it opens its own through it.
        """

    def requests(self, generation: Generation, users: IAuthenticator) -> RequestHandler:
        """
        What listeners hand their HTTP exchanges to.

        @param users: answers for whatever generation is the node's.
        """

    def plans(self, generation: Generation) -> Plans:
        """
        What requests are answered with.
        """

    def listener(self, name: str, config: ListenerConfig, context: ListenerContext) -> IListener:
        """
        A listener, not started.
        """

    def admin(self, config: AdminConfig, node: Node) -> IListener:
        """
        The admin listener, not started.
        """
