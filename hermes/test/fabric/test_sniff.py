"""
The first bytes of a connection choose its protocol.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.interfaces import IProtocol
from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hermes.fabric.sniff import HTTP2_PREFACE, SOCKS4_REJECTED, Choices, Guess, SniffingProtocol, guess
from hermes.test.fabric.fakes import FakeStream


class Chosen(Protocol):
    """
    Collects what it reads.
    """

    def __init__(self) -> None:
        self.data = b""

    def dataReceived(self, data: bytes) -> None:
        self.data += data


class SniffTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.transport = FakeStream(self.clock)
        self.chosen: list[tuple[str, Chosen]] = []
        self.transport.attach(
            SniffingProtocol(
                Choices(lambda: self.choose("socks5"), lambda: self.choose("http1"), lambda: self.choose("http2")),
                self.clock,
                5.0,
                "apps",
            )
        )

    def choose(self, name: str) -> IProtocol:
        self.chosen.append((name, protocol := Chosen()))
        return protocol

    def assertChosen(self, name: str, data: bytes) -> None:
        self.assertEqual([(key, protocol.data) for key, protocol in self.chosen], [(name, data)])
        self.clock.advance(100)
        self.assertEqual(self.transport.calls, [])

    def test_aRequestLineIsHTTP1(self) -> None:
        self.transport.deliver(b"GET http://example/ HTTP/1.1\r\n")
        self.transport.deliver(b"\r\n")
        self.assertChosen("http1", b"GET http://example/ HTTP/1.1\r\n\r\n")

    def test_version5IsSOCKS(self) -> None:
        self.transport.deliver(b"\x05\x01\x00")
        self.assertChosen("socks5", b"\x05\x01\x00")

    def test_thePrefaceIsHTTP2HoweverItArrives(self) -> None:
        for byte in HTTP2_PREFACE:
            self.assertEqual(self.chosen, [])
            self.transport.deliver(bytes([byte]))
        self.assertChosen("http2", HTTP2_PREFACE)

    def test_whatOnlyBeginsLikeThePrefaceIsHTTP1(self) -> None:
        self.transport.deliver(b"P")
        self.transport.deliver(b"OST / HTTP/1.1\r\n")
        self.assertChosen("http1", b"POST / HTTP/1.1\r\n")

    def test_socks4IsRefusedInItsOwnWords(self) -> None:
        self.transport.deliver(b"\x04\x01\x00\x50\x7f\x00\x00\x01\x00")
        self.assertEqual((bytes(self.transport.taken), self.chosen), (SOCKS4_REJECTED, []))
        self.assertIn("loseConnection", self.transport.calls)

    def test_anUnexpectedTLSClientIsClosedAndLogged(self) -> None:
        self.transport.deliver(b"\x16\x03\x01")
        self.assertEqual((bytes(self.transport.taken), self.chosen), (b"", []))
        self.assertIn("loseConnection", self.transport.calls)

    def test_whoeverSaysNothingIsAborted(self) -> None:
        self.transport.deliver(b"PRI ")
        self.clock.advance(5)
        self.assertEqual((self.transport.calls, self.chosen), (["abortConnection"], []))

    def test_aConnectionThatIsLostIsForgotten(self) -> None:
        self.transport.fail(ConnectionError())
        self.assertEqual(self.clock.getDelayedCalls(), [])

    @given(st.binary(max_size=40))
    @settings(deadline=None)
    def test_aGuessNeverChangesAndNeedsFewBytes(self, data: bytes) -> None:
        made = guess(data)
        if made is None:
            self.assertLess(len(data), len(HTTP2_PREFACE))
        else:
            self.assertIs(guess(data + b"more"), made)
        if data[:1] not in (b"", b"\x04", b"\x05", b"\x16", b"P"):
            self.assertIs(made, Guess.HTTP1)
