"""
The C{proxy} listener, in memory.
"""

from __future__ import annotations

from base64 import b64encode
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.protocol import Protocol
from twisted.plugin import IPlugin
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from hermes.errors import NoRoute
from hermes.fabric.proxy import ProxyListener, ProxyListenerType, ProxyOptions
from hermes.fabric.sniff import HTTP2_PREFACE
from hermes.interfaces import IListener, IListenerType
from hermes.test.fabric.fakenetwork import FakeContext, FakePort
from hermes.test.fabric.fakes import FakeFlows, FakeStream
from hermes.test.fabric.loopbackproxy import tunnels
from hermes.users import Users, UserSecret
from hermes.values import Flow, Identity, ResponseHead, Target
from hermes.wire.proxyprotocol import ProxyHeader, writeV2
from hermes.wire.socks import COMMAND_CONNECT, SocksRequest, writeRequest

BIND = "127.0.0.1:3128"
ALICE = b"Proxy-Authorization: Basic " + b64encode(b"alice:secret") + b"\r\n"
SOURCE = ("192.0.2.1", 4000)


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
        (exchange,) = self.context.requests.received
        self.assertEqual((exchange.request.authority, exchange.source), (b"db.hermes", SOURCE))
        self.connect(port, HTTP2_PREFACE)
        self.assertEqual([speaker.data for speaker in self.http2], [HTTP2_PREFACE])

    def test_connectBecomesAStream(self) -> None:
        _, port = self.start()
        stream = self.connect(port, b"CONNECT db.hermes:2 HTTP/1.1\r\nHost: db.hermes:2\r\n\r\n")
        self.flows.asked[0][1].callback(near := Speaker())
        self.assertTrue(bytes(stream.taken).startswith(b"HTTP/1.1 200 "))
        stream.deliver(b"hello")
        self.assertEqual(near.data, b"hello")

    def test_requestsThatAreNoTunnelsAreHandedOn(self) -> None:
        _, port = self.start(anonymous=False, assist=("who", "limit"), forwarded="obfuscated")
        self.assertEqual(self.context.requests.asked, [("apps", ("who", "limit"), False, False, "obfuscated")])
        stream = self.connect(port, b"GET http://db.hermes/ HTTP/1.1\r\nHost: db.hermes\r\n\r\n")
        self.context.requests.received[0].respond(ResponseHead(204), end=True)
        self.assertTrue(bytes(stream.taken).startswith(b"HTTP/1.1 204 "))

    def test_refusalsAreTold(self) -> None:
        _, port = self.start()
        stream = self.connect(port, b"CONNECT db.hermes:2 HTTP/1.1\r\nHost: db.hermes:2\r\n\r\n")
        self.flows.asked[-1][1].errback(NoRoute("no route"))
        self.assertTrue(bytes(stream.taken).startswith(b"HTTP/1.1 403 "))
        self.assertIn(b"proxy-status: edge", bytes(stream.taken))

    def test_whereNobodyAnonymousIsTakenACredentialIsNeeded(self) -> None:
        _, port = self.start(anonymous=False)
        request = b"CONNECT db.hermes:2 HTTP/1.1\r\nHost: db.hermes:2\r\n"
        stream = self.connect(port, request + b"\r\n")
        self.assertTrue(bytes(stream.taken).startswith(b"HTTP/1.1 407 "))
        self.connect(port, request + ALICE + b"\r\n")
        self.assertEqual((len(self.flows.asked), self.asked().identity), (1, Identity(user="alice")))
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
        self.context.requests.received[0].respond(ResponseHead(204), end=True)
        self.connect(port, HTTP2_PREFACE)
        listener.drain()
        self.assertEqual(self.http2[0].drained, 1)
        self.assertIn("loseWriteConnection", idle.calls)

    def test_abortEndsWhatIsOpen(self) -> None:
        listener, port = self.start()
        streams = [self.connect(port), self.connect(port, b"\x05"), self.connect(port, HTTP2_PREFACE)]
        listener.abort()
        self.assertEqual([stream.calls for stream in streams], [["abortConnection"]] * 3)
