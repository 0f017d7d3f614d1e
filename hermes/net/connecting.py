"""
Connecting a stream socket without waiting for it.
"""

from __future__ import annotations

from errno import EAGAIN, EALREADY, EINPROGRESS, EISCONN
from os import strerror
from socket import AF_INET, AF_INET6, AF_UNIX, SO_ERROR, SOCK_STREAM, SOL_SOCKET, socket
from typing import Any, ClassVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReadWriteDescriptor
from twisted.python.failure import Failure
from zope.interface import implementer

from hermes.net.names import forSocket
from hermes.net.sockets import setMark
from hermes.values import Address

FULL_BACKLOG_DELAY = 0.02
"""
A Unix socket whose listener is behind says so at once; in how many seconds to ask it again.
"""


def connectSocket(reactor: Any, address: Address | str, mark: int | None = None) -> Deferred[socket]:
    """
    Connect to a numeric address or a Unix socket's path. Cancelling closes the socket.

    @param reactor: provides C{IReactorFDSet} and C{IReactorTime}.
    @param mark: see L{setMark}.
    @return: fires with a connected, non-blocking socket. Errback with C{OSError}.
    """
    return _Connecting(reactor, address, mark).start()


@implementer(IReadWriteDescriptor)
class _Connecting:
    """
    A socket on its way to being connected: it becomes writable, or has an error.
    """

    leanDispatch: ClassVar[bool] = True

    def __init__(self, reactor: Any, address: Address | str, mark: int | None) -> None:
        family = AF_UNIX if isinstance(address, str) else AF_INET6 if ":" in address[0] else AF_INET
        self._reactor = reactor
        self._name = forSocket(address, family)
        self._connected: Deferred[socket] = Deferred(self._cancelled)
        self._retry: IDelayedCall | None = None
        self._family = family
        self._mark = mark
        self._socket: socket | None = None

    def start(self) -> Deferred[socket]:
        try:
            self._socket = socket(self._family, SOCK_STREAM)
            self._socket.setblocking(False)
            # Before it is connected: that is when it is routed.
            setMark(self._socket, self._mark)
            self._connect()
        except OSError as error:
            self._fail(error)
        return self._connected

    def _connect(self) -> None:
        assert self._socket is not None
        self._retry = None
        number = self._socket.connect_ex(self._name)
        if number == EINPROGRESS:
            # Over loopback it is done by now, and a turn of the reactor is saved.
            number = self._socket.connect_ex(self._name)
        if number in (0, EISCONN):
            self._succeed()
        elif number == EALREADY:
            self._reactor.addWriter(self)
        elif number == EAGAIN and self._family == AF_UNIX:
            self._retry = self._reactor.callLater(FULL_BACKLOG_DELAY, self._connect)
        else:
            self._fail(OSError(number, strerror(number)))

    def fileno(self) -> int:
        return -1 if self._socket is None else self._socket.fileno()

    def doRead(self) -> None:
        """
        Never asked for.
        """

    def doWrite(self) -> None:
        """
        The attempt has ended.
        """
        assert self._socket is not None
        self._reactor.removeWriter(self)
        number = self._socket.getsockopt(SOL_SOCKET, SO_ERROR)
        if number:
            self._fail(OSError(number, strerror(number)))
        else:
            self._succeed()

    def connectionLost(self, reason: Failure) -> None:
        """
        The reactor saw an error, or stops.
        """
        if self._socket is not None:
            number = self._socket.getsockopt(SOL_SOCKET, SO_ERROR)
            self._fail(OSError(number, strerror(number)) if number else reason)

    def _succeed(self) -> None:
        sock, self._socket = self._socket, None
        assert sock is not None
        self._connected.callback(sock)

    def _fail(self, reason: OSError | Failure) -> None:
        self._close()
        self._connected.errback(reason)

    def _cancelled(self, connected: Deferred[socket]) -> None:
        self._close()

    def _close(self) -> None:
        sock, self._socket = self._socket, None
        if self._retry is not None:
            self._retry.cancel()
        if sock is not None:
            self._reactor.removeWriter(self)
            sock.close()

    def logPrefix(self) -> str:
        return "connecting"
