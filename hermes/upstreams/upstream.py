"""
An upstream with what it was made of.
"""

from __future__ import annotations

from typing import Any

from attrs import evolve, frozen
from twisted.internet.defer import Deferred, succeed

from hermes.config import IdentityConfig
from hermes.config.upstreams import UpstreamConfig
from hermes.http.upstream import EndpointsUpstream
from hermes.interfaces import IHop
from hermes.net.certificates import ClientCredentials


@frozen(eq=False)
class Upstream:
    """
    An upstream, and what it was made of.

    @ivar config: its configuration.
    @ivar identity: the node's, which it shows.
    @ivar dialer: opens flows: an L{hermes.interfaces.IDialer} or an L{IHop}.
    @ivar credentials: what it reads from files, to be read again.
    """

    config: UpstreamConfig
    identity: IdentityConfig | None
    dialer: Any
    credentials: tuple[ClientCredentials, ...] = ()

    def checkFiles(self) -> None:
        """
        @raise HermesError: where L{readFiles} would not work.
        """
        for each in self.credentials:
            evolve(each)

    def readFiles(self) -> None:
        """
        Read its files again, for the connections that it opens from now on.
        """
        for each in self.credentials:
            each.reload()

    def start(self, straight: bool) -> None:
        """
        It is used from now on; called again after each reload that keeps it.

        @param straight: whether a route reaches it otherwise than through hops.
        """
        if isinstance(self.dialer, EndpointsUpstream):
            self.dialer.start(straight)

    def close(self) -> Deferred[None]:
        """
        It is used no more. Fires when its connections have ended; flows that go straight go on.
        """
        if isinstance(self.dialer, EndpointsUpstream) or IHop.providedBy(self.dialer):
            closing: Deferred[None] = self.dialer.close()
            return closing
        return succeed(None)
