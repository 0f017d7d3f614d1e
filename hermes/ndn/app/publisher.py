"""
Objects for others to fetch: in segments, with a version, and with metadata that names the newest (RDR).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import BinaryIO, Protocol

from twisted.logger import Logger

from hermes.ndn.app.client import Reply
from hermes.ndn.app.discovery import METADATA
from hermes.ndn.packet.component import SEGMENT, VERSION, isNumber, number, segment, version
from hermes.ndn.packet.data import encodeData
from hermes.ndn.packet.metainfo import MetaInfo
from hermes.ndn.packet.name import Name
from hermes.ndn.packet.peek import InterestView
from hermes.ndn.packet.signatureinfo import Signer
from hermes.ndn.packet.typenumbers import MAX_PACKET_SIZE
from hermes.ndn.security.certificate import Certificate

SEGMENT_SIZE = 8000
"""
Content of a segment, in bytes.
"""

FRESHNESS = 10_000
METADATA_FRESHNESS = 10
"""
For how long a segment and metadata are fresh, in milliseconds.
"""

_VARYING = 8  # longer lengths of a full packet, and what an ECDSA signature may have more than another


class Source(Protocol):
    """
    Where content is read from, at any place.

    @ivar size: in bytes.
    """

    size: int

    def read(self, offset: int, size: int) -> bytes:
        """
        So many bytes from there; fewer at the end.

        @raise OSError: if it can't be read.
        """


class BytesSource:
    """
    Content in memory.
    """

    def __init__(self, content: bytes) -> None:
        self.size = len(content)
        self._content = content

    def read(self, offset: int, size: int) -> bytes:
        """
        See L{Source}.
        """
        return self._content[offset : offset + size]


class FileSource:
    """
    A file, which has to stay as it is.
    """

    def __init__(self, file: BinaryIO) -> None:
        """
        @param file: of any size, and such as can be read at any place.
        """
        self.size = os.fstat(file.fileno()).st_size
        self._file = file

    def read(self, offset: int, size: int) -> bytes:
        """
        See L{Source}.
        """
        return os.pread(self._file.fileno(), size, offset)


class SegmentedObject:
    """
    One version of an object. Segments are read, made and signed when they are asked for, so that memory does not depend
    on its size.

    @ivar prefix: its name, with the version.
    @ivar count: how many segments it has, at least one.
    """

    _log = Logger()

    def __init__(
        self,
        prefix: Name,
        source: Source,
        signer: Signer,
        segmentSize: int = SEGMENT_SIZE,
        freshness: int = FRESHNESS,
    ) -> None:
        """
        @param segmentSize: content of a segment, in bytes.
        @param freshness: for how long a segment is fresh, in milliseconds.
        @raise ValueError: if segments of this size would be too large with this name and signature.
        """
        if segmentSize < 1:
            raise ValueError(f"a segment of {segmentSize} bytes holds nothing")
        self.prefix = prefix
        self.count = max(-(-source.size // segmentSize), 1)
        self._source = source
        self._signer = signer
        self._size = segmentSize
        self._metaInfo = MetaInfo(freshness=freshness, finalBlock=segment(self.count - 1))
        # The last one has the longest name; found out now, and not when somebody asks for it.
        rest = len(encodeData(prefix + segment(self.count - 1), b"", signer, self._metaInfo)) + _VARYING
        if rest + segmentSize > MAX_PACKET_SIZE:
            raise ValueError(
                f"segments of {segmentSize} bytes are too large: with this name and signature a packet of"
                f" {MAX_PACKET_SIZE} bytes has room for {MAX_PACKET_SIZE - rest}"
            )

    def data(self, at: int) -> bytes | None:
        """
        One segment as Data; L{None} where there is none.
        """
        if not 0 <= at < self.count:
            return None
        offset = at * self._size
        expected = min(self._size, self._source.size - offset)
        try:
            content = self._source.read(offset, expected)
        except OSError as error:
            self._log.error("segment {at} of {name} can't be read: {error}", at=at, name=str(self.prefix), error=error)
            return None
        if len(content) != expected:
            # Better none than another one: a consumer would take it for the object's end.
            self._log.error("what {name} is read from has become shorter", name=str(self.prefix))
            return None
        return encodeData(self.prefix + segment(at), content, self._signer, self._metaInfo)


class ObjectPublisher:
    """
    Answers Interests for an object: for its segments, for its metadata, and with the first segment for those whose name
    can be a prefix.

    @ivar segmentsSent: how many segments were answered with.
    @ivar metadataSent: how often metadata was.
    """

    def __init__(
        self,
        name: Name,
        content: SegmentedObject,
        signer: Signer,
        now: Callable[[], float],
        metadata: bytes | None = None,
    ) -> None:
        """
        @param name: of the object, without a version.
        @param content: the newest version.
        @param now: seconds since 1970.
        @param metadata: what metadata says, its Content; the name of the newest version and nothing else, unless given.
        @raise ValueError: if the version is not one of this object.
        """
        if not name.isPrefixOf(content.prefix):
            raise ValueError(f"{content.prefix} is no version of {name}")
        self.segmentsSent = 0
        self.metadataSent = 0
        self._name = name
        self._content = content
        self._signer = signer
        self._now = now
        self._versioned = content.prefix.value
        self._metadata = (name + METADATA).value
        self._said = content.prefix.encode() if metadata is None else metadata
        self._last = 0
        self._made: tuple[Name, bytes] | None = None

    def answer(self, view: InterestView, reply: Reply) -> None:
        """
        The L{hermes.ndn.app.client.Handler} for C{name}.
        """
        name = view.name
        versioned = self._versioned
        if name.startswith(versioned):
            rest = name[len(versioned) :]
            if rest:
                components = Name.fromValue(rest).components
                if len(components) == 1 and isNumber(components[0], SEGMENT):
                    self._segment(number(components[0]), reply)
                return
        if name.startswith(self._metadata):
            self._answerMetadata(Name.fromValue(name), view, reply)
        elif view.canBePrefix and versioned.startswith(name):
            self._segment(0, reply)

    def _segment(self, at: int, reply: Reply) -> None:
        wire = self._content.data(at)
        if wire is not None:
            self.segmentsSent += 1
            reply(wire)

    def _answerMetadata(self, name: Name, view: InterestView, reply: Reply) -> None:
        base = len(self._name) + 1
        if len(name) == base and view.canBePrefix:
            # Each answer is a version of its own: what a cache has of it is stale at once.
            self._last = max(int(self._now() * 1_000_000), self._last + 1)
            full = name + version(self._last) + segment(0)
            metaInfo = MetaInfo(freshness=METADATA_FRESHNESS, finalBlock=segment(0))
            self._made = (full, encodeData(full, self._said, self._signer, metaInfo))
        elif self._made is None or not (name == self._made[0] or (view.canBePrefix and name.isPrefixOf(self._made[0]))):
            return
        self.metadataSent += 1
        reply(self._made[1])


def versionNow(now: float) -> bytes:
    """
    A version component: microseconds since 1970.

    @param now: seconds since 1970.
    """
    return version(int(now * 1_000_000))


def splitVersion(name: Name) -> tuple[Name, bytes | None]:
    """
    The name of an object, and the version that it ends with or L{None}.
    """
    if name and isNumber(name[-1], VERSION):
        return name[:-1], name[-1]
    return name, None


def answerCertificate(certificate: Certificate) -> Callable[[InterestView, Reply], None]:
    """
    A L{hermes.ndn.app.client.Handler} for the name of a key, which gives its certificate to whoever verifies.
    """

    def answer(view: InterestView, reply: Reply) -> None:
        name = certificate.name.value
        if view.name == name or (view.canBePrefix and name.startswith(view.name)):
            reply(certificate.data.wire)

    return answer
