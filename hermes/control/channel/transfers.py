"""
The values of one connection that are too large for a message: ours that the peer may fetch, and the peer's that we do.
"""

from __future__ import annotations

from typing import Any

from attrs import define, field
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.spread import pb

from hermes.control.channel.banana import Decoder, MalformedBanana
from hermes.control.channel.errors import BadCall, TooLarge
from hermes.control.channel.jelly import MalformedValue, fromJelly
from hermes.control.channel.limits import Limits
from hermes.control.channel.pages import Caller, Pages, fetch


@define(eq=False)
class Transfers:
    """
    See the module.
    """

    caller: Caller
    clock: IReactorTime
    limits: Limits
    _kept: dict[Pages, IDelayedCall | None] = field(factory=dict)
    _keptBytes: int = 0
    _fetching: int = 0

    def keep(self, data: bytes, what: str, seconds: float | None = None) -> Pages:
        """
        Keep a value, encoded, for the peer to fetch.

        @param what: what it is, for the error.
        @param seconds: let it go when no page of it was fetched for so long.
        @raise TooLarge: where too much is kept then.
        """
        if len(data) + self._keptBytes > self.limits.total:
            raise TooLarge(f"{what}: {len(data)} bytes are more than can be sent")
        timer: IDelayedCall | None = None

        def fetched() -> None:
            if timer is not None and timer.active() and seconds is not None:
                timer.reset(seconds)

        pages = Pages(data, self.limits.page, self._gone, fetched)
        if seconds is not None:
            timer = self.clock.callLater(seconds, pages.drop)
        self._kept[pages] = timer
        self._keptBytes += pages.size
        return pages

    def _gone(self, pages: Pages) -> None:
        timer = self._kept.pop(pages)
        self._keptBytes -= pages.size
        if timer is not None and timer.active():
            timer.cancel()

    def drop(self) -> None:
        """
        Let all go.
        """
        for pages in list(self._kept):
            pages.drop()

    async def fetch(self, reference: pb.RemoteReference, size: int, digest: str) -> Any:
        """
        Fetch a value of the peer.

        @raise TooLarge: where it is larger than is taken, with what else is being fetched.
        @raise BadCall: where it is not what was told, or no value.
        """
        free = self.limits.total - self._fetching
        self._fetching += size
        try:
            data = await fetch(self.caller, reference, size, digest, self.limits, free)
        finally:
            self._fetching -= size
        decoder = Decoder(self.limits.total, self.limits.depth, self.limits.totalItems)
        try:
            values = [fromJelly(each) for each in decoder.feed(data)]
        except (MalformedBanana, MalformedValue) as error:
            raise BadCall(str(error)) from error
        if len(values) != 1 or not decoder.idle:
            raise BadCall("what was fetched is not one value")
        return values[0]
