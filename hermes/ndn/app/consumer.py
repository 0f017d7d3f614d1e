"""
Objects as a whole: found, fetched, verified.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred

from hermes.ndn.app.client import Client
from hermes.ndn.app.discovery import Discovery, discover
from hermes.ndn.app.errors import FetchFailed, NoSuchObject
from hermes.ndn.app.fetcher import SegmentFetcher
from hermes.ndn.app.fetching import FetchOptions, FetchReport, Verifier
from hermes.ndn.app.windows import CubicWindow, Window
from hermes.ndn.packet.data import Data
from hermes.ndn.packet.name import Name
from hermes.ndn.packet.peek import peekData
from hermes.ndn.packet.typenumbers import CONTENT_NACK
from hermes.values import Buffer


async def fetch(
    client: Client,
    name: Name,
    deliver: Callable[[Buffer], object],
    window: Window | None = None,
    options: FetchOptions = FetchOptions(),  # noqa: B008 (immutable)
    verifier: Verifier | None = None,
    discovery: Discovery = "metadata",
    started: Callable[[SegmentFetcher], None] | None = None,
) -> FetchReport:
    """
    Fetch an object.

    @param name: its name, with or without a version; without, the newest is found.
    @param deliver: is given the content in order, piece by piece; borrowed.
    @param window: how many segments are asked for at once; CUBIC where not given.
    @param verifier: what must believe every packet.
    @param discovery: how the newest version is found.
    @param started: is given the fetcher, which can be paused and whose report tells how it goes.
    @raise AppError: if it can't be had.
    @raise Untrusted: from the verifier.
    """
    began = client.clock.seconds()
    found = await discover(client, name, options.lifetime, verifier, discovery)
    if found.single is not None:
        data = found.single
        if data.metaInfo.contentType == CONTENT_NACK:
            raise NoSuchObject(f"the producer has no {name}")
        deliver(data.content)
        elapsed = client.clock.seconds() - began
        return FetchReport(found.prefix, segments=1, bytes=len(data.content), seconds=elapsed, sent=1)
    fetcher = SegmentFetcher(
        client,
        found.prefix,
        CubicWindow() if window is None else window,
        deliver,
        options,
        verifier,
        known=None if found.segment is None else peekData(found.segment.wire),
    )
    if started is not None:
        started(fetcher)
    return await fetcher.start()


async def fetchBytes(client: Client, name: Name, verifier: Verifier | None = None, most: int = 1 << 24) -> bytes:
    """
    Fetch a small object into memory: whatever is under the name (C{discovery="prefix"}), as NFD's datasets are.

    @param most: how large it may be, in bytes.
    @raise AppError: if it can't be had, or is larger.
    """
    parts: list[bytes] = []
    size = 0

    def deliver(content: Buffer) -> None:
        nonlocal size
        size += len(content)
        if size > most:
            raise FetchFailed(f"{name} is larger than {most} bytes")
        parts.append(bytes(content))

    await fetch(client, name, deliver, verifier=verifier, discovery="prefix")
    return b"".join(parts)


def certificateFetch(client: Client, lifetime: int) -> Callable[[Name], Deferred[Data]]:
    """
    How a L{hermes.ndn.security.validator.Validator} gets certificates.

    @param lifetime: of each Interest, in milliseconds.
    """

    def get(name: Name) -> Deferred[Data]:
        return client.express(name, canBePrefix=True, lifetime=lifetime)

    return get
