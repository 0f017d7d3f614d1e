"""
A resolver that answers when a test tells it to.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import IHostnameResolver, IHostResolution
from zope.interface import implementer

from hermes.test.net.descriptors import DescriptorReactor


@implementer(IHostResolution)
class FakeResolution:
    """
    One question.
    """

    cancelled = False

    def __init__(self, name: str, port: int, receiver: Any) -> None:
        self.name = name
        self.port = port
        self.receiver = receiver

    def cancel(self) -> None:
        self.cancelled = True

    def found(self, *hosts: str) -> None:
        """
        Some addresses are known.
        """
        for host in hosts:
            family = IPv6Address if ":" in host else IPv4Address
            self.receiver.addressResolved(family("TCP", host, self.port))

    def answer(self, *hosts: str) -> None:
        """
        All addresses are known.
        """
        self.found(*hosts)
        self.receiver.resolutionComplete()


@implementer(IHostnameResolver)
class FakeResolver:
    """
    @ivar asked: the questions.
    @ivar names: what is answered at once.
    """

    def __init__(self) -> None:
        self.asked: list[FakeResolution] = []
        self.names: dict[str, tuple[str, ...]] = {}

    def resolveHostName(
        self,
        resolutionReceiver: Any,
        hostName: str,
        portNumber: int = 0,
        addressTypes: Any = None,
        transportSemantics: str = "TCP",
    ) -> Any:
        resolution = FakeResolution(hostName, portNumber, resolutionReceiver)
        self.asked.append(resolution)
        resolutionReceiver.resolutionBegan(resolution)
        if hostName in self.names:
            resolution.answer(*self.names[hostName])
        return resolution


class ResolvingReactor(DescriptorReactor):
    """
    Time and names.
    """

    def __init__(self) -> None:
        super().__init__()
        self.nameResolver = FakeResolver()
