"""
Tests for L{hermes.ndn.face.dialing}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.protocol import Protocol
from websockets.server import ServerProtocol

from hermes.errors import NoRoute, TargetRefused
from hermes.fabric.joint import joint
from hermes.ndn.face.dialed import DialedFace
from hermes.ndn.face.dialing import LinkDialer
from hermes.ndn.face.uri import FaceAddress
from hermes.test.fabric.fakenetwork import FakeNetwork
from hermes.test.fabric.fakes import FakeFlows
from hermes.test.ndn.face.fakes import data, interest
from hermes.test.ndn.face.test_streamchannel import Receiver
from hermes.test.ndn.face.test_table import TableCase
from hermes.test.ndn.face.test_websocket import Peer
from hermes.values import Flow, Target


class Bytes(Protocol):
    """
    The protocol at the near end of a flow.
    """

    transport: Any

    def __init__(self) -> None:
        self.received = b""
        self.lost: Any = None

    def dataReceived(self, data: bytes) -> None:
        self.received += data

    def connectionLost(self, reason: Any = None) -> None:
        self.lost = reason


class LinkDialerTests(TableCase):
    """
    Links are flows, or go straight.
    """

    def setUp(self) -> None:
        super().setUp()
        self.flows = FakeFlows()
        self.network = FakeNetwork(self.clock)
        self.dialer = LinkDialer(self.clock, self.flows, self.network, lambda: joint(self.clock), "names")

    def face(self, text: str, direct: bool = False) -> DialedFace:
        """
        One that is in the table.
        """
        face = self.dialer.face(FaceAddress.fromText(text), "permanent", direct=direct, name="one")
        self.table.add(face)
        self.addCleanup(face.close)
        return face

    def test_aDatagramFlow(self) -> None:
        face = self.face("udp:onl.ndn.hermes:6363")
        flow, opening = self.flows.asked[0]
        self.assertEqual(flow, Flow("udp", Target("onl.ndn.hermes", 6363), listener="names"))
        near = Receiver()
        opening.callback(near)
        self.assertTrue(face.up)
        face.sendInterest(interest())
        self.assertEqual(near.datagrams, [interest().wire])
        channel: Any = near.channel
        channel.write([data().wire])
        self.assertEqual(self.receiver.wires(), [data().wire])
        self.assertEqual((face.remoteURI, face.localURI), ("udp://onl.ndn.hermes:6363", "flow://one"))
        self.assertFalse(face.local)
        face.close()
        self.assertIsNotNone(near.lost)

    def test_aFlowThatEndsIsOpenedAgain(self) -> None:
        face = self.face("udp:onl.ndn.hermes:6363")
        near = Receiver()
        self.flows.asked[0][1].callback(near)
        channel: Any = near.channel
        channel.abortChannel()
        self.assertFalse(face.up)
        self.clock.advance(1)
        self.assertEqual(len(self.flows.asked), 2)
        self.flows.asked[1][1].errback(NoRoute("no route"))
        self.assertEqual(face.problem, "no route")
        self.clock.advance(2)
        self.assertEqual(len(self.flows.asked), 3)

    def test_aStreamFlow(self) -> None:
        face = self.face("tcp:onl.ndn.hermes:6363")
        flow, opening = self.flows.asked[0]
        self.assertEqual(flow, Flow("tcp", Target("onl.ndn.hermes", 6363), listener="names"))
        near = Bytes()
        opening.callback(near)
        face.sendInterest(interest())
        self.assertEqual(near.received, interest().wire)
        near.transport.write(data().wire[:7])
        near.transport.write(data().wire[7:])
        self.assertEqual(self.receiver.wires(), [data().wire])
        near.transport.loseConnection()
        self.clock.advance(0)
        self.assertFalse(face.up)

    def test_aFlowThatDoesNotTakeWhatIsSentIsFull(self) -> None:
        face = self.face("tcp:onl.ndn.hermes:6363")
        near = Bytes()
        self.flows.asked[0][1].callback(near)
        near.transport.pauseProducing()
        for _ in range(1000):
            face.sendData(data(content=bytes(4000)))
        self.assertGreater(face.counters.droppedPackets, 500)
        near.transport.resumeProducing()
        self.assertLess(len(near.received), 2_000_000)
        self.assertEqual(len(near.received) % len(data(content=bytes(4000)).wire), 0)

    def test_aWebSocketInAFlow(self) -> None:
        face = self.face("ws:onl.ndn.hermes:9696/ndn")
        flow, opening = self.flows.asked[0]
        self.assertEqual(flow.target, Target("onl.ndn.hermes", 9696))
        near = Bytes()
        opening.callback(near)
        self.assertFalse(face.up)
        protocol = ServerProtocol()
        protocol.receive_data(near.received)
        protocol.send_response(protocol.accept(protocol.events_received()[0]))  # type: ignore[arg-type]
        near.transport.write(b"".join(protocol.data_to_send()))
        self.assertTrue(face.up)
        self.assertEqual(face.remoteURI, "ws://onl.ndn.hermes:9696/ndn")

    def test_straight(self) -> None:
        for text, address, uri, local in (
            ("tcp:192.0.2.1:6363", "192.0.2.1:6363", "tcp4://192.0.2.1:6363", False),
            ("tcp:127.0.0.1:6363", "127.0.0.1:6363", "tcp4://127.0.0.1:6363", True),
            ("tcp:far.example:6363", "far.example:6363", "tcp://far.example:6363", False),
            ("unix:/run/nfd.sock", "unix:/run/nfd.sock", "unix:///run/nfd.sock", True),
        ):
            face = self.face(text, direct=True)
            place, stream = self.network.streams[-1]
            self.assertEqual((place, face.remoteURI, face.local), (address, uri, local))
            self.assertEqual(face.localURI, "direct://one")
            face.sendInterest(interest())
            self.assertEqual(bytes(stream.taken), interest().wire)
            face.close()
        self.assertEqual(self.flows.asked, [])

    def test_datagramsStraight(self) -> None:
        face = self.face("udp:192.0.2.1:6363", direct=True)
        place, channel = self.network.channels[0]
        self.assertEqual((place, self.network.special, face.local), ("192.0.2.1:6363", [True], False))
        face.sendInterest(interest())
        self.assertEqual(channel.written, [interest().wire])

    def test_aWebSocketStraight(self) -> None:
        face = self.face("ws:192.0.2.1:9696", direct=True)
        peer = Peer(self.network.streams[0][1], ServerProtocol())
        peer.pump()
        peer.protocol.send_response(peer.protocol.accept(peer.events[0]))
        peer.pump()
        self.assertTrue(face.up)
        face.sendInterest(interest())
        peer.pump()
        self.assertEqual(peer.messages, [interest().wire])
        # A server that turns us away is tried again.
        again = self.face("ws:192.0.2.2:9696", direct=True)
        peer = Peer(self.network.streams[1][1], ServerProtocol())
        peer.pump()
        peer.protocol.send_response(peer.protocol.reject(503, "later"))
        peer.pump()
        self.clock.pump([0, 0])
        self.assertIn("503", again.problem)
        self.clock.advance(1)
        self.assertEqual(len(self.network.streams), 3)
        again.close()
        self.clock.advance(0)

    def test_aTargetThatRefuses(self) -> None:
        self.network.refusing["127.0.0.1:6363"] = TargetRefused("127.0.0.1:6363 refused the connection")
        face = self.face("tcp:127.0.0.1:6363", direct=True)
        self.assertEqual(face.problem, "127.0.0.1:6363 refused the connection")
        self.clock.advance(1)
        self.assertEqual(len(self.network.tried), 2)

    def test_aFaceThatIsClosedWhileItsLinkIsOpenedGivesItUp(self) -> None:
        for text in ("udp:a.hermes:1", "tcp:a.hermes:1", "ws:a.hermes:1"):
            self.face(text).close()
        self.assertEqual(self.flows.cancelled, 3)
        self.assertEqual(len(self.table), 0)

    def test_whatSomebodyAsksForIsForRoutesToAllow(self) -> None:
        address = FaceAddress.fromText("udp:192.0.2.1:6363")
        with self.assertRaises(NoRoute):
            self.dialer.asked(address, "persistent", None, 0)
        flows: list[Flow] = []
        self.patch(FakeFlows, "authorise", lambda _, flow: flows.append(flow))
        face = self.dialer.asked(address, "persistent", 1400, 3)
        self.assertEqual(flows, [Flow("udp", Target("192.0.2.1", 6363), listener="names")])
        self.assertEqual((face.remoteURI, face.persistency, face.mtu, face.flags), (address.uri, "persistent", 1400, 3))
        with self.assertRaises(ValueError):
            self.dialer.asked(FaceAddress.fromText("unix:/run/nfd.sock"), "persistent", None, 0)

    def test_noFlowLeadsToAUnixSocket(self) -> None:
        with self.assertRaises(ValueError):
            self.dialer.face(FaceAddress.fromText("unix:/run/nfd.sock"))
