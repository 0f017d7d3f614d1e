"""
An agent that answers as it is told to, and remembers what it was asked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import evolve
from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from hermes.control.values import READY, Answer, Health, NodeState, Probe, ProbeResult
from hermes.interfaces.control import IAgentSide


@implementer(IAgentSide)
class RecordingAgent:
    """
    Answers ready.

    @ivar asked: what it was asked: name and arguments.
    @ivar answers: what it answers in place of that, by name: a value, an error, or a L{Deferred}.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.state = NodeState(name, software="test")
        self.asked: list[tuple[Any, ...]] = []
        self.answers: dict[str, Any] = {}
        self._watchers: list[Callable[[NodeState], object]] = []

    def become(self, **changes: Any) -> None:
        """
        Have another state.
        """
        self.state = evolve(self.state, **changes)
        for watcher in list(self._watchers):
            watcher(self.state)

    def watch(self, callback: Callable[[NodeState], object]) -> Callable[[], None]:
        self._watchers.append(callback)
        return lambda: self._watchers.remove(callback)

    def controllerConnected(self) -> None:
        self.asked.append(("controllerConnected",))

    def controllerLost(self) -> None:
        self.asked.append(("controllerLost",))

    def _answer(self, name: str, arguments: tuple[Any, ...], usual: Any) -> Deferred[Any]:
        self.asked.append((name, *arguments))
        answer = self.answers.get(name, usual)
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, Deferred) else succeed(answer)

    def prepare(self, version: int, base: int | None, config: bytes, digest: str, decide: float) -> Deferred[Answer]:
        return self._answer("prepare", (version, base, config, digest, decide), READY)

    def commit(self, version: int) -> Deferred[Answer]:
        return self._answer("commit", (version,), READY)

    def confirm(self, version: int) -> Deferred[Answer]:
        return self._answer("confirm", (version,), READY)

    def rollback(self, version: int) -> Deferred[Answer]:
        return self._answer("rollback", (version,), READY)

    def drain(self, timeout: float) -> Deferred[bool]:
        return self._answer("drain", (timeout,), True)

    def status(self) -> Deferred[Mapping[str, Any]]:
        return self._answer("status", (), {"node": self.name, "flows": 3, "rates": [1.5, None]})

    def health(self) -> Deferred[Health]:
        return self._answer("health", (), Health(10, 1, "a listener is down"))

    def logs(self, count: int) -> Deferred[Sequence[str]]:
        return self._answer("logs", (count,), ["one", "two"])

    def probe(self, probes: Sequence[Probe]) -> Deferred[Sequence[ProbeResult]]:
        return self._answer("probe", (tuple(probes),), [ProbeResult(each.name, True, "", 0.25) for each in probes])

    def revoked(self, serials: Sequence[str]) -> Deferred[None]:
        return self._answer("revoked", (tuple(serials),), None)
