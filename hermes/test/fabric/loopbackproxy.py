"""
A web server and a C{proxy} listener on the loopback interface, for those that speak to the real thing.
"""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase
from twisted.web.resource import Resource
from twisted.web.server import Request, Site

from hermes.fabric.direct import DirectDialer
from hermes.fabric.handler import FlowHandler
from hermes.fabric.proxy import ProxyListenerType, ProxyOptions
from hermes.fabric.router import Route, Router
from hermes.http2.connection import ServerConnection
from hermes.interfaces import IAdmission, IExchangeHandler, IListenerContext
from hermes.matching import Match
from hermes.net.network import Network
from hermes.test.fabric.fakenetwork import FakeContext
from hermes.test.fabric.fakes import FakeObserver
from hermes.tunnel.server import TunnelHandler
from hermes.users import Users, UserSecret

clock: Any = reactor


def tunnels(
    name: str,
    context: IListenerContext,
    anonymous: bool,
    forward: IExchangeHandler,
    admission: IAdmission | None,
) -> IExchangeHandler:
    return TunnelHandler(
        context.flows,
        context.authenticator,
        context.reactor,
        context.nodeName,
        name,
        anonymous,
        forward=forward,
        admission=admission,
    )


class Origin(Resource):
    """
    A web server's root: tells what it was asked.
    """

    isLeaf = True

    def render(self, request: Request) -> bytes:
        body = request.content.read()  # type: ignore[union-attr]
        via = request.requestHeaders.getRawHeaders(b"via", [b"-"])[0].split(b" ")[0]
        return b"%s %s via %s: %s" % (request.method, request.uri, via, body)


class Loopback(TestCase):
    """
    A web server and a proxy on the loopback interface.
    """

    async def start(self, **options: Any) -> tuple[str, str]:
        """
        A web server and a proxy; their addresses.
        """
        port = await TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(Site(Origin()))
        self.addCleanup(port.stopListening)
        self.observer = FakeObserver()
        network = Network(reactor)
        flows = FlowHandler(
            Router([Route(Match(), allowSpecial=True)]),
            {},
            lambda allow: DirectDialer(network, allow),
            [self.observer],
            clock,
        )
        context = FakeContext(clock, flows, Users({"alice": UserSecret(password="secret")}))
        context.network = network
        made: Any = ProxyListenerType(tunnels, ServerConnection).listener(
            "apps", ProxyOptions("127.0.0.1:0", **options), context
        )
        await made.start()

        async def end() -> None:
            await made.stop()
            made.drain()
            flows.abortAll()
            made.abort()
            while made.connections or flows.openFlows():
                await deferLater(clock, 0, lambda: None)

        self.addCleanup(end)
        return f"http://127.0.0.1:{port.getHost().port}", f"127.0.0.1:{made.getHost().port}"

    def protocols(self) -> list[str]:
        return [record.flow.protocol for name, record in self.observer.events if name == "opened"]
