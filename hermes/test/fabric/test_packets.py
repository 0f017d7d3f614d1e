"""
Tunnels of IP packets at a L{FlowHandler}: those that end here, and those that pass.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from attrs import evolve
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.python.failure import Failure
from zope.interface import implementer
from zope.interface.verify import verifyObject

from hermes.errors import FlowError, NoRoute, NotImplementedHere, Overloaded, ShuttingDown
from hermes.fabric.direct import DirectDialer
from hermes.fabric.endpoints import EndpointsDialer
from hermes.fabric.handler import FlowHandler
from hermes.fabric.packets import PacketFlow, passOnAsking
from hermes.fabric.paths import Onward
from hermes.fabric.router import Denied, Route, Router
from hermes.interfaces import IDialer, IPacketHandler, IPacketReceiver
from hermes.matching import Match
from hermes.test.fabric.fakes import FakeChannel, FakeStream
from hermes.test.fabric.test_handler import HandlerCase
from hermes.testing import MemoryNetwork
from hermes.tunnel.request import connectIPHead
from hermes.values import Flow, Identity, Target

ALICE = Flow("ip", Target("10.0.0.0/8", 0), ("192.0.2.1", 4000), Identity(user="alice"), "overlay")
NODE = evolve(ALICE, identity=Identity(node="edge"))
PACKETS = Match.fromTexts(protocols=["ip"])


class FakeTunnel(FakeChannel):
    """
    One end of a tunnel.
    """

    mtu = 1500
    offload = False

    def __init__(self) -> None:
        super().__init__()
        self.drained = 0

    def drain(self) -> None:
        self.drained += 1


@implementer(IPacketReceiver)
class FakeReceiver:
    """
    Writes down what it is told.
    """

    def __init__(self) -> None:
        self.calls: list[tuple[str, Any]] = []

    def channelConnected(self, channel: object) -> None:
        self.calls.append(("connected", channel))

    def datagramsReceived(self, datagrams: Any) -> None:
        self.calls.append(("frames", [bytes(each) for each in datagrams]))

    def channelLost(self, reason: Failure) -> None:
        self.calls.append(("lost", reason.type))

    def mtuChanged(self, mtu: int) -> None:
        self.calls.append(("mtu", mtu))

    def addressesAssigned(self, addresses: Any) -> None:
        self.calls.append(("assigned", addresses))

    def addressesRequested(self, addresses: Any) -> None:
        self.calls.append(("requested", addresses))

    def routesAdvertised(self, routes: Any) -> None:
        self.calls.append(("routes", routes))


@implementer(IPacketHandler)
class FakeSwitch:
    """
    Where tunnels end.

    @ivar answer: what is done about the next one, in place of a receiver.
    """

    def __init__(self) -> None:
        self.records: list[Any] = []
        self.receivers: list[FakeReceiver] = []
        self.answer: Any = None

    def tunnelOpened(self, record: object) -> Any:
        self.records.append(record)
        if isinstance(self.answer, Exception):
            raise self.answer
        if self.answer is not None:
            return self.answer
        self.receivers.append(FakeReceiver())
        return self.receivers[-1]


class PacketCase(HandlerCase):
    """
    A handler with a switch.
    """

    def setUp(self) -> None:
        super().setUp()
        self.switch = FakeSwitch()

    def handler(self, *routes: Route) -> FlowHandler:
        handler = super().handler(*routes)
        handler.packets = self.switch
        return handler

    def tunnel(self, handler: FlowHandler, flow: Flow = ALICE) -> FakeTunnel:
        near = self.successResultOf(handler.openPackets(flow))
        verifyObject(IPacketReceiver, near)
        tunnel = FakeTunnel()
        tunnel.setReceiver(near)
        return tunnel


class EndingHere(PacketCase):
    def test_theSwitchGetsTheTunnelAndItsRecord(self) -> None:
        handler = self.handler(Route(PACKETS, name="packets"))
        tunnel = self.tunnel(handler)
        [record] = self.switch.records
        self.assertEqual((record.flow, record.routeName, record.channels), (ALICE, "packets", (tunnel,)))
        self.assertEqual(self.observer.names(), ["opened"])
        self.assertEqual(handler.openFlows(), [record])
        tunnel.deliver(b"frame")
        for name, event in (("mtuChanged", "mtu"), ("addressesAssigned", "assigned")):
            getattr(tunnel.receiver, name)(1400)
            self.assertEqual(self.switch.receivers[0].calls[-1], (event, 1400))
        for name, event in (("addressesRequested", "requested"), ("routesAdvertised", "routes")):
            getattr(tunnel.receiver, name)([])
            self.assertEqual(self.switch.receivers[0].calls[-1], (event, []))
        tunnel.lose(ConnectionDone())
        calls = self.switch.receivers[0].calls
        self.assertEqual(calls[0], ("connected", tunnel))
        self.assertEqual(calls[1], ("frames", [b"frame"]))
        self.assertEqual(calls[-1], ("lost", ConnectionDone))
        self.assertEqual(self.observer.names(), ["opened", "closed"])
        self.assertEqual((handler.openFlows(), record.error, record.duration), ([], None, 0))

    def test_packetsDoNotComeByAnythingOnTheirWay(self) -> None:
        tunnel = self.tunnel(self.handler(Route(PACKETS)))
        self.assertIsInstance(tunnel.receiver, PacketFlow)
        self.assertEqual(tunnel.receiver.datagramsReceived, self.switch.receivers[0].datagramsReceived)

    def test_anEndThatIsNotInOrderIsTold(self) -> None:
        tunnel = self.tunnel(self.handler(Route(PACKETS)))
        tunnel.lose(ConnectionLost())
        self.assertIn("client: ", self.lastRecord().error or "")

    def test_onlyARouteThatNamesPacketsTakesThem(self) -> None:
        for routes in ((), (Route(Match()),), (Route(Match.fromTexts(protocols=["tcp", "udp", "http", "listen"])),)):
            handler = self.handler(*routes)
            self.failureResultOf(handler.openPackets(ALICE), NoRoute)
            self.assertEqual(self.observer.names()[-1], "refused")
        self.assertEqual(self.switch.records, [])

    def test_whereNothingTakesThemTheyAreNotImplemented(self) -> None:
        handler = self.handler(Route(PACKETS))
        handler.packets = None
        self.failureResultOf(handler.openPackets(ALICE), NotImplementedHere)

    def test_theSwitchMayRefuse(self) -> None:
        handler = self.handler(Route(PACKETS))
        self.switch.answer = NoRoute("no packet of yours")
        self.failureResultOf(handler.openPackets(ALICE), NoRoute)
        self.assertEqual(self.lastRecord().error, "no packet of yours")
        self.switch.answer = ZeroDivisionError("secret")
        failure = self.failureResultOf(handler.openPackets(ALICE), FlowError)
        self.assertNotIn("secret", str(failure.value))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.successResultOf(handler.drain())

    def test_theSwitchMayTakeItsTime(self) -> None:
        handler = self.handler(Route(PACKETS))
        resolving: Deferred[Any] = Deferred()
        self.switch.answer = resolving
        opening = handler.openPackets(ALICE)
        self.assertNoResult(opening)
        receiver = FakeReceiver()
        resolving.callback(receiver)
        near: Any = self.successResultOf(opening)
        self.assertEqual(near.datagramsReceived, receiver.datagramsReceived)
        self.switch.answer = Deferred()
        opening = handler.openPackets(ALICE)
        opening.cancel()
        self.failureResultOf(opening, CancelledError)
        self.assertEqual(self.lastRecord().error, "the client went away")

    def test_aClientThatIsGoneWhenItIsOpenIsToldToTheSwitch(self) -> None:
        handler = self.handler(Route(PACKETS))
        near = self.successResultOf(handler.openPackets(ALICE))
        near.channelLost(Failure(ConnectionLost()))
        near.channelLost(Failure(ConnectionLost()))
        self.assertEqual(self.switch.receivers[0].calls, [("lost", ConnectionLost)])
        self.assertEqual(self.observer.names(), ["opened", "closed"])

    def test_theyCountAsFlows(self) -> None:
        handler = self.handler(Route(PACKETS), Route(Match()))
        handler.maxFlows = 1
        tunnel = self.tunnel(handler)
        self.failureResultOf(handler.openPackets(ALICE), Overloaded)
        tunnel.lose(ConnectionDone())
        self.tunnel(handler)

    def test_drainingAsksTheirClientsToGo(self) -> None:
        handler = self.handler(Route(PACKETS))
        tunnel = self.tunnel(handler)
        late: Deferred[Any] = Deferred()
        self.switch.answer = late
        opening = handler.openPackets(ALICE)
        drained = handler.drain()
        self.assertEqual(tunnel.drained, 1)
        self.failureResultOf(handler.openPackets(ALICE), ShuttingDown)
        late.callback(FakeReceiver())
        second = FakeTunnel()
        second.setReceiver(self.successResultOf(opening))
        self.assertEqual(second.drained, 1)
        tunnel.lose(ConnectionDone())
        self.assertNoResult(drained)
        handler.abortAll()
        self.assertEqual((tunnel.calls, second.calls), ([], ["abortChannel"]))
        self.successResultOf(drained)

    def test_aReceiverThatFailsIsOverAllTheSame(self) -> None:
        handler = self.handler(Route(PACKETS))
        tunnel = self.tunnel(handler)
        self.patch(self.switch.receivers[0], "channelLost", lambda reason: dict[str, str]()["x"])
        self.assertRaises(KeyError, tunnel.lose, ConnectionDone())
        self.successResultOf(handler.drain())


class Passing(PacketCase):
    def test_aTunnelOfANodeGoesOnAsBytes(self) -> None:
        handler = self.handler(Route(PACKETS, name="packets"))
        flow = evolve(NODE, via=("r1", "r2"), ipProtocol=6)
        near: Any = self.successResultOf(handler.openStream(flow))
        stream = FakeStream(self.clock)
        stream.attach(near)
        self.assertEqual(self.hops["r1"].dialer.flows, [evolve(flow, via=("r2",))])
        stream.deliver(b"capsules")
        self.assertEqual(bytes(self.hops["r1"].dialer.streams[0].taken), b"capsules")
        record = self.lastRecord()
        self.assertEqual((record.routeName, record.hops), ("packets", ("r1", "r2")))
        self.assertEqual(self.switch.records, [])

    def test_theRoutesSayFirstWhetherTheNodeMay(self) -> None:
        for match in (Match(), Match.fromTexts(protocols=["ip"], nodes=["other"])):
            handler = self.handler(Route(match))
            self.failureResultOf(handler.openStream(evolve(NODE, via=("r1",))), NoRoute)
        self.assertEqual(self.hops["r1"].dialer.flows, [])

    def test_whatEndsHereIsNoStream(self) -> None:
        handler = self.handler(Route(PACKETS, to="r1"))
        self.failureResultOf(handler.openStream(ALICE), NotImplementedHere)
        self.failureResultOf(handler.openStream(evolve(ALICE, via=("r1",))), NotImplementedHere)

    def test_whenTheNextProxyAsksToFinishSoDoWe(self) -> None:
        for early in (False, True):
            handler = self.handler(Route(PACKETS))
            network = MemoryNetwork()
            head = connectIPHead("*", None, b"p")
            (before, near), (far, _) = network.pair(head), network.pair(head)
            spliced: Any = self.successResultOf(handler.openStream(evolve(NODE, via=("r1",))))
            splice = spliced._splice
            # What the hop's dialer has attached is a stream in memory; here it is an exchange.
            splice.far.transport = far
            if early:
                far.goAway()
            passOnAsking(splice, self.clock)
            near.attach(splice.near)
            told: list[bool] = []
            before.notifyDraining(partial(told.append, True))
            if not early:
                far.goAway()
            self.clock.advance(0)
            self.assertEqual((near.asked, told), (1, [True]))


class Dialers(PacketCase):
    def test_thoseThatOpenNoTunnelsSaySo(self) -> None:
        direct = DirectDialer(self.network, True)
        endpoints = self.upstreams["pair"]
        assert isinstance(endpoints, EndpointsDialer)
        for dialer in (direct, endpoints):
            verifyObject(IDialer, dialer)
            self.failureResultOf(dialer.connectPackets(ALICE, FakeReceiver()), NotImplementedHere)

    def test_theFirstHopIsToldTheRest(self) -> None:
        dialer = Onward(self.hops["r1"].dialer, ("r2", "r3"))
        verifyObject(IDialer, dialer)
        receiver = FakeReceiver()
        self.assertIs(self.successResultOf(dialer.connectPackets(ALICE, receiver)), receiver)
        self.assertEqual(self.hops["r1"].dialer.flows, [evolve(ALICE, via=("r2", "r3"))])


class Authorising(PacketCase):
    """
    L{Router.authorisePackets}.
    """

    def test_theFirstRouteThatTakesTheSenderSays(self) -> None:
        router = Router(
            [
                Route(Match(), name="any"),
                Route(Match.fromTexts(protocols=["ip"], users=["bob"]), name="bob"),
                Route(Match.fromTexts(protocols=["tcp", "ip"], targets=["192.0.2.0/24"]), name="elsewhere"),
                Route(PACKETS, name="all"),
            ]
        )
        self.assertEqual(router.authorisePackets(ALICE).route.name, "elsewhere")
        bob = evolve(ALICE, identity=Identity(user="bob"))
        self.assertEqual(router.authorisePackets(bob).route.name, "bob")

    def test_aRouteThatDeniesAllowsNothing(self) -> None:
        deny = Route(Match.fromTexts(protocols=["ip"], users=["alice"]), name="deny", deny="not alice")
        failure = self.assertRaises(Denied, Router([deny]).authorisePackets, ALICE)
        self.assertIn("not alice", str(failure))
        # It may deny some packets and not others: each is judged by itself.
        self.assertEqual(Router([deny, Route(PACKETS, name="all")]).authorisePackets(ALICE).route.name, "all")

    def test_routesForRequestsTakeNoPackets(self) -> None:
        match = Match.fromTexts(protocols=["ip"], hosts=["a.example"])
        self.assertRaises(NoRoute, Router([Route(match)]).authorisePackets, ALICE)
        self.assertRaises(NoRoute, Router([Route(PACKETS, requestsOnly=True)]).authorisePackets, ALICE)

    def test_packetsAreNoPartOfWhatIsNotNamed(self) -> None:
        self.assertFalse(Match().takes(ALICE))
        self.assertEqual(Match().refusal(ALICE), "protocol is ip, which must be named")
        self.assertTrue(PACKETS.takes(ALICE))
        self.assertFalse(PACKETS.takes(evolve(ALICE, protocol="tcp")))
        self.assertRaises(NoRoute, Router([Route(Match())]).decide, ALICE)
