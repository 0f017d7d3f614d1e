"""
The operator's interface as a site of C{twisted.web}: on a Unix socket, for those who may open it, and over TLS.

    /            the page
    /api/v1      REST
    /metrics     for Prometheus
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from prometheus_client.exposition import CONTENT_TYPE_LATEST
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.web.resource import Resource
from twisted.web.server import Site

from hermes.admin.resources import Page
from hermes.control.controller import Controller
from hermes.control.operator.access import Access
from hermes.control.operator.api import API
from hermes.control.operator.graph import GraphReader
from hermes.control.operator.metrics import OperatorMetrics
from hermes.control.operator.openapi import openapi
from hermes.control.operator.questions import Questioners
from hermes.control.operator.request import OperatorRequest
from hermes.control.page.pages import Pages
from hermes.control.values import LinkFigure

IDLE: Final = 60
"""
Seconds until a connection on which nothing comes is closed.
"""

MAX_CONNECTIONS: Final = 256
"""
How many connections there may be over TLS at a time.
"""


# Without types: what it has is not annotated.
_Site: Any = Site


class OperatorSite(_Site):  # type: ignore[misc]
    """
    See the module.

    @ivar access: who may what.
    @ivar local: whether it is served on the Unix socket.
    """

    displayTracebacks = False
    noisy = False

    def __init__(self, root: Resource, access: Access, local: bool) -> None:
        super().__init__(root, requestFactory=OperatorRequest, timeout=IDLE)
        self.access = access
        self.local = local
        self._open = 0

    def buildProtocol(self, addr: Any) -> Any:
        if not self.local and self._open >= MAX_CONNECTIONS:
            return None
        protocol = super().buildProtocol(addr)
        if protocol is not None:
            self._open += 1
            lost = protocol.connectionLost

            def connectionLost(*arguments: Any) -> Any:
                self._open -= 1
                return lost(*arguments)

            protocol.connectionLost = connectionLost
        return protocol

    def log(self, request: Any) -> None:
        """
        Nothing: what changes something is in the audit log.
        """


class OperatorInterface:
    """
    What the sites share.

    @ivar metrics: others may add to its registry.
    @ivar access: who may what.
    """

    def __init__(
        self,
        controller: Controller,
        clock: IReactorTime,
        tokens: Callable[[], dict[str, str]],
        inThread: Callable[..., Deferred[Any]],
        time: Callable[[], float],
        figures: Callable[[], Mapping[tuple[str, str], LinkFigure]] = dict,
    ) -> None:
        """
        @param clock: tells time that never jumps.
        @param tokens: names of operators by the L{hermes.control.operator.access.digest} of their token.
        @param inThread: calls a function where it may take a while, with arguments.
        @param time: seconds since the epoch.
        @param figures: gives what nodes have told of links.
        """
        self.metrics = OperatorMetrics(controller)
        self.access = Access(tokens, clock.seconds)
        self._controller = controller
        self._time = time
        self._graph = GraphReader(controller, clock, inThread, figures)
        self._asked = Questioners(clock.seconds)

    def local(self) -> OperatorSite:
        """
        The site for the Unix socket. Who may open it may do everything: the socket is for its owner alone.
        """
        return self._site(True)

    def remote(self) -> OperatorSite:
        """
        The site to serve over TLS.
        """
        return self._site(False)

    def _site(self, local: bool) -> OperatorSite:
        graph: Callable[[], Deferred[Any]] = self._graph.read
        root = Pages(self._controller, self.access, graph, self.metrics, self._asked, local, self._time)
        version = Resource()
        version.putChild(b"v1", API(self._controller, graph, openapi(), self.metrics, self._asked))
        root.putChild(b"api", version)
        root.putChild(b"metrics", Page(CONTENT_TYPE_LATEST, lambda request: self.metrics.text()))
        return OperatorSite(root, self.access, local)
