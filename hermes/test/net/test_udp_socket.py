"""
A bound datagram socket: batches of many sources, and what may go wrong.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence
from socket import AF_INET, AF_UNIX, SOCK_DGRAM, socket

from twisted.internet.interfaces import IReadDescriptor
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from hermes.interfaces import IDatagramSocket
from hermes.net.segments import SOL_UDP, UDP_SEGMENT
from hermes.net.sockets import bindDatagrams
from hermes.net.udp import UDPSocket
from hermes.test.net.descriptors import DescriptorReactor, SourceRecorder
from hermes.values import Buffer


class UDPSocketTests(SynchronousTestCase):
    """
    A bound socket with many sources.
    """

    def setUp(self) -> None:
        self.reactor = DescriptorReactor()
        self.receiver = SourceRecorder()

    def bound(self, bind: str) -> UDPSocket:
        bound = UDPSocket(bindDatagrams(bind), self.reactor)
        self.addCleanup(bound.stopListening)
        return bound

    def client(self, bound: UDPSocket) -> socket:
        client = socket(AF_INET, SOCK_DGRAM)
        client.connect(bound.socket.getsockname())
        client.setblocking(False)
        self.addCleanup(client.close)
        return client

    def test_itIsASocket(self) -> None:
        bound = self.bound("127.0.0.1:0")
        verifyObject(IDatagramSocket, bound)
        verifyObject(IReadDescriptor, bound)
        self.assertEqual(bound.getHost().host, "127.0.0.1")

    def test_eachSourceIsOneBatch(self) -> None:
        bound = self.bound("127.0.0.1:0")
        one, other = self.client(bound), self.client(bound)
        for number in range(3):
            one.send(b"%d" % number)
            other.send(b"%d" % (number + 10))
        bound.setReceiver(self.receiver)
        self.assertEqual(self.reactor.readers, {bound})
        bound.doRead()
        self.assertEqual(
            self.receiver.batches,
            [(one.getsockname(), [b"0", b"1", b"2"]), (other.getsockname(), [b"10", b"11", b"12"])],
        )

    def test_trainsOfManySourcesAreTakenApart(self) -> None:
        bound = self.bound("127.0.0.1:0")
        bound.setReceiver(self.receiver)
        one, other = self.client(bound), self.client(bound)
        one.sendmsg([b"aaabb"], [(SOL_UDP, UDP_SEGMENT, struct.pack("@H", 3))])
        other.send(b"other")
        one.send(b"cc")
        bound.doRead()
        self.assertEqual(
            self.receiver.batches,
            [(one.getsockname(), [b"aaa", b"bb", b"cc"]), (other.getsockname(), [b"other"])],
        )

    def test_repliesReachTheirSource(self) -> None:
        bound = self.bound("127.0.0.1:0")
        one, other = self.client(bound), self.client(bound)
        bound.writeTo([b"a", b"b", b""], one.getsockname())
        bound.writeTo([b"c"], other.getsockname())
        self.assertEqual([one.recv(10), one.recv(10), one.recv(10), other.recv(10)], [b"a", b"b", b"", b"c"])

    def test_whatCannotBeSentIsDroppedAndCounted(self) -> None:
        bound = self.bound("127.0.0.1:0")
        one = self.client(bound)
        bound.writeTo([b"x" * 65508, b"y"], one.getsockname())
        self.assertEqual(one.recv(10), b"y")
        self.assertEqual(bound.droppedDatagrams, 1)

    def test_aSourceBehindAVanishedInterfaceIsNobody(self) -> None:
        bound = self.bound("[::1]:0")
        bound.writeTo([b"x", b"y"], ("fe80::1%nosuch0", 9))
        self.assertEqual(bound.droppedDatagrams, 2)

    def test_bothFamiliesMeetOnOneSocket(self) -> None:
        bound = self.bound("[::]:0")
        bound.setReceiver(self.receiver)
        one = socket(AF_INET, SOCK_DGRAM)
        self.addCleanup(one.close)
        one.setblocking(False)
        one.connect(("127.0.0.1", bound.getHost().port))
        one.send(b"four")
        bound.doRead()
        self.assertEqual(self.receiver.batches, [(one.getsockname(), [b"four"])])
        bound.writeTo([b"back"], self.receiver.batches[0][0])
        self.assertEqual(one.recv(10), b"back")

    def test_aReceiverThatFailsForOneSourceServesTheOthers(self) -> None:
        class Failing(SourceRecorder):
            def datagramsReceivedFrom(self, datagrams: Sequence[Buffer], address: object) -> None:
                super().datagramsReceivedFrom(datagrams, address)
                raise ValueError("broken")

        bound = self.bound("127.0.0.1:0")
        receiver = Failing()
        bound.setReceiver(receiver)
        self.client(bound).send(b"1")
        self.client(bound).send(b"2")
        bound.doRead()
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 2)
        self.assertEqual([batch for _, batch in receiver.batches], [[b"1"], [b"2"]])

    def test_aReceiverMayStopTheSocketWhileItReads(self) -> None:
        bound = self.bound("127.0.0.1:0")

        class Stopping(SourceRecorder):
            def datagramsReceivedFrom(self, datagrams: Sequence[Buffer], address: object) -> None:
                super().datagramsReceivedFrom(datagrams, address)
                bound.stopListening()

        receiver = Stopping()
        bound.setReceiver(receiver)
        self.client(bound).send(b"1")
        self.client(bound).send(b"2")
        bound.doRead()
        self.assertEqual(len(receiver.batches), 1)
        self.assertEqual(self.reactor.readers, set())
        bound.writeTo([b"too late"], ("127.0.0.1", 9))

    def test_aUnixSocketKnowsItsSourcesByPath(self) -> None:
        folder = self.mktemp()
        os.mkdir(folder)
        path = os.path.join(os.path.relpath(folder), "s")
        bound = self.bound(f"unix:{path}")
        bound.setReceiver(self.receiver)
        client = socket(AF_UNIX, SOCK_DGRAM)
        self.addCleanup(client.close)
        client.bind(path + "c")
        client.connect(path)
        client.send(b"named")
        bound.doRead()
        self.assertEqual(self.receiver.batches, [(path + "c", [b"named"])])
        bound.writeTo([b"back"], path + "c")
        self.assertEqual(client.recv(10), b"back")
        nameless = socket(AF_UNIX, SOCK_DGRAM)
        self.addCleanup(nameless.close)
        nameless.sendto(b"nameless", path)
        bound.doRead()
        self.assertEqual(self.receiver.batches[1:], [("", [b"nameless"])])
        bound.writeTo([b"to nobody"], "")
        self.assertEqual(bound.droppedDatagrams, 1)
        bound.stopListening()
        self.assertFalse(os.path.exists(path))
