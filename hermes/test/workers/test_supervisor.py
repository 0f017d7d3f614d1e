"""
Tests for L{hermes.workers.supervisor}, with workers in memory.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from io import StringIO
from socket import AF_UNIX, SOCK_STREAM, socket
from typing import Any, cast

from attrs import define, evolve, field
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import ILogObserver, LogEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from hermes.config import AdminConfig, ConfigError, ListenerConfig, NodeConfig, Problem
from hermes.config.types import Name, Seconds, SocketAddress, WorkerCount
from hermes.node import NodeError
from hermes.service import StartFailed
from hermes.test.fakes import FakeOptions
from hermes.workers.control import Plan
from hermes.workers.supervisor import GRACE, Supervisor


@define(eq=False)
class FakeWorker:
    """
    A worker that does nothing by itself.
    """

    index: int
    ended: Callable[[str], None]
    plans: list[Plan] = field(factory=list)
    sockets: list[Mapping[str, int]] = field(factory=list)
    answers: list[Deferred[str]] = field(factory=list)
    signals: list[str] = field(factory=list)

    def startNode(self, plan: Plan, sockets: Mapping[str, int]) -> Deferred[str]:
        """
        Keep it.
        """
        return self._asked(plan, sockets)

    def reloadNode(self, plan: Plan, sockets: Mapping[str, int]) -> Deferred[str]:
        """
        Keep it.
        """
        return self._asked(plan, sockets)

    def _asked(self, plan: Plan, sockets: Mapping[str, int]) -> Deferred[str]:
        self.plans.append(plan)
        self.sockets.append(sockets)
        answer: Deferred[str] = Deferred()
        self.answers.append(answer)
        return answer

    def terminate(self) -> None:
        """
        Keep it.
        """
        self.signals.append("TERM")

    def kill(self) -> None:
        """
        Keep it.
        """
        self.signals.append("KILL")


class FakeReactor(Clock):
    """
    A clock that can be stopped.
    """

    running = True
    stopped = False

    def callWhenRunning(self, function: Callable[[], Any]) -> None:
        """
        It runs.
        """
        function()

    def stop(self) -> None:
        """
        Keep it.
        """
        self.stopped = True

    def callFromThread(self, function: Callable[[], Any]) -> None:
        """
        At once.
        """
        function()


class SupervisorTests(SynchronousTestCase):
    """
    A supervisor.
    """

    def setUp(self) -> None:
        self.reactor = FakeReactor()
        self.workers: list[FakeWorker] = []
        self.config = NodeConfig(
            Name("edge"),
            listeners={
                "fixed": ListenerConfig("tcp", FakeOptions("127.0.0.1:1")),
                "chosen": ListenerConfig("tcp", FakeOptions("127.0.0.1:0")),
                "local": ListenerConfig("tcp", FakeOptions(f"unix:@hermes-supervisor-{os.getpid()}")),
                "names": ListenerConfig("udp", FakeOptions("unix:@hermes-names")),
            },
            admin=AdminConfig(SocketAddress("127.0.0.1:9901")),
            workers=WorkerCount(2),
            drain=Seconds(10.0),
        )
        self.loads: list[NodeConfig | ConfigError] = []
        self.events: list[LogEvent] = []
        observer = cast(ILogObserver, self.events.append)
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)

    def launch(self, index: int, ended: Callable[[str], None]) -> FakeWorker:
        """
        A worker.
        """
        worker = FakeWorker(index, ended)
        self.workers.append(worker)
        return worker

    def load(self, path: str) -> NodeConfig:
        """
        What the file says next.
        """
        found = self.loads.pop(0)
        if isinstance(found, ConfigError):
            raise found
        return found

    def supervisor(self) -> Supervisor:
        """
        One that was started, and whose workers were asked to.
        """
        supervisor = Supervisor(self.reactor, "edge.yaml", self.config, self.launch, load=self.load)
        supervisor.startService()
        self.addCleanup(self.end, supervisor)
        return supervisor

    def end(self, supervisor: Supervisor) -> None:
        """
        Stop it, and its workers.
        """
        stopped = supervisor.stopService()
        for worker in self.workers:
            worker.ended("exited with status 0")
        self.successResultOf(stopped)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def ready(self) -> None:
        """
        All workers are.
        """
        for worker in self.workers:
            for answer in worker.answers:
                if not answer.called:
                    answer.callback("a summary")

    def logged(self, part: str) -> int:
        """
        How many events say so.
        """
        return sum(part in str(event.get("log_format")) for event in self.events)

    def test_itStartsAsManyWorkersAsAreAskedFor(self) -> None:
        self.supervisor()
        self.assertEqual([worker.index for worker in self.workers], [0, 1])
        self.assertEqual(self.logged("is ready"), 0)
        self.ready()
        self.assertEqual(self.logged("is ready"), 1)

    def test_workersGetTheSamePortAndTheSameSocket(self) -> None:
        self.supervisor()
        first, second = (worker.plans[0] for worker in self.workers)
        self.assertRegex(first.bind["chosen"], r"^127\.0\.0\.1:[1-9]\d*$")
        self.assertEqual(first.bind, second.bind)
        self.assertNotIn("fixed", first.bind)
        local = f"unix:@hermes-supervisor-{os.getpid()}"
        self.assertEqual([list(worker.sockets[0]) for worker in self.workers], [[local], [local]])

    def test_aSocketForDatagramsIsOneWorkersAlone(self) -> None:
        self.supervisor()
        self.assertEqual([worker.plans[0].leave for worker in self.workers], [[], ["names"]])

    def test_eachWorkerHasAnAdminSocketOfItsOwn(self) -> None:
        supervisor = self.supervisor()
        self.assertEqual(supervisor.workerAdminSockets(), [])
        self.ready()
        paths = supervisor.workerAdminSockets()
        self.assertEqual([worker.plans[0].admin for worker in self.workers], [f"unix:{path}" for path in paths])
        self.assertEqual(os.stat(os.path.dirname(paths[0])).st_mode & 0o777, 0o700)
        self.workers[0].ended("was killed by signal 9")
        self.assertEqual(supervisor.workerAdminSockets(), paths[1:])

    def test_aWorkerThatCanNotStartAtFirstEndsTheProcess(self) -> None:
        self.patch(os, "_exit", lambda status: None)
        self.patch(sys, "stderr", StringIO())
        self.supervisor()
        self.workers[0].answers[0].errback(NodeError("listener fixed: can't listen"))
        self.assertTrue(self.reactor.stopped)
        self.assertEqual(self.workers[0].signals, ["KILL"])

    def test_anAddressThatIsTakenEndsTheProcess(self) -> None:
        with socket(AF_UNIX, SOCK_STREAM) as taken:
            taken.bind(f"\0hermes-supervisor-{os.getpid()}")
            supervisor = Supervisor(self.reactor, "edge.yaml", self.config, self.launch)
            error = self.assertRaises(StartFailed, supervisor.startService)
        self.assertIn("listener local: can't listen on unix:@hermes-supervisor", str(error))
        self.assertEqual(self.workers, [])

    def test_aWorkerThatDiesIsStartedAnewLaterAndLater(self) -> None:
        self.supervisor()
        self.ready()
        for delay in (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0):
            count = len(self.workers)
            self.workers[-1].ended("exited with status 1")
            self.reactor.advance(delay - 0.1)
            self.assertEqual(len(self.workers), count)
            self.reactor.advance(0.2)
            self.assertEqual(len(self.workers), count + 1)
            self.assertEqual(self.workers[-1].index, 1)

    def test_aWorkerThatRanForLongIsStartedAnewSoon(self) -> None:
        self.supervisor()
        self.ready()
        self.workers[-1].ended("exited with status 1")
        self.reactor.advance(0.5)
        self.ready()
        self.reactor.advance(60)
        self.workers[-1].ended("exited with status 1")
        self.reactor.advance(0.5)
        self.assertEqual(len(self.workers), 4)

    def test_aReloadReachesAll(self) -> None:
        supervisor = self.supervisor()
        self.ready()
        listeners = dict(self.config.listeners)
        del listeners["local"]
        self.loads.append(evolve(self.config, listeners=listeners))
        reloaded = supervisor.reload()
        self.assertEqual([len(worker.plans) for worker in self.workers], [2, 2])
        self.assertEqual(self.workers[0].plans[1].bind["chosen"], self.workers[0].plans[0].bind["chosen"])
        self.assertEqual(self.workers[0].sockets[1], {})
        self.ready()
        self.assertTrue(self.successResultOf(reloaded))

    def test_aReloadThatOneWorkerRefusesIsTold(self) -> None:
        supervisor = self.supervisor()
        self.ready()
        self.loads.append(self.config)
        reloaded = supervisor.reload()
        self.workers[1].answers[1].errback(NodeError("no"))
        self.workers[0].answers[1].callback("kept all")
        self.assertFalse(self.successResultOf(reloaded))
        self.assertEqual(self.logged("is not reloaded"), 1)

    def test_aWrongFileReachesNobody(self) -> None:
        supervisor = self.supervisor()
        self.ready()
        self.loads.append(ConfigError([Problem("edge.yaml", None, "", "wrong")]))
        self.assertFalse(self.successResultOf(supervisor.reload()))
        self.loads.append(evolve(self.config, workers=WorkerCount(3)))
        self.assertFalse(self.successResultOf(supervisor.reload()))
        self.loads.append(evolve(self.config, admin=None))
        self.assertFalse(self.successResultOf(supervisor.reload()))
        self.assertEqual([len(worker.plans) for worker in self.workers], [1, 1])
        self.assertEqual(self.logged("not reloaded"), 3)

    def test_stoppingTellsAllAndWaitsForThem(self) -> None:
        supervisor = Supervisor(self.reactor, "edge.yaml", self.config, self.launch)
        supervisor.startService()
        self.ready()
        stopped = supervisor.stopService()
        self.assertEqual([worker.signals for worker in self.workers], [["TERM"], ["TERM"]])
        self.workers[0].ended("exited with status 0")
        self.assertNoResult(stopped)
        self.workers[1].ended("exited with status 0")
        self.successResultOf(stopped)
        self.assertEqual(len(self.workers), 2)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_aWorkerThatDoesNotEndIsKilled(self) -> None:
        supervisor = Supervisor(self.reactor, "edge.yaml", self.config, self.launch)
        supervisor.startService()
        self.ready()
        stopped = supervisor.stopService()
        self.workers[0].ended("exited with status 0")
        self.reactor.advance(10 + GRACE)
        self.assertEqual(self.workers[1].signals, ["TERM", "KILL"])
        self.workers[1].ended("was killed by signal 9")
        self.successResultOf(stopped)

    def test_aWorkerThatWasToBeStartedAnewIsNotWhenAllEnds(self) -> None:
        supervisor = Supervisor(self.reactor, "edge.yaml", self.config, self.launch)
        supervisor.startService()
        self.ready()
        for worker in list(self.workers):
            worker.ended("exited with status 1")
        self.successResultOf(supervisor.stopService())
        self.reactor.advance(60)
        self.assertEqual(len(self.workers), 2)


class PlanTests(SynchronousTestCase):
    """
    What a worker is told.
    """

    def test_aPlanSurvivesItsText(self) -> None:
        plan = Plan({"a": "127.0.0.1:1"}, ["b"], "unix:/s")
        self.assertEqual(Plan.fromText(plan.toText()), plan)

    def test_aWorkersConfigurationIsTheNodesButForThePlan(self) -> None:
        config = NodeConfig(
            Name("edge"),
            listeners={name: ListenerConfig("tcp", FakeOptions("127.0.0.1:0", name)) for name in "abc"},
            admin=AdminConfig(SocketAddress("127.0.0.1:9901")),
            workers=WorkerCount(2),
        )
        applied = Plan({"a": "127.0.0.1:7"}, ["b"], "unix:/s").applied(config)
        self.assertEqual(
            applied.listeners,
            {
                "a": ListenerConfig("tcp", FakeOptions("127.0.0.1:7", "a")),
                "c": ListenerConfig("tcp", FakeOptions("127.0.0.1:0", "c")),
            },
        )
        self.assertEqual(applied.admin, AdminConfig(SocketAddress("unix:/s")))
        self.assertEqual(applied.workers, 1)
