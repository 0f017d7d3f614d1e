"""
Impaired links for datagrams.
"""

from __future__ import annotations

from random import Random
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.protocol import DatagramProtocol
from twisted.trial.unittest import TestCase

from hermes.testing.links import DatagramImpairment, ImpairedDatagramLink

REACTOR: Any = reactor


class Datagrams(DatagramProtocol):
    """
    Keeps what comes.
    """

    noisy = False
    transport: Any

    def __init__(self, echoes: bool = False) -> None:
        self.echoes = echoes
        self.got: list[bytes] = []
        self.waiting: tuple[int, Deferred[None]] | None = None

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        self.got.append(datagram)
        if self.echoes:
            self.transport.write(datagram, addr)
        if self.waiting is not None and len(self.got) >= self.waiting[0]:
            self.waiting[1].callback(None)
            self.waiting = None

    def until(self, count: int) -> Deferred[None]:
        """
        Fires once so many have come.
        """
        done: Deferred[None] = Deferred()
        if len(self.got) >= count:
            done.callback(None)
        else:
            self.waiting = (count, done)
        return done


class DatagramTests(TestCase):
    timeout = 60

    def link(self, **impairment: float) -> tuple[ImpairedDatagramLink, Datagrams, Datagrams]:
        """
        A link, a client and a target that sends everything back.
        """
        target, client = Datagrams(echoes=True), Datagrams()
        port = REACTOR.listenUDP(0, target, "127.0.0.1")
        link = ImpairedDatagramLink(
            REACTOR, ("127.0.0.1", port.getHost().port), DatagramImpairment(**impairment), Random(1)
        )
        link.start()
        near = REACTOR.listenUDP(0, client, "127.0.0.1")
        client.transport.connect(*link.address)
        for stop in (link.stop, port.stopListening, near.stopListening):
            self.addCleanup(stop)
        return link, client, target

    async def test_datagramsPassBothWays(self) -> None:
        _, client, target = self.link(delay=0.005)
        client.transport.write(b"one")
        client.transport.write(b"two")
        await client.until(2)
        self.assertEqual((client.got, target.got), ([b"one", b"two"], [b"one", b"two"]))

    async def test_oneOfManyIsLostOrComesTwice(self) -> None:
        link, _, _ = self.link(loss=0.3, duplicate=0.3)
        arrived: list[Any] = []
        self.patch(link, "_arrived", arrived.append)
        for number in range(2000):
            link.carry(b"%d" % number, ("127.0.0.1", 1), True)
        counts = link.counts
        self.assertEqual(len(arrived), 2000 - counts["lost"] + counts["duplicated"])
        self.assertTrue(500 < counts["lost"] < 700)
        self.assertTrue(330 < counts["duplicated"] < 510)

    async def test_theSameSeedHasTheSameFate(self) -> None:
        fates = []
        for _ in range(2):
            link, _, _ = self.link(loss=0.5)
            arrived: list[Any] = []
            self.patch(link, "_arrived", arrived.append)
            for number in range(100):
                link.carry(b"%d" % number, ("127.0.0.1", 1), True)
            fates.append(arrived)
        self.assertEqual(fates[0], fates[1])

    async def test_someOvertakeOthers(self) -> None:
        link, client, _ = self.link(delay=0.02, reorder=0.5)
        sent = [b"%d" % number for number in range(40)]
        for datagram in sent:
            client.transport.write(datagram)
        await client.until(40)
        self.assertEqual(sorted(client.got), sorted(sent))
        self.assertNotEqual(client.got, sent)
        self.assertGreater(link.counts["reordered"], 0)

    async def test_downAllIsLost(self) -> None:
        link, client, target = self.link(delay=0.005)
        link.down()
        link.carry(b"lost", ("127.0.0.1", 1), True)
        self.assertEqual(link.counts["lost"], 1)
        link.up()
        client.transport.write(b"found")
        await client.until(1)
        self.assertEqual(target.got, [b"found"])
