"""
What every listener hands its flows to.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from twisted.internet.defer import CancelledError, Deferred, fail, maybeDeferred, succeed
from twisted.internet.interfaces import IProtocol, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from hermes.errors import FlowError, NotImplementedHere, Overloaded, ShuttingDown
from hermes.fabric.datagrams import DatagramSplice
from hermes.fabric.packets import PacketFlow, passOnAsking
from hermes.fabric.paths import Path, Paths
from hermes.fabric.record import FlowRecord
from hermes.fabric.router import Router
from hermes.fabric.splice import StreamSplice
from hermes.interfaces import (
    IDatagramReceiver,
    IDialer,
    IFlowHandler,
    IFlowObserver,
    IHop,
    IPacketHandler,
    IPacketReceiver,
)
from hermes.matching import IP
from hermes.values import Flow, Target

MAX_FLOWS: Final = 65_536
"""
Flows that may be open or opening at once, where nothing else is said.
"""


@implementer(IFlowHandler)
class FlowHandler:
    """
    Decides with the routes, dials, splices, counts.

    @ivar maxFlows: flows that may be open or opening at once.
    @ivar ends: listeners in which flows can end, by name; kept by whoever binds them.
    @ivar refused: how many flows were refused or failed to open.
    @ivar opened: how many were opened.
    @ivar packets: where tunnels of IP packets end; L{None} where they do not end here.
    """

    log = Logger()

    def __init__(
        self,
        router: Router,
        upstreams: Mapping[str, IDialer | IHop],
        direct: Callable[[bool], IDialer],
        observers: Sequence[IFlowObserver],
        clock: IReactorTime,
        maxFlows: int = MAX_FLOWS,
    ) -> None:
        """
        @param upstreams: what routes name in C{to} and C{via}.
        @param direct: makes the dialer for targets as they were asked for; its argument says whether special-purpose
            ones are allowed.
        @param observers: hear of every flow.
        """
        self.maxFlows = maxFlows
        self.refused = 0
        self.opened = 0
        self.packets: IPacketHandler | None = None
        self._direct = direct
        self.ends: dict[str, IDialer] = {}
        self._paths = Paths(router, upstreams, direct, clock, self.ends)
        self._observers = tuple(observers)
        self._clock = clock
        self._open: dict[StreamSplice | DatagramSplice | PacketFlow, None] = {}
        self._dialing: dict[Deferred[Any], FlowRecord] = {}
        self._draining = False
        self._aborting = False
        self._drained: list[Deferred[None]] = []

    @property
    def router(self) -> Router:
        """
        The router that new flows are decided with.
        """
        return self._paths.router

    def openStream(self, flow: Flow) -> Deferred[IProtocol]:
        record = FlowRecord(flow, self._clock.seconds())
        paths = self._paths
        try:
            path = self._decide(paths, record)
        except FlowError as error:
            return self._refuse(record, error)
        splice = StreamSplice(record, self._closed)
        dialed = path.dialer.connectStream(path.flow(flow), splice.far)
        return self._opening(paths, record, splice, dialed)

    def openDatagrams(self, flow: Flow) -> Deferred[IDatagramReceiver]:
        record = FlowRecord(flow, self._clock.seconds())
        paths = self._paths
        try:
            path = self._decide(paths, record)
        except FlowError as error:
            return self._refuse(record, error)
        splice = DatagramSplice(record, self._closed)
        dialed = path.dialer.connectDatagrams(path.flow(flow), splice.far)
        return self._opening(paths, record, splice, dialed)

    def openPackets(self, flow: Flow) -> Deferred[IPacketReceiver]:
        record = FlowRecord(flow, self._clock.seconds())
        paths = self._paths
        try:
            self._checkRoom()
            if self.packets is None:
                raise NotImplementedHere("tunnels of IP packets do not end at this proxy")
            record.routeName = paths.router.authorisePackets(flow).route.name
        except FlowError as error:
            return self._refuse(record, error)
        packets: Any = self.packets
        opened: Deferred[IPacketReceiver] = maybeDeferred(packets.tunnelOpened, record)
        return self._opening(paths, record, PacketFlow(record, self._closed), opened)

    def authorise(self, flow: Flow) -> None:
        if self._draining:
            raise ShuttingDown("the proxy is shutting down")
        self._paths.router.decide(flow)

    # Opening

    def _checkRoom(self) -> None:
        """
        @raise FlowError: where no flow is taken.
        """
        if self._draining:
            raise ShuttingDown("the proxy is shutting down")
        if len(self._open) + len(self._dialing) >= self.maxFlows:
            raise Overloaded(f"{self.maxFlows} flows are open: no more are taken")

    def _decide(self, paths: Paths, record: FlowRecord) -> Path:
        self._checkRoom()
        decision, path = paths.decide(record.flow)
        record.routeName = decision.route.name
        record.upstream = path.upstream
        record.hops = path.hops
        return path

    def _refuse(self, record: FlowRecord, error: BaseException) -> Deferred[Any]:
        self._tellRefused(record, error)
        return fail(error)

    def _opening(
        self,
        paths: Paths,
        record: FlowRecord,
        splice: StreamSplice | DatagramSplice | PacketFlow,
        dialed: Deferred[Any],
    ) -> Deferred[Any]:
        """
        Follow a dial until it has an end.
        """

        def up(far: Any) -> object:
            self._dialed(paths, dialed)
            if isinstance(splice, PacketFlow):
                splice.start(far)
                if self._draining:
                    splice.drain()
            elif record.flow.protocol == IP and isinstance(splice, StreamSplice):
                passOnAsking(splice, self._clock)
            record.connectDuration = self._clock.seconds() - record.startedAt
            self._open[splice] = None
            self.opened += 1
            self._tell("flowOpened", record)
            return splice.near

        def failed(failure: Failure) -> Failure:
            self._dialed(paths, dialed)
            error = failure.value
            # Where the far side was up already and its dialer changed its mind.
            splice.abort()
            if isinstance(error, CancelledError) and self._aborting:
                failure = Failure(error := ShuttingDown("the proxy is shutting down"))
            if isinstance(error, CancelledError):
                self._tellRefused(record, error, "the client went away")
                return failure
            if not isinstance(error, FlowError):
                self.log.failure("dialing {target} failed", failure, target=record.flow.target)
                error = FlowError("internal error")
                failure = Failure(error)
            self._tellRefused(record, error)
            return failure

        paths.dialing += 1
        self._dialing[dialed] = record
        return dialed.addCallbacks(up, failed)

    def _dialed(self, paths: Paths, dialed: Deferred[Any]) -> None:
        del self._dialing[dialed]
        paths.dialing -= 1
        if paths is not self._paths:
            self._retire(paths)
        self._checkDrained()

    def _tellRefused(self, record: FlowRecord, error: BaseException, text: str | None = None) -> None:
        self.refused += 1
        record.duration = self._clock.seconds() - record.startedAt
        if text is not None:
            record.error = text
        record.failed(error)
        self._tell("flowRefused", record)

    # Closing

    def _closed(self, splice: StreamSplice | DatagramSplice | PacketFlow) -> None:
        """
        Both ends of a splice are gone, or a tunnel that ends here.
        """
        if splice not in self._open:
            # It was never up.
            return
        del self._open[splice]
        record = splice.record
        record.duration = self._clock.seconds() - record.startedAt
        self._tell("flowClosed", record)
        self._checkDrained()

    def _tell(self, event: str, record: FlowRecord) -> None:
        for observer in self._observers:
            try:
                getattr(observer, event)(record)
            except Exception:
                self.log.failure("{observer} failed in {event}", observer=observer, event=event)

    # Tunnels of this node's own

    def hops(self, names: tuple[str, ...], nested: bool) -> tuple[object, ...]:
        """
        What a way over some hops stands on: others, where the configuration of one has changed.
        """
        upstreams = self._paths.upstreams
        return tuple(upstreams.get(name) for name in (names if nested else names[:1]))

    def connectPackets(
        self, names: tuple[str, ...], nested: bool, receiver: IPacketReceiver
    ) -> Deferred[IPacketReceiver]:
        """
        Open a tunnel of IP packets over some hops, to the last of them. It is no flow: those that packets belong to are
        known to whoever forwards them.
        """
        if self._draining:
            return fail(ShuttingDown("the proxy is shutting down"))
        try:
            carrier, via = self._paths.onward(names, nested)
        except FlowError as error:
            return fail(error)
        return carrier.connectPackets(Flow("ip", Target("*", 0), via=via), receiver)

    # The life of a node

    def openFlows(self) -> list[FlowRecord]:
        """
        The records of the flows that are open, oldest first.
        """
        return [splice.record for splice in self._open]

    def swap(self, router: Router, upstreams: Mapping[str, IDialer | IHop]) -> None:
        """
        Open new flows with these; what is open goes on as it is. Hops that are no longer there open nothing more and
        are closed once their streams have ended.
        """
        old, self._paths = self._paths, Paths(router, upstreams, self._direct, self._clock, self.ends)
        self._retire(old)

    def _retire(self, old: Paths) -> None:
        """
        Close what only C{old} has, once nothing is being opened with it.
        """
        if old.dialing:
            return
        kept = {id(upstream) for upstream in self._paths.upstreams.values()}
        retired, old.upstreams = old.upstreams, {}
        for name, upstream in retired.items():
            if id(upstream) not in kept and IHop.providedBy(upstream):
                upstream.close().addErrback(self._closeFailed, name)

    def _closeFailed(self, failure: Failure, name: str) -> None:
        self.log.failure("closing the hop {name} failed", failure, name=name)

    def drain(self) -> Deferred[None]:
        """
        Open nothing more. Fires when no flow is open or being opened. A tunnel of IP packets does not end by itself:
        its client is asked to go.
        """
        self._draining = True
        for each in list(self._open):
            if isinstance(each, PacketFlow):
                each.drain()
        if not (self._open or self._dialing):
            return succeed(None)
        drained: Deferred[None] = Deferred()
        self._drained.append(drained)
        return drained

    def _checkDrained(self) -> None:
        if self._drained and not (self._open or self._dialing):
            drained, self._drained = self._drained, []
            for waiting in drained:
                waiting.callback(None)

    def abortAll(self) -> None:
        """
        End every flow at once, as an error, and give up those that are being opened.
        """
        self._aborting = True
        for dialed in list(self._dialing):
            dialed.cancel()
        self._aborting = False
        for splice in list(self._open):
            splice.abort()
