"""
TLS over a socket. See L{hermes.net.openssl} for why OpenSSL is not given the socket itself.
"""

from __future__ import annotations

import socket as sockets
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from OpenSSL import SSL
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import INegotiated
from twisted.python.failure import Failure
from zope.interface import implementer

from hermes.errors import HopUnavailable
from hermes.net import transport
from hermes.net.handshake import HANDSHAKE_TIMEOUT, Credentials, Handshake, lostReason
from hermes.net.openssl import RecordLayer, inRecords
from hermes.net.transport import StreamTransport
from hermes.values import ANONYMOUS, Buffer, Identity

HANDSHAKE_READ = 64 * 1024
"""
How much is read at once, in bytes, from a peer that has not shown who it is.
"""


@implementer(INegotiated)
class TLSTransport(StreamTransport):
    """
    A connected socket that speaks TLS.

    First C{handshake}, then C{attach}: the protocol is never connected to a peer that was refused.

    Ending is exact: C{loseWriteConnection} and C{loseConnection} send close_notify; the peer's close_notify ends its
    direction as a FIN would (RFC 8446 section 6.1 lets ours go on), and an end without it is a C{ConnectionLost},
    since anybody on the way could have cut the stream there.

    What the kernel does not take at once waits as ciphertext.

    @ivar identity: the peer's, once the handshake is done.
    @ivar negotiatedProtocol: what ALPN chose, or L{None}.
    """

    identity: Identity = ANONYMOUS
    negotiatedProtocol: bytes | None = None
    _handshake: Handshake | None = None
    _established: bool = False
    _held: bool = False
    _closeSent: bool = False

    def __init__(
        self, socket: sockets.socket, reactor: Any, credentials: Credentials, host: Any = None, peer: Any = None
    ) -> None:
        """
        @param credentials: L{hermes.net.certificates.ServerCredentials} or C{ClientCredentials}: which of the two says
            which side we are on.
        """
        super().__init__(socket, reactor, host, peer)
        self._credentials = credentials
        self._records = RecordLayer(credentials.connection())

    def handshake(self, timeout: float = HANDSHAKE_TIMEOUT) -> Deferred[None]:
        """
        Shake hands. Called once.

        @return: fires once the peer is who it must be; see L{Handshake}. If it fails, the transport is closed. Cancel
            it to give up.
        """
        handshake = Handshake(self._records, self._credentials, self._sendNow, self._giveUp, self.reactor, timeout)
        self._handshake = handshake
        self._startReading()
        handshake.advance()
        return handshake.result

    def _startReading(self) -> None:
        self._reading = True
        self.reactor.addReader(self)

    def _sendNow(self, data: Buffer) -> None:
        if len(data):
            self._emit(data)

    def _giveUp(self) -> None:
        """
        The handshake failed. What is buffered is an alert; it goes if it can.
        """
        self.stopReading()
        self.reactor.callLater(0, self.connectionLost, Failure(ConnectionLost("TLS handshake failed")))

    def attach(self, protocol: Any) -> None:
        if not self._established and not self.disconnected:
            raise RuntimeError("the TLS handshake is not done")
        super().attach(protocol)

    def getPeerCertificate(self) -> Any:
        """
        The peer's certificate, as a pyOpenSSL C{X509}, or L{None}.
        """
        return self._records.connection.get_peer_certificate()

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
        if not size:
            self.connectionLost(Failure(ConnectionLost("the peer closed without close_notify")))
        elif self._established:
            self._decrypt(view[:size])
        else:
            self._shake(view[:size])

    def _shake(self, ciphertext: Buffer) -> None:
        handshake = self._handshake
        assert handshake is not None
        self._records.feed(ciphertext)
        if handshake.advance():
            self.identity = handshake.identity
            self.negotiatedProtocol = handshake.negotiatedProtocol
            self._handshake = None
            self._established = True
            # Data may have come with the end of the handshake; OpenSSL holds it, and the kernel won't tell.
            self._held = True
            self.stopReading()
            handshake.succeed()

    def resumeProducing(self) -> None:
        super().resumeProducing()
        if self._held and self._reading:
            self._held = False
            self.reactor.callLater(0, self._readHeld)

    def _readHeld(self) -> None:
        if self._reading:
            self._decrypt(b"")
        else:
            self._held = True

    def _decrypt(self, ciphertext: Buffer) -> None:
        try:
            self._records.decrypt(ciphertext, self._take, self._sendNow)
        except SSL.Error as error:
            self.connectionLost(lostReason(error))
            return
        if self._records.closeReceived and self.connected:
            self._readEnded()

    def _take(self, plaintext: memoryview) -> None:
        """
        Hand plaintext to the protocol.
        """
        if self._dataReceived is None or self._aborting:
            return
        try:
            self._dataReceived(plaintext if self._borrowing else plaintext.tobytes())
        except Exception:
            self.log.failure("{prefix} failed to take data", prefix=self.logPrefix())
            self.abortConnection()

    # Writing.

    def write(self, data: Buffer) -> None:
        if len(data):
            self._encrypt((data,))

    def writeSequence(self, iovec: Iterable[Buffer]) -> None:
        self._encrypt(inRecords(iovec))

    def _encrypt(self, pieces: Iterable[Buffer]) -> None:
        if self._writeClosed or self._writeClosing:
            return
        try:
            self._records.encrypt(pieces, self._emit)
        except SSL.Error as error:
            self._fail(OSError(0, str(lostReason(error).value)))

    # Ending.

    def _shutdownWrite(self) -> None:
        """
        Send close_notify. TCP itself stays open both ways: the peer has its own to send.
        """
        if not self._closeSent:
            self._closeSent = True
            self._sendNow(self._records.closeNotify())
        if self._queue:
            raise BlockingIOError

    def _finish(self) -> None:
        try:
            self._shutdownWrite()
        except BlockingIOError:
            self.startWriting()
            return
        super()._finish()

    def _closeSocket(self, orderly: bool) -> None:
        if orderly and self._established and not self._closeSent:
            self._closeSent = True
            # Nobody may be there to read it, or it may find no room: the end is near in any case.
            with suppress(OSError):
                self.socket.send(self._records.closeNotify())
        super()._closeSocket(orderly)

    def connectionLost(self, reason: Failure) -> None:
        if self.disconnected:
            return
        super().connectionLost(reason)
        handshake, self._handshake = self._handshake, None
        if handshake is not None:
            handshake.fail(HopUnavailable("the peer closed the connection during the TLS handshake"))
