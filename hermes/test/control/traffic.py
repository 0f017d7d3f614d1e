"""
What crosses an overlay while something is done to it: a download that goes on until it is told to end, and requests on
one connection.
"""

from __future__ import annotations

from hashlib import sha256
from http.client import HTTPConnection
from random import Random
from threading import Event
from typing import Any

from twisted.internet import reactor as installedReactor
from twisted.internet.defer import Deferred
from twisted.internet.protocol import ProcessProtocol
from twisted.internet.task import LoopingCall
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from hermes.test.processes import PATIENCE

reactor: Any = installedReactor


class Slow(Resource):
    """
    A body that goes on, some bytes every now and then, until it is told to end.
    """

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.digest = sha256()
        self.length = 0
        self._request: Any = None
        self._random = Random(7)
        self._going = LoopingCall(self._more)

    def render_GET(self, request: Any) -> Any:
        """
        It is asked for once: what is resumed would be another request.
        """
        if self._request is not None:
            request.setResponseCode(500)
            return b"once"
        self._request = request
        request.notifyFinish().addErrback(lambda _: self.stop())
        self._going.start(0.02)
        return NOT_DONE_YET

    def _more(self) -> None:
        data = self._random.randbytes(2048)
        self.digest.update(data)
        self.length += len(data)
        self._request.write(data)

    def stop(self) -> None:
        """
        No more.
        """
        if self._going.running:
            self._going.stop()

    def finish(self) -> None:
        """
        That is all of it.
        """
        self.stop()
        self._request.finish()


class Short(Resource):
    """
    An answer at once.
    """

    isLeaf = True

    def render_GET(self, request: Any) -> bytes:
        """
        The same each time.
        """
        return b"short"


class Download(ProcessProtocol):
    """
    curl, whose output is counted.

    @ivar ended: fires with its exit status.
    """

    transport: Any

    def __init__(self) -> None:
        self.digest = sha256()
        self.length = 0
        self.errors = b""
        self.ended: Deferred[int] = Deferred()
        self._waiting: tuple[int, Deferred[None]] | None = None

    def outReceived(self, data: bytes) -> None:
        self.digest.update(data)
        self.length += len(data)
        if self._waiting is not None and self.length > self._waiting[0]:
            (_, further), self._waiting = self._waiting, None
            further.callback(None)

    def errReceived(self, data: bytes) -> None:
        self.errors += data

    def further(self, length: int) -> Deferred[None]:
        """
        Fires once more than so many bytes have come.
        """
        further: Deferred[None] = Deferred()
        self._waiting = length, further
        further.addTimeout(PATIENCE, reactor)
        if self.length > length:
            self._waiting = None
            further.callback(None)
        return further

    def stop(self) -> Deferred[int]:
        """
        End it, if it has not.
        """
        if not self.ended.called:
            self.transport.signalProcess("KILL")
        return self.ended

    def processEnded(self, reason: Failure) -> None:
        value: Any = reason.value
        if self._waiting is not None:
            self._waiting[1].errback(AssertionError(f"curl has ended: {self.errors.decode()}"))
        self.ended.callback(value.exitCode)


class Asking:
    """
    Somebody who asks again and again on one connection. In a thread.

    @ivar asked: how often.
    @ivar changing: whether a change is being made. Nodes take it one after the other, within milliseconds: what is
        asked meanwhile may find one that has no such way any more, or not yet, and be answered so; but it is answered.
    @ivar trying: whether it is one that is no good. As long as that is on trial, there may be nobody at its end.
    @ivar between: how often there was no way.
    """

    def __init__(self, port: int) -> None:
        self.asked = 0
        self.between = 0
        self.changing = False
        self.trying = False
        self._enough = Event()
        self._port = port

    def stop(self) -> None:
        """
        Ask no more.
        """
        self._enough.set()

    def run(self) -> None:
        """
        @raise AssertionError: where the answer is not right, or the connection is to be another.
        """
        connection = HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE)
        connection.connect()
        connection.auto_open = 0
        try:
            while not self._enough.wait(0.02):
                changing, tried = self.changing, self.trying
                connection.request("GET", "http://web.hermes/short")
                response = connection.getresponse()
                body = response.read()
                if response.status == 403 and body.startswith(b"no route takes") and (changing or self.changing):
                    self.between += 1
                elif response.status not in (502, 504) or not (tried or self.trying):
                    assert (response.status, body) == (200, b"short"), (response.status, body)
                assert connection.sock is not None, f"closed after {self.asked} requests: {response.getheaders()}"
                self.asked += 1
        finally:
            connection.close()
