"""
Tests for L{hermes.tap} and L{hermes.service}.
"""

from __future__ import annotations

import os
import signal
import sys
from io import StringIO
from typing import Any, cast

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.defer import Deferred
from twisted.internet.testing import StringTransport
from twisted.logger import ILogObserver, LogEvent, formatEvent, globalLogPublisher
from twisted.python.usage import UsageError
from twisted.trial.unittest import SynchronousTestCase

from hermes import tap
from hermes.admin.status import addressText
from hermes.config import ConfigError, NodeConfig, Problem
from hermes.errors import HermesError
from hermes.http1.server import HTTP1ServerProtocol
from hermes.net.moderation import Moderation
from hermes.node import Node
from hermes.service import NodeService, Signals
from hermes.tap import Options, makeService
from hermes.test.fakes import FakeAssembly, FakeOptions
from hermes.test.test_node import FLOW, nodeConfig
from hermes.test.workers.test_supervisor import FakeReactor
from hermes.workers import Supervisor, WorkerService


class OptionsTests(SynchronousTestCase):
    """
    C{twistd hermes-proxy}'s command line.

    @ivar batches: has an entry for each time that the process was asked to be scheduled in batches.
    """

    def setUp(self) -> None:
        self.batches: list[bool] = []
        self.patch(tap, "scheduleInBatches", lambda: self.batches.append(True))

    def file(self, text: str) -> str:
        """
        A configuration.
        """
        path: str = self.mktemp()
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def options(self, text: str) -> Options:
        """
        Options with a configuration.
        """
        options = Options()
        options.parseOptions(["--config", self.file(text)])
        return options

    def test_aConfigurationIsNeeded(self) -> None:
        error = self.assertRaises(UsageError, Options().parseOptions, [])
        self.assertEqual(str(error), "--config FILE is missing")

    def test_aWrongConfigurationEndsTheProcessWithWhatIsWrong(self) -> None:
        path = self.file("node: edge\nworkrs: 2\n")
        error = self.assertRaises(SystemExit, Options().parseOptions, ["-c", path])
        self.assertEqual(str(error), f"{os.path.abspath(path)}:2:1: workrs: unknown key; did you mean 'workers'?")

    def test_theFileIsFoundFromAnotherDirectory(self) -> None:
        self.assertTrue(os.path.isabs(self.options("node: edge\n")["config"]))

    def test_oneWorkerIsTheNodeItself(self) -> None:
        self.assertIsInstance(makeService(self.options("node: edge\n")), NodeService)

    def test_moreWorkersHaveASupervisor(self) -> None:
        self.assertIsInstance(makeService(self.options("node: edge\nworkers: 2\n")), Supervisor)

    def test_aWorkerIsToldSoByItsEnvironment(self) -> None:
        self.patch(os, "environ", {**os.environ, "HERMES_WORKER": "1"})
        self.assertIsInstance(makeService(self.options("node: edge\nworkers: 2\n")), WorkerService)

    def test_itIsScheduledInBatchesIfAskedTo(self) -> None:
        makeService(self.options("node: edge\n"))
        self.assertEqual(self.batches, [])
        options = Options()
        options.parseOptions(["-c", self.file("node: edge\n"), "--scheduling", "batch"])
        makeService(options)
        self.assertEqual(self.batches, [True])

    def test_ofItselfItLooksForWhatPays(self) -> None:
        """
        A node; a supervisor has nothing to do.
        """
        looking: list[Any] = []
        self.patch(tap, "installLeanDispatch", lambda reactor, sometimes, every: looking.append(sometimes))
        makeService(self.options("node: edge\n"))
        self.assertIsInstance(looking[0].__self__, Moderation)
        makeService(self.options("node: edge\nworkers: 2\n"))
        options = Options()
        options.parseOptions(["-c", self.file("node: edge\n"), "--scheduling", "normal"])
        makeService(options)
        self.assertEqual(looking[1:], [None, None])
        self.patch(os, "environ", {**os.environ, "HERMES_WORKER": "1"})
        makeService(self.options("node: edge\nworkers: 2\n"))
        self.assertIsInstance(looking[3].__self__, Moderation)

    def test_anUnknownSchedulingIsRefused(self) -> None:
        error = self.assertRaises(UsageError, Options().parseOptions, ["--scheduling", "fifo"])
        self.assertEqual(str(error), "--scheduling fifo: one of auto, batch, normal")


class ServiceTests(SynchronousTestCase):
    """
    A node as a service.
    """

    def setUp(self) -> None:
        self.reactor = FakeReactor()
        self.assembly = FakeAssembly(clock=self.reactor)
        self.file: NodeConfig | Exception = nodeConfig(a=FakeOptions("h:1"))
        self.events: list[LogEvent] = []
        observer = cast(ILogObserver, self.events.append)
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        self.before = signal.getsignal(signal.SIGHUP)

    def load(self, path: str) -> NodeConfig:
        """
        What the file says now.
        """
        if isinstance(self.file, Exception):
            raise self.file
        return self.file

    def service(self, **listeners: FakeOptions) -> NodeService:
        """
        A service that was not started.
        """
        config = nodeConfig(**listeners)
        return NodeService(
            self.reactor, "edge.yaml", config, lambda reactor, config: Node(reactor, config, self.assembly), self.load
        )

    def started(self) -> NodeService:
        """
        One that was.
        """
        service = self.service(a=FakeOptions("h:1"))
        service.privilegedStartService()
        service.startService()
        return service

    def lines(self) -> list[str]:
        """
        What was logged.
        """
        return [formatEvent(event) for event in self.events]

    def test_itBindsBeforeThePrivilegesAreGone(self) -> None:
        service = self.service(a=FakeOptions("h:1"))
        service.privilegedStartService()
        self.assertEqual(self.assembly.taken, {"h:1"})
        self.assertIn("node edge is ready: a (fake) on h:1", self.lines())
        service.startService()
        self.assertEqual(len(self.assembly.made), 1)
        self.successResultOf(service.stopService())

    def test_whatCanNotBeStartedEndsTheProcess(self) -> None:
        self.assembly.taken.add("h:1")
        error = self.assertRaises(SystemExit, self.service(a=FakeOptions("h:1")).privilegedStartService)
        self.assertEqual(str(error), "hermes-proxy: listener a: can't listen on h:1: address already in use")
        # twistd tells whoever started a daemon of an Exception only.
        self.assertIsInstance(error, Exception)
        self.assembly.refuses = HermesError("edge.pem: not a certificate")
        error = self.assertRaises(SystemExit, self.service().startService)
        self.assertEqual(str(error), "hermes-proxy: edge.pem: not a certificate")

    def test_whatTurnsOutLaterEndsTheProcessToo(self) -> None:
        self.patch(os, "_exit", lambda status: None)
        self.patch(sys, "stderr", words := StringIO())
        waits: Deferred[None] = Deferred()
        made = self.assembly.listener

        def slow(*arguments: Any) -> Any:
            listener = made(*arguments)
            self.assembly.made[-1].waits = waits
            return listener

        self.patch(FakeAssembly, "listener", lambda _, *arguments: slow(*arguments))
        service = self.service(a=FakeOptions("h:1"))
        service.startService()
        self.addCleanup(service.stopService)
        waits.errback(OSError("gone"))
        self.assertTrue(self.reactor.stopped)
        self.assertEqual(words.getvalue(), "hermes-proxy: listener a: gone\n")

    def test_reloadReadsTheFileOnceMore(self) -> None:
        service = self.started()
        self.file = nodeConfig(a=FakeOptions("h:1"), b=FakeOptions("h:2"))
        self.assertTrue(self.successResultOf(service.reload()))
        self.assertIn("reloaded: kept a; started b", self.lines())
        self.assertEqual(self.assembly.taken, {"h:1", "h:2"})
        self.successResultOf(service.stopService())

    def test_aReloadThatFailsIsLoggedAndChangesNothing(self) -> None:
        service = self.started()
        self.file = ConfigError([Problem("edge.yaml", None, "x", "wrong"), Problem("edge.yaml", None, "y", "too")])
        self.assertFalse(self.successResultOf(service.reload()))
        self.file = nodeConfig(b=FakeOptions("h:2"))
        self.assembly.taken.add("h:2")
        self.assertFalse(self.successResultOf(service.reload()))
        self.assertEqual(
            [line for line in self.lines() if line.startswith("not")],
            [
                "not reloaded: edge.yaml: x: wrong",
                "not reloaded: edge.yaml: y: too",
                "not reloaded: listener b: can't listen on h:2: address already in use",
            ],
        )
        self.assertEqual(self.assembly.taken, {"h:1", "h:2"})
        self.successResultOf(service.stopService())

    def test_hangupReloads(self) -> None:
        service = self.started()
        os.kill(os.getpid(), signal.SIGHUP)
        self.assertIn("reloaded: kept a", self.lines())
        self.successResultOf(service.stopService())
        self.assertEqual(signal.getsignal(signal.SIGHUP), self.before)

    def test_hangupReloadsAsSoonAsItSaysThatItIsReady(self) -> None:
        service = self.service(a=FakeOptions("h:1"))
        service.privilegedStartService()
        self.assertTrue([line for line in self.lines() if "is ready" in line])
        if signal.getsignal(signal.SIGHUP) is self.before:
            self.fail("a hangup would end the process")
        os.kill(os.getpid(), signal.SIGHUP)
        self.assertIn("reloaded: kept a", self.lines())
        service.startService()
        self.successResultOf(service.stopService())
        self.assertEqual(signal.getsignal(signal.SIGHUP), self.before)

    def test_stoppingDrains(self) -> None:
        service = self.started()
        assert service.node is not None
        opened = service.node.flows.openStream(FLOW)
        stopped = service.stopService()
        self.assertNoResult(stopped)
        self.assertIn("draining, at most 30 seconds", self.lines())
        self.assembly.direct.asked[0][1].errback(HermesError("no"))
        self.failureResultOf(opened)
        self.flushLoggedErrors(HermesError)
        self.successResultOf(stopped)
        self.assertIn("drained", self.lines())

    def test_beingToldToStopTwiceEndsWhatIsOpen(self) -> None:
        service = self.started()
        assert service.node is not None
        opened = service.node.flows.openStream(FLOW)
        client = HTTP1ServerProtocol(service.node.requests.listener("a"), self.assembly.clock)
        client.makeConnection(StringTransport())
        client.dataReceived(b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n")
        self.assertEqual(len(service.node.requests.openRequests()), 1)
        stopped = service.stopService()
        os.kill(os.getpid(), signal.SIGTERM)
        self.failureResultOf(opened)
        self.assertEqual(service.node.requests.openRequests(), [])
        self.successResultOf(stopped)

    def test_signalsAreNotAskedForInAThread(self) -> None:
        def refused(number: int, handler: object) -> None:
            raise ValueError("signal only works in main thread of the main interpreter")

        self.patch(signal, "signal", refused)
        signals = Signals(self.reactor)
        signals.install(signal.SIGHUP, lambda: None)
        signals.restore()

    def test_addressesAreWrittenAsInTheConfiguration(self) -> None:
        self.assertEqual(addressText(IPv4Address("TCP", "127.0.0.1", 1)), "127.0.0.1:1")
        self.assertEqual(addressText(IPv6Address("TCP", "::1", 1)), "[::1]:1")
        self.assertEqual(addressText(UNIXAddress(b"/run/s")), "unix:/run/s")
