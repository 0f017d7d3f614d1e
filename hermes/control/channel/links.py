"""
The controller's end of its nodes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from attrs import evolve
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.spread import pb
from zope.interface import implementer

from hermes.control.channel.broker import ControlBroker
from hermes.control.channel.errors import BadCall, CallError, CallTimeout, ChannelLost
from hermes.control.channel.methods import (
    AGENT,
    Drain,
    Events,
    Logs,
    Nothing,
    Prepare,
    Probes,
    Revoked,
    Version,
)
from hermes.control.channel.typed import ask
from hermes.control.errors import NodeFailed, NodeLost, NodeTimeout
from hermes.control.values import Answer, Health, NodeState, Probe, ProbeResult
from hermes.interfaces.control import INodeLink, INodeLinks

GRACE = 30.0
"""
What the channel gives a call on top of the time that the call itself takes, in seconds.
"""


@implementer(INodeLink)
class NodeLink:
    """
    One connected node.
    """

    def __init__(self, name: str, broker: ControlBroker, agent: pb.RemoteReference, state: NodeState) -> None:
        """
        @param agent: the node's agent.
        @param state: as the node told it in its hello.
        """
        self.name = name
        self.state = state
        self.broker = broker
        self._agent = agent

    def prepare(self, version: int, base: int | None, config: bytes, digest: str, decide: float) -> Deferred[Answer]:
        return self._ask("prepare", Prepare(version, base, config, digest, decide))

    def commit(self, version: int) -> Deferred[Answer]:
        return self._ask("commit", Version(version))

    def confirm(self, version: int) -> Deferred[Answer]:
        return self._ask("confirm", Version(version))

    def rollback(self, version: int) -> Deferred[Answer]:
        return self._ask("rollback", Version(version))

    def drain(self, timeout: float) -> Deferred[bool]:
        return self._ask("drain", Drain(timeout), timeout + GRACE)

    def status(self) -> Deferred[Mapping[str, Any]]:
        return self._ask("status", Nothing())

    def health(self) -> Deferred[Health]:
        return self._ask("health", Nothing())

    def logs(self, count: int) -> Deferred[Sequence[str]]:
        return self._ask("logs", Logs(count))

    def probe(self, probes: Sequence[Probe]) -> Deferred[Sequence[ProbeResult]]:
        longest = max((probe.timeout for probe in probes), default=0.0)
        return self._ask("probe", Probes(tuple(probes)), longest + GRACE)

    def revoked(self, serials: Sequence[str]) -> Deferred[None]:
        return self._ask("revoked", Revoked(tuple(serials)))

    def disconnect(self, reason: str) -> None:
        if not self.broker.gone:
            self.broker.log.info("{name} is disconnected: {reason}", name=self.name, reason=reason)
            self.broker.cut()

    def _ask(self, name: str, arguments: Any, timeout: float | None = None) -> Deferred[Any]:
        asked = ask(self.broker, self._agent, name, AGENT[name], arguments, timeout)
        return asked.addErrback(self._failed)

    def _failed(self, failure: Failure) -> Failure:
        error = failure.value
        if isinstance(error, ChannelLost):
            raise NodeLost(f"{self.name}: {error}") from error
        if isinstance(error, CallTimeout):
            raise NodeTimeout(f"{self.name}: {error}") from error
        if isinstance(error, BadCall):
            self.broker.violated("malformed", str(error))
        if isinstance(error, CallError):
            raise NodeFailed(f"{self.name}: {error}") from error
        return failure


@implementer(INodeLinks)
class NodeLinks:
    """
    All of them.
    """

    log = Logger()

    def __init__(self, seconds: Callable[[], float]) -> None:
        """
        @param seconds: the time, since the epoch.
        """
        self._seconds = seconds
        self._links: dict[str, NodeLink] = {}
        self._watchers: list[Callable[[NodeLink], object]] = []
        self._listeners: list[Callable[[NodeLink, Events], object]] = []

    def get(self, name: str) -> NodeLink | None:
        return self._links.get(name)

    def __iter__(self) -> Iterator[NodeLink]:
        return iter(list(self._links.values()))

    def __len__(self) -> int:
        return len(self._links)

    def watch(self, callback: Callable[[NodeLink], object]) -> Callable[[], None]:
        self._watchers.append(callback)

        def stop() -> None:
            if callback in self._watchers:
                self._watchers.remove(callback)

        for link in self:
            self._call(callback, link)
        return stop

    def listen(self, callback: Callable[[NodeLink, Events], object]) -> Callable[[], None]:
        """
        Call C{callback} with what nodes tell of measurements, refusals, and how much they carried. The result ends it.
        """
        self._listeners.append(callback)

        def stop() -> None:
            if callback in self._listeners:
                self._listeners.remove(callback)

        return stop

    # For the perspectives

    def add(self, link: NodeLink) -> None:
        """
        A node is connected. An older connection of the same name is closed, and told as lost first.
        """
        before = self._links.get(link.name)
        if before is not None:
            self.remove(before)
            before.disconnect("it has connected once more")
        self._links[link.name] = link
        self.told(link, link.state)

    def told(self, link: NodeLink, state: NodeState) -> None:
        """
        It has told its state.
        """
        link.state = evolve(state, name=link.name, connected=True, seen=self._seconds())
        if self._links.get(link.name) is link:
            self._tell(link)

    def remove(self, link: NodeLink) -> None:
        """
        It is lost.
        """
        if self._links.get(link.name) is link:
            del self._links[link.name]
            link.state = evolve(link.state, connected=False, seen=self._seconds())
            self._tell(link)

    def heard(self, link: NodeLink, events: Events) -> None:
        """
        It has told of events.
        """
        if self._links.get(link.name) is link:
            for listener in list(self._listeners):
                self._call(listener, link, events)

    def _tell(self, link: NodeLink) -> None:
        for watcher in list(self._watchers):
            self._call(watcher, link)

    def _call(self, callback: Callable[..., object], *arguments: object) -> None:
        try:
            callback(*arguments)
        except Exception:
            self.log.failure("telling {callback} of a node failed", callback=callback)
