"""
Keys of one's own, in a directory.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from hashlib import sha256
from typing import Literal, TypeAlias

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generateRSA
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from hermes.ndn.packet.component import generic
from hermes.ndn.packet.name import Name
from hermes.ndn.packet.signatureinfo import Signer
from hermes.ndn.security.certificate import KEY, SELF, Certificate, makeCertificate
from hermes.ndn.security.signers import PrivateKey, signerFor
from hermes.ndn.security.verifiers import PublicKey

KeyType: TypeAlias = Literal["ecdsa", "rsa", "ed25519"]

DEFAULT_DAYS = 365 * 20
"""
For how long a self-signed certificate is valid.
"""


class Keychain:
    """
    Keys and their certificates in a directory: for each key C{DIGEST.key}, PKCS #8 in PEM, which only its owner may
    read (mode 0600), and C{DIGEST.ndncert}, a certificate in base64 as NDN's tools write it. C{DIGEST} is SHA-256 of
    the key's name.

    It reads the directory whenever it is asked, so that several programs may share it.
    """

    def __init__(self, directory: str, now: Callable[[], float]) -> None:
        """
        @param directory: is made, with mode 0700, when the first key is.
        @param now: the time in seconds since 1970.
        """
        self.directory = directory
        self._now = now

    def createKey(
        self, identity: Name, keyType: KeyType = "ecdsa", keyID: bytes | None = None, days: float = DEFAULT_DAYS
    ) -> Certificate:
        """
        Make a key and a self-signed certificate for it.

        @param keyID: the last component of its name; random where not given.
        @param days: for how long the certificate is valid.
        @raise ValueError: if there is a key of this name.
        @raise OSError: if it can't be written.
        """
        keyName = identity + KEY + (generic(os.urandom(8)) if keyID is None else keyID)
        path = self._path(keyName, "key")
        if os.path.exists(path):
            raise ValueError(f"there is a key {keyName}")
        key = _generate(keyType)
        now = self._now()
        certificate = makeCertificate(
            keyName, PublicKey(key.public_key()), signerFor(key, keyName), SELF, now, now - 60, now + days * 86400
        )
        os.makedirs(self.directory, 0o700, exist_ok=True)
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        _write(path, pem, 0o600)
        _write(self._path(keyName, "ndncert"), certificate.toText().encode(), 0o644)
        return certificate

    def install(self, certificate: Certificate) -> None:
        """
        Use this certificate for its key from now on: one that somebody has issued.

        @raise ValueError: if there is no such key, or another one of this name.
        """
        key = self._key(certificate.keyName)
        if PublicKey(key.public_key()).der != certificate.key.der:
            raise ValueError(f"{certificate.name} is for another key of this name")
        _write(self._path(certificate.keyName, "ndncert"), certificate.toText().encode(), 0o644)

    def remove(self, keyName: Name) -> None:
        """
        Delete a key and its certificate.

        @raise ValueError: if there is none.
        """
        if not os.path.exists(self._path(keyName, "key")):
            raise ValueError(f"there is no key {keyName}")
        for suffix in ("key", "ndncert"):
            os.unlink(self._path(keyName, suffix))

    def certificates(self) -> list[Certificate]:
        """
        The certificates of all keys, newest first.

        @raise OSError: if they can't be read.
        """
        return sorted(self._read(), key=lambda each: each.name[-1], reverse=True)

    def certificate(self, name: Name | None = None) -> Certificate:
        """
        The newest valid certificate of an identity.

        @param name: the identity, or the name of a key or certificate; L{None} is any.
        @raise ValueError: if there is none.
        """
        now, late = self._now(), ""
        for each in self.certificates():
            if name is None or name in (each.identity, each.keyName, each.name):
                if each.validAt(now):
                    return each
                late = " that is valid now"
        raise ValueError(f"{self.directory} has no key{f' of {name}' if name else ''}{late}")

    def signer(self, name: Name | None = None) -> Signer:
        """
        What signs with a key of this name, and names its certificate.

        @param name: see L{certificate}.
        @raise ValueError: if there is none.
        """
        certificate = self.certificate(name)
        return signerFor(self._key(certificate.keyName), certificate.name)

    def _read(self) -> Iterator[Certificate]:
        if not os.path.isdir(self.directory):
            return
        for entry in os.scandir(self.directory):
            if entry.name.endswith(".ndncert"):
                with open(entry.path, "rb") as file:
                    yield Certificate.fromText(file.read())

    def _key(self, keyName: Name) -> PrivateKey:
        try:
            with open(self._path(keyName, "key"), "rb") as file:
                key = load_pem_private_key(file.read(), None)
        except FileNotFoundError as error:
            raise ValueError(f"there is no key {keyName}") from error
        except (TypeError, UnsupportedAlgorithm) as error:
            raise ValueError(f"the key {keyName} can't be read: {error}") from error
        if not isinstance(key, EllipticCurvePrivateKey | RSAPrivateKey | Ed25519PrivateKey):
            raise ValueError(f"the key {keyName} signs no NDN packets")
        return key

    def _path(self, keyName: Name, suffix: str) -> str:
        return os.path.join(self.directory, f"{sha256(keyName.value).hexdigest()}.{suffix}")


def _generate(keyType: KeyType) -> PrivateKey:
    if keyType == "ecdsa":
        return generate_private_key(SECP256R1())
    if keyType == "rsa":
        return generateRSA(65537, 2048)
    if keyType == "ed25519":
        return Ed25519PrivateKey.generate()
    raise ValueError(f"{keyType!r} is not a kind of key: ecdsa, rsa or ed25519")


def _write(path: str, content: bytes, mode: int) -> None:
    """
    Replace a file as a whole, so that whoever reads it meanwhile sees the old or the new one.
    """
    beside = f"{path}.{os.getpid()}"
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, mode)
    with open(descriptor, "wb") as file:
        os.fchmod(descriptor, mode)
        file.write(content)
    os.replace(beside, path)
