"""
What exchanges leave to the garbage collector: nothing, see C{docs/decisions/garbage.md}.
"""

from __future__ import annotations

import gc
from collections import Counter
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import Protocol
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from hermes.errors import NoRoute
from hermes.garbage import OLDER, OLDEST, YOUNG, settle
from hermes.http.bodies import SMALL
from hermes.messages import textResponse
from hermes.test.http.versions import Proxying
from hermes.values import Headers, Identity, RequestHead, ResponseHead

LENGTH = b"content-length"


@implementer(IHalfCloseableProtocol)
class Forgetful(Protocol):
    """
    Reads a body, and keeps nothing.
    """

    def makeConnection(self, transport: object) -> None:
        pass

    def dataReceived(self, data: bytes) -> None:
        pass

    def readConnectionLost(self) -> None:
        pass

    def writeConnectionLost(self) -> None:
        pass


class SettleTests(SynchronousTestCase):
    def test_theCollectorLooksLessOftenAndNotAtWhatIsThere(self) -> None:
        self.addCleanup(gc.set_threshold, *gc.get_threshold())
        self.addCleanup(gc.unfreeze)
        settle()
        self.assertEqual(gc.get_threshold(), (YOUNG, OLDER, OLDEST))
        self.assertGreater(gc.get_freeze_count(), 1000)


class GarbageTests(Proxying):
    """
    Between a client and an origin of HTTP/2; below, of the others.
    """

    def exchange(
        self, method: bytes = b"GET", headers: Headers = (), body: bytes | None = None, status: int = 200
    ) -> None:
        """
        One request, which the origin answers.
        """
        self.begin(method, body)
        (origin,) = self.endpoint.handler.exchanges
        if not origin.bodyless:
            origin.attach(Forgetful())
            self.pump()
        bodiless = method == b"HEAD" or status != 200
        origin.respond(ResponseHead(status, headers), end=bodiless)
        if not bodiless:
            length = int(headers[0][1]) if headers and headers[0][0] == LENGTH else 1000
            for start in range(0, length, 20_000):
                origin.write(bytes(min(20_000, length - start)))
                self.pump()
            origin.writeTrailers(() if headers else ((b"sum", b"1"),))
            if origin.bodyless:
                origin.loseConnection()
        self.pump()
        del origin
        self.endpoint.handler.exchanges.clear()

    def begin(self, method: bytes = b"GET", body: bytes | None = None) -> None:
        head = RequestHead(method, b"http", b"origin.example", b"/", None, ((b"hermes-deadline", b"9000"),))
        end = body is None
        browser: Any = self.client.request(head, end) if self.near == "1.1" else self.client.open(head, end)
        browser.whenAnswered(lambda head: None, lambda failure: None)
        browser.attach(Forgetful())
        if body is not None:
            browser.write(body)
            browser.loseWriteConnection()
        self.pump()

    def left(self, count: int = 5) -> Counter[str]:
        """
        What is found after so many of each kind of request.
        """
        self.play()
        gc.collect()
        gc.disable()
        self.addCleanup(gc.enable)
        for _ in range(count):
            self.play()
        self.watching.ended.clear()
        gc.set_debug(gc.DEBUG_SAVEALL)
        try:
            gc.collect()
            return Counter(f"{type(each).__module__}.{type(each).__qualname__}" for each in gc.garbage)
        finally:
            gc.set_debug(0)
            gc.garbage.clear()

    def play(self) -> None:
        """
        One request of each kind.
        """
        self.exchange()
        for size in (10, SMALL, SMALL + 1, 100_000):
            self.exchange(headers=((LENGTH, b"%d" % size),))
        self.exchange(b"HEAD")
        self.exchange(status=304)
        self.exchange(b"POST", body=b"x", status=204)
        for size in (10, 100_000):
            self.exchange(b"POST", body=bytes(size))

    def test_nothingOfARequestIsLeft(self) -> None:
        self.assertEqual(self.left(), Counter())
        self.assertEqual(self.requests.started, 6 * 10)

    def test_norOfOneWithADeadline(self) -> None:
        self.identity = Identity(node="relay")
        self.connect()
        self.assertEqual(self.left(), Counter())

    def test_norOfOneThatIsAnsweredHere(self) -> None:
        answers: list[Any] = [
            lambda request: succeed(textResponse(200, "here")),
            lambda request: fail(NoRoute("no")),
        ]
        self.answerWith(lambda request: answers[self.requests.started % 2](request))
        self.patch(self, "play", self.begin)
        self.assertEqual(self.left(), Counter())

    def test_whatIsLeftIsFound(self) -> None:
        # Lest this tests nothing.
        def leave() -> None:
            cycle: Any = Deferred()
            cycle.addCallback(lambda _: cycle)

        self.patch(self, "play", leave)
        self.assertEqual(self.left()["twisted.internet.defer.Deferred"], 5)


class FromHTTP1Tests(GarbageTests):
    near = "1.1"


class ToHTTP1Tests(GarbageTests):
    far = "1.1"


class HTTP1Tests(GarbageTests):
    near = far = "1.1"
