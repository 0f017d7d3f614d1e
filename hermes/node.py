"""
A node: its listeners, and what they hand their flows to; started, reloaded, drained and stopped as one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from twisted.internet.defer import Deferred, DeferredLock, gatherResults, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from hermes.bound import Bound, BoundListeners, NodeError
from hermes.config import AdminConfig, ListenerConfig, NodeConfig
from hermes.errors import HermesError
from hermes.generation import Assembly, CurrentUsers, ListenerContext
from hermes.interfaces import IAssistant, IDialer, IHop, IListener
from hermes.prepared import Change, Prepared, Reloaded, reserve

__all__ = ["ADMIN", "Node", "NodeError", "Prepared", "Reloaded", "refuseFixed"]

ADMIN = "(admin)"
"""
How the admin listener is called: as no other can be.
"""

LINGER = 5.0
"""
Seconds that connections have, once their last flow has ended, to send what they hold and close.
"""

PARTING = 2.0
"""
Seconds, at the very end, that kept connections to others have to close, and spans to be sent.
"""

_LOOK_AGAIN = 0.02


class Node:
    """
    A node. L{start} it once; then L{reload}, or L{prepare}, as often as its configuration changes; then L{drain} or
    L{stop} it once.

    @ivar config: the configuration that it runs.
    @ivar flows: what its listeners hand their flows to.
    @ivar requests: what its listeners hand their HTTP exchanges to.
    @ivar packets: what forwards IP packets.
    @ivar draining: whether it opens nothing more.
    """

    log = Logger()

    def __init__(self, reactor: IReactorTime, config: NodeConfig, assembly: Assembly) -> None:
        """
        @raise HermesError: where a part can't be made: a certificate that is not one, for instance.
        """
        self._reactor = reactor
        self._assembly = assembly
        self._generation = assembly.generation(config, None)
        assembly.commit(self._generation)
        self.flows = assembly.flows(self._generation)
        self.packets = assembly.packets(self._generation, self.flows)
        self._users = CurrentUsers(self._generation.users)
        self.requests = assembly.requests(self._generation, self._users)
        self._bound = BoundListeners(self._listeners, self.flows.ends)
        self._changing = DeferredLock()
        self._prepared: set[Prepared] = set()
        self._first: dict[str, Bound] | None = None
        self._release: Callable[[], None] = _nothing
        self.draining = False

    @property
    def config(self) -> NodeConfig:
        """
        The configuration that runs.
        """
        return self._generation.config

    @property
    def listeners(self) -> dict[str, IListener]:
        """
        The listeners that accept, by name.
        """
        return {name: bound.listener for name, bound in self._bound.bound.items()}

    @property
    def upstreams(self) -> Mapping[str, IDialer | IHop]:
        """
        The upstreams that new flows are opened with, by name.
        """
        return self._generation.upstreams

    @property
    def assistants(self) -> Mapping[str, IAssistant]:
        """
        The assisting components of new requests, by name.
        """
        return self._generation.assistants

    def addresses(self) -> dict[str, object]:
        """
        Where each listener is bound, as a Twisted L{IAddress}, by name. One that accepts nothing more has none.
        """
        addresses = {}
        for name, bound in self._bound.bound.items():
            with suppress(HermesError):
                addresses[name] = bound.listener.getHost()
        return addresses

    def reserve(self) -> Deferred[None]:
        """
        Take hold, before L{start}, of what its listeners need: errback with L{NodeError} where that can't be had. What
        is not in use by then, L{stop} gives back.
        """
        return self._changing.run(lambda: Deferred.fromCoroutine(self._reserve()))

    async def _reserve(self) -> None:
        self._first = self._listeners(_everything(self.config))
        self._release = await reserve(self._first, {})

    def start(self) -> Deferred[None]:
        """
        Bind every listener. Errback with L{NodeError} where one can't be bound; the others are then not bound either.
        """
        return self._changing.run(lambda: Deferred.fromCoroutine(self._start()))

    async def _start(self) -> None:
        first, self._first = self._first, None
        try:
            await self._bound.bind(self._listeners(_everything(self.config)) if first is None else first)
        finally:
            self._releaseFirst()
        self.packets.start()

    def _releaseFirst(self) -> None:
        release, self._release = self._release, _nothing
        release()

    def _listeners(self, configs: Mapping[str, ListenerConfig]) -> dict[str, Bound]:
        context = ListenerContext(
            reactor=self._reactor,
            flows=self.flows,
            requests=self.requests,
            authenticator=self._users,
            network=self._assembly.network,
            credentials=self._assembly.credentials(),
            nodeName=self.config.node,
            packets=self.packets,
        )
        return {name: Bound(config, self._listener(name, config, context)) for name, config in configs.items()}

    def _listener(self, name: str, config: ListenerConfig, context: ListenerContext) -> IListener:
        if isinstance(config.options, AdminConfig):
            return self._assembly.admin(config.options, self)
        return self._assembly.listener(name, config, context)

    def reload(self, config: NodeConfig) -> Deferred[Reloaded]:
        """
        Take a new configuration. Flows that are open go on; new ones are opened with the new one. Listeners whose
        options did not change stay bound, and so do those that can take the new ones while they run (see
        L{IListener}); others are bound anew, those that are gone accept nothing more. Certificates are read once more.

        Errback with L{HermesError} where the new one can't be had; the old one then runs on.
        """
        return self._changing.run(lambda: Deferred.fromCoroutine(self._reload(config)))

    async def _reload(self, config: NodeConfig) -> Reloaded:
        return await self._commit(await self._prepare(config))

    def readCertificates(self) -> None:
        """
        Read the files of certificates once more: connections that begin from now on have those. Nothing else changes.

        @raise HermesError: where they can't be used.
        """
        self._generation.readFiles()
        for bound in self._bound.bound.values():
            bound.call("readFiles")

    def prepare(self, config: NodeConfig) -> Deferred[Prepared]:
        """
        Build a configuration beside the one that runs: everything that can fail is done now, and nothing that runs
        changes. What L{reload} does is this, and L{Prepared.commit}.

        Errback with L{HermesError} where it can't be had.
        """
        return self._changing.run(lambda: Deferred.fromCoroutine(self._prepare(config)))

    async def _prepare(self, config: NodeConfig) -> Prepared:
        if self.draining:
            raise NodeError("the node is shutting down")
        before = self._generation
        refuseFixed(before.config, config)
        after = self._assembly.generation(config, before)
        try:
            change = Change.between(self._bound.bound, _everything(config), self._listeners)
            self.packets.check(after.packets)
            release = await change.reserve()
        except BaseException:
            self._assembly.discard(after, before)
            raise
        prepared = Prepared(self, before, after, change, release)
        self._prepared.add(prepared)
        return prepared

    def discard(self, prepared: Prepared) -> Deferred[None]:
        """
        See L{Prepared.discard}.
        """
        if prepared.spent:
            return succeed(None)
        self._spend(prepared)
        return self._assembly.discard(prepared.after, prepared.before)

    def _spend(self, prepared: Prepared) -> None:
        prepared.spent = True
        prepared.release()
        self._prepared.discard(prepared)

    def commit(self, prepared: Prepared) -> Deferred[Reloaded]:
        """
        See L{Prepared.commit}.
        """
        return self._changing.run(lambda: Deferred.fromCoroutine(self._commit(prepared)))

    async def _commit(self, prepared: Prepared) -> Reloaded:
        before, after, change = prepared.before, prepared.after, prepared.change
        if prepared.spent:
            raise NodeError("this configuration was taken or forgotten before")
        try:
            if self.draining:
                raise NodeError("the node is shutting down")
            if self._generation is not before:
                raise NodeError("the node has taken another configuration since this one was prepared")
            # Once more: files may have changed since.
            after.checkFiles()
            for bound in change.staying.values():
                bound.call("checkFiles")
            await self._bound.replace(change.leaving, change.arriving)
        except BaseException:
            self.discard(prepared)
            raise
        self._spend(prepared)
        self._generation = after
        self._assembly.commit(after)
        for bound in change.staying.values():
            bound.call("readFiles")
        self._users.users = after.users
        self.flows.swap(after.router, after.upstreams)
        self.packets.swap(after.packets)
        for bound, config in change.changed.values():
            self._reconfigure(bound, config)
        for bound in [*change.staying.values(), *(bound for bound, _ in change.changed.values())]:
            bound.call("routesChanged")
        self.requests.swap(self._assembly.plans(after)).addCallback(lambda _: self._assembly.retire(before, after))
        return Reloaded(
            kept=tuple(change.staying),
            started=tuple(change.arriving),
            stopped=tuple(change.leaving),
            changed=tuple(change.changed),
        )

    def _reconfigure(self, bound: Bound, config: ListenerConfig) -> None:
        """
        Give a listener the options that it said it can take.
        """
        try:
            bound.reconfigure(config)
        except Exception:
            # The others have changed already: there is no way back.
            self.log.failure("{listener} failed to take its new options", listener=bound.listener.name)

    def drain(self, timeout: float) -> Deferred[bool]:
        """
        Accept nothing more, ask what is open to finish, wait for it at most C{timeout} seconds, then L{stop}.

        Fires with whether every flow ended by itself.
        """
        return Deferred.fromCoroutine(self._drain(timeout))

    async def _drain(self, timeout: float) -> bool:
        self.draining = True
        deadline = self._reactor.seconds() + timeout
        # The admin listener tells of it until the end.
        # So do devices forward: what is on its way to those who go elsewhere arrives.
        lasting = [name for name, bound in self._bound.bound.items() if getattr(bound.listener, "lasting", False)]
        await self._changing.run(self._bound.stop, ADMIN, *lasting)
        drained = gatherResults([self.flows.drain(), self.requests.drain()])
        self.packets.drain()
        for listener in self._bound.every():
            listener.drain()
        finished = True
        if not drained.called:
            finished = await _within(drained, timeout, self._reactor)
        await self._linger(deadline)
        await self.stop()
        return finished

    async def _linger(self, deadline: float) -> None:
        """
        Let connections whose flows have ended close by themselves. Nobody tells when they have: look.
        """
        deadline = min(deadline, self._reactor.seconds() + LINGER)
        while self._reactor.seconds() < deadline and self._openConnections():
            await deferLater(self._reactor, _LOOK_AGAIN)

    def _openConnections(self) -> bool:
        admin = self._bound.bound.get(ADMIN)
        return any(
            getattr(listener, "connections", ())
            for listener in self._bound.every()
            if admin is None or listener is not admin.listener
        )

    def stop(self) -> Deferred[None]:
        """
        Accept nothing more and end everything at once.
        """
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        self.draining = True
        await self._changing.run(self._bound.stop)
        self._releaseFirst()
        for prepared in list(self._prepared):
            self.discard(prepared)
        self.packets.close()
        self.flows.abortAll()
        self.requests.abortAll()
        for listener in self._bound.every():
            listener.abort()
        # The resets go out in the reactor's next turns. Where the process ended before, the kernel would tell the peers
        # of an end in order, and what was cut short would look whole.
        ended = self.flows.drain()
        if not ended.called:
            await _within(ended, LINGER, self._reactor)
        # The process may end next: peers whose connections were kept are told of it in order, and spans are not lost.
        await _within(self._assembly.discard(self._generation, None), PARTING, self._reactor)


def _nothing() -> None:
    pass


def refuseFixed(before: NodeConfig, after: NodeConfig) -> None:
    """
    @raise NodeError: where a key changes that can't while the node runs.
    """
    for key in ("node", "workers"):
        old, new = getattr(before, key), getattr(after, key)
        if old != new:
            raise NodeError(f"{key!r} can't change from {old!r} to {new!r} while the node runs: restart it")


def _everything(config: NodeConfig) -> dict[str, ListenerConfig]:
    """
    The listeners of a configuration, the admin listener among them.
    """
    if config.admin is None:
        return config.listeners
    return {ADMIN: ListenerConfig("admin", config.admin), **config.listeners}


async def _within(waited: Deferred[Any], timeout: float, clock: IReactorTime) -> bool:
    """
    Wait, but not for ever: whether it fired in time. It is not cancelled.
    """
    either: Deferred[bool] = Deferred()
    timer = clock.callLater(timeout, either.callback, False)

    def fired(result: Any) -> Any:
        if timer.active():
            timer.cancel()
            either.callback(True)
        return result

    waited.addBoth(fired)
    return await either
