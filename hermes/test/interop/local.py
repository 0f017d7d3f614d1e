"""
Clients and servers of the tests' own process, each for one test.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet import reactor as theReactor
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP4ServerEndpoint, connectProtocol
from twisted.internet.error import ConnectError
from twisted.internet.interfaces import IListeningPort
from twisted.trial.unittest import TestCase
from twisted.web.resource import IResource
from twisted.web.server import Site

from hermes.test.interop.datagrams import Datagrams
from hermes.test.interop.streams import Server, Stream
from hermes.test.interop.taps import Tap, Tapped

# Its type depends on the platform.
reactor: Any = theReactor


class Local:
    """
    Makes what belongs to one test, and ends it with that.
    """

    def __init__(self, case: TestCase) -> None:
        self._case = case

    async def server(self, make: Callable[[], Stream] = Stream) -> Server:
        """
        Listen for streams.
        """
        server = Server(make)
        server.port = await self._listen(server)

        def close() -> Deferred[Any] | None:
            open = [stream for stream in server.streams if stream.transport is not None and stream.reason is None]
            for stream in open:
                stream.socket.abortConnection()
            return open[-1].until(lambda: all(stream.reason is not None for stream in open)) if open else None

        self._case.addCleanup(close)
        return server

    async def site(self, resource: IResource) -> int:
        """
        Serve HTTP.

        @return: the port.
        """
        return await self._listen(Site(resource))

    async def _listen(self, factory: Any) -> int:
        port: IListeningPort = await TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(factory)
        self._case.addCleanup(port.stopListening)
        address: Any = port.getHost()
        return int(address.port)

    async def connect(self, port: int, make: Callable[[], Stream] = Stream) -> Stream:
        """
        Connect.
        """
        stream: Stream = await connectProtocol(TCP4ClientEndpoint(reactor, "127.0.0.1", port), make())

        def close() -> Deferred[None] | None:
            if stream.reason is not None:
                return None
            stream.socket.abortConnection()
            return stream.until(lambda: stream.reason is not None)

        self._case.addCleanup(close)
        return stream

    async def tap(self, to: int) -> Tap:
        """
        Record what passes on its way to a port.
        """
        tap = Tap()

        async def follow() -> None:
            while True:
                accepted = await server.next()
                onward = await self.connect(to, lambda: Tapped(tap.back))
                assert isinstance(accepted, Tapped)
                assert isinstance(onward, Tapped)
                accepted.pair(onward)
                onward.pair(accepted)

        server = await self.server(lambda: Tapped(tap.forth))
        tap.port = server.port
        following = Deferred.fromCoroutine(follow())
        following.addErrback(lambda failure: failure.trap(CancelledError, ConnectError))
        self._case.addCleanup(following.cancel)
        return tap

    def datagrams(self, to: int | None = None, make: type[Datagrams] = Datagrams) -> Datagrams:
        """
        Open a UDP socket.

        @param to: the port that it is for; L{None} for a server.
        """
        protocol = make(None if to is None else ("127.0.0.1", to))
        port = reactor.listenUDP(0, protocol, interface="127.0.0.1", maxPacketSize=65536)
        self._case.addCleanup(port.stopListening)
        return protocol
