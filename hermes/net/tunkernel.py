"""
TUN devices of the kernel: C{/dev/net/tun}, its requests and flags (C{linux/if_tun.h}).
"""

from __future__ import annotations

import io
import os
import struct
from fcntl import ioctl
from socket import AF_INET, SOCK_DGRAM, if_nametoindex, socket

from zope.interface import implementer

from hermes.interfaces.kernel import ITunDescriptor, ITunKernel

TUN_PATH = "/dev/net/tun"

TUNSETPERSIST = 0x400454CB
TUNSETIFF = 0x400454CA
TUNSETOWNER = 0x400454CC
TUNSETGROUP = 0x400454CE
TUNGETFEATURES = 0x800454CF
TUNSETOFFLOAD = 0x400454D0
TUNGETIFF = 0x800454D2
TUNSETVNETHDRSZ = 0x400454D8
TUNSETVNETLE = 0x400454DC

IFF_TUN = 0x0001
IFF_TAP = 0x0002
IFF_MULTI_QUEUE = 0x0100
IFF_PERSIST = 0x0800
IFF_NO_PI = 0x1000
IFF_VNET_HDR = 0x4000

TUN_F_CSUM = 0x01
TUN_F_TSO4 = 0x02
TUN_F_TSO6 = 0x04
TUN_F_TSO_ECN = 0x08
TUN_F_USO4 = 0x20
TUN_F_USO6 = 0x40

OFFLOADS = (
    TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN | TUN_F_USO4 | TUN_F_USO6,
    TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN,
    TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6,
    TUN_F_CSUM,
    0,
)
"""
What a device may leave to its reader, the most first: the kernel takes all that it is asked for, or nothing. UDP's
segmentation came with Linux 6.2.
"""

MAX_NAME = 15
"""
How long a device's name may be, in bytes.
"""

SIOCGIFMTU = 0x8921

_IFREQ = struct.Struct("@16sH22x")
_IFREQ_NUMBER = struct.Struct("@16si20x")


@implementer(ITunDescriptor)
class TunDescriptor(io.FileIO):
    """
    An open C{/dev/net/tun}. As C{FileIO} has it, a read or write that would block returns L{None}, and one that a
    signal interrupts is done again.
    """


@implementer(ITunKernel)
class TunKernel:
    """
    The real one.
    """

    def open(self) -> ITunDescriptor:
        return _descriptor(os.open(TUN_PATH, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC))

    def adopt(self, number: int) -> ITunDescriptor:
        own = os.dup(number)
        try:
            os.set_blocking(own, False)
        except OSError:
            os.close(own)
            raise
        return _descriptor(own)

    def ioctl(self, descriptor: ITunDescriptor, request: int, argument: int | bytearray) -> None:
        ioctl(descriptor.fileno(), request, argument)

    def index(self, name: str) -> int:
        return if_nametoindex(name)

    def mtu(self, name: str) -> int:
        request = bytearray(_IFREQ_NUMBER.pack(os.fsencode(name), 0))
        with socket(AF_INET, SOCK_DGRAM) as probe:
            ioctl(probe.fileno(), SIOCGIFMTU, request)
        return int(_IFREQ_NUMBER.unpack(request)[1])


def _descriptor(number: int) -> ITunDescriptor:
    try:
        return TunDescriptor(number, "r+b")
    except OSError:
        os.close(number)
        raise


def packDevice(name: str, flags: int = 0) -> bytearray:
    """
    The C{struct ifreq} of L{TUNSETIFF} and L{TUNGETIFF}.
    """
    return bytearray(_IFREQ.pack(os.fsencode(name), flags))


def unpackDevice(request: bytes | bytearray) -> tuple[str, int]:
    """
    @return: the name and the flags in a C{struct ifreq}.
    """
    name, flags = _IFREQ.unpack(request)
    return os.fsdecode(name.split(b"\0")[0]), flags


def packNumber(number: int) -> bytearray:
    """
    A pointer to an C{int}, as some requests have it.
    """
    return bytearray(struct.pack("@i", number))
