"""
What can be said of Data without a trust anchor: whether it is whole.
"""

from __future__ import annotations

from hermes.ndn.packet.data import Data
from hermes.ndn.packet.typenumbers import SIGNATURE_DIGEST_SHA256
from hermes.ndn.security.errors import Untrusted
from hermes.ndn.security.verifiers import DigestVerifier


class IntegrityVerifier:
    """
    Verifies Data that is signed with a SHA-256 digest. Whatever else has signed it is believed.
    """

    def __init__(self) -> None:
        self._verifier = DigestVerifier()

    def validateNow(self, data: Data) -> bool:
        """
        @return: L{True}.
        @raise Untrusted: if it is not whole.
        """
        if data.signatureInfo.signatureType == SIGNATURE_DIGEST_SHA256 and not self._verifier.verifies(
            SIGNATURE_DIGEST_SHA256, (data.signed,), data.signatureValue
        ):
            raise Untrusted(f"{data.name} is not whole: its digest is another")
        return True

    async def validate(self, data: Data) -> None:
        """
        The same.
        """
        self.validateNow(data)
