"""
TUN devices without a kernel, and so without any rights: what is read from a device is what a test puts there, and what
is written is kept. Descriptors are real ones that any reactor can watch.
"""

from __future__ import annotations

import os
import struct
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from errno import EAGAIN, EBADF, EBADFD, EBUSY, EINVAL, ENODEV, EPERM

from attrs import define, field
from zope.interface import implementer

from hermes.interfaces.kernel import ITunDescriptor, ITunKernel
from hermes.net import tunkernel as kernelcodes
from hermes.values import Buffer
from hermes.wire.offload import PLAIN

FEATURES = (
    kernelcodes.IFF_TUN
    | kernelcodes.IFF_TAP
    | kernelcodes.IFF_NO_PI
    | kernelcodes.IFF_VNET_HDR
    | kernelcodes.IFF_MULTI_QUEUE
)
"""
The flags that L{MemoryTunKernel} knows.
"""


def _fail(number: int) -> OSError:
    return OSError(number, os.strerror(number))


@implementer(ITunDescriptor)
class MemoryTunDescriptor:
    """
    An open C{/dev/net/tun} in memory. It is readable for a reactor while there is something to read, and always
    writable.

    @ivar device: what it is a queue of, L{None} before C{TUNSETIFF}, and once that is deleted.
    @ivar written: what was written to this queue: frames, as they were.
    @ivar reads: how often it was read.
    @ivar writes: how often it was written to.
    """

    def __init__(self, kernel: MemoryTunKernel) -> None:
        self.kernel = kernel
        self.device: MemoryTun | None = None
        self.written: list[bytes] = []
        self.reads = 0
        self.writes = 0
        self.closed = False
        self._number = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._frames: deque[bytes | OSError] = deque()

    def fileno(self) -> int:
        return self._number

    def readinto(self, buffer: memoryview, /) -> int | None:
        self._check()
        self.reads += 1
        if not self._frames:
            return None
        frame = self._frames.popleft()
        self._signal()
        if isinstance(frame, OSError):
            raise frame
        # As the kernel does: what has no room is lost.
        size = min(len(frame), len(buffer))
        buffer[:size] = frame[:size]
        return size

    def write(self, frame: Buffer, /) -> int | None:
        device = self._check()
        self.writes += 1
        if device.refusals:
            refusal = device.refusals.popleft()
            if refusal is None:
                return None
            raise refusal
        if device.full:
            return None
        if len(frame) < (30 if device.header else 20):
            raise _fail(EINVAL)
        self.written.append(bytes(frame))
        return len(frame)

    def close(self) -> None:
        if self.closed:
            return
        self.closed = True
        if self.device is not None:
            self.device.closed(self)
        os.close(self._number)

    def put(self, frames: Iterable[bytes | OSError]) -> None:
        """
        Have these read.
        """
        self._frames += frames
        self._signal()

    def detach(self) -> None:
        """
        Its device is deleted.
        """
        self.device = None
        self._signal()

    def _check(self) -> MemoryTun:
        if self.closed:
            raise _fail(EBADF)
        if self.device is None:
            raise _fail(EBADFD)
        return self.device

    def _signal(self) -> None:
        """
        Be readable, or not.
        """
        if self._frames or self.device is None:
            os.eventfd_write(self._number, 1)
        else:
            with suppress(BlockingIOError):
                os.eventfd_read(self._number)


@define(eq=False)
class MemoryTun:
    """
    A device in memory.

    @ivar flags: as it was made: C{IFF_MULTI_QUEUE} and others.
    @ivar queues: its open descriptors.
    @ivar offloads: what it leaves to its reader, C{TUN_F_TSO4} and others.
    @ivar up: whether it was set up.
    @ivar queueLength: how many packets wait for its reader at most. Here, all that a test puts there do.
    @ivar alias, promotes: see L{hermes.interfaces.kernel.Link}.
    @ivar full: whether it takes nothing that is written.
    @ivar refusals: what the next writes say, in place of taking a frame: an error, or L{None} for a full queue.
    """

    name: str
    index: int
    flags: int
    kernel: MemoryTunKernel
    queues: list[MemoryTunDescriptor] = field(factory=list)
    mtu: int = 1500
    owner: int = -1
    group: int = -1
    persistent: bool = False
    offloads: int = 0
    up: bool = False
    queueLength: int = 500
    alias: str = ""
    promotes: bool = False
    full: bool = False
    refusals: deque[OSError | None] = field(factory=deque)

    @property
    def header(self) -> bool:
        """
        Whether packets have a virtio header before them.
        """
        return bool(self.flags & kernelcodes.IFF_VNET_HDR)

    @property
    def written(self) -> list[bytes]:
        """
        What was written to it.
        """
        return [frame for queue in self.queues for frame in queue.written]

    def send(self, *packets: bytes, queue: int = 0) -> None:
        """
        Have whole packets, with nothing left to do, read from it.
        """
        head = PLAIN if self.header else b""
        self.queues[queue].put([head + packet for packet in packets])

    def sendFrames(self, *frames: bytes, queue: int = 0) -> None:
        """
        Have frames read from it, whatever their header says.
        """
        self.queues[queue].put(frames)

    def failRead(self, number: int, queue: int = 0) -> None:
        """
        Have a read fail, after those that were put there before.

        @param number: of the error, such as L{errno.EIO}.
        """
        self.queues[queue].put([_fail(number)])

    def failWrite(self, *numbers: int) -> None:
        """
        Have the next writes fail: with L{errno.EAGAIN}, the queue is full.
        """
        self.refusals += [None if number == EAGAIN else _fail(number) for number in numbers]

    def delete(self) -> None:
        """
        Somebody deletes it.
        """
        queues, self.queues = self.queues, []
        for queue in queues:
            queue.detach()
        self.kernel.forget(self)

    def closed(self, queue: MemoryTunDescriptor) -> None:
        """
        A descriptor was closed.
        """
        self.queues.remove(queue)
        if self.queues:
            return
        if self.persistent:
            self.kernel.tell(self, True)
        else:
            self.kernel.forget(self)


@implementer(ITunKernel)
@define(eq=False)
class MemoryTunKernel:
    """
    The kernel.

    @ivar devices: what there is, by name.
    @ivar openError: what opening C{/dev/net/tun} fails with: L{errno.ENOENT}, for a machine that has none; 0: nothing.
    @ivar mayCreate: whether this process has CAP_NET_ADMIN.
    @ivar features: the flags that the kernel says it knows.
    @ivar refused: those of them that it refuses nevertheless.
    @ivar knownOffloads: which C{TUN_F_} flags it knows.
    @ivar given: the devices of descriptors that the process was started with, by number; L{None}: it is something else.
    @ivar opened: every descriptor that there ever was.
    @ivar watchers: called with a device that is another now, and whether it is still there.
    """

    devices: dict[str, MemoryTun] = field(factory=dict)
    openError: int = 0
    mayCreate: bool = True
    features: int = FEATURES
    refused: int = 0
    knownOffloads: int = kernelcodes.OFFLOADS[0]
    given: dict[int, MemoryTun | None] = field(factory=dict)
    opened: list[MemoryTunDescriptor] = field(factory=list)
    watchers: list[Callable[[MemoryTun, bool], object]] = field(factory=list)
    _indexes: int = 1

    def open(self) -> ITunDescriptor:
        if self.openError:
            raise _fail(self.openError)
        return self._open()

    def _open(self) -> MemoryTunDescriptor:
        descriptor = MemoryTunDescriptor(self)
        self.opened.append(descriptor)
        return descriptor

    def adopt(self, number: int) -> ITunDescriptor:
        if number not in self.given:
            raise _fail(EBADF)
        descriptor = self._open()
        device = descriptor.device = self.given[number]
        if device is not None:
            device.queues.append(descriptor)
        return descriptor

    def make(self, name: str, flags: int, owner: int = -1, persistent: bool = True) -> MemoryTun:
        """
        Make a device, as C{ip tuntap add} does.

        @param flags: C{IFF_TUN} and others.
        """
        self._indexes += 1
        device = self.devices[name] = MemoryTun(name, self._indexes, flags, self, owner=owner, persistent=persistent)
        self.tell(device, True)
        return device

    def tell(self, device: MemoryTun, there: bool) -> None:
        """
        A device is another now, or gone.
        """
        for watcher in list(self.watchers):
            watcher(device, there)

    def forget(self, device: MemoryTun) -> None:
        """
        A device is gone.
        """
        if self.devices.get(device.name) is device:
            del self.devices[device.name]
            self.tell(device, False)

    def index(self, name: str) -> int:
        return self._device(name).index

    def mtu(self, name: str) -> int:
        return self._device(name).mtu

    def ioctl(self, descriptor: ITunDescriptor, request: int, argument: int | bytearray) -> None:
        assert isinstance(descriptor, MemoryTunDescriptor)
        if request == kernelcodes.TUNGETFEATURES:
            self._answer(argument, struct.pack("@I", self.features))
        elif request == kernelcodes.TUNSETIFF:
            self._attach(descriptor, argument)
        elif descriptor.device is None:
            raise _fail(EBADFD)
        elif request == kernelcodes.TUNGETIFF:
            device = descriptor.device
            flags = device.flags | (kernelcodes.IFF_PERSIST if device.persistent else 0)
            self._answer(argument, bytes(kernelcodes.packDevice(device.name, flags)))
        else:
            self._configure(descriptor.device, request, argument)

    def _configure(self, device: MemoryTun, request: int, argument: int | bytearray) -> None:
        number = argument if isinstance(argument, int) else struct.unpack("@i", argument)[0]
        if request == kernelcodes.TUNSETOFFLOAD:
            if number & ~self.knownOffloads:
                raise _fail(EINVAL)
            device.offloads = number
        elif request == kernelcodes.TUNSETOWNER:
            device.owner = number
        elif request == kernelcodes.TUNSETGROUP:
            device.group = number
        elif request == kernelcodes.TUNSETPERSIST:
            device.persistent = bool(number)
        elif request == kernelcodes.TUNSETVNETHDRSZ:
            if number != len(PLAIN):
                raise _fail(EINVAL)
        elif request != kernelcodes.TUNSETVNETLE:
            raise _fail(EINVAL)

    def _attach(self, descriptor: MemoryTunDescriptor, argument: int | bytearray) -> None:
        """
        Make a descriptor a queue of a device.
        """
        assert isinstance(argument, bytearray)
        name, flags = kernelcodes.unpackDevice(argument)
        if flags & ~(self.features & ~self.refused) or descriptor.device is not None:
            raise _fail(EINVAL)
        device = self.devices.get(name)
        if device is None:
            if not self.mayCreate:
                raise _fail(EPERM)
            if "%d" in name:
                number = 0
                while name.replace("%d", str(number)) in self.devices:
                    number += 1
                name = name.replace("%d", str(number))
            device = self.make(name, flags, persistent=False)
        else:
            if device.owner != os.geteuid() and device.owner >= 0 and not self.mayCreate:
                raise _fail(EPERM)
            if (device.flags ^ flags) & (kernelcodes.IFF_MULTI_QUEUE | kernelcodes.IFF_TUN):
                raise _fail(EINVAL)
            if device.queues and not flags & kernelcodes.IFF_MULTI_QUEUE:
                raise _fail(EBUSY)
            device.flags = flags
        device.queues.append(descriptor)
        descriptor.device = device
        self.tell(device, True)
        self._answer(argument, bytes(kernelcodes.packDevice(name, flags)))

    def _answer(self, argument: int | bytearray, answer: bytes) -> None:
        assert isinstance(argument, bytearray)
        argument[:] = answer

    def _device(self, name: str) -> MemoryTun:
        if name not in self.devices:
            raise _fail(ENODEV)
        return self.devices[name]
