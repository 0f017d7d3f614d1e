"""
A flow as a Twisted client endpoint: whatever connects through an endpoint can connect through the routes.
"""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IReactorTime, IStreamClientEndpoint
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from hermes.errors import FlowError
from hermes.fabric.joint import JointAddress, joint
from hermes.interfaces import IFlowHandler
from hermes.values import Flow


@implementer(IStreamClientEndpoint)
class FlowEndpoint:
    """
    Each connection is a flow of its own.

    @ivar opened: how many were asked for.
    """

    log = Logger()

    def __init__(self, flows: IFlowHandler, flow: Flow, clock: IReactorTime) -> None:
        """
        @param flow: what to open.
        """
        self._flows = flows
        self._flow = flow
        self._clock = clock
        self.opened = 0

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """
        Fires with the protocol, connected; errback with L{hermes.errors.FlowError}. Can be cancelled.
        """
        self.opened += 1
        opening = self._flows.openStream(self._flow)
        return opening.addCallbacks(self._join, self._failed, callbackArgs=(protocolFactory,))

    def _failed(self, failure: Failure) -> Failure:
        if failure.check(FlowError, CancelledError):
            return failure
        # Whoever connects through an endpoint tells its peer what it hears; a mistake of ours is for the log.
        self.log.failure("opening a flow to {target} failed", failure, target=self._flow.target)
        return Failure(FlowError("internal error"))

    def _join(self, near: IProtocol, protocolFactory: IProtocolFactory) -> IProtocol:
        protocol = protocolFactory.buildProtocol(JointAddress(str(self._flow.target)))
        if protocol is None:
            near.connectionLost(Failure(ConnectionDone()))
            raise FlowError("the factory wants no connection")
        ours, theirs = joint(self._clock)
        theirs.attach(near)
        ours.attach(protocol)
        return protocol
