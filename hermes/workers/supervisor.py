"""
Looks after workers.
"""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Callable
from typing import Any, TypeVar

from attrs import define
from twisted.application.service import Service
from twisted.internet.defer import Deferred, FirstError, gatherResults
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from hermes.config import NodeConfig, loadNode
from hermes.errors import HermesError
from hermes.node import NodeError, refuseFixed
from hermes.service import Signals, StartFailed, fail
from hermes.workers.control import Plan
from hermes.workers.process import Worker
from hermes.workers.sockets import SharedSockets, isDatagramPath

T = TypeVar("T")

FIRST_DELAY = 0.5
LONGEST_DELAY = 30.0
STEADY = 60.0
"""
Seconds before a worker that died is started anew, doubled each time up to the longest, and for how long a worker has to
run for the next delay to be the first again.
"""

GRACE = 5.0
"""
Seconds beyond the drain that a worker has to end before it is killed.
"""


@define(eq=False)
class _Slot:
    """
    The place of one worker, whichever process is in it.

    @ivar running: the process, or L{None} between two.
    @ivar since: when it was started.
    @ivar delay: how long to wait before the next.
    @ivar ready: whether its node runs.
    """

    index: int
    running: Worker | None = None
    since: float = 0.0
    delay: float = FIRST_DELAY
    ready: bool = False
    restart: IDelayedCall | None = None


class Supervisor(Service):
    """
    Runs as many workers as the configuration says.
    """

    log = Logger()
    name = "hermes-proxy"

    def __init__(
        self,
        reactor: Any,
        path: str,
        config: NodeConfig,
        launch: Callable[[int, Callable[[str], None]], Worker],
        admin: Callable[[Supervisor], Any] | None = None,
        load: Callable[[str], NodeConfig] = loadNode,
    ) -> None:
        """
        @param path: the node's file.
        @param launch: starts the process of the worker of an index; calls its second argument once that is gone.
        @param admin: makes the supervisor's admin listener, an L{hermes.interfaces.IListener}; not called where the
            configuration has none.
        """
        self.config = config
        self._reactor = reactor
        self._path = path
        self._launch = launch
        self._makeAdmin = admin
        self._load = load
        self._admin: Any = None
        self._sockets = SharedSockets()
        self._slots = [_Slot(index) for index in range(config.workers)]
        self._directory = ""
        self._signals = Signals(reactor)
        self._stopping: Deferred[None] | None = None
        self._killing: IDelayedCall | None = None

    def workerAdminSockets(self) -> list[str]:
        """
        The paths of the Unix sockets where the workers that run have their admin listeners.
        """
        if self.config.admin is None:
            return []
        return [self._adminPath(slot.index) for slot in self._slots if slot.ready]

    def _adminPath(self, index: int) -> str:
        return os.path.join(self._directory, f"admin-{index}.sock")

    def startService(self) -> None:
        Service.startService(self)
        try:
            self._sockets.commit(self._sockets.prepare(self.config))
        except NodeError as error:
            raise StartFailed(f"hermes-proxy: {error}") from None
        self._directory = tempfile.mkdtemp(prefix="hermes-")
        self._signals.install(signal.SIGHUP, self.reload)
        started = Deferred.fromCoroutine(self._start())
        started.addErrback(self._notStarted)

    async def _start(self) -> None:
        if self.config.admin is not None and self._makeAdmin is not None:
            self._admin = self._makeAdmin(self)
            await self._admin.start()
        summaries = await gather([self._run(slot) for slot in self._slots])
        self.log.info(
            "node {node} is ready: {count} workers, each with {listening}",
            node=self.config.node,
            count=len(self._slots),
            listening=summaries[0],
        )

    def _notStarted(self, failure: Failure) -> None:
        if failure.check(HermesError) is None:
            self.log.failure("starting the workers failed", failure)
        fail(self._reactor, f"hermes-proxy: {failure.getErrorMessage()}")

    # One worker

    def _run(self, slot: _Slot) -> Deferred[str]:
        """
        Start a process in a slot; fires with where its node listens.
        """
        slot.restart = None
        slot.since = self._reactor.seconds()
        slot.running = worker = self._launch(slot.index, lambda how: self._ended(slot, how))

        def ready(summary: str) -> str:
            slot.ready = slot.running is worker
            return summary

        def failed(failure: Failure) -> Failure:
            worker.kill()
            return failure

        return worker.startNode(self._plan(slot), self._descriptors()).addCallbacks(ready, failed)

    def _plan(self, slot: _Slot) -> Plan:
        alone = [name for name, listener in self.config.listeners.items() if isDatagramPath(listener)]
        return Plan(
            bind={name: held.address for name, held in self._sockets.held.items()},
            leave=alone if slot.index else [],
            admin=None if self.config.admin is None else f"unix:{self._adminPath(slot.index)}",
        )

    def _descriptors(self) -> dict[str, int]:
        return {held.address: held.bound.socket.fileno() for held in self._sockets.held.values() if held.inherited}

    def _ended(self, slot: _Slot, how: str) -> None:
        slot.running = None
        slot.ready = False
        if self._stopping is not None:
            self._checkStopped()
            return
        if self._reactor.seconds() - slot.since >= STEADY:
            slot.delay = FIRST_DELAY
        self.log.error(
            "worker {index} {how}: another is started in {delay:g} s", index=slot.index, how=how, delay=slot.delay
        )
        slot.restart = self._reactor.callLater(slot.delay, self._again, slot)
        slot.delay = min(2 * slot.delay, LONGEST_DELAY)

    def _again(self, slot: _Slot) -> None:
        def failed(failure: Failure) -> None:
            self.log.error("worker {index}: {reason}", index=slot.index, reason=failure.getErrorMessage())

        self._run(slot).addCallbacks(lambda _: self.log.info("worker {index} runs again", index=slot.index), failed)

    # All of them

    def reload(self) -> Deferred[bool]:
        """
        Let all read the file once more; what is wrong with it is logged, and changes nothing. Fires with whether all
        took it.
        """
        return Deferred.fromCoroutine(self._reload())

    async def _reload(self) -> bool:
        try:
            config = self._load(self._path)
            refuseFixed(self.config, config)
            if config.admin != self.config.admin:
                raise NodeError("'admin' can't change while workers run: restart the node")
            prepared = self._sockets.prepare(config)
        except HermesError as error:
            for line in str(error).splitlines():
                self.log.error("not reloaded: {line}", line=line)
            return False
        self.config = config
        self._sockets.commit(prepared)
        taken = await gather([self._reloadOne(slot) for slot in self._slots if slot.ready])
        return all(taken)

    def _reloadOne(self, slot: _Slot) -> Deferred[bool]:
        return Deferred.fromCoroutine(self._reloaded(slot))

    async def _reloaded(self, slot: _Slot) -> bool:
        worker = slot.running
        assert worker is not None
        try:
            summary = await worker.reloadNode(self._plan(slot), self._descriptors())
        except NodeError as error:
            self.log.error("worker {index} is not reloaded: {error}", index=slot.index, error=error)
            return False
        self.log.info("worker {index} is reloaded: {summary}", index=slot.index, summary=summary)
        return True

    def stopService(self) -> Deferred[None]:
        """
        Drain all; one that does not end in time is killed.
        """
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        stopped = Service.stopService(self)
        if stopped is not None:
            await stopped
        stopping = self._stopping = Deferred()
        for number in (signal.SIGINT, signal.SIGTERM):
            self._signals.install(number, self._kill)
        for slot in self._slots:
            if slot.restart is not None:
                slot.restart.cancel()
            if slot.running is not None:
                slot.running.terminate()
        self._killing = self._reactor.callLater(self.config.drain + GRACE, self._kill)
        self._checkStopped()
        await stopping
        if self._killing.active():
            self._killing.cancel()
        if self._admin is not None:
            await self._admin.stop()
            self._admin.abort()
        self._sockets.commit({})
        self._signals.restore()
        if self._directory:
            shutil.rmtree(self._directory, ignore_errors=True)

    def _checkStopped(self) -> None:
        stopping = self._stopping
        if stopping is not None and not stopping.called and all(slot.running is None for slot in self._slots):
            stopping.callback(None)

    def _kill(self) -> None:
        for slot in self._slots:
            if slot.running is not None:
                self.log.warn("worker {index} is killed", index=slot.index)
                slot.running.kill()


async def gather(waited: list[Deferred[T]]) -> list[T]:
    """
    The results of all, or the first failure itself.
    """
    try:
        return await gatherResults(waited, consumeErrors=True)
    except FirstError as error:
        cause = error.subFailure.value
        assert cause is not None
        raise cause from error
