"""
Flows to their own targets, connected from here.
"""

from __future__ import annotations

from typing import Final

from attrs import frozen
from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IProtocol
from zope.interface import implementer

from hermes.errors import NameNotFound, NotImplementedHere
from hermes.interfaces import IDatagramChannel, IDatagramReceiver, IDialer, INetwork, IPacketReceiver
from hermes.matching import canonicalHost
from hermes.values import Flow, Target

OVERLAY_SUFFIX: Final = ".hermes"
"""
Names below this are the overlay's, and never go to DNS.
"""


def isOverlayName(host: str) -> bool:
    """
    Whether C{host} is a name that only routes give a meaning to.
    """
    name = canonicalHost(host)
    return isinstance(name, str) and f".{name}".endswith(OVERLAY_SUFFIX)


@implementer(IDialer)
@frozen(eq=False)
class DirectDialer:
    """
    Connects to targets as they were asked for.

    @ivar allowSpecial: whether special-purpose addresses are allowed.
    """

    network: INetwork
    allowSpecial: bool

    def connectStream(self, flow: Flow, protocol: IProtocol) -> Deferred[IProtocol]:
        if isOverlayName(flow.target.host):
            return fail(_overlayName(flow.target))
        return self.network.connectStream(flow.target, protocol, self.allowSpecial)

    def connectDatagrams(self, flow: Flow, receiver: IDatagramReceiver) -> Deferred[IDatagramReceiver]:
        if isOverlayName(flow.target.host):
            return fail(_overlayName(flow.target))
        return self.network.connectDatagrams(flow.target, self.allowSpecial).addCallback(_receive, receiver)

    def connectPackets(self, flow: Flow, receiver: IPacketReceiver) -> Deferred[IPacketReceiver]:
        return fail(NotImplementedHere("IP packets go to a hop, and not to their target"))


def _overlayName(target: Target) -> NameNotFound:
    return NameNotFound(f"{target.host} is a name of the overlay, and no route here says where it is")


def _receive(channel: IDatagramChannel, receiver: IDatagramReceiver) -> IDatagramReceiver:
    channel.setReceiver(receiver)
    return receiver
