"""
The C{http} listener, in memory.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.plugin import IPlugin
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from hermes.choosing import PREFACE
from hermes.config.types import ExistingFile, Seconds
from hermes.errors import ListenError
from hermes.http.listener import HTTPListener
from hermes.httplistener import CertificateOptions, HTTPLimits, HTTPListenerType, HTTPOptions
from hermes.interfaces import IListener, IListenerType
from hermes.net.authority import OverlayAuthority
from hermes.net.certificates import CredentialsError
from hermes.net.servernames import NamedCredentials
from hermes.test.fabric.fakenetwork import FakeContext, FakePort
from hermes.test.fabric.fakes import FakeStream
from hermes.test.http2.raw import GET, SETTINGS, frame, goAway, headers, ping
from hermes.values import ResponseHead
from hermes.wire.proxyprotocol import ProxyHeader, writeV2

BIND = "127.0.0.1:8080"
SOURCE = ("192.0.2.1", 4000)
REQUEST = b"GET /a HTTP/1.1\r\nHost: www.example\r\n\r\n"


class Listening(SynchronousTestCase):
    def setUp(self) -> None:
        self.context = FakeContext()

    def make(self, **options: Any) -> HTTPListener:
        made = HTTPListenerType().listener("web", HTTPOptions(BIND, **options), self.context)
        assert isinstance(made, HTTPListener)
        return made

    def start(self, **options: Any) -> tuple[HTTPListener, FakePort]:
        listener = self.make(**options)
        self.assertIsNone(self.successResultOf(listener.start()))
        return listener, self.context.network.servers[BIND]

    def connect(self, port: FakePort, *data: bytes, negotiated: bytes | None = None) -> FakeStream:
        stream: Any = FakeStream(self.context.reactor)
        stream.peer = IPv4Address("TCP", *SOURCE)
        if negotiated is not None:
            stream.negotiatedProtocol = negotiated
        stream.attach(port.factory.buildProtocol(stream.peer))
        for piece in data:
            stream.deliver(piece)
        return stream  # type: ignore[no-any-return]

    def received(self) -> Any:
        return self.context.requests.received[-1]

    def test_itIsAListenerOfItsType(self) -> None:
        listenerType = HTTPListenerType()
        verifyObject(IListenerType, listenerType)
        verifyObject(IPlugin, listenerType)
        verifyObject(IListener, self.start()[0])
        self.assertEqual(listenerType.type, "http")

    def test_requestsAreForThisNodeAsAnOrigin(self) -> None:
        self.start()
        self.assertEqual(self.context.requests.asked, [("web", (), True, True, "address")])
        self.start(assist=("who",), anonymous=False, forwarded="none")
        self.assertEqual(self.context.requests.asked[1:], [("web", ("who",), False, True, "none")])

    def test_onePortTakesBothVersions(self) -> None:
        _, port = self.start()
        stream = self.connect(port, REQUEST)
        exchange = self.received()
        self.assertEqual((exchange.version, exchange.source, exchange.request.scheme), ("1.1", SOURCE, b"http"))
        exchange.respond(ResponseHead(204), end=True)
        self.assertEqual(bytes(stream.taken), b"HTTP/1.1 204 No Content\r\n\r\n")
        self.connect(port, PREFACE, frame(SETTINGS, 0, 0) + headers(1, GET, end=True))
        self.assertEqual((self.received().version, self.received().request.scheme), ("2", b"http"))

    def test_withTLSALPNDecides(self) -> None:
        self.context.credentials = object()
        _, port = self.start(tls=True)
        for negotiated, data, version in (
            (b"h2", PREFACE + frame(SETTINGS, 0, 0) + headers(1, GET, end=True), "2"),
            (b"http/1.1", REQUEST, "1.1"),
            (b"", REQUEST, "1.1"),
        ):
            self.connect(port, data, negotiated=negotiated)
            self.assertEqual(self.received().version, version)
        self.assertEqual(self.received().request.scheme, b"https")

    def test_aPROXYProtocolHeaderTellsTheSource(self) -> None:
        _, port = self.start(proxyProtocol=True)
        self.connect(port, writeV2(ProxyHeader(("198.51.100.7", 77), ("198.51.100.1", 1))) + REQUEST)
        self.assertEqual(self.received().source, ("198.51.100.7", 77))

    def test_aConnectionIsBounded(self) -> None:
        limits = HTTPLimits(head=2000, fields=4, headTime=Seconds(3), idleTime=Seconds(5))
        _, port = self.start(limits=limits)
        for fields in (b"X: " + b"x" * 2000 + b"\r\n", b"X: y\r\n" * 5):
            stream = self.connect(port, b"GET / HTTP/1.1\r\nHost: a\r\n" + fields + b"\r\n")
            self.assertTrue(bytes(stream.taken).startswith(b"HTTP/1.1 431 "))
        slow = self.connect(port, b"GET / HTTP/1.1\r\n")
        self.context.reactor.advance(3)
        self.assertTrue(bytes(slow.taken).startswith(b"HTTP/1.1 408 "))
        silent = self.connect(port, PREFACE[:3])
        self.context.reactor.advance(3)
        self.assertIn("abortConnection", silent.calls)
        idle = self.connect(port, REQUEST)
        self.received().respond(ResponseHead(204), end=True)
        self.context.reactor.advance(0)
        self.assertEqual(idle.calls, [])
        self.context.reactor.advance(5)
        self.assertIn("loseWriteConnection", idle.calls)

    def test_aConnectionOfHTTP2IsBoundedInTimeToo(self) -> None:
        _, port = self.start(limits=HTTPLimits(idleTime=Seconds(5)))
        stream = self.connect(port, PREFACE, frame(SETTINGS, 0, 0) + headers(1, GET, end=True))
        self.context.reactor.advance(50)
        self.assertNotIn(goAway(2**31 - 1), bytes(stream.taken))
        self.received().respond(ResponseHead(204), end=True)
        self.context.reactor.advance(4)
        self.assertNotIn(goAway(2**31 - 1), bytes(stream.taken))
        self.context.reactor.advance(1)
        self.assertIn(goAway(2**31 - 1), bytes(stream.taken))
        stream.deliver(ping(b"hermesdr", ack=True))
        self.assertEqual(stream.calls, ["loseConnection"])

    def test_drainingAsksEachConnectionToFinish(self) -> None:
        listener, port = self.start()
        stream = self.connect(port, REQUEST)
        listener.drain()
        self.received().respond(ResponseHead(204), end=True)
        self.assertIn(b"connection: close", bytes(stream.taken))

    def test_abortEndsWhatIsOpen(self) -> None:
        listener, port = self.start()
        streams = [self.connect(port), self.connect(port, REQUEST)]
        listener.abort()
        self.assertEqual([stream.calls for stream in streams], [["abortConnection"]] * 2)

    # TLS

    def test_withoutACertificateThereIsNoTLS(self) -> None:
        self.failureResultOf(self.make(tls=True).start(), ListenError)

    def test_itsOwnCertificatesAreTakenInPlaceOfTheNodes(self) -> None:
        self.context.credentials = object()
        files = [ExistingFile(path) for path in OverlayAuthority.create(self.mktemp()).issue("www", ["www.example"])]
        self.assertIs(self.make(tls=True).credentials(), self.context.credentials)
        listener = self.make(tls=True, certificates=(CertificateOptions(*files),))
        credentials = listener.credentials()
        assert isinstance(credentials, NamedCredentials)
        before = credentials.context()
        listener.checkFiles()
        self.assertIs(credentials.context(), before)
        listener.readFiles()
        self.assertIsNot(credentials.context(), before)
        Path(files[1]).write_text("no key")
        self.assertRaises(CredentialsError, listener.checkFiles)
        self.assertRaises(CredentialsError, self.make, tls=True, certificates=(CertificateOptions(*files),))

    def test_certificatesAreForTLS(self) -> None:
        self.assertRaises(ValueError, HTTPOptions, BIND, certificates=(CertificateOptions(*map(ExistingFile, "ck")),))
