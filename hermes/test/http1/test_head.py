"""
Tests for L{hermes.http1.head} and L{hermes.http1.target}: what a request says, and what is no request.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.http1.body import ChunkedReader, CloseReader, LengthReader
from hermes.http1.errors import Malformed
from hermes.http1.head import Request, Response, readRequest, readResponse, writeResponse
from hermes.http1.limits import DEFAULT_LIMITS
from hermes.values import RequestHead, ResponseHead

SMUGGLING: dict[str, tuple[bytes, int]] = {
    "length and chunked": (b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", 400),
    "chunked and length": (b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n", 400),
    "chunked and no length": (b"Transfer-Encoding: chunked\r\nContent-Length: 0\r\n", 400),
    "two lengths": (b"Content-Length: 4\r\nContent-Length: 5\r\n", 400),
    "the same length twice": (b"Content-Length: 4\r\nContent-Length: 4\r\n", 400),
    "a list of lengths": (b"Content-Length: 4, 4\r\n", 400),
    "a signed length": (b"Content-Length: +4\r\n", 400),
    "a negative length": (b"Content-Length: -4\r\n", 400),
    "a hexadecimal length": (b"Content-Length: 0x4\r\n", 400),
    "a length with an underscore": (b"Content-Length: 1_0\r\n", 400),
    "a length of other digits": ("Content-Length: \u0664\r\n".encode(), 400),
    "a length beyond all": (b"Content-Length: 99999999999999999999\r\n", 400),
    "an empty length": (b"Content-Length:\r\n", 400),
    "a space before the colon": (b"Content-Length : 4\r\n", 400),
    "a space before the colon of chunked": (b"Transfer-Encoding : chunked\r\n", 400),
    "a tab before the colon": (b"Transfer-Encoding\t: chunked\r\n", 400),
    "a folded field": (b"X: a\r\n b\r\n", 400),
    "a folded coding": (b"Transfer-Encoding:\r\n chunked\r\n", 400),
    "a field that begins with a space": (b" X: a\r\n", 400),
    "a bare LF": (b"X: a\nY: b\r\n", 400),
    "a bare CR": (b"X: a\rY: b\r\n", 400),
    "a bare CR before chunked": (b"X: a\rTransfer-Encoding: chunked\r\n", 400),
    "a NUL": (b"X: a\x00b\r\n", 400),
    "a vertical tab": (b"Transfer-Encoding: \x0bchunked\r\n", 400),
    "a control character": (b"X: a\x01b\r\n", 400),
    "no colon": (b"X\r\n", 400),
    "no name": (b": x\r\n", 400),
    "an unknown coding": (b"Transfer-Encoding: xchunked\r\n", 400),
    "identity": (b"Transfer-Encoding: identity\r\n", 400),
    "chunked not last": (b"Transfer-Encoding: chunked, identity\r\n", 400),
    "chunked twice": (b"Transfer-Encoding: chunked, chunked\r\n", 400),
    "two codings": (b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", 400),
    "a coding and an unknown one": (b"Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n", 400),
    "a quoted coding": (b'Transfer-Encoding: "chunked"\r\n', 400),
    "an empty coding": (b"Transfer-Encoding:\r\n", 400),
    "a compressed body": (b"Transfer-Encoding: gzip, chunked\r\n", 501),
    "a second Host": (b"Host: b\r\n", 400),
    "the same Host again": (b"Host: a\r\n", 400),
}

HEADS: dict[str, tuple[bytes, int]] = {
    "no Host": (b"GET / HTTP/1.1\r\n\r\n", 400),
    "no Host in a later version": (b"GET / HTTP/1.2\r\n\r\n", 400),
    "a Host with a path": (b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400),
    "a Host with a user": (b"GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", 400),
    "two hosts in one": (b"GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", 400),
    "a user in the target": (b"GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "no host in the target": (b"GET http:/// HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "a fragment": (b"GET /#x HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "a target of no form": (b"GET x HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "* for GET": (b"GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "two spaces": (b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "a tab": (b"GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "a space in the target": (b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "a space behind the version": (b"GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 400),
    "no version": (b"GET /\r\nHost: a\r\n\r\n", 400),
    "a version in lower case": (b"GET / http/1.1\r\nHost: a\r\n\r\n", 400),
    "HTTP/2": (b"PRI * HTTP/2.0\r\nHost: a\r\n\r\n", 505),
    "HTTP/0.9": (b"GET / HTTP/0.9\r\nHost: a\r\n\r\n", 505),
    "a method that is no token": (b"G@T / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "two empty lines": (b"\r\n\r\n", 400),
    "chunked in HTTP/1.0": (b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    "CONNECT without a port": (b"CONNECT a HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "CONNECT to a port of none": (b"CONNECT a: HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "CONNECT to a port beyond all": (b"CONNECT a:65536 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "CONNECT to a path": (b"CONNECT /a HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "CONNECT to a URI": (b"CONNECT http://a:80/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "CONNECT with a user": (b"CONNECT u@a:1 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "CONNECT with a body": (b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n", 400),
    "CONNECT with chunks": (b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    "Upgrade with a body": (
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: connect-udp\r\nContent-Length: 3\r\n\r\n",
        400,
    ),
    "fields beyond number": (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 200 + b"\r\n", 431),
}


def read(block: bytes, scheme: bytes = b"http") -> Request:
    return readRequest(block, scheme, DEFAULT_LIMITS)


def answer(block: bytes, method: bytes = b"GET", fields: tuple[tuple[bytes, bytes], ...] = ()) -> Response:
    return readResponse(block, method, DEFAULT_LIMITS)


class RefusedTests(SynchronousTestCase):
    """
    What two parties could read in two ways is no request.
    """

    def test_whatIsSmuggledIsRefused(self) -> None:
        for name, (fields, status) in SMUGGLING.items():
            block = b"POST / HTTP/1.1\r\nHost: a\r\n" + fields + b"\r\n"
            error = self.assertRaises(Malformed, read, block)
            self.assertEqual(error.status, status, name)

    def test_whatIsNoRequestIsRefused(self) -> None:
        for name, (block, status) in HEADS.items():
            error = self.assertRaises(Malformed, read, block)
            self.assertEqual(error.status, status, name)

    @settings(deadline=None)
    @given(st.binary(max_size=60))
    def test_anythingIsARequestOrRefused(self, noise: bytes) -> None:
        for block in (noise + b"\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\r\n" + noise + b"\r\n\r\n"):
            try:
                read(block)
            except Malformed as error:
                self.assertIn(error.status, (400, 431, 501, 505))


class RequestTests(SynchronousTestCase):
    """
    What a request says.
    """

    def test_originForm(self) -> None:
        request = read(b"GET /a?b HTTP/1.1\r\nHost: x.example:8080\r\nAccept: */*\r\nX: \t y z \r\n\r\n")
        self.assertEqual(
            request.head,
            RequestHead(b"GET", b"http", b"x.example:8080", b"/a?b", None, ((b"accept", b"*/*"), (b"x", b"y z"))),
        )
        self.assertIsNone(request.body)
        self.assertFalse(request.close or request.tunnel or request.expects)

    def test_aSecureConnectionSaysHttps(self) -> None:
        self.assertEqual(read(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"https").head.scheme, b"https")

    def test_absoluteForm(self) -> None:
        for target, authority, path in (
            (b"http://a.example/x?y", b"a.example", b"/x?y"),
            (b"HTTP://A.example:80", b"A.example:80", b"/"),
            (b"http://a.example?y", b"a.example", b"/?y"),
            (b"http://a.example:/", b"a.example:", b"/"),
        ):
            head = read(b"GET %s HTTP/1.1\r\nHost: a.EXAMPLE\r\n\r\n" % target).head
            self.assertEqual((head.scheme, head.authority, head.path), (b"http", authority, path))

    def test_inAbsoluteFormHostMustNameTheSame(self) -> None:
        for host in (b"b.example", b"a.example:81", b""):
            self.assertRaises(Malformed, read, b"GET http://a.example/ HTTP/1.1\r\nHost: %s\r\n\r\n" % host)
        for host in (b"A.example", b"a.example:80", b"a.example:"):
            head = read(b"GET http://a.example/ HTTP/1.1\r\nHost: %s\r\n\r\n" % host).head
            self.assertEqual((head.authority, head.headers), (b"a.example", ()))

    def test_asteriskForm(self) -> None:
        self.assertEqual(read(b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n").head.path, b"*")
        self.assertEqual(read(b"OPTIONS http://a HTTP/1.1\r\nHost: a\r\n\r\n").head.path, b"*")

    def test_connect(self) -> None:
        for target in (b"a.example:443", b"[2001:db8::1]:443", b"192.0.2.1:0"):
            request = read(b"CONNECT %s HTTP/1.1\r\nHost: other\r\nProxy-Connection: keep-alive\r\n\r\n" % target)
            self.assertEqual(request.head, RequestHead(b"CONNECT", b"", target, b""))
            self.assertTrue(request.tunnel)

    def test_connectOfHTTP10(self) -> None:
        request = read(b"CONNECT a:1 HTTP/1.0\r\n\r\n")
        self.assertEqual(request.head, RequestHead(b"CONNECT", b"", b"a:1", b""))

    def test_anUpgradeIsAnExtendedConnect(self) -> None:
        request = read(
            b"GET /.well-known/masque/udp/192.0.2.6/443/ HTTP/1.1\r\nHost: proxy.example\r\n"
            b"Connection: keep-alive, Upgrade\r\nUpgrade: connect-UDP\r\nCapsule-Protocol: ?1\r\n\r\n",
            b"https",
        )
        path = b"/.well-known/masque/udp/192.0.2.6/443/"
        fields = ((b"capsule-protocol", b"?1"),)
        self.assertEqual(
            request.head, RequestHead(b"CONNECT", b"https", b"proxy.example", path, b"connect-udp", fields)
        )
        self.assertEqual(request.upgrade, b"connect-UDP")
        self.assertTrue(request.tunnel)

    def test_upgradesThatAreNotTaken(self) -> None:
        for fields in (
            b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\n",
            b"Connection: Upgrade\r\nUpgrade: TLS/1.2\r\n",
            b"Upgrade: websocket\r\n",
            b"Connection: Upgrade\r\n",
        ):
            request = read(b"GET / HTTP/1.1\r\nHost: a\r\n" + fields + b"\r\n")
            self.assertEqual(request.head, RequestHead(b"GET", b"http", b"a", b"/"))
            self.assertFalse(request.tunnel)
        posted = read(b"POST / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 3\r\n\r\n")
        self.assertIsInstance(posted.body, LengthReader)

    def test_theFirstUpgradeThatCanBeATunnelIsTaken(self) -> None:
        request = read(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: h2c, irc\r\n\r\n")
        self.assertEqual(request.head.protocol, b"irc")

    def test_fieldsForOneHopAreRemoved(self) -> None:
        request = read(
            b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: 5\r\nTE: trailers\r\n"
            b"Proxy-Connection: close\r\nUpgrade: x\r\nProxy-Authorization: Basic x\r\nTrailer: X-Sum\r\n\r\n"
        )
        self.assertEqual(request.head.headers, ((b"proxy-authorization", b"Basic x"), (b"trailer", b"X-Sum")))
        self.assertTrue(request.close)

    def test_aClientThatWantsTrailersSaysSoInHTTP2Too(self) -> None:
        for fields, kept in (
            (b"Connection: TE\r\nTE: trailers\r\n", ((b"te", b"trailers"),)),
            (b"Connection: close, te\r\nTE: gzip;q=0.5, Trailers\r\n", ((b"te", b"trailers"),)),
            (b"Connection: TE\r\nTE: gzip\r\n", ()),
            (b"Connection: TE\r\n", ()),
            (b"TE: trailers\r\n", ()),
        ):
            self.assertEqual(read(b"GET / HTTP/1.1\r\nHost: a\r\n" + fields + b"\r\n").head.headers, kept, fields)

    def test_aLengthIsNotForOneHopWhoeverSaysSo(self) -> None:
        request = read(b"POST / HTTP/1.1\r\nHost: a\r\nConnection: content-length\r\nContent-Length: 3\r\n\r\n")
        self.assertEqual(request.head.get(b"content-length"), b"3")

    def test_bodies(self) -> None:
        chunked = read(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\nExpect: 100-continue\r\n\r\n")
        self.assertIsInstance(chunked.body, ChunkedReader)
        self.assertTrue(chunked.expects)
        self.assertIsInstance(read(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n").body, LengthReader)
        self.assertIsNone(read(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n").body)

    def test_oneEmptyLineBeforeIsForgiven(self) -> None:
        self.assertEqual(read(b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n").head.path, b"/")

    def test_http10Closes(self) -> None:
        request = read(b"GET / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
        self.assertTrue(request.close and request.http10)
        self.assertFalse(request.expects)


class ResponseTests(SynchronousTestCase):
    """
    What a response says.
    """

    def test_bodies(self) -> None:
        for block, method, kind in (
            (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", b"GET", LengthReader),
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"GET", ChunkedReader),
            (b"HTTP/1.1 200\r\n\r\n", b"GET", CloseReader),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", b"HEAD", None),
            (b"HTTP/1.1 204 None\r\n\r\n", b"GET", None),
            (b"HTTP/1.1 304 None\r\nContent-Length: 3\r\n\r\n", b"GET", None),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b"GET", None),
        ):
            body = answer(block, method).body
            self.assertIs(type(body), kind or type(None))

    def test_theConnectionEndsWhereItMust(self) -> None:
        self.assertTrue(answer(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n").close)
        self.assertTrue(answer(b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n").close)
        self.assertTrue(answer(b"HTTP/1.1 200 OK\r\n\r\n").close)
        self.assertFalse(answer(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").close)

    def test_a101IsShownAsTheSuccessThatItIs(self) -> None:
        offered = ((b"connection", b"upgrade"), (b"upgrade", b"connect-udp"))
        response = answer(
            b"HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: Connect-UDP\r\nA: b\r\n\r\n", fields=offered
        )
        self.assertEqual(response.head, ResponseHead(200, ((b"a", b"b"),)))
        self.assertTrue(response.switched)
        self.assertEqual(response.upgrade, (b"connect-udp",))

    def test_whatIsNoResponseIsRefused(self) -> None:
        for block in (
            b"HTTP/2 200 OK\r\n\r\n",
            b"ICY 200 OK\r\n\r\n",
            b"HTTP/1.1 2000 OK\r\n\r\n",
            b"HTTP/1.1 600 OK\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
            b"HTTP/1.1 101 Unasked\r\nUpgrade: x\r\n\r\n",
            b"HTTP/1.1 200 OK\nA: b\r\n\r\n",
        ):
            self.assertRaises(Malformed, answer, block)

    def test_whatCannotStandInAFieldIsNotWritten(self) -> None:
        for pair in ((b"a", b"b\r\nc: d"), (b"a b", b"c"), (b"a", b"\x00"), (b"", b"x")):
            self.assertRaises(Malformed, writeResponse, ResponseHead(200, (pair,)), (), frozenset())
