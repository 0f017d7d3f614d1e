"""
The listeners that a node runs: one, and what a reload may ask of it; all, bound, replaced and stopped as one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping
from typing import Any
from weakref import WeakSet

from attrs import define
from twisted.internet.defer import Deferred, gatherResults
from twisted.logger import Logger
from twisted.python.failure import Failure

from hermes.config import ListenerConfig
from hermes.errors import HermesError
from hermes.interfaces import IDialer, IListener


class NodeError(HermesError):
    """
    A node could not be started, or could not take a new configuration. The text is for the operator.
    """


@define(eq=False)
class Bound:
    """
    A listener that runs, and what it was made of.
    """

    config: ListenerConfig
    listener: IListener

    def call(self, method: str, *arguments: object) -> Any:
        """
        Call what a listener need not have; see L{IListener}.
        """
        call = getattr(self.listener, method, None)
        return None if call is None else call(*arguments)

    def takes(self, config: ListenerConfig | None) -> bool:
        """
        Whether it takes other options while it runs.

        @raise hermes.errors.HermesError: where they are no good.
        """
        if config is None or config == self.config or config.type != self.config.type:
            return False
        return bool(self.call("reconfigurable", config.options))

    def reconfigure(self, config: ListenerConfig) -> None:
        """
        Have it take them.
        """
        self.config = config
        self.call("reconfigure", config.options)

    def places(self) -> set[str]:
        """
        What no other listener can have while it runs: what its options say, and what the kernel has chosen.
        """
        found = places(self.config)
        try:
            host = self.listener.getHost()
        except HermesError:
            return found
        port = getattr(host, "port", None)
        return found | set(getattr(host, "places", ())) | ({str(port)} if port else set())


def places(config: ListenerConfig) -> set[str]:
    """
    What two listeners can't have both: ports, whichever address they are on, and the paths of Unix sockets; and what
    its options say themselves, in C{places}. Not ports that the kernel chooses, nor what an option of an extension may
    mean.
    """
    bind = getattr(config.options, "bind", None)
    binds = bind if isinstance(bind, tuple) else (bind,)
    found = {
        each if each.startswith("unix:") else each.rpartition(":")[2].partition("/")[0]
        for each in binds
        if isinstance(each, str)
    }
    return found - {"0"} | set(getattr(config.options, "places", ()))


class BoundListeners:
    """
    The listeners of a node.

    @ivar bound: those that accept, by name; on a node that has stopped, those that did.
    """

    log = Logger()

    def __init__(
        self,
        make: Callable[[Mapping[str, ListenerConfig]], dict[str, Bound]],
        ends: MutableMapping[str, IDialer],
    ) -> None:
        """
        @param make: makes listeners, not started.
        @param ends: where those go that routes can name in C{to}.
        """
        self.bound: dict[str, Bound] = {}
        self._make = make
        self._ends = ends
        # Removed by a reload: they go on until their connections have ended, and nobody tells when that is.
        self._retired: WeakSet[Any] = WeakSet()
        self._stopped: list[Bound] = []

    async def bind(self, listeners: Mapping[str, Bound]) -> None:
        """
        Start all or none.

        @raise NodeError: where one can't be bound.
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
        self.bound.update(listeners)
        for name, bound in listeners.items():
            if IDialer.providedBy(bound.listener):
                self._ends[name] = bound.listener

    async def replace(self, leaving: Mapping[str, Bound], arriving: Mapping[str, Bound]) -> None:
        """
        Start listeners and stop others, or leave all as it was. What can be bound beside the old is bound first. An
        address that is handed on is given from one to the other where it is the very same, so that who connects in
        between waits for a moment (see L{hermes.interfaces.INetwork}); else it is closed and bound again.

        @raise NodeError: where one can't be bound.
        """
        early, late = apart(leaving, arriving)
        freed = {place for bound in late.values() for place in bound.places()}
        moved = {name: bound for name, bound in leaving.items() if not freed.isdisjoint(bound.places())}
        wasBound = dict(self.bound)
        await self.bind(early)
        try:
            for bound in moved.values():
                await bound.listener.stop()
            await self.bind(late)
        except Exception as error:
            for bound in early.values():
                await bound.listener.stop()
            self.bound = wasBound
            await self._restore(moved, error)
            raise
        for name, bound in leaving.items():
            if name not in arriving:
                del self.bound[name]
                self._ends.pop(name, None)
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
            del self.bound[name]
        try:
            await self.bind(self._make({name: bound.config for name, bound in stopped.items()}))
        except NodeError as error:
            raise NodeError(f"{reason}; and the old one can't be bound again: {error}") from error

    def stop(self, *but: str) -> Deferred[Any]:
        """
        Accept nothing more, save those of these names. Fires once they have stopped; each is stopped once.
        """
        stopping = [bound for name, bound in self.bound.items() if name not in but and bound not in self._stopped]
        self._stopped += stopping
        return gatherResults([bound.listener.stop().addErrback(self._stopFailed) for bound in stopping])

    def _stopFailed(self, failure: Failure) -> None:
        self.log.failure("a listener could not be stopped", failure)

    def every(self) -> list[IListener]:
        """
        All of them, those too that a reload has removed and whose connections go on.
        """
        return [bound.listener for bound in self.bound.values()] + list(self._retired)


def apart(leaving: Mapping[str, Bound], arriving: Mapping[str, Bound]) -> tuple[dict[str, Bound], dict[str, Bound]]:
    """
    Of the listeners that arrive, those that can be bound beside the ones that leave, and those that can't.
    """
    taken = {place for bound in leaving.values() for place in bound.places()}
    early = {name: bound for name, bound in arriving.items() if taken.isdisjoint(bound.places())}
    return early, {name: bound for name, bound in arriving.items() if name not in early}
