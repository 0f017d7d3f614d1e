"""
A web server and a C{proxy} listener on the loopback interface, for those that speak to the real thing.
"""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.interfaces import IProtocol
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase
from twisted.web.resource import Resource
from twisted.web.server import Request, Site
from zope.interface import implementer

from hermes.fabric.direct import DirectDialer
from hermes.fabric.handler import FlowHandler
from hermes.fabric.proxy import ProxyListenerType, ProxyOptions
from hermes.fabric.router import Route, Router
from hermes.http.handler import RequestHandler
from hermes.http.origins import Origins
from hermes.http.plans import Plans
from hermes.http2.connection import ServerConnection
from hermes.interfaces import (
    IAdmission,
    IDatagramReceiver,
    IDialer,
    IExchangeHandler,
    IListenerContext,
    IPacketReceiver,
)
from hermes.matching import Match
from hermes.net.network import Network
from hermes.test.fabric.fakenetwork import FakeContext
from hermes.test.fabric.fakes import FakeObserver
from hermes.test.http.forwarding import Watching
from hermes.tunnel.server import TunnelHandler
from hermes.users import Users, UserSecret
from hermes.values import Flow

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


@implementer(IDialer)
class CountingDialer:
    """
    Keeps the transports of what it has connected.
    """

    def __init__(self, dialer: IDialer) -> None:
        self._dialer = dialer
        self.transports: list[Any] = []

    def connectStream(self, flow: Flow, protocol: IProtocol) -> Deferred[IProtocol]:
        return self._dialer.connectStream(flow, protocol).addCallback(self._connected)

    def _connected(self, protocol: Any) -> Any:
        self.transports.append(protocol.transport)
        return protocol

    def connectDatagrams(self, flow: Flow, receiver: IDatagramReceiver) -> Deferred[IDatagramReceiver]:
        return self._dialer.connectDatagrams(flow, receiver)

    def connectPackets(self, flow: Flow, receiver: IPacketReceiver) -> Deferred[IPacketReceiver]:
        return self._dialer.connectPackets(flow, receiver)


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
        users = Users({"alice": UserSecret(password="secret")})
        self.dialer = CountingDialer(DirectDialer(network, True))
        plans = Plans(flows.router, {}, {}, lambda _: self.dialer, lambda dialer: Origins(dialer, clock), clock)
        self.watching = Watching()
        requests = RequestHandler(plans, users, [self.watching], clock, "edge")
        context = FakeContext(clock, flows, requests, users)
        context.network = network
        made: Any = ProxyListenerType(tunnels, ServerConnection).listener(
            "apps", ProxyOptions("127.0.0.1:0", **options), context
        )
        await made.start()

        async def end() -> None:
            await made.stop()
            made.drain()
            flows.abortAll()
            requests.abortAll()
            made.abort()
            for transport in self.dialer.transports:
                transport.abortConnection()
            while made.connections or flows.openFlows() or not all(t.disconnected for t in self.dialer.transports):
                await deferLater(clock, 0, lambda: None)

        self.addCleanup(end)
        return f"http://127.0.0.1:{port.getHost().port}", f"127.0.0.1:{made.getHost().port}"

    def protocols(self) -> list[str]:
        """
        Of the flows that were opened, and then of the exchanges that have ended.
        """
        flows = [record.flow.protocol for name, record in self.observer.events if name == "opened"]
        return flows + [record.flow.protocol for record in self.watching.ended]
