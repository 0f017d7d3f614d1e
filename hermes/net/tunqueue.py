"""
One descriptor of a TUN device in a reactor: what one turn finds is read into one arena and delivered as one batch.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from errno import EBADF, EBADFD, EINTR, EIO, ENOBUFS, ENOMEM
from mmap import mmap
from typing import Any, ClassVar, Protocol

from twisted.internet.abstract import FileDescriptor
from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from hermes.interfaces.kernel import ITunDescriptor
from hermes.net.received import received
from hermes.queues import DatagramQueue
from hermes.values import Buffer
from hermes.wire.offload import HEAD_SIZE, PLAIN

LARGEST = HEAD_SIZE + 65535
"""
The largest frame, in bytes.
"""

PACKETS_PER_TURN = 128
BYTES_PER_TURN = 1024 * 1024
"""
How much is read before others have their turn. A large batch has cheap packets; what it holds is still in the
processor's cache when it is written.
"""

MAX_QUEUED_BYTES = 4 * 1024 * 1024
MAX_QUEUED_AGE = 0.1
"""
How much waits for a device that takes nothing, and how long, in seconds.
"""

RETRY_DELAY = 0.005
"""
When to write again after the kernel had no memory, in seconds: no event says when it has.
"""

REST_DELAY = 0.1
"""
When to read again after the device would not be read, in seconds: it is down, or the kernel has no memory.
"""

EXHAUSTED = frozenset({ENOBUFS, ENOMEM})

GONE = frozenset({EBADFD, EBADF})
"""
What it says of a descriptor whose device has been deleted, and of one that is closed.
"""


class Arena:
    """
    Room for the frames of one turn: 8 MiB of address space, of which only the pages that were once read into cost
    memory. One arena serves all devices of a reactor, because each delivers what it has read before another one reads.

    @ivar slots: where the frames go, each with room for the largest.
    @ivar bodies: the same without the header, for devices that have none.
    """

    # A cache line more than the largest frame, in an odd number of lines: slots whose beginnings share a place in the
    # processor's cache would drive each other out.
    STRIDE: ClassVar[int] = (LARGEST // 128 + 1) * 128 + 64

    def __init__(self) -> None:
        # Not a bytearray: that writes zeros to all of its pages.
        view = memoryview(mmap(-1, self.STRIDE * PACKETS_PER_TURN))
        starts = [number * self.STRIDE for number in range(PACKETS_PER_TURN)]
        self.slots = [view[start : start + LARGEST] for start in starts]
        self.bodies = [view[start + HEAD_SIZE : start + LARGEST] for start in starts]


sharedArena = Arena()
"""
What all devices read into.
"""


class ITunQueueOwner(Protocol):
    """
    Whose queue it is.
    """

    name: str

    def framesRead(self, frames: Sequence[memoryview]) -> None:
        """
        Frames, borrowed. Raises nothing.
        """

    def queueLost(self, queue: TunQueue, error: OSError | None) -> None:
        """
        A queue has ended: its device has gone away. Where C{error} is L{None}, it was told to, or the reactor stops.
        """


class TunQueue(FileDescriptor):
    """
    A descriptor that is read and written. Writing never waits: what the kernel does not take at once is in a bounded
    queue, and what is too old there is dropped.

    @cvar leanDispatch: see L{hermes.net.dispatch}: no exception comes out of C{doRead} and C{doWrite}.
    @ivar rejected: how many frames the kernel would not have: they are no IP packets, or their header is wrong.
    @ivar refusals: how many frames found the device down or gone.
    """

    log: ClassVar[Logger] = Logger()
    leanDispatch: ClassVar[bool] = True

    def __init__(
        self, descriptor: ITunDescriptor, owner: ITunQueueOwner, reactor: Any, header: bool, arena: Arena = sharedArena
    ) -> None:
        """
        @param descriptor: becomes the queue's.
        @param reactor: provides C{IReactorFDSet} and C{IReactorTime}.
        @param header: whether packets come and go behind a virtio header. Where not, frames get an empty one when they
            are read, and are written without.
        """
        super().__init__(reactor)
        self.connected = 1
        self.rejected = 0
        self.refusals = 0
        self._reactor = reactor
        self.descriptor = descriptor
        self._number = descriptor.fileno()
        self._readInto = descriptor.readinto
        self._write = descriptor.write
        self._owner = owner
        self._arena = arena
        self._header = header
        self._wasDown = False
        self._pending = DatagramQueue(MAX_QUEUED_BYTES, MAX_QUEUED_AGE, reactor)
        self._retry: IDelayedCall | None = None
        self._rest: IDelayedCall | None = None

    @property
    def dropped(self) -> int:
        """
        How many frames could not be written.
        """
        return self.rejected + self.refusals + self._pending.dropped

    @property
    def waiting(self) -> int:
        """
        How many frames wait.
        """
        return len(self._pending)

    def fileno(self) -> int:
        return self._number

    def logPrefix(self) -> str:
        return "TunQueue"

    # Reading.

    def doRead(self) -> None:
        """
        Read and deliver one batch.
        """
        read = self._readInto
        frames: list[memoryview] = []
        size = 0
        trouble: OSError | None = None
        try:
            if self._header:
                for slot in self._arena.slots:
                    count = read(slot)
                    if not count:
                        break
                    frames.append(slot[:count])
                    size += count
                    if size >= BYTES_PER_TURN:
                        break
            else:
                for slot, body in zip(self._arena.slots, self._arena.bodies, strict=True):
                    count = read(body)
                    if not count:
                        break
                    # Whoever had the slot before may have written to it.
                    slot[:HEAD_SIZE] = PLAIN
                    frames.append(slot[: count + HEAD_SIZE])
                    size += count
                    if size >= BYTES_PER_TURN:
                        break
        except OSError as error:
            trouble = error
        if frames:
            received.bytes += size
            self._owner.framesRead(frames)
        if trouble is not None and self.connected:
            self._readFailed(trouble)

    def _readFailed(self, error: OSError) -> None:
        if error.errno in GONE:
            self._end(error)
        elif error.errno != EINTR and self._rest is None:
            # Else the reactor would call again at once.
            self._reactor.removeReader(self)
            self._rest = self._reactor.callLater(REST_DELAY, self._readAgain)

    def _readAgain(self) -> None:
        self._rest = None
        self._reactor.addReader(self)

    def pauseProducing(self) -> None:
        if self._rest is not None:
            self._rest.cancel()
            self._rest = None
        self._reactor.removeReader(self)

    def resumeProducing(self) -> None:
        if self.connected and not self.disconnecting and self._rest is None:
            self._reactor.addReader(self)

    # Writing.

    def write(self, data: bytes) -> None:
        """
        Write one frame.
        """
        self.send([data])

    def writeSequence(self, iovec: Iterable[bytes]) -> None:
        """
        Write frames.
        """
        self.send(list(iovec))

    def send(self, frames: Sequence[Buffer]) -> None:
        """
        Write frames, borrowed, in order.
        """
        if not self.connected:
            return
        if self._pending:
            self._pending.append(frames)
            return
        done = self._sendNow(frames)
        if done < len(frames) and self.connected:
            self._pending.append(frames[done:])

    def _sendNow(self, frames: Sequence[Buffer]) -> int:
        """
        Write as much as the kernel takes, and see to it that the rest gets its time.

        @return: how many frames need nothing more: all, where the device is lost.
        """
        write = self._write
        done = 0
        while True:
            try:
                for frame in frames[done:] if done else frames:
                    if write(frame) is None:
                        self._reactor.addWriter(self)
                        return done
                    done += 1
                self._wasDown = False
                return done
            except OSError as error:
                number = error.errno
                if number in EXHAUSTED:
                    self._writeLater()
                    return done
                if number == EIO:
                    self._isDown(len(frames) - done)
                    return len(frames)
                if number in GONE:
                    self.refusals += len(frames) - done
                    self._end(error)
                    return len(frames)
                if number != EINTR:
                    # It is about this one frame: it is no IP packet, its header is wrong.
                    self.rejected += 1
                    done += 1

    def _writeLater(self) -> None:
        self._reactor.removeWriter(self)
        if self._retry is None:
            self._retry = self._reactor.callLater(RETRY_DELAY, self._writeAgain)

    def _writeAgain(self) -> None:
        self._retry = None
        self.doWrite()

    def _isDown(self, count: int) -> None:
        self.refusals += count
        if not self._wasDown:
            self._wasDown = True
            self.log.warn("{name} is down: packets for it are dropped", name=self._owner.name)

    def doWrite(self) -> None:
        """
        Write what waits, as far as the kernel takes it.
        """
        pending = self._pending
        while pending and self.connected:
            batch = pending.popBatch(MAX_QUEUED_BYTES)
            done = self._sendNow(batch)
            if done < len(batch):
                pending.restore(batch[done:])
                return
        if self.connected:
            self._reactor.removeWriter(self)
            if self.disconnecting:
                self.connectionLost(Failure(ConnectionDone()))

    # The end.

    def loseConnection(self) -> None:
        """
        End once what waits is written.
        """
        if self.connected:
            self.disconnecting = 1
            self._reactor.removeReader(self)
            self._reactor.addWriter(self)

    def abortConnection(self) -> None:
        """
        End at once.
        """
        self.connectionLost(Failure(ConnectionAborted()))

    def readConnectionLost(self, reason: Failure) -> None:
        """
        The reactor saw an error, and nothing to read.
        """
        self.connectionLost(reason)

    def connectionLost(self, reason: Failure) -> None:
        """
        The reactor stops or saw an error, or all is written after C{loseConnection}.
        """
        if self.connected:
            self._end(None if self.disconnecting else self._ask())

    def _ask(self) -> OSError | None:
        """
        What is wrong with the device, if anything.
        """
        try:
            # Nothing that it would take.
            self._write(b"\0")
        except OSError as error:
            if error.errno in GONE:
                return error
        return None

    def _end(self, error: OSError | None) -> None:
        if self.close():
            self._owner.queueLost(self, error)

    def close(self) -> bool:
        """
        Close the descriptor and tell nobody.

        @return: whether it was open.
        """
        if not self.connected:
            return False
        FileDescriptor.connectionLost(self, Failure(ConnectionDone()))
        for call in self._retry, self._rest:
            if call is not None:
                call.cancel()
        self._retry = self._rest = None
        self.refusals += len(self._pending) + self._pending.dropped
        self._pending = DatagramQueue(MAX_QUEUED_BYTES, MAX_QUEUED_AGE, self._reactor)
        # The number may be another's from now on.
        self._number = -1
        with suppress(OSError):
            self.descriptor.close()
        return True
