"""
What a forwarder says of itself (NFD Management: the datasets).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from attrs import frozen

from hermes.ndn.app.client import Client
from hermes.ndn.app.consumer import fetchBytes
from hermes.ndn.app.errors import AppError
from hermes.ndn.app.registration import managementPrefix
from hermes.ndn.management.blocks import Block
from hermes.ndn.management.statuses import (
    ChannelStatus,
    ContentStoreInfo,
    FaceStatus,
    FIBEntryStatus,
    ForwarderStatus,
    RIBEntryStatus,
    StrategyChoice,
)
from hermes.ndn.packet.errors import PacketError
from hermes.ndn.packet.name import Name
from hermes.ndn.packet.tlv import elements

BlockT = TypeVar("BlockT", bound=Block)


@frozen
class Status:
    """
    All of it.
    """

    general: ForwarderStatus
    channels: Sequence[ChannelStatus]
    faces: Sequence[FaceStatus]
    fib: Sequence[FIBEntryStatus]
    rib: Sequence[RIBEntryStatus]
    store: ContentStoreInfo | None
    strategies: Sequence[StrategyChoice]


async def dataset(client: Client, path: str, kind: type[BlockT]) -> list[BlockT]:
    """
    One dataset.

    @param path: such as C{"faces/list"}.
    @param kind: what it consists of; one whose C{TYPE} is 0 is the content itself.
    @raise AppError: if there is none, or it is malformed.
    """
    content = await fetchBytes(client, managementPrefix(client) + Name.fromText(f"/{path}"))
    try:
        if not kind.TYPE:
            return [kind.decode(content)]
        return [
            kind.decodeValue(content, start, stop)
            for found, start, stop in elements(content, 0, len(content))
            if found == kind.TYPE
        ]
    except PacketError as error:
        raise AppError(f"what the forwarder says of {path} is malformed: {error}") from error


async def status(client: Client) -> Status:
    """
    All datasets.

    @raise AppError: as L{dataset}.
    """
    (general,) = await dataset(client, "status/general", ForwarderStatus)
    stores = await dataset(client, "cs/info", ContentStoreInfo)
    return Status(
        general,
        await dataset(client, "faces/channels", ChannelStatus),
        await dataset(client, "faces/list", FaceStatus),
        await dataset(client, "fib/list", FIBEntryStatus),
        await dataset(client, "rib/list", RIBEntryStatus),
        stores[0] if stores else None,
        await dataset(client, "strategy-choice/list", StrategyChoice),
    )
