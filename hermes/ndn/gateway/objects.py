"""
What is known of an object before its body is sent: which packets it is in, how large it is, what it is.
"""

from __future__ import annotations

from hashlib import sha256
from mimetypes import guess_type
from typing import Final

from attrs import define, frozen

from hermes.ndn.app.client import Client
from hermes.ndn.app.discovery import Discovered, Discovery, discover
from hermes.ndn.app.errors import FetchFailed, InterestNack, InterestTimeout
from hermes.ndn.app.fetching import Verifier
from hermes.ndn.gateway.errors import ObjectNotFound
from hermes.ndn.gateway.metadata import Metadata
from hermes.ndn.packet.component import (
    GENERIC,
    IMPLICIT_DIGEST,
    SEGMENT,
    VERSION,
    componentType,
    componentValue,
    isNumber,
    number,
    segment,
)
from hermes.ndn.packet.data import Data
from hermes.ndn.packet.lp import NACK_NO_ROUTE
from hermes.ndn.packet.name import Name
from hermes.ndn.packet.typenumbers import CONTENT_NACK

UNKNOWN_TYPE: Final = b"application/octet-stream"


@frozen
class Asking:
    """
    How packets are asked for.

    @ivar client: who asks.
    @ivar lifetime: of an Interest, in milliseconds.
    @ivar retries: how often one is sent again.
    @ivar verifier: believes them; L{None}: they are not verified.
    @ivar discovery: how the newest version is found.
    """

    client: Client
    lifetime: int
    retries: int
    verifier: Verifier | None
    discovery: Discovery

    async def packet(self, name: Name) -> Data:
        """
        The Data of this name, verified.

        @raise AppError: where there is none.
        @raise Untrusted: where it is not believed.
        """
        tries = 0
        while True:
            try:
                data = await self.client.express(name, lifetime=self.lifetime)
                break
            except InterestTimeout:
                if tries >= self.retries:
                    raise
            except InterestNack as nack:
                if nack.reason == NACK_NO_ROUTE or tries >= self.retries:
                    raise
            tries += 1
        if self.verifier is not None and not self.verifier.validateNow(data):
            await self.verifier.validate(data)
        if data.metaInfo.contentType == CONTENT_NACK:
            raise ObjectNotFound("its producer has no such object")
        return data


@define(eq=False)
class FoundObject:
    """
    An object.

    @ivar name: what comes before the segment in its packets' names; the packet's own, where it is one that is no
        segment.
    @ivar first: its first packet, or its only one.
    @ivar last: the number of its last segment; 0 where there is one packet; L{None} where that is not known.
    @ivar size: in bytes; L{None} where that is not known.
    @ivar metadata: what its metadata says, where there is any.
    @ivar freshness: for how long what was found is the newest, in milliseconds.
    @ivar segmented: whether it is in segments.
    """

    name: Name
    first: Data
    last: int | None
    size: int | None
    metadata: Metadata | None
    freshness: int
    segmented: bool = True

    @property
    def segmentSize(self) -> int:
        """
        Content of each segment but the last.
        """
        return len(self.first.content)

    @property
    def version(self) -> int | None:
        """
        The version that its name says.
        """
        for component in reversed(self.name.components):
            if isNumber(component, VERSION):
                return number(component)
        return None

    @property
    def etag(self) -> bytes:
        """
        An entity tag: of the version, and of the first packet, with its signature. It is weak where nothing says that
        the other packets are always the same.
        """
        digest = sha256(self.first.digest).hexdigest()[:24].encode()
        version = self.version
        if version is None:
            return b'"%s"' % digest if self.last == 0 else b'W/"%s"' % digest
        return b'"%d-%s"' % (version, digest)

    @property
    def mediaType(self) -> bytes:
        """
        What it is: as its metadata says, or else as the end of its name looks.
        """
        if self.metadata is not None and self.metadata.mediaType is not None:
            return self.metadata.mediaType
        for component in reversed(self.name.components):
            if componentType(component) == GENERIC:
                guessed, encoding = guess_type(componentValue(component).decode("latin-1"), strict=False)
                return guessed.encode() if guessed is not None and encoding is None else UNKNOWN_TYPE
        return UNKNOWN_TYPE


async def find(asking: Asking, name: Name) -> FoundObject:
    """
    Find an object.

    @param name: as it was asked for: of an object, of a version of it, or of one packet.
    @raise AppError: where there is none.
    @raise Untrusted: where it is not believed.
    """
    if name and (isNumber(name[-1], SEGMENT) or componentType(name[-1]) == IMPLICIT_DIGEST):
        return _single(await asking.packet(name), None)
    found = await discover(asking.client, name, asking.lifetime, asking.verifier, asking.discovery, asking.retries)
    if found.single is not None:
        return _single(found.single, found)
    first = found.segment
    if first is None or first.name[-1] != segment(0):
        first = await asking.packet(found.prefix + segment(0))
    metadata = None if found.metadata is None else Metadata.read(found.metadata.content)
    freshness = (first if found.metadata is None else found.metadata).metaInfo.freshness
    last, size = await _extent(asking, found.prefix, first, metadata)
    return FoundObject(found.prefix, first, last, size, metadata, freshness)


def _single(data: Data, found: Discovered | None) -> FoundObject:
    if data.metaInfo.contentType == CONTENT_NACK:
        raise ObjectNotFound("its producer has no such object")
    return FoundObject(data.name, data, 0, len(data.content), None, data.metaInfo.freshness, segmented=False)


async def _extent(
    asking: Asking, prefix: Name, first: Data, metadata: Metadata | None
) -> tuple[int | None, int | None]:
    """
    The number of the last segment, and the size of the whole.
    """
    final = first.metaInfo.finalBlock
    if final is None or not isNumber(final, SEGMENT):
        return None, None
    last, each = number(final), len(first.content)
    if last == 0:
        return 0, each
    if not each:
        raise FetchFailed(f"the first of {last + 1} segments of {prefix} is empty")
    said = None if metadata is None else metadata.size
    if said is not None and last * each < said <= (last + 1) * each:
        return last, said
    # All but the last are of one size: the body's reader sees that they are.
    return last, last * each + len((await asking.packet(prefix + segment(last))).content)
