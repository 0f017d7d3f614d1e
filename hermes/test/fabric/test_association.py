"""
The UDP relay of a SOCKS5 association.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from hermes.errors import NoRoute
from hermes.fabric.association import UDPAssociation
from hermes.interfaces import IDatagramChannel, IDatagramReceiver, IDatagramSocketReceiver
from hermes.test.fabric.fakes import FakeFlows, FakeSocket
from hermes.values import Buffer, Flow, Target
from hermes.wire.socks import datagramHeader

CLIENT = ("127.0.0.1", 4000)
FLOW = Flow("udp", Target("", 0), ("127.0.0.1", 5555), listener="apps")


@implementer(IDatagramReceiver)
class Receiver:
    """
    The far side.
    """

    def __init__(self) -> None:
        self.channel: Any = None
        self.batches: list[list[bytes]] = []
        self.lost: Failure | None = None

    def channelConnected(self, channel: IDatagramChannel) -> None:
        self.channel = channel

    def datagramsReceived(self, datagrams: Sequence[Buffer]) -> None:
        self.batches.append([bytes(datagram) for datagram in datagrams])

    def channelLost(self, reason: Failure) -> None:
        assert self.lost is None
        self.lost = reason


def to(host: str, payload: bytes, port: int = 53) -> bytes:
    return datagramHeader(host, port) + payload


class AssociationTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.socket = FakeSocket()
        self.flows = FakeFlows()
        self.association = UDPAssociation(
            self.socket, self.flows, self.clock, FLOW, ("127.0.0.1", 0), maxDestinations=2, idleTime=60.0
        )

    def send(self, *datagrams: bytes) -> None:
        self.socket.deliver(CLIENT, *datagrams)

    def up(self, which: int = -1) -> Receiver:
        receiver = Receiver()
        self.flows.asked[which][1].callback(receiver)
        return receiver

    def test_theRolesAreWhole(self) -> None:
        self.send(to("192.0.2.1", b"a"))
        verifyObject(IDatagramSocketReceiver, self.association)
        verifyObject(IDatagramChannel, self.up().channel)

    def test_eachDestinationIsAFlow(self) -> None:
        self.send(to("192.0.2.1", b"a"), to("dns.hermes", b"b", 5353), to("192.0.2.1", b"c"))
        self.assertEqual(
            [flow for flow, _ in self.flows.asked],
            [
                Flow("udp", Target("192.0.2.1", 53), ("127.0.0.1", 5555), listener="apps"),
                Flow("udp", Target("dns.hermes", 5353), ("127.0.0.1", 5555), listener="apps"),
            ],
        )

    def test_aBatchForOneDestinationStaysOne(self) -> None:
        self.send(to("192.0.2.1", b"early"))
        receiver = self.up()
        self.send(to("192.0.2.1", b"1"), to("192.0.2.1", b""), to("192.0.2.1", b"3"))
        self.assertEqual(receiver.batches, [[b"early"], [b"1", b"", b"3"]])

    def test_destinationsThatBeginAlikeAreKeptApart(self) -> None:
        self.send(to("a.hermes", b"1"), to("a.hermes", b"2", 54), to("a.hermes.b", b"3"))
        self.assertEqual(
            [str(flow.target) for flow, _ in self.flows.asked], ["a.hermes:53", "a.hermes:54", "a.hermes.b:53"]
        )

    def test_whatComesBackHasTheDestinationsHeader(self) -> None:
        self.send(to("dns.hermes", b"?"))
        channel = self.up().channel
        channel.write([b"one", memoryview(b"two")])
        self.assertEqual(self.socket.written, [(CLIENT, to("dns.hermes", b"one")), (CLIENT, to("dns.hermes", b"two"))])

    def test_whatIsTooLargeWithItsHeaderIsDroppedAndCounted(self) -> None:
        self.send(to("192.0.2.1", b"?"))
        channel = self.up().channel
        channel.write([bytes(channel.maxDatagramSize), bytes(channel.maxDatagramSize + 1)])
        self.assertEqual([len(datagram) for _, datagram in self.socket.written], [65507])
        self.assertEqual(channel.droppedDatagrams, 1)

    def test_onlyTheClientIsHeard(self) -> None:
        self.socket.deliver(("192.0.2.66", 4000), to("192.0.2.1", b"x"))
        self.send(to("192.0.2.1", b"a"))
        self.socket.deliver(("127.0.0.1", 4001), to("192.0.2.1", b"x"))
        self.assertEqual((len(self.flows.asked), self.association.dropped), (1, 2))

    def test_aClientThatNamedItsPortIsHeldToIt(self) -> None:
        association = UDPAssociation(self.socket, self.flows, self.clock, FLOW, CLIENT)
        self.socket.deliver(("127.0.0.1", 4001), to("192.0.2.1", b"x"))
        self.assertEqual((len(association), association.dropped), (0, 1))
        self.send(to("192.0.2.1", b"x"))
        self.assertEqual(len(association), 1)

    def test_whatCantBeReadIsDroppedAndChoosesNoPort(self) -> None:
        fragment = b"\x00\x00\x01" + to("192.0.2.1", b"x")[3:]
        for datagram in (b"", b"\x00\x00\x00\x09", fragment, to("192.0.2.1", b"x", 0)):
            self.socket.deliver(("127.0.0.1", 9), datagram)
        self.assertEqual((self.flows.asked, self.association.dropped), ([], 4))
        self.send(to("192.0.2.1", b"a"), fragment, to("192.0.2.1", b"b"))
        self.assertEqual(self.up().batches, [[b"a", b"b"]])

    def test_theReservedBytesSayNothing(self) -> None:
        self.send(to("192.0.2.1", b"a"))
        self.send(b"\xff\xff" + to("192.0.2.1", b"b")[2:])
        self.assertEqual(self.up().batches, [[b"a", b"b"]])

    def test_theDestinationUsedLongestAgoMakesRoom(self) -> None:
        self.send(to("192.0.2.1", b"a"))
        first = self.up()
        self.send(to("192.0.2.2", b"b"))
        second = self.up()
        first.channel.write([b"used"])
        self.send(to("192.0.2.3", b"c"))
        self.assertEqual(len(self.association), 2)
        self.assertIsNone(first.lost)
        assert second.lost is not None
        self.assertTrue(second.lost.check(ConnectionDone))

    def test_anIdleDestinationIsClosedAndABusyOneIsNot(self) -> None:
        self.send(to("192.0.2.1", b"a"))
        first = self.up()
        self.clock.advance(30)
        self.send(to("192.0.2.2", b"b"))
        second = self.up()
        self.clock.advance(30)
        self.assertIsNotNone(first.lost)
        self.assertIsNone(second.lost)
        self.clock.advance(30)
        self.assertIsNotNone(second.lost)
        self.assertEqual(len(self.association), 0)
        self.send(to("192.0.2.2", b"b"))
        self.assertEqual(len(self.flows.asked), 3)

    def test_aRefusedDestinationIsAskedForAgainOnlyAfterAWhile(self) -> None:
        self.send(to("192.0.2.1", b"a"))
        self.flows.asked[0][1].errback(NoRoute("no"))
        self.clock.advance(0.5)
        self.send(to("192.0.2.1", b"b"))
        self.assertEqual(len(self.flows.asked), 1)
        self.clock.advance(0.6)
        self.send(to("192.0.2.1", b"c"))
        self.assertEqual(self.up().batches, [[b"c"]])

    def test_aMistakeOfOursIsLogged(self) -> None:
        self.send(to("192.0.2.1", b"a"))
        self.flows.asked[0][1].errback(ZeroDivisionError())
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(len(self.association), 0)

    def test_whatWaitsForAFlowIsBounded(self) -> None:
        for _ in range(100):
            self.send(to("192.0.2.1", bytes(1000)))
        receiver = self.up()
        self.assertLess(sum(map(len, receiver.batches[0])), 17000)
        self.assertGreater(receiver.channel.droppedDatagrams, 80)

    def test_theFarSideEndsItsFlow(self) -> None:
        self.send(to("192.0.2.1", b"a"))
        receiver = self.up()
        receiver.channel.abortChannel()
        receiver.channel.abortChannel()
        receiver.channel.write([b"late"])
        assert receiver.lost is not None
        self.assertTrue(receiver.lost.check(ConnectionAborted))
        self.assertEqual((len(self.association), self.socket.written), (0, []))

    def test_theEndEndsEveryFlow(self) -> None:
        self.send(to("192.0.2.1", b"a"))
        receiver = self.up()
        self.send(to("192.0.2.2", b"b"))
        self.association.close()
        self.association.close()
        self.assertIsNotNone(receiver.lost)
        self.assertEqual((self.flows.cancelled, self.socket.stopped), (1, True))
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.send(to("192.0.2.3", b"c"))
        self.assertEqual(len(self.flows.asked), 2)

    def test_aFlowThatComesUpAfterTheEndIsEnded(self) -> None:
        late = Receiver()
        self.send(to("192.0.2.1", b"a"))
        self.flows.asked[0][1]._canceller = lambda asked: asked.callback(late)
        self.association.close()
        self.assertIsNotNone(late.lost)
