"""
Keys and values of an etcd: what is read together, and what is written together.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import AsyncIterator, Mapping, Sequence
from os import urandom
from typing import Any, Final, TypeAlias

from attrs import frozen

from hermes.control.store import codec
from hermes.control.store.codec import Unreadable
from hermes.control.store.errors import StoreCorrupt, StoreUnavailable
from hermes.control.store.etcd.gateway import Gateway
from hermes.control.store.etcd.keys import after

Part: TypeAlias = Mapping[str, Any]
"""
One comparison or operation of a transaction.
"""

PAGE: Final = 200
"""
Keys that are read at once.
"""

TOGETHER: Final = 100
"""
Operations of one transaction: etcd takes 128.
"""


def encoded(data: bytes) -> str:
    """
    Bytes, as etcd's JSON has them.
    """
    return base64.b64encode(data).decode("ascii")


def _decoded(found: object) -> bytes:
    try:
        return base64.b64decode(found, validate=True) if isinstance(found, str) else b""
    except (binascii.Error, ValueError):
        raise StoreUnavailable("what answers is not etcd 3") from None


def whole(found: object) -> int:
    """
    A number, as etcd's JSON has it: text, and left out where it is 0.
    """
    try:
        return int(found) if isinstance(found, str | int) else 0
    except ValueError:
        raise StoreUnavailable("what answers is not etcd 3") from None


def nonce() -> str:
    """
    What nobody else writes.
    """
    return urandom(9).hex()


@frozen
class Stored:
    """
    A key and its value.

    @ivar created: the revision of the store in which the key was made.
    @ivar changed: the revision in which it was last written.
    """

    key: bytes
    value: bytes
    created: int
    changed: int

    @classmethod
    def parsed(cls, found: Mapping[str, Any]) -> Stored:
        """
        As etcd's JSON has it.
        """
        return cls(
            _decoded(found.get("key")),
            _decoded(found.get("value")),
            whole(found.get("create_revision")),
            whole(found.get("mod_revision")),
        )

    @property
    def name(self) -> str:
        """
        The key, for an operator.
        """
        return self.key.decode("ascii", "backslashreplace")

    @property
    def json(self) -> dict[str, Any]:
        """
        The value.

        @raise Unreadable: it is none.
        """
        return codec.loaded(self.value)

    def corrupt(self, error: Unreadable) -> StoreCorrupt:
        """
        What is said of it where it can't be read.
        """
        return StoreCorrupt(self.name, str(error))


# Comparisons


def made(key: bytes, revision: int) -> Part:
    """
    The key was made in this revision; 0: it is not there.
    """
    return {"key": encoded(key), "target": "CREATE", "create_revision": str(revision)}


def unchanged(key: bytes, known: Stored | None) -> Part:
    """
    The key is as it was when it was read.
    """
    if known is None:
        return made(key, 0)
    return {"key": encoded(key), "target": "MOD", "mod_revision": str(known.changed)}


# Operations


def get(key: bytes) -> Part:
    """
    Read one key.
    """
    return {"request_range": {"key": encoded(key)}}


def getRange(first: bytes, end: bytes, limit: int = 0, keysOnly: bool = False) -> Part:
    """
    Read keys from C{first} to before C{end}, in their order.
    """
    return {
        "request_range": {
            "key": encoded(first),
            "range_end": encoded(end),
            "limit": str(limit),
            "keys_only": keysOnly,
        }
    }


def put(key: bytes, value: bytes, lease: str = "0") -> Part:
    """
    Write one.
    """
    return {"request_put": {"key": encoded(key), "value": encoded(value), "lease": lease}}


def delete(key: bytes) -> Part:
    """
    Remove one.
    """
    return {"request_delete_range": {"key": encoded(key)}}


def deleteRange(first: bytes, end: bytes) -> Part:
    """
    Remove all from C{first} to before C{end}.
    """
    return {"request_delete_range": {"key": encoded(first), "range_end": encoded(end)}}


@frozen
class Done:
    """
    What came of a transaction.

    @ivar succeeded: whether all comparisons held.
    @ivar found: what each operation that was done has read.
    @ivar revision: of the store, after it.
    """

    succeeded: bool
    found: Sequence[Sequence[Stored]]
    revision: int

    def one(self, which: int) -> Stored | None:
        """
        What a C{get} has found.
        """
        found = self.found[which] if which < len(self.found) else ()
        return found[0] if found else None


class Space:
    """
    Transactions.
    """

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def transact(
        self, compare: Sequence[Part], then: Sequence[Part], otherwise: Sequence[Part] = (), urgent: bool = False
    ) -> Done:
        """
        Do C{then} where all of C{compare} holds, and C{otherwise} where not. It may be done twice: the comparisons are
        to keep the second from doing anything.

        @param urgent: whether it does not wait behind others.
        """
        question = {"compare": list(compare), "success": list(then), "failure": list(otherwise)}
        answer = await self._gateway.call("/kv/txn", question, urgent=urgent)
        responses = answer.get("responses", ())
        try:
            found = [
                [Stored.parsed(each) for each in response.get("response_range", {}).get("kvs", ())]
                for response in responses
            ]
            return Done(answer.get("succeeded") is True, found, whole(answer["header"].get("revision")))
        except (AttributeError, KeyError, TypeError):
            raise StoreUnavailable("what answers is not etcd 3") from None

    async def read(self, *operations: Part) -> Done:
        """
        Read all of it, as it is at one moment.
        """
        return await self.transact((), operations)

    async def one(self, key: bytes) -> Stored | None:
        """
        Read one key.
        """
        return (await self.read(get(key))).one(0)

    async def all(self, prefix: bytes, keysOnly: bool = False) -> AsyncIterator[Stored]:
        """
        All keys that begin so, page by page: what is written meanwhile may be in it, or not.
        """
        first, end = prefix, after(prefix)
        while True:
            found = (await self.read(getRange(first, end, PAGE, keysOnly))).found[0]
            for each in found:
                yield each
            if len(found) < PAGE:
                return
            first = found[-1].key + b"\0"
