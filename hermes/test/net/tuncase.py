"""
What the tests of TUN devices share.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from hermes.interfaces import IPacketReceiver
from hermes.net.tun import TunDevice
from hermes.net.tunopen import TunOptions
from hermes.test.net.descriptors import DescriptorReactor, Recorder
from hermes.testing.netlink import MemoryNetlink
from hermes.testing.tun import MemoryTun, MemoryTunKernel
from hermes.values import Buffer
from hermes.wire.checksum import wordSum


@implementer(IPacketReceiver)
class PacketRecorder(Recorder):
    """
    Records what a device delivers.
    """

    def __init__(self) -> None:
        super().__init__()
        self.mtus: list[int] = []
        self.raising: Exception | None = None
        self.writable: list[bool] = []
        self.onReceived: Callable[[], object] = lambda: None

    def datagramsReceived(self, datagrams: Sequence[Buffer]) -> None:
        super().datagramsReceived(datagrams)
        for frame in datagrams:
            assert isinstance(frame, memoryview)
            self.writable.append(not frame.readonly)
            frame[:] = b"\xff" * len(frame)
        self.onReceived()
        if self.raising is not None:
            raise self.raising

    def mtuChanged(self, mtu: int) -> None:
        self.mtus.append(mtu)

    def addressesAssigned(self, addresses: Any) -> None:
        raise NotImplementedError

    def addressesRequested(self, addresses: Any) -> None:
        raise NotImplementedError

    def routesAdvertised(self, routes: Any) -> None:
        raise NotImplementedError


def packet(number: int = 0, size: int = 60) -> bytes:
    """
    An IPv4 packet of UDP between 10.0.0.1 and 10.0.0.2, good enough for a device.

    @param number: its source port.
    """
    head = b"\x45\0" + size.to_bytes(2, "big") + bytes(4) + b"\x40\x11\0\0" + bytes((10, 0, 0, 1, 10, 0, 0, 2))
    head = head[:10] + (-wordSum(head) % 65535).to_bytes(2, "big") + head[12:]
    return head + number.to_bytes(2, "big") + b"\0\x35" + (size - 20).to_bytes(2, "big") + bytes(size - 26)


def train(count: int, size: int) -> bytes:
    """
    A frame of several UDP datagrams.
    """
    length = 28 + count * size
    head = bytes((1, 5, 28, 0)) + size.to_bytes(2, "little") + bytes((20, 0, 6, 0))
    return head + packet(7, length)


class TunTestCase(SynchronousTestCase):
    """
    A device, and what it is made of.
    """

    def setUp(self) -> None:
        self.reactor = DescriptorReactor()
        self.kernel = MemoryTunKernel()
        self.receiver = PacketRecorder()
        self.netlink = MemoryNetlink(self.kernel)

    def open(self, connect: bool = True, **options: Any) -> TunDevice:
        options.setdefault("name", "lan0")
        device = TunDevice(self.reactor, TunOptions(**options), self.kernel, self.netlink)
        self.addCleanup(device._close)
        if connect:
            device.setReceiver(self.receiver)
        return device

    def renew(self) -> None:
        """
        Begin again, with another kernel.
        """
        self.setUp()

    @property
    def inside(self) -> MemoryTun:
        """
        The kernel's side.
        """
        return self.kernel.devices["lan0"]
