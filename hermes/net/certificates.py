"""
Who we are and whom we trust: certificates, and the TLS contexts made of them.

A node's name is in its certificate as the URI C{hermes://NAME}. Names are compared in lower case, as the host of a URI
is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from typing import Any

from attrs import define, field
from cryptography import x509
from OpenSSL import SSL
from service_identity import CertificateError, VerificationError
from service_identity.hazmat import (
    DNS_ID,
    ServiceID,
    verify_service_identity,
)
from zope.interface import implementer

from hermes.errors import HermesError, HopUntrusted
from hermes.interfaces import IServerCredentials
from hermes.net.authority import OverlayAuthority
from hermes.net.certificatenames import identityOf, nodeNames, patternsOf, serviceID
from hermes.net.openssl import setVerify
from hermes.net.revocation import RevokedCertificates
from hermes.values import Identity

__all__ = ["ClientCredentials", "CredentialsError", "OverlayAuthority", "ServerCredentials", "identityOf", "nodeNames"]

# AES-128 costs less than AES-256 and is no weaker against anybody there is.
CIPHER_SUITES = b"TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
CIPHERS_BEFORE_1_3 = (
    b"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
    b"ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
)

# OpenSSL's SSL_MODE_ENABLE_PARTIAL_WRITE, which pyOpenSSL sets and doesn't name.
_PARTIAL_WRITE = 0x1

# pyOpenSSL has it; the types that are published for it don't.
_NO_RENEGOTIATION: int = getattr(SSL, "OP_NO_RENEGOTIATION")  # noqa: B009

# What OpenSSL finds in files that were to be loaded.
_fileErrors = {
    "no start line": "it holds no certificate in PEM form",
    "no certificate or crl found": "it holds no certificate in PEM form",
    "unsupported": "it holds no private key in PEM form",
    "bad decrypt": "the key is encrypted: keep it without a passphrase, readable by the node alone",
    "bad base64 decode": "its PEM is damaged",
    "bad end line": "its PEM is damaged",
    "key values mismatch": "the key is not that of the certificate",
}

# RFC 5280's path validation, as OpenSSL numbers what it found (X509_V_ERR_*).
_verifyErrors = {
    9: "it is not valid yet",
    10: "it has expired",
    18: "it is self-signed",
    19: "its authority is not in the trust bundle",
    20: "its authority is not in the trust bundle",
    21: "its authority is not in the trust bundle",
    23: "it was revoked",
    26: "it was not issued for this use",
}


_REVOKED = 23
_OTHER_NAME = 62


class CredentialsError(HermesError):
    """
    A certificate, key or trust bundle can't be used; the text names the file.
    """


def _loading(what: str, load: Callable[..., object], *arguments: object) -> None:
    """
    Call C{load}, and say C{what} could not be loaded where it fails.
    """
    try:
        load(*arguments)
    except OSError as error:
        raise CredentialsError(f"{what}: {error.strerror}") from error
    except (SSL.Error, ValueError) as error:
        raise CredentialsError(f"{what}: {_whyNot(error)}") from error


def _whyNot(error: Exception) -> str:
    """
    Why a file could not be loaded. OpenSSL's last word is often no more than which of its libraries failed; its first
    says of what.
    """
    queue = error.args[0] if error.args else None
    first = str(queue[0][2]) if isinstance(queue, list) and queue else ""
    return _fileErrors.get(first) or errorText(error)


def errorText(error: Exception) -> str:
    """
    OpenSSL's words for an error.
    """
    queue = error.args[0] if error.args else None
    if isinstance(error, SSL.Error) and isinstance(queue, list) and queue:
        return str(queue[-1][2])
    return str(error) or "the connection is broken"


def _checkReadable(path: str) -> None:
    with open(path, "rb"):
        pass


def _newContext(certificateFile: str | None, keyFile: str | None, trustFile: str | None) -> SSL.Context:
    """
    What both sides have in common.

    @raise CredentialsError: where a file can't be used.
    """
    context = SSL.Context(SSL.TLS_METHOD)
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    # A resumed session would skip the check against a trust bundle that has changed since.
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.set_options(SSL.OP_NO_COMPRESSION | SSL.OP_NO_TICKET | SSL.OP_CIPHER_SERVER_PREFERENCE)
    context.set_mode(SSL.MODE_RELEASE_BUFFERS)
    context.set_cipher_list(CIPHERS_BEFORE_1_3)
    # The published types lag behind pyOpenSSL.
    untyped: Any = context
    untyped.set_options(_NO_RENEGOTIATION)
    untyped.set_tls13_ciphersuites(CIPHER_SUITES)
    # With memory BIOs a write never blocks, so it need not stop after each record.
    untyped.clear_mode(_PARTIAL_WRITE)
    # OpenSSL would ask at the terminal.
    context.set_passwd_cb(lambda *arguments: b"")
    for path in (certificateFile, keyFile, trustFile):
        if path is not None:
            _loading(path, _checkReadable, path)
    if certificateFile is not None:
        if keyFile is None:
            raise CredentialsError(f"{certificateFile}: a certificate needs its key")
        _loading(certificateFile, context.use_certificate_chain_file, certificateFile)
        _loading(keyFile, context.use_privatekey_file, keyFile)
        _loading(f"{keyFile} and {certificateFile}", context.check_privatekey)
    if trustFile is not None:
        _loading(trustFile, context.load_verify_locations, trustFile)
    return context


def _untrusted(whose: str, error: int) -> HopUntrusted:
    why = _verifyErrors.get(error, f"X.509 error {error}")
    return HopUntrusted(f"{whose} certificate was not accepted: {why}", error)


def _checkRevoked(whose: str, certificate: Any, revoked: RevokedCertificates | None) -> None:
    if revoked is not None and revoked.serials and revoked.covers(certificate.to_cryptography()):
        raise _untrusted(whose, _REVOKED)


def _peerIdentity(connection: SSL.Connection) -> Identity:
    certificate = connection.get_peer_certificate()
    return identityOf(certificate.to_cryptography() if certificate is not None else None)


@implementer(IServerCredentials)
@define(eq=False)
class ServerCredentials:
    """
    TLS for a server. A client may show a certificate; one that the trust bundle does not cover is refused. Whether a
    client must have one is for the listener to say.

    @ivar certificateFile: PEM, our certificate and what stands between it and the root.
    @ivar keyFile: PEM.
    @ivar trustFile: PEM, the roots of clients' certificates; without it none is asked for.
    @ivar protocols: ALPN, best first. A client that offers only others is refused (RFC 7301 section 3.2).
    @ivar revoked: whose certificates are refused all the same.
    @raise CredentialsError: on construction, where a file can't be used.
    """

    certificateFile: str
    keyFile: str
    trustFile: str | None = None
    protocols: Sequence[bytes] = (b"h2", b"http/1.1")
    revoked: RevokedCertificates | None = None
    _context: SSL.Context = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._context = self._load()

    def reload(self) -> None:
        """
        Read the files again; handshakes that begin from now on use them.

        @raise CredentialsError: where they can't be used: the old ones stay in use.
        """
        self._context = self._load()

    def _load(self) -> SSL.Context:
        context = _newContext(self.certificateFile, self.keyFile, self.trustFile)
        context.set_alpn_select_callback(self._selectProtocol)
        if self.trustFile is not None:
            _loading(self.trustFile, context.load_client_ca, self.trustFile.encode())
            setVerify(context, self._verify)
        return context

    def _selectProtocol(self, connection: SSL.Connection, offered: list[bytes]) -> bytes:
        for protocol in self.protocols:
            if protocol in offered:
                return protocol
        raise HopUntrusted("the client offers no protocol that is spoken here")

    def _verify(self, connection: SSL.Connection, certificate: Any, error: int, depth: int, valid: int) -> bool:
        if not valid:
            raise _untrusted("the client's", error)
        if depth == 0:
            _checkRevoked("the client's", certificate, self.revoked)
        return True

    def context(self) -> SSL.Context:
        """
        The context for the next handshake.
        """
        return self._context

    def connection(self) -> SSL.Connection:
        """
        A connection for one handshake, between two buffers.
        """
        connection = SSL.Connection(self._context)
        connection.set_accept_state()
        return connection

    def identity(self, connection: SSL.Connection) -> Identity:
        """
        Who the peer is, after the handshake.
        """
        return _peerIdentity(connection)


@define(eq=False)
class ClientCredentials:
    """
    TLS for a client, towards one server. Give either C{expectedNode} or C{serverName}.

    @ivar certificateFile: PEM, our certificate and what stands between it and the root; without it we show none.
    @ivar keyFile: PEM.
    @ivar trustFile: PEM, the roots of the server's certificate; without it, the system's.
    @ivar expectedNode: the node that the server must be.
    @ivar serverName: the DNS name or address that the server's certificate must hold.
    @ivar protocols: ALPN, best first.
    @ivar revoked: whose certificates are refused all the same.
    @raise CredentialsError: on construction, where a file can't be used.
    """

    certificateFile: str | None = None
    keyFile: str | None = None
    trustFile: str | None = None
    expectedNode: str | None = None
    serverName: str | None = None
    protocols: Sequence[bytes] = (b"h2", b"http/1.1")
    revoked: RevokedCertificates | None = None
    _context: SSL.Context = field(init=False)
    _expected: ServiceID = field(init=False)

    def __attrs_post_init__(self) -> None:
        if (self.expectedNode is None) == (self.serverName is None):
            raise CredentialsError("a server is known by the name of its node or by its DNS name: give one of the two")
        self._expected = serviceID(self.expectedNode, self.serverName)
        self._context = self._load()

    def reload(self) -> None:
        """
        Read the files again; handshakes that begin from now on use them.

        @raise CredentialsError: where they can't be used: the old ones stay in use.
        """
        self._context = self._load()

    def _load(self) -> SSL.Context:
        context = _newContext(self.certificateFile, self.keyFile, self.trustFile)
        if self.trustFile is None:
            context.set_default_verify_paths()
        if self.protocols:
            context.set_alpn_protos(list(self.protocols))
        setVerify(context, self._verify)
        return context

    def named(self, serverName: str) -> ClientCredentials:
        """
        The same towards another server. To read what is trusted takes milliseconds: this does not read it again.
        """
        other = copy(self)
        other.expectedNode, other.serverName = None, serverName
        other._expected = serviceID(None, serverName)
        return other

    def _verify(self, connection: SSL.Connection, certificate: Any, error: int, depth: int, valid: int) -> bool:
        if not valid:
            raise _untrusted("the server's", error)
        if depth == 0:
            # Here and not after the handshake: a stranger never sees our certificate. The context may be another's.
            whose: ClientCredentials = connection.get_app_data()
            _checkRevoked("the server's", certificate, whose.revoked)
            whose._checkName(certificate.to_cryptography())
        return True

    def _checkName(self, certificate: x509.Certificate) -> None:
        wanted = f"node {self.expectedNode}" if self.expectedNode is not None else self.serverName
        try:
            patterns = patternsOf(certificate)
            verify_service_identity(cert_patterns=patterns, obligatory_ids=[self._expected], optional_ids=[])
        except (CertificateError, VerificationError, ValueError) as error:
            raise HopUntrusted(f"the server's certificate is not that of {wanted}", _OTHER_NAME) from error

    def context(self) -> SSL.Context:
        """
        The context for the next handshake.
        """
        return self._context

    def connection(self) -> SSL.Connection:
        """
        A connection for one handshake, between two buffers.
        """
        connection = SSL.Connection(self._context)
        connection.set_app_data(self)
        if self.serverName is not None and isinstance(self._expected, DNS_ID):
            connection.set_tlsext_host_name(self._expected.hostname)
        connection.set_connect_state()
        return connection

    def identity(self, connection: SSL.Connection) -> Identity:
        """
        Who the peer is, after the handshake.
        """
        return _peerIdentity(connection)
