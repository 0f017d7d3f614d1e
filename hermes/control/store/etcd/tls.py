"""
TLS to the members of an etcd.
"""

from __future__ import annotations

import re
from typing import Any

from OpenSSL.crypto import FILETYPE_PEM, X509, Error, load_certificate
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.internet.ssl import (
    Certificate,
    KeyPair,
    PrivateCertificate,
    optionsForClientTLS,
    platformTrust,
    trustRootFromCertificates,
)
from twisted.web.iweb import IPolicyForHTTPS
from zope.interface import implementer

from hermes.control.store.errors import StoreRefused
from hermes.control.store.etcd.options import EtcdOptions

_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


def fileOf(path: str) -> bytes:
    """
    What is in a file.

    @raise StoreRefused: it can't be read.
    """
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise StoreRefused(f"{path} can't be read: {error.strerror or error}") from None


def _certificates(path: str) -> list[X509]:
    try:
        found = [load_certificate(FILETYPE_PEM, each) for each in _PEM.findall(fileOf(path))]
    except Error:
        raise StoreRefused(f"{path} has a certificate in it that can't be read") from None
    if not found:
        raise StoreRefused(f"{path} has no certificate in it")
    return found


def _shown(leaf: X509, keyFile: str) -> PrivateCertificate:
    pem = fileOf(keyFile)
    try:
        key = KeyPair.load(pem, FILETYPE_PEM)
        if _public(key) != leaf.to_cryptography().public_key():
            raise StoreRefused(f"the key in {keyFile} is not the certificate's")
        shown: PrivateCertificate = PrivateCertificate.fromCertificateAndKeyPair(Certificate(leaf), key)
        return shown
    except (Error, ValueError, TypeError):
        raise StoreRefused(f"{keyFile} has no key in it that can be used") from None


def _public(key: KeyPair) -> Any:
    return key.original.to_cryptography_key().public_key()


@implementer(IPolicyForHTTPS)
class EtcdPolicy:
    """
    Checks a member by its name or address, and shows it the certificate that the options name.
    """

    def __init__(self, options: EtcdOptions) -> None:
        self._options = options

    def creatorForNetloc(self, hostname: bytes, port: int) -> IOpenSSLClientConnectionCreator:
        """
        @raise StoreRefused: a file can't be used.
        """
        options = self._options
        trust = platformTrust()
        if options.trust is not None:
            trust = trustRootFromCertificates([Certificate(each) for each in _certificates(options.trust)])
        shown: PrivateCertificate | None = None
        extra: dict[str, Any] = {}
        if options.certificate is not None:
            leaf, *chain = _certificates(options.certificate)
            shown = _shown(leaf, options.key or options.certificate)
            extra["extraCertChain"] = chain
        return optionsForClientTLS(
            hostname.decode("ascii"), trustRoot=trust, clientCertificate=shown, extraCertificateOptions=extra
        )
