"""
Two bodies as one: the part that is stored, and the rest from elsewhere.
"""

from __future__ import annotations

import re
from typing import Final

from twisted.python.failure import Failure
from zope.interface import implementer

from hermes.interfaces import IBody, IBodySink
from hermes.values import Buffer, Headers, ResponseHead

_CONTENT_RANGE: Final = re.compile(rb"bytes (\d{1,19})-(\d{1,19})/(\d{1,19})")


def contentRange(head: ResponseHead) -> tuple[int, int, int] | None:
    """
    Start, stop and the length of the whole, out of C{content-range}; L{None} where it does not say them.
    """
    match = _CONTENT_RANGE.fullmatch(head.get(b"content-range") or b"")
    if match is None:
        return None
    start, last, total = map(int, match.groups())
    return (start, last + 1, total) if start <= last < total else None


@implementer(IBody, IBodySink)
class JoinedBody:
    """
    One body after another. The second is not started before the first has ended.
    """

    def __init__(self, first: IBody, second: IBody, length: int | None) -> None:
        """
        @param length: of both together.
        """
        self.length = length
        self._bodies = [first, second]
        self._sink: IBodySink | None = None
        self._paused = False

    def start(self, sink: IBodySink) -> None:
        self._sink = sink
        self._bodies[0].start(self)

    def pauseProducing(self) -> None:
        self._paused = True
        for body in self._bodies[:1]:
            body.pauseProducing()

    def resumeProducing(self) -> None:
        self._paused = False
        for body in self._bodies[:1]:
            body.resumeProducing()

    def stopProducing(self) -> None:
        self._sink = None
        bodies, self._bodies = self._bodies, []
        for body in bodies:
            body.stopProducing()

    def dataReceived(self, data: Buffer) -> None:
        if self._sink is not None:
            self._sink.dataReceived(data)

    def bodyEnded(self, trailers: Headers) -> None:
        del self._bodies[:1]
        if self._bodies:
            if self._paused:
                self._bodies[0].pauseProducing()
            self._bodies[0].start(self)
        elif self._sink is not None:
            self._sink.bodyEnded(trailers)

    def bodyFailed(self, reason: Failure) -> None:
        del self._bodies[:1]
        for body in self._bodies:
            body.stopProducing()
        self._bodies = []
        if self._sink is not None:
            self._sink.bodyFailed(reason)
