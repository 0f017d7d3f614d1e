"""
Sockets with a mark, which rules of routing can tell.
"""

from __future__ import annotations

from errno import EPERM
from socket import AF_INET, AF_INET6, AF_UNIX, SO_MARK, SOCK_DGRAM, SOCK_STREAM, SOL_SOCKET, socket, socketpair
from typing import Any

from twisted.internet.interfaces import IListeningPort
from twisted.trial.unittest import SynchronousTestCase

from hermes.errors import HermesError
from hermes.net.kernelerrors import MissingCapability
from hermes.net.network import DATAGRAM, STREAM, Network
from hermes.net.sockets import bindDatagrams, bindStreams, setMark
from hermes.test.namespaces import needRoot
from hermes.test.net.descriptors import Recorder
from hermes.test.net.networkcase import NetworkTestCase
from hermes.test.rights import withoutRights
from hermes.values import Target

MARK = 0x4845


def markOf(sock: socket) -> int:
    return sock.getsockopt(SOL_SOCKET, SO_MARK)


class MarkTests(NetworkTestCase):
    """
    A network with a mark.
    """

    def setUp(self) -> None:
        needRoot()
        super().setUp()
        self.network = Network(self.reactor, mark=MARK)

    def test_streamsAreMarked(self) -> None:
        for bind in "127.0.0.1:0", "[::1]:0":
            address = self.listen(bind)
            connected = self.connect(address)
            self.reactor.turn()
            self.assertEqual(markOf(self.successResultOf(connected).transport.socket), MARK)

    def test_streamsToSomebodysTargetAreMarked(self) -> None:
        address = self.listen()
        client = self.clients.buildProtocol(None)
        assert client is not None
        self.network.connectStream(Target.fromText(address), client, True)
        self.reactor.turn()
        self.assertEqual(markOf(client.transport.socket), MARK)
        self.exchange()

    def test_whatIsAcceptedIsMarked(self) -> None:
        """
        Answers go out where the question came in.
        """
        address = self.listen()
        self.connect(address)
        self.reactor.turn()
        self.assertEqual(markOf(self.servers.built[0].transport.socket), MARK)

    def test_datagramsAreMarked(self) -> None:
        for host in "127.0.0.1", "::1":
            opened: Any = self.successResultOf(self.network.connectDatagrams(Target(host, 9), True))
            self.assertEqual(markOf(opened.socket), MARK)
            opened.setReceiver(Recorder())
            opened.abortChannel()
        bound: Any = self.network.datagramSocket("127.0.0.1:0")
        self.assertEqual(markOf(bound.socket), MARK)
        bound.stopListening()
        self.reactor.turn()

    def test_inheritedSocketsAreMarked(self) -> None:
        stream, datagram = bindStreams("127.0.0.1:0"), bindDatagrams("127.0.0.1:0")
        self.addCleanup(stream.close)
        self.addCleanup(datagram.close)
        inherited = {
            (STREAM, "a:1"): stream.socket.fileno(),
            (DATAGRAM, "a:1"): datagram.socket.fileno(),
        }
        network = Network(self.reactor, inherited=inherited, mark=MARK)
        port: IListeningPort = self.successResultOf(network.streamServer("a:1").listen(self.servers))
        port.stopListening()
        network.datagramSocket("a:1").stopListening()
        self.assertEqual((markOf(stream.socket), markOf(datagram.socket)), (MARK, MARK))

    def test_unixSocketsNeedNoMark(self) -> None:
        path = f"unix:@{self.id()}"
        self.connect(self.listen(path))
        self.reactor.turn()
        self.exchange()

    def test_withoutAMarkThereIsNone(self) -> None:
        self.network = Network(self.reactor)
        connected = self.connect(self.listen())
        self.reactor.turn()
        self.assertEqual(markOf(self.successResultOf(connected).transport.socket), 0)


class RightTests(SynchronousTestCase):
    """
    Who may not mark sockets.
    """

    def setUp(self) -> None:
        needRoot()

    def test_aNetworkThatCanNotMarkSaysSo(self) -> None:
        error = self.assertRaises(MissingCapability, withoutRights, lambda: Network(None, mark=MARK))
        self.assertIsInstance(error, HermesError)
        self.assertIn("marking sockets needs CAP_NET_ADMIN", str(error))

    def test_settingAMarkLaterIsNoOtherMatter(self) -> None:
        network = Network(None)

        def mark() -> None:
            network.mark = MARK

        self.assertRaises(MissingCapability, withoutRights, mark)
        self.assertIsNone(network.mark)
        mark()
        self.assertEqual(network.mark, MARK)

    def test_withoutAMarkNoRightIsNeeded(self) -> None:
        self.assertIsNone(withoutRights(lambda: Network(None)).mark)

    def test_aSocketThatCanNotBeMarkedSaysSo(self) -> None:
        for family, kind in (AF_INET, SOCK_STREAM), (AF_INET6, SOCK_DGRAM):
            with socket(family, kind) as sock:
                error = self.assertRaises(PermissionError, withoutRights, lambda sock=sock: setMark(sock, MARK))
                self.assertEqual(error.errno, EPERM)
                self.assertIn("CAP_NET_ADMIN", str(error))

    def test_aUnixSocketIsLeftAlone(self) -> None:
        one, other = socketpair(AF_UNIX)
        withoutRights(lambda: setMark(one, MARK))
        one.close()
        other.close()
