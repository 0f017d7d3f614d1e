"""
The kernel's network devices as interfaces: TUN devices, and what netlink says and changes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network
from typing import TypeAlias

from attrs import frozen
from twisted.internet.defer import Deferred
from zope.interface import Interface

from hermes.values import Buffer

MAIN_TABLE = 254
"""
The routing table that routes are in where nothing else is said.
"""


class ITunDescriptor(Interface):
    """
    An open C{/dev/net/tun}, non-blocking, with the methods of L{io.FileIO}. All but C{fileno} raise C{OSError}.
    """

    def fileno() -> int:
        """
        Its number, for a reactor to watch.
        """

    def readinto(buffer: memoryview, /) -> int | None:
        """
        Read one packet, behind its header where the device has one.

        @return: how many bytes it has, L{None} where there is none now.
        """

    def write(frame: Buffer, /) -> int | None:
        """
        Write one packet, behind its header where the device has one.

        @return: L{None} where the device's queue is full.
        """

    def close() -> None:
        """
        Close it. A device that is not persistent goes away with its last descriptor.
        """


class ITunKernel(Interface):
    """
    The system calls of TUN devices. All raise C{OSError}.
    """

    def open() -> ITunDescriptor:
        """
        Open C{/dev/net/tun}. It is no device yet.
        """

    def adopt(number: int) -> ITunDescriptor:
        """
        A descriptor of a device that this process was given. C{number} stays open: this is another one for the same.
        """

    def ioctl(descriptor: ITunDescriptor, request: int, argument: int | bytearray) -> None:
        """
        See ioctl(2). A L{bytearray} is what the kernel reads and writes, a number is passed as it is.
        """

    def index(name: str) -> int:
        """
        The number of a device.
        """

    def mtu(name: str) -> int:
        """
        The MTU of a device in bytes.
        """


@frozen
class Link:
    """
    A network device.

    @ivar index: its number, which no other device gets as long as the machine runs.
    @ivar mtu: in bytes.
    @ivar up: whether it was set up (C{IFF_UP}).
    @ivar used: whether something is at its other end: of a TUN device, a process.
    @ivar kind: C{"tun"}, for one; C{""} for hardware.
    @ivar alias: what somebody has written on it.
    @ivar queue: how many packets wait for it at most.
    @ivar promotes: whether, of several IPv4 addresses of a prefix, the others stay when the first is removed. Where
        not, its routes go with them, and it can't be helped by adding before removing.
    """

    index: int
    name: str
    mtu: int = 1500
    up: bool = False
    used: bool = True
    kind: str = "tun"
    alias: str = ""
    queue: int = 500
    promotes: bool = False


@frozen
class LinkAddress:
    """
    An address of a device.

    @ivar interface: the address, and the prefix that is reached through the device.
    @ivar peer: of a point to point device, whose address the other end is; the prefix is then the peer's.
    @ivar ours: whether we have given it.
    """

    device: str
    interface: IPv4Interface | IPv6Interface
    peer: IPv4Address | IPv6Address | None = None
    ours: bool = True


@frozen
class LinkRoute:
    """
    A route through a device, with no gateway; or one to nowhere.

    @ivar device: its name; empty where what C{network} holds is unreachable, unless another route of the table leads
        there.
    @ivar ours: whether we have made it.
    """

    device: str
    network: IPv4Network | IPv6Network
    table: int = MAIN_TABLE
    ours: bool = True


@frozen
class PolicyRule:
    """
    A rule of ours that says which routing table is looked into.

    @ivar family: 4 or 6.
    @ivar priority: its place: lower ones come first.
    @ivar mark: packets of which mark it takes, see C{SO_MARK} in socket(7); L{None}: all.
    @ivar table: the table to look into, or 0.
    @ivar suppress: what is found there counts only where its prefix is longer than this; L{None}: always.
    @ivar goto: the priority of the rule to go on with, or 0. With neither C{table} nor C{goto}, it does nothing.
    """

    family: int
    priority: int
    mark: int | None = None
    table: int = 0
    suppress: int | None = None
    goto: int = 0


@frozen
class SetLink:
    """
    Change a device; L{None} leaves something as it is.

    @ivar up, mtu, queue, alias, promotes: see L{Link}.
    """

    device: str
    mtu: int | None = None
    up: bool | None = None
    queue: int | None = None
    alias: str | None = None
    promotes: bool | None = None


LinkItem: TypeAlias = "LinkAddress | LinkRoute | PolicyRule"


@frozen
class Add:
    """
    Make something that is not there yet. What is made is ours.
    """

    item: LinkItem


@frozen
class Remove:
    """
    Take something away; nothing happens where it is not there any more. A link is a device that is to be deleted.
    """

    item: LinkItem | Link


Change: TypeAlias = "SetLink | Add | Remove"


@frozen
class LinkState:
    """
    What there is of a device, and of ours.

    @ivar link: the device, L{None} where there is none of that name.
    @ivar addresses: of the device, whoever gave them.
    @ivar routes: through the device, whoever made them, in all tables; and ours through others, and to nowhere.
    @ivar rules: ours.
    @ivar strict: names of other devices that take an IPv4 packet only where its answer would leave (C{rp_filter}, RFC
        3704), so that what comes to a marked socket may not arrive.
    """

    link: Link | None = None
    addresses: frozenset[LinkAddress] = frozenset()
    routes: frozenset[LinkRoute] = frozenset()
    rules: frozenset[PolicyRule] = frozenset()
    strict: frozenset[str] = frozenset()


class ILinkWatcher(Interface):
    """
    Is told of devices, whoever changes them.
    """

    def linkChanged(link: Link) -> None:
        """
        A device is there, or is another now than it was.
        """

    def linkRemoved(link: Link) -> None:
        """
        A device is gone.
        """

    def linksMissed() -> None:
        """
        So much has happened at once that not all of it could be told.
        """


class INetlink(Interface):
    """
    The kernel's network configuration.
    """

    def links() -> Deferred[Sequence[Link]]:
        """
        All devices.
        """

    def allAddresses() -> Deferred[Sequence[LinkAddress]]:
        """
        The addresses of all devices.
        """

    def state(device: str) -> Deferred[LinkState]:
        """
        What there is of a device and of ours.
        """

    def change(changes: Sequence[Change]) -> Deferred[None]:
        """
        Change things one after the other. Errback with L{hermes.net.kernelerrors.KernelError} at the first that is
        refused; those before it are done.
        """

    def watch(watcher: ILinkWatcher) -> Callable[[], None]:
        """
        Tell of devices from now on.

        @return: what ends it, once.
        @raise OSError: where the kernel can't be asked.
        """
