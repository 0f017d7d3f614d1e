"""
WebSockets with proxies that leave the fields of HTTP/1.1 as they are.
"""

from __future__ import annotations

from hermes.http1.websocket import proof, takeKey
from hermes.test.http.forwarding import Forwarding, Joining
from hermes.test.http1.test_websocket import PROOF, SAMPLE, keyIn, switching
from hermes.values import RequestHead, ResponseHead

VERSION = (b"sec-websocket-version", b"13")
KEY = (b"sec-websocket-key", SAMPLE)
WEBSOCKET = RequestHead(b"CONNECT", b"http", b"origin.example", b"/", b"websocket", (VERSION, KEY))


class FromHTTP2Tests(Forwarding):
    def accepted(self, version: str, *fields: tuple[bytes, bytes]) -> ResponseHead:
        _, server, body = self.ask(b"CONNECT", fields, protocol=b"websocket", ended=False, version=version)
        origin = self.up()
        key = keyIn(bytes(origin.taken))
        self.assertNotEqual(key, SAMPLE)
        self.answer(origin, switching(key, b"Sec-WebSocket-Protocol: chat"))
        self.answer(origin, b"hello")
        self.assertEqual(body.data, b"hello")
        head = server.responses[0]
        self.assertEqual((head.status, head.get(b"sec-websocket-protocol")), (200, b"chat"))
        return head

    def test_whoSendsAKeyGetsItsProof(self) -> None:
        self.assertEqual(self.accepted("2", VERSION, KEY).get(b"sec-websocket-accept"), PROOF)

    def test_whoSendsNoneGetsNone(self) -> None:
        for fields in ((VERSION,), (VERSION, (b"sec-websocket-key", b"short")), (VERSION, KEY, KEY)):
            self.setUp()
            self.assertIsNone(self.accepted("2", *fields).get(b"sec-websocket-accept"))

    def test_whoIsRefusedGetsNone(self) -> None:
        _, server, body = self.ask(b"CONNECT", (VERSION, KEY), protocol=b"websocket", ended=False)
        self.answer(self.up(), b"HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno")
        self.assertEqual((server.responses[0].status, body.data), (403, b"no"))
        self.assertIsNone(server.responses[0].get(b"sec-websocket-accept"))


class ToHTTP2Tests(Joining):
    def test_aKeyOfOursGoesOnAndItsProofStays(self) -> None:
        self.ask(WEBSOCKET)
        head, key = takeKey(self.origin.request)
        self.assertNotEqual(key, SAMPLE)
        self.assertEqual(head.get(b"sec-websocket-version"), b"13")
        self.origin.respond(ResponseHead(200, ((b"sec-websocket-accept", proof(key)),)))
        self.network.pump()
        self.assertEqual(self.server.responses[0].get(b"sec-websocket-accept"), PROOF)
