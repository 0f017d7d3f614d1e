"""
The C{tcp} listener: every connection to it is a flow to one target.
"""

from __future__ import annotations

from typing import Any

from attrs import frozen
from twisted.plugin import IPlugin
from twisted.python.failure import Failure
from zope.interface import implementer

from hermes.errors import FlowError
from hermes.fabric.listener import Accepted, StreamListener
from hermes.interfaces import IListener, IListenerContext, IListenerType
from hermes.values import Flow, Target


@frozen
class TCPOptions:
    """
    @ivar bind: C{HOST:PORT}, C{[V6]:PORT} or C{unix:PATH}.
    @ivar target: where the flows go.
    @ivar proxyProtocol: whether connections begin with a PROXY protocol header.
    """

    bind: str
    target: Target
    proxyProtocol: bool = False


class TCPListener(StreamListener):
    """
    A port that stands for a target.

    @ivar target: where the flows go.
    """

    def __init__(self, name: str, options: TCPOptions, context: IListenerContext) -> None:
        super().__init__(name, options.bind, context, proxyProtocol=options.proxyProtocol)
        self.target = options.target

    def accept(self, accepted: Accepted) -> None:
        opening = self.context.flows.openStream(Flow("tcp", self.target, accepted.source, listener=self.name))
        if not opening.called:
            accepted.notifyLost(lambda reason: opening.cancel())
        opening.addCallbacks(accepted.attach, self._refused, errbackArgs=(accepted,))
        opening.addErrback(self._failed, accepted)

    def _refused(self, failure: Failure, accepted: Accepted) -> None:
        """
        There is no far side. A reset says so: an end in order would look like an empty answer.
        """
        if accepted.lost is not None:
            return
        accepted.transport.abortConnection()
        failure.trap(FlowError)

    def _failed(self, failure: Failure, accepted: Accepted) -> None:
        self.log.failure("{listener}: a connection failed", failure, listener=self.name)
        accepted.transport.abortConnection()


@implementer(IPlugin, IListenerType)
class TCPListenerType:
    """
    C{type: tcp}.
    """

    type = "tcp"
    options = TCPOptions

    def listener(self, name: str, options: Any, context: IListenerContext) -> IListener:
        return TCPListener(name, options, context)
