"""
WebSockets: the key of HTTP/1.1 and what answers it, and the other form that has neither.
"""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.errors import HopRefused
from hermes.http1.errors import Malformed
from hermes.http1.websocket import checkProof, newKey, proof, takeKey
from hermes.interfaces import IServerExchange
from hermes.test.http1.chain import Chain
from hermes.test.http2.raw import DATA, HEADERS, Fields, RawClient, data, headers
from hermes.values import RequestHead, ResponseHead

# RFC 6455 section 1.3.
SAMPLE = b"dGhlIHNhbXBsZSBub25jZQ=="
PROOF = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

UPGRADE = (
    b"GET /chat?room=1 HTTP/1.1\r\nHost: a.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Key: %s\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: chat, superchat\r\n"
    b"Sec-WebSocket-Extensions: permessage-deflate\r\nOrigin: http://a.example\r\n\r\n"
)
EXTENDED: Fields = (
    *((b":method", b"CONNECT"), (b":protocol", b"websocket"), (b":scheme", b"http"), (b":path", b"/chat")),
    *((b":authority", b"a.example"), (b"sec-websocket-version", b"13"), (b"sec-websocket-protocol", b"chat")),
)


def keyIn(request: bytes) -> bytes:
    """
    The key that an origin was sent.
    """
    (line,) = [line for line in request.split(b"\r\n") if line.startswith(b"sec-websocket-key: ")]
    return line.partition(b": ")[2]


def switching(key: bytes, *fields: bytes) -> bytes:
    """
    An origin's answer.
    """
    lines = [b"HTTP/1.1 101 Switching Protocols", b"Connection: Upgrade", b"Upgrade: websocket"]
    return b"\r\n".join([*lines, b"Sec-WebSocket-Accept: " + proof(key), *fields, b"", b""])


class KeyTests(SynchronousTestCase):
    def head(self, *keys: bytes) -> RequestHead:
        fields = tuple((b"sec-websocket-key", key) for key in keys)
        return RequestHead(b"CONNECT", b"http", b"a", b"/", b"websocket", ((b"x", b"y"), *fields))

    def test_theSampleOfTheRFC(self) -> None:
        self.assertEqual(proof(SAMPLE), PROOF)
        self.assertEqual(takeKey(self.head(SAMPLE)), (self.head(), SAMPLE))

    @given(st.binary(min_size=16, max_size=16))
    def test_aKeyIsReadAsItWasWritten(self, noise: bytes) -> None:
        key = newKey(lambda size: noise[:size])
        self.assertEqual(takeKey(self.head(key))[1], key)
        self.assertEqual(
            checkProof(ResponseHead(200, ((b"sec-websocket-accept", proof(key)),)), key), ResponseHead(200)
        )

    def test_keysDiffer(self) -> None:
        self.assertNotEqual(newKey(), newKey())

    def test_whatIsNoKeyIsRefused(self) -> None:
        for keys in ((), (b"",), (SAMPLE, SAMPLE), (SAMPLE[:-2],), (b"x" + SAMPLE,), (b"dGhlIHNhbXBsZSBub25jZR==",)):
            self.assertRaises(Malformed, takeKey, self.head(*keys))

    def test_whatIsNoProofIsRefused(self) -> None:
        for proofs in ((), (b"",), (PROOF, PROOF), (proof(newKey()),), (PROOF.lower(),)):
            head = ResponseHead(200, tuple((b"sec-websocket-accept", each) for each in proofs))
            self.assertRaises(HopRefused, checkProof, head, SAMPLE)


class HandshakeTests(SynchronousTestCase):
    """
    Between versions, bytes in and bytes out.
    """

    def setUp(self) -> None:
        self.chain = Chain()

    def origin(self) -> Any:
        return self.chain.endpoint.transports[-1]

    def test_fromHTTP1ToHTTP1(self) -> None:
        client = self.chain.connect()
        self.chain.send(client, UPGRADE % SAMPLE + b"early")
        request = self.chain.origin
        key = keyIn(request)
        self.assertNotEqual(key, SAMPLE)
        self.assertEqual(
            request,
            b"GET /chat?room=1 HTTP/1.1\r\nhost: a.example\r\nconnection: Upgrade\r\nupgrade: websocket\r\n"
            b"sec-websocket-key: %s\r\nsec-websocket-version: 13\r\nsec-websocket-protocol: chat, superchat\r\n"
            b"sec-websocket-extensions: permessage-deflate\r\norigin: http://a.example\r\n\r\n" % key,
        )
        origin = self.origin()
        self.chain.send(origin, switching(key, b"Sec-WebSocket-Protocol: chat") + b"hello")
        head, _, rest = bytes(client.written).partition(b"\r\n\r\n")
        lines = head.split(b"\r\n")
        self.assertEqual(lines[0], b"HTTP/1.1 101 Switching Protocols")
        self.assertEqual(
            sorted(lines[1:]),
            [
                *(b"connection: Upgrade", b"sec-websocket-accept: " + PROOF, b"sec-websocket-protocol: chat"),
                b"upgrade: websocket",
            ],
        )
        self.assertEqual(rest, b"hello")
        self.chain.send(client, b"more")
        self.assertTrue(bytes(origin.written).endswith(b"\r\n\r\nearlymore"))

    def test_fromHTTP2ToHTTP1(self) -> None:
        peer = RawClient()

        def exchangeReceived(exchange: IServerExchange) -> None:
            self.chain.exchangeReceived(exchange)

        handler: Any = peer.handler
        handler.exchangeReceived = exchangeReceived
        peer.send(headers(1, (*EXTENDED, (b"sec-websocket-key", SAMPLE))))
        self.chain.turn()
        request = self.chain.origin
        key = keyIn(request)
        self.assertNotEqual(key, SAMPLE)
        self.assertTrue(request.startswith(b"GET /chat HTTP/1.1\r\nhost: a.example\r\nconnection: Upgrade\r\n"))
        self.chain.send(self.origin(), switching(key, b"Sec-WebSocket-Protocol: chat"))
        peer.send(data(1, b"question"))
        self.chain.send(self.origin(), b"answer")
        peer.read()
        self.assertEqual(peer.of(HEADERS)[0].fields, ((b":status", b"200"), (b"sec-websocket-protocol", b"chat")))
        self.assertEqual(b"".join(each.payload for each in peer.of(DATA)), b"answer")
        self.assertTrue(self.chain.origin.endswith(b"question"))

    def test_toAnOriginThatHasNotReadTheKey(self) -> None:
        for answer in (switching(SAMPLE), switching(SAMPLE).replace(b"Sec-WebSocket-Accept", b"X")):
            self.setUp()
            client = self.chain.connect()
            self.chain.send(client, UPGRADE % SAMPLE)
            self.chain.send(self.origin(), answer + b"hello")
            self.assertTrue(bytes(client.written).startswith(b"HTTP/1.1 502 "))
            self.assertNotIn(b"hello", client.written)
            self.assertTrue(self.origin().aborted)

    def test_anOriginThatRefusesIsHeard(self) -> None:
        client = self.chain.connect()
        self.chain.send(client, UPGRADE % SAMPLE)
        self.chain.send(self.origin(), b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\nX-Why: z\r\n\r\nno")
        answer = bytes(client.written)
        self.assertTrue(answer.startswith(b"HTTP/1.1 403 Forbidden\r\n"))
        self.assertTrue(answer.endswith(b"x-why: z\r\n\r\nno"))
        self.assertNotIn(b"sec-websocket-accept", answer)

    def test_aClientWithoutAKeyIsRefused(self) -> None:
        for key in (b"", b"short", SAMPLE + b"\r\nSec-WebSocket-Key: " + SAMPLE):
            self.setUp()
            client = self.chain.connect()
            self.chain.send(client, UPGRADE % key)
            self.assertTrue(bytes(client.written).startswith(b"HTTP/1.1 400 "))
            self.assertEqual(self.chain.origin, b"")
