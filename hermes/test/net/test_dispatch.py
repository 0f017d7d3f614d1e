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

    def test_sometimesSomebodyLooks(self) -> None:
        """
        Once in as many turns as are asked for, of those in which something arrives.
        """
        looks: list[int] = []
        done: list[None] = []
        reactor = self.reactor = Reactor()
        self.addCleanup(reactor._poller.close)
        self.assertTrue(installLeanDispatch(reactor, lambda: looks.append(len(done)), 3))
        self.attach(Recorder())
        while len(done) < 7:
            self.turn()
            self.peer.send(b"data")
            self.turn()
            done.append(None)
        self.assertEqual(looks, [2, 5])

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


class Poller:
    """
    Remembers for how long it was to wait, and does not.
    """

    def __init__(self, poller: Any, heard: list[object]) -> None:
        self._poller = poller
        self._heard = heard

    def __getattr__(self, name: str) -> Any:
        return getattr(self._poller, name)

    def poll(self, timeout: float, most: int) -> Any:
        self._heard.append(timeout)
        return self._poller.poll(0, most)


class TurnTests(SynchronousTestCase):
    """
    What is done at the end of a turn of the reactor.

    @ivar heard: what happened, in order; for how long the reactor would have waited among it.
    """

    def setUp(self) -> None:
        self.heard: list[object] = []
        self.reactor = Reactor()
        self.addCleanup(self.reactor._poller.close)
        self.reactor._poller = Poller(self.reactor._poller, self.heard)
        self.assertTrue(installLeanDispatch(self.reactor))
        self.atTurnsEnd: Any = self.reactor.atTurnsEnd  # type: ignore[attr-defined]

    def note(self, what: object) -> Any:
        return lambda: self.heard.append(what)

    def turn(self, timeout: float | None = 7.0) -> None:
        self.heard.clear()
        self.reactor.doIteration(timeout)

    def connection(self, received: Any) -> Any:
        """
        A connection whose protocol does this with what it receives; the peer's end.
        """
        ours, peer = unixPair()
        self.addCleanup(peer.close)
        self.addCleanup(ours.close)
        recorder = Recorder()
        recorder.dataReceived = received  # type: ignore[method-assign]
        StreamTransport(ours, self.reactor).attach(recorder)
        return peer

    def test_itComesOnceAndAfterAllThatHasArrived(self) -> None:
        def received(data: Any) -> None:
            self.heard.append("received")
            self.atTurnsEnd(self.note("end"))

        peers = [self.connection(received) for _ in range(3)]
        for peer in peers:
            peer.send(b"data")
        self.turn()
        self.assertEqual(self.heard, [7.0, "received", "received", "received", "end", "end", "end"])
        self.turn()
        self.assertEqual(self.heard, [7.0])

    def test_whatTimersAskForComesBeforeTheWait(self) -> None:
        self.reactor.callLater(0, lambda: self.atTurnsEnd(self.note("end")))
        self.reactor.runUntilCurrent()
        self.turn()
        self.assertEqual(self.heard, ["end", 7.0])
        self.turn()
        self.assertEqual(self.heard, [7.0])

    def test_itComesInOrder(self) -> None:
        for number in range(3):
            self.atTurnsEnd(self.note(number))
        self.turn()
        self.assertEqual(self.heard, [0, 1, 2, 7.0])

    def test_whatIsAskedForThereBelongsToTheSameTurn(self) -> None:
        def end() -> None:
            self.heard.append("end")
            self.atTurnsEnd(self.note("its end"))

        self.atTurnsEnd(end)
        self.atTurnsEnd(self.note("other"))
        self.turn()
        self.assertEqual(self.heard, ["end", "other", "its end", 7.0])

    def test_oneThatFailsKeepsNothingFromTheOthers(self) -> None:
        def fail() -> None:
            raise ZeroDivisionError

        def received(data: Any) -> None:
            for call in (self.note(1), fail, self.note(2)):
                self.atTurnsEnd(call)

        peer = self.connection(received)
        peer.send(b"data")
        self.turn()
        self.assertEqual(self.heard, [7.0, 1, 2])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.atTurnsEnd(fail)
        self.atTurnsEnd(self.note(3))
        self.turn()
        self.assertEqual(self.heard, [3, 7.0])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_aTimerThatIsSetThereIsNotWaitedBeyond(self) -> None:
        for wait in (None, 7.0):
            self.atTurnsEnd(lambda: self.reactor.callLater(0, self.note("due")))
            self.turn(wait)
            self.assertEqual(self.heard, [0])
            self.reactor.runUntilCurrent()
            self.assertEqual(self.heard, [0, "due"])

    def test_laterTimersChangeNothing(self) -> None:
        self.atTurnsEnd(lambda: self.reactor.callLater(1000, self.note("due")))
        self.turn()
        self.assertEqual(self.heard, [7.0])
        self.atTurnsEnd(self.note("end"))
        self.turn(0)
        self.assertEqual(self.heard, ["end", 0])

    def test_withoutTimersItWaitsForWhatArrives(self) -> None:
        self.atTurnsEnd(self.note("end"))
        self.turn(None)
        self.assertEqual(self.heard, ["end", -1])

    def test_aReactorThatIsStoppedThereWaitsNoMore(self) -> None:
        self.reactor._started = self.reactor.running = True
        self.reactor._stopped = False
        self.atTurnsEnd(self.reactor.stop)
        self.turn(None)
        self.assertEqual(self.heard, [0])
