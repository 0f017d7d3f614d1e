from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionLost
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from hermes.errors import ListenError, NoRoute
from hermes.fabric.datagrams import DatagramSplice
from hermes.fabric.flowtable import MAX_WAITING_BYTES
from hermes.fabric.record import FlowRecord
from hermes.fabric.udp import SourceChannel, UDPListener, UDPListenerType, UDPOptions
from hermes.interfaces import IDatagramChannel, IDatagramSocketReceiver, IListener, IListenerType
from hermes.test.fabric.fakenetwork import FakeContext
from hermes.test.fabric.fakes import FakeChannel, FakeFlows, FakeSocket
from hermes.values import Flow, Target

TARGET = Target("dns.hermes", 53)
BIND = "127.0.0.1:5353"
A, B, C = ("192.0.2.1", 1), ("192.0.2.2", 2), ("192.0.2.3", 3)


class UDPCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.context = FakeContext()
        self.clock = self.context.reactor
        self.flows: FakeFlows = self.context.flows
        self.far: list[FakeChannel] = []
        self.listener = self.make()

    def make(self, **options: Any) -> UDPListener:
        listener: Any = UDPListenerType().listener("dns", UDPOptions(BIND, TARGET, **options), self.context)
        self.assertIsNone(self.successResultOf(listener.start()))
        self.socket: FakeSocket = self.context.network.sockets[BIND]
        return listener  # type: ignore[no-any-return]

    def up(self, which: int = -1) -> FakeChannel:
        """
        The far side of a flow comes up.
        """
        splice = DatagramSplice(FlowRecord(Flow("udp", TARGET), 0.0), lambda splice: None)
        channel = FakeChannel()
        self.far.append(channel)
        channel.setReceiver(splice.far)
        self.flows.asked[which][1].callback(splice.near)
        return channel

    def channel(self, address: object) -> SourceChannel:
        """
        The channel of a source.
        """
        channel = self.listener._flows.get(address)
        assert channel is not None
        return channel

    def sources(self) -> list[Any]:
        return [flow.source for flow, _ in self.flows.asked]


class Flows(UDPCase):
    def test_itIsAListenerOfItsType(self) -> None:
        verifyObject(IListenerType, UDPListenerType())
        verifyObject(IListener, self.listener)
        verifyObject(IDatagramSocketReceiver, self.listener)
        self.socket.deliver(A, b"x")
        verifyObject(IDatagramChannel, self.channel(A))

    def test_everySourceHasAFlowOfItsOwn(self) -> None:
        self.socket.deliver(A, b"a1", b"a2")
        self.assertEqual(Flow("udp", TARGET, A, listener="dns"), self.flows.asked[0][0])
        first = self.up()
        self.socket.deliver(B, b"b1")
        second = self.up()
        self.socket.deliver(A, b"a3")
        self.assertEqual([A, B], self.sources())
        self.assertEqual([b"a1", b"a2", b"a3"], first.written)
        self.assertEqual([b"b1"], second.written)
        first.deliver(b"answer", b"")
        self.assertEqual([(A, b"answer"), (A, b"")], self.socket.written)

    def test_aUnixSocketsSourceHasNoAddress(self) -> None:
        self.socket.deliver("/run/client", b"x")
        self.assertEqual([None], self.sources())
        self.up().deliver(b"y")
        self.assertEqual([("/run/client", b"y")], self.socket.written)

    def test_whatArrivesWhileDialingWaitsBoundedAndTheOldestIsDropped(self) -> None:
        self.socket.deliver(A, b"first")
        for number in range(20):
            self.socket.deliver(A, bytes([number]) * 1200)
        channel = self.channel(A)
        dropped = channel.droppedDatagrams
        self.assertGreater(dropped, 0)
        written = self.up().written
        self.assertLessEqual(sum(map(len, written)), MAX_WAITING_BYTES)
        self.assertEqual(21 - dropped, len(written))
        self.assertEqual(19, written[-1][0])
        self.assertEqual(dropped, channel.droppedDatagrams)

    def test_aRefusedFlowIsTriedAgainOnlyAfterAWhile(self) -> None:
        self.socket.deliver(A, b"1")
        self.flows.asked[0][1].errback(NoRoute("no"))
        self.socket.deliver(A, b"2")
        self.assertEqual(2, self.channel(A).droppedDatagrams)
        self.assertEqual([A], self.sources())
        self.clock.advance(1)
        self.socket.deliver(A, b"3")
        self.assertEqual([A, A], self.sources())
        self.assertEqual([b"3"], self.up().written)

    def test_anErrorThatIsNoneOfOursIsLoggedAndEndsTheFlow(self) -> None:
        self.socket.deliver(A, b"1")
        self.flows.asked[0][1].errback(ZeroDivisionError())
        self.assertEqual(1, len(self.flushLoggedErrors(ZeroDivisionError)))
        self.assertEqual(0, self.listener.flows)

    def test_whenTheFarSideEndsTheNextDatagramOpensANewFlow(self) -> None:
        self.socket.deliver(A, b"1")
        self.up().lose(ConnectionLost())
        self.assertEqual(0, self.listener.flows)
        self.socket.deliver(A, b"2")
        self.assertEqual([b"2"], self.up().written)


class Idling(UDPCase):
    def test_aFlowThatNothingPassesThroughEnds(self) -> None:
        self.socket.deliver(A, b"1")
        far = self.up()
        self.clock.advance(59)
        self.assertEqual([], far.calls)
        self.clock.advance(1)
        self.assertEqual(["loseChannel"], far.calls)
        self.assertEqual((0, []), (self.listener.flows, self.clock.getDelayedCalls()))

    def test_datagramsEitherWayKeepItOpenAndOneTimerServesAll(self) -> None:
        self.socket.deliver(A, b"1")
        first = self.up()
        self.clock.advance(10)
        self.socket.deliver(B, b"1")
        second = self.up()
        self.clock.advance(30)
        self.socket.deliver(A, b"2")
        self.assertEqual(1, len(self.clock.getDelayedCalls()))
        self.clock.advance(20)
        second.deliver(b"answer")
        self.clock.advance(39)
        self.assertEqual(([], []), (first.calls, second.calls))
        self.clock.advance(1)
        self.assertEqual((["loseChannel"], []), (first.calls, second.calls))
        self.clock.advance(20)
        self.assertEqual(["loseChannel"], second.calls)

    def test_aFlowThatIsNeverOpenedIsGivenUp(self) -> None:
        self.socket.deliver(A, b"1")
        self.clock.advance(60)
        self.assertEqual((0, 1), (self.listener.flows, self.flows.cancelled))


class Bounds(UDPCase):
    def test_aNewSourceTakesThePlaceOfTheOneIdleLongest(self) -> None:
        self.listener = self.make(maxFlows=2)
        self.socket.deliver(A, b"1")
        first = self.up()
        self.socket.deliver(B, b"1")
        second = self.up()
        self.socket.deliver(A, b"2")
        self.socket.deliver(C, b"1")
        self.assertEqual(([], ["loseChannel"]), (first.calls, second.calls))
        self.assertEqual((2, 1, 3), (self.listener.flows, self.listener.evicted, self.listener.opened))

    def test_optionsOutOfRangeAreRefused(self) -> None:
        for options in ({"idle": 0}, {"maxFlows": 0}):
            with self.assertRaises(ValueError):
                UDPOptions(BIND, TARGET, **options)


class Life(UDPCase):
    def test_anAddressThatCanNotBeBoundIsNamed(self) -> None:
        self.context.network.bindError = OSError(13, "Permission denied")
        listener: Any = UDPListenerType().listener("dns", UDPOptions("0.0.0.0:53", TARGET), self.context)
        failure = self.failureResultOf(listener.start(), ListenError)
        self.assertEqual("can't listen on 0.0.0.0:53: Permission denied", str(failure.value))

    def test_stoppingEndsTheFlowsAndClosesTheSocket(self) -> None:
        self.socket.deliver(A, b"1")
        far = self.up()
        self.socket.deliver(B, b"1")
        self.assertEqual(5353, self.listener.getHost().port)  # type: ignore[attr-defined]
        self.successResultOf(self.listener.stop())
        self.successResultOf(self.listener.stop())
        self.listener.drain()
        self.assertEqual((["loseChannel"], 1), (far.calls, self.flows.cancelled))
        self.assertTrue(self.socket.stopped)
        self.assertEqual([], self.clock.getDelayedCalls())
        self.socket.deliver(C, b"late")
        self.assertEqual([A, B], self.sources())
        with self.assertRaises(ListenError):
            self.listener.getHost()

    def test_abortEndsTheFlowsAsAnError(self) -> None:
        self.socket.deliver(A, b"1")
        far = self.up()
        self.listener.abort()
        self.assertEqual(["abortChannel"], far.calls)

    def test_aFarSideThatComesUpForASourceThatIsGoneIsEnded(self) -> None:
        opening: Deferred[Any] = Deferred(lambda deferred: deferred.callback(splice.near))
        splice = DatagramSplice(FlowRecord(Flow("udp", TARGET), 0.0), lambda splice: None)
        far = FakeChannel()
        far.setReceiver(splice.far)
        channel = SourceChannel(self.listener._flows, self.socket, A)
        channel.open(opening)
        channel.abortChannel()
        self.assertEqual(["abortChannel"], far.calls)
