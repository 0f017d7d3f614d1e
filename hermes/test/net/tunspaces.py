"""
What the tests of real TUN devices share: devices and netlink in a namespace of the test's own, and those who answer.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from ipaddress import ip_interface, ip_network
from typing import Any, TypeVar

from twisted.internet import reactor as theReactor
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase
from zope.interface import implementer

from hermes.interfaces import IPacketReceiver
from hermes.interfaces.kernel import ILinkWatcher, ITunDescriptor
from hermes.net.devicesetup import DeviceSetup
from hermes.net.kernelroutes import DesiredDevice
from hermes.net.netlink import Netlink
from hermes.net.tun import TunDevice
from hermes.net.tunkernel import TunKernel
from hermes.net.tunopen import TunOptions
from hermes.test.namespaces import Namespace, needTun
from hermes.values import Buffer

# Its type depends on the platform.
reactor: Any = theReactor

T = TypeVar("T")


class NamespaceTunKernel(TunKernel):
    """
    The kernel's TUN devices in a namespace.
    """

    def __init__(self, namespace: Namespace) -> None:
        self._namespace = namespace

    def open(self) -> ITunDescriptor:
        with self._namespace.entered():
            return super().open()

    def index(self, name: str) -> int:
        with self._namespace.entered():
            return super().index(name)

    def mtu(self, name: str) -> int:
        with self._namespace.entered():
            return super().mtu(name)


class NamespaceNetlink(Netlink):
    """
    The network configuration of a namespace.
    """

    def __init__(self, namespace: Namespace) -> None:
        super().__init__(reactor, self._inNamespace)
        self._namespace = namespace

    def _inNamespace(self, function: Callable[..., T], /, *arguments: Any) -> Deferred[T]:
        def call() -> T:
            with self._namespace.entered():
                return function(*arguments)

        return deferToThread(call)

    def watch(self, watcher: ILinkWatcher) -> Callable[[], None]:
        with self._namespace.entered():
            return super().watch(watcher)


@implementer(IPacketReceiver)
class Listening:
    """
    Takes what a device delivers, and lets a test wait for it.

    @ivar frames: what was delivered.
    @ivar keep: whether that is kept.
    @ivar largest: the size of the largest frame.
    @ivar mtus: what C{mtuChanged} has said.
    """

    def __init__(self) -> None:
        self.channel: Any = None
        self.frames: list[bytes] = []
        self.keep = True
        self.largest = 0
        self.mtus: list[int] = []
        self.ends: list[Failure] = []
        self._waiting: list[tuple[Callable[[], object], Deferred[None]]] = []

    def channelConnected(self, channel: Any) -> None:
        self.channel = channel

    def datagramsReceived(self, datagrams: Sequence[Buffer]) -> None:
        self.largest = max(self.largest, *map(len, datagrams))
        if self.keep:
            self.frames += map(bytes, datagrams)
        self.taken(datagrams)
        self._look()

    def taken(self, frames: Sequence[Buffer]) -> None:
        """
        What is done with frames. A hook.
        """

    def mtuChanged(self, mtu: int) -> None:
        self.mtus.append(mtu)
        self._look()

    def channelLost(self, reason: Failure) -> None:
        self.ends.append(reason)
        self._look()

    def addressesAssigned(self, addresses: Any) -> None:
        raise NotImplementedError

    def addressesRequested(self, addresses: Any) -> None:
        raise NotImplementedError

    def routesAdvertised(self, routes: Any) -> None:
        raise NotImplementedError

    def until(self, condition: Callable[[], object]) -> Deferred[None]:
        """
        Fires once C{condition} holds, which is looked at whenever something has come.
        """
        fulfilled: Deferred[None] = Deferred()
        if condition():
            fulfilled.callback(None)
        else:
            self._waiting.append((condition, fulfilled))
        return fulfilled

    def _look(self) -> None:
        for entry in list(self._waiting):
            if entry[0]():
                self._waiting.remove(entry)
                entry[1].callback(None)


class Answering(Listening):
    """
    Whoever is pinged beyond the device.
    """

    def taken(self, frames: Sequence[Buffer]) -> None:
        answers = [answer for answer in map(echoReply, frames) if answer is not None]
        if answers:
            self.channel.write(answers)


class Passing(Listening):
    """
    One end of a wire between two devices.
    """

    def __init__(self) -> None:
        super().__init__()
        self.keep = False
        self.other: Any = None

    def taken(self, frames: Sequence[Buffer]) -> None:
        self.other.write(frames)


def echoReply(frame: Buffer) -> bytes | None:
    """
    The answer to an echo request; L{None} for anything else. IPv4 without options, IPv6 without extensions.
    """
    answer = bytearray(frame)
    if answer[10] == 0x45 and answer[19] == 1 and answer[30] == 8:
        answer[22:26], answer[26:30] = frame[26:30], frame[22:26]
        answer[30] = 0
        at, change = 32, 0x0800
    elif answer[10] >> 4 == 6 and answer[16] == 58 and answer[50] == 128:
        answer[18:34], answer[34:50] = frame[34:50], frame[18:34]
        answer[50] = 129
        at, change = 52, 0xFFFF - 0x0100
    else:
        return None
    checksum = (answer[at] << 8 | answer[at + 1]) + change
    answer[at : at + 2] = ((checksum & 0xFFFF) + (checksum >> 16)).to_bytes(2, "big")
    return bytes(answer)


class TunSpaceCase(TestCase):
    """
    Devices in namespaces.
    """

    def setUp(self) -> None:
        needTun()

    def space(self, label: str = "tun") -> Namespace:
        """
        A namespace for this test.
        """
        return Namespace.forTest(self, label)

    def device(
        self, namespace: Namespace, receiver: Listening, netlink: Netlink | None = None, **options: Any
    ) -> TunDevice:
        """
        Open a device, until the test ends.
        """
        options.setdefault("name", "lan0")
        device = TunDevice(
            reactor, TunOptions(**options), NamespaceTunKernel(namespace), netlink or NamespaceNetlink(namespace)
        )
        self.addCleanup(device._close)
        device.setReceiver(receiver)
        return device

    async def configured(self, namespace: Namespace, desired: DesiredDevice, device: str = "lan0") -> DeviceSetup:
        """
        A device with addresses and routes, until the test ends.
        """
        setup = DeviceSetup(NamespaceNetlink(namespace), device)
        self.addCleanup(setup.remove)
        await setup.apply(desired)
        return setup


def wanted(*addresses: str, routes: Sequence[str] = (), **others: Any) -> DesiredDevice:
    """
    What a device is to have.
    """
    return DesiredDevice(
        tuple(ip_interface(address) for address in addresses),
        routes=tuple(ip_network(route) for route in routes),
        **others,
    )


async def until(condition: Callable[[], object], seconds: float = 30.0) -> None:
    """
    Wait for something that nothing tells of.

    @raise AssertionError: where it does not come in time.
    """
    deadline = reactor.seconds() + seconds
    while not condition():
        if reactor.seconds() > deadline:
            raise AssertionError("it has not come in time")
        pause: Deferred[None] = Deferred()
        reactor.callLater(0.01, pause.callback, None)
        await pause


def routed(namespace: Namespace, address: str, *options: str) -> str:
    """
    Which device the kernel sends packets for an address to.
    """
    words = namespace.run("ip", "route", "get", address, *options).split()
    return words[words.index("dev") + 1]


def environment() -> dict[str, str]:
    """
    For a Python of its own that is to find what this one finds.
    """
    return {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "PYTHONUNBUFFERED": "1"}
