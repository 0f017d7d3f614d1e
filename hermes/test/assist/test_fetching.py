"""
Small requests of our own.
"""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor as theReactor
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.ssl import PrivateCertificate
from twisted.trial.unittest import TestCase

from hermes.assist.fetching import MAX_ANSWER, Fetcher, FetchFailed
from hermes.net.authority import OverlayAuthority

reactor: Any = theReactor


class Server(Protocol):
    """
    Answers each request with what it is told to.
    """

    def __init__(self, factory: ServerFactory) -> None:
        self.factory: Any = factory
        self.data = b""

    def connectionMade(self) -> None:
        self.factory.connections.append(self)

    def dataReceived(self, data: bytes) -> None:
        self.data += data
        head, end, _ = self.data.partition(b"\r\n\r\n")
        if end:
            self.factory.heads.append(head)
            self.data = b""
            assert self.transport is not None
            self.transport.write(self.factory.answer)
            if self.factory.closes:
                self.transport.loseConnection()
            self.factory.answered()

    def connectionLost(self, reason: Any = None) -> None:
        self.factory.lost.callback(None)
        self.factory.lost = Deferred()


class ServerFactory(Factory):
    """
    @ivar answer: what is sent.
    @ivar closes: whether the connection is closed behind it.
    """

    noisy = False

    def __init__(self) -> None:
        self.answer = b""
        self.closes = False
        self.heads: list[bytes] = []
        self.connections: list[Server] = []
        self.lost: Deferred[None] = Deferred()
        self.asked: Deferred[None] = Deferred()

    def answered(self) -> None:
        """
        A request is answered.
        """
        asked, self.asked = self.asked, Deferred()
        asked.callback(None)

    def buildProtocol(self, address: Any) -> Server:
        return Server(self)


class FetchTests(TestCase):
    """
    L{Fetcher}.
    """

    def setUp(self) -> None:
        self.server = ServerFactory()
        self.port: Any = reactor.listenTCP(0, self.server, interface="127.0.0.1")
        self.addCleanup(self.port.stopListening)
        self.url = f"http://127.0.0.1:{self.port.getHost().port}/a?b"
        self.fetch = self.make()

    def make(self, **options: Any) -> Fetcher:
        fetch = Fetcher(reactor, **{"timeout": 10.0, **options})
        self.addCleanup(fetch.close)
        return fetch

    async def test_anAnswerIsReadWhole(self) -> None:
        self.server.answer = b"HTTP/1.1 404 No\r\nX-A: 1\r\nx-a: 2\r\nContent-Length: 3\r\n\r\nabc"
        answer = await self.fetch(b"POST", self.url, ((b"x-b", b"1"), (b"x-b", b"2")), b"{}")
        self.assertEqual((answer.status, answer.get(b"x-a"), answer.body), (404, b"1, 2", b"abc"))
        lines = self.server.heads[0].lower().split(b"\r\n")
        self.assertEqual(lines[0], b"post /a?b http/1.1")
        self.assertTrue({b"x-b: 1", b"x-b: 2", b"content-length: 2"} <= set(lines), lines)

    async def test_connectionsAreKept(self) -> None:
        self.server.answer = b"HTTP/1.1 204 No\r\n\r\n"
        for _ in range(3):
            self.assertEqual((await self.fetch(b"GET", self.url)).status, 204)
        self.assertEqual((len(self.server.heads), len(self.server.connections)), (3, 1))
        lost = self.server.lost
        await self.fetch.close()
        await lost

    async def test_anAnswerThatIsTooLongIsNotRead(self) -> None:
        for length in (MAX_ANSWER + 1, 1 << 40):
            self.server.answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % length + b"x" * (MAX_ANSWER + 1)
            lost = self.server.lost
            await self.assertFailure(self.fetch(b"GET", self.url), FetchFailed)
            if length > MAX_ANSWER + 1:
                await lost

    async def test_anAnswerThatIsCutShortIsNone(self) -> None:
        self.server.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"
        self.server.closes = True
        await self.assertFailure(self.fetch(b"GET", self.url), FetchFailed)

    async def test_whatIsNoHTTPIsNone(self) -> None:
        self.server.answer = b"SSH-2.0\r\n"
        self.server.closes = True
        await self.assertFailure(self.fetch(b"GET", self.url), FetchFailed)

    async def test_noAnswerIsWaitedForOnlySoLong(self) -> None:
        for answer in (b"", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"):
            self.server.answer = answer
            lost = self.server.lost
            await self.assertFailure(self.make(timeout=0.05)(b"GET", self.url), FetchFailed)
            await lost

    async def test_whoGivesUpClosesTheConnection(self) -> None:
        asked, lost = self.server.asked, self.server.lost
        fetching = self.fetch(b"GET", self.url)
        await asked
        fetching.cancel()
        await self.assertFailure(fetching, CancelledError)
        await lost

    async def test_aServerThatIsNotThere(self) -> None:
        await self.port.stopListening()
        await self.assertFailure(self.fetch(b"GET", self.url), FetchFailed)

    async def test_aRedirectionIsNotFollowed(self) -> None:
        self.server.answer = b"HTTP/1.1 302 Go\r\nLocation: /b\r\nContent-Length: 0\r\n\r\n"
        self.assertEqual((await self.fetch(b"GET", self.url)).status, 302)
        self.assertEqual(len(self.server.heads), 1)


class TLSTests(TestCase):
    """
    C{https:}.
    """

    def setUp(self) -> None:
        directory = self.mktemp()
        authority = OverlayAuthority.create(directory)
        files: Any = authority.issue("issuer", ["localhost"])
        self.trust = f"{directory}/overlay-ca.pem"
        with open(f"{directory}/issuer.pem", "rb") as certificate, open(f"{directory}/issuer.key", "rb") as key:
            credentials = PrivateCertificate.loadPEM(certificate.read() + key.read())
        del files
        self.server = ServerFactory()
        self.server.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
        self.port: Any = reactor.listenSSL(0, self.server, credentials.options(), interface="127.0.0.1")
        self.addCleanup(self.port.stopListening)

    def fetch(self, host: str, trust: str | None) -> Deferred[Any]:
        fetch = Fetcher(reactor, 10.0, trust=trust)
        self.addCleanup(fetch.close)
        return fetch(b"GET", f"https://{host}:{self.port.getHost().port}/")

    async def test_aServerIsCheckedAgainstWhatIsTrusted(self) -> None:
        self.assertEqual((await self.fetch("localhost", self.trust)).body, b"ok")

    async def test_aServerThatNobodyHasVouchedForIsRefused(self) -> None:
        await self.assertFailure(self.fetch("localhost", None), FetchFailed)
        await self.assertFailure(self.fetch("127.0.0.1", self.trust), FetchFailed)
        self.assertEqual(self.server.heads, [])
