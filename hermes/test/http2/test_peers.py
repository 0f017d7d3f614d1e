"""
Clients that we did not write: nghttp, h2load and curl against a server on real sockets, on our transport and on
Twisted's.
"""

from __future__ import annotations

from collections.abc import Callable
from shutil import which
from typing import Any, TypeVar, cast

from twisted.internet import reactor as installedReactor
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.interfaces import IAddress, IHalfCloseableProtocol, IProtocol, IStreamServerEndpoint
from twisted.internet.protocol import Factory, ProcessProtocol
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase
from zope.interface import implementer

from hermes.http2.connection import ServerConnection
from hermes.http2.handler import EngineSettings
from hermes.interfaces import IBorrowingProtocol, IExchangeHandler, IServerExchange
from hermes.net.network import Network
from hermes.values import Buffer, RequestHead, ResponseHead

reactor = cast(Any, installedReactor)

T = TypeVar("T", bound=Callable[..., object])


def needs(program: str) -> Callable[[T], T]:
    """
    Skip a test where a program is not installed.
    """

    def mark(test: T) -> T:
        if which(program) is None:
            test.skip = f"{program} is not installed"  # type: ignore[attr-defined]
        return test

    return mark


def content(size: int) -> bytes:
    """
    The body that the server has at C{/size}.
    """
    return (b"0123456789abcdef" * (size // 16 + 1))[:size]


@implementer(IProtocol, IHalfCloseableProtocol, IBorrowingProtocol)
class Echo:
    """
    Answers with what it gets, as it gets it, no faster than it is taken.
    """

    def __init__(self, exchange: IServerExchange) -> None:
        self._exchange = exchange
        self._received = 0

    def makeConnection(self, transport: Any) -> None:
        transport.registerProducer(transport, True)

    def connectionMade(self) -> None:
        pass

    def dataReceived(self, data: Buffer) -> None:
        self._received += len(data)
        self._exchange.write(data)  # type: ignore[arg-type]

    def readConnectionLost(self) -> None:
        self._exchange.unregisterProducer()
        self._exchange.writeTrailers(((b"x-received", b"%d" % self._received),))

    def writeConnectionLost(self) -> None:
        pass

    def connectionLost(self, reason: Failure) -> None:
        pass


@implementer(IExchangeHandler)
class Site:
    """
    GET C{/size} gets so many bytes, POST its own.
    """

    def __init__(self) -> None:
        self.requests: list[RequestHead] = []

    def exchangeReceived(self, exchange: IServerExchange) -> None:
        request = exchange.request
        self.requests.append(request)
        if request.method == b"POST":
            exchange.respond(ResponseHead(200))
            exchange.attach(Echo(exchange))
            return
        body = content(int(request.path[1:]))
        exchange.respond(ResponseHead(200, ((b"content-length", b"%d" % len(body)),)), end=request.method == b"HEAD")
        if request.method != b"HEAD":
            exchange.write(body)
            exchange.loseConnection()


class Program(ProcessProtocol):
    """
    Runs to its end. C{done} fires with what it printed and its exit code.
    """

    def __init__(self) -> None:
        self.done: Deferred[tuple[bytes, bytes, int]] = Deferred()
        self._printed = {1: b"", 2: b""}

    def childDataReceived(self, childFD: int, data: bytes) -> None:
        self._printed[childFD] += data

    def processEnded(self, reason: Failure) -> None:
        self.done.callback((self._printed[1], self._printed[2], reason.value.exitCode))  # type: ignore[union-attr]


class TwistedPeerTests(TestCase):
    """
    On Twisted's own TCP.
    """

    timeout = 60

    def endpoint(self) -> IStreamServerEndpoint:
        """
        Where the server listens.
        """
        return cast(IStreamServerEndpoint, TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1"))

    async def listen(self, settings: EngineSettings | None = None) -> str:
        """
        Start a server.

        @return: its URL.
        """
        self.site = Site()
        connections: list[ServerConnection] = []

        class Connections(Factory):
            def buildProtocol(factory, addr: IAddress | None) -> ServerConnection:  # type: ignore[override]
                connections.append(ServerConnection(self.site, reactor, settings))
                return connections[-1]

        port: Any = await self.endpoint().listen(Connections())

        def close() -> Deferred[Any]:
            for connection in connections:
                connection.abort()
            return DeferredList([port.stopListening(), *[connection.closed for connection in connections]])

        self.addCleanup(close)
        return f"http://127.0.0.1:{port.getHost().port}"

    async def run_(self, program: str, *arguments: str) -> bytes:
        """
        Run a program that must succeed.

        @return: what it printed.
        """
        process = Program()
        reactor.spawnProcess(process, program, [program, *arguments], env=None)
        printed, errors, status = await process.done
        self.assertEqual(status, 0, (printed[-2000:], errors[-2000:]))
        return printed

    def body(self, size: int) -> str:
        """
        A file to send.
        """
        path: str = self.mktemp()
        with open(path, "wb") as file:
            file.write(content(size))
        return path

    @needs("nghttp")
    async def test_nghttpGetsABody(self) -> None:
        url = await self.listen()
        self.assertEqual(await self.run_("nghttp", f"{url}/3000000"), content(3_000_000))

    @needs("nghttp")
    async def test_nghttpWithSmallWindowsAndPaddingGetsABody(self) -> None:
        url = await self.listen()
        for option in (["-w", "10", "-W", "12"], ["-b", "250"], ["--continuation"], ["--no-dep"]):
            self.assertEqual(await self.run_("nghttp", *option, f"{url}/200000"), content(200_000))

    @needs("nghttp")
    async def test_nghttpGetsManyBodiesAtOnce(self) -> None:
        url = await self.listen()
        urls = [f"{url}/{size}" for size in range(1, 40_000, 1000)]
        printed = await self.run_("nghttp", "-s", "-n", *urls)
        self.assertEqual(printed.count(b" 200 "), len(urls))
        self.assertEqual(len(self.site.requests), len(urls))

    @needs("nghttp")
    async def test_nghttpSendsABodyWithTrailersAndGetsTrailers(self) -> None:
        url = await self.listen()
        printed = await self.run_("nghttp", "-v", "-n", "-d", self.body(200_000), "--trailer", "x-sum: 1", f"{url}/")
        self.assertIn(b"x-received: 200000", printed)
        self.assertNotIn(b"RST_STREAM", printed)

    @needs("h2load")
    async def test_h2loadIsServed(self) -> None:
        url = await self.listen()
        for options in (["-m", "1"], ["-m", "50"], ["-m", "10", "-w", "10", "-W", "11"]):
            printed = await self.run_("h2load", "-n", "400", "-c", "4", *options, f"{url}/5000")
            self.assertIn(b"400 done, 400 succeeded, 0 failed, 0 errored, 0 timeout", printed)

    @needs("h2load")
    async def test_h2loadSendsBodies(self) -> None:
        url = await self.listen()
        printed = await self.run_("h2load", "-n", "100", "-c", "2", "-m", "10", "-d", self.body(50_000), f"{url}/")
        self.assertIn(b"100 done, 100 succeeded, 0 failed, 0 errored, 0 timeout", printed)

    @needs("h2load")
    async def test_h2loadBeyondTheStreamLimitIsServed(self) -> None:
        url = await self.listen(EngineSettings(maxStreams=3))
        printed = await self.run_("h2load", "-n", "100", "-c", "1", "-m", "50", f"{url}/100")
        self.assertIn(b"100 done, 100 succeeded, 0 failed, 0 errored, 0 timeout", printed)

    @needs("curl")
    async def test_curlGetsHeadsAndBodies(self) -> None:
        url = await self.listen()
        curl = ("curl", "-sS", "--http2-prior-knowledge")
        self.assertEqual(await self.run_(*curl, f"{url}/1000000"), content(1_000_000))
        head = await self.run_(*curl, "-I", f"{url}/1000000")
        self.assertTrue(head.startswith(b"HTTP/2 200"), head)
        self.assertIn(b"content-length: 1000000", head)

    @needs("curl")
    async def test_curlSendsABodyAndGetsItBack(self) -> None:
        url = await self.listen()
        path = self.body(5_000_000)
        printed = await self.run_("curl", "-sS", "--http2-prior-knowledge", "--data-binary", f"@{path}", f"{url}/")
        self.assertEqual(printed, content(5_000_000))


class HermesPeerTests(TwistedPeerTests):
    """
    On our own transport.
    """

    def endpoint(self) -> IStreamServerEndpoint:
        return Network(reactor).streamServer("127.0.0.1:0")
