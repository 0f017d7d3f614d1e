"""
Datagram sockets, UDP and Unix, batch first: what one turn of the reactor finds is read in few system calls, and what is
written in one batch goes out in few.

See L{hermes.net.mmsg} for how it is read and L{hermes.net.segments} for how it is written.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from socket import AF_UNIX, SO_ERROR, SO_RCVBUF, SO_SNDBUF, SOL_SOCKET, socket
from typing import Any, ClassVar

from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IHalfCloseableDescriptor, IReadDescriptor, IReadWriteDescriptor
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from hermes.interfaces import IDatagramChannel, IDatagramReceiver, IDatagramSocket, IDatagramSocketReceiver
from hermes.net.mmsg import SLOTS, TRAIN_SLOTS, Arena
from hermes.net.names import forSocket, fromSockaddr, twistedAddress
from hermes.net.segments import SOL_UDP, UDP_GRO, Segmenter
from hermes.net.sockets import Bound, largestDatagram
from hermes.queues import DatagramQueue
from hermes.values import Buffer

SOCKET_BUFFER = 4 * 1024 * 1024
"""
What the kernel is asked to hold, in bytes and each way; it gives what C{net.core.rmem_max} and C{wmem_max} allow.
"""

CALLS_PER_TURN = 4
"""
How often a socket is read before the others have their turn.
"""

MAX_QUEUED_BYTES = 1024 * 1024
MAX_QUEUED_AGE = 0.1
"""
How much waits for a channel's socket to take it, and how long, in seconds.
"""

sharedArena = Arena()
"""
What all sockets read into.
"""


class DatagramDescriptor:
    """
    What a channel and a bound socket have in common: a non-blocking datagram socket in a reactor.

    @cvar leanDispatch: the reactor may call C{doRead} and C{doWrite} without a logging context, see
        L{hermes.net.dispatch}: they let no exception out.
    @ivar networkErrors: how many ICMP errors, such as I{port unreachable}, were heard of. They end nothing: the next
        datagram may well get through.
    """

    log: ClassVar[Logger] = Logger()
    leanDispatch: ClassVar[bool] = True

    _ended = False
    _slots = SLOTS

    def __init__(self, sock: socket, reactor: Any, arena: Arena = sharedArena) -> None:
        """
        @param sock: a datagram socket, bound or connected; becomes the descriptor's.
        @param reactor: provides C{IReactorFDSet} and C{IReactorTime}.
        @param arena: what to read into.
        """
        sock.setblocking(False)
        self.socket = sock
        self.reactor = reactor
        self.fileno = sock.fileno
        self._arena = arena
        self._segmenter = Segmenter(sock)
        self._readErrors = 0
        self._dropped = 0
        for option in SO_RCVBUF, SO_SNDBUF:
            with suppress(OSError):
                sock.setsockopt(SOL_SOCKET, option, SOCKET_BUFFER)
        if sock.family != AF_UNIX:
            with suppress(OSError):  # A kernel before 5.0.
                sock.setsockopt(SOL_UDP, UDP_GRO, 1)

    @property
    def networkErrors(self) -> int:
        return self._readErrors + self._segmenter.errors

    @property
    def droppedDatagrams(self) -> int:
        return self._dropped + self._segmenter.dropped

    def getHost(self) -> Any:
        return twistedAddress(self.socket, self.socket.getsockname(), "UDP")

    def doRead(self) -> None:
        """
        Read and deliver until the socket is drained or it is the others' turn.
        """
        arena = self._arena
        for _ in range(CALLS_PER_TURN):
            slots = self._slots
            try:
                self._readOnce(slots)
            except OSError:
                # Only ever about what was sent: a datagram socket that can be read at all has no error of its own.
                self._readErrors += 1
                return
            self._dropped += arena.truncated
            if self._ended or arena.count < slots:
                return
            if arena.trains:
                # As much as a batch may hold; and there is more where that came from.
                self._slots = TRAIN_SLOTS
                return
            self._slots = SLOTS

    def _readOnce(self, slots: int) -> None:
        """
        Read C{slots} messages at most, and deliver them.

        @raise OSError: from the socket only.
        """
        raise NotImplementedError()

    def readConnectionLost(self, reason: Failure) -> None:
        """
        The reactor saw an error on the socket and nothing to read: an ICMP error. It has stopped reading.
        """
        if not self._ended:
            if self.socket.getsockopt(SOL_SOCKET, SO_ERROR):
                self._readErrors += 1
            self.reactor.addReader(self)

    def logPrefix(self) -> str:
        return type(self).__name__

    def _close(self) -> None:
        self._ended = True
        self.reactor.removeReader(self)
        self.reactor.removeWriter(self)
        self.socket.close()


@implementer(IDatagramChannel, IReadWriteDescriptor, IHalfCloseableDescriptor)
class UDPChannel(DatagramDescriptor):
    """
    A connected datagram socket. It reads nothing until it has a receiver: what arrives before that waits in the kernel.
    """

    _receiver: IDatagramReceiver | None = None
    _queue: DatagramQueue | None = None
    _losing: Any = None

    @property
    def maxDatagramSize(self) -> int:
        return largestDatagram(self.socket)

    @property
    def droppedDatagrams(self) -> int:
        return super().droppedDatagrams + (0 if self._queue is None else self._queue.dropped)

    @property
    def bufferedBytes(self) -> int:
        """
        Bytes that wait for the kernel to take them.
        """
        return 0 if self._queue is None else self._queue.bufferedBytes

    def getPeer(self) -> Any:
        """
        The other end, as a Twisted C{IAddress}.
        """
        return twistedAddress(self.socket, self.socket.getpeername(), "UDP")

    def setReceiver(self, receiver: IDatagramReceiver) -> None:
        self._receiver = receiver
        receiver.channelConnected(self)
        if self._ended:
            receiver.channelLost(Failure(ConnectionLost()))
        elif self._losing is None:
            self.reactor.addReader(self)

    def _readOnce(self, slots: int) -> None:
        datagrams = self._arena.receive(self.fileno(), slots)
        if datagrams and self._receiver is not None:
            try:
                self._receiver.datagramsReceived(datagrams)
            except Exception:
                self.log.failure("{receiver} failed to take datagrams", receiver=self._receiver)
                self.abortChannel()

    def write(self, datagrams: Sequence[Buffer]) -> None:
        if self._ended or self._losing is not None:
            return
        queue = self._queue
        if queue:
            queue.append(datagrams)
            return
        done = self._segmenter.send(datagrams)
        if done < len(datagrams):
            if queue is None:
                queue = self._queue = DatagramQueue(MAX_QUEUED_BYTES, MAX_QUEUED_AGE, self.reactor)
            queue.append(datagrams[done:])
            self.reactor.addWriter(self)

    def doWrite(self) -> None:
        """
        Send what waits, as far as the kernel takes it.
        """
        queue = self._queue
        while queue:
            batch = queue.popBatch(MAX_QUEUED_BYTES)
            done = self._segmenter.send(batch)
            if done < len(batch):
                queue.restore(batch[done:])
                return
        self.reactor.removeWriter(self)
        if self._losing is not None:
            self._end(Failure(ConnectionDone()))

    def loseChannel(self) -> None:
        self._endLater(ConnectionDone(), MAX_QUEUED_AGE if self._queue else 0)

    def abortChannel(self) -> None:
        """
        End at once. UDP knows no way to tell the peer.
        """
        if self._ended:
            return
        queue, self._queue = self._queue, None
        if queue:
            self._dropped += queue.dropped + len(queue)
        if self._losing is not None:
            self._losing.cancel()
            self._losing = None
        self._endLater(ConnectionAborted(), 0)

    def _endLater(self, reason: Exception, delay: float) -> None:
        """
        Read and take nothing more, and end in C{delay} seconds, unless what waits is sent sooner.
        """
        if not self._ended and self._losing is None:
            self.reactor.removeReader(self)
            self._losing = self.reactor.callLater(delay, self._end, Failure(reason))

    def _end(self, reason: Failure) -> None:
        if self._ended:
            return
        self._close()
        if self._losing is not None and self._losing.active():
            self._losing.cancel()
        receiver, self._receiver = self._receiver, None
        if receiver is not None:
            try:
                receiver.channelLost(reason)
            except Exception:
                self.log.failure("{receiver} failed to end", receiver=receiver)

    def connectionLost(self, reason: Failure) -> None:
        """
        The reactor stops, or has lost the descriptor.
        """
        self._end(reason)

    def writeConnectionLost(self, reason: Failure) -> None:
        """
        Not called on a socket that has no end of writing.
        """


@implementer(IDatagramSocket, IReadDescriptor, IHalfCloseableDescriptor)
class UDPSocket(DatagramDescriptor):
    """
    A bound datagram socket.
    """

    _receiver: IDatagramSocketReceiver | None = None

    def __init__(self, bound: Bound, reactor: Any, arena: Arena = sharedArena) -> None:
        """
        @param bound: becomes the socket's.
        """
        super().__init__(bound.socket, reactor, arena)
        self._bound = bound

    def setReceiver(self, receiver: IDatagramSocketReceiver) -> None:
        self._receiver = receiver
        self.reactor.addReader(self)

    def _readOnce(self, slots: int) -> None:
        for name, datagrams in self._arena.receiveFrom(self.fileno(), slots).items():
            if self._receiver is None:
                return
            try:
                self._receiver.datagramsReceivedFrom(datagrams, fromSockaddr(name))
            except Exception:
                # One source's trouble is not the others'.
                self.log.failure("{receiver} failed to take datagrams", receiver=self._receiver)

    def writeTo(self, datagrams: Sequence[Buffer], address: Any) -> None:
        if self._ended:
            return
        done = 0
        with suppress(OSError):  # Its interface is gone.
            done = self._segmenter.send(datagrams, forSocket(address, self.socket.family))
        self._dropped += len(datagrams) - done

    def stopListening(self) -> None:
        if self._ended:
            return
        self._receiver = None
        self._close()
        self._bound.close()

    def connectionLost(self, reason: Failure) -> None:
        """
        The reactor stops, or has lost the descriptor.
        """
        self.stopListening()

    def writeConnectionLost(self, reason: Failure) -> None:
        """
        Not called on a socket that has no end of writing.
        """
