"""
A TUN device as a channel of IP packets: what the kernel routes to the device is received, and what is written comes
into the kernel as if it had arrived at the device.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from errno import ENODEV
from typing import Any, ClassVar
from zlib import crc32

from attrs import evolve
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from hermes.interfaces import IDatagramReceiver, IPacketChannel
from hermes.interfaces.kernel import ILinkWatcher, INetlink, ITunKernel, Link
from hermes.net.kernelerrors import DeviceGone, KernelError, MissingCapability, NoTunDriver
from hermes.net.tunkernel import TunKernel
from hermes.net.tunopen import OpenTun, TunOptions, configureTun, openTun, persists
from hermes.net.tunqueue import LARGEST, MAX_QUEUED_AGE, Arena, TunQueue, sharedArena
from hermes.values import Buffer
from hermes.wire.errors import MalformedError
from hermes.wire.offload import GSO_UDP_L4, HEAD_SIZE, needsWork, segment
from hermes.wire.trains import couple

MIN_MTU = 1280
"""
What every channel of IP packets carries (RFC 8200 section 5). A device of a smaller MTU sends less, but takes it.
"""

FIRST_DELAY = 0.1
MAX_DELAY = 5.0
"""
When a device that has gone away is made again, in seconds: at first, and at last where it does not work.
"""


@implementer(IPacketChannel, ILinkWatcher)
class TunDevice:
    """
    A TUN device that is open. It reads nothing until it has a receiver: what the kernel sends before waits in the
    device's queue.

    Where somebody deletes the device, it is made again, under the same name, and its receiver hears nothing of it;
    addresses and routes are L{hermes.net.devicesetup.DeviceSetup}'s matter. C{channelLost} is called with a
    L{KernelError} where it can't be: it was given as a descriptor, or the right to make one is gone.

    @ivar name: what it is called now.
    @ivar reopened: how often it was made again.
    """

    log: ClassVar[Logger] = Logger()
    maxDatagramSize = LARGEST

    def __init__(
        self,
        reactor: Any,
        options: TunOptions,
        kernel: ITunKernel | None = None,
        netlink: INetlink | None = None,
        arena: Arena = sharedArena,
        opened: OpenTun | None = None,
    ) -> None:
        """
        Open it, unless it is open.

        @param reactor: provides C{IReactorFDSet} and C{IReactorTime}.
        @param kernel: the real one where none is given.
        @param netlink: tells of changes; without it, C{mtu} stays as it is.
        @param arena: what to read into.
        @param opened: the device, from L{hermes.net.tunopen.attachTun}; becomes this one's.
        @raise KernelError: see L{openTun}.
        """
        self.name = options.name
        self.reopened = 0
        self._reactor = reactor
        self._options = options
        self._kernel: ITunKernel = TunKernel() if kernel is None else kernel
        self._arena = arena
        # An IPacketReceiver.
        self._receiver: Any = None
        self._queues: list[TunQueue] = []
        self._dropped = 0
        self._paused = False
        self._ended = False
        self._losing: IDelayedCall | None = None
        self._reopening: IDelayedCall | None = None
        self._delay = FIRST_DELAY
        self._stopWatching: Callable[[], None] | None = None
        if opened is None:
            opened = openTun(self._kernel, options)
        else:
            configureTun(self._kernel, opened, options)
        self._opened(opened)
        if netlink is not None:
            try:
                self._stopWatching = netlink.watch(self)
            except OSError as error:
                self._close()
                raise KernelError(f"devices can't be watched: {error.strerror}", error.errno or 0) from error
        self.linksMissed()

    def _opened(self, opened: OpenTun) -> None:
        self.name = opened.name
        self.offload = opened.header
        self._datagramTrains = opened.datagramTrains
        self._since = self._reactor.seconds()
        self._queues = [
            TunQueue(descriptor, self, self._reactor, opened.header, self._arena) for descriptor in opened.descriptors
        ]
        self._index = 0
        self._mtu = MIN_MTU
        with suppress(OSError):  # It is gone already. Reading will say so.
            self._index = self._kernel.index(self.name)
            self._mtu = self._kernel.mtu(self.name)

    @property
    def mtu(self) -> int:
        return max(self._mtu, MIN_MTU)

    @property
    def droppedDatagrams(self) -> int:
        return self._dropped + sum(queue.dropped for queue in self._queues)

    def persists(self) -> tuple[bool, bool]:
        """
        Whether it stays when it is closed, and whether several may open it.

        @raise OSError: where it is gone.
        """
        if not self._queues:
            raise OSError(ENODEV, "the device is gone")
        return persists(self._kernel, self._queues[0].descriptor)

    # Reading.

    def setReceiver(self, receiver: IDatagramReceiver) -> None:
        self._receiver = receiver
        receiver.channelConnected(self)
        if self._ended:
            receiver.channelLost(Failure(ConnectionLost()))
        else:
            self._startReading()

    def _startReading(self) -> None:
        if self._receiver is not None and self._losing is None and not self._paused:
            for queue in self._queues:
                queue.resumeProducing()

    def framesRead(self, frames: Sequence[memoryview]) -> None:
        """
        A queue has read frames.
        """
        receiver = self._receiver
        if receiver is None:
            return
        try:
            receiver.datagramsReceived(couple(frames) if self.offload else frames)
        except Exception:
            # The device is everybody's: what one packet has done does not end it.
            self.log.failure("{receiver} failed to take packets", receiver=receiver)

    def pauseProducing(self) -> None:
        """
        Read nothing for now. The kernel drops what its queue can't hold.
        """
        self._paused = True
        for queue in self._queues:
            queue.pauseProducing()

    def resumeProducing(self) -> None:
        """
        Go on reading.
        """
        self._paused = False
        self._startReading()

    # Writing.

    def write(self, datagrams: Sequence[Buffer]) -> None:
        if self._ended or self._losing is not None:
            return
        queues = self._queues
        if not self.offload:
            datagrams = self._withoutHeader(datagrams)
        elif not self._datagramTrains:
            datagrams = self._withoutTrains(datagrams)
        if len(queues) == 1:
            queues[0].send(datagrams)
        elif queues:
            self._spread(datagrams)
        else:
            self._dropped += len(datagrams)

    def _withoutHeader(self, frames: Sequence[Buffer]) -> list[Buffer]:
        """
        The packets of C{frames}, with nothing left to do.
        """
        packets: list[Buffer] = []
        for frame in frames:
            if len(frame) > HEAD_SIZE and not needsWork(frame):
                packets.append(memoryview(frame)[HEAD_SIZE:])
            else:
                packets += [memoryview(part)[HEAD_SIZE:] for part in self._segments(frame)]
        return packets

    def _withoutTrains(self, frames: Sequence[Buffer]) -> Sequence[Buffer]:
        """
        C{frames}, those of several UDP datagrams cut: for a kernel that does not know these.
        """
        if not any(len(frame) > 1 and frame[1] == GSO_UDP_L4 for frame in frames):
            return frames
        cut: list[Buffer] = []
        for frame in frames:
            cut += self._segments(frame) if len(frame) > 1 and frame[1] == GSO_UDP_L4 else [frame]
        return cut

    def _segments(self, frame: Buffer) -> Sequence[Buffer]:
        try:
            return segment(frame)
        except MalformedError:
            self._dropped += 1
            return ()

    def _spread(self, frames: Sequence[Buffer]) -> None:
        """
        Write to several queues. What belongs together goes to one: the kernel answers a connection on the queue where
        it heard of it, and keeps it in order so.
        """
        queues = self._queues
        count = len(queues)
        batches: list[list[Buffer]] = [[] for _ in queues]
        for frame in frames:
            # Addresses and, without IPv4 options and IPv6 extensions, ports.
            place = frame[18:54] if len(frame) > HEAD_SIZE and frame[HEAD_SIZE] >> 4 == 6 else frame[22:34]
            batches[crc32(place) % count].append(frame)
        for queue, batch in zip(queues, batches, strict=True):
            if batch:
                queue.send(batch)

    # What happens to the device.

    def linkChanged(self, link: Link) -> None:
        if link.index == self._index:
            self.name = link.name
            self._setMTU(link.mtu)

    def linkRemoved(self, link: Link) -> None:
        # Its descriptors say so, too, but not where they are not read.
        if link.index == self._index and any(queue.connected for queue in self._queues):
            self._lost(f"{link.name} was deleted")

    def linksMissed(self) -> None:
        with suppress(OSError):
            self._setMTU(self._kernel.mtu(self.name))

    def _setMTU(self, mtu: int) -> None:
        before = self.mtu
        self._mtu = mtu
        if self.mtu != before and self._receiver is not None:
            self._receiver.mtuChanged(self.mtu)

    def queueLost(self, queue: TunQueue, error: OSError | None) -> None:
        """
        A queue has ended.
        """
        if queue not in self._queues:
            return
        self._dropped += queue.dropped
        self._queues.remove(queue)
        if error is not None:
            self._lost(error.strerror or str(error))
        elif self._losing is None:
            self._end(Failure(ConnectionLost()))
        elif not self._queues:
            self._end(Failure(ConnectionDone()))

    def _lost(self, why: str) -> None:
        """
        The device has gone away.
        """
        self._closeQueues()
        if self._ended or self._losing is not None:
            return
        if self._options.descriptor is not None:
            reason = DeviceGone(
                f"the TUN device {self.name} is gone; it was given as a descriptor, so it is not made again"
            )
            self._endLater(Failure(reason), 0)
            return
        self.log.warn("the TUN device {name} is gone ({why}): it is made again", name=self.name, why=why)
        if self._reactor.seconds() - self._since >= MAX_DELAY:
            self._delay = FIRST_DELAY
        self._reopenLater()

    def _reopenLater(self) -> None:
        self._reopening = self._reactor.callLater(self._delay, self._reopen)
        self._delay = min(self._delay * 2, MAX_DELAY)

    def _reopen(self) -> None:
        self._reopening = None
        before = self.mtu
        try:
            opened = openTun(self._kernel, evolve(self._options, name=self.name))
        except (MissingCapability, NoTunDriver) as error:
            self._end(Failure(error))
            return
        except KernelError as error:
            self.log.warn("{error}; trying again in {delay} s", error=error, delay=self._delay)
            self._reopenLater()
            return
        self._opened(opened)
        self.reopened += 1
        self.log.info("the TUN device {name} is there again", name=self.name)
        if self.mtu != before and self._receiver is not None:
            self._receiver.mtuChanged(self.mtu)
        self._startReading()

    # The end.

    def loseChannel(self) -> None:
        if self._ended or self._losing is not None:
            return
        waiting = [queue for queue in self._queues if queue.waiting]
        self._endLater(Failure(ConnectionDone()), MAX_QUEUED_AGE if waiting else 0)
        if waiting:
            for queue in self._queues:
                queue.loseConnection()

    def abortChannel(self) -> None:
        """
        End at once. The device has no peer to tell.
        """
        if not self._ended:
            if self._losing is not None:
                self._losing.cancel()
            self._endLater(Failure(ConnectionAborted()), 0)

    def _endLater(self, reason: Failure, delay: float) -> None:
        """
        Read and take nothing more, and end in C{delay} seconds, unless what waits is written sooner.
        """
        for queue in self._queues:
            queue.pauseProducing()
        self._losing = self._reactor.callLater(delay, self._end, reason)

    def _end(self, reason: Failure) -> None:
        if self._ended:
            return
        self._close()
        receiver, self._receiver = self._receiver, None
        if receiver is not None:
            try:
                receiver.channelLost(reason)
            except Exception:
                self.log.failure("{receiver} failed to end", receiver=receiver)

    def _close(self) -> None:
        self._ended = True
        for call in self._losing, self._reopening:
            if call is not None and call.active():
                call.cancel()
        if self._stopWatching is not None:
            self._stopWatching()
            self._stopWatching = None
        self._closeQueues()

    def _closeQueues(self) -> None:
        queues, self._queues = self._queues, []
        for queue in queues:
            queue.close()
            self._dropped += queue.dropped
