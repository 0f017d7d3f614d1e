"""
Bodies that something is done about while they pass.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure
from zope.interface import implementer

from hermes.interfaces import IBody, IBodySink
from hermes.values import Buffer, Headers

_SHORTEST: Final = 0.001
"""
Seconds below which it is not worth a timer.
"""


@implementer(IBody, IBodySink)
class WatchedBody:
    """
    A body, and what is called once when it is over, however it ends. The data does not pass through this.
    """

    __slots__ = ("__provides__", "_body", "_over", "_sink", "dataReceived")

    def __init__(self, body: IBody, over: Callable[[], None]) -> None:
        self._body: Any = body
        self._over: Callable[[], None] | None = over
        self._sink: Any = None
        self.dataReceived: Callable[[Buffer], None] = _nothing

    @property
    def length(self) -> int | None:
        return self._body.length  # type: ignore[no-any-return]

    def start(self, sink: IBodySink) -> None:
        self._sink = sink
        self.dataReceived = sink.dataReceived
        self._body.start(self)

    def pauseProducing(self) -> None:
        self._body.pauseProducing()

    def resumeProducing(self) -> None:
        self._body.resumeProducing()

    def stopProducing(self) -> None:
        self._end()
        self._body.stopProducing()

    def bodyEnded(self, trailers: Headers) -> None:
        self._end()
        self._sink.bodyEnded(trailers)

    def bodyFailed(self, reason: Failure) -> None:
        self._end()
        self._sink.bodyFailed(reason)

    def _end(self) -> None:
        over, self._over = self._over, None
        if over is not None:
            over()


def _nothing(data: Buffer) -> None:
    pass


@implementer(IBody, IBodySink)
class PacedBody:
    """
    A body that is read no faster than a rate allows: each piece is passed on at once, and then nothing is read until it
    is paid for.
    """

    __slots__ = ("__provides__", "_body", "_clock", "_held", "_over", "_owe", "_sink", "_timer")

    def __init__(self, body: IBody, owe: Callable[[int], float], clock: IReactorTime) -> None:
        """
        @param owe: notes that so many bytes have passed, and says for how many seconds nothing more may.
        """
        self._body: Any = body
        self._owe = owe
        self._clock = clock
        self._sink: Any = None
        self._held = False
        self._over = False
        self._timer: IDelayedCall | None = None

    @property
    def length(self) -> int | None:
        return self._body.length  # type: ignore[no-any-return]

    def start(self, sink: IBodySink) -> None:
        self._sink = sink
        self._body.start(self)

    # What is before the sink asks

    def pauseProducing(self) -> None:
        if not self._held:
            self._held = True
            if self._timer is None:
                self._body.pauseProducing()

    def resumeProducing(self) -> None:
        if self._held:
            self._held = False
            if self._timer is None:
                self._body.resumeProducing()

    def stopProducing(self) -> None:
        self._end()
        self._body.stopProducing()

    # What comes

    def dataReceived(self, data: Buffer) -> None:
        self._sink.dataReceived(data)
        wait = self._owe(len(data))
        # The sink may have had enough.
        if wait > _SHORTEST and self._timer is None and not self._over:
            self._timer = self._clock.callLater(wait, self._paid)
            if not self._held:
                self._body.pauseProducing()

    def bodyEnded(self, trailers: Headers) -> None:
        self._end()
        self._sink.bodyEnded(trailers)

    def bodyFailed(self, reason: Failure) -> None:
        self._end()
        self._sink.bodyFailed(reason)

    def _paid(self) -> None:
        # Others that are counted together with this one may have taken what was there.
        wait = self._owe(0)
        if wait > _SHORTEST:
            self._timer = self._clock.callLater(wait, self._paid)
            return
        self._timer = None
        if not self._held:
            self._body.resumeProducing()

    def _end(self) -> None:
        self._over = True
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
