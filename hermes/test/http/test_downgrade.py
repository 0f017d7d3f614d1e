"""
Requests of HTTP/2 that would be something else in HTTP/1.1: nothing of them reaches an origin.
"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from hermes.interfaces import IServerExchange
from hermes.test.http1.chain import Chain
from hermes.test.http2.raw import (
    GET,
    HEADERS,
    POST,
    PROTOCOL_ERROR,
    RST_STREAM,
    Fields,
    RawClient,
    data,
    headers,
)

SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: a.example\r\n\r\n"
NEXT = 3


def replaced(name: bytes, value: bytes, fields: Fields = POST) -> Fields:
    """
    A request with another value of a field.
    """
    return tuple((each, value if each == name else old) for each, old in fields)


HEADS: dict[str, Fields] = {
    "H2.TE": (*POST, (b"transfer-encoding", b"chunked")),
    "H2.TE of none": (*POST, (b"transfer-encoding", b"identity")),
    "H2.TE in a name": (*POST, (b"x\r\ntransfer-encoding", b"chunked")),
    "H2.TE in a value": (*POST, (b"x", b"y\r\ntransfer-encoding: chunked")),
    "H2.TE behind a LF": (*POST, (b"x", b"y\ntransfer-encoding: chunked")),
    "H2.TE behind a CR": (*POST, (b"x", b"y\rtransfer-encoding: chunked")),
    "H2.TE with a colon in the name": (*POST, (b"transfer-encoding: chunked\r\nx", b"y")),
    "H2.TE in upper case": (*POST, (b"Transfer-Encoding", b"chunked")),
    "connection": (*POST, (b"connection", b"content-length")),
    "keep-alive": (*POST, (b"keep-alive", b"timeout=5")),
    "proxy-connection": (*POST, (b"proxy-connection", b"keep-alive")),
    "upgrade": (*POST, (b"upgrade", b"websocket")),
    "te that is not trailers": (*POST, (b"te", b"chunked")),
    "a NUL in a value": (*POST, (b"x", b"\x00")),
    "a space before a value": (*POST, (b"x", b" y")),
    "two requests in a value": (*POST, (b"x", b"y\r\n\r\n" + SMUGGLED)),
    "a method with a request in it": replaced(b":method", b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\nGET"),
    "a method with a space": replaced(b":method", b"GET /"),
    "a path with a space": replaced(b":path", b"/ HTTP/1.1"),
    "a path with a request in it": replaced(b":path", b"/ HTTP/1.1\r\nHost: a\r\n\r\n" + SMUGGLED),
    "a path with a tab": replaced(b":path", b"/\ta"),
    "a path with a NUL": replaced(b":path", b"/\x00"),
    "a path with a DEL": replaced(b":path", b"/\x7f"),
    "a path that is a URI": replaced(b":path", b"http://b.example/"),
    "a path that is a host": replaced(b":path", b"@b.example/"),
    "* without OPTIONS": replaced(b":path", b"*"),
    "no path": replaced(b":path", b""),
    "a scheme with a request line": replaced(b":scheme", b"http://b.example/? HTTP/1.1\r\nX: y"),
    "a scheme with a slash": replaced(b":scheme", b"http://b.example/"),
    "an authority with a LF": replaced(b":authority", b"a.example\r\nX: y"),
    "an authority with a path": replaced(b":authority", b"a.example/smuggled"),
    "an authority with a user": replaced(b":authority", b"b.example@a.example"),
    "an authority with a space": replaced(b":authority", b"a.example b.example"),
    "another host": (*POST, (b"host", b"b.example")),
    "two hosts": (*POST[:3], (b"host", b"a.example"), (b"host", b"b.example")),
    "two authorities": (*POST, (b":authority", b"b.example")),
    "two paths": (*POST, (b":path", b"/smuggled")),
    "a pseudo-field behind": (*POST[:3], (b"x", b"y"), POST[3]),
    "a pseudo-field that is unknown": (*POST, (b":x", b"y")),
    "a status": (*POST, (b":status", b"200")),
    "a protocol without CONNECT": (*POST, (b":protocol", b"websocket")),
    "a protocol that is two": (
        (b":method", b"CONNECT"),
        (b":protocol", b"websocket\r\nX: y"),
        *POST[1:],
    ),
    "an empty name": (*POST, (b"", b"y")),
    "two lengths": (*POST, (b"content-length", b"3"), (b"content-length", b"5")),
    "a list of lengths": (*POST, (b"content-length", b"3, 3")),
    "a length with a sign": (*POST, (b"content-length", b"+3")),
    "a length of letters": (*POST, (b"content-length", b"x")),
    "a length of nothing": (*POST, (b"content-length", b"")),
}


class Downgrading(SynchronousTestCase):
    def setUp(self) -> None:
        self.chain = Chain()
        self.peer = RawClient()
        # It keeps what it is handed; here that is sent on too.
        keep = self.peer.handler.exchangeReceived

        def exchangeReceived(exchange: IServerExchange) -> None:
            keep(exchange)
            self.chain.exchangeReceived(exchange)

        handler: Any = self.peer.handler
        handler.exchangeReceived = exchangeReceived

    def send(self, *frames: bytes) -> None:
        self.peer.send(*frames)
        self.chain.turn()
        self.peer.read()

    def assertReset(self, name: str) -> None:
        self.assertEqual([each.code for each in self.peer.of(RST_STREAM, 1)], [PROTOCOL_ERROR], name)
        self.assertEqual(self.peer.of(HEADERS, 1), [], name)

    def assertGoesOn(self, name: str) -> None:
        self.send(headers(NEXT, replaced(b":path", b"/next", GET), end=True))
        self.assertTrue(self.chain.origin.endswith(b"GET /next HTTP/1.1\r\nhost: a.example\r\n\r\n"), name)


class HeadTests(Downgrading):
    def test_headsThatWouldBeMoreThanOneHead(self) -> None:
        for name, fields in HEADS.items():
            for end in (False, True):
                self.setUp()
                self.send(
                    headers(1, fields, end=end), *(() if end else (data(payload=b"0\r\n\r\n" + SMUGGLED, end=True),))
                )
                self.assertReset(name)
                self.assertEqual(self.chain.origin, b"", name)
                self.assertGoesOn(name)

    def test_whatIsOneHeadIsWrittenAsOne(self) -> None:
        fields = ((b"x", b"a; \x80"), (b"te", b"trailers"), (b"cookie", b"a=1"))
        self.send(headers(1, (*replaced(b":path", b"/a?b='\"<>{}|\\^`", GET), *fields), end=True))
        self.assertEqual(
            self.chain.origin,
            b"GET /a?b='\"<>{}|\\^` HTTP/1.1\r\nhost: a.example\r\nx: a; \x80\r\ncookie: a=1\r\n\r\n",
        )


class BodyTests(Downgrading):
    def test_aBodyIsInChunksWhateverItLooksLike(self) -> None:
        payload = b"0\r\n\r\n" + SMUGGLED
        self.send(headers(1, POST), data(payload=payload), data(payload=b"", end=True))
        head, _, body = self.chain.origin.partition(b"\r\n\r\n")
        self.assertEqual(head, b"POST / HTTP/1.1\r\nhost: a.example\r\ntransfer-encoding: chunked")
        self.assertEqual(body, b"%x\r\n%s\r\n0\r\n\r\n" % (len(payload), payload))

    def test_theBodyOfAGetIsFramedToo(self) -> None:
        self.send(headers(1, GET), data(payload=SMUGGLED), data(payload=b"", end=True))
        self.assertIn(b"\r\ntransfer-encoding: chunked\r\n\r\n%x\r\n" % len(SMUGGLED), self.chain.origin)

    def test_aLengthThatIsNotTheBodysEndsTheOriginsConnection(self) -> None:
        for length, payload in ((b"0", SMUGGLED), (b"3", b"abc" + SMUGGLED), (b"3", b"ab"), (b"99999", SMUGGLED)):
            self.setUp()
            self.send(headers(1, (*POST, (b"content-length", length))), data(payload=payload, end=True))
            self.assertReset(repr(length))
            for transport in self.chain.endpoint.transports:
                self.assertTrue(transport.aborted)
            if len(payload) > int(length):
                self.assertNotIn(b"smuggled", self.chain.origin)
            self.assertGoesOn(repr(length))

    def test_aLengthAndNoBody(self) -> None:
        self.send(headers(1, (*POST, (b"content-length", b"45")), end=True))
        self.assertReset("a length and no body")
        self.assertEqual(self.chain.origin, b"")

    def test_trailersThatWouldBeMore(self) -> None:
        for name, trailers in {
            "a pseudo-field": ((b":path", b"/smuggled"),),
            "a line": ((b"x", b"y\r\n\r\n" + SMUGGLED),),
            "a name": ((b"x\r\ny", b"z"),),
            "framing": ((b"transfer-encoding", b"chunked"),),
        }.items():
            self.setUp()
            self.send(headers(1, POST), data(payload=b"abc"), headers(1, trailers, end=True))
            self.assertReset(name)
            self.assertNotIn(b"\r\n0\r\n", self.chain.origin)
            (transport,) = self.chain.endpoint.transports
            self.assertTrue(transport.aborted, name)
            self.assertGoesOn(name)

    def test_trailersThatAreHeadsInDisguiseAreLeftOut(self) -> None:
        trailers = ((b"content-length", b"5"), (b"host", b"b.example"), (b"authorization", b"x"), (b"x-sum", b"1"))
        self.send(headers(1, POST), data(payload=b"abc"), headers(1, trailers, end=True))
        self.assertTrue(self.chain.origin.endswith(b"\r\n3\r\nabc\r\n0\r\nx-sum: 1\r\n\r\n"))
