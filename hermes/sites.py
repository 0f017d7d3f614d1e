"""
A web site as a listener of a node.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.protocols.policies import WrappingFactory
from twisted.web.server import Site
from zope.interface import implementer

from hermes.interfaces import IListener, INetwork, IServerCredentials
from hermes.portlistener import PortListener


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
class SiteListener(PortListener):
    """
    See L{hermes.interfaces.IListener}.
    """

    def __init__(
        self, name: str, bind: str, site: Site, network: INetwork, credentials: IServerCredentials | None = None
    ) -> None:
        """
        @param credentials: for TLS; without, it is cleartext.
        """
        PortListener.__init__(self, name, bind, network)
        self._credentials = credentials
        made: Callable[[Site], WrappingFactory] = _Kept
        self._factory = made(site)

    def start(self) -> Deferred[None]:
        return self.listen(self._factory, self._credentials)

    def drain(self) -> None:
        """
        What it serves is read at once: there is nothing to wait for.
        """

    def abort(self) -> None:
        for connection in list(self._factory.protocols):
            connection.abortConnection()
