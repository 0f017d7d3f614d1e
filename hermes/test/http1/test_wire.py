"""
What a connection writes, and when.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hermes.http1.clientprotocol import HTTP1ClientProtocol
from hermes.http1.server import HTTP1ServerProtocol
from hermes.http1.wire import MAX_CORKED, Wire
from hermes.test.http1.memory import HalfReader, Handler, MemoryTransport
from hermes.test.turns import TurningClock
from hermes.values import Headers, RequestHead, ResponseHead

GET = b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n"
CONNECT = b"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n"
LARGE = bytes(100_000)
HEAD = RequestHead(b"POST", b"http", b"a", b"/")


class Counting(MemoryTransport):
    """
    Keeps what was asked of it apart.
    """

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.calls: list[Any] = []

    def write(self, data: Any) -> None:
        self.calls.append(bytes(data))

    def writeSequence(self, data: Iterable[Any]) -> None:
        self.calls.append(b"".join(data))

    def loseWriteConnection(self) -> None:
        self.calls.append("loseWriteConnection")
        super().loseWriteConnection()

    def loseConnection(self) -> None:
        self.calls.append("loseConnection")
        super().loseConnection()

    def abortConnection(self) -> None:
        self.calls.append("abortConnection")
        super().abortConnection()

    def take(self) -> list[Any]:
        """
        The calls since.
        """
        calls, self.calls = self.calls, []
        return calls


class CorkTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = TurningClock()
        self.transport = Counting(self.clock)
        self.wire = Wire(self.clock)
        self.wire.makeConnection(self.transport)

    def emit(self, *buffers: Any) -> None:
        self.wire._emit(buffers)

    def test_whatIsSmallIsOneWriteAtTheEndOfTheTurn(self) -> None:
        for data in (b"head", b"body", b"end"):
            self.emit(data)
        self.assertEqual(self.transport.take(), [])
        self.clock.endTurn()
        self.assertEqual(self.transport.take(), [b"headbodyend"])
        self.assertFalse(self.clock.endTurn())
        self.emit(b"next")
        self.clock.endTurn()
        self.assertEqual(self.transport.take(), [b"next"])

    def test_whatIsLargeGoesAtOnceBehindWhatIsSmall(self) -> None:
        self.emit(LARGE)
        self.assertEqual(self.transport.take(), [LARGE])
        self.emit(b"head")
        self.emit(b"size", LARGE, b"end")
        self.emit(b"next")
        self.assertEqual(self.transport.take(), [b"headsize" + LARGE + b"end"])
        self.clock.endTurn()
        self.assertEqual(self.transport.take(), [b"next"])

    def test_whatWaitsIsACopy(self) -> None:
        lent = bytearray(b"lent")
        self.emit(memoryview(lent))
        lent[:] = b"!!!!"
        self.clock.endTurn()
        self.assertEqual(self.transport.take(), [b"lent"])

    def test_onlySoMuchWaits(self) -> None:
        for _ in range(MAX_CORKED + 2):
            self.emit(b"x")
        self.assertEqual(self.transport.take(), [b"x" * (MAX_CORKED + 1)])
        self.clock.endTurn()
        self.assertEqual(self.transport.take(), [b"x"])

    def test_withoutTurnsEverythingGoesAtOnce(self) -> None:
        self.wire = Wire(Clock())
        self.wire.makeConnection(self.transport)
        self.emit(b"head")
        self.emit(b"body")
        self.assertEqual(self.transport.take(), [b"head", b"body"])

    def test_aLostConnectionIsNotWrittenTo(self) -> None:
        self.emit(b"head")
        self.wire._lost = True
        self.clock.endTurn()
        self.assertEqual(self.transport.take(), [])


class ServerTests(SynchronousTestCase):
    """
    What a server writes in one turn.
    """

    def setUp(self) -> None:
        self.connect(TurningClock())

    def connect(self, clock: Any) -> None:
        self.clock = clock
        self.transport = Counting(clock)
        self.handler = Handler()
        self.transport.attach(HTTP1ServerProtocol(self.handler, clock))

    def ask(self, data: bytes = GET) -> Any:
        self.transport.receive(data)
        return self.handler.exchanges[-1]

    def endTurn(self) -> list[Any]:
        self.clock.endTurn()
        return self.transport.take()

    def test_aWholeResponseIsOneWrite(self) -> None:
        for headers, written in (
            (((b"content-length", b"6"),), b"content-length: 6\r\n\r\nanswer"),
            ((), b"transfer-encoding: chunked\r\n\r\n6\r\nanswer\r\n0\r\n\r\n"),
        ):
            exchange = self.ask()
            exchange.respond(ResponseHead(200, headers))
            exchange.write(b"answer")
            exchange.loseConnection()
            self.assertEqual(self.endTurn(), [b"HTTP/1.1 200 OK\r\n" + written])

    def test_soIsWhatThereIsOfOneInATurn(self) -> None:
        exchange = self.ask()
        exchange.respond(ResponseHead(200))
        exchange.write(b"one")
        self.assertEqual(self.endTurn(), [b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n"])
        exchange.write(b"two")
        exchange.write(b"six")
        self.assertEqual(self.endTurn(), [b"3\r\ntwo\r\n3\r\nsix\r\n"])
        exchange.writeTrailers(((b"sum", b"9"),))
        self.assertEqual(self.endTurn(), [b"0\r\nsum: 9\r\n\r\n"])

    def test_aLargeBodyIsOneWithItsHead(self) -> None:
        exchange = self.ask()
        exchange.respond(ResponseHead(200, ((b"content-length", b"100000"),)))
        exchange.write(LARGE)
        (written,) = self.transport.take()
        self.assertEqual(written, b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n" + LARGE)
        exchange.loseConnection()
        self.assertEqual(self.endTurn(), [])

    def test_responsesToRequestsThatCameTogetherStayInOrder(self) -> None:
        self.handler.answer = ResponseHead(200)
        self.ask(GET * 3)
        self.assertEqual(b"".join(self.endTurn()), b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n" * 3)

    def test_aConnectionThatEndsWritesAllBefore(self) -> None:
        exchange = self.ask(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        exchange.respond(ResponseHead(200))
        exchange.write(b"answer")
        exchange.loseConnection()
        head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n"
        self.assertEqual(self.transport.take(), [head + b"6\r\nanswer\r\n0\r\n\r\n", "loseWriteConnection"])
        self.assertEqual(self.endTurn(), [])

    def test_whatIsNoRequestIsAnsweredBeforeTheEnd(self) -> None:
        self.transport.receive(b"nonsense\r\n\r\n")
        written, end = self.transport.take()
        self.assertTrue(written.startswith(b"HTTP/1.1 400 "))
        self.assertEqual(end, "loseWriteConnection")

    def test_soIsWhoEndsItsDirectionBehindItsRequest(self) -> None:
        exchange = self.ask()
        self.transport.receiveEnd()
        exchange.respond(ResponseHead(200), end=True)
        self.clock.endTurn()
        written, *end = self.transport.take()
        self.assertEqual((written, end), (b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", ["loseConnection"]))

    def test_aTunnelsFirstBytesComeBehindItsHead(self) -> None:
        for early in (False, True):
            self.setUp()
            exchange = self.ask(CONNECT)
            if early:
                exchange.attach(HalfReader())
                exchange.write(b"hello")
            exchange.respond(ResponseHead(200))
            if not early:
                reader = HalfReader()
                exchange.attach(reader)
                self.transport.write(b"hello")
            self.clock.endTurn()
            self.assertEqual(b"".join(self.transport.take()), b"HTTP/1.1 200 OK\r\n\r\nhello")

    def test_aTunnelThatEndsAtOnceHasItsHeadBefore(self) -> None:
        exchange = self.ask(CONNECT)
        exchange.attach(HalfReader())
        exchange.respond(ResponseHead(200))
        exchange.loseWriteConnection()
        self.assertEqual(self.transport.take(), [b"HTTP/1.1 200 OK\r\n\r\n", "loseWriteConnection"])

    def test_nothingIsWrittenBehindAnAbort(self) -> None:
        exchange = self.ask()
        exchange.respond(ResponseHead(200))
        exchange.write(b"half")
        exchange.reset(2)
        self.clock.advance(0)
        self.assertEqual(self.endTurn(), ["abortConnection"])

    def test_theEndOfAnExchangeIsToldOnceItsReaderHasReturned(self) -> None:
        exchange = self.ask(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n")
        reader = HalfReader()
        exchange.attach(reader)
        exchange.respond(ResponseHead(200), end=True)
        self.transport.receive(b"ok")
        self.assertIsNone(reader.lost)
        self.clock.endTurn()
        self.assertIsNotNone(reader.lost)

    @given(
        st.lists(st.one_of(st.integers(1, 20_000), st.none()), max_size=20),
        st.booleans(),
        st.sampled_from([(), ((b"sum", b"1"),)]),
        st.booleans(),
    )
    def test_withTurnsTheSameIsWrittenAsWithout(
        self, steps: list[int | None], announced: bool, trailers: Headers, close: bool
    ) -> None:
        written = []
        sizes = [step for step in steps if step is not None]
        request = GET[:-2] + (b"Connection: close\r\n\r\n" if close else b"\r\n")
        headers: Headers = ((b"content-length", b"%d" % sum(sizes)),) if announced else ()
        for clock in (Clock(), TurningClock()):
            self.connect(clock)
            turn: Callable[[], object] = getattr(clock, "endTurn", lambda: None)
            for _ in range(1 if close else 2):
                exchange = self.ask(request)
                exchange.respond(ResponseHead(200, headers))
                for number, step in enumerate(steps):
                    if step is None:
                        turn()
                    else:
                        exchange.write(bytes([number]) * step)
                exchange.writeTrailers(trailers)
            turn()
            calls = self.transport.take()
            written.append((b"".join(call for call in calls if isinstance(call, bytes)), calls[-1:] if close else []))
        self.assertEqual(*written)


class ClientTests(SynchronousTestCase):
    """
    What a client writes in one turn.
    """

    def setUp(self) -> None:
        self.clock = TurningClock()
        self.transport = Counting(self.clock)
        self.client = HTTP1ClientProtocol(self.clock)
        self.transport.attach(self.client)

    def test_aWholeRequestIsOneWrite(self) -> None:
        exchange = self.client.request(HEAD)
        exchange.write(b"question")
        exchange.loseWriteConnection()
        self.clock.endTurn()
        head = b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n"
        self.assertEqual(self.transport.take(), [head + b"8\r\nquestion\r\n0\r\n\r\n"])

    def test_soIsOneWithoutABody(self) -> None:
        self.client.request(HEAD, end=True)
        self.clock.endTurn()
        self.assertEqual(self.transport.take(), [b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n"])

    def test_aTunnelsFirstBytesComeBehindItsHead(self) -> None:
        # Even where the server did not wait to be asked.
        for patient in (True, False):
            self.setUp()
            exchange = self.client.request(RequestHead(b"CONNECT", authority=b"a:80"))
            exchange.attach(HalfReader())
            exchange.write(b"hello")
            if patient:
                self.clock.endTurn()
            self.transport.receive(b"HTTP/1.1 200 OK\r\n\r\n")
            self.clock.endTurn()
            self.assertEqual(b"".join(self.transport.take()), b"CONNECT a:80 HTTP/1.1\r\nhost: a:80\r\n\r\nhello")

    def test_aConnectionThatIsDrainedWritesAllBefore(self) -> None:
        exchange = self.client.request(HEAD)
        self.client.drain()
        exchange.write(b"question")
        exchange.loseWriteConnection()
        self.transport.receive(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        self.clock.endTurn()
        written, end = self.transport.take()
        self.assertTrue(written.endswith(b"\r\n8\r\nquestion\r\n0\r\n\r\n"))
        self.assertEqual(end, "loseWriteConnection")
