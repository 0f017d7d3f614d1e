"""
What a peer may call of a controller, by who it is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from attrs import frozen
from twisted.cred.portal import IRealm
from twisted.internet.defer import Deferred
from twisted.spread import pb
from zope.interface import Interface, implementer

from hermes.control.channel.broker import ControlBroker
from hermes.control.channel.callee import Callee, Handler
from hermes.control.channel.credentials import Certificate
from hermes.control.channel.errors import NotAllowed
from hermes.control.channel.links import NodeLink, NodeLinks
from hermes.control.channel.methods import NODE, Events, Nothing, Renew, Renewed, Report
from hermes.control.channel.typed import handlers
from hermes.control.values import NodeState


class IPerspective(Interface):
    """
    What the holder of a certificate may call: a L{Callee}.
    """

    def enter() -> None:
        """
        The peer has been told that it is taken: it may be called from now on.
        """


@frozen
class Mind:
    """
    The peer, for the realm.

    @ivar agent: a node's agent, or L{None}.
    @ivar state: as the node has told it, or L{None}.
    """

    broker: ControlBroker
    certificate: Certificate
    agent: pb.RemoteReference | None
    state: NodeState | None


class Signer(Protocol):
    """
    What signs a new certificate for a node that is connected. Errback with L{hermes.control.channel.errors.CallError}.
    """

    def renew(self, node: str, request: str) -> Deferred[Renewed]: ...


@implementer(IPerspective)
class NodePerspective(Callee):
    """
    What a node may call.
    """

    def __init__(self, link: NodeLink, links: NodeLinks, signer: Signer) -> None:
        super().__init__(
            {
                **handlers(
                    NODE, {"state": self._state, "events": self._events, "renew": self._renew, "ping": self._ping}
                ),
                **dict.fromkeys(OPERATOR_METHODS, _forOperators),
            }
        )
        self._link = link
        self._links = links
        self._signer = signer

    def enter(self) -> None:
        if not self._link.broker.gone:
            self._links.add(self._link)

    def _state(self, report: Report) -> None:
        checkName(report.state, self._link.name)
        self._links.told(self._link, report.state)

    def _events(self, events: Events) -> None:
        self._links.heard(self._link, events)

    def _renew(self, renew: Renew) -> Deferred[Renewed]:
        return self._signer.renew(self._link.name, renew.request)

    def _ping(self, _: Nothing) -> None:
        pass


OPERATOR_METHODS = ("apply", "drain", "enrol", "revoke", "rollback", "status")
"""
What only operators may call.
"""


def _forOperators(call: Any) -> Any:
    raise NotAllowed(f"{call.method} is for operators")


def checkName(state: NodeState, name: str) -> None:
    """
    @raise NotAllowed: where a node tells the state of another one.
    """
    if state.name.lower() != name:
        raise NotAllowed(f"the certificate is that of {name}: it tells nothing of other nodes")


@implementer(IRealm)
class ControlRealm:
    """
    Makes perspectives.
    """

    def __init__(
        self, links: NodeLinks, signer: Signer, operators: Callable[[str], dict[str, Handler]] | None = None
    ) -> None:
        """
        @param operators: the methods of an operator, by name; without it there are none.
        """
        self._links = links
        self._signer = signer
        self._operators = operators

    def requestAvatar(self, avatarId: Any, mind: Any, *interfaces: Any) -> Any:
        if IPerspective not in interfaces:
            raise NotImplementedError("only perspectives")
        kind, _, name = avatarId.decode().partition(":")
        if kind == "operator":
            if self._operators is None:
                raise NotAllowed("there is nothing here for operators")
            return IPerspective, OperatorPerspective(self._operators(name)), lambda: None
        if mind.agent is None or mind.state is None:
            raise NotAllowed("a node has an agent and tells its state")
        checkName(mind.state, name)
        link = NodeLink(name, mind.broker, mind.agent, mind.state)
        return IPerspective, NodePerspective(link, self._links, self._signer), lambda: self._links.remove(link)


@implementer(IPerspective)
class OperatorPerspective(Callee):
    """
    What an operator may call.
    """

    def enter(self) -> None:
        pass
