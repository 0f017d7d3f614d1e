"""
Something that runs configurations and is no node.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from hermes.control.agent.roles import IPreparedConfiguration, IRunner
from hermes.control.values import Health, Probe, ProbeResult
from hermes.errors import HermesError


class RunnerRefuses(HermesError):
    """
    A configuration that can't be had.
    """


@implementer(IRunner)
@define(eq=False)
class FakeRunner:
    """
    A runner. A configuration that holds C{unreadable}, C{refuse}, C{break} or C{unprobed} fails where it is read, where
    it is prepared, where it is committed, or where it is probed.

    @ivar config: what runs, or L{None}.
    @ivar history: everything that has run, in order.
    @ivar open: how many prepared configurations were neither committed nor discarded.
    @ivar slow: where given, what a prepare and a commit wait for before they begin: one at a time.
    @ivar refusing: words that are refused too: what this machine lacks just now.
    @ivar unreadable: words that this software can't read.
    @ivar unhealthy: what L{health} says is wrong.
    @ivar drained: whether it was drained or stopped.
    """

    config: bytes | None = None
    history: list[bytes | None] = field(factory=list)
    open: int = 0
    slow: list[Deferred[None]] = field(factory=list)
    refusing: set[bytes] = field(factory=set)
    unreadable: set[bytes] = field(factory=set)
    unhealthy: str | None = None
    opened: int = 0
    failed: int = 0
    drained: bool = False
    probed: list[Probe] = field(factory=list)

    @property
    def running(self) -> bool:
        return self.config is not None

    def check(self, version: int, config: bytes) -> None:
        if b"unreadable" in config or any(each in config for each in self.unreadable):
            raise RunnerRefuses(f"version {version}: line 1: can't be read")

    def prepare(self, version: int, config: bytes) -> Deferred[IPreparedConfiguration]:
        return self._waited().addCallback(lambda _: self._prepare(version, config))

    def _prepare(self, version: int, config: bytes) -> IPreparedConfiguration:
        self.check(version, config)
        if b"refuse" in config or any(each in config for each in self.refusing):
            raise RunnerRefuses(f"version {version}: listener apps: address already in use")
        self.open += 1
        return FakePrepared(self, config)

    def _waited(self) -> Deferred[None]:
        return self.slow.pop(0) if self.slow else succeed(None)

    def run(self, config: bytes | None) -> None:
        """
        Run this from now on.
        """
        self.config = config
        self.history.append(config)

    def stop(self) -> Deferred[None]:
        self.run(None)
        self.drained = True
        return succeed(None)

    def drain(self, timeout: float) -> Deferred[bool]:
        return self.stop().addCallback(lambda _: True)

    def status(self) -> Mapping[str, Any]:
        return {"config": None if self.config is None else self.config.decode()}

    def health(self) -> Health:
        return Health(self.opened, self.failed, self.unhealthy)

    def probe(self, probes: Sequence[Probe]) -> Deferred[Sequence[ProbeResult]]:
        self.probed += probes
        bad = self.config is None or b"unprobed" in self.config
        return succeed([ProbeResult(each.name, not bad, "no way" if bad else "") for each in probes])


@implementer(IPreparedConfiguration)
class FakePrepared:
    """
    A prepared configuration.
    """

    def __init__(self, runner: FakeRunner, config: bytes) -> None:
        self._runner = runner
        self._config = config
        self._base = runner.config
        self._spent = False

    def commit(self) -> Deferred[None]:
        runner = self._runner
        return runner._waited().addCallback(lambda _: self._commit())

    def _commit(self) -> None:
        runner = self._runner
        if self._spent:
            raise RunnerRefuses("taken or forgotten before")
        self.discard()
        if runner.config != self._base:
            raise RunnerRefuses("another configuration was taken meanwhile")
        if b"break" in self._config or any(each in self._config for each in runner.refusing):
            raise RunnerRefuses("listener apps: somebody has taken the port")
        runner.run(self._config)

    def discard(self) -> Deferred[None]:
        if not self._spent:
            self._spent = True
            self._runner.open -= 1
        return succeed(None)
