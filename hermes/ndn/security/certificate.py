"""
Certificates (NDN Certificate Format v2): Data that says whose a public key is.

A key is called C{/IDENTITY/KEY/KEYID}, its certificates C{/IDENTITY/KEY/KEYID/ISSUER/VERSION}.
"""

from __future__ import annotations

import base64
import binascii
from calendar import timegm
from datetime import UTC, datetime
from time import strptime

from hermes.ndn.packet.component import VERSION, generic, isNumber, version
from hermes.ndn.packet.data import Data, decodeData, encodeData
from hermes.ndn.packet.errors import PacketError
from hermes.ndn.packet.metainfo import MetaInfo
from hermes.ndn.packet.name import Name
from hermes.ndn.packet.signatureinfo import Signer
from hermes.ndn.packet.typenumbers import CONTENT_KEY
from hermes.ndn.security.verifiers import PublicKey
from hermes.values import Buffer

KEY = generic(b"KEY")
"""
What comes after the identity.
"""

SELF = generic(b"self")
"""
The issuer of a key's own certificate.
"""

FRESHNESS = 3_600_000
"""
For how long a certificate is fresh, in milliseconds.
"""


class Certificate:
    """
    A certificate, well-formed; whether it is believed is another question.

    @ivar data: the packet.
    @ivar name: its name.
    @ivar key: its public key.
    @ivar notBefore: the first second in which it is valid, since 1970.
    @ivar notAfter: the last one.
    """

    def __init__(self, data: Data) -> None:
        """
        @raise PacketError: if it is none.
        """
        name = data.name
        if len(name) < 4 or name[-4] != KEY or not isNumber(name[-1], VERSION):
            raise PacketError(f"{name} is not the name of a certificate")
        if data.metaInfo.contentType != CONTENT_KEY:
            raise PacketError(f"the content of {name} is no key")
        validity = data.signatureInfo.validity
        if validity is None:
            raise PacketError(f"{name} does not say when it is valid")
        self.data = data
        self.name = name
        self.key = PublicKey.fromDER(data.content)
        self.notBefore, self.notAfter = map(readTime, validity)

    @classmethod
    def fromWire(cls, wire: Buffer) -> Certificate:
        """
        @raise PacketError: if it is none.
        """
        return cls(decodeData(wire))

    @classmethod
    def fromText(cls, text: str | bytes) -> Certificate:
        """
        Read what a certificate's file holds: the packet in base64, as NDN's tools write it; or the packet as it is.

        @raise PacketError: if it is none.
        """
        if isinstance(text, bytes) and text[:1] == b"\x06":
            return cls.fromWire(text)
        if not text.strip():
            raise PacketError("nothing is in it")
        try:
            return cls.fromWire(base64.b64decode("".join(_ascii(text).split()), validate=True))
        except binascii.Error as error:
            raise PacketError(f"neither a certificate nor one in base64: {error}") from error

    def toText(self) -> str:
        """
        As L{fromText} reads it: base64, in lines of 64 characters.
        """
        text = base64.b64encode(self.data.wire).decode()
        return "".join(text[at : at + 64] + "\n" for at in range(0, len(text), 64))

    @property
    def keyName(self) -> Name:
        """
        The name of its key.
        """
        return self.name[:-2]

    @property
    def identity(self) -> Name:
        """
        Whose it is.
        """
        return self.name[:-4]

    @property
    def selfSigned(self) -> bool:
        """
        Whether it names its own key as that of its issuer.
        """
        locator = self.data.signatureInfo.keyLocator
        return isinstance(locator, Name) and self.keyName.isPrefixOf(locator)

    def validAt(self, now: float) -> bool:
        """
        @param now: seconds since 1970.
        """
        return self.notBefore <= now < self.notAfter + 1

    def verifies(self, data: Data) -> bool:
        """
        Whether its key has signed C{data}.
        """
        return self.key.verifies(data.signatureInfo.signatureType, (data.signed,), data.signatureValue)

    def __repr__(self) -> str:
        return f"<Certificate {self.name}>"


def _ascii(text: str | bytes) -> str:
    try:
        return text if isinstance(text, str) else text.decode("ascii")
    except UnicodeDecodeError as error:
        raise PacketError("neither a certificate nor one in base64") from error


def keyNameOf(name: Name) -> Name | None:
    """
    The name of the key that a KeyLocator tells, by its own name or that of a certificate; L{None} where it tells
    neither.
    """
    for behind in (2, 4, 3):
        if len(name) >= behind and name[-behind] == KEY:
            return name[: len(name) - behind + 2]
    return None


def makeCertificate(
    keyName: Name,
    key: PublicKey,
    signer: Signer,
    issuer: bytes,
    now: float,
    notBefore: float,
    notAfter: float,
    description: bytes | None = None,
) -> Certificate:
    """
    Issue a certificate.

    @param keyName: the name of the key: C{/IDENTITY/KEY/KEYID}.
    @param key: the key.
    @param signer: the issuer's key; the key itself for a self-signed certificate.
    @param issuer: the component that tells who issues it: L{SELF} for a self-signed one.
    @param now: seconds since 1970: its version is made of it.
    @param notBefore: from when on it is valid, in seconds since 1970; parts of a second are dropped.
    @param notAfter: until when.
    @param description: AdditionalDescription, if any.
    @raise ValueError: if C{keyName} is not the name of a key, or C{notAfter} before C{notBefore}.
    """
    if len(keyName) < 2 or keyName[-2] != KEY:
        raise ValueError(f"{keyName} is not the name of a key: /IDENTITY/KEY/KEYID")
    if notAfter < notBefore:
        raise ValueError("a certificate can't end before it begins")
    wire = encodeData(
        keyName + issuer + version(int(now * 1000)),
        key.der,
        signer,
        MetaInfo(CONTENT_KEY, FRESHNESS),
        (writeTime(notBefore), writeTime(notAfter)),
        description,
    )
    return Certificate.fromWire(wire)


def writeTime(seconds: float) -> bytes:
    """
    A time as certificates write it: C{b"20250131T235959"}, UTC.

    @param seconds: since 1970.
    @raise ValueError: if it is not in the years 1 to 9999.
    """
    try:
        return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y%m%dT%H%M%S").rjust(15, "0").encode()
    except (OverflowError, OSError) as error:
        raise ValueError(f"a certificate can't say {seconds}") from error


def readTime(text: bytes) -> int:
    """
    @return: seconds since 1970.
    @raise PacketError: if it is not written as L{writeTime} does.
    """
    digits = text[:8] + text[9:]
    if len(text) != 15 or text[8:9] != b"T" or not digits.isdigit():
        raise PacketError("a validity period is written YYYYMMDDThhmmss")
    try:
        return timegm(strptime(text.decode(), "%Y%m%dT%H%M%S"))
    except ValueError as error:
        raise PacketError("a validity period names a time that there is not") from error
