"""
Nodes in an etcd, when they were last seen, and certificates that are revoked.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from typing import Any, Final

from attrs import evolve
from twisted.logger import Logger

from hermes.control.store import codec
from hermes.control.store.codec import Unreadable
from hermes.control.store.errors import StoreCorrupt, ValueTooLarge
from hermes.control.store.etcd.changing import change, remove
from hermes.control.store.etcd.keys import Keys, nameIn
from hermes.control.store.etcd.space import TOGETHER, Space, Stored, get, nonce, put, unchanged
from hermes.control.values import NodeEntry

SEEN: Final = 1024 * 1024
"""
Bytes of all times at which nodes were last seen, compressed: about fifty thousand of them.
"""


class Nodes:
    """
    See L{hermes.interfaces.store.IStore}.
    """

    log = Logger()

    def __init__(self, space: Space, keys: Keys) -> None:
        self._space = space
        self._keys = keys

    async def change(self, name: str, make: Callable[[NodeEntry | None], NodeEntry | None]) -> NodeEntry | None:
        """
        What is stored in the end.
        """
        done = await self._space.read(get(self._keys.node(name)), get(self._keys.seen))
        seen = self._times(done.one(1))
        result: list[NodeEntry | None] = [None]

        def made(there: Stored | None) -> bytes | None:
            known = None if there is None else _merged(self._entry(there), seen)
            result[0] = known
            wanted = make(known)
            if wanted is None or wanted == known:
                return None
            result[0] = named = evolve(wanted, name=name)
            return _dumped(named)

        await change(self._space, self._keys.node(name), made, done.one(0))
        return result[0]

    async def put(self, entry: NodeEntry) -> None:
        """
        Store it, whatever was there: that may be what can't be read.
        """

        def made(there: Stored | None) -> bytes:
            try:
                seen = 0.0 if there is None else self._entry(there).lastSeen
            except StoreCorrupt:
                seen = 0.0
            return _dumped(evolve(entry, lastSeen=max(seen, entry.lastSeen)))

        await change(self._space, self._keys.node(entry.name), made)

    async def one(self, name: str) -> NodeEntry | None:
        """
        One of them.
        """
        done = await self._space.read(get(self._keys.node(name)), get(self._keys.seen))
        there = done.one(0)
        return None if there is None else _merged(self._entry(there), self._times(done.one(1)))

    async def all(self) -> list[NodeEntry]:
        """
        All that can be read, by name.
        """
        seen = self._times(await self._space.one(self._keys.seen))
        found: list[NodeEntry] = []
        async for each in self._space.all(self._keys.nodes):
            try:
                found.append(_merged(self._entry(each), seen))
            except StoreCorrupt as error:
                self.log.error("{error}: it is left out", error=error)
        # In the order of keys, quoted names stand elsewhere.
        return sorted(found, key=lambda entry: entry.name)

    async def remove(self, name: str) -> None:
        """
        The node, and when it was seen.
        """
        done = await self._space.read(get(self._keys.node(name)), get(self._keys.seen))
        await remove(self._space, done.one(0))
        if name in self._times(done.one(1)):
            await change(self._space, self._keys.seen, lambda there: self._without(there, name), done.one(1))

    def _without(self, there: Stored | None, name: str) -> bytes | None:
        times = self._times(there)
        return _packed(times) if times.pop(name, None) is not None else None

    async def lastSeen(self, times: Mapping[str, float]) -> None:
        """
        All in one write of one key: what a thousand nodes say every minute is not to be a thousand writes.
        """

        def made(there: Stored | None) -> bytes | None:
            known = self._times(there)
            later = {name: when for name, when in times.items() if when > known.get(name, 0.0)}
            return _packed({**known, **later}) if later else None

        await change(self._space, self._keys.seen, made)

    async def revoke(self, serials: Mapping[str, float]) -> None:
        """
        Each for the longer of two times.
        """
        left = sorted(serials)
        while left:
            some, left = left[:TOGETHER], left[TOGETHER:]
            await self._revoke({serial: serials[serial] for serial in some})

    async def _revoke(self, serials: Mapping[str, float]) -> None:
        keys = {serial: self._keys.revocation(serial) for serial in serials}
        while True:
            known = await self._space.read(*(get(key) for key in keys.values()))
            compare, then = [], []
            for which, (serial, key) in enumerate(keys.items()):
                there = known.one(which)
                if there is None or _expiry(there) < serials[serial]:
                    compare.append(unchanged(key, there))
                    then.append(put(key, codec.dumped({"expires": serials[serial], "by": nonce()})))
            # What was done already, and not heard of, is not found to be missing.
            if not then or (await self._space.transact(compare, then)).succeeded:
                return

    async def revocations(self, now: float) -> dict[str, float]:
        """
        All that matter. One that can't be read is not passed over: its certificate would be taken.
        """
        found: dict[str, float] = {}
        async for each in self._space.all(self._keys.revocations):
            until = _expiry(each)
            try:
                serial = nameIn(each.key, self._keys.revocations)
            except Unreadable as error:
                raise each.corrupt(error) from None
            if until > now:
                found[serial] = until
        return found

    def _entry(self, there: Stored) -> NodeEntry:
        try:
            return codec.nodeFromJSON(there.json, nameIn(there.key, self._keys.nodes))
        except Unreadable as error:
            raise there.corrupt(error) from None

    def _times(self, there: Stored | None) -> dict[str, float]:
        """
        When nodes were last seen. Where that can't be read it begins anew: nothing is decided by it.
        """
        if there is None:
            return {}
        try:
            return _unpacked(there.value)
        except Unreadable as error:
            self.log.error("{error}: it begins anew", error=there.corrupt(error))
            return {}


def _merged(entry: NodeEntry, seen: Mapping[str, float]) -> NodeEntry:
    return evolve(entry, lastSeen=max(entry.lastSeen, seen.get(entry.name, 0.0)))


def _dumped(entry: NodeEntry) -> bytes:
    return codec.dumped({**codec.nodeToJSON(entry), "by": nonce()})


def _packed(times: Mapping[str, float]) -> bytes:
    packed = zlib.compress(codec.dumped({"times": times, "by": nonce()}), 6)
    if len(packed) > SEEN:
        raise ValueTooLarge(f"when {len(times)} nodes were last seen is more than is stored")
    return packed


def _unpacked(data: bytes) -> dict[str, float]:
    unpacker = zlib.decompressobj()
    try:
        plain = unpacker.decompress(data, 16 * SEEN)
    except zlib.error:
        raise Unreadable("what was compressed can't be had back") from None
    if not unpacker.eof:
        raise Unreadable("it is not whole, or too large")
    found: dict[str, Any] = codec.mapping(codec.loaded(plain), "times", (int, float))
    return {name: codec.number(found, name) for name in found}


def _expiry(there: Stored) -> float:
    try:
        return codec.number(there.json, "expires")
    except Unreadable as error:
        raise there.corrupt(error) from None
