"""
The packets of a port, live, for C{hermes capture}.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from twisted.internet.interfaces import IPushProducer
from twisted.web.resource import NoResource, Resource
from twisted.web.server import NOT_DONE_YET, Request
from zope.interface import implementer

from hermes.values import Buffer
from hermes.wire.captured import encodeCaptured

HEADER: Final = 10
"""
What a frame has before its packet.
"""


@implementer(IPushProducer)
class Watch:
    """
    Sends what passes a port to one client, for as long as that reads it. What it can't take is left out: nobody waits
    for who only looks on.

    @ivar missed: packets that were left out.
    """

    def __init__(self, port: Any, request: Request, clock: Callable[[], int] = time.time_ns) -> None:
        self.missed = 0
        self._port = port
        self._request: Request | None = request
        self._clock = clock
        self._paused = False
        request.registerProducer(self, True)
        port.taps += (self._saw,)

    def _saw(self, direction: str, frames: Sequence[Buffer]) -> None:
        request = self._request
        if request is None or self._paused:
            self.missed += len(frames)
            return
        request.write(
            encodeCaptured(self._clock(), direction == "out", [memoryview(frame)[HEADER:] for frame in frames])
        )

    def pauseProducing(self) -> None:
        self._paused = True

    def resumeProducing(self) -> None:
        self._paused = False

    def stopProducing(self) -> None:
        self._request = None
        self._port.taps = tuple(tap for tap in self._port.taps if tap != self._saw)


class Capture(Resource):
    """
    C{/capture/NAME}: the packets of a port, as L{hermes.wire.captured} writes them, until the client goes.
    """

    def __init__(self, find: Callable[[str], Any]) -> None:
        """
        @param find: the port of a name, or L{None}.
        """
        Resource.__init__(self)
        self._find = find

    def getChild(self, path: bytes, request: Request) -> Resource:
        port = self._find(path.decode("utf-8", "replace"))
        if port is None:
            return NoResource("no port of IP packets is called so")
        return _Live(port)


class _Live(Resource):
    isLeaf = True

    def __init__(self, port: Any) -> None:
        Resource.__init__(self)
        self._port = port

    def render_GET(self, request: Request) -> int:
        request.setHeader(b"content-type", b"application/vnd.hermes.captured")
        request.setHeader(b"cache-control", b"no-store")
        # The head goes out at once: whoever asks knows that it is being watched.
        request.write(b"")
        watch = Watch(self._port, request)
        request.notifyFinish().addErrback(lambda failure: watch.stopProducing())
        return NOT_DONE_YET
