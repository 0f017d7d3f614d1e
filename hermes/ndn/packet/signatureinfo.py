"""
What a packet says of its signature (packet format v0.3, section "Signature"; certificates: NDN Certificate Format v2),
and what a signer promises.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from attrs import frozen

from hermes.ndn.packet.errors import PacketError
from hermes.ndn.packet.name import Name, componentEnds
from hermes.ndn.packet.tlv import elements, encodeElement, encodeInteger, passOver, readHead, readNonNegative
from hermes.ndn.packet.typenumbers import (
    ADDITIONAL_DESCRIPTION,
    KEY_DIGEST,
    KEY_LOCATOR,
    NAME,
    NOT_AFTER,
    NOT_BEFORE,
    SIGNATURE_INFO,
    SIGNATURE_NONCE,
    SIGNATURE_SEQ_NUM,
    SIGNATURE_TIME,
    SIGNATURE_TYPE,
    VALIDITY_PERIOD,
)
from hermes.values import Buffer


@frozen
class SignatureInfo:
    """
    @ivar signatureType: how the packet is signed: C{SIGNATURE_SHA256_WITH_ECDSA} and others in
        L{hermes.ndn.packet.typenumbers}.
    @ivar keyLocator: the name of the key or of its certificate, or a SHA-256 digest of the key, 32 bytes; L{None} where
        it is not said.
    @ivar nonce: SignatureNonce, 1 byte or more; only in Interests, as are the next two.
    @ivar time: SignatureTime, in milliseconds since 1970.
    @ivar sequence: SignatureSeqNum.
    @ivar validity: ValidityPeriod: the first and the last second in which a certificate is valid, as they are written,
        C{b"20250101T000000"}; only in certificates.
    @ivar description: AdditionalDescription: what it says, as it is written; only in certificates.
    """

    signatureType: int
    keyLocator: Name | bytes | None = None
    nonce: bytes | None = None
    time: int | None = None
    sequence: int | None = None
    validity: tuple[bytes, bytes] | None = None
    description: bytes | None = None

    def encode(self, elementType: int = SIGNATURE_INFO) -> bytes:
        """
        The element.

        @param elementType: C{SIGNATURE_INFO} or C{INTEREST_SIGNATURE_INFO}.
        @raise ValueError: if a number is negative or too large, or the Nonce empty.
        """
        fields = [encodeInteger(SIGNATURE_TYPE, self.signatureType)]
        locator = self.keyLocator
        if isinstance(locator, Name):
            fields.append(encodeElement(KEY_LOCATOR, locator.encode()))
        elif locator is not None:
            fields.append(encodeElement(KEY_LOCATOR, encodeElement(KEY_DIGEST, locator)))
        if self.nonce is not None:
            if not self.nonce:
                raise ValueError("a SignatureNonce has at least one byte")
            fields.append(encodeElement(SIGNATURE_NONCE, self.nonce))
        if self.time is not None:
            fields.append(encodeInteger(SIGNATURE_TIME, self.time))
        if self.sequence is not None:
            fields.append(encodeInteger(SIGNATURE_SEQ_NUM, self.sequence))
        if self.validity is not None:
            notBefore, notAfter = self.validity
            period = encodeElement(NOT_BEFORE, notBefore) + encodeElement(NOT_AFTER, notAfter)
            fields.append(encodeElement(VALIDITY_PERIOD, period))
        if self.description is not None:
            fields.append(encodeElement(ADDITIONAL_DESCRIPTION, self.description))
        return encodeElement(elementType, b"".join(fields))


# In the order in which they come.
_FIELDS = (
    SIGNATURE_TYPE,
    KEY_LOCATOR,
    SIGNATURE_NONCE,
    SIGNATURE_TIME,
    SIGNATURE_SEQ_NUM,
    VALIDITY_PERIOD,
    ADDITIONAL_DESCRIPTION,
)
_PLACES = {kind: place for place, kind in enumerate(_FIELDS, 1)}


def readSignatureInfo(wire: Buffer, start: int, stop: int) -> SignatureInfo:
    """
    Read the value of a SignatureInfo or InterestSignatureInfo.

    @raise PacketError: if it is malformed.
    """
    place = 0
    signatureType = time = sequence = nonce = validity = description = None
    locator: Name | bytes | None = None
    for kind, begin, end in elements(wire, start, stop):
        at = _PLACES.get(kind, 0)
        if at <= place:
            passOver(kind, "SignatureInfo")
            continue
        place = at
        if kind == SIGNATURE_TYPE:
            signatureType = readNonNegative(wire, begin, end)
        elif kind == KEY_LOCATOR:
            locator = _readLocator(wire, begin, end)
        elif kind == SIGNATURE_NONCE:
            if begin == end:
                raise PacketError("a SignatureNonce has at least one byte")
            nonce = bytes(wire[begin:end])
        elif kind == SIGNATURE_TIME:
            time = readNonNegative(wire, begin, end)
        elif kind == SIGNATURE_SEQ_NUM:
            sequence = readNonNegative(wire, begin, end)
        elif kind == VALIDITY_PERIOD:
            validity = _readValidity(wire, begin, end)
        else:
            description = bytes(wire[begin:end])
    if signatureType is None:
        raise PacketError("a SignatureInfo has no SignatureType")
    return SignatureInfo(signatureType, locator, nonce, time, sequence, validity, description)


def _readLocator(wire: Buffer, start: int, stop: int) -> Name | bytes | None:
    """
    Read a KeyLocator: the first name or digest in it. What other things it may hold, nobody says.
    """
    if start == stop:
        return None
    kind, begin, end = readHead(wire, start, stop)
    if kind == NAME:
        componentEnds(wire, begin, end)
        return Name.fromValue(wire[begin:end])
    if kind == KEY_DIGEST:
        return bytes(wire[begin:end])
    raise PacketError(f"a KeyLocator holds a name or a digest, not an element of type {kind:#x}")


def _readValidity(wire: Buffer, start: int, stop: int) -> tuple[bytes, bytes]:
    found: dict[int, bytes] = {}
    for kind, begin, end in elements(wire, start, stop):
        if kind not in (NOT_BEFORE, NOT_AFTER) or kind in found or (kind == NOT_BEFORE and found):
            passOver(kind, "a ValidityPeriod")
            continue
        found[kind] = bytes(wire[begin:end])
    if len(found) != 2:
        raise PacketError("a ValidityPeriod has a beginning and an end")
    return found[NOT_BEFORE], found[NOT_AFTER]


class Signer(Protocol):
    """
    What makes signatures. Those of Hermes are in L{hermes.ndn.security.signers}.
    """

    def signatureInfo(self) -> SignatureInfo:
        """
        What a Data that is signed says of its signature. For an Interest Nonce, time and number come on top.
        """

    def sign(self, parts: Sequence[Buffer]) -> bytes:
        """
        The signature of the concatenated C{parts}, which are borrowed.
        """
