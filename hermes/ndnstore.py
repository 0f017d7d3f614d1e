"""
A Content Store in the store of an HTTP cache: one place and one bound for what either keeps.

Each Data packet is an object of the store, whose name there is the SHA-256 digest of its bytes: its implicit digest.
What an index in memory adds is which name has which object, and until when it is fresh.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from itertools import islice
from math import inf
from typing import Any, Final

from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from hermes.assist.cache.freshness import Freshness
from hermes.assist.cache.store import IObjectFiller, IObjectStore
from hermes.assist.cache.stored import Key, StoredResponse
from hermes.interfaces import IBody, IBodySink
from hermes.messages import BytesBody
from hermes.ndn.forwarder.children import Children
from hermes.ndn.interfaces import IContentStore
from hermes.ndn.packet.component import implicitDigest
from hermes.ndn.packet.errors import PacketError
from hermes.ndn.packet.peek import DataView, InterestView, peekData
from hermes.values import Buffer, Headers

SCOPE: Final = b"ndn"
"""
The scope of Data packets among the responses of a store: no request of HTTP asks there.
"""

ENTRY_COST: Final = 400
"""
Bytes that the index keeps for a packet beside its name, about.
"""

LEAST_COST: Final = 1100
MAX_ENTRIES: Final = 1_000_000
"""
What a packet takes in a store at least, and how many names the index has at most.
"""

MAX_WRITING: Final = 1024
"""
So many packets may be on their way into a store; what comes while there are is not kept.
"""

_LOOKS: Final = 64
_HEADERS: Final[Headers] = ((b"content-type", b"application/vnd.ndn.data"),)
_FRESHNESS: Final = Freshness(
    lifetime=0.0,
    bornAt=0.0,
    always=True,
    staleWhileRevalidate=0.0,
    staleIfError=0.0,
    mayBeStale=False,
    immutable=True,
    etag=None,
    lastModified=None,
)


@implementer(IContentStore)
class CachedContentStore:
    """
    See L{IContentStore}. What makes room when there is too much, the store decides: it is what nobody has asked for the
    longest, whether packet or response.

    @ivar maxPackets: how many packets the index may have, or L{None}; can be set.
    @ivar evicted: how many names had nothing in the store any more when they were asked for.
    """

    _log = Logger()

    def __init__(self, clock: Any, store: Callable[[], IObjectStore | None], capacity: int) -> None:
        """
        @param clock: C{IReactorTime}, whose seconds are those of the epoch.
        @param store: the store that there is now: it may be another one after a reload.
        @param capacity: how many bytes it holds.
        """
        self.capacity = capacity
        self.admit = True
        self.serve = True
        self.hits = 0
        self.misses = 0
        self.evicted = 0
        self._clock = clock
        self._store = store
        self._current: IObjectStore | None = None
        self._maxPackets: int | None = None
        self._held = 0
        # By name: until when it is fresh, how long the packet is, where its components end.
        self._index: OrderedDict[bytes, tuple[float, int, tuple[int, ...]]] = OrderedDict()
        self._children = Children(self._index)
        # What the store does not give out yet.
        self._writing: dict[bytes, DataView] = {}

    def __len__(self) -> int:
        return len(self._index)

    @property
    def heldBytes(self) -> int:
        """
        See L{IContentStore}.
        """
        return self._held + ENTRY_COST * len(self._index) + self._children.cost

    @property
    def maxPackets(self) -> int | None:
        """
        How many packets there may be.
        """
        return self._maxPackets

    @maxPackets.setter
    def maxPackets(self, maxPackets: int | None) -> None:
        self._maxPackets = maxPackets
        self._trim()

    def _objects(self) -> IObjectStore | None:
        """
        The store that there is.
        """
        store = self._store()
        if store is not self._current:
            # What the index knows was in another one.
            self._index.clear()
            self._children = Children(self._index)
            self._held = 0
            self._current = store
        return store

    def insert(self, view: DataView, unsolicited: bool = False) -> None:
        store = self._objects()
        if store is None or not self.admit or unsolicited or len(self._writing) >= MAX_WRITING:
            return
        name, ends, size = view.name, view.ends, len(view.wire)
        now = self._clock.seconds()
        fresh = now + view.freshness / 1000 if view.freshness else -inf
        old = self._index.get(name)
        self._index[name] = (fresh, size, ends)
        self._held += size
        if old is None:
            self._children.add(name, ends)
        else:
            self._index.move_to_end(name)
            self._held -= old[1]
        stored = StoredResponse(
            key=_keyOf(name),
            selecting=(),
            status=200,
            headers=_HEADERS,
            requestedAt=now,
            receivedAt=now,
            freshness=_FRESHNESS,
            length=size,
        )
        writer = store.writer(stored, _Filler())
        writer.write(view.wire)
        committed = writer.commit()
        if not committed.called:
            self._writing[name] = view
            committed.addBoth(lambda _: self._written(view))
        writer.release()
        self._trim()

    def _written(self, view: DataView) -> None:
        if self._writing.get(view.name) is view:
            del self._writing[view.name]

    def find(self, view: InterestView) -> DataView | Deferred[DataView | None] | None:
        store = self._objects() if self.serve else None
        found: Any = None if store is None else self._find(store, view)
        if isinstance(found, Deferred):
            counted: Deferred[DataView | None] = found.addCallback(self._count)
            return counted
        return self._count(found)

    def _count(self, found: DataView | None) -> DataView | None:
        if found is None:
            self.misses += 1
        else:
            self.hits += 1
        return found

    def _find(self, store: IObjectStore, view: InterestView) -> Any:
        index = self._index
        name = view.name
        earliest = self._clock.seconds() if view.mustBeFresh else -inf
        stored = index.get(name)
        if stored is not None and stored[0] >= earliest:
            return self._get(store, name)
        if view.canBePrefix:
            for below in islice(self._children.below(name), _LOOKS):
                if index[below][0] >= earliest:
                    return self._get(store, below)
        if name[-34:-32] == b"\x01\x20" and len(view.ends) > 1 and len(name) - view.ends[-2] == 34:
            return self._byDigest(store, name, view.ends[-2], earliest)
        return None

    def _get(self, store: IObjectStore, name: bytes) -> Any:
        self._index.move_to_end(name)
        writing = self._writing.get(name)
        if writing is not None:
            return writing
        return _now(store.lookup(_keyOf(name)).addCallback(self._looked, store, name))

    def _looked(self, responses: Sequence[StoredResponse], store: IObjectStore, name: bytes) -> Any:
        for stored in responses:
            length = stored.length or 0
            return _now(_whole(store.body(stored, 0, length)).addCallback(self._read, name))
        self._gone(name)
        return None

    def _read(self, wire: bytes | None, name: bytes) -> DataView | None:
        """
        What the store has for a name.
        """
        try:
            view = None if wire is None else peekData(wire)
        except PacketError:
            view = None
        if view is None or view.name != name:
            self._gone(name)
            return None
        return view

    def _byDigest(self, store: IObjectStore, name: bytes, end: int, earliest: float) -> Any:
        """
        Whoever knows the digest may have what the index does not know: it was stored before the node has started.
        """
        bare = name[:end]
        stored = self._index.get(bare)
        if earliest > -inf and (stored is None or stored[0] < earliest):
            return None

        def read(wire: bytes | None) -> DataView | None:
            try:
                view = None if wire is None else peekData(wire)
            except PacketError:
                return None
            # Objects of HTTP have digests too.
            return view if view is not None and view.name + implicitDigest(view.digest()) == name else None

        def found(body: IBody | None) -> Deferred[bytes | None]:
            return succeed(None) if body is None else _whole(body)

        return _now(store.byDigest(name[-32:]).addCallback(found).addCallback(read))

    def erase(self, prefix: bytes, limit: int | None = None) -> int:
        store = self._objects()
        if store is None:
            return 0
        names = [prefix] if prefix in self._index else []
        names += self._children.below(prefix) if limit is None else islice(self._children.below(prefix), limit)
        names = names if limit is None else names[:limit]
        for name in names:
            self._forget(name)
            store.invalidate(_keyOf(name).url)
        return len(names)

    def holds(self, prefix: bytes) -> bool:
        return prefix in self._index or next(self._children.below(prefix), None) is not None

    def _trim(self) -> None:
        """
        Bound the index: by what was asked for, and by what the store can hold.
        """
        index, store = self._index, self._current
        most = min(self.capacity // LEAST_COST + 1, MAX_ENTRIES)
        if self._maxPackets is not None:
            most = min(most, self._maxPackets)
        while len(index) > most:
            name = next(iter(index))
            self._forget(name)
            if store is not None:
                store.invalidate(_keyOf(name).url)

    def _gone(self, name: bytes) -> None:
        """
        The store has made room.
        """
        if name in self._index:
            self.evicted += 1
            self._forget(name)

    def _forget(self, name: bytes) -> None:
        _, size, ends = self._index.pop(name)
        self._held -= size
        self._children.remove(name, ends)


def _keyOf(name: bytes) -> Key:
    """
    What the store calls a packet. Names that begin with another one have keys that begin with its.
    """
    return Key(b"ndn:" + name.hex().encode(), SCOPE)


def _now(deferred: Deferred[Any]) -> Any:
    """
    What a Deferred has fired with already; else itself.
    """
    found: list[Any] = []
    if not deferred.called or deferred.paused:
        return deferred
    deferred.addCallbacks(found.append, lambda failure: found.append(None))
    return found[0] if found else deferred


def _whole(body: IBody) -> Deferred[bytes | None]:
    """
    All of a body; L{None} where it can't be read.
    """
    if isinstance(body, BytesBody):
        return succeed(bytes(body.data))
    reading = _Reading()
    body.start(reading)
    return reading.done


@implementer(IBodySink)
class _Reading:
    """
    Reads a body into memory: it is one packet.
    """

    def __init__(self) -> None:
        self.done: Deferred[bytes | None] = Deferred()
        self._pieces: list[bytes] = []

    def dataReceived(self, data: Buffer) -> None:
        self._pieces.append(bytes(data))

    def bodyEnded(self, trailers: Headers) -> None:
        self.done.callback(b"".join(self._pieces))

    def bodyFailed(self, reason: Failure) -> None:
        self.done.callback(None)


@implementer(IObjectFiller)
class _Filler:
    """
    Writes one packet, in one piece: whether it is stored is the store's matter.
    """

    def writerReady(self) -> None:
        pass

    def writerFailed(self, reason: Failure) -> None:
        pass
