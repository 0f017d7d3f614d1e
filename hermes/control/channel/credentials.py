"""
Who is at the other end, for L{twisted.cred}: what the certificate says, and nothing that anybody sends.
"""

from __future__ import annotations

from typing import Any, ClassVar

from attrs import frozen
from cryptography import x509
from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.credentials import ICredentials
from twisted.cred.error import UnauthorizedLogin
from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface, implementer

from hermes.net.certificates import nodeNames

OPERATOR = "hermes-operator:"
"""
What stands before an operator's name in the URI of a certificate.
"""


class ICertificate(ICredentials):
    """
    A certificate that TLS has verified: it is of our authority, in its time, and its holder has the key.
    """

    kind = Attribute("C{str}: C{node} or C{operator}.")
    name = Attribute("C{str}: whose.")
    serial = Attribute("C{str}: its serial number, in hexadecimal.")


@implementer(ICertificate)
@frozen
class Certificate:
    """
    See L{ICertificate}.
    """

    kind: str
    name: str
    serial: str

    @classmethod
    def of(cls, certificate: x509.Certificate | None) -> Certificate | None:
        """
        What a verified certificate says; L{None} where it names nobody, or more than one.
        """
        if certificate is None:
            return None
        found = [("node", name) for name in nodeNames(certificate)]
        found += [("operator", name) for name in _operatorNames(certificate)]
        if len(found) != 1:
            return None
        return cls(*found[0], serialText(certificate.serial_number))


def serialText(serial: int) -> str:
    """
    How a serial number is written everywhere.
    """
    return f"{serial:x}"


def _operatorNames(certificate: x509.Certificate) -> list[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    return [uri[len(OPERATOR) :] for uri in uris if uri.startswith(OPERATOR) and len(uri) > len(OPERATOR)]


class IDirectory(Interface):
    """
    Who is enrolled.
    """

    def mayConnect(kind: str, name: str, serial: str) -> Deferred[bool]:
        """
        Whether the holder of a certificate that was issued once may still connect: it is enrolled, and not revoked.
        """


@implementer(ICredentialsChecker)
class CertificateChecker:
    """
    Lets in who has a certificate and is enrolled still. The avatar ID is C{node:NAME} or C{operator:NAME}.
    """

    credentialInterfaces: ClassVar[Any] = (ICertificate,)

    def __init__(self, directory: Any) -> None:
        """
        @param directory: an L{IDirectory}.
        """
        self._directory = directory

    def requestAvatarId(self, credentials: Any) -> Deferred[bytes | tuple[()]]:
        certificate = credentials

        def judge(may: bool) -> bytes | tuple[()]:
            if not may:
                raise UnauthorizedLogin(f"{certificate.kind} {certificate.name} is not enrolled, or not any more")
            return f"{certificate.kind}:{certificate.name}".encode()

        answer: Deferred[bool] = self._directory.mayConnect(certificate.kind, certificate.name, certificate.serial)
        return answer.addCallback(judge)
