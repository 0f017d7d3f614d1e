"""
The C{proxy} listener, in memory and with curl.
"""

from __future__ import annotations

from base64 import b64encode
from shutil import which
from typing import Any

from attrs import evolve
from twisted.internet import reactor
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP4ServerEndpoint
from twisted.internet.protocol import DatagramProtocol, Factory, Protocol, connectionDone
from twisted.internet.task import deferLater
from twisted.internet.utils import getProcessOutputAndValue
from twisted.plugin import IPlugin
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase, TestCase
from twisted.web.resource import Resource
from twisted.web.server import Request, Site
from zope.interface.verify import verifyObject

from hermes.errors import NoRoute
from hermes.fabric.direct import DirectDialer
from hermes.fabric.handler import FlowHandler
from hermes.fabric.match import Match
from hermes.fabric.proxy import ProxyListener, ProxyListenerType, ProxyOptions
from hermes.fabric.router import Route, Router
from hermes.fabric.sniff import HTTP2_PREFACE
from hermes.http2.connection import ClientConnection, ServerConnection
from hermes.interfaces import IExchangeHandler, IListener, IListenerContext, IListenerType
from hermes.net.network import Network
from hermes.test.fabric.fakenetwork import FakeContext, FakePort
from hermes.test.fabric.fakes import FakeFlows, FakeObserver, FakeStream
from hermes.test.fabric.test_relay import Body
from hermes.tunnel.server import TunnelHandler
from hermes.users import Users, UserSecret
from hermes.values import Flow, Identity, RequestHead, Target
from hermes.wire.proxyprotocol import ProxyHeader, writeV2
from hermes.wire.socks import (
    COMMAND_CONNECT,
    COMMAND_UDP_ASSOCIATE,
    SocksRequest,
    datagramHeader,
    parseReply,
    writeRequest,
)

BIND = "127.0.0.1:3128"
ALICE = b"Proxy-Authorization: Basic " + b64encode(b"alice:secret") + b"\r\n"
SOURCE = ("192.0.2.1", 4000)
clock: Any = reactor


def tunnels(name: str, context: IListenerContext, anonymous: bool, forward: IExchangeHandler) -> IExchangeHandler:
    return TunnelHandler(
        context.flows, context.authenticator, context.reactor, context.nodeName, name, anonymous, forward=forward
    )


class Speaker(Protocol):
    """
    Stands for HTTP/2, or for the near end of a flow.
    """

    def __init__(self, *arguments: Any) -> None:
        self.data = b""
        self.drained = 0

    def dataReceived(self, data: bytes) -> None:
        self.data += data

    def drain(self) -> None:
        self.drained += 1


class Listening(SynchronousTestCase):
    def setUp(self) -> None:
        self.context = FakeContext()
        self.flows: FakeFlows = self.context.flows
        self.context.authenticator = Users({"alice": UserSecret(password="secret")})
        self.http2: list[Speaker] = []

    def speak(self, *arguments: Any) -> Speaker:
        self.http2.append(speaker := Speaker())
        return speaker

    def start(self, **options: Any) -> tuple[ProxyListener, FakePort]:
        made: Any = ProxyListenerType(tunnels, self.speak).listener("apps", ProxyOptions(BIND, **options), self.context)
        self.assertIsNone(self.successResultOf(made.start()))
        return made, self.context.network.servers[BIND]

    def connect(self, port: FakePort, *data: bytes) -> FakeStream:
        stream = port.accept(IPv4Address("TCP", *SOURCE))
        for piece in data:
            stream.deliver(piece)
        return stream

    def asked(self, which: int = -1) -> Flow:
        return self.flows.asked[which][0]

    def test_itIsAListenerOfItsType(self) -> None:
        listenerType = ProxyListenerType(tunnels, self.speak)
        verifyObject(IListenerType, listenerType)
        verifyObject(IPlugin, listenerType)
        verifyObject(IListener, self.start()[0])
        self.assertEqual(listenerType.type, "proxy")

    def test_onePortTakesThemAll(self) -> None:
        _, port = self.start()
        self.connect(port, b"\x05\x01\x00", writeRequest(SocksRequest(COMMAND_CONNECT, "db.hermes", 1)))
        self.assertEqual(self.asked(), Flow("tcp", Target("db.hermes", 1), SOURCE, listener="apps"))
        self.connect(port, b"CONNECT db.hermes:2 HTTP/1.1\r\nHost: db.hermes:2\r\n\r\n")
        self.assertEqual(self.asked(), Flow("tcp", Target("db.hermes", 2), SOURCE, listener="apps"))
        self.connect(
            port,
            b"GET http://proxy/.well-known/masque/udp/dns.hermes/53/ HTTP/1.1\r\nHost: proxy\r\n"
            b"Connection: Upgrade\r\nUpgrade: connect-udp\r\nCapsule-Protocol: ?1\r\n\r\n",
        )
        self.assertEqual(self.asked(), Flow("udp", Target("dns.hermes", 53), SOURCE, listener="apps"))
        self.connect(port, b"GET http://db.hermes/ HTTP/1.1\r\nHost: db.hermes\r\n\r\n")
        self.assertEqual(self.asked(), Flow("http", Target("db.hermes", 80), SOURCE, listener="apps"))
        self.connect(port, HTTP2_PREFACE)
        self.assertEqual([speaker.data for speaker in self.http2], [HTTP2_PREFACE])

    def test_connectBecomesAStream(self) -> None:
        _, port = self.start()
        stream = self.connect(port, b"CONNECT db.hermes:2 HTTP/1.1\r\nHost: db.hermes:2\r\n\r\n")
        self.flows.asked[0][1].callback(near := Speaker())
        self.assertTrue(bytes(stream.taken).startswith(b"HTTP/1.1 200 "))
        stream.deliver(b"hello")
        self.assertEqual(near.data, b"hello")

    def test_refusalsAreTold(self) -> None:
        _, port = self.start()
        for request in (
            b"CONNECT db.hermes:2 HTTP/1.1\r\nHost: db.hermes:2\r\n\r\n",
            b"GET http://db.hermes/ HTTP/1.1\r\nHost: db.hermes\r\n\r\n",
        ):
            stream = self.connect(port, request)
            self.flows.asked[-1][1].errback(NoRoute("no route"))
            self.assertTrue(bytes(stream.taken).startswith(b"HTTP/1.1 403 "))
            self.assertIn(b"proxy-status: edge", bytes(stream.taken))

    def test_whereNobodyAnonymousIsTakenACredentialIsNeeded(self) -> None:
        _, port = self.start(anonymous=False)
        for request in (
            b"CONNECT db.hermes:2 HTTP/1.1\r\nHost: db.hermes:2\r\n",
            b"GET http://db.hermes/ HTTP/1.1\r\nHost: db.hermes\r\n",
        ):
            stream = self.connect(port, request + b"\r\n")
            self.assertTrue(bytes(stream.taken).startswith(b"HTTP/1.1 407 "))
            asked = len(self.flows.asked)
            self.connect(port, request + ALICE + b"\r\n")
            self.assertEqual((len(self.flows.asked), self.asked().identity), (asked + 1, Identity(user="alice")))
        stream = self.connect(port, b"\x05\x01\x00")
        self.assertEqual(bytes(stream.taken), b"\x05\xff")

    def test_aPROXYProtocolHeaderTellsTheSource(self) -> None:
        _, port = self.start(proxyProtocol=True)
        header = writeV2(ProxyHeader(("198.51.100.7", 77), ("198.51.100.1", 1)))
        self.connect(port, header + b"CONNECT db.hermes:2 HTTP/1.1\r\nHost: db.hermes:2\r\n\r\n")
        self.assertEqual(self.asked().source, ("198.51.100.7", 77))
        self.connect(port, header, b"\x05\x01\x00" + writeRequest(SocksRequest(COMMAND_CONNECT, "db.hermes", 1)))
        self.assertEqual(self.asked().source, ("198.51.100.7", 77))

    def test_drainingAsksEachConnectionToFinish(self) -> None:
        listener, port = self.start()
        idle = self.connect(port, b"GET http://db.hermes/ HTTP/1.1\r\nHost: db.hermes\r\n\r\n")
        self.flows.asked[0][1].errback(NoRoute("no"))
        self.connect(port, HTTP2_PREFACE)
        listener.drain()
        self.assertEqual(self.http2[0].drained, 1)
        self.assertIn("loseWriteConnection", idle.calls)

    def test_abortEndsWhatIsOpen(self) -> None:
        listener, port = self.start()
        streams = [self.connect(port), self.connect(port, b"\x05"), self.connect(port, HTTP2_PREFACE)]
        listener.abort()
        self.assertEqual([stream.calls for stream in streams], [["abortConnection"]] * 3)


class Origin(Resource):
    """
    A web server's root: tells what it was asked.
    """

    isLeaf = True

    def render(self, request: Request) -> bytes:
        body = request.content.read()  # type: ignore[union-attr]
        via = request.requestHeaders.getRawHeaders(b"via", [b"-"])[0].split(b" ")[0]
        return b"%s %s via %s: %s" % (request.method, request.uri, via, body)


class Loopback(TestCase):
    """
    A web server and a proxy on the loopback interface.
    """

    async def start(self, **options: Any) -> tuple[str, str]:
        """
        A web server and a proxy; their addresses.
        """
        port = await TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(Site(Origin()))
        self.addCleanup(port.stopListening)
        self.observer = FakeObserver()
        network = Network(reactor)
        flows = FlowHandler(
            Router([Route(Match(), allowSpecial=True)]),
            {},
            lambda allow: DirectDialer(network, allow),
            [self.observer],
            clock,
        )
        context = FakeContext(clock, flows, Users({"alice": UserSecret(password="secret")}))
        context.network = network
        made: Any = ProxyListenerType(tunnels, ServerConnection).listener(
            "apps", ProxyOptions("127.0.0.1:0", **options), context
        )
        await made.start()

        async def end() -> None:
            await made.stop()
            made.drain()
            flows.abortAll()
            made.abort()
            while made.connections or flows.openFlows():
                await deferLater(clock, 0, lambda: None)

        self.addCleanup(end)
        return f"http://127.0.0.1:{port.getHost().port}", f"127.0.0.1:{made.getHost().port}"

    def protocols(self) -> list[str]:
        return [record.flow.protocol for name, record in self.observer.events if name == "opened"]


class CurlTests(Loopback):
    """
    The real curl.
    """

    curl = which("curl")
    skip = None if curl else "curl is not installed"

    async def fetch(self, *arguments: str) -> tuple[str, int]:
        assert self.curl is not None
        # Not what the environment of the test says.
        options = ("-sS", "--max-time", "20", "--noproxy", "", *arguments)
        output, errors, status = await getProcessOutputAndValue(self.curl, options, env={}, reactor=reactor)
        return (output + errors).decode(), status

    async def test_absoluteForm(self) -> None:
        origin, proxy = await self.start()
        text, status = await self.fetch("-x", f"http://{proxy}", f"{origin}/a", f"{origin}/b")
        self.assertEqual((text, status), ("GET /a via 1.1: GET /b via 1.1: ", 0))
        # One flow for both: the connection to the origin was kept.
        self.assertEqual(self.protocols(), ["http"])

    async def test_anUpload(self) -> None:
        origin, proxy = await self.start()
        body = "x" * 100_000
        text, status = await self.fetch("-x", f"http://{proxy}", "--data-binary", body, f"{origin}/a")
        self.assertEqual((text, status), (f"POST /a via 1.1: {body}", 0))

    async def test_bodiesThatFillEveryBufferOnTheWay(self) -> None:
        origin, proxy = await self.start()
        path = self.mktemp()
        with open(path, "wb") as file:
            file.truncate(16 << 20)
        for arguments in (("-x", f"http://{proxy}"), ("-p", "-x", f"http://{proxy}"), ("-x", f"socks5h://{proxy}")):
            for framing in ((), ("-H", "Transfer-Encoding: chunked")):
                size, status = await self.fetch(
                    *(*arguments, *framing, "-T", path, "-o", f"{path}.back", "-w", "%{size_download}", f"{origin}/a")
                )
                self.assertEqual((int(size) >> 20, status), (16, 0))

    async def test_connect(self) -> None:
        origin, proxy = await self.start()
        text, status = await self.fetch("-p", "-x", f"http://{proxy}", f"{origin}/a")
        self.assertEqual((text, status), ("GET /a via -: ", 0))
        self.assertEqual(self.protocols(), ["tcp"])

    async def test_socks5(self) -> None:
        origin, proxy = await self.start()
        text, status = await self.fetch("--socks5-hostname", proxy, f"{origin}/a")
        self.assertEqual((text, status), ("GET /a via -: ", 0))
        self.assertEqual(self.protocols(), ["tcp"])

    async def test_users(self) -> None:
        origin, proxy = await self.start(anonymous=False)
        for arguments in (("-x", f"http://{proxy}"), ("-p", "-x", f"http://{proxy}"), ("-x", f"socks5h://{proxy}")):
            text, status = await self.fetch("-f", *arguments, f"{origin}/a")
            self.assertNotEqual(status, 0, text)
            text, status = await self.fetch("-f", *arguments, "--proxy-user", "alice:secret", f"{origin}/a")
            self.assertEqual(status, 0, text)
        self.assertEqual(self.observer.events[-1][1].flow.identity, Identity(user="alice"))


class Answering(DatagramProtocol):
    """
    A UDP server.
    """

    def datagramReceived(self, datagram: bytes, address: Any) -> None:
        self.transport.write(datagram.upper(), address)  # type: ignore[union-attr]


class Waiting(DatagramProtocol):
    """
    A UDP client that waits for so many datagrams.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self.datagrams: list[bytes] = []
        self.all: Deferred[list[bytes]] = Deferred()

    def datagramReceived(self, datagram: bytes, address: Any) -> None:
        self.datagrams.append(datagram)
        if len(self.datagrams) == self.count:
            self.all.callback(sorted(self.datagrams))


class Associating(Protocol):
    """
    A SOCKS5 client that wants an association.
    """

    def __init__(self) -> None:
        self.data = b""
        self.port: Deferred[int] = Deferred()
        self.lost: Deferred[None] = Deferred()

    def connectionMade(self) -> None:
        request = writeRequest(SocksRequest(COMMAND_UDP_ASSOCIATE, "0.0.0.0", 0))
        self.transport.write(b"\x05\x01\x00" + request)  # type: ignore[union-attr]

    def dataReceived(self, data: bytes) -> None:
        self.data += data
        reply, size = parseReply(self.data[2:])
        if reply is not None and size:
            assert reply.code == 0
            self.port.callback(reply.port)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.lost.callback(None)


class AssociationTests(Loopback):
    async def test_datagramsOfAnAssociationReachTwoServers(self) -> None:
        _, proxy = await self.start()
        servers = [clock.listenUDP(0, Answering(), interface="127.0.0.1") for _ in range(2)]
        client = Waiting(3)
        socket = clock.listenUDP(0, client, interface="127.0.0.1")
        for port in (*servers, socket):
            self.addCleanup(port.stopListening)
        host, _, port = proxy.partition(":")
        control: Any = await TCP4ClientEndpoint(reactor, host, int(port)).connect(Factory.forProtocol(Associating))
        relay = await control.port
        first, second = (datagramHeader("127.0.0.1", server.getHost().port) for server in servers)
        for datagram in (first + b"one", second + b"two", first + b""):
            socket.write(datagram, (host, relay))
        self.assertEqual(await client.all, sorted([first + b"ONE", second + b"TWO", first]))
        self.assertEqual(self.protocols(), ["udp", "udp"])
        control.transport.loseConnection()
        await control.lost
        while self.observer.names().count("closed") < 2:
            await deferLater(clock, 0, lambda: None)


class HTTP2Tests(Loopback):
    async def exchange(self, connection: ClientConnection, head: RequestHead, body: bytes = b"") -> tuple[int, Body]:
        exchange = connection.open(head, end=not body)
        if body:
            exchange.write(body)
            exchange.loseWriteConnection()
        response = await exchange.response()
        exchange.attach(read := Body())
        while not read.ended:
            await deferLater(clock, 0, lambda: None)
        return response.status, read

    async def test_requestsAndRefusalsShareAConnection(self) -> None:
        origin, proxy = await self.start()
        authority = origin.removeprefix("http://").encode()
        endpoint = Network(reactor).streamClient(proxy)
        client: Any = ClientConnection
        made: Any = await endpoint.connect(Factory.forProtocol(lambda: client(clock)))
        connection: ClientConnection = await made.ready
        head = RequestHead(b"GET", b"http", authority, b"/a")
        expecting = ((b"expect", b"100-continue"), (b"content-length", b"200000"))
        status, body = await self.exchange(connection, head)
        self.assertEqual((status, body.data), (200, b"GET /a via 2: "))
        upload = b"x" * 200_000
        status, body = await self.exchange(connection, evolve(head, method=b"POST", headers=expecting), upload)
        self.assertEqual((status, body.data), (200, b"POST /a via 2: " + upload))
        status, body = await self.exchange(connection, evolve(head, authority=b"127.0.0.1:1"), upload)
        self.assertEqual(status, 502)
        status, body = await self.exchange(connection, evolve(head, method=b"HEAD"))
        self.assertEqual((status, body.data), (200, b""))
        self.assertEqual(self.protocols(), ["http"])
        connection.abort()
