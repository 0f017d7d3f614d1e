"""
The handshake of a TLS connection, over whatever carries its bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from OpenSSL import SSL
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionLost
from twisted.python.failure import Failure

from hermes.errors import HermesError, HopUnavailable, HopUntrusted, TargetTimeout
from hermes.net.certificates import errorText
from hermes.net.openssl import RecordLayer
from hermes.net.revocation import RevokedCertificates
from hermes.values import ANONYMOUS, Buffer, Identity

HANDSHAKE_TIMEOUT = 10.0
"""
How long a handshake may take, in seconds, unless told otherwise.
"""


class Credentials(Protocol):
    """
    What L{hermes.net.certificates.ServerCredentials} and C{ClientCredentials} have in common.
    """

    @property
    def revoked(self) -> RevokedCertificates | None:
        """
        Whose certificates are refused; connections of theirs that stand are ended.
        """

    def connection(self) -> SSL.Connection:
        """
        A connection for one handshake, between two buffers.
        """

    def identity(self, connection: SSL.Connection) -> Identity:
        """
        Who the peer is, after the handshake.
        """


class Handshake:
    """
    One handshake.

    @ivar done: whether it succeeded.
    @ivar result: fires then; errback with L{HopUntrusted} where a certificate was not accepted, L{TargetTimeout} where
        it took too long, L{HopUnavailable} where it failed otherwise.
    @ivar identity: who the peer is, once done.
    @ivar negotiatedProtocol: what ALPN chose, once done, or L{None}.
    """

    done: bool = False
    identity: Identity = ANONYMOUS
    negotiatedProtocol: bytes | None = None

    def __init__(
        self,
        records: RecordLayer,
        credentials: Credentials,
        send: Callable[[Buffer], object],
        end: Callable[[bool], object],
        clock: Any,
        timeout: float,
    ) -> None:
        """
        @param send: takes bytes for the peer.
        @param end: ends the connection after a failure; its argument says whether the peer's certificate was refused,
            and the peer may want to read why.
        @param clock: provides C{IReactorTime}.
        @param timeout: in seconds.
        """
        self._records = records
        self._credentials = credentials
        self._send = send
        self._end = end
        self._timeout = clock.callLater(timeout, self._expired)
        self.result: Deferred[None] = Deferred(lambda _: self.fail(HopUnavailable("cancelled")))

    def advance(self) -> bool:
        """
        Go as far as possible with what the record layer was fed. C{result} does not fire before C{succeed}.

        @return: whether the handshake is complete.
        """
        connection = self._records.connection
        try:
            connection.do_handshake()
        except SSL.WantReadError:
            self._send(self._records.take())
            return False
        except (SSL.Error, HermesError) as error:
            # The alert that tells the peer why.
            self._send(self._records.take())
            refused = isinstance(error, HermesError) or "certificate" in errorText(error)
            self.fail(error if isinstance(error, HermesError) else _handshakeError(error), refused)
            return False
        self._send(self._records.take())
        self.identity = self._credentials.identity(connection)
        self.negotiatedProtocol = connection.get_alpn_proto_negotiated() or None
        self.done = True
        return True

    def succeed(self) -> None:
        """
        Tell whoever waits.
        """
        if self._timeout.active():
            self._timeout.cancel()
            self.result.callback(None)

    def fail(self, error: Exception, refused: bool = False) -> None:
        """
        Give up; does nothing when it is over already.

        @param refused: whether it is the peer's certificate that was not accepted.
        """
        if self._timeout.active():
            self._timeout.cancel()
            self._failed(error, refused)

    def _expired(self) -> None:
        self._failed(TargetTimeout("the TLS handshake took too long"))

    def _failed(self, error: Exception, refused: bool = False) -> None:
        self._end(refused)
        if not self.result.called:
            self.result.errback(Failure(error))


# Alerts (RFC 8446 section 6.2) that say that our certificate is the trouble.
_aboutOurCertificate: tuple[str, ...] = ("certificate", "unknown ca", "access denied")


def _isAboutUs(text: str) -> bool:
    return "alert" in text and any(word in text for word in _aboutOurCertificate)


def _handshakeError(error: SSL.Error) -> HermesError:
    text = errorText(error)
    if _isAboutUs(text):
        return HopUntrusted(f"the peer did not accept our certificate: {text}")
    return HopUnavailable(f"TLS with the peer failed: {text}")


def lostReason(error: SSL.Error) -> Failure:
    """
    Why a connection is lost that was up: with TLS 1.3, a server's refusal of our certificate comes this late.
    """
    text = errorText(error)
    if _isAboutUs(text):
        return Failure(HopUntrusted(f"the peer did not accept our certificate: {text}"))
    return Failure(ConnectionLost(text))
