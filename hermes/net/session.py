"""
One end of a TLS connection, whatever carries its bytes: what L{hermes.net.tls} and L{hermes.net.memorytls} share.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from cryptography import x509
from OpenSSL import SSL
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionLost
from twisted.logger import Logger
from twisted.python.failure import Failure

from hermes.errors import HopUnavailable
from hermes.net.handshake import HANDSHAKE_TIMEOUT, Credentials, Handshake, lostReason
from hermes.net.openssl import RecordLayer, inRecords
from hermes.values import ANONYMOUS, Buffer, Identity


class TLSSession:
    """
    Turns what is written into ciphertext, and ciphertext into what is read.

    First C{handshake}, then C{attach}: a protocol is never connected to a peer that was refused.

    Ending is exact: ending our direction, or both, sends close_notify; the peer's close_notify ends its direction as a
    FIN would (RFC 8446 section 6.1 lets ours go on), and an end without it is a C{ConnectionLost}, since anybody on the
    way could have cut the stream there.

    @ivar identity: the peer's, once the handshake is done.
    @ivar negotiatedProtocol: what ALPN chose, or L{None}.
    """

    log: ClassVar[Logger] = Logger()

    identity: Identity = ANONYMOUS
    negotiatedProtocol: bytes | None = None
    _handshake: Handshake | None = None
    _established: bool = False
    _held: bool = False
    _closeSent: bool = False
    _revocable: int | None = None
    _dataReceived: Any
    _borrowing: bool
    reactor: Any

    def _startSession(self, credentials: Credentials) -> None:
        self._credentials = credentials
        self._records = RecordLayer(credentials.connection())

    def handshake(self, timeout: float = HANDSHAKE_TIMEOUT, early: bytes = b"") -> Deferred[None]:
        """
        Shake hands. Called once.

        @param timeout: in seconds.
        @param early: what the peer has sent already.
        @return: fires once the peer is who it must be; errback with L{HopUntrusted} where a certificate was not
            accepted, L{TargetTimeout} where it took too long, L{HopUnavailable} where it failed otherwise. The
            transport is then closed. Cancel it to give up.
        """
        handshake = Handshake(self._records, self._credentials, self._sendNow, self._giveUp, self.reactor, timeout)
        self._handshake = handshake
        self._listen()
        self._shake(early)
        return handshake.result

    def getPeerCertificate(self) -> Any:
        """
        The peer's certificate, as a pyOpenSSL C{X509}, or L{None}.
        """
        return self._records.connection.get_peer_certificate()

    def getPeerCertificates(self) -> Sequence[x509.Certificate]:
        """
        All that the peer has shown, its own first.
        """
        return self._records.connection.get_peer_cert_chain(as_cryptography=True) or ()

    # Reading.

    def _receive(self, ciphertext: Buffer) -> None:
        """
        Ciphertext arrived.
        """
        if self._established:
            self._decrypt(ciphertext)
        else:
            self._shake(ciphertext)

    def _shake(self, ciphertext: Buffer) -> None:
        self._records.feed(ciphertext)
        handshake = self._handshake
        if handshake is not None and handshake.advance():
            self.identity = handshake.identity
            self.negotiatedProtocol = handshake.negotiatedProtocol
            self._handshake = None
            self._established = True
            # Data may have come with the end of the handshake; OpenSSL holds it, and no event will tell.
            self._held = True
            self._hold()
            self._join()
            handshake.succeed()

    def _join(self) -> None:
        """
        The peer may be shut out while the connection stands.
        """
        revoked = self._credentials.revoked
        certificate = None if revoked is None else self.getPeerCertificate()
        if revoked is not None and certificate is not None:
            self._revocable = certificate.get_serial_number()
            revoked.joined(self, self._revocable)

    def _resume(self) -> None:
        """
        Reading goes on.
        """
        if self._held:
            self._held = False
            self.reactor.callLater(0, self._readHeld)

    def _readHeld(self) -> None:
        if self._isReading():
            self._decrypt(b"")
        else:
            self._held = True

    def _decrypt(self, ciphertext: Buffer) -> None:
        records = self._records
        try:
            records.decrypt(ciphertext, self._take, self._sendNow)
        except SSL.Error as error:
            self._broken(lostReason(error))
            return
        if records.closeReceived:
            self._closeNotified()

    def _take(self, plaintext: memoryview) -> None:
        """
        Hand plaintext to the protocol.
        """
        if self._dataReceived is None:
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
        if self._takesData():
            try:
                self._records.encrypt(pieces, self._sendNow)
            except SSL.Error as error:
                self._broken(lostReason(error))

    def _sendClose(self) -> None:
        """
        Send close_notify, once.
        """
        if self._established and not self._closeSent:
            self._closeSent = True
            self._sendNow(self._records.closeNotify())

    def _sessionLost(self) -> None:
        """
        What carried us is gone.
        """
        revoked = self._credentials.revoked
        if revoked is not None and self._revocable is not None:
            revoked.left(self, self._revocable)
        handshake, self._handshake = self._handshake, None
        if handshake is not None:
            handshake.fail(HopUnavailable("the peer closed the connection during the TLS handshake"))

    # What the one who carries the bytes fills in.

    def _sendNow(self, data: Buffer) -> None:
        """
        Send ciphertext, borrowed; it may be empty.
        """
        raise NotImplementedError

    def _listen(self) -> None:
        """
        Read what the handshake needs.
        """
        raise NotImplementedError

    def _hold(self) -> None:
        """
        Read no more until a protocol is attached.
        """
        raise NotImplementedError

    def _isReading(self) -> bool:
        """
        Whether the protocol may be given data.
        """
        raise NotImplementedError

    def _takesData(self) -> bool:
        """
        Whether the protocol may still write.
        """
        raise NotImplementedError

    def _closeNotified(self) -> None:
        """
        The peer has ended its direction. May be called again.
        """
        raise NotImplementedError

    def _broken(self, reason: Failure) -> None:
        """
        The connection can't go on.
        """
        raise NotImplementedError

    def _giveUp(self, refused: bool) -> None:
        """
        The handshake failed; what was sent last is an alert, to go before the end if it can. A peer whose certificate
        was C{refused} may be up already on its side (TLS 1.3) and be writing.
        """
        raise NotImplementedError

    if TYPE_CHECKING:
        # Part of the transport that this is mixed into, and not to be hidden from it.
        def abortConnection(self) -> None: ...

        def logPrefix(self) -> str: ...


def truncated() -> Failure:
    """
    Why a connection is lost that ended without close_notify.
    """
    return Failure(ConnectionLost("the peer closed without close_notify"))
