"""
CONNECT-IP with peers that are not ours, at either end, and with Envoy in the middle.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_network
from typing import Any

from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.packet import Packet, Raw
from twisted.internet import reactor as theReactor
from twisted.internet.endpoints import TCP4ServerEndpoint, clientFromString, connectProtocol
from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Factory

from hermes.fabric.handler import FlowHandler
from hermes.fabric.router import Route, Router
from hermes.http1.client import HTTP1Client
from hermes.matching import Match
from hermes.test.interop import ippeers
from hermes.test.interop.envoys import cluster, httpListener, startEnvoy
from hermes.test.interop.ippeers import (
    ADDRESS_ASSIGN,
    ADDRESS_REQUEST,
    ROUTE_ADVERTISEMENT,
    Client,
    Server,
    Tunnel,
    capsule,
    packetCapsule,
)
from hermes.test.interop.processes import ProcessCase
from hermes.test.processes import freePort
from hermes.test.tunnel.echo import WatchedPackets
from hermes.test.tunnel.frames import BULK, packet, partial
from hermes.test.tunnel.realtunnels import RealTestCase
from hermes.tunnel.hop import Hop
from hermes.values import Flow, Target
from hermes.wire.offload import PLAIN

# Its type depends on the platform.
reactor: Any = theReactor

ALL = Flow("ip", Target("*", 0))
THROUGH = Flow("ip", Target("*", 0), via=("r2", "end"))
PING = bytes(IP(src="10.77.0.5", dst="10.0.0.2") / ICMP() / Raw(b"ping"))
PACKETS = [
    bytes(IP(src="10.77.0.5", dst="10.0.0.2") / UDP(sport=1, dport=2) / Raw(b"u" * size)) for size in (0, 100, 1372)
] + [bytes(IPv6(src="fd77::5", dst="fd00::2") / TCP(sport=1, dport=2) / Raw(b"t" * 1000))]


def intact(read: bytes) -> bool:
    """
    Whether scapy computes the same checksums.
    """
    found = IP(read) if read[0] >> 4 == 4 else IPv6(read)
    layer: Packet = found
    while layer:
        if "chksum" in layer.fields:
            del layer.chksum
        layer = layer.payload
    return bytes(found) == read


class TakingTests(RealTestCase):
    """
    A client that is not ours asks our listener.
    """

    async def client(self, **options: Any) -> Client:
        address = await self.listen(tls=False, anonymous=True, **options)
        peer: Client = await connectProtocol(clientFromString(reactor, f"tcp:{address}"), Client())
        self.addCleanup(lambda: peer.transport.abortConnection())  # type: ignore[union-attr]
        return peer

    async def test_packetsCrossBothWaysWhateverTheFramesThatCarryThem(self) -> None:
        peer = await self.client()
        tunnel = await peer.open()
        self.assertEqual((tunnel.headers[":status"], tunnel.headers["capsule-protocol"]), ("200", "?1"))
        data = b"".join(map(packetCapsule, PACKETS))
        tunnel.send(data)
        tunnel.send(data, piece=1000, padding=100)
        tunnel.send(data, piece=7)
        await peer.until(lambda: len(tunnel.packets) == 12)
        self.assertEqual(tunnel.packets, PACKETS * 3)
        end = self.flows.ends[0]
        self.assertEqual(end.received, [PLAIN + each for each in PACKETS * 3])

    async def test_addressesAreAskedForAndAssigned(self) -> None:
        peer = await self.client()
        tunnel = await peer.open()
        tunnel.send(capsule(ADDRESS_REQUEST, ippeers.addresses((7, "0.0.0.0/32"), (9, "::/128"))))
        await peer.until(lambda: tunnel.of(ADDRESS_ASSIGN))
        end = self.flows.ends[0]
        self.assertIn(("requested", [(7, ip_network("0.0.0.0/32")), (9, ip_network("::/128"))]), end.events)
        self.assertEqual(tunnel.of(ADDRESS_ASSIGN), [ippeers.addresses((7, "10.77.0.5/32"), (9, "10.77.0.5/32"))])
        tunnel.send(capsule(ROUTE_ADVERTISEMENT, ippeers.routes(("10.1.0.0", "10.1.255.255", 0), ("::", "::1", 6))))
        tunnel.send(packetCapsule(PING))
        await peer.until(lambda: tunnel.packets)
        routes = [(IPv4Address("10.1.0.0"), IPv4Address("10.1.255.255"), 0), (IPv6Address("::"), IPv6Address("::1"), 6)]
        self.assertIn(("routes", routes), end.events)
        end.channel.advertiseRoutes([(IPv4Address("10.0.0.0"), IPv4Address("10.255.255.255"), 0)])
        await peer.until(lambda: tunnel.of(ROUTE_ADVERTISEMENT))
        self.assertEqual(tunnel.of(ROUTE_ADVERTISEMENT), [ippeers.routes(("10.0.0.0", "10.255.255.255", 0))])

    async def test_theScopeIsTold(self) -> None:
        peer = await self.client()
        for path, target, protocol in (
            ("*/*", "*", None),
            ("10.0.0.0%2F8/6", "10.0.0.0/8", 6),
            ("2001%3Adb8%3A%3A%2f32/*", "2001:db8::/32", None),
            ("db.example/17", "db.example", 17),
        ):
            tunnel = await peer.open(f"/.well-known/masque/ip/{path}/")
            self.assertEqual(tunnel.headers[":status"], "200")
            self.assertEqual((self.flows.flows[-1].target.host, self.flows.flows[-1].ipProtocol), (target, protocol))
        for path in ("10.0.0.0%2F40/*", "*/256", "a%20b/*"):
            tunnel = await peer.open(f"/.well-known/masque/ip/{path}/")
            self.assertEqual(tunnel.headers[":status"], "400")
            self.assertIn("http_request_error", tunnel.headers["proxy-status"])

    async def test_whatTheKernelHasNotFinishedIsFinishedForIt(self) -> None:
        peer = await self.client()
        tunnel = await peer.open()
        tunnel.send(packetCapsule(PING))
        await peer.until(lambda: tunnel.packets)
        udp = partial(IP(src="10.0.0.2", dst="10.77.0.5") / UDP(sport=1, dport=2), b"u" * 64)
        six = partial(IPv6(src="fd00::2", dst="fd77::5") / TCP(sport=1, dport=2), b"s" * 30_000, 1220)
        self.flows.ends[0].channel.write([udp, BULK, packet(), six])
        await peer.until(lambda: len(tunnel.packets) == 1 + 1 + 43 + 1 + 25)
        found = tunnel.packets[1:]
        self.assertTrue(all(map(intact, found)))
        self.assertLessEqual(max(map(len, found)), 1500)
        self.assertEqual(b"".join(bytes(IP(each)[TCP].payload) for each in found[1:44]), b"t" * 60_000)
        self.assertEqual(b"".join(bytes(IPv6(each)[TCP].payload) for each in found[45:]), b"s" * 30_000)

    async def test_whatItDoesNotKnowIsSkippedAndSoIsWhatWeDoNot(self) -> None:
        peer = await self.client()
        tunnel = await peer.open()
        grease = capsule(0x29 * 5 + 0x17, b"grease" * 100_000) + capsule(0, b"\4another context") + capsule(0x1F, b"")
        for at in range(0, len(grease), 50_000):
            tunnel.send(grease[at : at + 50_000], piece=16_000)
            # h2 sends no more than the window has.
            await peer.until(lambda: peer.connection.local_flow_control_window(tunnel.stream) > 60_000)
        tunnel.send(packetCapsule(PING))
        await peer.until(lambda: tunnel.packets)
        self.assertEqual(self.flows.ends[0].received, [PLAIN + PING])
        kinds = {kind for kind, _ in tunnel.capsules}
        self.assertTrue(all(kind == 0 or kind > 0x100 for kind in kinds), kinds)

    async def test_aMalformedCapsuleEndsItsStreamAndNoOther(self) -> None:
        peer = await self.client()
        other = await peer.open()
        for bad in (
            capsule(ADDRESS_ASSIGN, b"\0\5\1\2\3\4\x20"),
            capsule(ADDRESS_REQUEST, ippeers.addresses((0, "10.0.0.1/32"))),
            capsule(ADDRESS_REQUEST, b""),
            capsule(ROUTE_ADVERTISEMENT, ippeers.routes(("10.0.0.9", "10.0.0.1", 0))),
            capsule(ROUTE_ADVERTISEMENT, ippeers.routes(("10.1.0.0", "10.1.0.9", 0), ("10.0.0.0", "10.0.0.9", 0))),
            capsule(0, b""),
            capsule(ADDRESS_ASSIGN, bytes(70_000)),
        ):
            tunnel = await peer.open()
            tunnel.send(bad, piece=16_000)
            await peer.until(lambda tunnel=tunnel: tunnel.reset is not None)
            self.assertEqual(tunnel.reset, 1)
        other.send(packetCapsule(PING))
        await peer.until(lambda: other.packets)
        self.assertFalse(peer.lost)

    async def test_theEndIsInOrder(self) -> None:
        peer = await self.client()
        tunnel = await peer.open()
        tunnel.send(packetCapsule(PING))
        tunnel.end()
        await peer.until(lambda: tunnel.ended)
        self.assertEqual((tunnel.packets, tunnel.reset), ([PING], None))

    async def test_nobodyIsTaken(self) -> None:
        address = await self.listen(tls=False)
        peer: Client = await connectProtocol(clientFromString(reactor, f"tcp:{address}"), Client())
        self.addCleanup(lambda: peer.transport.abortConnection())  # type: ignore[union-attr]
        tunnel = await peer.open()
        self.assertEqual(tunnel.headers[":status"], "401")
        tunnel = await peer.open(authorization="Basic YTpi")
        self.assertEqual(tunnel.headers[":status"], "200")
        self.assertEqual(self.flows.flows[-1].identity.user, "alice")


class AskingTests(RealTestCase):
    """
    Our client asks a proxy that is not ours.
    """

    async def connect(self, flow: Flow = ALL) -> tuple[WatchedPackets, Server, Tunnel]:
        """
        Open a tunnel.
        """
        self.peers: list[Server] = []

        def make() -> Server:
            self.peers.append(Server())
            return self.peers[-1]

        endpoint = TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1")
        factory: Any = Factory.forProtocol(make)
        port: Any = await endpoint.listen(factory)
        self.addCleanup(port.stopListening)
        self.dialer = self.hop(f"127.0.0.1:{port.getHost().port}", None, scheme=b"http").dialer
        receiver = WatchedPackets()
        await self.dialer.connectPackets(flow, receiver)
        [tunnel] = self.peers[0].tunnels.values()

        def close() -> Any:
            for peer in self.peers:
                peer.transport.abortConnection()  # type: ignore[union-attr]
            return self.peers[-1].until(lambda: all(peer.lost for peer in self.peers))

        self.addCleanup(close)
        return receiver, self.peers[0], tunnel

    async def test_theRequestIsThatOfTheStandard(self) -> None:
        _, _, tunnel = await self.connect(Flow("ip", Target("10.0.0.0/8", 0), ipProtocol=17))
        headers = tunnel.headers
        self.assertEqual((headers[":method"], headers[":protocol"]), ("CONNECT", "connect-ip"))
        self.assertEqual(headers[":path"], "/.well-known/masque/ip/10.0.0.0%2F8/17/")
        self.assertEqual((headers[":scheme"], headers["capsule-protocol"]), ("http", "?1"))

    async def test_packetsAndCapsulesCrossBothWays(self) -> None:
        receiver, peer, tunnel = await self.connect()
        receiver.channel.requestAddresses([(1, ip_network("0.0.0.0/32"))])
        await peer.until(lambda: tunnel.of(ADDRESS_REQUEST))
        self.assertEqual(tunnel.of(ADDRESS_REQUEST), [ippeers.addresses((1, "0.0.0.0/32"))])
        tunnel.send(capsule(ADDRESS_ASSIGN, ippeers.addresses((1, "10.77.0.5/32"))), piece=3)
        await receiver.until(lambda each: ("assigned", [(1, ip_network("10.77.0.5/32"))]) in each.events)
        receiver.channel.write([packet(5), BULK])
        await peer.until(lambda: len(tunnel.packets) == 44)
        self.assertEqual(tunnel.packets[0], packet(5)[10:])
        self.assertTrue(all(map(intact, tunnel.packets)))
        tunnel.send(b"".join(map(packetCapsule, PACKETS)), piece=11)
        await receiver.until(lambda each: len(each.received) == len(PACKETS))
        self.assertEqual(receiver.received, [PLAIN + each for each in PACKETS])
        self.assertEqual((receiver.channel.mtu, receiver.channel.offload), (1500, False))

    async def test_GOAWAYIsToldAndTheNextTunnelIsOnAnotherConnection(self) -> None:
        receiver, peer, tunnel = await self.connect()
        told: list[bool] = []

        def goingAway() -> None:
            told.append(True)
            receiver.check()

        receiver.channel.notifyGoingAway(goingAway)
        peer.goAway()
        await receiver.until(lambda each: told)
        second = WatchedPackets()
        await self.dialer.connectPackets(ALL, second)
        self.assertEqual(len(self.peers), 2)
        # The first goes on until somebody ends it.
        receiver.channel.write([packet()])
        await peer.until(lambda: tunnel.packets)
        tunnel.send(packetCapsule(PING))
        await receiver.until(lambda each: each.received)
        receiver.channel.loseChannel()
        await peer.until(lambda: tunnel.ended)
        tunnel.send(packetCapsule(PING))
        tunnel.end()
        await receiver.until(lambda each: each.lost is not None)
        self.assertEqual(len(receiver.received), 2)
        self.assertIsNone(second.lost)


class ChainTests(RealTestCase):
    """
    A client, nodes that pass its tunnel on, and the one where it ends: each with connections of its own, TLS between.
    """

    async def node(self, name: str, **upstreams: Hop) -> Hop:
        """
        A node that knows these hops.

        @return: the way to it.
        """
        handler = FlowHandler(Router([Route(Match.fromTexts(protocols=["ip"]))]), upstreams, self.direct, [], reactor)
        address = await self.listen(name, flows=handler)
        return self.hop(address, self.clientCredentials(expectedNode=name), sendVia=True)

    def direct(self, allowSpecial: bool) -> Any:
        raise AssertionError("everything goes through hops")

    async def chain(self) -> tuple[Hop, WatchedPackets]:
        """
        The way to the first of three, and a tunnel that ends at the last.
        """
        end = self.hop(await self.listen("end"), self.clientCredentials(expectedNode="end"), sendVia=True)
        first = await self.node("r1", r2=await self.node("r2", end=end))
        self.listeners.reverse()
        receiver = WatchedPackets()
        await first.dialer.connectPackets(THROUGH, receiver)
        await receiver.until(lambda each: each.channel.offload)
        return first, receiver

    async def test_framesCrossWholeAndTheEndIsInOrder(self) -> None:
        _, receiver = await self.chain()
        self.assertEqual(self.flows.flows[0].identity.node, "edge")
        self.assertEqual(receiver.channel.identity.node, "r1")
        frames = [packet(0), packet(1372), packet(65_507), BULK] * 20
        receiver.channel.write(frames)
        await receiver.until(lambda each: len(each.received) == len(frames))
        self.assertEqual(receiver.received, frames)
        receiver.channel.loseChannel()
        await receiver.until(lambda each: each.lost is not None)
        assert receiver.lost is not None
        receiver.lost.trap(ConnectionDone)

    async def test_whicheverOfThemDrainsTheClientIsAskedToGoAndLosesNothing(self) -> None:
        for place in range(3):
            first, receiver = await self.chain()
            told: list[bool] = []

            def goingAway(told: list[bool] = told, receiver: WatchedPackets = receiver) -> None:
                told.append(True)
                receiver.check()

            receiver.channel.notifyGoingAway(goingAway)
            receiver.channel.write([packet(1)])
            self.listeners[place].drain()
            await receiver.until(lambda each, told=told: told)
            other = WatchedPackets()
            await first.dialer.connectPackets(THROUGH, other)
            receiver.channel.write([packet(2)])
            receiver.channel.loseChannel()
            other.channel.write([packet(3)])
            await other.until(lambda each: each.received)
            await receiver.until(lambda each: each.lost is not None)
            self.assertEqual((receiver.received, other.received), ([packet(1), packet(2)], [packet(3)]))
            other.channel.loseChannel()
            await other.until(lambda each: each.lost is not None)
            self.listeners.clear()


class EnvoyTests(ProcessCase, RealTestCase):  # type: ignore[override]  # C{authority} is only read here
    """
    Envoy passes CONNECT-IP on, from one version of HTTP to the other: it knows nothing of what is in it.
    """

    def setUp(self) -> None:
        ProcessCase.setUp(self)
        self.prepare()

    async def between(self, codec: str, http2: bool) -> None:
        """
        @param codec: what it takes.
        @param http2: what it goes on with.
        """
        address = await self.listen(tls=False, anonymous=True)
        port = freePort()
        listener = httpListener(port, codec, "connect-ip")
        await startEnvoy(self, "envoy", listener, cluster(int(address.rpartition(":")[2]), http2=http2))
        make = None if codec == "HTTP2" else lambda endpoint: HTTP1Client(endpoint, reactor)
        hop = self.hop(f"127.0.0.1:{port}", None, make, scheme=b"http")
        await self.exercisePackets(hop.dialer)

    async def test_HTTP2ToHTTP2(self) -> None:
        await self.between("HTTP2", True)

    async def test_HTTP2ToHTTP1(self) -> None:
        await self.between("HTTP2", False)

    async def test_HTTP1ToHTTP2(self) -> None:
        await self.between("HTTP1", True)

    async def test_HTTP1ToHTTP1(self) -> None:
        await self.between("HTTP1", False)
