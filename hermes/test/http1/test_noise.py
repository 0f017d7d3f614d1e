"""
Whatever a peer sends, an end of ours raises nothing, ends the connection or goes on, and forgets nobody.
"""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hermes.http1.clientprotocol import HTTP1ClientProtocol
from hermes.http1.server import HTTP1ServerProtocol
from hermes.test.http1.memory import HalfReader, Handler, MemoryTransport
from hermes.values import RequestHead, ResponseHead

FRAGMENTS = (
    *(b"GET / HTTP/1.1\r\n", b"POST / HTTP/1.1\r\n", b"CONNECT a:1 HTTP/1.1\r\n", b"HEAD / HTTP/1.0\r\n"),
    *(b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 100 Go\r\n", b"HTTP/1.1 101 X\r\n", b"HTTP/1.0 404 No\r\n"),
    *(b"Host: a\r\n", b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n", b"Expect: 100-continue\r\n"),
    *(b"Connection: close\r\n", b"Connection: Upgrade\r\nUpgrade: connect-udp\r\n", b"\r\n", b"\n", b"\r", b" "),
    *(b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n", b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n"),
    *(b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n", b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n"),
    b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n",
    b"GET /x HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: connect-udp\r\n\r\n",
    *(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
    *(b"HTTP/1.1 204 No\r\n\r\n", b"HTTP/1.1 403 No\r\nConnection: close\r\n\r\n"),
    b"HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: connect-udp\r\n\r\n",
    *(b"hello", b"5\r\nhello\r\n", b"0\r\n\r\n", b"0\r\nX: y\r\n\r\n", b"\x00", b"zz"),
)
noise = st.lists(st.sampled_from(FRAGMENTS), max_size=14)
actions = st.lists(st.sampled_from("rebawclRpts"), max_size=12)


class Acting(Handler):
    """
    Does with its exchanges what it is told.
    """

    def __init__(self) -> None:
        super().__init__()
        self.readers: list[HalfReader] = []

    def act(self, action: str) -> None:
        if not self.exchanges:
            return
        exchange: Any = self.exchanges[-1]
        try:
            match action:
                case "r":
                    exchange.respond(ResponseHead(200))
                case "e":
                    exchange.respond(ResponseHead(403), end=True)
                case "b":
                    exchange.respond(ResponseHead(200, ((b"content-length", b"3"),)))
                case "a":
                    reader = HalfReader()
                    exchange.attach(reader)
                    self.readers.append(reader)
                case "w":
                    exchange.write(b"abc")
                case "c":
                    exchange.respond(ResponseHead(100))
                case "l":
                    exchange.loseWriteConnection()
                case "R":
                    exchange.reset(0x2)
                case "p":
                    exchange.pauseProducing()
                case "s":
                    exchange.resumeProducing()
                case "t":
                    exchange.loseConnection()
        except RuntimeError:
            # Told to do what it had done.
            pass


class NoiseTests(SynchronousTestCase):
    """
    Tests for both ends.
    """

    def end(self, clock: Clock, transport: MemoryTransport, readers: list[HalfReader], cut: bool) -> None:
        if cut:
            transport.lose()
        else:
            transport.receiveEnd()
            clock.pump([0, 15, 100])
            transport.lose()
        clock.advance(0)
        self.assertEqual([reader for reader in readers if reader.lost is None], [])
        self.assertEqual(clock.getDelayedCalls(), [])

    @settings(deadline=None, max_examples=200)
    @given(noise, actions, st.booleans())
    def test_theServer(self, parts: list[bytes], todo: list[str], cut: bool) -> None:
        clock, handler = Clock(), Acting()
        transport = MemoryTransport(clock)
        transport.attach(HTTP1ServerProtocol(handler, clock))
        for number, part in enumerate(parts):
            transport.receive(part)
            if number < len(todo):
                handler.act(todo[number])
            clock.advance(0)
        for action in todo[len(parts) :]:
            handler.act(action)
        self.end(clock, transport, handler.readers, cut)

    @settings(deadline=None, max_examples=200)
    @given(noise, actions, st.sampled_from(["GET", "CONNECT", "upgrade"]), st.booleans())
    def test_theClient(self, parts: list[bytes], todo: list[str], kind: str, cut: bool) -> None:
        clock, handler = Clock(), Acting()
        transport = MemoryTransport(clock)
        client = HTTP1ClientProtocol(clock)
        transport.attach(client)
        head = RequestHead(
            b"GET" if kind == "GET" else b"CONNECT",
            b"http",
            b"a:1",
            b"/",
            b"connect-udp" if kind == "upgrade" else None,
        )
        exchange = client.request(head)
        answers: list[object] = []
        exchange.response().addBoth(answers.append)
        handler.exchanges.append(exchange)
        for number, part in enumerate(parts):
            transport.receive(part)
            if number < len(todo) and todo[number] not in "rebc":
                handler.act(todo[number])
            clock.advance(0)
        self.end(clock, transport, handler.readers, cut)
        self.assertEqual(len(answers), 1)
