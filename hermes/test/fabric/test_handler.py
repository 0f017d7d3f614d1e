from __future__ import annotations

from typing import Any

from attrs import evolve
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionLost
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from hermes.errors import FlowError, HopUnavailable, NoRoute, Overloaded, ShuttingDown, TargetRefused
from hermes.fabric.balance import Balancer
from hermes.fabric.endpoints import EndpointsDialer, Group
from hermes.fabric.handler import FlowHandler
from hermes.fabric.reach import Reach
from hermes.fabric.record import FlowRecord
from hermes.fabric.router import Route, Router
from hermes.interfaces import IFlowHandler, IHop
from hermes.matching import Match
from hermes.test.fabric.fakedialer import FakeDialer, FakeHop, NestedDialer
from hermes.test.fabric.fakenetwork import FakeNetwork
from hermes.test.fabric.fakes import FakeChannel, FakeObserver, FakeStream
from hermes.values import Flow, Identity, Target

FLOW = Flow("tcp", Target("db.hermes", 3306), ("192.0.2.1", 4000), Identity(user="alice"), "apps")
UDP = evolve(FLOW, protocol="udp")


class HandlerCase(SynchronousTestCase):
    maxFlows = 10

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(100)
        self.observer = FakeObserver()
        self.hops = {name: FakeHop(name, FakeDialer(self.clock)) for name in ("r1", "r2", "r3")}
        self.plain = FakeDialer(self.clock)
        self.special = FakeDialer(self.clock)
        self.network = FakeNetwork(self.clock)
        self.db = FakeDialer(self.clock)
        self.upstreams: dict[str, Any] = {
            **self.hops,
            "db": self.db,
            "pair": EndpointsDialer(
                self.network,
                Group(Balancer(["10.1.0.5:3306", "10.1.0.6:3306"], "least-request", self.clock)),
                Reach(self.network),
            ),
        }

    def handler(self, *routes: Route) -> FlowHandler:
        return FlowHandler(
            Router(routes), self.upstreams, self.direct, [self.observer], self.clock, maxFlows=self.maxFlows
        )

    def direct(self, allowSpecial: bool) -> FakeDialer:
        return self.special if allowSpecial else self.plain

    def open(self, handler: FlowHandler, flow: Flow = FLOW) -> FakeStream:
        near: Any = self.successResultOf(handler.openStream(flow))
        stream = FakeStream(self.clock)
        stream.attach(near)
        return stream

    def lastRecord(self) -> FlowRecord:
        return self.observer.events[-1][1]


class Paths(HandlerCase):
    def test_aFlowWithNoUpstreamIsDialedAsItWasAskedFor(self) -> None:
        handler = self.handler(Route(Match(), name="all"))
        verifyObject(IFlowHandler, handler)
        self.open(handler)
        self.assertEqual([FLOW], self.plain.flows)
        record = self.lastRecord()
        self.assertEqual(("all", "direct", ()), (record.routeName, record.upstream, record.hops))

    def test_aListeningPortIsForTheRouteThatNamesItAndNotForAny(self) -> None:
        asked = evolve(FLOW, protocol="listen")
        self.assertRaises(NoRoute, self.handler(Route(Match())).authorise, asked)
        self.handler(Route(Match.fromTexts(protocols=["listen"]))).authorise(asked)

    def test_specialPurposeTargetsAreForRoutesThatAllowThem(self) -> None:
        self.open(self.handler(Route(Match(), allowSpecial=True)))
        self.assertEqual(([], [FLOW]), (self.plain.flows, self.special.flows))

    def test_toNamesTheUpstreamWhereTheFlowEnds(self) -> None:
        self.open(self.handler(Route(Match(), to="db")))
        self.assertEqual([FLOW], self.db.flows)
        self.assertEqual("db", self.lastRecord().upstream)

    def test_hopByHopTheFirstHopIsToldTheRest(self) -> None:
        self.open(self.handler(Route(Match(), via=("r1", "r2", "r3"))))
        self.assertEqual([evolve(FLOW, via=("r2", "r3"))], self.hops["r1"].dialer.flows)
        self.assertEqual(("r1", "r2", "r3"), self.lastRecord().hops)

    def test_nestedEachHopIsDialedInsideTheOneBeforeIt(self) -> None:
        handler = self.handler(Route(Match(), via=("r1", "r2", "r3"), nested=True))
        self.open(handler)
        [second] = self.hops["r2"].inside.values()
        [third] = self.hops["r3"].inside.values()
        self.assertIs(self.hops["r1"].dialer, second.carrier)
        self.assertIs(second, third.carrier)
        self.assertEqual([FLOW], third.flows)
        self.open(handler)
        self.assertEqual(2, len(third.flows))

    def test_toAHopLeavesTheTargetToIt(self) -> None:
        self.open(self.handler(Route(Match(), to="r1")))
        self.assertEqual([FLOW], self.hops["r1"].dialer.flows)
        self.assertEqual(("r1", ("r1",)), (self.lastRecord().upstream, self.lastRecord().hops))

    def test_theEndpointOfAnUpstreamBehindHopsIsPickedHere(self) -> None:
        self.open(self.handler(Route(Match(), to="pair", via=("r1", "r2"))))
        [dialed] = self.hops["r1"].dialer.flows
        self.assertIn(str(dialed.target), ("10.1.0.5:3306", "10.1.0.6:3306"))
        self.assertEqual(("r2",), dialed.via)
        self.assertEqual([], self.network.tried)

    def test_nestedWithAnUpstreamTheEndpointGoesThroughTheInnermostTunnel(self) -> None:
        self.open(self.handler(Route(Match(), to="pair", via=("r1", "r2"), nested=True)))
        [second] = self.hops["r2"].inside.values()
        self.assertTrue(str(second.flows[0].target).startswith("10.1.0."))
        self.assertEqual((), second.flows[0].via)

    def test_whatIsNotConfiguredIsRefusedByName(self) -> None:
        for route, error in (
            (Route(Match(), to="nobody"), HopUnavailable),
            (Route(Match(), via=("nobody",)), HopUnavailable),
            (Route(Match(), via=("db",)), HopUnavailable),
            (Route(Match(), to="db", via=("r1",)), FlowError),
        ):
            failure = self.failureResultOf(self.handler(route).openStream(FLOW), error)
            self.assertIn("nobody" if "nobody" in (route.to, *route.via) else "db", str(failure.value))


class Onward(HandlerCase):
    """
    A node in the middle of a way that another node chose.
    """

    asked = evolve(FLOW, via=("r2", "r3"), identity=Identity(node="edge"))

    def test_aFlowOfANodeGoesOnAsItsViaSays(self) -> None:
        self.open(self.handler(Route(Match.fromTexts(nodes=["edge"]), to="db")), self.asked)
        self.assertEqual([evolve(self.asked, via=("r3",))], self.hops["r2"].dialer.flows)
        self.assertEqual([], self.db.flows)
        self.assertEqual(("r2", "r3"), self.lastRecord().hops)

    def test_theRoutesSayFirstWhetherTheNodeMay(self) -> None:
        for routes in ([Route(Match(), deny="no")], [Route(Match.fromTexts(nodes=["other"]))], []):
            self.failureResultOf(self.handler(*routes).openStream(self.asked), NoRoute)
        self.assertEqual([], self.hops["r2"].dialer.flows)

    def test_aHopThatThisNodeDoesNotKnowIsRefused(self) -> None:
        for via in (("nobody",), ("db",)):
            flow = evolve(self.asked, via=via)
            failure = self.failureResultOf(self.handler(Route(Match())).openStream(flow), NoRoute)
            self.assertIn(via[0], str(failure.value))

    def test_aViaOfSomebodyWhoIsNoNodeIsIgnored(self) -> None:
        self.open(self.handler(Route(Match())), evolve(FLOW, via=("r2",)))
        self.assertEqual([FLOW], self.plain.flows)


class Life(HandlerCase):
    def test_aFlowIsSplicedCountedAndTold(self) -> None:
        handler = self.handler(Route(Match()))
        near = self.open(handler)
        [far] = self.plain.streams
        near.deliver(b"question")
        far.deliver(b"answer!")
        self.assertEqual([self.lastRecord()], handler.openFlows())
        self.clock.advance(2)
        near.endReading()
        far.endReading()
        self.clock.advance(0)
        self.assertEqual(["opened", "closed"], self.observer.names())
        record = self.lastRecord()
        self.assertEqual((8, 7, 2.0, None), (record.bytesIn, record.bytesOut, record.duration, record.error))
        self.assertEqual([], handler.openFlows())

    def test_datagramsToo(self) -> None:
        handler = self.handler(Route(Match()))
        receiver: Any = self.successResultOf(handler.openDatagrams(UDP))
        channel = FakeChannel()
        channel.setReceiver(receiver)
        channel.deliver(b"a", b"b")
        self.assertEqual([b"a", b"b"], self.plain.channels[0].written)
        channel.loseChannel()
        self.assertEqual(["opened", "closed"], self.observer.names())
        self.assertEqual(2, self.lastRecord().datagramsIn)

    def test_connectingIsTimed(self) -> None:
        self.plain.hold = True
        dialed = self.handler(Route(Match())).openStream(FLOW)
        self.clock.advance(0.25)
        self.assertEqual([], self.observer.events)
        self.plain.up()
        self.successResultOf(dialed)
        self.assertEqual(0.25, self.lastRecord().connectDuration)

    def test_aRefusedFlowIsToldWithItsError(self) -> None:
        for opened in (self.handler().openStream(FLOW), self.handler().openDatagrams(UDP)):
            self.failureResultOf(opened, NoRoute)
            self.assertEqual("refused", self.observer.names()[-1])
            record = self.lastRecord()
            self.assertIn("no route", record.error or "")
            self.assertEqual(("http_request_denied", 0.0), (record.proxyStatus, record.duration))

    def test_aFailedDialIsToldAndPassedOn(self) -> None:
        handler = self.handler(Route(Match(), name="all"))
        self.plain.failures[""] = TargetRefused("connection refused")
        self.failureResultOf(handler.openStream(FLOW), TargetRefused)
        self.assertEqual((["refused"], "all"), (self.observer.names(), self.lastRecord().routeName))
        self.successResultOf(handler.drain())

    def test_anErrorThatIsNoneOfOursIsLoggedAndNotTold(self) -> None:
        self.plain.failures[""] = ZeroDivisionError("secret")
        failure = self.failureResultOf(self.handler(Route(Match())).openStream(FLOW), FlowError)
        self.assertNotIn("secret", str(failure.value))
        self.assertEqual(1, len(self.flushLoggedErrors(ZeroDivisionError)))

    def test_aClientThatGoesAwayCancelsTheDial(self) -> None:
        self.plain.hold = True
        dialed = self.handler(Route(Match())).openStream(FLOW)
        dialed.cancel()
        self.failureResultOf(dialed, CancelledError)
        self.assertEqual(1, self.plain.cancelled)
        self.assertEqual("the client went away", self.lastRecord().error)

    def test_aClientThatIsGoneWhenTheFarSideIsUpEndsIt(self) -> None:
        handler = self.handler(Route(Match()))
        near: Any = self.successResultOf(handler.openStream(FLOW))
        near.connectionLost(Failure(ConnectionLost()))
        self.clock.advance(0)
        self.assertEqual(["opened", "closed"], self.observer.names())

    def test_anObserverThatFailsIsLoggedAndTheOthersHear(self) -> None:
        class Broken(FakeObserver):
            def flowOpened(self, record: Any) -> None:
                raise ZeroDivisionError

        handler = FlowHandler(
            Router([Route(Match())]), {}, self.direct, [Broken(), self.observer], self.clock, maxFlows=3
        )
        self.open(handler)
        self.assertEqual(["opened"], self.observer.names())
        self.assertEqual(1, len(self.flushLoggedErrors(ZeroDivisionError)))


class Bounds(HandlerCase):
    maxFlows = 2

    def test_moreFlowsThanTheBoundAreRefused(self) -> None:
        handler = self.handler(Route(Match()))
        first = self.open(handler)
        self.plain.hold = True
        waiting = handler.openStream(FLOW)
        self.failureResultOf(handler.openStream(FLOW), Overloaded)
        self.plain.up()
        self.successResultOf(waiting)
        self.plain.hold = False
        first.fail(ConnectionLost())
        self.clock.advance(0)
        self.open(handler)

    def test_drainingRefusesWhatIsNewAndFiresWhenNothingIsOpen(self) -> None:
        handler = self.handler(Route(Match()))
        near = self.open(handler)
        self.plain.hold = True
        handler.openStream(FLOW).addErrback(lambda failure: None)
        drained = handler.drain()
        self.failureResultOf(handler.openStream(FLOW), ShuttingDown)
        near.fail(ConnectionLost())
        self.clock.advance(0)
        self.assertNoResult(drained)
        self.plain.waiting[0][0].errback(TargetRefused("no"))
        self.assertIsNone(self.successResultOf(drained))
        self.assertIsNone(self.successResultOf(handler.drain()))

    def test_abortAllEndsWhatIsOpenAndGivesUpWhatIsNot(self) -> None:
        handler = self.handler(Route(Match()))
        near = self.open(handler)
        self.plain.hold = True
        waiting = handler.openStream(FLOW)
        drained = handler.drain()
        handler.abortAll()
        self.clock.advance(0)
        self.failureResultOf(waiting, ShuttingDown)
        self.assertEqual("abortConnection", near.calls[0])
        self.assertIsNone(self.successResultOf(drained))


class Reload(HandlerCase):
    def test_newFlowsUseTheNewAndOldOnesGoOn(self) -> None:
        handler = self.handler(Route(Match(), via=("r1",)))
        near = self.open(handler)
        new = Router([Route(Match(), to="db")])
        handler.swap(new, self.upstreams)
        self.assertIs(new, handler.router)
        self.open(handler)
        self.assertEqual(1, len(self.db.flows))
        near.deliver(b"still")
        self.assertEqual(b"still", self.hops["r1"].dialer.streams[0].taken)

    def test_hopsThatAreGoneAreClosedAndThoseThatStayAreNot(self) -> None:
        handler = self.handler(Route(Match()))
        handler.swap(Router([]), {"r1": self.hops["r1"], "db": self.db})
        self.assertEqual([0, 1, 1], [hop.closed for hop in self.hops.values()])
        handler.swap(Router([]), {})
        self.assertEqual([1, 1, 1], [hop.closed for hop in self.hops.values()])

    def test_aHopIsClosedOnlyWhenNothingIsBeingOpenedThroughIt(self) -> None:
        handler = self.handler(Route(Match(), via=("r1",)))
        self.hops["r1"].dialer.hold = True
        waiting: Deferred[Any] = handler.openStream(FLOW)
        handler.swap(Router([]), {})
        self.assertEqual(0, self.hops["r1"].closed)
        self.hops["r1"].dialer.up()
        self.successResultOf(waiting)
        self.assertEqual(1, self.hops["r1"].closed)

    def test_theFakesAreWhatTheyStandFor(self) -> None:
        verifyObject(IHop, self.hops["r1"])
        self.assertIsInstance(self.hops["r1"].through(self.db), NestedDialer)
