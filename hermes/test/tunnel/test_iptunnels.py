"""
CONNECT-IP with both ends of ours: a dialer, exchanges in memory, handlers; straight, and through nodes that pass it on.
"""

from __future__ import annotations

from functools import partial
from ipaddress import ip_network
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hermes.errors import BadRequest, HopRefused, NoRoute, StreamReset
from hermes.interfaces import IPacketTunnel
from hermes.test.tunnel.fakes import Authenticator, Flows, Packets, Stream
from hermes.test.tunnel.frames import BULK, packet
from hermes.test.tunnel.test_tunnels import NODE, TunnelTestCase
from hermes.testing import MemoryExchangeClient, MemoryNetwork
from hermes.tunnel.client import TunnelDialer, TunnelOptions
from hermes.tunnel.iptunnel import PacketOptions
from hermes.tunnel.relay import RelayEnd, relay
from hermes.tunnel.request import connectIPHead
from hermes.tunnel.server import TunnelHandler
from hermes.values import Flow, Identity, RequestHead, Target
from hermes.wire.capsule import encodeCapsule
from hermes.wire.template import PathTemplate

ALL = Flow("ip", Target("*", 0))
SOME = Flow("ip", Target("10.0.0.0/8", 0), ipProtocol=17)


class IPTunnelTests(TunnelTestCase):
    """
    One hop.
    """

    def connect(self, flow: Flow = ALL) -> tuple[Packets, Packets]:
        far = Packets()
        connected = self.dialer.connectPackets(flow, far)
        self.network.pump()
        self.assertNoResult(connected)
        near = self.flows.packets()
        self.network.pump()
        self.assertIs(self.successResultOf(connected), far)
        return far, near

    def test_theFlowSaysWhoAsksAndForWhat(self) -> None:
        for flow in (ALL, SOME, Flow("ip", Target("db.hermes", 0))):
            self.connect(flow)
            wanted = Flow("ip", flow.target, ("192.0.2.1", 4000), NODE, "overlay", ipProtocol=flow.ipProtocol)
            self.assertEqual(self.flows.flow, wanted)

    def test_packetsAndCapsulesCrossBothWays(self) -> None:
        far, near = self.connect()
        for end in (far, near):
            self.assertTrue(IPacketTunnel.providedBy(end.channel))
        far.channel.requestAddresses([(1, ip_network("0.0.0.0/32"))])
        near.channel.assignAddresses([(1, ip_network("10.77.0.5/32"))])
        near.channel.advertiseRoutes([])
        far.channel.write([packet(1), BULK])
        near.channel.write([packet(2)])
        self.network.pump()
        self.assertEqual(near.received, [packet(1), BULK])
        self.assertEqual(far.received, [packet(2)])
        self.assertIn(("requested", [(1, ip_network("0.0.0.0/32"))]), near.events)
        self.assertIn(("assigned", [(1, ip_network("10.77.0.5/32"))]), far.events)
        near.channel.loseChannel()
        self.network.pump()
        assert far.lost is not None and near.lost is not None
        far.lost.trap(ConnectionDone)
        near.lost.trap(ConnectionDone)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_bothSayThatTheyCarryCapsules(self) -> None:
        self.connect()
        client, server = self.client.exchanges[0]
        self.assertEqual(client.request.get(b"capsule-protocol"), b"?1")
        self.assertEqual(client.request.path, b"/.well-known/masque/ip/%2A/%2A/")
        self.assertEqual(server.responses[-1].get(b"capsule-protocol"), b"?1")

    def test_whatIsAnnouncedIsAnOption(self) -> None:
        self.handler = self.makeHandler(packets=PacketOptions(mtu=1400, offload=False))
        self.client = MemoryExchangeClient(self.network, self.handler, NODE)
        self.dialer = TunnelDialer(self.client, TunnelOptions(b"p", packets=PacketOptions(mtu=9000)), self.clock)
        far, near = self.connect()
        self.assertEqual((far.channel.mtu, far.channel.offload), (1400, False))
        self.assertEqual((near.channel.mtu, near.channel.offload), (1400, True))

    def test_anotherTemplateIsAsked(self) -> None:
        template = PathTemplate("/vpn", required=())
        self.dialer = TunnelDialer(self.client, TunnelOptions(b"p", ipTemplate=template), self.clock)
        self.dialer.connectPackets(ALL, Packets()).addErrback(lambda failure: None)
        self.assertEqual(self.client.exchanges[-1][0].request.path, b"/vpn")
        self.failureResultOf(self.dialer.connectPackets(SOME, Packets()), BadRequest)

    def test_aRefusalCarriesItsStatus(self) -> None:
        connected = self.dialer.connectPackets(ALL, Packets())
        self.network.pump()
        self.flows.fail(NoRoute("no packet of yours"))
        self.network.pump()
        self.assertEqual(self.failureResultOf(connected, HopRefused).value.answered, 403)

    def test_malformedRequestsAreAnswered400(self) -> None:
        for path in (b"/.well-known/masque/ip/10.0.0.0%2F33/*/", b"/.well-known/masque/ip/*/300/"):
            head = RequestHead(b"CONNECT", b"https", b"p", path, b"connect-ip")
            self.assertEqual(self.refused(head).status, 400)
        self.assertEqual(self.flows.opening, [])

    def test_nobodyIsChallengedAsByAnOrigin(self) -> None:
        self.assertEqual(self.refused(connectIPHead("*", None, b"p"), Identity()).status, 401)
        head = connectIPHead("*", None, b"p", headers=((b"authorization", b"Bearer t0ken"),))
        self.request(head, Identity())
        self.assertEqual(self.flows.flow.identity, Identity(user="bob"))

    def test_whenTheClientGoesAwayOpeningStops(self) -> None:
        connected = self.dialer.connectPackets(ALL, Packets())
        self.network.pump()
        connected.cancel()
        self.failureResultOf(connected, CancelledError)
        self.network.pump()
        self.assertEqual((self.flows.cancelled, self.handler.pending), (1, 0))

    def test_whatOpensAfterTheClientWentAwayIsClosed(self) -> None:
        near = Packets()

        class Stubborn(Flows):
            def _cancel(self, deferred: Deferred[Any]) -> None:
                deferred.callback(near)

        self.flows = Stubborn()
        client, _ = self.request(connectIPHead("*", None, b"p"), handler=self.makeHandler())
        client.reset(8)
        self.network.pump()
        self.assertIsNotNone(near.lost)
        self.assertIsNone(near.channel)

    def test_aTargetThatTakesTooLongIsToldInTime(self) -> None:
        connected = self.dialer.connectPackets(ALL, Packets())
        self.network.pump()
        self.clock.advance(60)
        self.network.pump()
        self.failureResultOf(connected)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_onlyANodeSaysWhichHopsFollow(self) -> None:
        via = ((b"hermes-via", b'"r2"'), (b"authorization", b"Bearer t0ken"))
        self.request(connectIPHead("*", None, b"p", headers=via), Identity())
        self.assertEqual(self.flows.flow.via, ())
        near = self.flows.packets()
        self.assertTrue(IPacketTunnel.providedBy(near.channel))

    def test_anUpgradeOfHTTP1IsTheSame(self) -> None:
        self.client = MemoryExchangeClient(self.network, self.handler, NODE, version="1.1")
        self.dialer = TunnelDialer(self.client, TunnelOptions(b"p"), self.clock)
        far, near = self.connect()
        far.channel.write([packet()])
        self.network.pump()
        self.assertEqual(near.received, [packet()])


class Node:
    """
    A node that passes tunnels on to the next one.

    @ivar flows: what it is asked for; the test opens it.
    @ivar client: exchanges with it.
    """

    def __init__(self, name: str, clock: Clock, network: MemoryNetwork) -> None:
        self.flows = Flows()
        handler = TunnelHandler(self.flows, Authenticator(), clock, name, "overlay")
        self.client = MemoryExchangeClient(network, handler, Identity(node="before"))
        self.dialer = TunnelDialer(self.client, TunnelOptions(name.encode(), sendVia=True), clock)


def _instead(near: RelayEnd, far: object) -> RelayEnd:
    return near


class ChainTests(SynchronousTestCase):
    """
    A client, two nodes that pass its tunnel on, and the one where it ends.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.network = MemoryNetwork()
        self.nodes = [Node(f"r{number}", self.clock, self.network) for number in range(3)]
        self.far, self.near = Packets(), Packets()
        connected = self.nodes[0].dialer.connectPackets(
            Flow("ip", SOME.target, via=("r1", "r2"), ipProtocol=17), self.far
        )
        for place in (0, 1):
            self.network.pump()
            flow, opened = self.nodes[place].flows.opening[-1]
            self.assertEqual((flow.protocol, flow.via), ("ip", ("r1", "r2")[place:]))
            far, near = relay()
            onward = Flow("ip", flow.target, via=flow.via[1:], ipProtocol=flow.ipProtocol)
            dialed: Deferred[Any] = self.nodes[place + 1].dialer.connectStream(onward, far)
            dialed.addCallback(partial(_instead, near)).chainDeferred(opened)
        self.network.pump()
        self.assertNoResult(connected)
        flow, opened = self.nodes[2].flows.opening[-1]
        self.assertEqual((flow.target, flow.ipProtocol, flow.via), (SOME.target, 17, ()))
        opened.callback(self.near)
        self.network.pump()
        self.successResultOf(connected)

    def test_thoseBetweenPassBytesOnAndLookAtNothing(self) -> None:
        self.assertTrue(self.far.channel.offload and self.near.channel.offload)
        self.far.channel.write([packet(), BULK])
        self.near.channel.write([BULK, packet()])
        self.near.channel.assignAddresses([(0, ip_network("10.77.0.5/32"))])
        self.network.pump()
        self.assertEqual(self.near.received, [packet(), BULK])
        self.assertEqual(self.far.received, [BULK, packet()])
        self.assertIn(("assigned", [(0, ip_network("10.77.0.5/32"))]), self.far.events)

    def test_theAnswerOfEachSaysCapsules(self) -> None:
        for node in self.nodes:
            self.assertEqual(node.client.exchanges[0][1].responses[-1].get(b"capsule-protocol"), b"?1")

    def test_theOtherEndAsksToGoThroughThemAll(self) -> None:
        told = []
        self.far.channel.notifyGoingAway(lambda: told.append(True))
        self.near.channel.drain()
        self.network.pump()
        self.assertEqual(told, [True])

    def test_anOrderlyEndGoesThroughThemAllAndLosesNothing(self) -> None:
        self.far.channel.write([packet(1)])
        self.far.channel.loseChannel()
        self.near.channel.write([packet(2)])
        self.network.pump()
        self.assertEqual((self.near.received, self.far.received), ([packet(1)], [packet(2)]))
        for end in (self.far, self.near):
            assert end.lost is not None
            end.lost.trap(ConnectionDone)

    def test_soDoesAnError(self) -> None:
        self.nodes[1].client.exchanges[0][0].write(encodeCapsule(0, b""))
        self.network.pump()
        for end in (self.far, self.near):
            assert end.lost is not None
            end.lost.trap(StreamReset)


class StreamTests(TunnelTestCase):
    """
    The bytes of a tunnel, for who passes it on.
    """

    def test_connectStreamGivesThemAsTheyAre(self) -> None:
        far = Stream()
        connected = self.dialer.connectStream(SOME, far)
        self.network.pump()
        self.assertEqual(self.client.exchanges[0][0].request, connectIPHead("10.0.0.0/8", 17, b"relay.example"))
        near = self.flows.packets()
        self.network.pump()
        self.successResultOf(connected)
        far.transport.write(encodeCapsule(0, b"\0" + packet()[10:]))
        self.network.pump()
        self.assertEqual(near.received, [packet()])
        self.assertTrue(far.received)
