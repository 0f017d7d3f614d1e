"""
Copies of requests, whose answers nobody waits for.
"""

from __future__ import annotations

from random import Random
from typing import Final

from attrs import evolve
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from hermes.errors import RequestBroken
from hermes.interfaces import IRequestSender
from hermes.interfaces.request import IBody, IBodySink
from hermes.messages import Request, RequestRecord, Response
from hermes.values import Buffer, Headers

MAX_BEHIND: Final = 262_144
"""
How many bytes of a body may wait for whoever takes the copy. It is given up where there would be more: it never slows
down the request itself.
"""

MAX_COPIES: Final = 256
"""
How many copies of one route may be on their way. Of further requests there are none.
"""

COPY_TIME: Final = 60.0
"""
Seconds that a copy may take: those that nobody answers would leave no place for others.
"""


@implementer(IRequestSender)
class Mirroring:
    """
    Sends requests on, and copies of some of them elsewhere. Of upgrades, which have no end, there are none.

    @ivar copied: how many copies were sent.
    @ivar failed: how many of them were not answered.
    """

    log = Logger()

    def __init__(self, sender: IRequestSender, mirror: IRequestSender, share: float, random: Random) -> None:
        """
        @param sender: answers the requests.
        @param mirror: is sent the copies.
        @param share: of the requests that are copied, from 0 to 1.
        """
        self.copied = 0
        self.failed = 0
        self._sender = sender
        self._mirror = mirror
        self._share = share
        self._random = random
        self._sending = 0

    def send(self, request: Request) -> Deferred[Response]:
        if (
            request.head.protocol is not None
            or self._sending >= MAX_COPIES
            or (self._share < 1 and self._random.random() >= self._share)
        ):
            return self._sender.send(request)
        copied: _Copy | None = None
        if request.body is not None:
            copied = _Copy(request.body.length)
            request.body = _Teed(request.body, copied)
        record = request.record
        copy = evolve(
            request,
            body=copied,
            record=RequestRecord(record.flow, record.head, record.version, record.startedAt),
            retriesLeft=0,
            # A node that knows it again would answer both with the same.
            name=None,
            informational=None,
        )
        answer = self._sender.send(request)
        self._sending += 1
        self.copied += 1
        maybeDeferred(self._mirror.send, copy).addCallbacks(self._answered, self._failed)
        return answer

    def _answered(self, response: Response) -> None:
        self._sending -= 1
        if response.body is not None:
            response.body.stopProducing()

    def _failed(self, failure: Failure) -> None:
        self._sending -= 1
        self.failed += 1
        self.log.debug("a copy of a request was not answered: {error}", error=failure.value)


@implementer(IBody, IBodySink)
class _Teed:
    """
    A body that is read by one, and written down for another.
    """

    def __init__(self, body: IBody, copy: _Copy) -> None:
        self.length = body.length
        self._body = body
        self._copy = copy
        self._sink: IBodySink | None = None

    def start(self, sink: IBodySink) -> None:
        self._sink = sink
        self._body.start(self)

    def pauseProducing(self) -> None:
        self._body.pauseProducing()

    def resumeProducing(self) -> None:
        self._body.resumeProducing()

    def stopProducing(self) -> None:
        self._sink = None
        self._body.stopProducing()
        self._copy.bodyFailed(Failure(RequestBroken("the request was given up")))

    def dataReceived(self, data: Buffer) -> None:
        # First the copy: whoever reads may stop, and the bytes are borrowed.
        self._copy.dataReceived(data)
        if self._sink is not None:
            self._sink.dataReceived(data)

    def bodyEnded(self, trailers: Headers) -> None:
        self._copy.bodyEnded(trailers)
        if self._sink is not None:
            self._sink.bodyEnded(trailers)

    def bodyFailed(self, reason: Failure) -> None:
        self._copy.bodyFailed(reason)
        if self._sink is not None:
            self._sink.bodyFailed(reason)


@implementer(IBody, IBodySink)
class _Copy:
    """
    The other's: what it has not taken yet waits here.
    """

    def __init__(self, length: int | None) -> None:
        self.length = length
        self._waiting: list[bytes] = []
        self._size = 0
        self._sink: IBodySink | None = None
        self._paused = False
        self._trailers: Headers | None = None
        self._reason: Failure | None = None
        self._over = False

    def start(self, sink: IBodySink) -> None:
        self._sink = sink
        self._deliver()

    def pauseProducing(self) -> None:
        self._paused = True

    def resumeProducing(self) -> None:
        self._paused = False
        self._deliver()

    def stopProducing(self) -> None:
        self._over = True
        self._sink = None
        self._waiting.clear()

    def dataReceived(self, data: Buffer) -> None:
        if self._over or self._reason is not None:
            return
        if self._sink is not None and not self._paused and not self._waiting:
            self._sink.dataReceived(data)
            return
        self._size += len(data)
        if self._size > MAX_BEHIND:
            self.bodyFailed(Failure(RequestBroken("the copy fell too far behind")))
            return
        self._waiting.append(bytes(data))

    def bodyEnded(self, trailers: Headers) -> None:
        self._trailers = trailers
        self._deliver()

    def bodyFailed(self, reason: Failure) -> None:
        if self._over or self._trailers is not None:
            # All of it was there.
            return
        self._reason = reason
        self._waiting.clear()
        self._deliver()

    def _deliver(self) -> None:
        while self._waiting and self._sink is not None and not self._paused:
            data = self._waiting.pop(0)
            self._size -= len(data)
            self._sink.dataReceived(data)
        sink = self._sink
        if sink is None or self._over:
            return
        if self._reason is not None:
            self._over, self._sink = True, None
            sink.bodyFailed(self._reason)
        elif self._trailers is not None and not self._waiting and not self._paused:
            self._over, self._sink = True, None
            sink.bodyEnded(self._trailers)
