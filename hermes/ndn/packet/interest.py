"""
Interests (packet format v0.3, sections "Interest Packet" and "Signed Interest").
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

from attrs import evolve

from hermes.ndn.packet.component import PARAMETERS_DIGEST, componentType, parametersDigest
from hermes.ndn.packet.errors import PacketError
from hermes.ndn.packet.name import Name
from hermes.ndn.packet.peek import InterestView, peekInterest
from hermes.ndn.packet.signatureinfo import SignatureInfo, Signer, readSignatureInfo
from hermes.ndn.packet.tlv import elements, encodeElement, encodeInteger, encodeNumber, readHead
from hermes.ndn.packet.typenumbers import (
    APPLICATION_PARAMETERS,
    CAN_BE_PREFIX,
    DEFAULT_LIFETIME,
    FORWARDING_HINT,
    HOP_LIMIT,
    INTEREST_LIFETIME,
    INTEREST_SIGNATURE_INFO,
    INTEREST_SIGNATURE_VALUE,
    MAX_PACKET_SIZE,
    MUST_BE_FRESH,
)
from hermes.values import Buffer

_CAN_BE_PREFIX = encodeElement(CAN_BE_PREFIX, b"")
_MUST_BE_FRESH = encodeElement(MUST_BE_FRESH, b"")


class Interest:
    """
    An Interest as it was received.

    @ivar wire: the whole packet.
    @ivar name: its name, with the digest of parameters where it has one, which is right.
    @ivar canBePrefix: whether the name of Data that answers it may be longer.
    @ivar mustBeFresh: whether caches may answer it only with what is fresh.
    @ivar hint: the forwarding hint.
    @ivar nonce: 0 to 2^32 - 1, or L{None}.
    @ivar lifetime: in milliseconds.
    @ivar hopLimit: 0 to 255, or L{None}.
    @ivar parameters: ApplicationParameters, or L{None}.
    @ivar signatureInfo: what it says of its signature; L{None} where it is not signed.
    @ivar signatureValue: the signature, not verified.
    @ivar signed: what the signature is of, in order: slices of C{wire}. Empty where it is not signed.
    """

    __slots__ = (
        "canBePrefix",
        "hint",
        "hopLimit",
        "lifetime",
        "mustBeFresh",
        "name",
        "nonce",
        "parameters",
        "signatureInfo",
        "signatureValue",
        "signed",
        "wire",
    )

    wire: bytes
    name: Name
    canBePrefix: bool
    mustBeFresh: bool
    hint: tuple[Name, ...]
    nonce: int | None
    lifetime: int
    hopLimit: int | None
    parameters: bytes | None
    signatureInfo: SignatureInfo | None
    signatureValue: bytes | None
    signed: tuple[memoryview, ...]

    def __repr__(self) -> str:
        return f"<Interest {self.name}>"


def decodeInterest(wire: Buffer | InterestView) -> Interest:
    """
    Read an Interest. The digest of its parameters is verified, its signature is not.

    @param wire: the whole packet, copied unless it is L{bytes}; or what L{peekInterest} has made of it.
    @raise PacketError: if it is malformed, or larger than L{MAX_PACKET_SIZE}.
    """
    view = wire if isinstance(wire, InterestView) else peekInterest(wire)
    interest = Interest.__new__(Interest)
    interest.wire = view.wire
    interest.name = Name.fromValue(view.name)
    interest.canBePrefix = view.canBePrefix
    interest.mustBeFresh = view.mustBeFresh
    interest.hint = tuple(map(Name.fromValue, view.hint))
    interest.nonce = view.nonce
    interest.lifetime = view.lifetime
    interest.hopLimit = view.hopLimit
    interest.parameters = interest.signatureInfo = interest.signatureValue = None
    interest.signed = ()
    # All elements are well-formed and none unknown is critical: peekInterest has seen to it.
    _readParameters(interest)
    return interest


def _readParameters(interest: Interest) -> None:
    wire = interest.wire
    size = len(wire)
    _, position, _ = readHead(wire, 0, size)
    _, nameStart, position = readHead(wire, position, size)
    begin = parametersStart = 0
    for kind, start, stop in elements(wire, position, size):
        begin, position = position, stop
        if not parametersStart:
            if kind == APPLICATION_PARAMETERS:
                interest.parameters = wire[start:stop]
                parametersStart = begin
        elif kind == INTEREST_SIGNATURE_INFO:
            if interest.signatureInfo is None and interest.signatureValue is None:
                interest.signatureInfo = readSignatureInfo(wire, start, stop)
        elif kind == INTEREST_SIGNATURE_VALUE and interest.signatureInfo and interest.signatureValue is None:
            last = interest.name.components[-1]
            if componentType(last) != PARAMETERS_DIGEST:
                raise PacketError("the name of a signed Interest ends with the digest of its parameters")
            interest.signatureValue = wire[start:stop]
            nameEnd = nameStart + len(interest.name.value) - len(last)
            view = memoryview(wire)
            interest.signed = (view[nameStart:nameEnd], view[parametersStart:begin])
    if interest.signatureValue is None:
        interest.signatureInfo = None


def encodeInterest(
    name: Name,
    canBePrefix: bool = False,
    mustBeFresh: bool = False,
    hint: Sequence[Name] = (),
    nonce: int | None = None,
    lifetime: int = DEFAULT_LIFETIME,
    hopLimit: int | None = None,
    parameters: Buffer | None = None,
    signer: Signer | None = None,
    signatureNonce: bytes | None = None,
    signatureTime: int | None = None,
    signatureSequence: int | None = None,
) -> bytes:
    """
    Make an Interest, and sign it where there is a signer. See L{Interest} for what is not told here.

    @param name: where the Interest has parameters or a signature, their digest is put in at its end, or in place of a
        digest of parameters that it already has.
    @param nonce: an Interest that is sent by an application needs one; whoever makes it has the randomness.
    @param signatureNonce: see L{SignatureInfo}, as for the next two: what makes a signed Interest unlike any other.
    @return: the whole packet.
    @raise ValueError: if the name is empty, the packet larger than L{MAX_PACKET_SIZE}, or a number has no encoding.
    """
    if not name:
        raise ValueError("the name of an Interest has at least one component")
    fields: list[Buffer] = []
    if canBePrefix:
        fields.append(_CAN_BE_PREFIX)
    if mustBeFresh:
        fields.append(_MUST_BE_FRESH)
    if hint:
        fields.append(encodeElement(FORWARDING_HINT, b"".join([each.encode() for each in hint])))
    if nonce is not None:
        fields.append(b"\x0a\x04" + nonce.to_bytes(4, "big"))
    if lifetime != DEFAULT_LIFETIME:
        fields.append(encodeInteger(INTEREST_LIFETIME, lifetime))
    if hopLimit is not None:
        fields.append(encodeElement(HOP_LIMIT, bytes([hopLimit])))
    value = name.value
    if parameters is not None or signer is not None:
        before, after = _aroundDigest(name)
        tail: list[Buffer] = [encodeElement(APPLICATION_PARAMETERS, b"" if parameters is None else parameters)]
        if signer is not None:
            if after:
                raise ValueError("the name of a signed Interest ends with the digest of its parameters")
            info = evolve(
                signer.signatureInfo(), nonce=signatureNonce, time=signatureTime, sequence=signatureSequence
            ).encode(INTEREST_SIGNATURE_INFO)
            tail.append(info)
            tail.append(encodeElement(INTEREST_SIGNATURE_VALUE, signer.sign([before, *tail])))
        joined = b"".join(tail)
        value = before + parametersDigest(sha256(joined).digest()) + after
        fields.append(joined)
    elif any(componentType(each) == PARAMETERS_DIGEST for each in name):
        raise ValueError("the name has a digest of parameters, and the Interest no parameters")
    head = b"\x07" + encodeNumber(len(value)) + value
    size = len(head) + sum(map(len, fields))
    wire = b"".join((b"\x05", encodeNumber(size), head, *fields))
    if len(wire) > MAX_PACKET_SIZE:
        raise ValueError(f"an Interest of {len(wire)} bytes is larger than {MAX_PACKET_SIZE}")
    return wire


def _aroundDigest(name: Name) -> tuple[bytes, bytes]:
    """
    The value of a name before and after its digest of parameters, which is at its end where it has none.
    """
    at = [index for index, each in enumerate(name) if componentType(each) == PARAMETERS_DIGEST]
    if not at:
        return name.value, b""
    if len(at) > 1:
        raise ValueError("a name has at most one digest of parameters")
    return name[: at[0]].value, name[at[0] + 1 :].value
