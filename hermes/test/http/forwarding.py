"""
A proxy in memory: exchanges come in, and streams to origins go out.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from hermes.fabric.router import Route, Router
from hermes.http.handler import RequestHandler
from hermes.http.origins import Origins
from hermes.http.plans import Plans
from hermes.http.sender import ExchangeSender
from hermes.interfaces import IExchangeHandler, IRequestObserver
from hermes.matching import Match
from hermes.messages import RequestRecord
from hermes.test.fabric.fakedialer import FakeDialer
from hermes.test.fabric.fakes import FakeStream
from hermes.testing import MemoryClientExchange, MemoryExchangeClient, MemoryNetwork, MemoryServerExchange
from hermes.users import Users, UserSecret
from hermes.values import Headers, RequestHead, ResponseHead

SOURCE = ("192.0.2.1", 4000)
REQUEST = RequestHead(b"POST", b"http", b"origin.example", b"/")
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@implementer(IHalfCloseableProtocol)
class Body(Protocol):
    """
    Collects a body.
    """

    def __init__(self) -> None:
        self.data = b""
        self.ended = False
        self.lost: Failure | None = None

    def dataReceived(self, data: bytes) -> None:
        self.data += data

    def readConnectionLost(self) -> None:
        self.ended = True

    def writeConnectionLost(self) -> None:
        pass

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.lost = reason


@implementer(IRequestObserver)
class Watching:
    """
    Keeps the records of what has ended.
    """

    def __init__(self) -> None:
        self.ended: list[RequestRecord] = []

    def requestStarted(self, record: RequestRecord) -> None:
        pass

    def requestEnded(self, record: RequestRecord) -> None:
        self.ended.append(record)


class Forwarding(SynchronousTestCase):
    """
    A request handler whose routes lead to origins.

    @ivar dialer: dials the origins; each dial waits for L{up}.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.dialer = FakeDialer(self.clock, hold=True)
        self.network = MemoryNetwork()
        self.users = Users({"alice": UserSecret(password="secret")})
        self.watching = Watching()
        self.requests = self.newRequests(Route(Match(), name="all"))
        self.handler: IExchangeHandler = self.requests.listener("apps")
        self.via = self.requests.heads.pseudonym

    def newRequests(self, *routes: Route) -> RequestHandler:
        plans = Plans(
            Router(routes), {}, {}, lambda special: self.dialer, lambda dialer: Origins(dialer, self.clock), self.clock
        )
        return RequestHandler(plans, self.users, [self.watching], self.clock, "edge")

    def ask(
        self,
        method: bytes = b"GET",
        headers: Headers = (),
        authority: bytes = b"origin.example",
        path: bytes = b"/a?b",
        scheme: bytes = b"http",
        ended: bool = True,
        protocol: bytes | None = None,
        **options: Any,
    ) -> tuple[MemoryClientExchange, MemoryServerExchange, Body]:
        """
        A client asks.

        @param ended: its request has no body.
        """
        request = RequestHead(method, scheme, authority, path, protocol, headers)
        browser, server = self.network.pair(request, **options)
        browser.attach(body := Body())
        if ended:
            server.bodyless = True
            browser.loseWriteConnection()
        self.handler.exchangeReceived(server)
        self.pump()
        return browser, server, body

    def pump(self) -> None:
        """
        Let happen what can happen now.
        """
        self.network.pump()
        self.clock.advance(0)
        self.network.pump()

    def up(self) -> FakeStream:
        """
        The dial that waits longest has an end: what the origin reads and writes.
        """
        self.dialer.up()
        self.pump()
        return self.dialer.streams[-1]

    def refuse(self, error: Exception) -> None:
        """
        The dial that waits longest fails.
        """
        dialed, _ = self.dialer.waiting.pop(0)
        dialed.errback(error)
        self.pump()

    def answer(self, origin: FakeStream, data: bytes) -> None:
        """
        The origin sends something.
        """
        origin.deliver(data)
        self.pump()

    def assertRefused(self, exchange: MemoryServerExchange, status: int, error: bytes) -> None:
        head = exchange.responses[-1]
        self.assertEqual(head.status, status)
        self.assertIn(error, head.get(b"proxy-status") or b"")


class Joining(SynchronousTestCase):
    """
    Two exchanges in memory, and the handler between.

    @ivar browser: the client's end; C{server} ours.
    @ivar origin: the origin's end; C{client} ours.
    """

    def setUp(self) -> None:
        self.network = MemoryNetwork()
        self.watching = Watching()
        clock = Clock()
        self.upstream = MemoryExchangeClient(self.network, self)  # type: ignore[arg-type]
        dialer = FakeDialer(clock)
        origins: Any = lambda _: ExchangeSender(self.upstream)  # noqa: E731
        plans = Plans(Router([Route(Match())]), {}, {}, lambda special: dialer, origins, clock)
        self.handler = RequestHandler(plans, Users({}), [self.watching], clock, "edge").listener("apps")
        self.browserBody, self.originBody = Body(), Body()

    def exchangeReceived(self, exchange: Any) -> None:
        """
        The origin gets a request.
        """
        self.origin = exchange
        exchange.attach(self.originBody)

    def ask(self, head: RequestHead = REQUEST) -> None:
        self.browser, self.server = self.network.pair(head)
        self.browser.attach(self.browserBody)
        self.handler.exchangeReceived(self.server)
        self.client = self.upstream.exchanges[-1][0]
        self.network.pump()

    def respond(self, status: int = 200) -> None:
        self.origin.respond(ResponseHead(status))
        self.network.pump()
