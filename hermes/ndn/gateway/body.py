"""
The body of a response: an object's content, or a part of it, as its segments come.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from hermes.interfaces import IBody, IBodySink
from hermes.ndn.app.client import Client
from hermes.ndn.app.fetcher import SegmentFetcher
from hermes.ndn.app.fetching import FetchOptions, FetchReport, Verifier
from hermes.ndn.app.windows import Window
from hermes.ndn.gateway.errors import ObjectBroken, asHTTP
from hermes.ndn.gateway.objects import FoundObject
from hermes.ndn.packet.peek import peekData
from hermes.values import Buffer


@implementer(IBody)
class ObjectBody:
    """
    Segments are asked for as a window lets through, and no further ahead of a reader that is slow than the options say.
    """

    _log = Logger()

    def __init__(
        self,
        client: Client,
        found: FoundObject,
        start: int,
        stop: int | None,
        window: Window,
        options: FetchOptions,
        verifier: Verifier | None,
    ) -> None:
        """
        @param start: the first byte of it.
        @param stop: where it ends; L{None}: with the object, wherever that is.
        """
        self.length = None if stop is None else stop - start
        size = max(found.segmentSize, 1)
        self._size = size
        self._last = found.last
        self._at = start // size
        self._skip = start - self._at * size
        self._left = self.length
        end = found.last if stop is None else max(stop - 1, 0) // size
        known = peekData(found.first.wire) if self._at == 0 else None
        self._makeFetcher: Callable[[], SegmentFetcher] = lambda: SegmentFetcher(
            client, found.name, window, self._segment, options, verifier, first=self._at, last=end, known=known
        )
        self._fetcher: SegmentFetcher | None = None
        self._fetching: Deferred[FetchReport] | None = None
        self._sink: IBodySink | None = None
        self._paused = False

    def start(self, sink: IBodySink) -> None:
        self._sink = sink
        fetcher = self._fetcher = self._makeFetcher()
        if self._paused:
            fetcher.pause()
        fetching = fetcher.start()
        # It may have been stopped by what it has delivered.
        if self._sink is not None:
            self._fetching = fetching
        fetching.addCallbacks(self._done, self._failed)
        if self._sink is None:
            fetching.cancel()

    def pauseProducing(self) -> None:
        self._paused = True
        if self._fetcher is not None:
            self._fetcher.pause()

    def resumeProducing(self) -> None:
        self._paused = False
        if self._fetcher is not None and self._sink is not None:
            self._fetcher.resume()

    def stopProducing(self) -> None:
        self._sink = None
        fetching, self._fetching = self._fetching, None
        if fetching is not None:
            fetching.cancel()

    def _segment(self, content: Buffer) -> None:
        """
        The next one.
        """
        at = self._at
        self._at += 1
        if self._left is not None and at != self._last and len(content) != self._size:
            raise ObjectBroken("its segments are not of one size")
        data = memoryview(content)[self._skip :]
        self._skip = 0
        if self._left is not None:
            data = data[: self._left]
            self._left -= len(data)
        if data and self._sink is not None:
            self._sink.dataReceived(data)

    def _done(self, report: FetchReport) -> None:
        sink, self._sink = self._sink, None
        self._fetching = None
        if sink is None:
            return
        if self._left:
            sink.bodyFailed(Failure(ObjectBroken("it is shorter than it was said to be")))
        else:
            sink.bodyEnded(())

    def _failed(self, failure: Any) -> None:
        sink, self._sink = self._sink, None
        self._fetching = None
        if sink is None or failure.check(CancelledError):
            return
        try:
            reason = Failure(asHTTP(failure.value))
        except BaseException:
            self._log.failure("the body of an object has failed", failure)
            reason = failure
        sink.bodyFailed(reason)
