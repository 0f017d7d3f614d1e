"""
Prefix announcements: Data that says "I have what is under this prefix" (NFD, "Prefix Announcement Protocol"). Sans-IO.
"""

from __future__ import annotations

from typing import Final

from attrs import define, frozen

from hermes.ndn.management.blocks import Block, number, octets
from hermes.ndn.packet.component import SEGMENT, VERSION, isNumber, keyword
from hermes.ndn.packet.component import number as numberOf
from hermes.ndn.packet.component import segment as segmentOf
from hermes.ndn.packet.component import version as versionOf
from hermes.ndn.packet.data import Data, decodeData, encodeData
from hermes.ndn.packet.errors import PacketError
from hermes.ndn.packet.metainfo import MetaInfo
from hermes.ndn.packet.name import Name
from hermes.ndn.packet.signatureinfo import Signer
from hermes.ndn.packet.tlv import elements, encodeElement
from hermes.ndn.packet.typenumbers import NOT_AFTER, NOT_BEFORE, VALIDITY_PERIOD
from hermes.ndn.security.certificate import readTime, writeTime
from hermes.values import Buffer

CONTENT_PREFIX_ANNOUNCEMENT: Final = 5
KEYWORD: Final = keyword(b"PA")


@define
class _Content(Block):
    """
    The Content.
    """

    expiration: int = number(0x6D, required=True)
    validity: bytes | None = octets(VALIDITY_PERIOD)


@frozen
class PrefixAnnouncement:
    """
    @ivar prefix: what is announced.
    @ivar expiration: for how long, from when it is received on, in milliseconds.
    @ivar notBefore: from when on it is valid, in seconds since 1970; L{None} where it does not say so.
    @ivar notAfter: the last second in which it is.
    @ivar data: the packet; L{None} where it is not made yet.
    """

    prefix: Name
    expiration: int
    notBefore: float | None = None
    notAfter: float | None = None
    data: Data | None = None

    @classmethod
    def decode(cls, wire: Buffer) -> PrefixAnnouncement:
        """
        @raise PacketError: if it is none. The signature is not verified.
        """
        data = decodeData(wire)
        name = data.name
        if len(name) < 3 or name[-3] != KEYWORD or not isNumber(name[-2], VERSION) or not isNumber(name[-1], SEGMENT):
            raise PacketError(f"{name} is not the name of a prefix announcement")
        if numberOf(name[-1]) != 0 or data.metaInfo.contentType != CONTENT_PREFIX_ANNOUNCEMENT:
            raise PacketError("it is no prefix announcement")
        content = _Content.decode(data.content)
        notBefore = notAfter = None
        if content.validity is not None:
            notBefore, notAfter = _readValidity(content.validity)
        return cls(name[:-3], content.expiration, notBefore, notAfter, data)

    def encode(self, signer: Signer, version: int) -> bytes:
        """
        The packet.

        @param version: of its name.
        """
        validity = None
        if self.notBefore is not None and self.notAfter is not None:
            validity = encodeElement(NOT_BEFORE, writeTime(self.notBefore)) + encodeElement(
                NOT_AFTER, writeTime(self.notAfter)
            )
        content = _Content(expiration=self.expiration, validity=validity)
        name = self.prefix + KEYWORD + versionOf(version) + segmentOf(0)
        return encodeData(name, content.encode(), signer, MetaInfo(CONTENT_PREFIX_ANNOUNCEMENT))

    def secondsLeft(self, now: float) -> float:
        """
        For how long it is valid.

        @param now: seconds since 1970, and the time when it was received.
        @return: 0 or less where it is not.
        """
        if self.notBefore is not None and now < self.notBefore:
            return 0
        seconds = self.expiration / 1000
        return seconds if self.notAfter is None else min(seconds, self.notAfter + 1 - now)


def _readValidity(value: bytes) -> tuple[float, float]:
    times = {kind: value[start:stop] for kind, start, stop in elements(value, 0, len(value))}
    try:
        return readTime(times[NOT_BEFORE]), readTime(times[NOT_AFTER])
    except KeyError as error:
        raise PacketError("a ValidityPeriod has a beginning and an end") from error
