"""
Links between controllers and agents in memory: they take time, and can be cut.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from attrs import evolve
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure
from zope.interface import implementer

from hermes.control.errors import NodeFailed, NodeLost
from hermes.control.values import Answer, Health, NodeState, Probe, ProbeResult
from hermes.interfaces.control import IAgentSide, INodeLink, INodeLinks


@implementer(INodeLink)
class MemoryLink:
    """
    The controller's end of one node in memory.

    @ivar latency: seconds that each message takes, there and back.
    @ivar silent: whether messages are lost without a word, both ways: the node is there and can't be heard.
    @ivar asked: what was asked of the node, in order.
    @ivar bytes: of the configurations that were sent to it.
    """

    def __init__(self, agent: IAgentSide, links: MemoryLinks, latency: float, alive: Callable[[], bool]) -> None:
        """
        @param alive: whether the agent's process runs.
        """
        self.name: str = agent.name
        self.latency = latency
        self.silent = False
        self.asked: list[str] = []
        self.bytes = 0
        self.state: NodeState = evolve(agent.state, connected=True)
        self._agent = agent
        self._alive = alive
        self._links = links
        self._waiting: set[Deferred[Any]] = set()
        self._up = True
        self._unwatch = agent.watch(lambda state: links.clock.callLater(latency, self._told, state))

    def _told(self, state: NodeState) -> None:
        if self._up and not self.silent and self._links.alive():
            self.state = evolve(state, connected=True)
            self._links.tell(self)

    def _call(self, name: str, *arguments: Any) -> Deferred[Any]:
        answer: Deferred[Any] = Deferred(self._waiting.discard)
        if not self._links.alive():
            return answer
        later = self._links.clock.callLater
        self.asked.append(name)
        self._waiting.add(answer)

        def arrived() -> None:
            if self.silent or not self._up or not self._alive():
                return
            maybeDeferred(getattr(self._agent, name), *arguments).addCallbacks(done, failed)

        def done(result: Any) -> None:
            later(self.latency, answered, result)

        def failed(failure: Failure) -> None:
            later(self.latency, answered, Failure(NodeFailed(failure.getErrorMessage())))

        def answered(result: Any) -> None:
            if not self.silent:
                self._fire(answer, result)

        if self._up:
            later(self.latency, arrived)
        else:
            later(0, self._fire, answer, Failure(NodeLost("there is no connection")))
        return answer

    def _fire(self, answer: Deferred[Any], result: Any) -> None:
        if answer in self._waiting and self._links.alive():
            self._waiting.discard(answer)
            answer.callback(result)

    def cut(self) -> None:
        """
        The connection is lost; each end that is still there hears of it.
        """
        if not self._up:
            return
        self._up = False
        self._unwatch()
        if self._links.alive():
            # As of a real channel: whoever waits for an answer hears of it before the link is told as lost.
            for answer in list(self._waiting):
                self._fire(answer, Failure(NodeLost("the connection was lost")))
        self.state = evolve(self.state, connected=False)
        if self._links.alive():
            self._links.lost(self)
        self._links.clock.callLater(self.latency, self._tellAgent)

    def _tellAgent(self) -> None:
        if self._alive():
            self._agent.controllerLost()

    def prepare(self, version: int, base: int | None, config: bytes, digest: str, decide: float) -> Deferred[Answer]:
        self.bytes += len(config)
        return self._call("prepare", version, base, config, digest, decide)

    def commit(self, version: int) -> Deferred[Answer]:
        return self._call("commit", version)

    def confirm(self, version: int) -> Deferred[Answer]:
        return self._call("confirm", version)

    def rollback(self, version: int) -> Deferred[Answer]:
        return self._call("rollback", version)

    def drain(self, timeout: float) -> Deferred[bool]:
        return self._call("drain", timeout)

    def status(self) -> Deferred[Mapping[str, Any]]:
        return self._call("status")

    def health(self) -> Deferred[Health]:
        return self._call("health")

    def logs(self, count: int) -> Deferred[Sequence[str]]:
        return self._call("logs", count)

    def probe(self, probes: Sequence[Probe]) -> Deferred[Sequence[ProbeResult]]:
        return self._call("probe", probes)

    def revoked(self, serials: Sequence[str]) -> Deferred[None]:
        return self._call("revoked", serials)

    def disconnect(self, reason: str) -> None:
        self.cut()


@implementer(INodeLinks)
class MemoryLinks:
    """
    The nodes that are connected to one controller.

    @ivar clock: what messages take their time by.
    @ivar alive: whether the controller's process runs.
    """

    def __init__(self, clock: IReactorTime, alive: Callable[[], bool] = lambda: True) -> None:
        self.clock = clock
        self.alive = alive
        self._links: dict[str, MemoryLink] = {}
        self._watchers: list[Callable[[INodeLink], object]] = []

    def get(self, name: str) -> MemoryLink | None:
        return self._links.get(name)

    def __iter__(self) -> Iterator[MemoryLink]:
        return iter(list(self._links.values()))

    def watch(self, callback: Callable[[INodeLink], object]) -> Callable[[], None]:
        self._watchers.append(callback)
        for link in self:
            callback(link)

        def stop() -> None:
            if callback in self._watchers:
                self._watchers.remove(callback)

        return stop

    def connect(
        self, agent: IAgentSide, latency: float = 0.001, alive: Callable[[], bool] = lambda: True
    ) -> MemoryLink:
        """
        An agent connects.

        @param alive: whether its process runs.
        """
        before = self._links.get(agent.name)
        if before is not None:
            before.cut()
        link = self._links[agent.name] = MemoryLink(agent, self, latency, alive)
        agent.controllerConnected()
        self.tell(link)
        return link

    def lost(self, link: MemoryLink) -> None:
        """
        A link was lost.
        """
        if self._links.get(link.name) is link:
            del self._links[link.name]
            self.tell(link)

    def tell(self, link: MemoryLink) -> None:
        """
        Something about a link has changed.
        """
        for watcher in list(self._watchers):
            watcher(link)
