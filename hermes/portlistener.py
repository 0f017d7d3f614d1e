"""
What listeners for streams have in common: a port. It is held for one that is to come, bound, and given up; and what
can't be had is told in the same words.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.interfaces import IListeningPort, IProtocolFactory
from twisted.python.failure import Failure

from hermes.errors import ListenError
from hermes.interfaces import IListener, INetwork, IServerCredentials


def cannotListen(bind: str, error: BaseException | None) -> ListenError:
    """
    The sentence for an address that can't be bound.
    """
    # Twisted wraps the kernel's error and puts the address before it.
    inner = getattr(error, "socketError", None) or error
    return ListenError(f"can't listen on {bind}: {getattr(inner, 'strerror', None) or inner}")


def bindsOf(listeners: Sequence[IListener]) -> frozenset[str]:
    """
    Where listeners are bound, as far as they say so.
    """
    return frozenset(bind for listener in listeners for bind in getattr(listener, "binds", ()))


class PortListener:
    """
    The part of an L{IListener} that is its port. A subclass starts with L{listen}, and ends what was accepted.

    @ivar name: its name in the configuration.
    @ivar bind: C{HOST:PORT}, C{[V6]:PORT} or C{unix:PATH}.
    """

    def __init__(self, name: str, bind: str, network: INetwork) -> None:
        self.name = name
        self.bind = bind
        self._network = network
        self._port: IListeningPort | None = None

    @property
    def binds(self) -> tuple[str, ...]:
        """
        See L{IListener}.
        """
        return (self.bind,)

    def reserve(self, leaving: Sequence[IListener] = ()) -> Callable[[], None]:
        """
        See L{IListener}.
        """
        try:
            held: Callable[[], None] = self._network.reserveStreams(self.bind, bindsOf(leaving))
        except Exception as error:
            raise cannotListen(self.bind, error) from error
        return held

    def listen(
        self, factory: IProtocolFactory, credentials: IServerCredentials | None = None, proxyProtocol: bool = False
    ) -> Deferred[None]:
        """
        Take connections.

        @param factory: what makes their protocols.
        @param credentials: for TLS; without, it is cleartext.
        @param proxyProtocol: whether connections begin, before TLS, with a PROXY protocol header.
        @return: errback with L{ListenError}.
        """
        endpoint: Any = self._network.streamServer(self.bind, credentials, proxyProtocol)
        listening: Deferred[IListeningPort] = maybeDeferred(endpoint.listen, factory)
        return listening.addCallbacks(self._bound, self._notBound)

    def _bound(self, port: IListeningPort) -> None:
        self._port = port

    def _notBound(self, failure: Failure) -> None:
        raise cannotListen(self.bind, failure.value) from failure.value

    def stop(self) -> Deferred[None]:
        """
        See L{IListener}.
        """
        port, self._port = self._port, None
        if port is None:
            return succeed(None)
        return maybeDeferred(port.stopListening).addCallback(lambda _: None)

    def getHost(self) -> object:
        """
        See L{IListener}.
        """
        if self._port is None:
            raise ListenError(f"{self.name} does not listen")
        return self._port.getHost()
