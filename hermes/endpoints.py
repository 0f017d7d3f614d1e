"""
C{hermes:} in C{clientFromString} and C{serverFromString}: any Twisted program over the overlay, unchanged.

A client through one proxy, or by the routes and upstreams of a node's configuration::

    hermes:db.hermes:3306:proxy=relay.example\\:8443:node=relay:certificate=me.pem:key=me.key:trust=overlay-ca.pem
    hermes:db.hermes:3306:proxy=127.0.0.1\\:3128:tls=no:user=alice:password=secret
    hermes:db.hermes:3306:config=node.yaml

A server is a listening port on a proxy, reached back through the tunnel::

    hermes:8080:proxy=relay.example\\:8443:node=relay:certificate=me.pem:key=me.key:trust=overlay-ca.pem:interface=0.0.0.0

Connections to a proxy are shared by all endpoints of a reactor that name it in the same way.
"""

from __future__ import annotations

import os
from typing import Any
from weakref import WeakKeyDictionary

from attrs import define, field, frozen
from twisted.internet.address import HostnameAddress
from twisted.internet.defer import Deferred, fail, gatherResults, maybeDeferred
from twisted.internet.error import ConnectError
from twisted.internet.interfaces import (
    IProtocol,
    IProtocolFactory,
    IStreamClientEndpoint,
    IStreamClientEndpointStringParserWithReactor,
    IStreamServerEndpoint,
    IStreamServerEndpointStringParser,
)
from twisted.plugin import IPlugin
from zope.interface import implementer

from hermes.interfaces import IDialer
from hermes.values import Flow, Target


@frozen
class ProxyAddress:
    """
    A proxy as an endpoint's description names it.

    @ivar proxy: C{HOST:PORT} or C{unix:PATH}.
    @ivar tls: whether it is reached over TLS.
    @ivar version: the version of HTTP, C{auto}, C{1.1} or C{2}.
    @ivar node: the node that it must be, by the URI in its certificate.
    @ivar serverName: the DNS name that its certificate must hold, where C{node} is not given; left out, its host.
    @ivar certificate: our certificate (PEM).
    @ivar key: its key.
    @ivar trust: the authorities that it is checked against; left out, those of the system.
    @ivar user: for Basic authentication, with C{password}.
    @ivar password: for Basic authentication.
    @ivar token: for Bearer authentication.
    """

    proxy: str
    tls: bool = True
    version: str = "auto"
    node: str | None = None
    serverName: str | None = None
    certificate: str | None = None
    key: str | None = None
    trust: str | None = None
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)

    @classmethod
    def fromParameters(cls, parameters: dict[str, str]) -> ProxyAddress:
        """
        @raise ValueError: where a parameter is unknown, or its value can't be.
        """
        given: dict[str, Any] = dict(parameters)
        known = {attribute.name for attribute in cls.__attrs_attrs__}
        unknown = sorted(set(given) - known)
        if unknown:
            raise ValueError(
                f"hermes: endpoint: unknown parameter {unknown[0]!r}: known are {', '.join(sorted(known))}"
            )
        if "proxy" not in given:
            raise ValueError("hermes: endpoint: proxy=HOST\\:PORT is missing (or config=FILE)")
        if not given["proxy"].startswith("unix:"):
            Target.fromText(given["proxy"])
        given["tls"] = _yes(given.get("tls", "yes"), "tls")
        if given.get("version", "auto") not in ("auto", "1.1", "2"):
            raise ValueError(f"hermes: endpoint: version={given['version']}: it is auto, 1.1 or 2")
        if (given.get("certificate") is None) != (given.get("key") is None):
            raise ValueError("hermes: endpoint: certificate and key go together")
        if (given.get("user") is None) != (given.get("password") is None):
            raise ValueError("hermes: endpoint: user and password go together")
        return cls(**given)


def _yes(text: str, name: str) -> bool:
    if text.lower() in ("yes", "true", "1"):
        return True
    if text.lower() in ("no", "false", "0"):
        return False
    raise ValueError(f"hermes: endpoint: {name}={text}: it is yes or no")


@define(eq=False)
class Connections:
    """
    What the endpoints of one reactor share.
    """

    reactor: Any
    _clients: dict[ProxyAddress, Any] = field(factory=dict)
    _nodes: dict[str, Any] = field(factory=dict)

    def client(self, address: ProxyAddress) -> Any:
        """
        Exchanges with a proxy, an L{hermes.interfaces.IExchangeClient}.

        @raise HermesError: where a certificate can't be used.
        """
        client = self._clients.get(address)
        if client is None:
            client = self._clients[address] = self._makeClient(address)
        return client

    def _makeClient(self, address: ProxyAddress) -> Any:
        # Every Twisted program that looks for endpoints imports this module; what a tunnel needs is for those with one.
        from hermes.http1.client import HTTP1Client
        from hermes.http2.pool import Pool
        from hermes.negotiated import NegotiatedClient
        from hermes.net.certificates import ClientCredentials
        from hermes.net.network import Network

        credentials = None
        if address.tls:
            offered = {"auto": (b"h2", b"http/1.1"), "1.1": (b"http/1.1",), "2": (b"h2",)}[address.version]
            name = None if address.node is not None else address.serverName or _host(address.proxy)
            credentials = ClientCredentials(
                address.certificate, address.key, address.trust, address.node, name, protocols=offered
            )
        endpoint = Network(self.reactor).streamClient(address.proxy, credentials)

        def http2(endpoint: IStreamClientEndpoint) -> Any:
            return Pool(endpoint, self.reactor)

        def http1(endpoint: IStreamClientEndpoint) -> Any:
            return HTTP1Client(endpoint, self.reactor)

        if address.version == "2":
            return http2(endpoint)
        if address.version == "1.1" or not address.tls:
            return http1(endpoint)
        return NegotiatedClient(endpoint, http2, http1)

    def dialer(self, address: ProxyAddress) -> IDialer:
        """
        Opens tunnels through a proxy.
        """
        from hermes.tunnel.client import TunnelDialer

        return TunnelDialer(self.client(address), self.options(address), self.reactor)

    def options(self, address: ProxyAddress) -> Any:
        """
        How tunnels are asked for, a L{hermes.tunnel.client.TunnelOptions}.
        """
        from hermes.tunnel.client import Credentials, TunnelOptions

        authority = address.node or address.serverName or "proxy"
        return TunnelOptions(
            authority=(authority if address.proxy.startswith("unix:") else address.proxy).encode("ascii", "replace"),
            scheme=b"https" if address.tls else b"http",
            credentials=Credentials(address.user, address.password, address.token),
        )

    def flows(self, path: str) -> Any:
        """
        The flows of a node that listens nowhere, an L{hermes.interfaces.IFlowHandler}.

        @param path: its configuration.
        @raise HermesError: where that is wrong.
        """
        if path not in self._nodes:
            from hermes.assembly import Assembly
            from hermes.config import loadNode
            from hermes.net.network import Network
            from hermes.node import Node

            self._nodes[path] = Node(self.reactor, loadNode(path), Assembly(self.reactor, Network(self.reactor)))
        return self._nodes[path].flows

    def close(self) -> Deferred[None]:
        """
        Close what no stream uses any more; fires when all is closed. A later endpoint connects anew.
        """
        clients, self._clients = self._clients, {}
        nodes, self._nodes = self._nodes, {}
        closing = [maybeDeferred(client.close) for client in clients.values()]
        closing += [node.stop() for node in nodes.values()]
        return gatherResults(closing).addCallback(lambda _: None)


_shared: WeakKeyDictionary[Any, Connections] = WeakKeyDictionary()


def connectionsOf(reactor: Any) -> Connections:
    """
    What the endpoints of a reactor share.
    """
    found = _shared.get(reactor)
    if found is None:
        found = _shared[reactor] = Connections(reactor)
    return found


def _host(proxy: str) -> str:
    if proxy.startswith("unix:"):
        raise ValueError("hermes: endpoint: a proxy on a Unix socket needs tls=no, node= or serverName=")
    return Target.fromText(proxy).host


@implementer(IStreamClientEndpoint)
@frozen(eq=False)
class TunnelEndpoint:
    """
    Connects to a target through a dialer.
    """

    dialer: IDialer
    target: Target

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """
        Errback with L{hermes.errors.FlowError}. Can be cancelled.
        """
        # A name that the overlay gives a meaning to is not always one that DNS could have.
        host = self.target.host if self.target.host.isascii() else self.target.host.encode("idna").decode()
        protocol = protocolFactory.buildProtocol(HostnameAddress(host.encode(), self.target.port))
        if protocol is None:
            return fail(ConnectError(string="the factory made no protocol"))
        return self.dialer.connectStream(Flow("tcp", self.target), protocol)


def _joined(arguments: tuple[str, ...], parameters: dict[str, str]) -> dict[str, str]:
    """
    C{proxy=HOST:PORT} with its colon not escaped is the parameter C{HOST} and one more argument, the port.
    """
    if len(arguments) == 1 and "proxy" in parameters and ":" not in parameters["proxy"]:
        return {**parameters, "proxy": f"{parameters['proxy']}:{arguments[0]}"}
    if arguments:
        raise ValueError(f"hermes: endpoint: {arguments[0]!r} is too much: write colons inside of a value as \\:")
    return parameters


@implementer(IPlugin, IStreamClientEndpointStringParserWithReactor)
class HermesClientParser:
    """
    C{hermes:HOST:PORT:...}.
    """

    prefix = "hermes"

    def parseStreamClient(self, reactor: Any, *args: Any, **kwargs: Any) -> IStreamClientEndpoint:
        """
        @raise ValueError: where the description is wrong.
        @raise HermesError: where a file that it names can't be used.
        """
        arguments: tuple[str, ...] = args
        parameters: dict[str, str] = kwargs
        if len(arguments) < 2:
            raise ValueError("hermes: endpoint: write hermes:HOST:PORT:proxy=HOST\\:PORT, or :config=FILE")
        host, port, *more = arguments
        target = Target.fromText(f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
        parameters = _joined(tuple(more), parameters)
        shared = connectionsOf(reactor)
        if "config" not in parameters:
            return TunnelEndpoint(shared.dialer(ProxyAddress.fromParameters(parameters)), target)
        if len(parameters) > 1:
            raise ValueError("hermes: endpoint: config= says all: no other parameter goes with it")
        from hermes.fabric.endpoint import FlowEndpoint

        flows = shared.flows(os.path.abspath(parameters["config"]))
        return FlowEndpoint(flows, Flow("tcp", target), reactor)


@implementer(IPlugin, IStreamServerEndpointStringParser)
class HermesServerParser:
    """
    C{hermes:PORT:...}.
    """

    prefix = "hermes"

    def parseStreamServer(self, reactor: Any, *args: Any, **kwargs: Any) -> IStreamServerEndpoint:
        """
        @raise ValueError: where the description is wrong.
        @raise HermesError: where a file that it names can't be used.
        """
        from hermes.tunnel.remote import RemoteServerEndpoint

        arguments: tuple[str, ...] = args
        parameters: dict[str, str] = kwargs
        if not arguments:
            raise ValueError("hermes: endpoint: write hermes:PORT:proxy=HOST\\:PORT")
        port, *more = arguments
        parameters = _joined(tuple(more), parameters)
        interface = parameters.pop("interface", "0.0.0.0")
        bind = Target.fromText(f"[{interface}]:{port}" if ":" in interface else f"{interface}:{port}")
        if bind.address() is None:
            raise ValueError(f"hermes: endpoint: interface={interface}: it is an IP address of the proxy's")
        address = ProxyAddress.fromParameters(parameters)
        shared = connectionsOf(reactor)
        return RemoteServerEndpoint(shared.client(address), bind, shared.options(address), reactor)
