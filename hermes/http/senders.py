"""
What sends requests to each endpoint of an upstream, over connections that are kept.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final

from attrs import evolve, frozen
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from hermes.fabric.places import Endpoint
from hermes.fabric.reach import EndpointTLS, Reach
from hermes.http.clients import ClientOptions, Upgrading, makeClient
from hermes.http.sender import ExchangeSender
from hermes.interfaces import IDialer
from hermes.messages import Request
from hermes.negotiated import PooledClient
from hermes.values import Flow, Target

MAX_CLIENTS: Final = 1_024
"""
Clients whose connections to an upstream are kept, where each has connections of its own (PROXY protocol).
"""

NOBODY: Final = Flow("tcp", Target("", 0))
"""
The flow of a connection that many clients share.
"""


@frozen(eq=False)
class Senders:
    """
    How endpoints are reached, and what for.

    @ivar reach: connects, straight.
    @ivar upgradeTLS: TLS that offers HTTP/1.1 only; L{None} where what C{reach} has is all there is.
    @ivar options: versions and bounds.
    """

    reach: Reach
    upgradeTLS: EndpointTLS | None
    options: ClientOptions
    clock: IReactorTime

    def through(self, carrier: IDialer | None) -> SenderPool:
        """
        Senders over connections of their own.
        """
        return SenderPool(self.reach.through(carrier), self.upgradeTLS, self.options, self.clock)


class SenderPool:
    """
    Senders over connections that are made in one way.

    @ivar reach: how.
    """

    log = Logger()

    def __init__(
        self, reach: Reach, upgradeTLS: EndpointTLS | None, options: ClientOptions, clock: IReactorTime
    ) -> None:
        self.reach = reach
        self._upgradeTLS = upgradeTLS
        self._options = options
        self._clock = clock
        self._senders: dict[Endpoint, ExchangeSender] = {}
        self._clients: dict[Endpoint, list[Any]] = {}
        self._perSource: OrderedDict[Any, tuple[Endpoint, PooledClient, ExchangeSender]] = OrderedDict()
        self.to: Callable[[Endpoint, Request], ExchangeSender] = (
            self._shared if reach.proxyProtocol is None else self._ofSource
        )

    def _shared(self, endpoint: Endpoint, request: Request) -> ExchangeSender:
        """
        What sends a request to an endpoint.
        """
        if request.head.protocol is not None and self._upgradeTLS is not None:
            return self._upgrading(endpoint)
        sender = self._senders.get(endpoint)
        return self._make(endpoint) if sender is None else sender

    def _make(self, endpoint: Endpoint) -> ExchangeSender:
        client = self._client(self.reach, endpoint, NOBODY, self._options)
        self._clients.setdefault(endpoint, []).insert(0, client)
        sender = self._senders[endpoint] = ExchangeSender(client)
        return sender

    def _client(self, reach: Reach, endpoint: Endpoint, flow: Flow, options: ClientOptions) -> Any:
        # A PooledClient, which is an IExchangeClient too: mypy knows no type that is both.
        return makeClient(reach.to(endpoint, flow), self._clock, options, reach.tls is not None)

    def _upgrading(self, endpoint: Endpoint) -> ExchangeSender:
        if endpoint not in self._senders:
            self._make(endpoint)
        clients = self._clients[endpoint]
        if len(clients) == 1:
            reach = evolve(self.reach, tls=self._upgradeTLS)
            clients.append(self._client(reach, endpoint, NOBODY, evolve(self._options, version="1.1")))
        return ExchangeSender(Upgrading(clients[0], clients[1]))

    def _ofSource(self, endpoint: Endpoint, request: Request) -> ExchangeSender:
        """
        The same, where a connection tells whose it is.
        """
        flow = request.flow
        key = (endpoint, flow.source, flow.identity, flow.target)
        found = self._perSource.get(key)
        if found is None:
            client = self._client(self.reach, endpoint, flow, self._options)
            found = self._perSource[key] = endpoint, client, ExchangeSender(client)
            if len(self._perSource) > MAX_CLIENTS:
                _, (_, oldest, _) = self._perSource.popitem(last=False)
                oldest.close().addErrback(self._closeFailed)
        else:
            self._perSource.move_to_end(key)
        return found[2]

    def warm(self, endpoint: Endpoint, count: int) -> None:
        """
        Connect to an endpoint in advance.
        """
        if self.reach.proxyProtocol is None and self.reach.takes(endpoint):
            if endpoint not in self._senders:
                self._make(endpoint)
            self._clients[endpoint][0].warm(count)

    def clientsOf(self, endpoint: Endpoint) -> list[PooledClient]:
        """
        What has connections to an endpoint.
        """
        ofSources = [client for place, client, _ in self._perSource.values() if place is endpoint]
        return self._clients.get(endpoint, []) + ofSources

    def close(self) -> Deferred[None]:
        """
        Open nothing more. Fires when what is open has ended.
        """
        clients = [client for some in self._clients.values() for client in some]
        clients += [client for _, client, _ in self._perSource.values()]
        closing = gatherResults([client.close().addErrback(self._closeFailed) for client in clients])
        return closing.addCallback(lambda _: None)

    def _closeFailed(self, failure: Failure) -> None:
        self.log.failure("closing connections failed", failure)
