"""
Tests for L{hermes.ndn.face.websocket}, against the protocol of the C{websockets} library.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.python.failure import Failure
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.http11 import Request, Response
from websockets.protocol import OPEN
from websockets.server import ServerProtocol
from websockets.uri import parse_uri

from hermes.errors import HopUnavailable
from hermes.ndn.face.accepting import WebSocketFaces
from hermes.ndn.face.backlog import MAX_BATCH
from hermes.ndn.face.framing import MAX_LINK_PACKET
from hermes.ndn.face.websocket import HANDSHAKE_TIME, PING_EVERY, WebSocketChannel, WebSocketRefused
from hermes.test.fabric.fakes import FakeStream
from hermes.test.ndn.face.fakes import data, dataOf, interest
from hermes.test.ndn.face.test_streamchannel import Receiver
from hermes.test.ndn.face.test_table import TableCase
from hermes.values import Target


class Peer:
    """
    The other end of a stream, as the library has it.

    @ivar messages: what came, complete.
    @ivar frames: every frame.
    """

    def __init__(self, stream: FakeStream, protocol: Any) -> None:
        self.stream = stream
        self.protocol = protocol
        self.messages: list[bytes] = []
        self.frames: list[Frame] = []
        self.events: list[Any] = []
        self._read = 0
        self._parts = b""

    @property
    def closeCode(self) -> int | None:
        """
        With what the other end has ended.
        """
        received = self.protocol.close_rcvd
        return None if received is None else int(received.code)

    def pump(self) -> None:
        """
        Let both read what the other has written.
        """
        while True:
            new = bytes(self.stream.taken[self._read :])
            self._read += len(new)
            if new:
                self.protocol.receive_data(new)
            for event in self.protocol.events_received():
                self.events.append(event)
                if isinstance(event, Frame):
                    self._frame(event)
            out = b"".join(self.protocol.data_to_send())
            if out and self.stream.lost is None and self.stream.reading:
                self.stream.deliver(out)
            elif not new:
                return

    def _frame(self, frame: Frame) -> None:
        self.frames.append(frame)
        if frame.opcode in (Opcode.BINARY, Opcode.CONT):
            self._parts += frame.data
            if frame.fin:
                self.messages.append(self._parts)
                self._parts = b""


class ServerTests(TableCase):
    """
    A browser connects.
    """

    origins: tuple[str, ...] | None = None

    def setUp(self) -> None:
        super().setUp()
        self.faces = WebSocketFaces(self.table, self.origins)

    def tearDown(self) -> None:
        self.table.closeAll()
        self.clock.advance(0)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def connect(self, origin: str | None = None) -> Peer:
        """
        A client, that has sent its request.
        """
        stream = FakeStream(self.clock)
        stream.attach(self.faces.buildProtocol(None))
        protocol = ClientProtocol(parse_uri("ws://127.0.0.1:9696/ndn"), origin=origin)  # type: ignore[arg-type]
        protocol.send_request(protocol.connect())
        peer = Peer(stream, protocol)
        peer.pump()
        return peer

    def test_soManyAtOnceAndTheRestInTheNextTurns(self) -> None:
        peer = self.connect()
        wires = [interest(f"/a/{number}", nonce=number).wire for number in range(2 * MAX_BATCH + 10)]
        for wire in wires:
            peer.protocol.send_binary(wire)
        peer.stream.deliver(b"".join(peer.protocol.data_to_send()))
        for count in (MAX_BATCH, 2 * MAX_BATCH):
            self.assertEqual(self.receiver.wires(), wires[:count])
            # Nothing is read meanwhile.
            self.assertFalse(peer.stream.reading)
            self.turn()
        self.assertEqual(self.receiver.wires(), wires)
        self.assertTrue(peer.stream.reading)

    def test_theEndIsHeardInItsTurn(self) -> None:
        peer = self.connect()
        for number in range(MAX_BATCH + 1):
            peer.protocol.send_binary(interest(nonce=number).wire)
        peer.protocol.send_close()
        peer.stream.deliver(b"".join(peer.protocol.data_to_send()))
        self.assertEqual(len(self.table), 1)
        self.turn()
        self.turn()
        self.assertEqual((len(self.receiver.packets), len(self.table)), (MAX_BATCH + 1, 0))

    def test_aFaceThatIsClosedReadsNoMore(self) -> None:
        peer = self.connect()
        for number in range(MAX_BATCH + 1):
            peer.protocol.send_binary(interest(nonce=number).wire)
        peer.stream.deliver(b"".join(peer.protocol.data_to_send()))
        peer.stream.fail(ConnectionLost())
        self.turn()
        self.assertEqual((len(self.receiver.packets), len(self.table)), (MAX_BATCH, 0))

    def turn(self) -> None:
        """
        A turn of a reactor: what is called later in it belongs to the next. L{Clock} would call that too.
        """
        for call in [call for call in self.clock.calls if call.getTime() <= self.clock.seconds()]:
            self.clock.calls.remove(call)
            call.called = 1
            call.func(*call.args)

    def test_packetsAreMessages(self) -> None:
        peer = self.connect()
        self.assertIs(peer.protocol.state, OPEN)
        (face,) = self.table
        one, two = interest(), dataOf(8800)
        peer.protocol.send_binary(one.wire)
        peer.protocol.send_binary(two.wire)
        peer.pump()
        self.assertEqual(self.receiver.wires(), [one.wire, two.wire])
        face.sendData(two)
        face.sendInterest(one)
        peer.pump()
        self.assertEqual(peer.messages, [two.wire, one.wire])
        self.assertEqual((face.remoteURI, face.localURI), ("ws://127.0.0.1:50000", "ws://127.0.0.1:3306"))

    def test_messagesMayComeInPieces(self) -> None:
        peer = self.connect()
        wire = dataOf(5000).wire
        peer.protocol.send_binary(wire[:100], fin=False)
        peer.protocol.send_continuation(wire[100:4000], fin=False)
        peer.protocol.send_ping(b"meanwhile")
        peer.protocol.send_continuation(wire[4000:], fin=True)
        out = b"".join(peer.protocol.data_to_send())
        for start in range(0, len(out), 7):
            peer.stream.deliver(out[start : start + 7])
        peer.pump()
        self.assertEqual(self.receiver.wires(), [wire])
        self.assertEqual([(frame.opcode, frame.data) for frame in peer.frames], [(Opcode.PONG, b"meanwhile")])

    def test_aProgramOfThisHostIsLocalAndAPageIsNot(self) -> None:
        self.connect()
        self.connect("https://app.example")
        self.assertEqual([face.local for face in self.table], [True, False])

    def test_whoComesByAProxyIsNotLocal(self) -> None:
        for field in ("Via", "Forwarded", "X-Forwarded-For"):
            stream = FakeStream(self.clock)
            stream.attach(self.faces.buildProtocol(None))
            protocol = ClientProtocol(parse_uri("ws://127.0.0.1:9696/"))
            request = protocol.connect()
            request.headers[field] = "1.1 edge"
            protocol.send_request(request)
            Peer(stream, protocol).pump()
        self.assertEqual([face.local for face in self.table], [False, False, False])

    def test_garbageIsCounted(self) -> None:
        peer = self.connect()
        (face,) = self.table
        peer.protocol.send_binary(b"no packet")
        peer.protocol.send_binary(b"")
        peer.protocol.send_binary(interest().wire)
        peer.pump()
        self.assertEqual(face.counters.malformedPackets, 2)
        self.assertEqual(self.receiver.wires(), [interest().wire])

    def test_textIsNotTaken(self) -> None:
        peer = self.connect()
        peer.protocol.send_text(b"hello")
        peer.pump()
        self.assertEqual(peer.closeCode, 1003)
        self.clock.advance(0)
        self.assertEqual(len(self.table), 0)

    def test_aMessageThatIsTooLargeIsNotTaken(self) -> None:
        for fin in (True, False):
            peer = self.connect()
            peer.protocol.send_binary(bytes(MAX_LINK_PACKET + 1), fin=fin)
            peer.pump()
            self.assertEqual(peer.closeCode, 1009)
            self.clock.advance(0)
            self.assertEqual(len(self.table), 0)

    def test_whatIsNoFrameEnds(self) -> None:
        peer = self.connect()
        peer.stream.deliver(b"\xff" * 20)
        peer.pump()
        self.assertEqual(peer.closeCode, 1002)
        self.clock.advance(0)
        self.assertEqual(len(self.table), 0)

    def test_thePeerEndsInOrder(self) -> None:
        peer = self.connect()
        peer.protocol.send_close(1000)
        peer.pump()
        self.assertEqual(peer.closeCode, 1000)
        self.clock.advance(0)
        self.assertEqual(self.events()[-2:], [("down", 256), ("destroyed", 256)])

    def test_weEndInOrder(self) -> None:
        peer = self.connect()
        (face,) = self.table
        face.sendInterest(interest())
        face.close()
        peer.pump()
        self.assertEqual(peer.messages, [interest().wire])
        self.assertEqual(peer.closeCode, 1000)

    def test_aSilentPeerIsAskedAndThenLeft(self) -> None:
        peer = self.connect()
        self.clock.advance(PING_EVERY)
        peer.pump()
        self.clock.advance(PING_EVERY)
        self.assertEqual(len(self.table), 1)
        self.assertEqual([frame.opcode for frame in peer.frames], [Opcode.PING])
        # From here on it says nothing.
        self.clock.advance(PING_EVERY)
        self.clock.advance(0)
        self.assertEqual((len(self.table), peer.stream.calls), (0, ["abortConnection"]))

    def test_aRequestMustComeInTime(self) -> None:
        stream = FakeStream(self.clock)
        stream.attach(self.faces.buildProtocol(None))
        stream.deliver(b"GET / HTTP/1.1\r\nHost: a\r\n")
        self.clock.advance(HANDSHAKE_TIME)
        self.clock.advance(0)
        self.assertEqual(stream.calls, ["abortConnection"])

    def test_whatIsNoRequestForAWebSocketIsRefused(self) -> None:
        for request in (
            b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
            b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 8\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
            b"\x05\x10\x07\x08\x08\x01a\r\n\r\n",
        ):
            stream = FakeStream(self.clock)
            stream.attach(self.faces.buildProtocol(None))
            stream.deliver(request)
            self.assertRegex(bytes(stream.taken), rb"^HTTP/1.1 4\d\d ")
            self.clock.advance(0)
            self.assertIsNotNone(stream.lost)
        self.assertEqual(self.events(), [])

    def test_aHeadWithoutEndIsNotKept(self) -> None:
        stream = FakeStream(self.clock)
        stream.attach(self.faces.buildProtocol(None))
        stream.deliver(b"GET / HTTP/1.1\r\n")
        for _ in range(1000):
            if not stream.reading:
                break
            stream.deliver(b"X-Filler: " + b"x" * 1000 + b"\r\n")
        self.assertFalse(stream.reading)

    def test_thePacketsOfASlowReaderAreBounded(self) -> None:
        peer = self.connect()
        (face,) = self.table
        peer.stream.room = 0
        for _ in range(400):
            face.sendData(dataOf(8000))
        self.assertGreater(face.counters.droppedPackets, 200)
        peer.stream.take()
        peer.pump()
        self.assertEqual(len(peer.messages), 400 - face.counters.droppedPackets)
        self.assertEqual(set(peer.messages), {dataOf(8000).wire})


class OriginTests(ServerTests):
    """
    Only some pages may connect.
    """

    origins = ("https://app.example",)

    def test_othersAreRefused(self) -> None:
        peer = self.connect("https://evil.example")
        self.assertIn(b"403", bytes(peer.stream.taken).split(b"\r\n")[0])
        self.clock.advance(0)
        self.assertEqual(len(self.table), 0)
        self.assertIs(self.connect("https://app.example").protocol.state, OPEN)
        self.assertIs(self.connect().protocol.state, OPEN)


class ClientTests(TableCase):
    """
    We connect.
    """

    def setUp(self) -> None:
        super().setUp()
        self.opened: list[WebSocketChannel] = []
        self.failed: list[Failure] = []
        self.stream = FakeStream(self.clock)
        target = Target("far.example", 9696)
        self.channel = WebSocketChannel.client(self.clock, self.opened.append, self.failed.append, target, "/ndn")
        self.stream.attach(self.channel)
        self.peer = Peer(self.stream, ServerProtocol())
        self.peer.pump()

    def tearDown(self) -> None:
        self.assertEqual(self.clock.getDelayedCalls(), [])

    @property
    def request(self) -> Request:
        """
        What came.
        """
        request = self.peer.events[0]
        assert isinstance(request, Request)
        return request

    def answer(self, response: Response) -> None:
        """
        Answer it.
        """
        self.peer.protocol.send_response(response)
        self.peer.pump()

    def test_packetsAreMessages(self) -> None:
        self.assertEqual((self.request.path, self.request.headers["Host"]), ("/ndn", "far.example:9696"))
        self.answer(self.peer.protocol.accept(self.request))
        self.assertEqual(self.opened, [self.channel])
        receiver = Receiver()
        self.channel.setReceiver(receiver)
        self.channel.write([interest().wire, dataOf(8800).wire])
        self.peer.protocol.send_binary(data().wire)
        self.peer.pump()
        self.assertEqual(self.peer.messages, [interest().wire, dataOf(8800).wire])
        self.assertEqual(receiver.datagrams, [data().wire])
        self.channel.loseChannel()
        self.peer.pump()
        self.assertEqual(self.peer.closeCode, 1000)
        self.clock.advance(0)
        self.assertIsInstance(receiver.lost, ConnectionDone)
        self.assertEqual(self.failed, [])

    def test_theServerRefuses(self) -> None:
        self.answer(self.peer.protocol.reject(404, "not here"))
        self.clock.advance(0)
        self.clock.advance(0)
        (failure,) = self.failed
        self.assertIsInstance(failure.value, WebSocketRefused)
        self.assertIn("404", str(failure.value))
        self.assertEqual(self.opened, [])

    def test_theServerIsGone(self) -> None:
        self.stream.fail(ConnectionLost())
        self.assertIsInstance(self.failed[0].value, HopUnavailable)

    def test_theServerSaysNothing(self) -> None:
        self.clock.advance(HANDSHAKE_TIME)
        self.clock.advance(0)
        self.assertIn("too long", str(self.failed[0].value))
