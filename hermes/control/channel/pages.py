"""
Values too large for one message: one end keeps the bytes and tells how many there are and their digest; the other
fetches them, page after page, as fast as it takes them.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.spread import pb

from hermes.control.channel.callee import Call, Callee
from hermes.control.channel.errors import BadCall, NoSuchObject, TooLarge
from hermes.control.channel.limits import Limits

WINDOW = 4
"""
How many pages are asked for before the first of them is there.
"""

DIGEST = 64
"""
The length of a digest: SHA-256, in hexadecimal.
"""


class Pages(Callee):
    """
    Bytes that the peer may fetch: C{page(start, count)} gives those from C{start} on, C{count} of them or what there
    is; C{done()} lets them go.

    @ivar size: how many there are.
    @ivar digest: SHA-256 of all of them, in hexadecimal.
    """

    def __init__(
        self,
        data: bytes,
        most: int,
        gone: Callable[[Pages], object],
        fetched: Callable[[], object] = lambda: None,
    ) -> None:
        """
        @param most: bytes of one page, at most.
        @param gone: called once, when they are let go.
        @param fetched: called for each page.
        """
        super().__init__({"page": self._page, "done": self._done})
        self.size = len(data)
        self.digest = sha256(data).hexdigest()
        self._data = data
        self._most = most
        self._gone = gone
        self._fetched = fetched
        self._open = True

    def drop(self) -> None:
        """
        Let them go.
        """
        if self._open:
            self._open = False
            self._data = b""
            self._gone(self)

    def _page(self, call: Call) -> bytes:
        start, count = call.values.get("start"), call.values.get("count")
        if type(start) is not int or type(count) is not int:
            raise BadCall("page takes start and count")
        if not 0 <= start < self.size or not 0 < count <= self._most:
            raise BadCall("there is no such page")
        if not self._open:
            raise NoSuchObject("it was let go")
        self._fetched()
        return self._data[start : start + count]

    def _done(self, call: Call) -> None:
        self.drop()


class Caller(Protocol):
    """
    What calls the peer. See L{hermes.control.channel.broker.ControlBroker.call}.
    """

    def call(
        self, reference: pb.RemoteReference, method: str, values: dict[str, Any], timeout: float | None = None
    ) -> Deferred[Any]: ...


async def fetch(
    caller: Caller, reference: pb.RemoteReference, size: int, digest: str, limits: Limits, free: int
) -> bytearray:
    """
    Fetch the peer's pages.

    @param free: how many bytes may be fetched.
    @raise TooLarge: where they are more; none was fetched.
    @raise BadCall: where the digest is another than was told, or a page has another size than it must have.
    """
    if size > free:
        raise TooLarge(f"{size} bytes are more than the {free} that are taken")
    data = bytearray()
    asked: list[Deferred[Any]] = []
    begun = 0
    try:
        while len(data) < size:
            while begun < size and len(asked) < WINDOW:
                count = min(limits.page, size - begun)
                asked.append(caller.call(reference, "page", {"start": begun, "count": count}, limits.pageTime))
                begun += count
            page = await asked.pop(0)
            if type(page) is not bytes or len(page) != min(limits.page, size - len(data)):
                raise BadCall("a page has another size than it must have")
            data += page
    finally:
        for each in asked:
            each.addErrback(lambda _: None)
        caller.call(reference, "done", {}, limits.pageTime).addErrback(lambda _: None)
    if sha256(data).hexdigest() != digest:
        raise BadCall("the digest of what arrived is another than was told")
    return data
