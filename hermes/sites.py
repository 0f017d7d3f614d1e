"""
A web site as a listener of a node.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.interfaces import IListeningPort
from twisted.protocols.policies import WrappingFactory
from twisted.web.server import Site
from zope.interface import implementer

from hermes.fabric.listener import bindsOf
from hermes.interfaces import IListener, INetwork
from hermes.node import NodeError


class _Kept(WrappingFactory):
    """
    Remembers its connections. The site itself is never started: it would only write a log line for every question.
    """

    noisy = False

    def doStart(self) -> None:
        """
        See above.
        """

    def doStop(self) -> None:
        """
        See above.
        """


@implementer(IListener)
class SiteListener:
    """
    See L{hermes.interfaces.IListener}.
    """

    def __init__(self, name: str, bind: str, site: Site, network: INetwork) -> None:
        self.name = name
        self._bind = bind
        self._network = network
        made: Callable[[Site], WrappingFactory] = _Kept
        self._factory = made(site)
        self._port: IListeningPort | None = None

    @property
    def binds(self) -> tuple[str, ...]:
        """
        See L{IListener}.
        """
        return (self._bind,)

    def reserve(self, leaving: Sequence[IListener] = ()) -> Callable[[], None]:
        """
        See L{IListener}.
        """
        try:
            held: Callable[[], None] = self._network.reserveStreams(self._bind, bindsOf(leaving))
        except Exception as error:
            raise self._cannotListen(error) from error
        return held

    def start(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self._start())

    async def _start(self) -> None:
        endpoint = self._network.streamServer(self._bind)
        try:
            self._port = await endpoint.listen(self._factory)
        except Exception as error:
            raise self._cannotListen(error) from error

    def _cannotListen(self, error: Exception) -> NodeError:
        inner = getattr(error, "socketError", None) or error
        reason = getattr(inner, "strerror", None) or inner
        return NodeError(f"can't listen on {self._bind}: {reason}")

    def stop(self) -> Deferred[None]:
        port, self._port = self._port, None
        if port is None:
            return succeed(None)
        return maybeDeferred(port.stopListening).addCallback(lambda _: None)

    def drain(self) -> None:
        """
        What it serves is read at once: there is nothing to wait for.
        """

    def abort(self) -> None:
        for connection in list(self._factory.protocols):
            connection.abortConnection()

    def getHost(self) -> object:
        if self._port is None:
            raise NodeError(f"{self.name} does not listen")
        return self._port.getHost()
