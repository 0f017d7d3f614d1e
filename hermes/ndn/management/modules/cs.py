"""
Module C{cs}: the Content Store (NFD Management, "Content Store Management").

NFD counts its capacity in packets, ours is in bytes. A capacity that is set bounds the packets on top of the bytes;
where none is, what is told is how many of the largest packets there is room for.
"""

from __future__ import annotations

from typing import Any, Final

from hermes.ndn.management.commands import BAD, OK, Command, Module, Origin, Reply, Rule
from hermes.ndn.management.control import ControlParameters, ControlResponse
from hermes.ndn.management.statuses import ContentStoreInfo
from hermes.ndn.packet.name import Name
from hermes.ndn.packet.typenumbers import MAX_PACKET_SIZE

ADMIT: Final = 1
SERVE: Final = 2
"""
Flags: it takes Data in; it answers.
"""

ERASE_LIMIT: Final = 256
"""
So many packets one command erases at most, so that others have their turn.
"""


class StoreModule:
    """
    @ivar module: for the dispatcher.
    """

    def __init__(self, store: Any) -> None:
        """
        @param store: an L{hermes.ndn.interfaces.IContentStore} with C{maxPackets}, such as
            L{hermes.ndn.forwarder.contentstore.ContentStore}.
        """
        self._store = store
        self.module = Module(
            "cs",
            {
                "config": Command(Rule.of("", "capacity flags mask"), self._config),
                "erase": Command(Rule.of("name", "count"), self._erase),
            },
            {"info": self._info},
        )

    def _config(self, parameters: ControlParameters, origin: Origin) -> Reply:
        store = self._store
        if parameters.capacity is not None:
            store.maxPackets = parameters.capacity
        flags, mask = parameters.flags or 0, parameters.mask or 0
        if mask & ADMIT:
            store.admit = bool(flags & ADMIT)
        if mask & SERVE:
            store.serve = bool(flags & SERVE)
        return ControlResponse.of(OK, "OK", ControlParameters(capacity=self._capacity(), flags=self._flags()))

    def _erase(self, parameters: ControlParameters, origin: Origin) -> Reply:
        if parameters.count == 0:
            return ControlResponse.of(BAD, "failed in validating parameters", parameters)
        name, count = parameters.name or Name(), parameters.count
        limit = ERASE_LIMIT if count is None else min(count, ERASE_LIMIT)
        erased = self._store.erase(name.value, limit)
        body = ControlParameters(name=name, count=erased)
        if erased == ERASE_LIMIT and count != ERASE_LIMIT and self._store.holds(name.value):
            # There is more: whoever asked does so again.
            body.capacity = ERASE_LIMIT
        return ControlResponse.of(OK, "OK", body)

    def _info(self, origin: Origin) -> bytes:
        store = self._store
        return ContentStoreInfo(
            capacity=self._capacity(),
            flags=self._flags(),
            entries=len(store),
            hits=store.hits,
            misses=store.misses,
        ).encode()

    def _capacity(self) -> int:
        most = self._store.maxPackets
        return int(self._store.capacity // MAX_PACKET_SIZE if most is None else most)

    def _flags(self) -> int:
        return (ADMIT if self._store.admit else 0) | (SERVE if self._store.serve else 0)
