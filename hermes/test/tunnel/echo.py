"""
Flows that give back what they get, and ends whose test waits for what they receive.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_network
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred, succeed
from twisted.python.failure import Failure
from zope.interface import implementer

from hermes.errors import NoRoute
from hermes.interfaces import AssignedAddress, IFlowHandler
from hermes.net.network import Network
from hermes.test.tunnel.fakes import Datagrams, Packets, Stream
from hermes.tunnel.relay import relay
from hermes.values import Buffer, Flow


class Watched(Stream):
    """
    A stream whose test waits for what it receives.
    """

    def __init__(self) -> None:
        super().__init__()
        self._waiting: list[tuple[Any, Deferred[None]]] = []

    def until(self, condition: Any) -> Deferred[None]:
        """
        Fires once C{condition} of this holds.
        """
        deferred: Deferred[None] = Deferred()
        self._waiting.append((condition, deferred))
        self._check()
        return deferred

    def _check(self) -> None:
        for entry in list(self._waiting):
            if entry[0](self):
                self._waiting.remove(entry)
                entry[1].callback(None)

    def dataReceived(self, data: Buffer) -> None:
        super().dataReceived(data)
        self._check()

    def readConnectionLost(self) -> None:
        super().readConnectionLost()
        self._check()

    def connectionLost(self, reason: Failure | None = None) -> None:
        super().connectionLost(reason)
        self._check()


class WatchedDatagrams(Datagrams):
    """
    The same for datagrams.
    """

    def __init__(self, expected: int) -> None:
        super().__init__()
        self.expected = expected
        self.all: Deferred[None] = Deferred()
        self.gone: Deferred[None] = Deferred()

    def datagramsReceived(self, datagrams: Sequence[Buffer]) -> None:
        super().datagramsReceived(datagrams)
        if len(self.received) == self.expected:
            self.all.callback(None)

    def channelLost(self, reason: Failure) -> None:
        super().channelLost(reason)
        self.gone.callback(None)


class EchoStream(Watched):
    """
    Gives back what it gets, and ends when its peer does.
    """

    def dataReceived(self, data: Buffer) -> None:
        super().dataReceived(data)
        self.transport.write(data)

    def readConnectionLost(self) -> None:
        super().readConnectionLost()
        self.transport.loseWriteConnection()


class EchoDatagrams(Datagrams):
    """
    The same for datagrams.
    """

    def datagramsReceived(self, datagrams: Sequence[Buffer]) -> None:
        super().datagramsReceived(datagrams)
        self.channel.write(datagrams)


class EchoPackets(Packets):
    """
    The same for IP packets, and whoever asks for an address gets one.
    """

    def datagramsReceived(self, datagrams: Sequence[Buffer]) -> None:
        self.channel.write(datagrams)
        super().datagramsReceived(datagrams)

    def addressesRequested(self, addresses: Sequence[AssignedAddress]) -> None:
        super().addressesRequested(addresses)
        self.channel.assignAddresses([(number, ip_network("10.77.0.5/32")) for number, _ in addresses])


class WatchedPackets(Packets):
    """
    A receiver of frames whose test waits for what happens.
    """

    def __init__(self) -> None:
        super().__init__()
        self._waiting: list[tuple[Any, Deferred[None]]] = []

    def until(self, condition: Any) -> Deferred[None]:
        """
        Fires once C{condition} of this holds.
        """
        deferred: Deferred[None] = Deferred()
        self._waiting.append((condition, deferred))
        self.check()
        return deferred

    def check(self) -> None:
        """
        Something has happened.
        """
        for entry in list(self._waiting):
            if entry[0](self):
                self._waiting.remove(entry)
                entry[1].callback(None)

    def datagramsReceived(self, datagrams: Sequence[Buffer]) -> None:
        super().datagramsReceived(datagrams)
        self.check()

    def mtuChanged(self, mtu: int) -> None:
        super().mtuChanged(mtu)
        self.check()

    def addressesAssigned(self, addresses: Sequence[AssignedAddress]) -> None:
        super().addressesAssigned(addresses)
        self.check()

    def channelLost(self, reason: Failure) -> None:
        super().channelLost(reason)
        self.check()


@implementer(IFlowHandler)
@define(eq=False)
class EchoFlows:
    """
    Every flow ends here, save those to a name that has a place in C{towards}.
    """

    network: Network
    flows: list[Flow] = field(factory=list)
    ends: list[Any] = field(factory=list)
    denied: bool = False

    def openStream(self, flow: Flow) -> Any:
        self.flows.append(flow)
        if flow.target.host == "127.0.0.1":
            return self._onwards(flow)
        self.ends.append(EchoStream())
        return succeed(self.ends[-1])

    def _onwards(self, flow: Flow) -> Any:
        near, far = relay()
        return self.network.connectStream(flow.target, far, allowSpecial=True).addCallback(lambda _: near)

    def openDatagrams(self, flow: Flow) -> Any:
        self.flows.append(flow)
        self.ends.append(EchoDatagrams())
        return succeed(self.ends[-1])

    def openPackets(self, flow: Flow) -> Any:
        self.flows.append(flow)
        self.ends.append(EchoPackets())
        return succeed(self.ends[-1])

    def authorise(self, flow: Flow) -> None:
        self.flows.append(flow)
        if self.denied:
            raise NoRoute("no route lets you listen")
