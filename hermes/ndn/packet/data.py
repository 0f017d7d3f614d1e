"""
Data (packet format v0.3, section "Data Packet").
"""

from __future__ import annotations

from hashlib import sha256

from attrs import evolve

from hermes.ndn.packet.errors import PacketError
from hermes.ndn.packet.metainfo import MetaInfo, readMetaInfo
from hermes.ndn.packet.name import Name, componentEnds
from hermes.ndn.packet.signatureinfo import SignatureInfo, Signer, readSignatureInfo
from hermes.ndn.packet.tlv import encodeElement, encodeNumber, only, passOver, readHead
from hermes.ndn.packet.typenumbers import (
    CONTENT,
    DATA,
    MAX_PACKET_SIZE,
    META_INFO,
    NAME,
    SIGNATURE_INFO,
    SIGNATURE_VALUE,
)
from hermes.values import Buffer


class Data:
    """
    A Data packet as it was received, or as it is to be sent.

    @ivar wire: the whole packet.
    @ivar name: its name.
    @ivar metaInfo: what it says of its content.
    @ivar content: its Content, a slice of C{wire}; empty where it has none.
    @ivar signatureInfo: what it says of its signature.
    @ivar signatureValue: the signature, not verified.
    @ivar signed: what the signature is of, a slice of C{wire}.
    """

    __slots__ = ("_digest", "content", "metaInfo", "name", "signatureInfo", "signatureValue", "signed", "wire")

    wire: bytes
    name: Name
    metaInfo: MetaInfo
    content: memoryview
    signatureInfo: SignatureInfo
    signatureValue: bytes
    signed: memoryview
    _digest: bytes | None

    @property
    def digest(self) -> bytes:
        """
        The implicit digest: SHA-256 of the whole packet, 32 bytes. It is computed once.
        """
        digest = self._digest
        if digest is None:
            digest = self._digest = sha256(self.wire).digest()
        return digest

    @property
    def fullName(self) -> Name:
        """
        The name with the implicit digest.
        """
        return self.name.withDigest(self.digest)

    def __repr__(self) -> str:
        return f"<Data {self.name}>"


def decodeData(wire: Buffer) -> Data:
    """
    Read Data. The signature is not verified.

    @param wire: the whole packet, copied unless it is L{bytes}.
    @raise PacketError: if it is malformed, or larger than L{MAX_PACKET_SIZE}.
    """
    data = Data.__new__(Data)
    data.wire = wire = bytes(wire)
    size = len(wire)
    if size > MAX_PACKET_SIZE:
        raise PacketError(f"Data of {size} bytes is larger than {MAX_PACKET_SIZE}")
    valueStart, _ = only(wire, DATA, "Data")
    kind, start, position = readHead(wire, valueStart, size)
    if kind != NAME:
        raise PacketError("Data does not begin with its Name")
    componentEnds(wire, start, position)
    data.name = Name.fromValue(wire[start:position])
    data.metaInfo = _NOTHING_SAID
    view = memoryview(wire)
    data.content = view[size:]
    data._digest = None
    info = value = None
    place = signedEnd = 0
    while position < size:
        kind, start, position = readHead(wire, position, size)
        # Their order is that of their types.
        if kind < META_INFO or kind > SIGNATURE_VALUE or kind <= place:
            passOver(kind, "Data")
            continue
        place = kind
        if kind == CONTENT:
            data.content = view[start:position]
        elif kind == META_INFO:
            data.metaInfo = MetaInfo(*readMetaInfo(wire, start, position))
        elif kind == SIGNATURE_INFO:
            info = readSignatureInfo(wire, start, position)
        else:
            value = wire[start:position]
        if kind != SIGNATURE_VALUE:
            signedEnd = position
    if info is None or value is None:
        raise PacketError("the Data is not signed: it has no SignatureInfo, or no SignatureValue")
    data.signatureInfo = info
    data.signatureValue = value
    data.signed = view[valueStart:signedEnd]
    return data


_NOTHING_SAID = MetaInfo()


def encodeData(
    name: Name,
    content: Buffer | None,
    signer: Signer,
    metaInfo: MetaInfo = _NOTHING_SAID,
    validity: tuple[bytes, bytes] | None = None,
    description: bytes | None = None,
) -> bytes:
    """
    Make Data and sign it.

    @param content: the Content; L{None} for none at all.
    @param validity: see L{SignatureInfo}, as C{description} is.
    @return: the whole packet.
    @raise ValueError: if it is larger than L{MAX_PACKET_SIZE}, or a number has no encoding.
    """
    info = signer.signatureInfo()
    if validity is not None or description is not None:
        info = evolve(info, validity=validity, description=description)
    parts: list[Buffer] = [b"\x07", encodeNumber(len(name.value)), name.value, metaInfo.encode()]
    if content is not None:
        parts += (b"\x15", encodeNumber(len(content)), content)
    parts.append(info.encode())
    parts.append(encodeElement(SIGNATURE_VALUE, signer.sign(parts)))
    size = sum(map(len, parts))
    wire = b"".join((b"\x06", encodeNumber(size), *parts))
    if len(wire) > MAX_PACKET_SIZE:
        raise ValueError(f"Data of {len(wire)} bytes is larger than {MAX_PACKET_SIZE}")
    return wire
