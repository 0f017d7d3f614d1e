"""
CONNECT-IP on real sockets, TLS and HTTP.
"""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor
from twisted.internet.error import ConnectionDone

from hermes.http1.client import HTTP1Client
from hermes.test.tunnel.echo import WatchedPackets
from hermes.test.tunnel.frames import BULK, packet
from hermes.test.tunnel.realtunnels import RealTestCase
from hermes.values import Flow, Target

ALL = Flow("ip", Target("*", 0))


def http1(endpoint: Any) -> Any:
    """
    Exchanges by HTTP/1.1.
    """
    clock: Any = reactor
    return HTTP1Client(endpoint, clock)


class IPListenerTests(RealTestCase):
    """
    Tunnels of IP packets through a tunnel listener.
    """

    async def test_nodesMeetOverMutualTLSAndHTTP2(self) -> None:
        hop = self.hop(await self.listen(), self.clientCredentials())
        await self.exercisePackets(hop.dialer)
        self.assertEqual((self.flows.flows[0].protocol, self.flows.flows[0].identity.node), ("ip", "edge"))

    async def test_byUpgradeOverHTTP1WithTLS(self) -> None:
        tls = self.clientCredentials(protocols=(b"http/1.1",))
        hop = self.hop(await self.listen(), tls, http1)
        await self.exercisePackets(hop.dialer)

    async def test_cleartextByPriorKnowledgeAndByUpgrade(self) -> None:
        address = await self.listen(tls=False, anonymous=True)
        for make in (None, http1):
            hop = self.hop(address, None, make, scheme=b"http")
            await self.exercisePackets(hop.dialer)

    async def test_aNestedTunnelTellsTheMiddleOnlyTheNextHop(self) -> None:
        tls = self.clientCredentials()
        middle, last = self.hop(await self.listen(), tls), self.hop(await self.listen(), tls)
        await self.exercisePackets(last.through(middle.dialer))
        self.assertEqual([flow.protocol for flow in self.flows.flows], ["tcp", "ip"])

    async def test_aDrainingListenerAsksItsClientsToGoAndTheTunnelGoesOn(self) -> None:
        hop = self.hop(await self.listen(), self.clientCredentials())
        first, second = WatchedPackets(), WatchedPackets()
        await hop.dialer.connectPackets(ALL, first)
        told: list[bool] = []

        def goingAway() -> None:
            told.append(True)
            first.check()

        first.channel.notifyGoingAway(goingAway)
        self.listeners[0].drain()
        await first.until(lambda each: told)
        first.channel.write([packet(), BULK])
        await first.until(lambda each: len(each.received) == 2)
        # As a client would: another, and only then the end of this one. It is another connection.
        await hop.dialer.connectPackets(ALL, second)
        second.channel.write([packet()])
        first.channel.loseChannel()
        await second.until(lambda each: len(each.received) == 1)
        await first.until(lambda each: each.lost is not None)
        assert first.lost is not None
        first.lost.trap(ConnectionDone)
        self.assertIsNone(second.lost)

    async def test_aLostConnectionIsTold(self) -> None:
        hop = self.hop(await self.listen(), self.clientCredentials())
        receiver = WatchedPackets()
        await hop.dialer.connectPackets(ALL, receiver)
        self.listeners[0].abort()
        await receiver.until(lambda each: each.lost is not None)
        assert receiver.lost is not None
        self.assertIsNone(receiver.lost.check(ConnectionDone))
