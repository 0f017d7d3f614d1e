"""
What the metadata of an object says beside its name (RDR; ndn6-file-server's extensions, and a media type of ours).
Sans-IO.
"""

from __future__ import annotations

from typing import ClassVar, Final

from attrs import define

from hermes.ndn.management.blocks import Block, named, number, octets
from hermes.ndn.packet.errors import PacketError
from hermes.ndn.packet.name import Name
from hermes.values import Buffer

SIZE: Final = 0xF502
MODIFIED: Final = 0xF50C
MEDIA_TYPE: Final = 0xF520
"""
TLV-TYPE numbers: those of ndn6-file-server, and ours. They are not critical: who does not know them ignores them.
"""

MAX_MEDIA_TYPE: Final = 255


def isMediaType(text: bytes) -> bool:
    """
    Whether it can be sent in C{Content-Type}.
    """
    return 3 <= len(text) <= MAX_MEDIA_TYPE and all(32 <= byte < 127 for byte in text) and b"/" in text


@define
class Metadata(Block):
    """
    The Content of metadata.

    @ivar name: of the object's newest version.
    @ivar size: of the object, in bytes.
    @ivar modified: when it was changed, in nanoseconds since 1970.
    @ivar mediaType: what it is, as in C{Content-Type}.
    """

    TYPE: ClassVar[int] = 0

    name: Name = named(required=True)
    size: int | None = number(SIZE)
    modified: int | None = number(MODIFIED)
    mediaType: bytes | None = octets(MEDIA_TYPE)

    @classmethod
    def read(cls, content: Buffer) -> Metadata | None:
        """
        What there is to be read; L{None} where it is no metadata. A media type that could not be sent is none.
        """
        try:
            metadata = cls.decode(content)
        except PacketError:
            return None
        kind = metadata.mediaType
        if kind is not None and not isMediaType(kind):
            metadata.mediaType = None
        return metadata
