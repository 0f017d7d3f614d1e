"""
Who may manage a forwarder, and with which key it speaks: keys of the configuration.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from attrs import frozen
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from hermes.config.types import ExistingFile
from hermes.errors import HermesError
from hermes.ndn.management.authorization import MODULES, Authorizer, TrustedKey
from hermes.ndn.management.management import Trust
from hermes.ndn.packet.errors import PacketError
from hermes.ndn.packet.signatureinfo import Signer
from hermes.ndn.security.certificate import Certificate
from hermes.ndn.security.signers import DigestSigner, signerFor
from hermes.ndn.security.verifiers import PublicKey


@frozen
class KeyOptions:
    """
    A key whose commands are taken.

    @ivar certificate: its certificate, as NDN's tools write it.
    @ivar modules: what it may do.
    """

    certificate: ExistingFile
    modules: tuple[Literal["faces", "fib", "rib", "cs", "strategy-choice"], ...] = MODULES


@frozen
class SigningOptions:
    """
    A key of this forwarder.

    @ivar key: the private key, PKCS #8 in PEM.
    @ivar certificate: its certificate, as NDN's tools write it.
    """

    key: ExistingFile
    certificate: ExistingFile


@frozen
class ManagementOptions:
    """
    Who may manage the forwarder, and what it signs with.

    @ivar keys: whose commands are taken from programs on this host; everybody's, where there are none.
    @ivar neighbours: whether prefixes can be registered from other hosts (C{/localhop/nfd}): by nobody, by anybody, or
        by whoever has one of the C{keys}.
    @ivar sign: what this forwarder signs its answers with, and its registrations at others; a digest, unless given.
    """

    keys: tuple[KeyOptions, ...] = ()
    neighbours: Literal["nobody", "anybody", "keys"] = "nobody"
    sign: SigningOptions | None = None


def trustOf(options: ManagementOptions, now: Callable[[], float]) -> Trust:
    """
    Who is obeyed.

    @param now: seconds since 1970.
    @raise HermesError: where a certificate is none.
    """
    keys = [TrustedKey(_certificate(key.certificate), key.modules) for key in options.keys]
    localhost = Authorizer(keys or None, now)
    if options.neighbours == "nobody":
        return Trust(localhost)
    return Trust(localhost, Authorizer(None if options.neighbours == "anybody" else keys, now))


def signerOf(options: ManagementOptions) -> Signer:
    """
    What this forwarder signs with.

    @raise HermesError: where key or certificate are none, or do not belong together.
    """
    sign = options.sign
    if sign is None:
        return DigestSigner()
    certificate = _certificate(sign.certificate)
    try:
        with open(sign.key, "rb") as file:
            key = load_pem_private_key(file.read(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise HermesError(f"{sign.key} is no private key: {error}") from error
    if not isinstance(key, EllipticCurvePrivateKey | RSAPrivateKey | Ed25519PrivateKey):
        raise HermesError(f"{sign.key}: the key is neither ECDSA nor RSA nor Ed25519")
    if PublicKey(key.public_key()).der != certificate.key.der:
        raise HermesError(f"{sign.certificate} is not the certificate of {sign.key}")
    return signerFor(key, certificate.name)


def _certificate(path: str) -> Certificate:
    try:
        with open(path, "rb") as file:
            return Certificate.fromText(file.read())
    except PacketError as error:
        raise HermesError(f"{path}: {error}") from error
