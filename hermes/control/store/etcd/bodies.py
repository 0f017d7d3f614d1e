"""
Bodies of requests and responses of HTTP.
"""

from __future__ import annotations

from typing import Any, Final

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IConsumer
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone
from twisted.web.iweb import IBodyProducer
from zope.interface import implementer

ANSWER: Final = 64 * 1024 * 1024
"""
Bytes of an answer that are read.
"""


@implementer(IBodyProducer)
class Written:
    """
    The body of a request: bytes that are there.
    """

    def __init__(self, data: bytes) -> None:
        self.length = len(data)
        self._data = data

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        consumer.write(self._data)
        return succeed(None)

    def pauseProducing(self) -> None:
        """
        All is written.
        """

    def resumeProducing(self) -> None:
        """
        The same.
        """

    def stopProducing(self) -> None:
        """
        The same.
        """


class Collected(Protocol):
    """
    The body of a response.
    """

    transport: Any

    def __init__(self) -> None:
        self.done: Deferred[bytes] = Deferred(lambda _: self._abort())
        self._parts: list[bytes] = []
        self._size = 0

    def dataReceived(self, data: bytes) -> None:
        self._size += len(data)
        if self._size > ANSWER:
            self._abort()
            return
        self._parts.append(data)

    def _abort(self) -> None:
        if self.transport is not None:
            self.transport.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self.done.called:
            return
        if reason.check(ResponseDone):
            self.done.callback(b"".join(self._parts))
        else:
            self.done.errback(reason)
