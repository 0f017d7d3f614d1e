"""
Request smuggling and response splitting: what two readers could read in two ways is refused, and nothing of it is sent
on. Bytes in, bytes out, whatever reads them.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hermes.errors import BadRequest, FlowError
from hermes.http1.client import HTTP1Client
from hermes.test.http1.chain import Chain
from hermes.test.http1.memory import HalfReader, Handler, MemoryTransport
from hermes.test.http1.smuggling import CHUNKS, EMPTY, FIELDS, HOST, LINES, RESPONSES, SMUGGLED, START
from hermes.test.http1.test_client import MemoryEndpoint
from hermes.test.http1.test_head import HEADS, SMUGGLING
from hermes.values import Headers, RequestHead, ResponseHead


class RequestTests(SynchronousTestCase):
    """
    What a client sends.
    """

    def assertRefused(self, name: str, data: bytes, status: int) -> None:
        for step in (0, 1) if len(data) < 2000 else (0,):
            chain = Chain()
            client = chain.connect()
            answer = chain.send(client, data, step)
            self.assertTrue(answer.startswith(b"HTTP/1.1 %d " % status), (name, answer))
            self.assertEqual(answer.count(b"HTTP/1.1 "), 1, name)
            self.assertIn(b"\r\nconnection: close\r\n", answer.lower(), name)
            self.assertTrue(client.writeClosed, name)
            self.assertEqual(chain.origin, b"", name)

    def test_fieldsThatCanBeReadInTwoWays(self) -> None:
        for name, fields in FIELDS.items():
            self.assertRefused(name, START + fields + b"\r\n0\r\n\r\n" + SMUGGLED, 400)

    def test_linesThatCanBeReadInTwoWays(self) -> None:
        for name, head in LINES.items():
            self.assertRefused(name, head + b"0\r\n\r\n" + SMUGGLED, 400)

    def test_theSameForWhatReadsHeads(self) -> None:
        for name, (fields, status) in SMUGGLING.items():
            self.assertRefused(name, b"POST / HTTP/1.1\r\nHost: a\r\n" + fields + b"\r\n0\r\n\r\n" + SMUGGLED, status)
        for name, (head, status) in HEADS.items():
            self.assertRefused(name, head + SMUGGLED, status)

    def test_whatIsBadBehindAGoodRequest(self) -> None:
        for name, fields in FIELDS.items():
            chain = Chain()
            client = chain.connect()
            chain.send(client, SMUGGLED.replace(b"smuggled", b"good") + START + fields + b"\r\n" + SMUGGLED)
            chain.send(chain.endpoint.transports[0], EMPTY)
            answer = bytes(client.written)
            self.assertIn(b"HTTP/1.1 400 ", answer, name)
            self.assertEqual(answer.count(b"HTTP/1.1 "), 2, name)
            self.assertEqual((chain.origin.count(b"GET /good"), chain.origin.count(b"HTTP/1.1")), (1, 1), name)

    def test_chunksThatCanBeReadInTwoWays(self) -> None:
        head = START + b"Transfer-Encoding: chunked\r\n\r\n"
        for name, chunks in CHUNKS.items():
            for before in (b"", b"3\r\nabc\r\n"):
                for step in (0, 1) if len(chunks) < 2000 else (0,):
                    chain = Chain()
                    client = chain.connect()
                    answer = chain.send(client, head + before + chunks + SMUGGLED, step)
                    self.assertRegex(answer, rb"^HTTP/1\.1 4(00|31) ", name)
                    self.assertEqual(answer.count(b"HTTP/1.1 "), 1, name)
                    self.assertTrue(client.writeClosed, name)
                    # The origin may have seen the start of the request; it is cut off before it is complete.
                    self.assertNotIn(b"\r\n0\r\n", chain.origin, name)
                    self.assertNotIn(b"/smuggled", chain.origin, name)
                    self.assertTrue(all(origin.aborted for origin in chain.endpoint.transports), name)

    def test_aBodyWhoseLengthIsKnownIsABodyWhateverItLooksLike(self) -> None:
        for method in (b"GET", b"HEAD", b"OPTIONS", b"DELETE", b"POST"):
            for framing, body in (
                (b"Content-Length: %d\r\n" % len(SMUGGLED), SMUGGLED),
                (b"Transfer-Encoding: chunked\r\n", b"%x\r\n%s\r\n0\r\n\r\n" % (len(SMUGGLED), SMUGGLED)),
            ):
                chain = Chain()
                client = chain.connect()
                chain.send(client, method + b" /x HTTP/1.1\r\n" + HOST + framing + b"\r\n" + body)
                (origin,) = chain.endpoint.transports
                sent = bytes(origin.written)
                self.assertTrue(sent.startswith(method + b" /x HTTP/1.1\r\n"))
                self.assertEqual(sent.lower().count(framing.lower()), 1, (method, sent))
                self.assertEqual(sent.partition(b"\r\n\r\n")[2], body)
                chain.send(origin, EMPTY)
                self.assertEqual(client.written.count(b"HTTP/1.1 "), 1)

    def test_whatConnectionNamesIsNotSentOnAndFramingIsNotNamed(self) -> None:
        fields = b"Connection: close, x-secret, content-length, host\r\nX-Secret: y\r\nContent-Length: 3\r\n"
        chain = Chain()
        chain.send(chain.connect(), START + fields + b"\r\nabc" + SMUGGLED)
        self.assertEqual(chain.origin.lower(), b"post /x http/1.1\r\nhost: a.example\r\ncontent-length: 3\r\n\r\nabc")

    def test_hostsThatSayTheSame(self) -> None:
        for target, host in (
            (b"http://a.example/", b"A.example"),
            (b"http://A.EXAMPLE:80/", b"a.example"),
            (b"http://a.example/", b"a.example:80"),
        ):
            chain = Chain()
            chain.send(chain.connect(), b"GET " + target + b" HTTP/1.1\r\nHost: " + host + b"\r\n\r\n")
            self.assertTrue(chain.origin.startswith(b"GET / HTTP/1.1\r\nhost: "), (target, host))


class ResponseTests(SynchronousTestCase):
    """
    What an origin sends.
    """

    def test_headsThatCanBeReadInTwoWays(self) -> None:
        for name, data in RESPONSES.items():
            for step in (0, 1) if len(data) < 2000 else (0,):
                chain = Chain()
                client = chain.connect()
                chain.send(client, SMUGGLED + SMUGGLED)
                (origin,) = chain.endpoint.transports
                chain.send(origin, data + EMPTY, step)
                answer = bytes(client.written)
                self.assertTrue(answer.startswith(b"HTTP/1.1 502 "), (name, answer))
                self.assertTrue(origin.aborted, name)
                self.assertIsInstance(chain.failures[0], FlowError, name)

    def test_chunksThatCanBeReadInTwoWays(self) -> None:
        head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        for name, chunks in CHUNKS.items():
            for step in (0, 1) if len(chunks) < 2000 else (0,):
                chain = Chain()
                client = chain.connect()
                chain.send(client, SMUGGLED)
                (origin,) = chain.endpoint.transports
                chain.send(origin, head + chunks + EMPTY, step)
                answer = bytes(client.written)
                self.assertTrue(answer.startswith(b"HTTP/1.1 200 "), (name, answer))
                self.assertFalse(answer.endswith(b"0\r\n\r\n"), name)
                self.assertTrue(client.aborted, name)
                self.assertTrue(origin.aborted, name)

    def test_whatComesBehindAResponseAnswersNoOtherRequest(self) -> None:
        stolen = b"HTTP/1.1 200 OK\r\nX: stolen\r\ncontent-length: 0\r\n\r\n"
        for method, data in (
            (b"GET", EMPTY),
            (b"GET", b"HTTP/1.1 204 No Content\r\nContent-Length: %d\r\n\r\n" % len(stolen)),
            (b"GET", b"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n"),
            (b"GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: %d\r\n\r\n" % len(stolen)),
            (b"GET", b"HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n"),
            (b"HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(stolen)),
            (b"HEAD", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
            (b"GET", b"HTTP/1.1 100 Continue\r\nContent-Length: 0\r\n\r\n" + EMPTY),
            (b"GET", b"HTTP/1.1 103 Early Hints\r\nTransfer-Encoding: chunked\r\n\r\n" + EMPTY),
        ):
            chain = Chain()
            client = chain.connect()
            request = SMUGGLED.replace(b"GET", method)
            chain.send(client, request)
            (origin,) = chain.endpoint.transports
            chain.send(origin, data + stolen)
            chain.send(client, request)
            answer = bytes(client.written)
            self.assertNotIn(b"stolen", answer, data)
            self.assertEqual(answer.count(b"HTTP/1.1 "), 1, data)
            self.assertTrue(origin.writeClosed, data)
            self.assertEqual(len(chain.endpoint.transports), 2, data)

    def test_aConnectThatSucceedsHasNoBodyWhateverItSays(self) -> None:
        for field in (b"Content-Length: 3", b"Transfer-Encoding: chunked"):
            chain = Chain()
            client = chain.connect()
            chain.send(client, b"CONNECT a.example:1 HTTP/1.1\r\nHost: a.example:1\r\n\r\n")
            (origin,) = chain.endpoint.transports
            self.assertEqual(bytes(origin.written), b"CONNECT a.example:1 HTTP/1.1\r\nhost: a.example:1\r\n\r\n")
            chain.send(origin, b"HTTP/1.1 200 OK\r\n" + field + b"\r\n\r\n" + EMPTY)
            head, _, rest = bytes(client.written).partition(b"\r\n\r\n")
            self.assertEqual(head, b"HTTP/1.1 200 OK")
            self.assertEqual(rest, EMPTY)


class WritingTests(SynchronousTestCase):
    """
    Whatever a program or another version of HTTP hands over, no message comes out that is two.
    """

    NAMES = (b"x y", b"x:", b"", b"x\r\ny", b"x\n", b"x\x00", "\u00e9".encode(), b"x\t")
    VALUES = (b"a\r\nb: c", b"a\nb", b"a\rb", b"a\x00b", b"\r\n\r\nHTTP/1.1 200 OK", b"\n")

    def refuse(self, head: RequestHead, end: bool = True) -> None:
        endpoint = MemoryEndpoint(clock := Chain().clock)
        opening = HTTP1Client(endpoint, clock).exchange(head, end)
        clock.advance(0)
        self.failureResultOf(opening, BadRequest)
        self.assertEqual([bytes(transport.written) for transport in endpoint.transports], [b""])

    def test_requestsThatWouldSplit(self) -> None:
        for name in self.NAMES:
            self.refuse(RequestHead(b"GET", b"http", b"a", b"/", None, ((name, b"y"),)))
        for value in self.VALUES:
            self.refuse(RequestHead(b"GET", b"http", b"a", b"/", None, ((b"x", value),)))
        for path in (b"/ HTTP/1.1\r\n\r\nGET /smuggled", b"/a b", b"/\x00", b"/\n", b"/\x7f", b""):
            self.refuse(RequestHead(b"GET", b"http", b"a", path))
        for method in (b"GET /smuggled HTTP/1.1\r\nX: y\r\n\r\nGET", b"G T", b"", b"GET\n"):
            self.refuse(RequestHead(method, b"http", b"a", b"/"))
        for authority in (b"a\r\nX: y", b"a\nb", b"a\x00"):
            self.refuse(RequestHead(b"GET", b"http", authority, b"/"))
        for length in (b"+3", b"3, 3", b"x", b"", b"-1"):
            self.refuse(RequestHead(b"POST", b"http", b"a", b"/", None, ((b"content-length", length),)), end=False)

    def test_fieldsOfOneHopAreWrittenByThatHopOnly(self) -> None:
        fields: Headers = (
            *((b"connection", b"x"), (b"transfer-encoding", b"chunked"), (b"upgrade", b"x"), (b"host", b"b")),
            *((b"te", b"gzip"), (b"keep-alive", b"1"), (b"proxy-connection", b"x")),
        )
        endpoint = MemoryEndpoint(clock := Chain().clock)
        HTTP1Client(endpoint, clock).exchange(RequestHead(b"GET", b"http", b"a", b"/", None, fields), True)
        clock.advance(0)
        self.assertEqual(bytes(endpoint.transports[0].written), b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")

    def test_responsesThatWouldSplit(self) -> None:
        for name, value in (*((name, b"y") for name in self.NAMES), *((b"x", value) for value in self.VALUES)):
            chain = Chain()
            handler = Handler()
            transport = chain.connect()
            transport.protocol._handler = handler
            transport.receive(SMUGGLED)
            handler.exchanges[0].respond(ResponseHead(200, ((name, value),)), end=True)
            self.assertEqual(bytes(transport.written), b"", (name, value))
            self.assertTrue(transport.aborted)

    def test_aBodyIsAsLongAsItsLength(self) -> None:
        for body in (b"", b"ab", b"abcd"):
            endpoint = MemoryEndpoint(clock := Chain().clock)
            head = RequestHead(b"POST", b"http", b"a", b"/", None, ((b"content-length", b"3"),))
            opening = HTTP1Client(endpoint, clock).exchange(head)
            clock.advance(0)
            exchange = self.successResultOf(opening)
            exchange.attach(HalfReader())
            if body:
                exchange.write(body)
            exchange.loseWriteConnection()
            transport: MemoryTransport = endpoint.transports[0]
            self.assertTrue(transport.aborted)
            self.assertNotIn(b"abcd", transport.written)
            clock.advance(0)
