"""
Who may give commands.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Final

from attrs import frozen

from hermes.ndn.packet.errors import PacketError
from hermes.ndn.packet.interest import Interest
from hermes.ndn.packet.name import Name
from hermes.ndn.packet.typenumbers import SIGNATURE_DIGEST_SHA256
from hermes.ndn.security.certificate import Certificate, keyNameOf
from hermes.ndn.security.errors import Untrusted
from hermes.ndn.security.signedinterest import InterestSignature, ReplayGuard, signatureOf
from hermes.ndn.security.verifiers import DigestVerifier

MODULES: Final = ("faces", "fib", "rib", "cs", "strategy-choice")
"""
The modules that have commands.
"""

_digest = DigestVerifier()


@frozen
class TrustedKey:
    """
    A key whose commands are taken.

    @ivar certificate: of the key. Who has signed it does not matter: it was put into the configuration.
    @ivar modules: what it may do.
    """

    certificate: Certificate
    modules: Collection[str] = MODULES


class Authorizer:
    """
    Takes commands with any well-formed signature, or of some keys only. As in NFD, what anybody may sign is checked for
    nothing but being whole; what only some may is taken once.
    """

    def __init__(self, trusted: Sequence[TrustedKey] | None, now: Callable[[], float]) -> None:
        """
        @param trusted: the keys; L{None} for anybody's.
        @param now: seconds since 1970.
        """
        self._trusted = None if trusted is None else {each.certificate.keyName: each for each in trusted}
        self._now = now
        self._guard = ReplayGuard(now)

    def check(self, interest: Interest, module: str) -> Name:
        """
        Whether a command is to be obeyed.

        @return: its name without its signature.
        @raise Untrusted: if it is not.
        """
        try:
            signature = signatureOf(interest)
        except PacketError as error:
            raise Untrusted(str(error)) from error
        if signature is None:
            raise Untrusted("it is not signed")
        if self._trusted is None:
            if signature.info.signatureType == SIGNATURE_DIGEST_SHA256 and not signature.madeBy(_digest):
                raise Untrusted("it is not what was signed")
        else:
            self._checkKey(signature, self._trusted, module)
        return signature.name

    def _checkKey(self, signature: InterestSignature, trusted: dict[Name, TrustedKey], module: str) -> None:
        locator = signature.info.keyLocator
        keyName = keyNameOf(locator) if isinstance(locator, Name) else None
        key = None if keyName is None else trusted.get(keyName)
        if key is None:
            raise Untrusted("nobody knows its key")
        if module not in key.modules:
            raise Untrusted(f"{keyName} has nothing to say about {module}")
        if not key.certificate.validAt(self._now()):
            raise Untrusted(f"the certificate of {keyName} is not valid now")
        if not signature.madeBy(key.certificate.key):
            raise Untrusted(f"the signature is not one of {keyName}")
        self._guard.take(signature.info)
