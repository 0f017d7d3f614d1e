"""
Whatever is read is counted: see L{hermes.net.received}.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from socket import AF_INET, SOCK_DGRAM, socket
from unittest import TestCase

from twisted.trial.unittest import SynchronousTestCase

from hermes.net.received import received
from hermes.net.segments import SOL_UDP, UDP_SEGMENT
from hermes.net.sockets import bindDatagrams
from hermes.net.transport import StreamTransport
from hermes.net.udp import UDPChannel, UDPSocket
from hermes.test.net.descriptors import DescriptorReactor, Recorder, udpPair
from hermes.test.net.sockets import HandReactor, unixPair
from hermes.test.net.sockets import Recorder as StreamRecorder
from hermes.test.net.tlscase import TLSCase
from hermes.test.net.tuncase import TunTestCase, packet


@contextmanager
def counted(case: TestCase, least: int, most: int | None = None) -> Iterator[None]:
    """
    So many bytes are received meanwhile.
    """
    before = received.bytes
    yield
    count = received.bytes - before
    case.assertGreaterEqual(count, least)
    case.assertLessEqual(count, least if most is None else most)


class SocketTests(SynchronousTestCase):
    """
    Sockets without TLS.
    """

    def test_streams(self) -> None:
        reactor = HandReactor()
        ours, peer = unixPair()
        self.addCleanup(peer.close)
        self.addCleanup(ours.close)
        StreamTransport(ours, reactor).attach(StreamRecorder())
        with counted(self, 1005):
            for size in (1000, 5):
                peer.send(bytes(size))
                reactor.settle()

    def test_datagramsAndTrainsOfThem(self) -> None:
        ours, peer = udpPair("127.0.0.1")
        self.addCleanup(peer.close)
        self.addCleanup(ours.close)
        channel = UDPChannel(ours, DescriptorReactor())
        channel.setReceiver(Recorder())
        with counted(self, 107):
            peer.send(bytes(100))
            peer.sendmsg([b"aaabbbc"], [(SOL_UDP, UDP_SEGMENT, struct.pack("@H", 3))])
            channel.doRead()

    def test_datagramsFromMany(self) -> None:
        bound = UDPSocket(bindDatagrams("127.0.0.1:0"), DescriptorReactor())
        self.addCleanup(bound.stopListening)
        with socket(AF_INET, SOCK_DGRAM) as client, counted(self, 300):
            for _ in range(3):
                client.sendto(bytes(100), bound.socket.getsockname())
            bound.doRead()


class TLSTests(TLSCase):
    """
    Sockets with TLS.
    """

    def test_records(self) -> None:
        client, _, _, atServer = self.connected()
        with counted(self, 1000, 1400):
            client.write(bytes(1000))
            self.reactor.settle()
        self.assertEqual(len(atServer.received), 1000)


class DeviceTests(TunTestCase):
    """
    TUN devices.
    """

    def test_packets(self) -> None:
        self.open()
        with counted(self, 160, 200):
            self.inside.send(packet(1, 60), packet(2, 100))
            self.reactor.turn()
        self.assertEqual(len(self.receiver.datagrams), 2)
