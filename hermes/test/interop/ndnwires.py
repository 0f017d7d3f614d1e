"""
Wires between namespaces that lose packets, and go down: beneath the kernel's TCP, which sends again, where
L{hermes.testing.links} stands above it. C{netem} is not in every kernel.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from random import Random
from typing import Any, Final

from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from hermes.net.tunkernel import IFF_NO_PI, IFF_TUN, TUN_PATH, TUNSETIFF, packDevice
from hermes.test.namespaces import Namespace, needTun

MTU: Final = 1500

_READ: Final = 64
"""
Packets of one turn: the other direction has its turn, too.
"""


class WireEnd:
    """
    A TUN device in a namespace, and what leaves through it.

    @ivar other: the other end.
    """

    def __init__(self, wire: Wire, namespace: Namespace, device: str, address: str) -> None:
        """
        @param address: with prefix length.
        """
        self.other: WireEnd | None = None
        self._wire = wire
        self._namespace = namespace
        self._device = device
        with namespace.entered():
            self._descriptor = os.open(TUN_PATH, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
            fcntl.ioctl(self._descriptor, TUNSETIFF, packDevice(device, IFF_TUN | IFF_NO_PI))
        namespace.run("ip", "address", "add", address, "dev", device)
        namespace.run("ip", "link", "set", device, "mtu", str(MTU), "up")

    def fileno(self) -> int:
        return self._descriptor

    def logPrefix(self) -> str:
        return "wire"

    def doRead(self) -> None:
        """
        Packets leave.
        """
        carries, other = self._wire.carries, self.other
        for _ in range(_READ):
            try:
                packet = os.read(self._descriptor, MTU)
            except BlockingIOError:
                return
            if carries() and other is not None:
                other.arrive(packet)

    def arrive(self, packet: bytes) -> None:
        """
        A packet has come over the wire.
        """
        # Where the device's queue is full it is lost, as with any device.
        with suppress(BlockingIOError):
            os.write(self._descriptor, packet)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Take it away.
        """
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


class Wire:
    """
    Joins two namespaces. It is up to begin with; down, it loses everything, and nobody is told.

    @ivar loss: the share of packets of each direction that are lost, from 0 to 1.
    @ivar carried: how many packets have arrived.
    @ivar lost: how many have not.
    """

    def __init__(
        self,
        reactor: Any,
        near: tuple[Namespace, str, str],
        far: tuple[Namespace, str, str],
        loss: float = 0.0,
        random: Random | None = None,
    ) -> None:
        """
        @param near: where one end is: the namespace, the device's name, its address with prefix length.
        @param far: the same of the other.
        @raise SkipTest: where there can be none.
        """
        needTun()
        self.loss = loss
        self.carried = 0
        self.lost = 0
        self._random = random or Random(0)
        self._isUp = True
        self._reactor = reactor
        self._ends = [WireEnd(self, *near), WireEnd(self, *far)]
        for end, other in zip(self._ends, reversed(self._ends), strict=True):
            end.other = other
            reactor.addReader(end)

    def carries(self) -> bool:
        """
        Whether the next packet arrives.
        """
        if not self._isUp or (self.loss and self._random.random() < self.loss):
            self.lost += 1
            return False
        self.carried += 1
        return True

    def up(self) -> None:
        """
        Carry.
        """
        self._isUp = True

    def down(self) -> None:
        """
        Carry nothing.
        """
        self._isUp = False

    def stop(self) -> None:
        """
        Take it away.
        """
        for end in self._ends:
            self._reactor.removeReader(end)
            end.connectionLost()
