"""
A node: its listeners, and what they hand their flows to; started, reloaded, drained and stopped as one.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from weakref import WeakSet

from attrs import frozen
from twisted.internet.defer import Deferred, DeferredLock, gatherResults
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from hermes.bound import Bound, places
from hermes.config import AdminConfig, ListenerConfig, NodeConfig
from hermes.errors import HermesError
from hermes.generation import Assembly, CurrentUsers, ListenerContext
from hermes.interfaces import IAssistant, IDialer, IHop, IListener

ADMIN = "(admin)"
"""
How the admin listener is called: as no other can be.
"""

LINGER = 5.0
"""
Seconds that connections have, once their last flow has ended, to send what they hold and close.
"""

PARTING = 1.0
"""
Seconds that kept connections to others have to close at the very end.
"""

_LOOK_AGAIN = 0.02


class NodeError(HermesError):
    """
    A node could not be started, or could not take a new configuration. The text is for the operator.
    """


@frozen
class Reloaded:
    """
    What a reload did: names of listeners.

    @ivar changed: those that took other options while they ran.
    """

    kept: tuple[str, ...]
    started: tuple[str, ...]
    stopped: tuple[str, ...]
    changed: tuple[str, ...] = ()


class Node:
    """
    A node. L{start} it once; then L{reload} as often as its configuration changes; then L{drain} or L{stop} it once.

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
        self._bound: dict[str, Bound] = {}
        # Removed by a reload: they go on until their connections have ended, and nobody tells when that is.
        self._retired: WeakSet[Any] = WeakSet()
        self._changing = DeferredLock()
        self._stopped: list[Bound] = []
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
        return {name: bound.listener for name, bound in self._bound.items()}

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
        for name, bound in self._bound.items():
            with suppress(HermesError):
                addresses[name] = bound.listener.getHost()
        return addresses

    def start(self) -> Deferred[None]:
        """
        Bind every listener. Errback with L{NodeError} where one can't be bound; the others are then not bound either.
        """
        return self._changing.run(lambda: Deferred.fromCoroutine(self._start()))

    async def _start(self) -> None:
        await self._bind(self._listeners(_everything(self.config)))
        self.packets.start()

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

    async def _bind(self, listeners: Mapping[str, Bound]) -> None:
        """
        Start all or none.
        """
        started: list[Bound] = []
        for name, bound in listeners.items():
            try:
                await bound.listener.start()
            except Exception as error:
                for each in started:
                    await each.listener.stop()
                raise NodeError(f"listener {name}: {error}") from error
            started.append(bound)
        self._bound.update(listeners)
        for name, bound in listeners.items():
            if IDialer.providedBy(bound.listener):
                # Routes can name it in C{to}.
                self.flows.ends[name] = bound.listener

    def reload(self, config: NodeConfig) -> Deferred[Reloaded]:
        """
        Take a new configuration. Flows that are open go on; new ones are opened with the new one. Listeners whose
        options did not change stay bound, and so do those that can take the new ones while they run (see
        L{IListener}); others are bound anew, those that are gone accept nothing more. Certificates are read once more.

        Errback with L{HermesError} where the new one can't be had; the old one then runs on.
        """
        return self._changing.run(lambda: Deferred.fromCoroutine(self._reload(config)))

    async def _reload(self, config: NodeConfig) -> Reloaded:
        if self.draining:
            raise NodeError("the node is shutting down")
        before = self._generation
        refuseFixed(before.config, config)
        after = self._assembly.generation(config, before)
        wanted = _everything(config)
        staying = {name: bound for name, bound in self._bound.items() if wanted.get(name) == bound.config}
        try:
            for bound in staying.values():
                bound.call("checkFiles")
            changed = {name: bound for name, bound in self._bound.items() if bound.takes(wanted.get(name))}
            fresh = {name: each for name, each in wanted.items() if name not in staying and name not in changed}
            leaving = {name: bound for name, bound in self._bound.items() if name in fresh or name not in wanted}
            await self._replace(leaving, fresh)
        except BaseException:
            self._assembly.discard(after, before)
            raise
        self._generation = after
        self._assembly.commit(after)
        for bound in staying.values():
            bound.call("readFiles")
        self._users.users = after.users
        self.flows.swap(after.router, after.upstreams)
        self.packets.swap(after.packets)
        for name, bound in changed.items():
            self._reconfigure(bound, wanted[name])
        for bound in (staying | changed).values():
            bound.call("routesChanged")
        self.requests.swap(self._assembly.plans(after)).addCallback(lambda _: self._assembly.retire(before, after))
        return Reloaded(
            kept=tuple(name for name in self._bound if name not in fresh and name not in changed),
            started=tuple(fresh),
            stopped=tuple(leaving),
            changed=tuple(changed),
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

    async def _replace(self, leaving: Mapping[str, Bound], fresh: Mapping[str, ListenerConfig]) -> None:
        """
        Start listeners and stop others, or leave all as it was. What can be bound beside the old is bound first; an
        address that is handed on is closed and bound again, and nobody can connect to it in between.
        """
        try:
            arriving = self._listeners(fresh)
        except Exception as error:
            raise NodeError(str(error)) from error
        taken = {place for bound in leaving.values() for place in places(bound.config)}
        early = {name: bound for name, bound in arriving.items() if taken.isdisjoint(places(bound.config))}
        late = {name: bound for name, bound in arriving.items() if name not in early}
        freed = {place for bound in late.values() for place in places(bound.config)}
        moved = {name: bound for name, bound in leaving.items() if not freed.isdisjoint(places(bound.config))}
        wasBound = dict(self._bound)
        await self._bind(early)
        try:
            for bound in moved.values():
                await bound.listener.stop()
            await self._bind(late)
        except Exception as error:
            for bound in early.values():
                await bound.listener.stop()
            self._bound = wasBound
            await self._restore(moved, error)
            raise
        for name, bound in leaving.items():
            if name not in arriving:
                del self._bound[name]
                self.flows.ends.pop(name, None)
            if name not in moved:
                await bound.listener.stop()
            # Its connections open nothing more, and end with their last flow.
            bound.listener.drain()
            self._retired.add(bound.listener)

    async def _restore(self, stopped: Mapping[str, Bound], reason: Exception) -> None:
        """
        Bind again what was stopped for something that then failed.
        """
        for bound in stopped.values():
            self._retired.add(bound.listener)
        for name in stopped:
            del self._bound[name]
        try:
            await self._bind(self._listeners({name: bound.config for name, bound in stopped.items()}))
        except NodeError as error:
            raise NodeError(f"{reason}; and the old one can't be bound again: {error}") from error

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
        lasting = [name for name, bound in self._bound.items() if getattr(bound.listener, "lasting", False)]
        await self._changing.run(lambda: self._stopListening(ADMIN, *lasting))
        drained = gatherResults([self.flows.drain(), self.requests.drain()])
        self.packets.drain()
        for listener in self._everyListener():
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
        admin = self._bound.get(ADMIN)
        return any(
            getattr(listener, "connections", ())
            for listener in self._everyListener()
            if admin is None or listener is not admin.listener
        )

    def stop(self) -> Deferred[None]:
        """
        Accept nothing more and end everything at once.
        """
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        self.draining = True
        await self._changing.run(self._stopListening)
        self.packets.close()
        self.flows.abortAll()
        self.requests.abortAll()
        for listener in self._everyListener():
            listener.abort()
        # The resets go out in the reactor's next turns. Where the process ended before, the kernel would tell the peers
        # of an end in order, and what was cut short would look whole.
        ended = self.flows.drain()
        if not ended.called:
            await _within(ended, LINGER, self._reactor)
        # The process may end next: peers whose connections were kept are told of it in order.
        await _within(self._assembly.discard(self._generation, None), PARTING, self._reactor)

    def _stopListening(self, *but: str) -> Deferred[Any]:
        stopping = [bound for name, bound in self._bound.items() if name not in but and bound not in self._stopped]
        self._stopped += stopping
        return gatherResults([bound.listener.stop().addErrback(self._stopFailed) for bound in stopping])

    def _stopFailed(self, failure: Failure) -> None:
        self.log.failure("a listener could not be stopped", failure)

    def _everyListener(self) -> list[IListener]:
        return [bound.listener for bound in self._bound.values()] + list(self._retired)


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
