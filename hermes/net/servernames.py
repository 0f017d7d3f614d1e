"""
Several certificates on one port: each client gets the one for the name that it asks for (SNI, RFC 6066 section 3).
"""

from __future__ import annotations

from collections.abc import Sequence

from cryptography import x509
from cryptography.x509 import load_pem_x509_certificate
from OpenSSL import SSL
from zope.interface import implementer

from hermes.interfaces import IServerCredentials
from hermes.net.certificates import ServerCredentials
from hermes.values import ANONYMOUS, Identity


def dnsNames(certificate: x509.Certificate) -> list[str]:
    """
    The DNS names that a certificate is for, in lower case.
    """
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return [name.lower() for name in names.get_values_for_type(x509.DNSName)]


class _Served:
    """
    What the files held when they were read.

    @ivar contexts: by name; C{*.example.org} stands for every name with one more label (RFC 9525 section 6.3).
    @ivar first: for who asks for another name, or for none.
    """

    def __init__(self, files: Sequence[tuple[str, str]]) -> None:
        self.contexts: dict[str, SSL.Context] = {}
        first: SSL.Context | None = None
        for certificateFile, keyFile in files:
            context = ServerCredentials(certificateFile, keyFile).context()
            with open(certificateFile, "rb") as file:
                certificate = load_pem_x509_certificate(file.read())
            for name in dnsNames(certificate):
                self.contexts.setdefault(name, context)
            if first is None:
                first = context
        assert first is not None, "at least one certificate"
        self.first = first
        first.set_tlsext_servername_callback(self._choose)

    def _choose(self, connection: SSL.Connection) -> None:
        asked = connection.get_servername()
        if asked is None:
            return
        name = asked.decode("ascii", "replace").lower().rstrip(".")
        found = self.contexts.get(name) or self.contexts.get("*." + name.partition(".")[2])
        if found is not None and found is not self.first:
            connection.set_context(found)


@implementer(IServerCredentials)
class NamedCredentials:
    """
    TLS for a server of public names. Clients show no certificate.

    @ivar revoked: none: there is nobody to shut out.
    """

    revoked: None = None

    def __init__(self, files: Sequence[tuple[str, str]]) -> None:
        """
        @param files: a certificate and its key, each in PEM, once or more; the first is for whoever names no server.
        @raise hermes.net.certificates.CredentialsError: where a file can't be used.
        """
        self._files = tuple(files)
        self._served = _Served(self._files)

    def checkFiles(self) -> None:
        """
        Whether the files can be used as they are now.

        @raise hermes.net.certificates.CredentialsError: where they can't.
        """
        _Served(self._files)

    def readFiles(self) -> None:
        """
        Read the files again; handshakes that begin from now on use them.

        @raise hermes.net.certificates.CredentialsError: where they can't be used: what was read before stays in use.
        """
        self._served = _Served(self._files)

    def context(self) -> SSL.Context:
        """
        The context that the next handshake begins with.
        """
        return self._served.first

    def connection(self) -> SSL.Connection:
        """
        A connection for one handshake, between two buffers.
        """
        connection = SSL.Connection(self._served.first)
        connection.set_accept_state()
        return connection

    def identity(self, connection: SSL.Connection) -> Identity:
        """
        Nobody is asked who they are.
        """
        return ANONYMOUS
