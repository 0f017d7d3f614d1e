"""
The network's endpoints, over loopback.
"""

from __future__ import annotations

import os
from shutil import rmtree
from socket import AF_INET, SO_REUSEPORT, SOCK_DGRAM, SOL_SOCKET, socket
from tempfile import mkdtemp
from typing import Any

from twisted.internet.defer import CancelledError
from twisted.internet.error import CannotListenError, ConnectionDone
from twisted.internet.interfaces import IStreamClientEndpoint, IStreamServerEndpoint
from zope.interface.verify import verifyObject

from hermes.errors import HopUnavailable, NameNotFound, TargetProhibited, TargetRefused, TargetUnreachable
from hermes.interfaces import IAttachable, IDatagramChannel, IDatagramSocket, INetwork
from hermes.net.network import DATAGRAM, STREAM, Network
from hermes.net.sockets import bindDatagrams, bindStreams
from hermes.test.net.descriptors import Recorder, SourceRecorder
from hermes.test.net.networkcase import NetworkTestCase, Reader
from hermes.values import Target


class StreamTests(NetworkTestCase):
    """
    Streams without TLS.
    """

    def test_itIsANetwork(self) -> None:
        verifyObject(INetwork, self.network)
        verifyObject(IStreamServerEndpoint, self.network.streamServer("127.0.0.1:0"))
        verifyObject(IStreamClientEndpoint, self.network.streamClient("127.0.0.1:1"))

    def test_aClientMeetsAServer(self) -> None:
        for bind in "127.0.0.1:0", "[::1]:0":
            connected = self.connect(self.listen(bind))
            self.reactor.turn()
            self.assertIs(self.successResultOf(connected), self.clients.built[-1])
            client, server = self.clients.built[-1].transport, self.servers.built[-1].transport
            verifyObject(IAttachable, client)
            verifyObject(IAttachable, server)
            self.assertEqual(server.getPeer(), client.getHost())
            self.assertEqual(client.getPeer(), server.getHost())
            self.exchange()

    def test_aNameOfTheConfigurationMayMeanLoopback(self) -> None:
        self.reactor.nameResolver.names["db.example"] = ("127.0.0.1",)
        connected = self.connect(f"db.example:{self.listen().rpartition(':')[2]}")
        self.reactor.turn()
        self.successResultOf(connected)
        self.exchange()

    def test_anIPv4ClientIsOneOnASocketOfBothFamilies(self) -> None:
        port = self.listen("[::]:0").rpartition(":")[2]
        self.connect(f"127.0.0.1:{port}")
        self.reactor.turn()
        transport = self.servers.built[0].transport
        self.assertEqual((transport.getPeer().host, transport.getHost().host), ("127.0.0.1", "127.0.0.1"))
        self.exchange()

    def test_aUnixSocketIsAPlaceToo(self) -> None:
        folder = mkdtemp()
        self.addCleanup(rmtree, folder)
        path = os.path.join(folder, "s")
        self.network = Network(self.reactor, mode=0o600)
        connected = self.connect(self.listen(f"unix:{path}"))
        self.reactor.turn()
        self.successResultOf(connected)
        self.exchange()
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)
        self.port.stopListening()
        self.assertFalse(os.path.exists(path))
        self.failureResultOf(self.connect(f"unix:{path}"), TargetRefused)

    def test_aRefusalIsTold(self) -> None:
        address = self.listen()
        self.port.stopListening()
        error = self.failureResultOf(self.connect(address), TargetRefused).value
        self.assertIn(address, str(error))

    def test_overlayNamesGoNowhere(self) -> None:
        self.failureResultOf(self.connect("db.hermes:80"), NameNotFound)

    def test_whatIsNoPlaceIsRefused(self) -> None:
        self.assertRaises(ValueError, self.network.streamClient, "nowhere")
        self.assertRaises(ValueError, self.network.streamServer, "nowhere")

    def test_aPlaceInUseIsTold(self) -> None:
        address = self.listen()
        error = self.failureResultOf(self.network.streamServer(address).listen(self.servers), CannotListenError).value
        self.assertIn(address, str(error))

    def test_aFactoryMayWantNoConnection(self) -> None:
        self.servers.wanted = False
        self.connect(self.listen())
        self.reactor.turn()
        self.assertEqual([end.type for end in self.clients.built[0].ends], [ConnectionDone])
        self.clients.wanted = False
        self.failureResultOf(self.connect(self.listen()), HopUnavailable)
        self.reactor.turn()

    def test_portsAreSharedWhereAsked(self) -> None:
        self.network = Network(self.reactor, reusePort=True)
        self.listen(self.listen())

    def test_anInheritedSocketIsUsed(self) -> None:
        inherited = bindStreams("127.0.0.1:0")
        self.addCleanup(inherited.close)
        self.network = Network(self.reactor, inherited={(STREAM, "127.0.0.1:1"): inherited.socket.fileno()})
        self.assertEqual(self.listen("127.0.0.1:1"), f"127.0.0.1:{inherited.socket.getsockname()[1]}")
        self.port.stopListening()
        # A reload listens again.
        connected = self.connect(self.listen("127.0.0.1:1"))
        self.reactor.turn()
        self.successResultOf(connected)
        self.exchange()

    def test_aReservedPlaceTakesNobodyUntilSomebodyListens(self) -> None:
        address = self.free()
        giveBack = self.network.reserveStreams(address)
        self.failureResultOf(self.turned(self.connect(address)), TargetRefused, HopUnavailable)
        self.listen(address)
        # From here on it is the listener's.
        giveBack()
        self.successResultOf(self.turned(self.connect(address)))
        self.exchange()

    def test_aReservedPlaceThatIsGivenBackIsFree(self) -> None:
        address = self.free()
        giveBack = self.network.reserveStreams(address)
        giveBack()
        giveBack()
        self.addCleanup(bindStreams(address).close)

    def test_whatIsInUseCanNotBeReserved(self) -> None:
        address = self.listen()
        self.assertRaises(OSError, self.network.reserveStreams, address)
        self.port.stopListening()
        self.network.reserveStreams(address)()

    def test_aReservedUnixSocketLeavesNoFileBehind(self) -> None:
        directory = mkdtemp()
        self.addCleanup(rmtree, directory)
        path = os.path.join(directory, "s")
        giveBack = self.network.reserveStreams(f"unix:{path}")
        self.assertTrue(os.path.exists(path))
        giveBack()
        self.assertFalse(os.path.exists(path))

    def test_nothingIsReservedWhereTheKernelChooses(self) -> None:
        giveBack = self.network.reserveStreams("127.0.0.1:0")
        first, second = self.listen("127.0.0.1:0"), self.listen("127.0.0.1:0")
        self.assertNotEqual(first, second)
        giveBack()

    def free(self) -> str:
        """
        An address that nobody has.
        """
        bound = bindStreams("127.0.0.1:0")
        host, port = bound.socket.getsockname()
        bound.close()
        return f"{host}:{port}"

    def turned(self, connected: Any) -> Any:
        """
        The same, once the reactor has turned.
        """
        self.reactor.turn()
        return connected


class TargetTests(NetworkTestCase):
    """
    Targets that somebody else named.
    """

    def target(self) -> Target:
        return Target.fromText(self.listen())

    def test_anAllowedTargetIsConnectedTo(self) -> None:
        reader = Reader()
        self.clients.built.append(reader)
        connected = self.network.connectStream(self.target(), reader, allowSpecial=True)
        self.reactor.turn()
        self.assertIs(self.successResultOf(connected), reader)
        self.exchange()

    def test_aSpecialTargetIsRefused(self) -> None:
        target = self.target()
        self.reactor.nameResolver.names["inside.example"] = (target.host,)
        for host in target.host, "inside.example":
            connected = self.network.connectStream(Target(host, target.port), Reader())
            self.failureResultOf(connected, TargetProhibited)
            self.failureResultOf(self.network.connectDatagrams(Target(host, target.port)), TargetProhibited)
        self.reactor.turn()
        self.assertEqual(self.servers.built, [])

    def test_aCancelledConnectionIsNotMade(self) -> None:
        connected = self.network.connectStream(Target("slow.example", 80), Reader())
        connected.cancel()
        self.failureResultOf(connected, CancelledError)
        self.assertEqual((self.reactor.getDelayedCalls(), self.reactor.writers), ([], set()))


class DatagramTests(NetworkTestCase):
    """
    Channels and sockets.
    """

    def test_aChannelMeetsASocket(self) -> None:
        for host in "127.0.0.1", "[::1]":
            bound = self.network.datagramSocket(f"{host}:0")
            verifyObject(IDatagramSocket, bound)
            self.addCleanup(bound.stopListening)
            sources = SourceRecorder()
            bound.setReceiver(sources)
            address: Any = bound.getHost()
            channel = self.successResultOf(self.network.connectDatagrams(Target(address.host, address.port), True))
            verifyObject(IDatagramChannel, channel)
            receiver = Recorder()
            channel.setReceiver(receiver)
            channel.write([b"to", b"", b"there"])
            self.reactor.turn()
            ((source, batch),) = sources.batches
            self.assertEqual(batch, [b"to", b"", b"there"])
            bound.writeTo([b"back", b"home"], source)
            self.reactor.turn()
            self.assertEqual(receiver.batches, [[b"back", b"home"]])
            channel.loseChannel()
            self.reactor.turn()
            self.assertEqual([end.type for end in receiver.ends], [ConnectionDone])

    def test_whereThereIsNoWayTheNextAddressIsTaken(self) -> None:
        # A link-local address without an interface can't be connected to.
        self.reactor.nameResolver.names["db.example"] = ("fe80::1", "127.0.0.1")
        channel: Any = self.successResultOf(self.network.connectDatagrams(Target("db.example", 9), True))
        self.assertEqual(channel.getPeer().host, "127.0.0.1")
        channel.abortChannel()
        self.reactor.turn()
        self.failureResultOf(self.network.connectDatagrams(Target("fe80::1", 9), True), TargetUnreachable)

    def test_whatCannotBeBoundIsTold(self) -> None:
        bound: Any = self.network.datagramSocket("127.0.0.1:0")
        self.addCleanup(bound.stopListening)
        self.assertRaises(OSError, self.network.datagramSocket, f"127.0.0.1:{bound.getHost().port}")

    def test_whatWasSentToAReservedSocketIsNeverDelivered(self) -> None:
        with socket(AF_INET, SOCK_DGRAM) as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        address = f"127.0.0.1:{port}"
        giveBack = self.network.reserveDatagrams(address)
        with socket(AF_INET, SOCK_DGRAM) as sender:
            for _ in range(3):
                sender.sendto(b"early", ("127.0.0.1", port))
            bound = self.network.datagramSocket(address)
            self.addCleanup(bound.stopListening)
            giveBack()
            sources = SourceRecorder()
            bound.setReceiver(sources)
            sender.sendto(b"late", ("127.0.0.1", port))
            self.reactor.turn()
        self.assertEqual([batch for _, batch in sources.batches], [[b"late"]])

    def test_portsAreSharedWhereAsked(self) -> None:
        bound: Any = Network(self.reactor, reusePort=True).datagramSocket("127.0.0.1:0")
        self.addCleanup(bound.stopListening)
        self.assertEqual(bound.socket.getsockopt(SOL_SOCKET, SO_REUSEPORT), 1)

    def test_anInheritedSocketIsUsed(self) -> None:
        inherited = bindDatagrams("127.0.0.1:0")
        self.addCleanup(inherited.close)
        network = Network(self.reactor, inherited={(DATAGRAM, "127.0.0.1:1"): inherited.socket.fileno()})
        bound: Any = network.datagramSocket("127.0.0.1:1")
        self.assertEqual(bound.getHost().port, inherited.socket.getsockname()[1])
        bound.stopListening()
        self.assertNotEqual(inherited.socket.fileno(), -1)
