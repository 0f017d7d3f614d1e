"""
Tokens, secrets and the audit log in an etcd.
"""

from __future__ import annotations

import base64
import binascii

from hermes.control.store import bounds, codec
from hermes.control.store.codec import Unreadable
from hermes.control.store.errors import StoreCorrupt
from hermes.control.store.etcd.changing import change, remove
from hermes.control.store.etcd.keys import Keys
from hermes.control.store.etcd.space import PAGE, Space, Stored, delete, get, getRange, nonce, put, unchanged
from hermes.control.values import AuditEntry


class Tokens:
    """
    See L{hermes.interfaces.store.IStore}. One that was taken stays until it expires, so that whoever has taken it and
    did not hear the answer finds that out.
    """

    def __init__(self, space: Space, keys: Keys) -> None:
        self._space = space
        self._keys = keys

    async def put(self, hashed: str, node: str, expires: float) -> None:
        """
        One more.
        """
        value = codec.dumped({"node": node, "expires": expires, "taken": False, "by": nonce()})
        await change(self._space, self._keys.token(hashed), lambda _: value)

    async def take(self, hashed: str, now: float) -> str | None:
        """
        The node's name.
        """
        node: list[str] = []

        def taken(there: Stored | None) -> bytes | None:
            if there is None:
                return None
            name, expires, gone = _token(there)
            if gone or expires <= now:
                return None
            node[:] = [name]
            return codec.dumped({"node": name, "expires": expires, "taken": True, "by": nonce()})

        if await change(self._space, self._keys.token(hashed), taken) is None:
            return None
        await self._expire(now)
        return node[0]

    async def _expire(self, now: float) -> None:
        async for each in self._space.all(self._keys.tokens):
            # One that can't be read lets nobody in, and is left for whoever looks for it.
            token = _readable(each)
            if token is not None and token[1] <= now:
                await remove(self._space, each)

    async def drop(self, node: str) -> int:
        """
        How many there were that nobody had taken.
        """
        count = 0
        async for each in self._space.all(self._keys.tokens):
            token = _readable(each)
            if token is not None and token[0] == node and not token[2]:
                count += await remove(self._space, each)
        return count


def _token(there: Stored) -> tuple[str, float, bool]:
    try:
        json = there.json
        return codec.text(json, "node"), codec.number(json, "expires"), codec.truth(json, "taken")
    except Unreadable as error:
        raise there.corrupt(error) from None


def _readable(there: Stored) -> tuple[str, float, bool] | None:
    try:
        return _token(there)
    except StoreCorrupt:
        return None


class Secrets:
    """
    See L{hermes.interfaces.store.IStore}.
    """

    def __init__(self, space: Space, keys: Keys) -> None:
        self._space = space
        self._keys = keys

    async def get(self, name: str) -> bytes | None:
        """
        One of them.
        """
        there = await self._space.one(self._keys.secret(name))
        if there is None:
            return None
        try:
            return base64.b64decode(codec.text(there.json, "value"), validate=True)
        except (Unreadable, binascii.Error, ValueError):
            # Not even what is wrong with it is told.
            raise there.corrupt(Unreadable("it can't be read")) from None

    async def put(self, name: str, value: bytes, expectedAbsent: bool) -> bool:
        """
        Whether it was stored.
        """
        bounds.checked(f"secret {name}", len(value), bounds.VALUE)
        wanted = codec.dumped({"value": base64.b64encode(value).decode("ascii"), "by": nonce()})

        def made(there: Stored | None) -> bytes | None:
            return None if there is not None and expectedAbsent else wanted

        return await change(self._space, self._keys.secret(name), made) is not None


class Audits:
    """
    See L{hermes.interfaces.store.IStore}. Entries have numbers without gaps, so that a list takes the same time however
    many there are; every controller writes them.
    """

    def __init__(self, space: Space, keys: Keys, keep: int) -> None:
        self._space = space
        self._keys = keys
        self._keep = keep

    async def put(self, entry: AuditEntry) -> int:
        """
        Its number.
        """
        keys, by = self._keys, nonce()
        wanted = codec.dumped({**codec.auditToJSON(entry), "by": by})
        known = await self._space.one(keys.auditNext)
        while True:
            number = _next(known)
            then = [put(keys.auditNext, codec.dumped({"next": number + 1, "by": by})), put(keys.audit(number), wanted)]
            if number > self._keep:
                then.append(delete(keys.audit(number - self._keep)))
            done = await self._space.transact(
                [unchanged(keys.auditNext, known)], then, [get(keys.audit(number)), get(keys.auditNext)]
            )
            there = done.one(0)
            if done.succeeded or (there is not None and there.value == wanted):
                return number
            known = done.one(1)

    async def several(self, limit: int, before: int | None) -> list[AuditEntry]:
        """
        The newest of those before.
        """
        end = _next(await self._space.one(self._keys.auditNext))
        if before is not None:
            end = min(end, before)
        found: list[AuditEntry] = []
        while end > 1 and len(found) < limit:
            first = max(1, end - min(PAGE, limit - len(found)))
            page = (await self._space.read(getRange(self._keys.audit(first), self._keys.audit(end)))).found[0]
            if not page:
                break
            numbers = {self._keys.audit(number): number for number in range(first, end)}
            for each in reversed(page):
                if each.key in numbers:
                    found.append(_audit(each, numbers[each.key]))
            end = first
        return found


def _next(there: Stored | None) -> int:
    if there is None:
        return 1
    try:
        return codec.whole(there.json, "next")
    except Unreadable as error:
        raise there.corrupt(error) from None


def _audit(there: Stored, number: int) -> AuditEntry:
    try:
        return codec.auditFromJSON(there.json, number)
    except Unreadable as error:
        return codec.unreadableAudit(number, there.name, error)
