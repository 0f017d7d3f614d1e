"""
Which version of HTTP a connection speaks, on either side.
"""

from __future__ import annotations

from typing import Any

from attrs import define, field
from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IStreamClientEndpoint
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import alsoProvides, implementer

from hermes.choosing import PREFACE, ServerChooser
from hermes.errors import HopUnavailable, ShuttingDown
from hermes.interfaces import IAttachable, IClientExchange
from hermes.negotiated import NegotiatedClient
from hermes.test.tunnel.fakes import Stream
from hermes.tunnel.request import connectHead
from hermes.values import RequestHead, Target


class Transport(StringTransport):
    """
    A transport that can be given away, and with TLS if it says what was negotiated.
    """

    protocol: Any = None
    aborted = False

    def __init__(self, negotiated: bytes | None = None, attachable: bool = True) -> None:
        super().__init__()
        if negotiated is not None:
            self.negotiatedProtocol = negotiated or None
        if attachable:
            alsoProvides(self, IAttachable)

    def attach(self, protocol: Any) -> None:
        self.protocol = protocol
        protocol.makeConnection(self)

    def abortConnection(self) -> None:
        self.aborted = True


class ServerChooserTests(SynchronousTestCase):
    """
    L{ServerChooser}.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.http2, self.http1 = Stream(), Stream()
        self.chooser = ServerChooser(lambda: self.http2, lambda: self.http1, self.clock)

    def test_tlsDecidesByALPN(self) -> None:
        for negotiated, chosen in ((b"h2", "http2"), (b"http/1.1", "http1"), (b"", "http1")):
            self.setUp()
            transport = Transport(negotiated)
            self.chooser.makeConnection(transport)
            self.assertIs(transport.protocol, getattr(self, chosen))
            self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_withoutTLSThePrefaceDecides(self) -> None:
        transport = Transport()
        self.chooser.makeConnection(transport)
        for byte in PREFACE + b"more":
            (transport.protocol or self.chooser).dataReceived(bytes([byte]))
        self.assertEqual(self.http2.received, PREFACE + b"more")

    def test_anythingElseIsHTTP1(self) -> None:
        for request in (b"GET / HTTP/1.1\r\n", b"PRI / HTTP/1.1\r\n", b"P", b"X"):
            self.setUp()
            transport = Transport()
            self.chooser.makeConnection(transport)
            self.chooser.dataReceived(request)
            if request == b"P":
                self.assertIsNone(transport.protocol)
            else:
                self.assertEqual(self.http1.received, request)

    def test_aTransportThatCannotBeGivenAwayIsRelayed(self) -> None:
        self.chooser.makeConnection(Transport(attachable=False))
        self.chooser.dataReceived(PREFACE)
        self.chooser.dataReceived(b"more")
        self.chooser.readConnectionLost()
        self.chooser.writeConnectionLost()
        self.chooser.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(self.http2.received, PREFACE + b"more")
        self.assertTrue(self.http2.readEnded and self.http2.writeEnded and self.http2.lost)

    def test_whoSaysNothingIsDisconnected(self) -> None:
        transport = Transport()
        self.chooser.makeConnection(transport)
        self.chooser.dataReceived(PREFACE[:10])
        self.clock.advance(10)
        self.assertTrue(transport.aborted)

    def test_whoLeavesLeavesNoTimer(self) -> None:
        for leave in (self.chooser.readConnectionLost, self.chooser.connectionLost):
            self.chooser.makeConnection(Transport())
            leave()
            self.assertEqual(self.clock.getDelayedCalls(), [])


@implementer(IStreamClientEndpoint)
@define(eq=False)
class Endpoint:
    """
    Connections that the test makes.
    """

    waiting: list[tuple[IProtocolFactory, Deferred[IProtocol]]] = field(factory=list)
    failing: bool = False

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        if self.failing:
            return fail(HopUnavailable("no"))
        deferred: Deferred[IProtocol] = Deferred()
        self.waiting.append((protocolFactory, deferred))
        return deferred

    def up(self, negotiated: bytes) -> Transport:
        factory, deferred = self.waiting.pop(0)
        transport = Transport(negotiated)
        protocol: Any = factory.buildProtocol(None)  # type: ignore[arg-type]
        transport.attach(protocol)
        deferred.callback(protocol)
        return transport


@define(eq=False)
class Client:
    """
    A version's client: it connects once, and has every exchange on that connection.
    """

    endpoint: Any
    connections: list[Any] = field(factory=list)
    heads: list[RequestHead] = field(factory=list)
    closed: bool = False
    aborted: bool = False
    pending: int = 3

    @property
    def size(self) -> int:
        return len(self.connections)

    def warm(self, count: int) -> None:
        while len(self.connections) < count:
            self.connect()

    def exchange(self, head: RequestHead, end: bool = False) -> Deferred[IClientExchange]:
        self.heads.append(head)
        if not self.connections:
            self.connect()
        return succeed(None)  # type: ignore[arg-type]

    def connect(self) -> None:
        connected: Deferred[Any] = self.endpoint.connect(Factory())
        connected.addCallback(self.connections.append)

    def close(self) -> Deferred[None]:
        self.closed = True
        return succeed(None)

    def abort(self) -> None:
        self.aborted = True


class Factory:
    """
    Makes streams.
    """

    def buildProtocol(self, addr: object) -> Stream:
        return Stream()


class NegotiatedClientTests(SynchronousTestCase):
    """
    L{NegotiatedClient}.
    """

    head = connectHead(Target("db.hermes", 1))

    def setUp(self) -> None:
        self.endpoint = Endpoint()
        self.clients: list[tuple[str, Client]] = []
        self.client = NegotiatedClient(self.endpoint, lambda e: self.make("2", e), lambda e: self.make("1.1", e))

    def make(self, version: str, endpoint: Any) -> Client:
        self.clients.append((version, Client(endpoint)))
        return self.clients[-1][1]

    def test_theVersionIsWhatWasNegotiatedAndTheConnectionIsKept(self) -> None:
        for negotiated, version in ((b"h2", "2"), (b"http/1.1", "1.1"), (b"", "1.1")):
            self.setUp()
            opening = [self.client.exchange(self.head) for _ in range(3)]
            transport = self.endpoint.up(negotiated)
            for each in opening:
                self.successResultOf(each)
            self.successResultOf(self.client.exchange(self.head))
            ((chosen, client),) = self.clients
            self.assertEqual((chosen, len(client.heads), self.endpoint.waiting), (version, 4, []))
            self.assertIs(transport.protocol, client.connections[0])
            self.assertIs(self.client.connections, client.connections)

    def test_furtherConnectionsAreOfTheSameVersion(self) -> None:
        self.client.exchange(self.head)
        self.endpoint.up(b"h2")
        ((_, client),) = self.clients
        client.connect()
        transport = self.endpoint.up(b"h2")
        self.assertIs(transport.protocol, client.connections[1])
        self.assertFalse(transport.aborted)

    def test_aPeerThatChangesItsVersionIsAskedAgain(self) -> None:
        self.client.exchange(self.head)
        self.endpoint.up(b"h2")
        ((_, client),) = self.clients
        client.connect()
        self.assertTrue(self.endpoint.up(b"http/1.1").aborted)
        self.assertTrue(client.closed)
        self.client.exchange(self.head)
        self.endpoint.up(b"http/1.1")
        self.assertEqual(self.clients[1][0], "1.1")

    def test_whereNoConnectionCanBeMadeAllWhoWaitAreTold(self) -> None:
        opening = [self.client.exchange(self.head) for _ in range(2)]
        self.endpoint.waiting.pop()[1].errback(OSError("no route"))
        for each in opening:
            self.failureResultOf(each, HopUnavailable)
        self.endpoint.failing = True
        self.failureResultOf(self.client.exchange(self.head), HopUnavailable)

    def test_whoGivesUpIsNotServed(self) -> None:
        first, second = self.client.exchange(self.head), self.client.exchange(self.head)
        first.cancel()
        self.failureResultOf(first, CancelledError)
        self.endpoint.up(b"h2")
        self.successResultOf(second)
        self.assertEqual(len(self.clients[0][1].heads), 1)

    def test_theFirstConnectionInAdvanceTellsTheVersionAndIsKept(self) -> None:
        self.client.warm(1)
        self.client.warm(1)
        transport = self.endpoint.up(b"h2")
        ((_, client),) = self.clients
        self.assertIs(transport.protocol, client.connections[0])
        self.assertEqual((1, 3, []), (self.client.size, self.client.pending, self.endpoint.waiting))
        self.client.warm(1)
        self.assertEqual([], self.endpoint.waiting)

    def test_whatFailsInAdvanceHarmsNobody(self) -> None:
        self.client.warm(1)
        self.endpoint.waiting.pop()[1].errback(OSError("no route"))
        opening = self.client.exchange(self.head)
        self.assertEqual((0, 1), (self.client.size, self.client.pending))
        self.endpoint.up(b"h2")
        self.successResultOf(opening)

    def test_abortEndsWhatIsOpenAndOpensNothingMore(self) -> None:
        self.client.exchange(self.head)
        self.endpoint.up(b"h2")
        self.client.abort()
        ((_, client),) = self.clients
        self.assertTrue(client.closed and client.aborted)
        self.setUp()
        opening = self.client.exchange(self.head)
        self.client.abort()
        self.failureResultOf(opening, ShuttingDown)

    def test_afterCloseNothingIsOpened(self) -> None:
        opening = self.client.exchange(self.head)
        self.successResultOf(self.client.close())
        self.failureResultOf(opening, ShuttingDown)
        self.failureResultOf(self.client.exchange(self.head), ShuttingDown)
