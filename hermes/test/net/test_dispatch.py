"""
Tests for L{hermes.net.dispatch}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.epollreactor import EPollReactor
from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.internet.interfaces import ILoggingContext
from twisted.internet.selectreactor import SelectReactor
from twisted.python import context
from twisted.python.log import ILogContext
from twisted.trial.unittest import SynchronousTestCase

from hermes.net.dispatch import installLeanDispatch
from hermes.net.transport import StreamTransport
from hermes.test.net.sockets import Plain, Recorder, unixPair


class Reactor(EPollReactor):
    """
    One that leaves the process' signals alone.
    """

    def installWaker(self) -> None:
        self.waker = None


class ContextRecorder(Recorder):
    """
    Remembers the logging context it was called in.
    """

    def dataReceived(self, data: Any) -> None:
        super().dataReceived(data)
        self.system = context.get(ILogContext, {}).get("system")


class FatTransport(StreamTransport):
    """
    One that wants Twisted's logging context.
    """

    leanDispatch = False


class LeanDispatchTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = Reactor()
        self.assertTrue(installLeanDispatch(self.reactor))
        ours, self.peer = unixPair()
        self.addCleanup(self.peer.close)
        self.addCleanup(ours.close)
        self.addCleanup(self.reactor._poller.close)
        self.ours = ours

    def attach(self, protocol: Any, kind: type[StreamTransport] = StreamTransport) -> StreamTransport:
        transport = kind(self.ours, self.reactor)
        transport.attach(protocol)
        return transport

    def turn(self) -> None:
        self.reactor.doIteration(0)
        self.reactor.runUntilCurrent()

    def test_otherReactorsAreLeftAlone(self) -> None:
        self.assertFalse(installLeanDispatch(object()))
        self.assertFalse(issubclass(SelectReactor, EPollReactor))

    def test_ourTransportsAreCalledWithoutALoggingContext(self) -> None:
        recorder = ContextRecorder()
        self.attach(recorder)
        self.peer.send(b"data")
        self.turn()
        self.assertEqual((recorder.received, recorder.system), (b"data", context.get(ILogContext).get("system")))

    def test_othersAreCalledWithOne(self) -> None:
        recorder = ContextRecorder()
        transport = self.attach(recorder, FatTransport)
        self.peer.send(b"data")
        self.turn()
        self.assertTrue(ILoggingContext.providedBy(transport))
        self.assertEqual((recorder.received, recorder.system), (b"data", "ContextRecorder"))

    def test_whatWaitsIsSent(self) -> None:
        recorder = Recorder()
        transport = self.attach(recorder)
        transport.write(b"x" * 1024 * 1024)
        received = 0
        while received < 1024 * 1024:
            received += len(self.peer.recv(65536))
            self.turn()
        self.assertEqual(transport.bufferedBytes, 0)

    def test_theEndIsNoticed(self) -> None:
        plain = Plain()
        self.attach(plain)
        self.peer.send(b"last")
        self.peer.close()
        self.turn()
        self.turn()
        self.assertEqual(plain.received, b"last")
        self.assertIsInstance(plain.reason, ConnectionDone)
        self.assertEqual(self.reactor.getReaders(), [])

    def test_anExceptionDropsOnlyThatConnection(self) -> None:
        recorder = Recorder()
        transport = self.attach(recorder)

        def fail() -> None:
            raise ZeroDivisionError

        transport.doRead = fail  # type: ignore[method-assign]
        self.peer.send(b"data")
        self.turn()
        self.turn()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertIsInstance(recorder.reason, ConnectionAborted)

    def test_anEndWhileReadingLeavesNothingToWrite(self) -> None:
        recorder = Recorder()
        transport = self.attach(recorder)
        transport.write(b"x" * 1024 * 1024)

        self.peer.send(b"data")
        self.peer.recv(1024 * 1024)
        recorder.dataReceived = lambda data: transport.abortConnection()  # type: ignore[method-assign]
        transport.attach(recorder)
        self.turn()
        self.turn()
        self.assertIsInstance(recorder.reason, ConnectionAborted)
