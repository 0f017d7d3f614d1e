"""
The PROXY protocol header tells whom a connection comes from.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.interfaces import IAddress, IProtocol
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from hermes.interfaces import IBorrowingProtocol
from hermes.proxied import MAX_HEADER, ProxyProtocolFactory, sourceOf
from hermes.test.fabric.fakes import FakeStream
from hermes.wire.proxyprotocol import ProxyHeader, writeV1, writeV2

HEADER = ProxyHeader(("192.0.2.7", 1234), ("198.51.100.1", 443))


class Inner(Protocol):
    """
    Notes what it is given.
    """

    def __init__(self) -> None:
        self.received: list[Any] = []
        self.source: object = None
        self.lost = False

    def connectionMade(self) -> None:
        self.source = sourceOf(self.transport)

    def dataReceived(self, data: bytes) -> None:
        self.received.append(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.lost = True


@implementer(IBorrowingProtocol)
class Borrower(Inner):
    """
    Takes views.
    """


class InnerFactory(Factory):
    """
    Makes one protocol.
    """

    noisy = False

    def __init__(self, protocol: Inner | None) -> None:
        self.made = protocol
        self.address: IAddress | None = None
        self.calls: list[str] = []

    def buildProtocol(self, addr: IAddress | None) -> Protocol | None:
        self.address = addr
        return self.made

    def doStart(self) -> None:
        self.calls.append("start")

    def doStop(self) -> None:
        self.calls.append("stop")


class ProxiedTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.transport = FakeStream(self.clock)

    def connect(self, inner: Inner | None) -> InnerFactory:
        factory = InnerFactory(inner)
        protocol: IProtocol = ProxyProtocolFactory(factory, self.clock, 5.0).buildProtocol(self.transport.getPeer())
        self.transport.attach(protocol)
        return factory

    def test_theInnerProtocolSeesTheClientAndItsBytes(self) -> None:
        for header in (writeV1(HEADER), writeV2(HEADER)):
            with self.subTest(header):
                self.setUp()
                factory = self.connect(inner := Inner())
                self.transport.deliver(header + b"hello")
                self.transport.deliver(b"more")
                self.assertEqual(inner.received, [b"hello", b"more"])
                self.assertEqual(inner.source, ("192.0.2.7", 1234))
                self.assertEqual(factory.address, IPv4Address("TCP", "192.0.2.7", 1234))
                self.clock.advance(10)
                self.assertEqual(self.transport.calls, [])

    def test_aBorrowerGetsAView(self) -> None:
        self.connect(inner := Borrower())
        self.transport.deliver(writeV1(HEADER) + b"hello")
        self.assertIsInstance(inner.received[0], memoryview)

    def test_theHeaderMayComeByteByByte(self) -> None:
        self.connect(inner := Inner())
        for byte in writeV2(ProxyHeader(("2001:db8::7", 1), ("2001:db8::1", 2))):
            self.assertIsNone(inner.source)
            self.transport.deliver(bytes([byte]))
        self.assertEqual((inner.source, inner.received), (("2001:db8::7", 1), []))

    def test_aHeaderWithoutAnAddressLeavesTheConnections(self) -> None:
        for header in (b"PROXY UNKNOWN\r\n", writeV2(ProxyHeader(command="local"))):
            with self.subTest(header):
                self.setUp()
                self.connect(inner := Inner())
                self.transport.deliver(header)
                self.assertEqual(inner.source, ("127.0.0.1", 50000))

    def test_whatIsNoHeaderIsAborted(self) -> None:
        self.connect(inner := Inner())
        self.transport.deliver(b"GET / HTTP/1.1\r\n\r\n")
        self.assertEqual(self.transport.calls, ["abortConnection"])
        self.assertIsNone(inner.source)
        self.clock.advance(10)

    def test_aHeaderTooLongIsAborted(self) -> None:
        self.connect(Inner())
        self.transport.deliver(
            writeV2(ProxyHeader(HEADER.source, HEADER.destination, tlvs=((0xE0, bytes(MAX_HEADER)),)))
        )
        self.assertEqual(self.transport.calls, ["abortConnection"])

    def test_aSlowHeaderIsAborted(self) -> None:
        self.connect(Inner())
        self.transport.deliver(b"PROXY ")
        self.clock.advance(4.9)
        self.assertEqual(self.transport.calls, [])
        self.clock.advance(0.2)
        self.assertEqual(self.transport.calls, ["abortConnection"])

    def test_aConnectionLostBeforeItsHeaderIsForgotten(self) -> None:
        self.connect(inner := Inner())
        self.transport.fail(ConnectionError())
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertFalse(inner.lost)

    def test_aFactoryThatWantsNoneEndsTheConnection(self) -> None:
        self.connect(None)
        self.transport.deliver(writeV1(HEADER))
        self.assertEqual(self.transport.calls, ["abortConnection"])

    def test_theInnerFactoryIsStartedAndStopped(self) -> None:
        factory = InnerFactory(None)
        wrapper = ProxyProtocolFactory(factory, self.clock)
        wrapper.doStart()
        wrapper.doStop()
        self.assertEqual(factory.calls, ["start", "stop"])

    def test_theSourceIsAnAddressOrNone(self) -> None:
        for peer, source in (
            (IPv6Address("TCP", "::ffff:192.0.2.1", 5), ("192.0.2.1", 5)),
            (IPv6Address("TCP", "2001:db8::1", 5), ("2001:db8::1", 5)),
            (UNIXAddress(None), None),
        ):
            self.transport.peer = peer
            self.assertEqual(sourceOf(self.transport), source)
