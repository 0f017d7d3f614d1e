"""
A controller as a Twisted service: C{twistd hermes-controller}.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable
from typing import Any

from attrs import frozen
from twisted.application.service import Service
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.internet.threads import deferToThread
from twisted.logger import Logger
from twisted.python.failure import Failure

from hermes import garbage
from hermes.control.agent.files import Files
from hermes.control.channel.doorway import Leadership
from hermes.control.controller import Controller
from hermes.control.costmetrics import CostMetrics
from hermes.control.leading import Parts
from hermes.control.linkcosts import LinkCosts
from hermes.control.operator.site import OperatorInterface
from hermes.control.operatorcalls import operatorCalls
from hermes.control.operators import TOKEN, OperatorTokens
from hermes.control.planning import OverlayPlanner
from hermes.control.port import NodePort
from hermes.control.portmetrics import PortMetrics
from hermes.control.rerouting import Rerouter
from hermes.control.stops import StopAt, nowhere
from hermes.errors import HermesError
from hermes.interfaces.store import IStore
from hermes.net.network import Network
from hermes.service import StartFailed, fail
from hermes.sites import SiteListener

HTTP = b"http/1.1"


@frozen
class Places:
    """
    Where a controller listens, and how it is reached.

    @ivar directory: its own.
    @ivar nodes: where nodes come, C{HOST:PORT}.
    @ivar address: how nodes reach that.
    @ivar socket: the path of the operator's socket; empty for none.
    @ivar https: where operators come with a token, C{HOST:PORT}; empty for nowhere.
    @ivar names: DNS names and addresses of the controller, for its certificate.
    """

    directory: str
    nodes: str
    address: str
    socket: str
    https: str
    names: tuple[str, ...] = ()


class ControllerService(Service):
    """
    Runs a controller, from its store to its ports.

    @ivar controller: the controller.
    @ivar port: where nodes come.
    @ivar costs: what links cost.
    """

    log = Logger()
    name = "hermes-controller"

    def __init__(
        self,
        reactor: Any,
        store: IStore,
        places: Places,
        socketNamed: bool = True,
        stopAt: StopAt = nowhere,
        seconds: Callable[[], float] = time.time,
    ) -> None:
        """
        @param store: not started.
        @param socketNamed: whether C{hermes} finds the socket only where it is told which it is.
        @param seconds: the time, since the epoch.
        """
        self._reactor = reactor
        self._store = store
        self._places = places
        self._socketNamed = socketNamed
        files = Files(places.directory)
        self._tokens = OperatorTokens(files)
        self._leader: str | None = None
        self.port = NodePort(
            reactor,
            seconds,
            store,
            files,
            self._leadership,
            places.names,
            lambda name: operatorCalls(self.controller, name),
        )
        parts = Parts(store, self.port.links, OverlayPlanner(), reactor, deferToThread, stopAt)
        self.costs = LinkCosts(reactor, lambda: self.controller.committed)
        self.controller = Controller(parts, places.address, seconds, measurements=self.costs.text)
        self._rerouter = Rerouter(parts, self.controller, self.costs)
        self._interface = OperatorInterface(
            self.controller, reactor, self._tokens, deferToThread, seconds, self.costs.known
        )
        CostMetrics(self.costs, self._rerouter, self._interface.metrics.registry)
        PortMetrics(self.port.refusals, self._interface.metrics.registry)
        self._sites: list[SiteListener] = []
        self._stops: list[Callable[[], None]] = []
        self._starting: Deferred[None] | None = None
        self._opened = False
        self._mayRaise = True
        self._problem: str | None = None

    # Starting

    def startService(self) -> None:
        Service.startService(self)
        self._starting = Deferred.fromCoroutine(self._start()).addErrback(self._notStarted)
        self._mayRaise = False
        if self._problem is not None:
            raise StartFailed(self._problem)

    async def _start(self) -> None:
        first = self._tokens.start()
        await self.controller.start()
        self._opened = True
        self._stops += [
            self._store.watch(self._look, "leader"),
            self.controller.watch(self.port.leadershipChanged),
            self.port.links.listen(lambda link, events: self.costs.heard(link.name, events.measurements)),
        ]
        self._rerouter.start()
        self._look()
        await self.port.open()
        self.controller.enrolment = self.port.registrar
        network = Network(self._reactor)
        await self.port.listen(network.streamServer(self._places.nodes))
        await self._listen(first)
        garbage.settle()
        self.log.info("the controller is ready: nodes come to {nodes}", nodes=self._places.nodes)
        for line in self._next(first):
            self.log.info("{line}", line=line)

    async def _listen(self, first: bool) -> None:
        """
        Take operators.
        """
        places = self._places
        if places.socket:
            private = Network(self._reactor, mode=0o600)
            await self._site("operators", f"unix:{places.socket}", self._interface.local(), private)
        if places.https:
            credentials = self.port.certificate.credentials((HTTP,), clients=False)
            network = Network(self._reactor)
            await self._site("operators by HTTPS", places.https, self._interface.remote(), network, credentials)

    async def _site(self, name: str, bind: str, site: Any, network: Network, credentials: Any = None) -> None:
        listener = SiteListener(name, bind, site, network, credentials)
        await listener.start()
        self._sites.append(listener)

    def _next(self, first: bool) -> list[str]:
        """
        What an operator may want to do next.
        """
        places = self._places
        lines: list[str] = []
        if places.https:
            lines.append(f"operators come to https://{places.https}, with a token")
            if first:
                lines.append(f"the first operator's token is in {Files(places.directory).path(TOKEN)}")
        if places.socket:
            given = f" --controller {shlex.quote('unix:' + places.socket)}" if self._socketNamed else ""
            lines.append(f"to let a node in, type: hermes enrol NODE{given}")
        return lines

    def _notStarted(self, failure: Failure) -> None:
        if not self.running:
            return  # It was stopped meanwhile.
        error = failure.value
        if failure.check(HermesError, OSError, CannotListenError) is None:
            self.log.failure("starting the controller failed", failure)
        said = f"can't listen on {self._places.nodes}: {_reason(error)}" if _isListening(error) else str(error)
        self._problem = f"hermes-controller: {said}"
        if not self._mayRaise:
            fail(self._reactor, self._problem)

    # Who leads

    def _leadership(self) -> Leadership:
        address, leader = self._places.address, self._leader or ""
        leads = self.controller.leads
        known = (address,) if leads or not leader else (leader, address)
        return Leadership(leads, "" if leads or leader == address else leader, known)

    def _look(self) -> None:
        self._store.leader().addCallbacks(self._found, self._notFound)

    def _found(self, leader: str | None) -> None:
        self._leader = leader

    def _notFound(self, failure: Failure) -> None:
        self._leader = None
        self.log.info("who leads is not known: {error}", error=failure.getErrorMessage())

    # Stopping

    def stopService(self) -> Deferred[None]:
        """
        Take nobody any more, close what there is.
        """
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        await maybeDeferred(Service.stopService, self)
        if self._starting is not None:
            self._starting.cancel()
        for stop in self._stops:
            stop()
        self._rerouter.stop()
        self.port.stop()
        for site in self._sites:
            await site.stop()
            site.abort()
        if self._opened:
            await self.controller.stop()


def _isListening(error: object) -> bool:
    return isinstance(error, CannotListenError)


def _reason(error: Any) -> str:
    inner = getattr(error, "socketError", None) or error
    return str(getattr(inner, "strerror", None) or inner)
