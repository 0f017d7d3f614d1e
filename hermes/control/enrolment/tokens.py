"""
Tokens: what an operator carries from a controller to a node, so that each knows the other before it trusts it.

A token is a secret, which the controller takes once, and the fingerprint of the controller's authority, which the node
looks for. As text it is C{hermes1} and, in base 32, the secret, the fingerprint, and a checksum, which tells a mistyped
one from one that is refused.
"""

from __future__ import annotations

from base64 import b32decode, b32encode
from collections.abc import Callable
from hashlib import sha256
from secrets import token_bytes

from attrs import field, frozen

from hermes.control.enrolment.errors import BadToken

PREFIX = "hermes1"
SECRET = 20
FINGERPRINT = 32
CHECKSUM = 4
"""
Bytes of each part.
"""

_NOT_WHOLE = "the token is not whole: it was cut or mistyped"


@frozen
class Token:
    """
    One token.

    @ivar secret: 160 random bits.
    @ivar fingerprint: SHA-256 of the authority's certificate, DER.
    """

    secret: bytes = field(repr=False)
    fingerprint: bytes

    @classmethod
    def make(cls, fingerprint: bytes, random: Callable[[int], bytes] = token_bytes) -> Token:
        """
        A new one.
        """
        return cls(random(SECRET), fingerprint)

    @classmethod
    def fromText(cls, text: str) -> Token:
        """
        @raise BadToken: where it is none.
        """
        text = "".join(text.split()).lower()
        if not text.startswith(PREFIX):
            raise BadToken(f"a token begins with {PREFIX}")
        encoded = text[len(PREFIX) :].upper()
        try:
            data = b32decode(encoded + "=" * (-len(encoded) % 8))
        except ValueError:
            raise BadToken(_NOT_WHOLE) from None
        body, checksum = data[:-CHECKSUM], data[-CHECKSUM:]
        if len(body) != SECRET + FINGERPRINT or sha256(body).digest()[:CHECKSUM] != checksum:
            raise BadToken(_NOT_WHOLE)
        return cls(body[:SECRET], body[SECRET:])

    def toText(self) -> str:
        """
        As the operator sees it.
        """
        body = self.secret + self.fingerprint
        return PREFIX + b32encode(body + sha256(body).digest()[:CHECKSUM]).decode().rstrip("=").lower()

    @property
    def hashed(self) -> str:
        """
        What the controller keeps of it. The secret is random and long: no salt is needed, and no slow hash.
        """
        return sha256(self.secret).hexdigest()
