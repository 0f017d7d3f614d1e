"""
A node's part in an overlay that a controller looks after: it joins, once; it is connected, whenever it can be; it
renews its certificate; and it runs all the while, connected or not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint
from twisted.logger import Logger

from hermes.control.agent.files import Files
from hermes.control.channel.backoff import Backoff
from hermes.control.channel.client import ControllerClient
from hermes.control.channel.counts import Refusals
from hermes.control.channel.limits import DEFAULT, Limits
from hermes.control.channel.server import CONTROL
from hermes.control.channel.session import Session
from hermes.control.enrolment.authority import CONTROLLER_NAME
from hermes.control.enrolment.errors import IdentityBroken
from hermes.control.enrolment.identity import IdentityFiles, NodeIdentity
from hermes.control.enrolment.joining import Joining
from hermes.control.enrolment.renewal import Renewer
from hermes.control.enrolment.tokens import Token
from hermes.interfaces.control import IAgentSide
from hermes.net.certificates import ClientCredentials


class Membership:
    """
    See the module.

    @ivar client: the connection to the controller; L{None} before there is an identity.
    @ivar renewer: likewise.
    @ivar refusals: what was refused of what the controller sent, counted.
    """

    log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        seconds: Callable[[], float],
        files: Files,
        addresses: Sequence[str],
        connect: Callable[[str, Any], IStreamClientEndpoint],
        makeAgent: Callable[[NodeIdentity], Deferred[IAgentSide]],
        renewed: Callable[[NodeIdentity], object] = lambda identity: None,
        token: Token | None = None,
        told: Callable[[str | None], object] = lambda problem: None,
        limits: Limits = DEFAULT,
        backoff: Callable[[], Backoff] = Backoff,
        connected: Callable[[Session], object] = lambda session: None,
    ) -> None:
        """
        @param clock: tells time that never jumps.
        @param seconds: the time, since the epoch.
        @param files: the node's directory.
        @param addresses: of controllers, C{HOST:PORT}, at least one.
        @param connect: an endpoint for an address and credentials
            (L{hermes.net.certificates.ClientCredentials} or the like).
        @param makeAgent: called once, when it is known which node this is; fires once the node runs, or could not be
            started and says so itself.
        @param renewed: called when the node has a new certificate: connections that are made from now on are to show
            it.
        @param token: with which it joins where it has not yet.
        @param told: called with what is wrong with the node's certificate, for the operator; with L{None} once it is
            well again.
        @param connected: called with each connection to a controller.
        """
        self.client: ControllerClient | None = None
        self.renewer: Renewer | None = None
        self.refusals = Refusals()
        self._clock = clock
        self._seconds = seconds
        self._files = files
        self._identity = IdentityFiles(files)
        self._addresses = tuple(addresses)
        self._connect = connect
        self._makeAgent = makeAgent
        self._renewed = renewed
        self._token = token
        self._told = told
        self._limits = limits
        self._backoff = backoff
        self._connected = connected
        self._starting: Deferred[None] | None = None

    def load(self) -> NodeIdentity | None:
        """
        Who this node is, as its disk says; L{None} before it has joined.

        @raise IdentityBroken: where that can't be used.
        @raise OSError: where the directory can't be used.
        """
        return self._identity.load()

    def start(self) -> Deferred[None]:
        """
        Fires once the node has joined and was started; from then on it is connected whenever it can be. Errback with
        L{IdentityBroken}, L{hermes.control.enrolment.errors.EnrolmentRefused}, L{OSError}, or what C{makeAgent} has
        raised.
        """
        self._starting = Deferred.fromCoroutine(self._start())
        return self._starting

    async def _start(self) -> None:
        identity = self.load()
        if identity is None:
            if self._token is None:
                raise IdentityBroken("the node has not joined yet: it needs a token")
            joining = Joining(self._clock, self._connect, self._identity, self._keep, self._files.remove)
            identity = await joining.join(self._addresses, self._token, self._backoff())
        elif self._token is not None:
            self.log.info("this is node {node} already: the token is not used", node=identity.node)
        agent = await self._makeAgent(identity)
        client = self.client = ControllerClient(
            self._clock, agent, self._addresses, self._endpoint, self.refusals, self._limits, self._backoff()
        )
        renewer = self.renewer = Renewer(
            self._clock, self._seconds, self._identity, identity, lambda: client.session, self._renewed, self._told
        )
        client.watch(lambda session: renewer.connected())
        client.watch(self._connected)
        client.start()
        renewer.start()

    def _keep(self, name: str, data: bytes) -> str:
        self._files.write(name, data)
        return self._files.path(name)

    def _endpoint(self, address: str) -> IStreamClientEndpoint:
        # The files are read each time: they may have been renewed.
        credentials = ClientCredentials(*self._identity.paths, serverName=CONTROLLER_NAME, protocols=(CONTROL,))
        return self._connect(address, credentials)

    def stop(self) -> Deferred[None]:
        """
        End the connection; what the agent does is its own. Fires once it is gone.
        """
        starting, self._starting = self._starting, None
        if starting is not None and self.client is None:
            starting.cancel()
        if self.renewer is not None:
            self.renewer.stop()
        return succeed(None) if self.client is None else self.client.stop()
