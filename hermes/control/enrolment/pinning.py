"""
Finding the authority that a token names: by its fingerprint, among the certificates that the controller shows.

Nothing is trusted of who shows it. A fingerprint has one certificate, whoever passes it on; what follows is an ordinary
handshake, with that as the one authority.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cryptography import x509
from OpenSSL import SSL
from twisted.internet.protocol import Factory, Protocol

from hermes.control.enrolment.authority import fingerprintOf
from hermes.control.enrolment.errors import NotTheController
from hermes.values import ANONYMOUS, Identity


class UnverifiedCredentials:
    """
    TLS for a client that trusts nobody, and says nothing.

    @ivar revoked: none: all the same.
    """

    revoked = None

    def __init__(self, protocols: tuple[bytes, ...], serverName: bytes) -> None:
        """
        @param protocols: ALPN.
        """
        self._context = SSL.Context(SSL.TLS_METHOD)
        self._context.set_min_proto_version(SSL.TLS1_2_VERSION)
        self._context.set_verify(SSL.VERIFY_NONE, lambda *arguments: True)
        self._context.set_alpn_protos(list(protocols))
        self._serverName = serverName

    def connection(self) -> SSL.Connection:
        """
        A connection for one handshake, between two buffers.
        """
        connection = SSL.Connection(self._context)
        connection.set_tlsext_host_name(self._serverName)
        connection.set_connect_state()
        return connection

    def identity(self, connection: SSL.Connection) -> Identity:
        """
        Nobody's.
        """
        return ANONYMOUS


class Looking(Protocol):
    """
    Looks at the certificates of a connection, and ends it.

    @ivar shown: those that the peer has shown.
    """

    transport: Any

    def __init__(self) -> None:
        self.shown: Sequence[x509.Certificate] = ()

    def connectionMade(self) -> None:
        self.shown = self.transport.getPeerCertificates()
        self.transport.loseConnection()


async def findAuthority(endpoint: Any, fingerprint: bytes) -> x509.Certificate:
    """
    The authority with this fingerprint.

    @param endpoint: connects, with L{UnverifiedCredentials}.
    @raise NotTheController: where it is not shown.
    @raise hermes.errors.HermesError: where nobody can be connected to.
    """
    looking = await endpoint.connect(Factory.forProtocol(Looking))
    for certificate in looking.shown:
        if fingerprintOf(certificate) == fingerprint:
            return certificate  # type: ignore[no-any-return]
    raise NotTheController("who answers there is not the controller that made the token")
