"""
The kernel as a router between two TUN devices: it segments, fragments and answers packets, as we do.
"""

from __future__ import annotations

import fcntl
import os
import select
import struct
import time
from contextlib import suppress
from socket import AF_INET, AddressFamily, SocketKind, socket

from hermes.test.namespaces import TUN_PATH, Namespace

TUNSETIFF = 0x400454CA
TUNSETOFFLOAD = 0x400454D0
IFF_TUN_NO_PI_VNET_HDR = 0x0001 | 0x1000 | 0x4000
TUN_F_CSUM_TSO_ECN = 1 | 2 | 4 | 8
TUN_F_USO = 0x20 | 0x40
DEADLINE = 20.0


class Router:
    """
    A network namespace that forwards between the devices C{near} and C{far}. Frames are written to C{near} whole, and
    read from either with everything done, unless C{far} is to offer the kernel otherwise.

    Behind C{near} are 10.1.0.0/16 and fd01::/16, the router itself is 10.1.0.1 and fd01::1 there; behind C{far} are
    10.2.0.0/16 and fd02::/16. 10.3.0.0/16 and fd03::/16 are prohibited, 10.4.0.0/16 and fd04::/16 are not known. It
    sends errors as often as there is a reason, but those about routes to an IPv4 address that others went to before.
    """

    def __init__(self, mtu: int, offload: bool = False) -> None:
        """
        @param mtu: of C{far}, in bytes. Below 1280 it has no IPv6.
        @param offload: whether C{far} offers the kernel to cut and complete what it sends.
        """
        self._mtu = mtu
        self._offload = offload
        self._namespace = Namespace("router")
        self.near = self.far = -1

    def __enter__(self) -> Router:
        self._namespace.create()
        try:
            self._setUp()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _setUp(self) -> None:
        namespace = self._namespace
        for key in (
            "net.ipv4.ip_forward=1",
            "net.ipv6.conf.all.forwarding=1",
            "net.ipv4.icmp_ratelimit=0",
            "net.ipv4.icmp_msgs_per_sec=1000000",
            "net.ipv6.icmp.ratelimit=0",
            "net.ipv4.conf.all.rp_filter=0",
            "net.ipv4.conf.default.rp_filter=0",
            "net.ipv6.conf.default.router_solicitations=0",
            "net.ipv6.auto_flowlabels=0",
        ):
            name, value = key.split("=")
            namespace.sysctl(name, int(value))
        with namespace.entered():
            self.near, self.far = device("near", False), device("far", self._offload)
        for name, number, mtu in (("near", 1, 65535), ("far", 2, self._mtu)):
            namespace.run("ip", "link", "set", name, "mtu", str(mtu), "up")
            namespace.run("ip", "addr", "add", f"10.{number}.0.1/16", "dev", name)
            if mtu >= 1280:
                namespace.run("ip", "-6", "addr", "add", f"fd0{number}::1/16", "dev", name, "nodad")
        namespace.run("ip", "route", "add", "prohibit", "10.3.0.0/16")
        namespace.run("ip", "-6", "route", "add", "prohibit", "fd03::/16")

    def __exit__(self, *_: object) -> None:
        for descriptor in (self.near, self.far):
            if descriptor >= 0:
                os.close(descriptor)
        self._namespace.__exit__()

    def forwarded(self, frame: bytes, count: int) -> list[bytes]:
        """
        The C{count} frames that leave at C{far} for one that comes in at C{near}.
        """
        os.write(self.near, frame)
        return [self._read(self.far) for _ in range(count)]

    def answered(self, packet: bytes) -> bytes:
        """
        The packet that comes back at C{near} for one that comes in there.
        """
        os.write(self.near, bytes(10) + packet)
        return self._read(self.near)[10:]

    def socket(self, family: AddressFamily, kind: SocketKind, port: int = 0) -> socket:
        """
        A socket of the router's own, bound to its address behind C{near}.
        """
        with self._namespace.entered():
            sock = socket(family, kind)
        sock.settimeout(DEADLINE)
        sock.bind(("10.1.0.1" if family == AF_INET else "fd01::1", port))
        return sock

    def sent(self) -> bytes:
        """
        The next frame that leaves at C{far}.
        """
        return self._read(self.far)

    def _read(self, descriptor: int) -> bytes:
        """
        The next frame of a unicast packet. The kernel sends others of its own: it looks for multicast listeners.
        """
        until = time.monotonic() + DEADLINE
        while time.monotonic() < until:
            if select.select([descriptor], [], [], 1)[0]:
                frame = os.read(descriptor, 10 + 65535)
                if frame[10] >> 4 == 4 or frame[34] != 0xFF:
                    return frame
        raise AssertionError("the kernel sends nothing")


def device(name: str, offload: bool) -> int:
    """
    A TUN device whose frames have a head, and which takes whole segments from us; C{offload} is whether it gives any.
    """
    descriptor = os.open(TUN_PATH, os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(descriptor, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN_NO_PI_VNET_HDR))
    fcntl.ioctl(descriptor, TUNSETOFFLOAD, TUN_F_CSUM_TSO_ECN if offload else 0)
    if offload:
        # Linux 6.2 and later.
        with suppress(OSError):
            fcntl.ioctl(descriptor, TUNSETOFFLOAD, TUN_F_CSUM_TSO_ECN | TUN_F_USO)
    return descriptor
