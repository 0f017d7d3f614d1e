"""
Tests for L{hermes.net.handover}, and for what L{hermes.net.network} does with it: a place goes from one listener to
another, and nobody gets in between.
"""

from __future__ import annotations

import os
from errno import EADDRINUSE, EADDRNOTAVAIL
from shutil import rmtree
from socket import AF_INET, SO_REUSEPORT, SOCK_DGRAM, SOCK_STREAM, SOL_SOCKET, socket
from tempfile import mkdtemp
from typing import Any

from hermes.net.sockets import bindDatagrams, bindStreams
from hermes.test.net.descriptors import SourceRecorder
from hermes.test.net.networkcase import NetworkTestCase, Readers


class StreamHandoverTests(NetworkTestCase):
    """
    Ports and paths of listeners for streams.
    """

    def succeed(self, bind: str) -> Readers:
        """
        Another server listens there, once the first has stopped.
        """
        self.port.stopListening()
        self.servers = Readers()
        self.listen(bind)
        return self.servers

    def free(self) -> int:
        """
        A port that nobody has.
        """
        bound = bindStreams("127.0.0.1:0")
        port: int = bound.socket.getsockname()[1]
        bound.close()
        return port

    def test_thePlaceStaysTheListenersUntilItStops(self) -> None:
        address = self.listen(f"127.0.0.1:{self.free()}")
        giveBack = self.network.reserveStreams(address, [address])
        self.connect(address)
        self.reactor.turn()
        self.exchange()
        giveBack()
        self.connect(address)
        self.reactor.turn()
        self.assertEqual(len(self.servers.built), 2)
        self.port.stopListening()
        bindStreams(address).close()

    def test_whoConnectsInBetweenIsServedByTheNext(self) -> None:
        address = self.listen(f"127.0.0.1:{self.free()}")
        before = self.servers
        self.network.reserveStreams(address, [address])
        self.port.stopListening()
        self.connect(address)
        self.reactor.turn()
        self.assertRaises(OSError, bindStreams, address)
        after = self.succeed(address)
        self.reactor.turn()
        self.assertEqual((len(before.built), len(after.built)), (0, 1))
        self.exchange()

    def test_aPathGoesOverWithItsFile(self) -> None:
        directory = mkdtemp()
        self.addCleanup(rmtree, directory)
        path = os.path.join(directory, "s")
        address = self.listen(f"unix:{path}")
        giveBack = self.network.reserveStreams(address, [address])
        self.port.stopListening()
        self.assertTrue(os.path.exists(path))
        self.succeed(address)
        giveBack()
        self.connect(address)
        self.reactor.turn()
        self.exchange()
        self.port.stopListening()
        self.assertFalse(os.path.exists(path))

    def test_aPathThatIsGivenBackStaysTheListeners(self) -> None:
        directory = mkdtemp()
        self.addCleanup(rmtree, directory)
        path = os.path.join(directory, "s")
        address = self.listen(f"unix:{path}")
        self.network.reserveStreams(address, [address])()
        self.assertTrue(os.path.exists(path))
        self.port.stopListening()
        self.assertFalse(os.path.exists(path))

    def test_aPortOnOtherAddressesIsHeldBesideTheOneThatLeaves(self) -> None:
        port = self.free()
        for one, other in (("127.0.0.1", "0.0.0.0"), ("0.0.0.0", "127.0.0.1")):
            before, after = f"{one}:{port}", f"{other}:{port}"
            self.listen(before)
            self.assertRaises(OSError, self.network.reserveStreams, after)
            giveBack = self.network.reserveStreams(after, [before])
            # Neither lets anybody else in, and the one that listens still does.
            with socket(AF_INET, SOCK_STREAM) as stranger:
                error = self.assertRaises(OSError, stranger.bind, ("127.0.0.1", port))
            self.assertEqual(error.errno, EADDRINUSE)
            self.connect(f"127.0.0.1:{port}")
            self.reactor.turn()
            self.exchange()
            self.succeed(after)
            giveBack()
            self.connect(f"127.0.0.1:{port}")
            self.reactor.turn()
            self.exchange()
            self.port.stopListening()

    def test_itIsRefusedWhereSomebodyElseHasThePortToo(self) -> None:
        other = bindStreams("127.0.0.2:0")
        self.addCleanup(other.close)
        other.socket.listen()
        port = other.socket.getsockname()[1]
        before = self.listen(f"127.0.0.1:{port}")
        error = self.assertRaises(OSError, self.network.reserveStreams, f"0.0.0.0:{port}", [before])
        self.assertEqual(error.errno, EADDRINUSE)
        self.connect(before)
        self.reactor.turn()
        self.exchange()
        # And that the port may be shared is forgotten.
        self.assertRaises(OSError, bindStreams, before, True)

    def test_whoseListenerStaysKeepsIt(self) -> None:
        address = self.listen(f"127.0.0.1:{self.free()}")
        port = address.rpartition(":")[2]
        self.assertRaises(OSError, self.network.reserveStreams, f"0.0.0.0:{port}", ["127.0.0.1:1"])

    def test_aPortThatTheKernelHasChosenIsHandedOnToo(self) -> None:
        address = self.listen("127.0.0.1:0")
        self.network.reserveStreams(address, ["127.0.0.1:0"])
        self.succeed(address)
        self.connect(address)
        self.reactor.turn()
        self.exchange()


class DatagramHandoverTests(NetworkTestCase):
    """
    Ports of listeners for datagrams.
    """

    def setUp(self) -> None:
        super().setUp()
        self.sender = socket(AF_INET, SOCK_DGRAM)
        self.addCleanup(self.sender.close)

    def bind(self, address: str) -> tuple[Any, SourceRecorder]:
        """
        A socket, and what it hears.
        """
        bound: Any = self.network.datagramSocket(address)
        self.addCleanup(bound.stopListening)
        sources = SourceRecorder()
        bound.setReceiver(sources)
        return bound, sources

    def send(self, data: bytes, port: int, host: str = "127.0.0.1") -> None:
        """
        Have a datagram arrive.
        """
        self.sender.sendto(data, (host, port))

    def heard(self, sources: SourceRecorder) -> list[bytes]:
        """
        All of it, in order.
        """
        self.reactor.turn()
        return [datagram for _, batch in sources.batches for datagram in batch]

    def free(self) -> int:
        """
        A port that nobody has.
        """
        bound = bindDatagrams("127.0.0.1:0")
        port: int = bound.socket.getsockname()[1]
        bound.close()
        return port

    def test_nothingIsLostWhereASocketGoesOver(self) -> None:
        port = self.free()
        address = f"127.0.0.1:{port}"
        before, first = self.bind(address)
        self.network.reserveDatagrams(address, [address])
        self.send(b"1", port)
        self.assertEqual(self.heard(first), [b"1"])
        self.send(b"2", port)
        before.stopListening()
        self.send(b"3", port)
        _, second = self.bind(address)
        self.send(b"4", port)
        self.assertEqual(self.heard(second), [b"2", b"3", b"4"])
        self.assertEqual(self.heard(first), [b"1"])

    def test_allAddressesAreHeldBesideOne(self) -> None:
        port = self.free()
        before, first = self.bind(f"127.0.0.1:{port}")
        self.network.reserveDatagrams(f"0.0.0.0:{port}", [f"127.0.0.1:{port}"])
        self.assertRaises(OSError, bindDatagrams, f"127.0.0.3:{port}", True)
        self.send(b"1", port)
        self.send(b"for nobody yet", port, "127.0.0.2")
        self.assertEqual(self.heard(first), [b"1"])
        before.stopListening()
        _, second = self.bind(f"0.0.0.0:{port}")
        self.send(b"2", port, "127.0.0.2")
        self.assertEqual(self.heard(second), [b"2"])

    def test_oneAddressOfAllIsTheOldSocketsUntilItCloses(self) -> None:
        port = self.free()
        before, first = self.bind(f"0.0.0.0:{port}")
        giveBack = self.network.reserveDatagrams(f"127.0.0.1:{port}", [f"0.0.0.0:{port}"])
        self.send(b"1", port)
        self.assertEqual(self.heard(first), [b"1"])
        self.assertEqual(before.socket.getsockopt(SOL_SOCKET, SO_REUSEPORT), 0)
        before.stopListening()
        _, second = self.bind(f"127.0.0.1:{port}")
        giveBack()
        self.send(b"2", port)
        self.assertEqual(self.heard(second), [b"2"])

    def test_anAddressThatIsNotThisMachinesIsRefused(self) -> None:
        port = self.free()
        self.bind(f"0.0.0.0:{port}")
        error = self.assertRaises(OSError, self.network.reserveDatagrams, f"192.0.2.1:{port}", [f"0.0.0.0:{port}"])
        self.assertEqual(error.errno, EADDRNOTAVAIL)

    def test_itIsRefusedWhereSomebodyElseHasThePortToo(self) -> None:
        other = bindDatagrams("127.0.0.2:0")
        self.addCleanup(other.close)
        port = other.socket.getsockname()[1]
        self.bind(f"127.0.0.1:{port}")
        for wanted in (f"0.0.0.0:{port}", f"127.0.0.2:{port}"):
            self.assertRaises(OSError, self.network.reserveDatagrams, wanted, [f"127.0.0.1:{port}"])
