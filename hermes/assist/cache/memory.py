"""
A store in memory.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from hashlib import sha256
from typing import Final

from attrs import define
from twisted.internet.defer import Deferred, succeed
from twisted.python.failure import Failure
from zope.interface import implementer

from hermes.assist.cache.pulled import PIECE, PulledBody
from hermes.assist.cache.store import IObjectFiller, IObjectStore, IObjectWriter
from hermes.assist.cache.stored import Key, StoredResponse
from hermes.errors import Overloaded
from hermes.interfaces import IBody
from hermes.messages import BytesBody
from hermes.values import Buffer

OBJECT_COST: Final = 1024
"""
Bytes that a stored response counts beside its body and its fields: what Python keeps for it.
"""

MAX_VARIANTS: Final = 64
"""
So many responses one key has, at most: a site that varies on C{cookie} must not make lookups long.
"""


def costOf(stored: StoredResponse) -> int:
    """
    What a response counts beside its body.
    """
    fields = sum(len(name) + len(value) for name, value in stored.headers)
    return OBJECT_COST + len(stored.key.url) + len(stored.key.scope) + fields


class SlicedBody(PulledBody):
    """
    A part of bytes that are all there.
    """

    def __init__(self, data: Buffer, start: int, stop: int) -> None:
        super().__init__(start, stop)
        self._data = memoryview(data)

    def piece(self, start: int, size: int) -> Buffer:
        return self._data[start : start + size]


@define(eq=False)
class _Object:
    """
    What C{StoredResponse.place} is here: the bytes.
    """

    data: bytes | bytearray
    cost: int


@implementer(IObjectStore)
class MemoryStore:
    """
    See L{IObjectStore}. What is still being written counts, too.
    """

    def __init__(self, capacity: int, largest: int) -> None:
        """
        @param capacity: how many bytes it holds.
        @param largest: how many a body may have.
        """
        self.size = 0
        self.evicted = 0
        self.largest = min(largest, capacity)
        self._capacity = capacity
        # By URL and then by scope, so that a URL can be invalidated for everybody.
        self._byUrl: dict[bytes, dict[bytes, tuple[StoredResponse, ...]]] = {}
        self._byDigest: dict[bytes, dict[StoredResponse, None]] = {}
        self._order: OrderedDict[StoredResponse, None] = OrderedDict()

    @property
    def objects(self) -> int:
        """
        See L{IObjectStore}.
        """
        return len(self._order)

    def lookup(self, key: Key) -> Deferred[Sequence[StoredResponse]]:
        return succeed(self.find(key))

    def find(self, key: Key) -> tuple[StoredResponse, ...]:
        """
        What L{lookup} fires with.
        """
        scopes = self._byUrl.get(key.url)
        found = () if scopes is None else scopes.get(key.scope, ())
        for stored in found:
            self._order.move_to_end(stored)
        return found

    def body(self, stored: StoredResponse, start: int, stop: int) -> IBody:
        data = stored.place.data
        if stop - start <= PIECE:
            whole = type(data) is bytes and stop - start == len(data)
            return BytesBody(data if whole else bytes(memoryview(data)[start:stop]))
        return SlicedBody(data, start, stop)

    def writer(self, stored: StoredResponse, filler: IObjectFiller) -> IObjectWriter:
        return _Writer(self, stored, filler)

    def replace(self, stored: StoredResponse, renewed: StoredResponse) -> Deferred[None]:
        if stored in self._order:
            data = stored.place.data
            self._forget(stored)
            self.size += len(data)
            self.add(renewed, data)
        return succeed(None)

    def remove(self, stored: StoredResponse) -> Deferred[None]:
        if stored in self._order:
            self._forget(stored)
        return succeed(None)

    def invalidate(self, url: bytes) -> Deferred[int]:
        return succeed(self._forgetUrl(url))

    def purge(self, prefix: bytes) -> Deferred[int]:
        return succeed(sum(self._forgetUrl(url) for url in [*self._byUrl] if url.startswith(prefix)))

    def byDigest(self, digest: bytes) -> Deferred[IBody | None]:
        for stored in self._byDigest.get(digest, ()):
            self._order.move_to_end(stored)
            return succeed(self.body(stored, 0, len(stored.place.data)))
        return succeed(None)

    def close(self) -> Deferred[None]:
        for stored in [*self._order]:
            self._forget(stored)
        return succeed(None)

    def add(self, stored: StoredResponse, data: bytes | bytearray) -> None:
        """
        Keep a response whose body is there, and counted.
        """
        scopes = self._byUrl.setdefault(stored.key.url, {})
        others = scopes.get(stored.key.scope, ())
        for other in others:
            if other.selecting == stored.selecting:
                self._forget(other)
        if len(others) >= MAX_VARIANTS:
            self._forget(min(others, key=lambda other: other.receivedAt))
        # Forgetting may have taken away what is empty.
        scopes = self._byUrl.setdefault(stored.key.url, {})
        scopes[stored.key.scope] = (*scopes.get(stored.key.scope, ()), stored)
        cost = costOf(stored)
        stored.place = _Object(data, cost)
        self._byDigest.setdefault(stored.digest, {})[stored] = None
        self._order[stored] = None
        self.size += cost
        self.makeRoom(0)

    def makeRoom(self, size: int) -> bool:
        """
        Evict until C{size} bytes more have room; L{False} where what is being written leaves none.
        """
        while self.size + size > self._capacity:
            if not self._order:
                return False
            self._forget(next(iter(self._order)))
            self.evicted += 1
        return True

    def _forgetUrl(self, url: bytes) -> int:
        found = [stored for scope in self._byUrl.get(url, {}).values() for stored in scope]
        for stored in found:
            self._forget(stored)
        return len(found)

    def _forget(self, stored: StoredResponse) -> None:
        del self._order[stored]
        self.size -= len(stored.place.data) + stored.place.cost
        key = stored.key
        scopes = self._byUrl[key.url]
        left = tuple(other for other in scopes[key.scope] if other is not stored)
        if left:
            scopes[key.scope] = left
        else:
            del scopes[key.scope]
            if not scopes:
                del self._byUrl[key.url]
        same = self._byDigest[stored.digest]
        del same[stored]
        if not same:
            del self._byDigest[stored.digest]


@implementer(IObjectWriter)
class _Writer:
    """
    See L{IObjectWriter}.
    """

    def __init__(self, store: MemoryStore, stored: StoredResponse, filler: IObjectFiller) -> None:
        self._store = store
        self._stored = stored
        self._filler = filler
        self._data = bytearray()
        self._digest = sha256()
        self._counted = 0
        self._open = True

    def write(self, data: bytes) -> bool:
        self._data += data
        self._digest.update(data)
        if self._open:
            if self._store.makeRoom(len(data)):
                self._counted += len(data)
                self._store.size += len(data)
            else:
                self.abandon()
                self._filler.writerFailed(Failure(Overloaded("the cache has no room")))
        return True

    def read(self, start: int, size: int) -> Buffer:
        # A view would keep the bytes from growing.
        return bytes(self._data[start : start + size])

    def commit(self) -> Deferred[None]:
        if not self._open:
            return succeed(None)
        self._open = False
        stored = self._stored
        stored.length = len(self._data)
        stored.digest = self._digest.digest()
        self._store.add(stored, bytes(self._data) if stored.length <= PIECE else self._data)
        return succeed(None)

    def abandon(self) -> None:
        if self._open:
            self._open = False
            self._store.size -= self._counted
            self._counted = 0

    def release(self) -> None:
        pass
