"""
Servers of HTTP on loopback, in a reactor that turns when it is told to, and upstreams that lead to them.
"""

from __future__ import annotations

from typing import Any

from attrs import define, field
from twisted.internet.protocol import Factory
from zope.interface import implementer

from hermes.choosing import ServerChooser
from hermes.config.direct import DirectUpstream
from hermes.http1.server import HTTP1ServerProtocol
from hermes.http2.connection import ServerConnection
from hermes.http2.handler import EngineSettings
from hermes.interfaces import IExchangeHandler, IServerExchange
from hermes.net.authority import OverlayAuthority
from hermes.net.certificates import ServerCredentials
from hermes.test.http.upstreams import aRequest
from hermes.test.net.networkcase import NetworkTestCase
from hermes.upstreams import Upstream, UpstreamMaker
from hermes.values import RequestHead, ResponseHead

GET = RequestHead(b"GET", b"https", b"web.example", b"/")


@implementer(IExchangeHandler)
@define(eq=False)
class Answers:
    """
    Answers each request at once: with its status, and who answers.
    """

    name: str
    status: int = 200
    asked: list[Any] = field(factory=list)

    def exchangeReceived(self, exchange: IServerExchange) -> None:
        self.asked.append(exchange)
        if exchange.request.protocol is not None:
            exchange.respond(ResponseHead(200 if exchange.version == "2" else 101))
            return
        exchange.respond(ResponseHead(self.status, ((b"server", self.name.encode()), (b"content-length", b"0"))), True)

    @property
    def versions(self) -> list[str]:
        """
        The versions of HTTP in which it was asked.
        """
        return [exchange.version for exchange in self.asked]


class ServingCase(NetworkTestCase):
    """
    Servers, and an upstream.
    """

    def setUp(self) -> None:
        super().setUp()
        self.upstreams: list[Upstream] = []

    def closeAll(self) -> None:
        for upstream in self.upstreams:
            upstream.close()
        self.reactor.turn()
        self.reactor.advance(60)
        self.reactor.turn()
        super().closeAll()

    def serve(
        self,
        bind: str = "127.0.0.1:0",
        credentials: Any = None,
        settings: EngineSettings | None = None,
        proxyProtocol: bool = False,
    ) -> tuple[str, Answers]:
        """
        A server of both versions: its address, and what it was asked.
        """
        answers = Answers(bind)

        def http2() -> Any:
            return ServerConnection(answers, self.reactor, settings)

        def http1() -> Any:
            return HTTP1ServerProtocol(answers, self.reactor)

        def chooser() -> Any:
            return ServerChooser(http2, http1, self.reactor)

        factory = Factory.forProtocol(chooser)
        factory.noisy = False
        endpoint = self.network.streamServer(bind, credentials, proxyProtocol)
        port: Any = self.successResultOf(endpoint.listen(factory))
        self.addCleanup(port.stopListening)
        self.servingPort = port
        host = port.getHost()
        return f"{host.host}:{host.port}", answers

    def authority(self, *names: str) -> tuple[Any, ServerCredentials]:
        """
        What to trust, and a server's certificate for these names.
        """
        authority = OverlayAuthority.create(self.mktemp())
        return authority.trustFile, ServerCredentials(*authority.issue("server", list(names)))

    def upstream(self, *endpoints: Any, **keys: Any) -> Upstream:
        """
        An upstream as a configuration would have it.
        """
        config = DirectUpstream(tuple(endpoints), **keys)
        upstream = UpstreamMaker(self.network, self.reactor, None).make("web", config)
        self.upstreams.append(upstream)
        return upstream

    def ask(self, upstream: Upstream, head: RequestHead = GET, carrier: Any = None, **options: Any) -> Any:
        """
        The response to a request.
        """
        sent = upstream.dialer.sender(carrier).send(aRequest(head, **options))
        self.reactor.turn()
        return self.successResultOf(sent)
