"""
Tests of L{hermes.admin.capture}.
"""

from __future__ import annotations

from typing import Any

from attrs import define, field
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import getChildForRequest
from twisted.web.test.requesthelper import DummyRequest

from hermes.admin.capture import Capture, Watch
from hermes.wire.captured import CapturedReader

FRAME = bytes(10) + b"E packet"


@define
class Port:
    """
    What is watched.
    """

    taps: tuple[Any, ...] = field(factory=tuple)

    def pass_(self, direction: str, *frames: bytes) -> None:
        """
        Frames pass.
        """
        for tap in self.taps:
            tap(direction, frames)


class Asked(DummyRequest):
    """
    A request whose client the test steers.
    """

    def registerProducer(self, prod: Any, s: bool) -> None:
        """
        The test pauses it.
        """


class CaptureTests(SynchronousTestCase):
    """
    Watching a port.
    """

    def setUp(self) -> None:
        self.port = Port()
        self.request: Any = Asked([b"lan"])

    def seen(self) -> list[tuple[int, bool, bytes]]:
        """
        What has been sent.
        """
        return [(each.time, each.out, each.packet) for each in CapturedReader().receive(b"".join(self.request.written))]

    def test_packetsAreSentAsTheyPass(self) -> None:
        """
        Without what frames have before them.
        """
        Watch(self.port, self.request, clock=lambda: 7)
        self.port.pass_("in", FRAME, FRAME)
        self.port.pass_("out", FRAME)
        self.assertEqual(self.seen(), [(7, False, b"E packet")] * 2 + [(7, True, b"E packet")])

    def test_whoDoesNotReadMissesSomeAndNothingIsKept(self) -> None:
        """
        It goes on with what comes then.
        """
        watch = Watch(self.port, self.request, clock=lambda: 7)
        watch.pauseProducing()
        self.port.pass_("in", FRAME, FRAME)
        watch.resumeProducing()
        self.port.pass_("out", FRAME)
        self.assertEqual((self.seen(), watch.missed), ([(7, True, b"E packet")], 2))

    def test_thePageIsThatOfAPort(self) -> None:
        """
        Until the client goes; a name that is none is not found.
        """
        root = Capture({"lan": self.port}.get)
        page = getChildForRequest(root, self.request)
        page.render(self.request)
        self.assertEqual(len(self.port.taps), 1)
        self.port.pass_("in", FRAME)
        self.assertEqual(len(self.seen()), 1)
        self.request.processingFailed(self.failure())
        self.assertEqual(self.port.taps, ())
        self.assertEqual(getChildForRequest(root, DummyRequest([b"other"])).code, 404)

    def failure(self) -> Any:
        """
        The client is gone.
        """
        from twisted.internet.error import ConnectionDone
        from twisted.python.failure import Failure

        return Failure(ConnectionDone())
