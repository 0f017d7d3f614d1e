"""
TLS over a socket. See L{hermes.net.openssl} for why OpenSSL is not given the socket itself.
"""

from __future__ import annotations

import socket as sockets
from contextlib import suppress
from typing import Any

from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import INegotiated
from twisted.python.failure import Failure
from zope.interface import implementer

from hermes.net import transport
from hermes.net.handshake import Credentials
from hermes.net.received import received
from hermes.net.session import TLSSession, truncated
from hermes.net.transport import StreamTransport
from hermes.values import Buffer

HANDSHAKE_READ = 64 * 1024
"""
How much is read at once, in bytes, from a peer that has not shown who it is.
"""


LINGER = 2.0
"""
How long a peer whose certificate was refused may take to read why, in seconds. What a closed socket has not read makes
the kernel reset the connection, and the alert is lost with it.
"""
LINGER_READ = 1024 * 1024
"""
How much more it may send meanwhile, in bytes.
"""


@implementer(INegotiated)
class TLSTransport(TLSSession, StreamTransport):
    """
    A connected socket that speaks TLS; see L{TLSSession}. What the kernel does not take at once waits as ciphertext.
    """

    _lingering: Any = None
    _lingerLeft: int = LINGER_READ

    def __init__(
        self,
        socket: sockets.socket,
        reactor: Any,
        credentials: Credentials,
        host: Any = None,
        peer: Any = None,
        tuned: bool = False,
    ) -> None:
        """
        @param credentials: L{hermes.net.certificates.ServerCredentials} or C{ClientCredentials}: which of the two says
            which side we are on.
        """
        StreamTransport.__init__(self, socket, reactor, host, peer, tuned)
        self._startSession(credentials)

    def attach(self, protocol: Any) -> None:
        if not self._established and not self.disconnected:
            raise RuntimeError("the TLS handshake is not done")
        super().attach(protocol)

    # Reading.

    def doRead(self) -> None:
        view = transport.receiveView
        try:
            size = self.socket.recv_into(view if self._established else view[:HANDSHAKE_READ])
        except BlockingIOError:
            return
        except OSError as error:
            self.connectionLost(Failure(ConnectionLost(error.strerror)))
            return
        if self._lingering is not None:
            self._lingerLeft -= size
            if not size or self._lingerLeft < 0:
                self._endLinger()
        elif size:
            received.bytes += size
            self._receive(view[:size])
        else:
            self.connectionLost(truncated())

    def _listen(self) -> None:
        self._reading = True
        self.reactor.addReader(self)

    def _hold(self) -> None:
        self.stopReading()

    def _isReading(self) -> bool:
        return self._reading

    def resumeProducing(self) -> None:
        super().resumeProducing()
        if self._held and self._reading:
            self._resume()

    def _closeNotified(self) -> None:
        if self.connected:
            self._readEnded()

    # Writing.

    def _sendNow(self, data: Buffer) -> None:
        if len(data) and self.connected and not self._failed:
            self._emit(data)

    def _takesData(self) -> bool:
        return not (self._writeClosed or self._writeClosing)

    # Ending.

    def _broken(self, reason: Failure) -> None:
        # Perhaps from within write(): the protocol hears of it later.
        self._failed = True
        self._stop(reason)

    def _giveUp(self, refused: bool) -> None:
        self._failed = True
        if not refused:
            self.stopReading()
            self.reactor.callLater(0, self._endLinger)
            return
        with suppress(OSError):
            self.socket.shutdown(sockets.SHUT_WR)
        self.startReading()
        self._lingering = self.reactor.callLater(LINGER, self._endLinger)

    def _endLinger(self) -> None:
        self.connectionLost(Failure(ConnectionLost("the TLS handshake failed")))

    def _shutdownWrite(self) -> None:
        # TCP itself stays open both ways: the peer has its own close_notify to send.
        self._sendClose()
        if self._queue:
            raise BlockingIOError

    def _finish(self) -> None:
        try:
            self._shutdownWrite()
        except BlockingIOError:
            self.startWriting()
            return
        super()._finish()

    def readConnectionLost(self, reason: Failure) -> None:
        self.connectionLost(truncated())

    def _closeSocket(self, orderly: bool) -> None:
        if orderly and self._established and not self._closeSent:
            self._closeSent = True
            # Nobody may be there to read it, or it may find no room: the end is near in any case.
            with suppress(OSError):
                self.socket.send(self._records.closeNotify())
        super()._closeSocket(orderly)

    def connectionLost(self, reason: Failure) -> None:
        if not self.disconnected:
            if self._lingering is not None and self._lingering.active():
                self._lingering.cancel()
            super().connectionLost(reason)
            self._sessionLost()
