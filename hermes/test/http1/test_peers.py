"""
Tests of both ends of HTTP/1.1 against each other, and against peers that are not ours.
"""

from __future__ import annotations

import http.client
from collections.abc import Callable
from socket import socketpair
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP4ServerEndpoint, connectProtocol
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.internet.threads import deferToThread
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase, TestCase
from twisted.web.client import Agent, readBody
from twisted.web.http_headers import Headers as WebHeaders
from twisted.web.iweb import UNKNOWN_LENGTH, IBodyProducer
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site
from zope.interface import implementer

from hermes.http1.client import HTTP1Client
from hermes.http1.clientprotocol import HTTP1ClientProtocol
from hermes.http1.server import HTTP1ServerProtocol
from hermes.interfaces import IBorrowingProtocol
from hermes.net.transport import StreamTransport
from hermes.test.http1.memory import HalfReader, Handler, MemoryTransport, pump
from hermes.test.http1.test_server import EchoHandler
from hermes.values import RequestHead, ResponseHead

GET = RequestHead(b"GET", b"http", b"a.example", b"/x", None, ((b"accept", b"*/*"),))
POST = RequestHead(b"POST", b"http", b"a.example", b"/echo")
CONNECT = RequestHead(b"CONNECT", b"", b"b.example:443")
UPGRADE = RequestHead(b"CONNECT", b"http", b"a.example", b"/udp/", b"connect-udp")


@implementer(IHalfCloseableProtocol, IBorrowingProtocol)
class EchoTunnel(Protocol):
    """
    The far end of a tunnel.
    """

    def dataReceived(self, data: Any) -> None:
        assert self.transport is not None
        self.transport.write(data)

    def readConnectionLost(self) -> None:
        assert self.transport is not None
        self.transport.loseWriteConnection()  # type: ignore[attr-defined]

    def writeConnectionLost(self) -> None:
        pass


class ProxyHandler(EchoHandler):
    """
    Echoes bodies, and what is sent through tunnels.
    """

    def exchangeReceived(self, exchange: Any) -> None:
        if exchange.request.method != b"CONNECT":
            super().exchangeReceived(exchange)
        elif exchange.request.authority.startswith(b"forbidden"):
            exchange.respond(ResponseHead(403), end=True)
        else:
            exchange.respond(ResponseHead(200))
            exchange.attach(EchoTunnel())


class OursTests(SynchronousTestCase):
    """
    Our client and our server.
    """

    def setUp(self) -> None:
        self.clock = Clock()

    def connect(self, handler: Handler) -> HTTP1ClientProtocol:
        client = HTTP1ClientProtocol(self.clock)
        self.near, self.far = MemoryTransport(self.clock), MemoryTransport(self.clock)
        self.near.attach(client)
        self.far.attach(HTTP1ServerProtocol(handler, self.clock))
        return client

    def pump(self) -> None:
        pump(self.clock, self.near, self.far)

    @settings(deadline=None)
    @given(st.lists(st.lists(st.binary(max_size=50), max_size=4), min_size=1, max_size=3), st.booleans())
    def test_bodiesAndTrailersArriveAsSent(self, bodies: list[list[bytes]], announced: bool) -> None:
        client = self.connect(EchoHandler())
        for parts in bodies:
            whole = b"".join(parts)
            length = ((b"content-length", b"%d" % len(whole)),) if announced else ()
            exchange: Any = client.request(RequestHead(b"POST", b"http", b"a", b"/", None, length))
            answer = exchange.response()
            reader = HalfReader()
            exchange.attach(reader)
            for part in parts:
                exchange.write(part)
                self.pump()
            exchange.writeTrailers(((b"x-sum", b"1"),))
            self.pump()
            self.assertEqual(self.successResultOf(answer).status, 200)
            self.assertEqual(reader.data, whole)
            self.assertEqual(exchange.trailers, () if announced else ((b"x-sum", b"1"),))

    def test_aTunnelCarriesBytesAndHalfCloses(self) -> None:
        for head in (CONNECT, UPGRADE):
            client = self.connect(ProxyHandler())
            exchange: Any = client.request(head)
            answer = exchange.response()
            self.pump()
            self.assertEqual(self.successResultOf(answer).status, 200)
            reader: Any = HalfReader()
            exchange.attach(reader)
            reader.transport.write(b"through")
            self.pump()
            self.assertEqual((reader.data, reader.ended), (b"through", 0))
            reader.transport.write(b" and back")
            reader.transport.loseWriteConnection()
            self.pump()
            self.assertEqual((reader.data, reader.ended), (b"through and back", 1))
            self.assertIsNotNone(reader.lost)
            self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_anAbortedTunnelIsAbortedAtTheOtherEnd(self) -> None:
        client = self.connect(ProxyHandler())
        exchange: Any = client.request(CONNECT)
        self.pump()
        exchange.attach(HalfReader())
        exchange.reset(0x8)
        self.pump()
        self.assertTrue(self.far.disconnected)

    def test_afterARefusalTheConnectionServesTheNextTunnel(self) -> None:
        client = self.connect(ProxyHandler())
        refused: Any = client.request(RequestHead(b"CONNECT", b"", b"forbidden:1"))
        answer = refused.response()
        self.pump()
        self.assertEqual(self.successResultOf(answer).status, 403)
        accepted: Any = client.request(CONNECT)
        answer = accepted.response()
        self.pump()
        self.assertEqual(self.successResultOf(answer).status, 200)


class StreamTests(TestCase):
    """
    Over the transports of L{hermes.net}, which give a connection away.
    """

    def connect(self) -> tuple[HTTP1ClientProtocol, HTTP1ServerProtocol]:
        client = HTTP1ClientProtocol(reactor)
        server = HTTP1ServerProtocol(ProxyHandler(), reactor)
        near, far = socketpair()
        StreamTransport(near, reactor).attach(client)
        StreamTransport(far, reactor).attach(server)
        return client, server

    def test_aTunnelAfterAnExchange(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self._aTunnelAfterAnExchange())

    async def _aTunnelAfterAnExchange(self) -> None:
        client, server = self.connect()
        first: Any = client.request(POST)
        first.write(b"x" * 300_000)
        first.loseWriteConnection()
        ended: Deferred[None] = Deferred()
        body: Any = HalfReader()
        body.connectionLost = lambda _: ended.callback(None)
        first.attach(body)
        await ended
        self.assertEqual(body.data, b"x" * 300_000)

        second: Any = client.request(CONNECT)
        await second.response()
        lost: Deferred[None] = Deferred()
        reader: Any = HalfReader()
        reader.connectionLost = lambda _: lost.callback(None)
        second.attach(reader)
        self.assertIsInstance(reader.transport, StreamTransport)
        self.assertIs(reader.transport.protocol, reader)
        self.assertIsInstance(server.transport.protocol, EchoTunnel)
        for _ in range(20):
            reader.transport.write(b"y" * 50_000)
        reader.transport.loseWriteConnection()
        await lost
        self.assertEqual((len(reader.data), reader.ended), (1_000_000, 1))

    def test_bytesSentAheadOfTheAnswer(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self._bytesSentAheadOfTheAnswer())

    async def _bytesSentAheadOfTheAnswer(self) -> None:
        near, far = socketpair()
        StreamTransport(far, reactor).attach(HTTP1ServerProtocol(ProxyHandler(), reactor))
        lost: Deferred[None] = Deferred()
        reader: Any = HalfReader()
        reader.connectionLost = lambda _: lost.callback(None)
        StreamTransport(near, reactor).attach(reader)
        reader.transport.write(b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\nahead")
        reader.transport.loseWriteConnection()
        await lost
        self.assertEqual((reader.data, reader.ended), (b"HTTP/1.1 200 OK\r\n\r\nahead", 1))


class Echo(Resource):
    """
    Answers with the body, in chunks.
    """

    isLeaf = True

    def render(self, request: Any) -> Any:
        body = request.content.read()
        request.setHeader(b"x-method", request.method)
        request.write(body)
        request.write(request.uri)
        request.finish()
        return NOT_DONE_YET


@implementer(IBodyProducer)
class Body:
    """
    A body of unknown length.
    """

    length = UNKNOWN_LENGTH

    def startProducing(self, consumer: Any) -> Deferred[None]:
        consumer.write(b"from ")
        consumer.write(b"Twisted")
        done: Deferred[None] = Deferred()
        done.callback(None)
        return done

    def pauseProducing(self) -> None:
        pass

    def resumeProducing(self) -> None:
        pass

    def stopProducing(self) -> None:
        pass


class PeerTests(TestCase):
    """
    Over 127.0.0.1, and Twisted's own TCP.
    """

    async def listen(self, build: Callable[[], Any]) -> int:
        factory = Factory.forProtocol(build)
        port = await TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(factory)
        self.addCleanup(port.stopListening)
        return int(port.getHost().port)

    async def serve(self) -> int:
        def build() -> HTTP1ServerProtocol:
            gone: Deferred[None] = Deferred()

            class Server(HTTP1ServerProtocol):
                def connectionLost(self, reason: Failure = Failure(ConnectionDone())) -> None:  # noqa: B008
                    super().connectionLost(reason)
                    gone.callback(None)

            protocol = Server(ProxyHandler(), reactor)

            def end() -> Deferred[None]:
                protocol.transport.abortConnection()
                return gone

            self.addCleanup(end)
            return protocol

        return await self.listen(build)

    async def ask(self, client: HTTP1Client, head: RequestHead, *parts: bytes) -> tuple[ResponseHead, bytes]:
        exchange: Any = await client.exchange(head, end=not parts)
        for part in parts:
            exchange.write(part)
        exchange.loseWriteConnection()
        answer = await exchange.response()
        done: Deferred[None] = Deferred()
        reader = HalfReader()
        reader.connectionLost = lambda _: done.callback(None)  # type: ignore[method-assign, assignment, misc]
        exchange.attach(reader)
        await done
        return answer, bytes(reader.data)

    def test_ourClientAndTwistedWeb(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self._ourClientAndTwistedWeb())

    async def _ourClientAndTwistedWeb(self) -> None:
        site = Site(Echo())
        port = await TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(site)
        self.addCleanup(port.stopListening)
        client = HTTP1Client(TCP4ClientEndpoint(reactor, "127.0.0.1", port.getHost().port), reactor)
        for _ in range(2):
            answer, body = await self.ask(client, POST, b"some ", b"body ")
            self.assertEqual((answer.status, body), (200, b"some body /echo"))
            answer, body = await self.ask(client, GET)
            self.assertEqual((answer.get(b"x-method"), body), (b"GET", b"/x"))
        self.assertEqual(len(client._connections), 1)
        await client.close()

    def test_twistedsAgentAndOurServer(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self._twistedsAgentAndOurServer())

    async def _twistedsAgentAndOurServer(self) -> None:
        port = await self.serve()
        agent = Agent(reactor)
        uri = b"http://127.0.0.1:%d/agent" % port
        response = await agent.request(b"POST", uri, WebHeaders({b"expect": [b"100-continue"]}), Body())
        self.assertEqual(response.headers.getRawHeaders(b"x-path"), [b"/agent"])
        self.assertEqual(await readBody(response), b"from Twisted")

    def test_theStandardLibraryAndOurServer(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self._theStandardLibraryAndOurServer())

    async def _theStandardLibraryAndOurServer(self) -> None:
        port = await self.serve()

        def requests() -> None:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
            for number in range(3):
                connection.request("POST", f"/{number}", body=[b"a", b"bc"], encode_chunked=True)
                response = connection.getresponse()
                self.assertEqual((response.status, response.headers["x-path"]), (200, f"/{number}"))
                self.assertEqual(response.read(), b"abc")
                connection.request("HEAD", "/head")
                self.assertEqual(connection.getresponse().read(), b"")
            connection.request("GET", "http://elsewhere.example/path", headers={"Host": "elsewhere.example"})
            response = connection.getresponse()
            self.assertEqual((response.read(), response.headers["x-path"]), (b"", "/path"))
            connection.close()

        await deferToThread(requests)

    def test_theStandardLibraryThroughATunnelOfOurs(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self._theStandardLibraryThroughATunnelOfOurs())

    async def _theStandardLibraryThroughATunnelOfOurs(self) -> None:
        port = await self.serve()

        def tunnel() -> bytes:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
            connection.set_tunnel("b.example", 443)
            connection.connect()
            connection.sock.sendall(b"x" * 500_000)
            data = bytearray()
            while len(data) < 500_000:
                data += connection.sock.recv(65536)
            connection.close()
            return bytes(data)

        self.assertEqual(await deferToThread(tunnel), b"x" * 500_000)

    def test_aTunnelFromOurClientToOurServer(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self._aTunnelFromOurClientToOurServer())

    async def _aTunnelFromOurClientToOurServer(self) -> None:
        port = await self.serve()
        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", port)
        connection = await connectProtocol(endpoint, HTTP1ClientProtocol(reactor))
        exchange: Any = connection.request(UPGRADE)
        self.assertEqual((await exchange.response()).status, 200)
        lost: Deferred[None] = Deferred()
        reader: Any = HalfReader()
        reader.connectionLost = lambda _: lost.callback(None)
        exchange.attach(reader)
        for _ in range(20):
            reader.transport.write(b"y" * 50_000)
        reader.transport.loseWriteConnection()
        await lost
        self.assertEqual((len(reader.data), reader.ended), (1_000_000, 1))
