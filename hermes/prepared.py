"""
A configuration that a node has built beside the one that it runs, and has not taken yet.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from attrs import frozen
from twisted.internet.defer import Deferred, maybeDeferred

from hermes.bound import Bound, NodeError, apart
from hermes.config import ListenerConfig, NodeConfig
from hermes.generation import Generation

if TYPE_CHECKING:
    from hermes.node import Node


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


@frozen(eq=False)
class Change:
    """
    What a configuration changes in a node's listeners.

    @ivar staying: those whose options stay the same.
    @ivar changed: those that take other options while they run, with these.
    @ivar leaving: those that stop.
    @ivar arriving: those that start: made, not bound.
    """

    staying: Mapping[str, Bound]
    changed: Mapping[str, tuple[Bound, ListenerConfig]]
    leaving: Mapping[str, Bound]
    arriving: Mapping[str, Bound]

    @classmethod
    def between(
        cls,
        bound: Mapping[str, Bound],
        wanted: Mapping[str, ListenerConfig],
        make: Callable[[Mapping[str, ListenerConfig]], Mapping[str, Bound]],
    ) -> Change:
        """
        @param bound: the listeners that run.
        @param wanted: those that are to run.
        @param make: makes listeners, not bound.
        @raise HermesError: where one can't be made, or can't have its options.
        """
        staying = {name: each for name, each in bound.items() if wanted.get(name) == each.config}
        for each in staying.values():
            each.call("checkFiles")
        changed = {name: (each, wanted[name]) for name, each in bound.items() if each.takes(wanted.get(name))}
        fresh = {name: each for name, each in wanted.items() if name not in staying and name not in changed}
        leaving = {name: each for name, each in bound.items() if name in fresh or name not in wanted}
        try:
            arriving = make(fresh)
        except Exception as error:
            raise NodeError(str(error)) from error
        return cls(staying, changed, leaving, arriving)

    async def reserve(self) -> Callable[[], None]:
        """
        Take hold of the places of the listeners that arrive, as far as they can before they start. The result gives
        back those that are not in use by then.

        @raise NodeError: where one can't be had.
        """
        going = [bound.listener for bound in self.leaving.values()]
        for name, (bound, config) in self.changed.items():
            try:
                await maybeDeferred(bound.call, "verify", config.options, going)
            except Exception as error:
                raise NodeError(f"listener {name}: {error}") from error
        return await reserve(self.arriving, self.leaving)


async def reserve(arriving: Mapping[str, Bound], leaving: Mapping[str, Bound]) -> Callable[[], None]:
    """
    Take hold of the places of listeners that arrive, of those too that others have which leave.

    @return: gives back what is not in use.
    @raise NodeError: where one can't be had.
    """
    reserved: list[Callable[[], None]] = []

    def release() -> None:
        for each in reserved:
            each()

    early, _ = apart(leaving, arriving)
    going = [bound.listener for bound in leaving.values()]
    for name, bound in arriving.items():
        try:
            giveBack = await maybeDeferred(bound.call, "reserve", *(() if name in early else (going,)))
        except Exception as error:
            release()
            raise NodeError(f"listener {name}: {error}") from error
        if giveBack is not None:
            reserved.append(giveBack)
    return release


class Prepared:
    """
    A configuration that a node can take at once: its parts are made, its files were read, its ports are held. The node
    goes on as it was, until L{commit}. Whoever has one calls L{commit} or L{discard}, once.

    @ivar config: the configuration.
    @ivar before: what the node ran when this was made, and must still run.
    @ivar after: what it will run.
    @ivar change: what becomes of its listeners.
    @ivar spent: whether it was committed or discarded.
    """

    def __init__(
        self, node: Node, before: Generation, after: Generation, change: Change, release: Callable[[], None]
    ) -> None:
        """
        @param release: gives back what listeners that never start have hold of.
        """
        self.config: NodeConfig = after.config
        self.before = before
        self.after = after
        self.change = change
        self.spent = False
        self.release = release
        self._node = node

    def commit(self) -> Deferred[Reloaded]:
        """
        Have the node run it: new flows are opened with it, those that are open go on.

        Errback with L{hermes.errors.HermesError} where something can't be had after all, for instance a port that
        another process took, or where the node has another configuration meanwhile. The node then runs what it ran, and
        this is discarded.
        """
        return self._node.commit(self)

    def discard(self) -> Deferred[None]:
        """
        Forget it. Fires once all that was made for it is closed; does nothing where it was committed or discarded.
        """
        return self._node.discard(self)
