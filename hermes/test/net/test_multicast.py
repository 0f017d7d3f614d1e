"""
Tests for L{hermes.net.multicast}: neighbours on a wire of their own, and faces between them.
"""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor as theReactor
from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from hermes.ndn.face.multicast import GROUPS, multicastFace
from hermes.ndn.face.table import FaceTable
from hermes.net.multicast import joinGroup
from hermes.net.network import Network
from hermes.net.udp import UDPSocket
from hermes.test.namespaces import Namespace
from hermes.test.ndn.face.fakes import FakeReceiver, dataOf, interest
from hermes.values import Address

# Its type depends on the platform.
reactor: Any = theReactor

V4, V6 = GROUPS


class Heard:
    """
    Keeps what a socket hears.
    """

    def __init__(self) -> None:
        self.datagrams: list[tuple[bytes, Any]] = []
        self._waiting: list[tuple[int, Deferred[None]]] = []

    def datagramsReceivedFrom(self, datagrams: Any, address: Any) -> None:
        self.datagrams += [(bytes(datagram), address) for datagram in datagrams]
        for wait in [wait for wait in self._waiting if wait[0] <= len(self.datagrams)]:
            self._waiting.remove(wait)
            wait[1].callback(None)

    def until(self, count: int) -> Deferred[None]:
        """
        Wait until so many have come.
        """
        waiting: Deferred[None] = Deferred()
        if len(self.datagrams) >= count:
            waiting.callback(None)
        else:
            self._waiting.append((count, waiting))
        return waiting


class MulticastTests(TestCase):
    """
    Three machines: one is on two wires, with one of the others on each.
    """

    timeout = 20

    def setUp(self) -> None:
        self.middle = Namespace.forTest(self, "middle")
        self.left = Namespace.forTest(self, "left")
        self.right = Namespace.forTest(self, "right")
        self.middle.link(self.left)
        self.middle.link(self.right, ("10.98.0.1/24", "fd98::1/64"), ("10.98.0.2/24", "fd98::2/64"), "eth1")

    def join(self, where: Namespace, group: Address, interface: str = "eth0") -> tuple[UDPSocket, Heard]:
        """
        A socket in a group, and what it hears.
        """
        with where.entered():
            socket = UDPSocket(joinGroup(group, interface), reactor)
        heard = Heard()
        socket.setReceiver(heard)  # type: ignore[arg-type]
        self.addCleanup(socket.stopListening)
        return socket, heard

    async def test_neighboursHearEachOtherAndNobodyHearsItself(self) -> None:
        for group, source in ((V4, "10.99.0.1"), (V6, "fe80::")):
            middle, own = self.join(self.middle, group)
            _, beside = self.join(self.middle, group)
            left, heard = self.join(self.left, group)
            middle.writeTo([b"one", b"two"], group)
            await heard.until(2)
            self.assertEqual([datagram for datagram, _ in heard.datagrams], [b"one", b"two"])
            self.assertTrue(heard.datagrams[0][1][0].startswith(source))
            left.writeTo([b"back"], group)
            await own.until(1)
            await beside.until(1)
            self.assertEqual([datagram for datagram, _ in own.datagrams], [b"back"])
            self.assertEqual([datagram for datagram, _ in beside.datagrams], [b"back"])

    async def test_aGroupIsHeardOnTheInterfaceThatItWasJoinedOn(self) -> None:
        for group in GROUPS:
            toLeft, fromLeft = self.join(self.middle, group, "eth0")
            toRight, fromRight = self.join(self.middle, group, "eth1")
            left, heardLeft = self.join(self.left, group)
            right, heardRight = self.join(self.right, group)
            left.writeTo([b"left"], group)
            right.writeTo([b"right"], group)
            await fromLeft.until(1)
            await fromRight.until(1)
            toLeft.writeTo([b"to the left"], group)
            toRight.writeTo([b"to the right"], group)
            await heardLeft.until(1)
            await heardRight.until(1)
            self.assertEqual(
                [each.datagrams[0][0] for each in (fromLeft, fromRight, heardLeft, heardRight)],
                [b"left", b"right", b"to the left", b"to the right"],
            )
            self.assertEqual([len(each.datagrams) for each in (fromLeft, fromRight)], [1, 1])

    def test_anInterfaceThatIsNotThereIsNamed(self) -> None:
        with self.left.entered():
            for group in GROUPS:
                with self.assertRaises(OSError) as caught:
                    Network(reactor).multicastSocket(group, "eth7")
                self.assertIn(f"{group[0]} on eth7", str(caught.exception))

    async def test_facesOfNeighbours(self) -> None:
        tables = []
        for where in (self.middle, self.left):
            table = FaceTable(reactor)
            table.receiver = FakeReceiver()
            with where.entered():
                socket = Network(reactor).multicastSocket(V4, "eth0")
            table.add(multicastFace(socket, V4, "eth0"))
            self.addCleanup(table.closeAll)
            tables.append(table)
        middle, left = tables
        (sending,), (receiving,) = middle, left
        packet = dataOf(8800)
        done: Deferred[None] = Deferred()
        answer = left.receiver
        assert isinstance(answer, FakeReceiver)
        answer.answer = lambda face, view: done.callback(None)
        sending.sendData(packet)
        sending.sendInterest(interest())
        await done
        self.assertEqual(answer.wires(), [packet.wire, interest().wire])
        self.assertGreater(receiving.counters.inPackets, 7)
