from __future__ import annotations

from random import Random
from typing import Any

from attrs import evolve
from twisted.internet.address import UNIXAddress
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IHalfCloseableProtocol, IProtocol
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from hermes.errors import HopUnavailable, NameNotFound, NotImplementedHere, TargetRefused, TargetTimeout
from hermes.fabric.attended import AttendedProtocol, AttendedReceiver
from hermes.fabric.balance import Balancer
from hermes.fabric.datagrams import DatagramSplice
from hermes.fabric.direct import DirectDialer, isOverlayName
from hermes.fabric.endpoints import EndpointsDialer, Group
from hermes.fabric.paths import IEndpoints
from hermes.fabric.reach import Reach
from hermes.fabric.record import FlowRecord
from hermes.fabric.splice import StreamSplice
from hermes.interfaces import IBorrowingProtocol, IDatagramReceiver, IDialer
from hermes.test.fabric.fakedialer import FakeDialer
from hermes.test.fabric.fakenetwork import FakeNetwork
from hermes.test.fabric.fakes import FakeStream
from hermes.values import Flow, Identity, Target
from hermes.wire.proxyprotocol import PP2_TYPE_AUTHORITY, parse

FLOW = Flow("tcp", Target("192.0.2.9", 80), ("192.0.2.1", 4000), Identity(user="alice"), "apps")
NAMED = evolve(FLOW, target=Target("db.hermes", 3306))


def far() -> Any:
    return StreamSplice(FlowRecord(FLOW, 0.0), lambda splice: None).far


def farDatagrams() -> Any:
    return DatagramSplice(FlowRecord(FLOW, 0.0), lambda splice: None).far


class Direct(SynchronousTestCase):
    def setUp(self) -> None:
        self.network = FakeNetwork(Clock())

    def test_targetsAreConnectedAsTheyWereAskedFor(self) -> None:
        for allow in (False, True):
            dialer = DirectDialer(self.network, allow)
            verifyObject(IDialer, dialer)
            protocol, receiver = far(), farDatagrams()
            self.assertIs(protocol, self.successResultOf(dialer.connectStream(FLOW, protocol)))
            self.assertIs(receiver, self.successResultOf(dialer.connectDatagrams(FLOW, receiver)))
            self.assertIs(self.network.channels[-1][1], receiver.channel)
            self.assertEqual([allow, allow], self.network.special[-2:])
        self.assertEqual(["192.0.2.9:80"] * 4, self.network.tried)

    def test_aNameOfTheOverlayNeverGoesToDNS(self) -> None:
        dialer = DirectDialer(self.network, True)
        for host in ("db.hermes", "DB.HERMES.", "hermes"):
            flow = evolve(FLOW, target=Target(host, 1))
            self.failureResultOf(dialer.connectStream(flow, far()), NameNotFound)
            self.failureResultOf(dialer.connectDatagrams(flow, farDatagrams()), NameNotFound)
        self.assertEqual([], self.network.tried)
        self.assertFalse(isOverlayName("nothermes"))


class InOrder(Random):
    """
    Nothing is left to chance: what could be shuffled stays as it is.
    """

    def randrange(self, *arguments: Any) -> int:
        return 0

    def shuffle(self, x: Any) -> None:
        pass


class EndpointsCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.network = FakeNetwork(self.clock)

    def dialer(self, *addresses: str, proxyProtocol: Any = None) -> EndpointsDialer:
        balancer = Balancer(addresses, "round-robin", self.clock, InOrder())
        return EndpointsDialer(self.network, Group(balancer), Reach(self.network, proxyProtocol=proxyProtocol))

    def connect(self, dialer: IDialer, flow: Flow = NAMED) -> FakeStream:
        protocol = far()
        self.assertIs(protocol, self.successResultOf(dialer.connectStream(flow, protocol)))
        return self.network.streams[-1][1]


class Endpoints(EndpointsCase):
    def test_aFlowGoesToAnEndpointWhateverItsTarget(self) -> None:
        dialer = self.dialer("10.0.0.1:1", "unix:/run/db")
        verifyObject(IDialer, dialer)
        verifyObject(IEndpoints, dialer)
        self.connect(dialer)
        self.connect(dialer)
        self.assertEqual(["10.0.0.1:1", "unix:/run/db"], self.network.tried)

    def test_theNextEndpointIsTriedWhereOneCanNotBeReached(self) -> None:
        dialer = self.dialer("10.0.0.1:1", "10.0.0.2:1")
        self.network.refusing["10.0.0.1:1"] = TargetRefused("no")
        for _ in range(2):
            self.connect(dialer)
        self.assertEqual(["10.0.0.1:1", "10.0.0.2:1", "10.0.0.2:1"], self.network.tried)
        self.assertEqual([0, 2], [endpoint.active for endpoint in dialer.group.balancer.endpoints])

    def test_theLastErrorIsToldWhereNoneCanBeReached(self) -> None:
        dialer = self.dialer("10.0.0.1:1", "10.0.0.2:1")
        self.network.refusing |= {"10.0.0.1:1": TargetRefused("no"), "10.0.0.2:1": TargetTimeout("slow")}
        self.failureResultOf(dialer.connectStream(NAMED, far()), TargetTimeout)
        self.assertEqual([0, 0], [endpoint.active for endpoint in dialer.group.balancer.endpoints])

    def test_flowsAreCountedOnTheirEndpointUntilTheyEnd(self) -> None:
        dialer = self.dialer("10.0.0.1:1", "10.0.0.2:1")
        first = self.connect(dialer)
        self.connect(dialer)
        first.fail(ConnectionDone())
        self.connect(dialer)
        self.assertEqual(["10.0.0.1:1", "10.0.0.2:1", "10.0.0.1:1"], self.network.tried)

    def test_datagramsGoToAnEndpointToo(self) -> None:
        dialer = self.dialer("unix:/x", "10.0.0.1:53", "10.0.0.2:53")
        self.network.refusing["10.0.0.1:53"] = TargetRefused("no")
        receiver = farDatagrams()
        self.assertIs(receiver, self.successResultOf(dialer.connectDatagrams(NAMED, receiver)))
        self.assertEqual([True, True], self.network.special)
        [(address, channel)] = self.network.channels
        self.assertEqual("10.0.0.2:53", address)
        self.assertEqual(1, dialer.group.balancer.endpoints[2].active)
        channel.lose(ConnectionDone())
        self.assertEqual(0, dialer.group.balancer.endpoints[2].active)

    def test_unixSocketsTakeNoDatagrams(self) -> None:
        self.failureResultOf(self.dialer("unix:/x").connectDatagrams(NAMED, farDatagrams()), NotImplementedHere)

    def test_aDialThatIsGivenUpIsCountedNoMore(self) -> None:
        carrier = FakeDialer(self.clock, hold=True)
        dialer = self.dialer("10.0.0.1:1")
        waiting: Deferred[Any] = dialer.through(carrier).connectStream(NAMED, far())
        self.assertEqual(1, dialer.group.balancer.endpoints[0].active)
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        self.assertEqual((0, 1), (dialer.group.balancer.endpoints[0].active, carrier.cancelled))


class Through(EndpointsCase):
    def setUp(self) -> None:
        super().setUp()
        self.carrier = FakeDialer(self.clock)

    def test_endpointsAreTargetsOfTheOtherDialer(self) -> None:
        dialer = self.dialer("unix:/x", "10.0.0.1:1", "10.0.0.2:1").through(self.carrier)
        verifyObject(IDialer, dialer)
        self.carrier.failures["10.0.0.1:1"] = TargetRefused("no")
        self.successResultOf(dialer.connectStream(NAMED, far()))
        self.successResultOf(dialer.connectDatagrams(NAMED, farDatagrams()))
        self.assertEqual(["10.0.0.1:1", "10.0.0.2:1", "10.0.0.2:1"], [str(flow.target) for flow in self.carrier.flows])
        self.assertEqual("alice", self.carrier.flows[0].identity.user)

    def test_aHopThatIsDownIsNotAskedForEveryEndpoint(self) -> None:
        upstream = self.dialer("10.0.0.1:1", "10.0.0.2:1")
        self.carrier.failures[""] = HopUnavailable("down")
        self.failureResultOf(upstream.through(self.carrier).connectStream(NAMED, far()), HopUnavailable)
        self.assertEqual(1, len(self.carrier.flows))
        self.assertEqual([0, 0], [endpoint.failures for endpoint in upstream.group.balancer.endpoints])

    def test_unixSocketsAreNotBehindAHop(self) -> None:
        dialer = self.dialer("unix:/x").through(self.carrier)
        self.failureResultOf(dialer.connectStream(NAMED, far()), NotImplementedHere)

    def test_theHeaderTellsTheEndpointAndNotTheHop(self) -> None:
        dialer = self.dialer("10.0.0.1:1", proxyProtocol="v2").through(self.carrier)
        self.successResultOf(dialer.connectStream(NAMED, far()))
        header, _ = parse(bytes(self.carrier.streams[0].taken))
        assert header is not None
        self.assertEqual(("10.0.0.1", 1), header.destination)


class Header(EndpointsCase):
    def header(self, flow: Flow, version: str, address: str = "10.0.0.1:1") -> Any:
        stream = self.connect(self.dialer(address, proxyProtocol=version), flow)
        header, consumed = parse(bytes(stream.taken))
        self.assertEqual(len(stream.taken), consumed)
        return header

    def test_version1TellsTheAddresses(self) -> None:
        header = self.header(FLOW, "v1")
        self.assertEqual((FLOW.source, ("192.0.2.9", 80)), (header.source, header.destination))

    def test_version2TellsWhoTheCallerIsToo(self) -> None:
        header = self.header(evolve(NAMED, identity=Identity("edge", "alice")), "v2")
        self.assertEqual("node=edge;user=alice", header.identity)
        self.assertEqual(b"db.hermes", header.tlv(PP2_TYPE_AUTHORITY))
        self.assertEqual(("127.0.0.1", 50000), header.destination)
        self.assertIsNone(self.header(evolve(FLOW, identity=Identity()), "v2").identity)

    def test_aClientWithoutAnAddressIsUnknown(self) -> None:
        for version in ("v1", "v2"):
            self.assertIsNone(self.header(evolve(FLOW, source=None), version).source)

    def test_theSourceIsToldEvenWhereTheDestinationIsAUnixSocket(self) -> None:
        self.patch(FakeStream, "getPeer", lambda stream: UNIXAddress(b"/x"))
        header = self.header(NAMED, "v2", "unix:/x")
        self.assertEqual((NAMED.source, ("0.0.0.0", 3306)), (header.source, header.destination))


class Attending(SynchronousTestCase):
    def test_itProvidesWhatTheAttendedProvidesAndIsNotInTheHotPath(self) -> None:
        protocol = far()
        attended: Any = AttendedProtocol(protocol, lambda: None)
        for interface in (IProtocol, IBorrowingProtocol, IHalfCloseableProtocol):
            verifyObject(interface, attended)
        self.assertEqual(protocol.dataReceived, attended.dataReceived)
        verifyObject(IDatagramReceiver, AttendedReceiver(farDatagrams(), lambda: None))
