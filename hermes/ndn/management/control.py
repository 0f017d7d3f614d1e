"""
What a command asks and how it is answered (NFD Management, "Control Command"). Sans-IO.
"""

from __future__ import annotations

from typing import ClassVar, Final

from attrs import define

from hermes.ndn.management.blocks import Block, named, number, octets, text, wrappedName
from hermes.ndn.packet.name import Name

FACE_ID: Final = 0x69
URI: Final = 0x72
LOCAL_URI: Final = 0x81
ORIGIN: Final = 0x6F
COST: Final = 0x6A
CAPACITY: Final = 0x83
COUNT: Final = 0x84
CONGESTION_INTERVAL: Final = 0x87
CONGESTION_THRESHOLD: Final = 0x88
MTU: Final = 0x89
FLAGS: Final = 0x6C
MASK: Final = 0x70
STRATEGY: Final = 0x6B
EXPIRATION: Final = 0x6D
FACE_PERSISTENCY: Final = 0x85
"""
TLV-TYPE numbers that several of the protocol's elements use.
"""


@define
class ControlParameters(Block):
    """
    The arguments of a command, and the body of its response.

    They are written in python-ndn's order, without which it raises. An NFD writes what is about congestion and the MTU
    behind all others; ndn-cxx reads any order.

    @ivar faceID: 0 stands for the face that the command came from.
    @ivar congestionInterval: BaseCongestionMarkingInterval, in nanoseconds.
    @ivar congestionThreshold: DefaultCongestionThreshold, in bytes.
    @ivar expiration: ExpirationPeriod, in milliseconds.
    @ivar persistency: C{PERSISTENCIES} by number.
    """

    TYPE: ClassVar[int] = 0x68

    name: Name | None = named()
    faceID: int | None = number(FACE_ID)
    uri: str | None = text(URI)
    localURI: str | None = text(LOCAL_URI)
    origin: int | None = number(ORIGIN)
    cost: int | None = number(COST)
    capacity: int | None = number(CAPACITY)
    count: int | None = number(COUNT)
    congestionInterval: int | None = number(CONGESTION_INTERVAL)
    congestionThreshold: int | None = number(CONGESTION_THRESHOLD)
    mtu: int | None = number(MTU)
    flags: int | None = number(FLAGS)
    mask: int | None = number(MASK)
    strategy: Name | None = wrappedName(STRATEGY)
    expiration: int | None = number(EXPIRATION)
    persistency: int | None = number(FACE_PERSISTENCY)


@define
class ControlResponse(Block):
    """
    How a command is answered.

    @ivar code: as HTTP's, 200 for success.
    @ivar text: in words.
    @ivar body: L{ControlParameters} where there are any.
    """

    TYPE: ClassVar[int] = 0x65

    code: int = number(0x66, required=True)
    text: str = text(0x67, required=True)
    body: bytes | None = octets(ControlParameters.TYPE)

    @classmethod
    def of(cls, code: int, text: str, body: ControlParameters | None = None) -> ControlResponse:
        """
        One with a body.
        """
        return cls(code=code, text=text, body=None if body is None else body.encodeValue())

    @property
    def parameters(self) -> ControlParameters:
        """
        The body; without any parameters where there is none.

        @raise PacketError: if it is malformed.
        """
        body = self.body or b""
        return ControlParameters.decodeValue(body, 0, len(body))
