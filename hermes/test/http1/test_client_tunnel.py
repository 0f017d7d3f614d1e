"""
Tests for L{hermes.http1.client}: the client's end of a tunnel.
"""

from __future__ import annotations

from typing import Any

from hermes.errors import HopRefused
from hermes.test.http1.memory import HalfReader
from hermes.test.http1.test_client import CONNECT, EMPTY, SWITCH, UPGRADE, ClientCase
from hermes.values import ResponseHead


class TunnelTests(ClientCase):
    """
    The client's end of a tunnel.
    """

    def test_bothFormsAreHandedToTheTransport(self) -> None:
        for head, wire in ((CONNECT, b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n"), (UPGRADE, SWITCH)):
            for cut in range(len(wire) + 1):
                exchange = self.ask(head, end=False)
                self.transport.receive(wire[:cut])
                self.transport.receive(wire[cut:] + b"early")
                self.assertEqual(self.successResultOf(self.answer), ResponseHead(200))
                reader: Any = HalfReader()
                exchange.attach(reader)
                self.turn()
                self.assertIs(reader.transport, self.transport)
                self.transport.receive(b" more")
                self.assertEqual(reader.data, b"early more")
                self.transport.takeWritten()
                reader.transport.write(b"raw")
                self.assertEqual(self.transport.takeWritten(), b"raw")
                self.assertEqual(len(self.client._connections), 0)
                self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_aProtocolThatIsAttachedInTheCallbackMissesNothing(self) -> None:
        exchange = self.ask(CONNECT, end=False)
        reader = HalfReader()
        self.answer.addCallback(lambda _: exchange.attach(reader))
        self.transport.receive(b"HTTP/1.1 200 OK\r\n\r\nearly")
        self.assertEqual(reader.data, b"early")
        self.assertFalse(self.transport.paused)

    def test_nothingIsSentAheadOfTheAnswer(self) -> None:
        for head, wire in ((CONNECT, b"HTTP/1.1 200 OK\r\n\r\n"), (UPGRADE, SWITCH)):
            exchange = self.ask(head, end=False)
            reader: Any = HalfReader()
            exchange.attach(reader)
            self.transport.takeWritten()
            reader.transport.write(b"held ")
            self.assertEqual(self.transport.takeWritten(), b"")
            self.transport.receive(wire + b"early")
            reader.transport.write(b"and sent")
            self.assertEqual(self.transport.takeWritten(), b"held and sent")
            self.assertEqual(reader.data, b"early")

    def test_whatIsWrittenAtTheAnswerFollowsWhatWasHeld(self) -> None:
        exchange = self.ask(CONNECT, end=False)
        exchange.write(b"first ")
        self.transport.takeWritten()
        self.answer.addCallback(lambda _: exchange.write(b"second "))

        class Writing(HalfReader):
            def connectionMade(self) -> None:
                self.transport.write(b"third")  # type: ignore[union-attr]

        self.answer.addCallback(lambda _: exchange.attach(Writing()))
        self.transport.receive(b"HTTP/1.1 200 OK\r\n\r\n")
        self.assertEqual(self.transport.takeWritten(), b"first second third")

    def test_aRefusalIsAResponse(self) -> None:
        for head in (CONNECT, UPGRADE):
            exchange = self.ask(head, end=False)
            exchange.write(b"held")
            self.transport.takeWritten()
            self.transport.receive(b"HTTP/1.1 403 No\r\nContent-Length: 2\r\nProxy-Status: x\r\n\r\nno")
            self.assertEqual(self.successResultOf(self.answer).get(b"proxy-status"), b"x")
            reader = HalfReader()
            exchange.attach(reader)
            self.turn()
            self.assertEqual((reader.data, reader.ended), (b"no", 1))
            self.assertEqual(self.transport.takeWritten(), b"")
            before = len(self.endpoint.transports)
            self.ask()
            self.assertEqual(len(self.endpoint.transports), before)
            self.transport.receive(EMPTY)

    def test_aServerThatIgnoresTheUpgradeRefusesIt(self) -> None:
        for wire in (EMPTY, SWITCH.replace(b"connect-udp", b"websocket"), b"HTTP/1.1 204 No\r\n\r\n"):
            self.ask(UPGRADE, end=False)
            self.transport.receive(wire)
            self.failureResultOf(self.answer, HopRefused)
            self.assertTrue(self.transport.aborted)
