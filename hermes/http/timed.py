"""
A response's body that must be over by a deadline.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure
from zope.interface import implementer

from hermes.http.tries import DeadlineExceeded
from hermes.interfaces import IBody, IBodySink
from hermes.values import Buffer, Headers


@implementer(IBody, IBodySink)
class TimedBody:
    """
    A body that fails at its deadline.
    """

    def __init__(self, body: IBody, deadline: float, clock: IReactorTime) -> None:
        """
        @param deadline: in seconds of the clock.
        """
        self._body = body
        self._sink: Any = None
        self._over = False
        self.length: int | None = body.length
        self.dataReceived: Callable[[Buffer], None] = self._early
        self._timer: Any = clock.callLater(max(0.0, deadline - clock.seconds()), self._tooLate)

    def start(self, sink: IBodySink) -> None:
        self._sink = sink
        if self._over:
            sink.bodyFailed(_failure())
        else:
            # What passes costs no call of ours.
            self.dataReceived = sink.dataReceived
            self._body.start(self)

    def pauseProducing(self) -> None:
        self._body.pauseProducing()

    def resumeProducing(self) -> None:
        self._body.resumeProducing()

    def stopProducing(self) -> None:
        if self._end():
            self._body.stopProducing()

    def bodyEnded(self, trailers: Headers) -> None:
        if self._end():
            self._sink.bodyEnded(trailers)

    def bodyFailed(self, reason: Failure) -> None:
        if self._end():
            self._sink.bodyFailed(reason)

    def _early(self, data: Buffer) -> None:
        raise AssertionError("nothing comes before start")

    def _tooLate(self) -> None:
        self._timer = None
        if self._end():
            self._body.stopProducing()
            if self._sink is not None:
                self._sink.bodyFailed(_failure())

    def _end(self) -> bool:
        """
        Whether it was not over yet.
        """
        over, self._over = self._over, True
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
        return not over


def _failure() -> Failure:
    return Failure(DeadlineExceeded("the response was not complete before the deadline"))
