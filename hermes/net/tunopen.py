"""
Opening TUN devices: what is asked for, what the kernel gives, and why it gives nothing.
"""

from __future__ import annotations

import grp
import os
import pwd
import re
import struct
import sys
from contextlib import suppress
from errno import E2BIG, EACCES, EBUSY, EINVAL, ENODEV, ENOENT, ENXIO, EPERM
from typing import Any

from attrs import define, field, frozen

from hermes.interfaces.kernel import ITunDescriptor, ITunKernel
from hermes.net.kernelerrors import KernelError, MissingCapability, NoTunDriver
from hermes.net.tunkernel import (
    IFF_MULTI_QUEUE,
    IFF_NO_PI,
    IFF_PERSIST,
    IFF_TUN,
    IFF_VNET_HDR,
    MAX_NAME,
    OFFLOADS,
    TUN_F_USO4,
    TUN_PATH,
    TUNGETFEATURES,
    TUNGETIFF,
    TUNSETGROUP,
    TUNSETIFF,
    TUNSETOFFLOAD,
    TUNSETOWNER,
    TUNSETPERSIST,
    TUNSETVNETHDRSZ,
    TUNSETVNETLE,
    packDevice,
    packNumber,
    unpackDevice,
)
from hermes.wire.offload import HEAD_SIZE

MAX_QUEUES = 256
"""
How many descriptors one device can have (the kernel's C{MAX_TAP_QUEUES}).
"""


def checkName(instance: object, attribute: Any, name: str) -> None:
    """
    An attrs validator.

    @raise ValueError: where C{name} is none of a device, with a sentence for the user.
    """
    plain = name.replace("%d", "0", 1)
    if not plain or len(os.fsencode(name)) > MAX_NAME or re.search(r"[\s/:%]", plain) or plain in (".", ".."):
        raise ValueError(
            f"{name!r} is no name of a device: 1 to {MAX_NAME} bytes without spaces, '/' and ':'; one '%d' stands for "
            "the first number that is free"
        )


def _checkQueues(instance: object, attribute: Any, queues: int) -> None:
    if not 1 <= queues <= MAX_QUEUES:
        raise ValueError(f"a device has 1 to {MAX_QUEUES} queues, not {queues}")


@frozen
class TunOptions:
    """
    A TUN device, as it is wanted.

    @ivar name: its name; with C{%d} in it, the first that is free.
    @ivar owner: a user who may open it once it is persistent, without any capability; a name or a number.
    @ivar group: the same for the members of a group.
    @ivar persist: whether it stays when nobody has it open; L{None}: as it is, and a new one goes.
    @ivar descriptor: an open descriptor of a device that this process was given, in place of a name.
    @ivar queues: how many descriptors it has. More than one spread the work of the kernel's senders.
    @ivar shared: whether other processes may open more queues of it, even where C{queues} is 1.
    @ivar offload: whether the kernel hands over segments and packets without checksums, in frames.
    """

    name: str = field(default="hermes%d", validator=checkName)
    owner: str | int | None = None
    group: str | int | None = None
    persist: bool | None = None
    descriptor: int | None = None
    queues: int = field(default=1, validator=_checkQueues)
    shared: bool = False
    offload: bool = True

    def __attrs_post_init__(self) -> None:
        if self.persist and "%d" in self.name and self.descriptor is None:
            # Else each start would leave one more behind.
            raise ValueError(f"a persistent device needs a name of its own, not {self.name!r}")
        if self.descriptor is not None and self.queues > 1:
            raise ValueError("a device that is given as a descriptor has one queue")

    @property
    def multiQueue(self) -> bool:
        return self.queues > 1 or self.shared


@define
class OpenTun:
    """
    A device that is open.

    @ivar name: what it is called.
    @ivar descriptors: one for each queue.
    @ivar header: whether its packets come and go behind a virtio header.
    @ivar datagramTrains: whether the kernel takes several UDP datagrams in one frame.
    """

    name: str
    descriptors: list[ITunDescriptor]
    header: bool
    datagramTrains: bool = False

    def close(self) -> None:
        for descriptor in self.descriptors:
            with suppress(OSError):
                descriptor.close()


def openTun(kernel: ITunKernel, options: TunOptions) -> OpenTun:
    """
    Open a device, make it where there is none, and set it up as C{options} say.

    @raise KernelError: L{MissingCapability}, L{NoTunDriver}, or another one, with a sentence.
    """
    opened = attachTun(kernel, options)
    configureTun(kernel, opened, options)
    return opened


def attachTun(kernel: ITunKernel, options: TunOptions) -> OpenTun:
    """
    The first half of L{openTun}: the device is had, and nothing is set up on it. A new one goes when it is closed.

    @raise KernelError: see L{openTun}.
    """
    for number, user in ((userNumber, options.owner), (groupNumber, options.group)):
        if user is not None:
            number(user)
    given = options.descriptor
    return _attach(kernel, options) if given is None else _adopt(kernel, given)


def persists(kernel: ITunKernel, descriptor: ITunDescriptor) -> tuple[bool, bool]:
    """
    Whether a device stays when nobody has it open, and whether several may open it.

    @raise OSError: where it is gone.
    """
    request = packDevice("")
    kernel.ioctl(descriptor, TUNGETIFF, request)
    flags = unpackDevice(request)[1]
    return bool(flags & IFF_PERSIST), bool(flags & IFF_MULTI_QUEUE)


def configureTun(kernel: ITunKernel, opened: OpenTun, options: TunOptions) -> None:
    """
    The second half. Where it fails, the device is closed.

    @raise KernelError: see L{openTun}.
    """
    try:
        _configure(kernel, opened, options)
    except BaseException:
        opened.close()
        raise


def _adopt(kernel: ITunKernel, number: int) -> OpenTun:
    try:
        descriptor = kernel.adopt(number)
    except OSError as error:
        raise KernelError(f"descriptor {number} is not open", error.errno or 0) from error
    request = packDevice("")
    try:
        kernel.ioctl(descriptor, TUNGETIFF, request)
    except OSError as error:
        descriptor.close()
        raise KernelError(f"descriptor {number} is not that of a TUN device", error.errno or 0) from error
    name, flags = unpackDevice(request)
    opened = OpenTun(name, [descriptor], bool(flags & IFF_VNET_HDR))
    if not flags & IFF_TUN:
        opened.close()
        raise KernelError(f"descriptor {number} is that of {name}, a TAP device: only TUN devices have IP packets")
    if not flags & IFF_NO_PI:
        opened.close()
        raise KernelError(f"descriptor {number} is that of {name}, which was opened without IFF_NO_PI")
    return opened


def _attach(kernel: ITunKernel, options: TunOptions) -> OpenTun:
    opened = OpenTun(options.name, [], False)
    try:
        for _ in range(options.queues):
            descriptor = _open(kernel)
            opened.descriptors.append(descriptor)
            if len(opened.descriptors) == 1:
                # What the kernel has named the first one the others join.
                opened.name, opened.header = _attachFirst(kernel, descriptor, options)
            else:
                _attachOne(kernel, descriptor, opened.name, _flags(options, opened.header))
    except OSError as error:
        opened.close()
        raise _refused(error, options) from error
    except BaseException:
        opened.close()
        raise
    return opened


def _open(kernel: ITunKernel) -> ITunDescriptor:
    try:
        return kernel.open()
    except OSError as error:
        number = error.errno or 0
        if number == ENOENT:
            message = (
                f"this machine has no {TUN_PATH}: load its driver (modprobe tun), or give the container the device"
            )
        elif number in (ENODEV, ENXIO):
            message = f"{TUN_PATH} is there, but not its driver (modprobe tun)"
        elif number == EACCES:
            message = f"{TUN_PATH} may not be opened by this user: it should have mode 0666"
        elif number == EPERM:
            message = f"{TUN_PATH} may not be opened in this container: allow it the device (c 10:200 rwm)"
        else:
            raise KernelError(f"{TUN_PATH} can't be opened: {error.strerror}", number) from error
        raise NoTunDriver(message, number) from error


def _attachFirst(kernel: ITunKernel, descriptor: ITunDescriptor, options: TunOptions) -> tuple[str, bool]:
    """
    @return: the device's name, and whether it has the header.
    """
    header = options.offload and bool(_features(kernel, descriptor) & IFF_VNET_HDR)
    if header:
        try:
            return _attachOne(kernel, descriptor, options.name, _flags(options, True)), True
        except OSError as error:
            # Or is it the header that is refused? Without it, the error says what it is.
            if error.errno != EINVAL:
                raise
    return _attachOne(kernel, descriptor, options.name, _flags(options, False)), False


def _features(kernel: ITunKernel, descriptor: ITunDescriptor) -> int:
    """
    The flags that the kernel knows.
    """
    request = packNumber(0)
    kernel.ioctl(descriptor, TUNGETFEATURES, request)
    return int(struct.unpack("@I", request)[0])


def _flags(options: TunOptions, header: bool) -> int:
    return IFF_TUN | IFF_NO_PI | (IFF_MULTI_QUEUE if options.multiQueue else 0) | (IFF_VNET_HDR if header else 0)


def _attachOne(kernel: ITunKernel, descriptor: ITunDescriptor, name: str, flags: int) -> str:
    request = packDevice(name, flags)
    kernel.ioctl(descriptor, TUNSETIFF, request)
    return unpackDevice(request)[0]


def _refused(error: OSError, options: TunOptions) -> KernelError:
    """
    Why TUNSETIFF has failed.
    """
    number = error.errno or 0
    name = options.name
    if number == EPERM:
        return MissingCapability(f"the TUN device {name}, unless it is made before for this user,", number=number)
    if number == EBUSY:
        return KernelError(f"the TUN device {name} is open in another process", number)
    if number == EINVAL:
        queues = "with" if options.multiQueue else "without"
        return KernelError(f"{name} is there already and something else than a TUN device {queues} many queues", number)
    if number == E2BIG:
        return KernelError(f"the TUN device {name} can't have {options.queues} queues more", number)
    return KernelError(f"the TUN device {name} can't be made: {error.strerror}", number)


def _configure(kernel: ITunKernel, opened: OpenTun, options: TunOptions) -> None:
    """
    Set up a device that is open.
    """
    first = opened.descriptors[0]
    try:
        if opened.header:
            for descriptor in opened.descriptors:
                kernel.ioctl(descriptor, TUNSETVNETHDRSZ, packNumber(HEAD_SIZE))
                _littleEndian(kernel, descriptor)
        opened.datagramTrains = _setOffloads(kernel, first, opened.header and options.offload)
        if options.owner is not None:
            kernel.ioctl(first, TUNSETOWNER, userNumber(options.owner))
        if options.group is not None:
            kernel.ioctl(first, TUNSETGROUP, groupNumber(options.group))
        if options.persist is not None:
            kernel.ioctl(first, TUNSETPERSIST, int(options.persist))
    except OSError as error:
        number = error.errno or 0
        if number == EPERM:
            raise MissingCapability(f"setting up the TUN device {opened.name}", number=number) from error
        raise KernelError(f"the TUN device {opened.name} can't be set up: {error.strerror}", number) from error


def _littleEndian(kernel: ITunKernel, descriptor: ITunDescriptor) -> None:
    """
    Have headers little endian, as they are on a tunnel.
    """
    try:
        kernel.ioctl(descriptor, TUNSETVNETLE, packNumber(1))
    except OSError:
        # A kernel before 4.0 has the machine's order.
        if sys.byteorder != "little":
            raise


def _setOffloads(kernel: ITunKernel, descriptor: ITunDescriptor, wanted: bool) -> bool:
    """
    @return: whether the kernel knows frames of several datagrams.
    """
    # Without the header nothing may be left to do: a persistent device remembers what its last reader could.
    for offloads in OFFLOADS if wanted else OFFLOADS[-1:]:
        try:
            kernel.ioctl(descriptor, TUNSETOFFLOAD, offloads)
        except OSError as error:
            if error.errno != EINVAL or not offloads:
                raise
        else:
            return bool(offloads & TUN_F_USO4)
    return False


def userNumber(user: str | int) -> int:
    """
    @raise KernelError: where there is no such user.
    """
    if isinstance(user, int):
        return user
    try:
        return pwd.getpwnam(user).pw_uid
    except KeyError:
        raise KernelError(f"there is no user {user!r}") from None


def groupNumber(group: str | int) -> int:
    """
    @raise KernelError: where there is no such group.
    """
    if isinstance(group, int):
        return group
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        raise KernelError(f"there is no group {group!r}") from None
