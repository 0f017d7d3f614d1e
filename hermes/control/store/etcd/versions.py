"""
Versions in an etcd. Whatever is written depends on this controller's leading: etcd itself compares.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from attrs import evolve
from twisted.internet.defer import DeferredLock
from twisted.internet.threads import deferToThreadPool

from hermes.control.store import bounds, codec
from hermes.control.store.codec import Body, Unreadable
from hermes.control.store.errors import StoreCorrupt
from hermes.control.store.etcd.keys import PART, Keys, numberIn
from hermes.control.store.etcd.leadership import EtcdLeadership
from hermes.control.store.etcd.space import (
    Done,
    Part,
    Space,
    Stored,
    delete,
    deleteRange,
    get,
    getRange,
    nonce,
    put,
    unchanged,
)
from hermes.control.values import NodeReason, Phase, VersionRecord

_T = TypeVar("_T")

HEADS = 50
"""
Heads that are read at once: each may have the reasons of a thousand nodes.
"""

PARTS = 4
"""
Parts of a body that are read at once.
"""

MOST = -(-bounds.DOCUMENT // PART) + 1
"""
Parts that a body can have: what does not shrink when it is compressed grows a little.
"""


class Versions:
    """
    See L{hermes.interfaces.store.IStore}.
    """

    def __init__(self, reactor: Any, space: Space, keys: Keys, lead: Callable[[], EtcdLeadership], keep: int) -> None:
        """
        @param lead: the leadership, as it is now.
        @param keep: so many are kept, and the one that is committed.
        """
        self._reactor = reactor
        self._space = space
        self._keys = keys
        self._lead = lead
        self._keep = keep
        self._appending = DeferredLock()

    async def append(self, record: VersionRecord) -> int:
        """
        Body first, but for its last part: that comes with the head.
        """
        codec.checkedRecord(record)
        leadership = self._lead()
        body = await self._aside(lambda: Body.of(record).data)
        parts = [body[at : at + PART] for at in range(0, len(body), PART)]
        await self._appending.acquire()
        try:
            while True:
                known = await self._space.read(get(self._keys.next), get(self._keys.current))
                number = self._number(known.one(0), "next", 1)
                for which, part in enumerate(parts[:-1]):
                    await self._put(leadership, put(self._keys.part(number, which), part))
                if await self._appended(leadership, record, number, known, parts, len(body)):
                    return number
        finally:
            self._appending.release()

    async def _put(self, leadership: EtcdLeadership, operation: Part) -> None:
        done = await self._space.transact([leadership.fence], [operation])
        if not done.succeeded:
            raise leadership.displaced()

    async def _appended(
        self,
        leadership: EtcdLeadership,
        record: VersionRecord,
        number: int,
        known: Done,
        parts: Sequence[bytes],
        size: int,
    ) -> bool:
        keys, by = self._keys, nonce()
        head = codec.dumped({**codec.headToJSON(record), "parts": len(parts), "size": size, "by": by})
        then = [
            put(keys.next, codec.dumped({"next": number + 1, "by": by})),
            put(keys.part(number, len(parts) - 1), parts[-1]),
            put(keys.head(number), head),
        ]
        old = number - self._keep
        if old > 0 and old != self._number(known.one(1), "current", 0):
            then += [delete(keys.head(old)), deleteRange(keys.body(old), keys.body(old + 1))]
        compare = [leadership.fence, unchanged(keys.next, known.one(0))]
        done = await self._space.transact(compare, then, [get(keys.head(number)), get(keys.leader)])
        return done.succeeded or self._mine(leadership, done, head)

    def _mine(self, leadership: EtcdLeadership, done: Done, head: bytes) -> bool:
        """
        Why it was not done: because it was, and the answer was lost; because another one leads; or because what it
        depends on was changed just then: then it is to be tried again.
        """
        there = done.one(0)
        if there is not None and there.value == head:
            return True
        if not leadership.heldBy(done.one(1)):
            raise leadership.displaced()
        return False

    async def one(self, number: int) -> VersionRecord | None:
        """
        Its head and the beginning of its body, together.
        """
        keys = self._keys
        if not 0 < number < 1 << 62:
            return None
        done = await self._space.read(get(keys.head(number)), getRange(keys.part(number, 0), keys.part(number, PARTS)))
        head = done.one(0)
        return None if head is None else await self._whole(head, done.found[1])

    async def several(self, limit: int, before: int | None, whole: bool) -> list[VersionRecord]:
        """
        Numbers have no gaps but where old ones were removed: the newest are found by counting, which stays the same
        however many there are.
        """
        end = self._number(await self._space.one(self._keys.next), "next", 1)
        if before is not None:
            end = min(end, before)
        found: list[VersionRecord] = []
        while end > 1 and len(found) < limit:
            first = max(1, end - min(HEADS, limit - len(found)))
            heads = (await self._space.read(getRange(self._keys.head(first), self._keys.head(end)))).found[0]
            if not heads:
                # Older ones are gone, but maybe for one that is committed.
                keys = [each async for each in self._space.all(self._keys.head(0)[:-19], keysOnly=True)]
                end = 1 + max((number for each in keys if (number := _numberOf(each)) < first), default=0)
                continue
            for head in reversed(heads):
                found.append(await self._whole(head) if whole else _head(head)[0])
            end = first
        return found

    async def current(self) -> int | None:
        """
        The one that is committed.
        """
        return self._number(await self._space.one(self._keys.current), "current", 0) or None

    async def setPhase(self, number: int, expected: Phase, phase: Phase, reasons: Sequence[NodeReason]) -> bool:
        """
        One transaction: who leads, what the head was, and what was committed are compared; the head is written, and
        what is committed.
        """
        codec.checkedPhases(expected, phase)
        leadership = self._lead()
        kept = bounds.boundedReasons(reasons)
        keys = self._keys
        if not 0 < number < 1 << 62:
            return False
        while True:
            known = await self._space.read(get(keys.head(number)), get(keys.current))
            there = known.one(0)
            if there is None:
                return False
            record, json = _head(there)
            if record.phase != expected:
                return False
            by = nonce()
            wanted = evolve(record, phase=phase, reasons=kept)
            head = codec.dumped({**json, **codec.headToJSON(wanted), "by": by})
            compare = [leadership.fence, unchanged(there.key, there)]
            then = [put(there.key, head)]
            if phase == "committed":
                if (self._number(known.one(1), "current", 0) or None) != record.parent:
                    return False
                compare.append(unchanged(keys.current, known.one(1)))
                then.append(put(keys.current, codec.dumped({"current": number, "by": by})))
            done = await self._space.transact(compare, then, [get(there.key), get(keys.leader)])
            if done.succeeded or self._mine(leadership, done, head):
                return True

    async def _whole(self, head: Stored, begun: Sequence[Stored] = ()) -> VersionRecord:
        record, json = _head(head)
        try:
            count = codec.whole(json, "parts")
            if not 0 < count <= MOST:
                raise Unreadable("it can't have so many parts")
        except Unreadable as error:
            raise head.corrupt(error) from None
        keys = self._keys
        parts = {each.key: each.value for each in begun}
        for at in range(PARTS if begun else 0, count, PARTS):
            more = getRange(keys.part(record.number, at), keys.part(record.number, at + PARTS))
            parts.update({each.key: each.value for each in (await self._space.read(more)).found[0]})
        wanted = [keys.part(record.number, which) for which in range(count)]
        for key in wanted:
            if key not in parts:
                raise StoreCorrupt(key.decode("ascii"), "a part of a document is missing")
        body = b"".join(parts[key] for key in wanted)
        try:
            return await self._aside(lambda: Body(body).into(record), len(body))
        except Unreadable as error:
            raise StoreCorrupt(keys.body(record.number).decode("ascii"), str(error)) from None

    async def _aside(self, work: Callable[[], _T], size: int = 1 << 20) -> _T:
        """
        In a thread, where it takes a while.
        """
        if size < 16384:
            return work()
        return await deferToThreadPool(self._reactor, self._reactor.getThreadPool(), work)

    def _number(self, stored: Stored | None, name: str, absent: int) -> int:
        if stored is None:
            return absent
        try:
            return codec.whole(stored.json, name)
        except Unreadable as error:
            raise stored.corrupt(error) from None


def _numberOf(head: Stored) -> int:
    try:
        return numberIn(head.key)
    except Unreadable as error:
        raise head.corrupt(error) from None


def _head(head: Stored) -> tuple[VersionRecord, dict[str, Any]]:
    try:
        json = head.json
        return codec.headFromJSON(json, _numberOf(head)), json
    except Unreadable as error:
        raise head.corrupt(error) from None
