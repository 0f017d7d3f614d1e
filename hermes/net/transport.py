"""
A byte stream over a socket: the transport under everything that is not TLS, and the base of the one that is.

What Twisted's own transport does, it does: half-close, producers, abort, logging. It differs where the hot path pays:
reads go into one buffer that all transports of the process share and are lent to the protocol, writes are tried at once
and copied only where the kernel doesn't take them, and several buffers go out in one system call.
"""

from __future__ import annotations

import socket as sockets
from collections.abc import Callable
from struct import pack
from typing import Any, ClassVar

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import (
    IHalfCloseableDescriptor,
    IHalfCloseableProtocol,
    ILoggingContext,
    IReadWriteDescriptor,
    ISystemHandle,
    ITCPTransport,
)
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from hermes.interfaces import IAttachable, IBorrowingProtocol
from hermes.net.received import received
from hermes.net.sending import SendingSide
from hermes.net.tcpinfo import TCPInfo, tcpInfo
from hermes.net.tuning import tune

RECEIVE_SIZE = 1024 * 1024
"""
How much one read takes at most, in bytes: the size of the shared buffer.
"""

# Reading is synchronous: each transport has delivered what it read before another one reads.
receiveBuffer = bytearray(RECEIVE_SIZE)
receiveView = memoryview(receiveBuffer)


@implementer(IAttachable, ITCPTransport, IReadWriteDescriptor, IHalfCloseableDescriptor, ISystemHandle, ILoggingContext)
class StreamTransport(SendingSide):
    """
    A connected stream socket, TCP or Unix.

    It reads nothing until a protocol is attached. C{attach} may be called again later, by a protocol that has seen
    enough to know its successor: the old protocol hears nothing more, what it holds it passes on itself, and the
    reading goes on without a gap. Data that arrives while reading is paused waits in the kernel.

    A subclass puts something between itself and the socket by replacing the hooks that L{_connectHooks} sets, and
    L{_shutdownWrite}. All raise C{BlockingIOError} where nothing can be done now, any other C{OSError} where the
    connection is broken.

    @cvar leanDispatch: the reactor may call C{doRead} and C{doWrite} without a logging context, see
        L{hermes.net.dispatch}.
    @ivar connected: whether the connection is up.
    @ivar disconnecting: whether C{loseConnection} was called.
    @ivar disconnected: whether the connection has ended.
    @ivar _receiveInto: fills a buffer; returns how many bytes came, 0 at the end of the stream.
    """

    log: ClassVar[Logger] = Logger()
    leanDispatch: ClassVar[bool] = True

    protocol: Any = None
    _aborting: bool = False
    _failed: bool = False
    _reading: bool = False
    _borrowing: bool = False
    _readClosed: bool = False
    _dataReceived: Callable[[Any], object] | None = None
    _receiveInto: Callable[[Any], int]
    _logPrefix: str = ""

    def __init__(
        self, socket: sockets.socket, reactor: Any, host: Any = None, peer: Any = None, tuned: bool = False
    ) -> None:
        """
        @param socket: a connected stream socket; becomes the transport's.
        @param reactor: provides C{IReactorFDSet} and C{IReactorTime}.
        @param host: our address, as an C{IAddress}; without it, the socket is asked when somebody wants to know.
        @param peer: the other end's.
        @param tuned: the socket it was accepted by is tuned, and so it is too.
        """
        super().__init__(reactor)
        socket.setblocking(False)
        self.socket = socket
        self.fileno = socket.fileno
        self._host = host
        self._peer = peer
        if not tuned and socket.family in (sockets.AF_INET, sockets.AF_INET6):
            tune(socket)
        self._connectHooks()

    def _connectHooks(self) -> None:
        """
        Bind the hooks to the socket, so that a call of one is a call of the kernel and nothing between.
        """
        self._receiveInto = self.socket.recv_into
        self._send = self.socket.send
        self._sendMany = self.socket.sendmsg

    def attach(self, protocol: Any) -> None:
        """
        Make C{protocol} the reader, in place of the one before it, if any.
        """
        self.protocol = protocol
        self._dataReceived = protocol.dataReceived
        self._borrowing = IBorrowingProtocol.providedBy(protocol)
        self._logPrefix = ""
        tooLate = self.disconnected
        # Before makeConnection, which may well pause.
        self.resumeProducing()
        protocol.makeConnection(self)
        if tooLate:
            protocol.connectionLost(Failure(ConnectionLost()))

    def release(self) -> sockets.socket:
        """
        Give the socket up to whoever goes on with it: this transport is done, its protocol hears nothing more. Nothing
        may be waiting to be sent. Not from within C{dataReceived}: the reactor is not done with the event then.
        """
        self.stopReading()
        self.stopWriting()
        self.connected = False
        self.disconnected = True
        return self.socket

    # Reading.

    def doRead(self) -> None:
        """
        Read once and deliver.
        """
        try:
            size = self._receiveInto(receiveBuffer)
        except BlockingIOError:
            return
        except OSError as error:
            self.connectionLost(Failure(ConnectionLost(error.strerror)))
            return
        if size:
            received.bytes += size
            self._deliver(size)
        else:
            self._readEnded()

    def _deliver(self, size: int) -> None:
        """
        Hand the first C{size} bytes of the shared buffer to the protocol.
        """
        view = receiveView[:size]
        try:
            self._dataReceived(view if self._borrowing else view.tobytes())  # type: ignore[misc]
        except Exception:
            self.log.failure("{prefix} failed to take data", prefix=self.logPrefix())
            self.abortConnection()

    def _readEnded(self) -> None:
        """
        The peer has ended its direction.
        """
        self.stopReading()
        if self._readClosed or self._aborting:
            return
        self._readClosed = True
        halfCloseable = IHalfCloseableProtocol(self.protocol, None)
        if halfCloseable is None:
            self.connectionLost(Failure(ConnectionDone()))
            return
        self._tell(halfCloseable.readConnectionLost)
        if self._writeClosed and not self._aborting:
            self.connectionLost(Failure(ConnectionDone()))

    def _tell(self, method: Callable[[], object]) -> None:
        try:
            method()
        except Exception:
            self.log.failure("{prefix} failed", prefix=self.logPrefix())
            self.abortConnection()

    def startReading(self) -> None:
        self.resumeProducing()

    def stopReading(self) -> None:
        if self._reading:
            self._reading = False
            self.reactor.removeReader(self)

    def pauseProducing(self) -> None:
        self.stopReading()

    def resumeProducing(self) -> None:
        if self._reading or self._readClosed or self.protocol is None:
            return
        if self.connected and not (self.disconnecting or self._aborting or self._failed):
            self._reading = True
            self.reactor.addReader(self)

    def stopProducing(self) -> None:
        self.loseConnection()

    # Ending.

    def loseConnection(self) -> None:
        """
        Close after what is buffered was sent and the producer, if any, was unregistered. Nothing more is read.
        """
        if not self.connected or self.disconnecting:
            return
        self.disconnecting = True
        self.stopReading()
        if self._writeClosed:
            self.reactor.callLater(0, self.connectionLost, Failure(ConnectionDone()))
        else:
            self.startWriting()

    def loseWriteConnection(self) -> None:
        """
        End our direction after what is buffered; reading goes on. From now on nothing more is taken.
        """
        if self.connected and not (self._writeClosing or self._writeClosed):
            self._writeClosing = True
            self.startWriting()

    def abortConnection(self) -> None:
        """
        Drop what is buffered and reset the connection. The protocol hears of it, as C{ConnectionAborted}, from the
        reactor's next turn.
        """
        if self.disconnected or self._aborting:
            return
        self._aborting = True
        self._stop(Failure(ConnectionAborted()))

    def _fail(self, error: OSError) -> None:
        if not (self._failed or self._aborting):
            self._failed = True
            self._stop(Failure(ConnectionLost(error.strerror)))

    def _stop(self, reason: Failure) -> None:
        """
        Do nothing more, and end from the reactor's next turn.
        """
        self._writeClosed = True
        self._queue.clear()
        self.bufferedBytes = 0
        self.stopReading()
        self.stopWriting()
        self.reactor.callLater(0, self.connectionLost, reason)

    def _endWriting(self) -> None:
        try:
            self._shutdownWrite()
        except BlockingIOError:
            self.startWriting()
            return
        except OSError as error:
            self._fail(error)
            return
        self._writeClosed = True
        halfCloseable = IHalfCloseableProtocol(self.protocol, None)
        if halfCloseable is not None:
            self._tell(halfCloseable.writeConnectionLost)
        if self._readClosed and not self._aborting:
            self.connectionLost(Failure(ConnectionDone()))

    def _shutdownWrite(self) -> None:
        """
        Tell the peer that nothing more comes.
        """
        self.socket.shutdown(sockets.SHUT_WR)

    def _finish(self) -> None:
        self.connectionLost(Failure(ConnectionDone()))

    def readConnectionLost(self, reason: Failure) -> None:
        """
        The reactor saw the end of reading with nothing left to read: an orderly end, or an error on the socket.
        """
        number = self.socket.getsockopt(sockets.SOL_SOCKET, sockets.SO_ERROR)
        if number:
            self.connectionLost(Failure(ConnectionLost()))
        else:
            self._readEnded()

    def writeConnectionLost(self, reason: Failure) -> None:
        self.connectionLost(reason)

    def connectionLost(self, reason: Failure) -> None:
        """
        The connection is over, for whatever reason; only the first call does anything.
        """
        if self.disconnected:
            return
        self.disconnected = True
        self.connected = False
        self._writeClosed = True
        self.stopReading()
        self.stopWriting()
        self._queue.clear()
        self.bufferedBytes = 0
        self._closeSocket(reason.check(ConnectionDone) is not None)
        producer, self._producer = self._producer, None
        protocol, self._dataReceived = self.protocol, None
        if producer is not None:
            self._tell(producer.stopProducing)
        if protocol is not None:
            try:
                protocol.connectionLost(reason)
            except Exception:
                self.log.failure("{prefix} failed to end", prefix=self.logPrefix())

    def _closeSocket(self, orderly: bool) -> None:
        """
        Close the descriptor: with FIN, or, where the end is not orderly, with RST.
        """
        try:
            if orderly:
                self.socket.shutdown(sockets.SHUT_RDWR)
            else:
                self.socket.setsockopt(sockets.SOL_SOCKET, sockets.SO_LINGER, pack("ii", 1, 0))
        except OSError:
            pass  # The peer was faster.
        self.socket.close()

    # What it is.

    def getHost(self) -> Any:
        if self._host is None:
            self._host = addressOf(self.socket, self.socket.getsockname())
        return self._host

    def getPeer(self) -> Any:
        if self._peer is None:
            self._peer = addressOf(self.socket, self.socket.getpeername())
        return self._peer

    def getHandle(self) -> Any:
        """
        The socket.
        """
        return self.socket

    def tcpInfo(self) -> TCPInfo | None:
        """
        What the kernel knows of the connection; L{None} where there is none any more.
        """
        return tcpInfo(self.socket) if self.connected else None

    def getTcpNoDelay(self) -> bool:
        # A Unix socket delays nothing, and knows no such option.
        if self.socket.family == sockets.AF_UNIX:
            return True
        return bool(self.socket.getsockopt(sockets.IPPROTO_TCP, sockets.TCP_NODELAY))

    def setTcpNoDelay(self, enabled: bool) -> None:
        if self.socket.family != sockets.AF_UNIX:
            self.socket.setsockopt(sockets.IPPROTO_TCP, sockets.TCP_NODELAY, enabled)

    def getTcpKeepAlive(self) -> bool:
        return bool(self.socket.getsockopt(sockets.SOL_SOCKET, sockets.SO_KEEPALIVE))

    def setTcpKeepAlive(self, enabled: bool) -> None:
        self.socket.setsockopt(sockets.SOL_SOCKET, sockets.SO_KEEPALIVE, enabled)

    def logPrefix(self) -> str:
        if not self._logPrefix:
            named = ILoggingContext(self.protocol, None)
            self._logPrefix = named.logPrefix() if named is not None else type(self.protocol).__name__
        return self._logPrefix


def addressOf(socket: sockets.socket, name: Any) -> IPv4Address | IPv6Address | UNIXAddress:
    """
    The Twisted address for what C{getsockname}, C{getpeername} or C{accept} gave.
    """
    if socket.family == sockets.AF_INET:
        return IPv4Address("TCP", *name)
    if socket.family == sockets.AF_INET6:
        return IPv6Address("TCP", *name)
    return UNIXAddress(name or None)
