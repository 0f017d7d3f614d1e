"""
What joins exchanges in memory, and opens them.
"""

from __future__ import annotations

from attrs import define, field
from twisted.internet.defer import Deferred, fail, succeed
from zope.interface import implementer

from hermes.interfaces import IClientExchange, IExchangeClient, IExchangeHandler
from hermes.testing.memory import MemoryClientExchange, MemoryExchange, MemoryServerExchange
from hermes.values import ANONYMOUS, Address, Identity, RequestHead


@define(eq=False)
class MemoryNetwork:
    """
    The exchanges that were opened, and what moves their bytes.
    """

    ends: list[MemoryExchange] = field(factory=list)

    def pair(
        self,
        request: RequestHead,
        identity: Identity = ANONYMOUS,
        source: Address | None = ("192.0.2.1", 4000),
        version: str = "2",
    ) -> tuple[MemoryClientExchange, MemoryServerExchange]:
        """
        Two joined ends. C{identity} and C{source} are the client's, as the server sees them.
        """
        client = MemoryClientExchange(request, ANONYMOUS, None, version)
        server = MemoryServerExchange(request, identity, source, version)
        client._peer, server._peer = server, client
        self.ends += [client, server]
        return client, server

    def pump(self) -> None:
        """
        Carry bytes until nothing moves any more.
        """
        while any([end._deliver() for end in self.ends]):
            pass

    def disconnect(self) -> None:
        """
        Lose the connection under every exchange.
        """
        for end in self.ends:
            end.disconnect()
        self.pump()


@implementer(IExchangeClient)
@define(eq=False)
class MemoryExchangeClient:
    """
    Opens exchanges with a handler in memory.

    @ivar identity: who the handler sees.
    @ivar exchanges: what was opened: both ends, in order.
    @ivar failWith: where given, C{exchange} errbacks with it.
    """

    network: MemoryNetwork
    handler: IExchangeHandler
    identity: Identity = ANONYMOUS
    source: Address | None = ("192.0.2.1", 4000)
    version: str = "2"
    exchanges: list[tuple[MemoryClientExchange, MemoryServerExchange]] = field(factory=list)
    failWith: Exception | None = None

    def exchange(self, head: RequestHead, end: bool = False) -> Deferred[IClientExchange]:
        if self.failWith is not None:
            return fail(self.failWith)
        client, server = self.network.pair(head, self.identity, self.source, self.version)
        self.exchanges.append((client, server))
        if end:
            server.bodyless = True
            client.loseWriteConnection()
        self.handler.exchangeReceived(server)
        return succeed(client)
