"""
A socket is connected, or says why not.
"""

from __future__ import annotations

import os
from errno import ECONNREFUSED, ENOENT
from socket import AF_INET, AF_UNIX, SOCK_STREAM, socket

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionLost
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from hermes.net.connecting import FULL_BACKLOG_DELAY, connectSocket
from hermes.test.net.descriptors import DescriptorReactor


class ConnectSocketTests(SynchronousTestCase):
    """
    Over loopback.
    """

    def setUp(self) -> None:
        self.reactor = DescriptorReactor()

    def listener(self, backlog: int = 5) -> socket:
        listener = socket(AF_INET, SOCK_STREAM)
        self.addCleanup(listener.close)
        listener.bind(("127.0.0.1", 0))
        listener.listen(backlog)
        return listener

    def pending(self) -> tuple[Deferred[socket], socket]:
        """
        An attempt that nobody answers: the listener's backlog is full.
        """
        listener = self.listener(0)
        while True:
            connected = connectSocket(self.reactor, listener.getsockname())
            if not connected.called:
                return connected, listener
            self.addCleanup(self.successResultOf(connected).close)

    def test_aSocketIsConnected(self) -> None:
        listener = self.listener()
        connected = connectSocket(self.reactor, listener.getsockname())
        sock = self.successResultOf(connected)
        self.addCleanup(sock.close)
        self.assertEqual(sock.getpeername(), listener.getsockname())
        self.assertFalse(sock.getblocking())
        self.assertEqual(self.reactor.writers, set())

    def test_aRefusalIsTold(self) -> None:
        name = self.listener().getsockname()
        self.doCleanups()
        error = self.failureResultOf(connectSocket(self.reactor, name), OSError).value
        self.assertEqual(error.errno, ECONNREFUSED)

    def test_anAttemptThatTakesTimeIsWaitedFor(self) -> None:
        connected, _ = self.pending()
        (connecting,) = self.reactor.writers
        self.assertNotEqual(connecting.fileno(), -1)
        connecting.doWrite()  # The reactor would call this once the kernel says so.
        self.addCleanup(self.successResultOf(connected).close)
        self.assertEqual(self.reactor.writers, set())

    def test_anErrorThatTheReactorSeesIsTold(self) -> None:
        connected, _ = self.pending()
        (connecting,) = self.reactor.writers
        connecting.connectionLost(Failure(ConnectionLost()))
        self.failureResultOf(connected, ConnectionLost)
        self.assertEqual(connecting.fileno(), -1)

    def test_cancellingClosesTheSocket(self) -> None:
        connected, _ = self.pending()
        (connecting,) = self.reactor.writers
        connected.cancel()
        self.failureResultOf(connected, CancelledError)
        self.assertEqual(connecting.fileno(), -1)
        self.assertEqual(self.reactor.writers, set())


class ConnectUnixSocketTests(SynchronousTestCase):
    """
    By path.
    """

    def setUp(self) -> None:
        self.reactor = DescriptorReactor()
        folder = self.mktemp()
        os.mkdir(folder)
        self.path = os.path.join(os.path.relpath(folder), "s")
        self.listener = socket(AF_UNIX, SOCK_STREAM)
        self.addCleanup(self.listener.close)
        self.listener.bind(self.path)

    def test_aSocketIsConnected(self) -> None:
        self.listener.listen(1)
        self.successResultOf(connectSocket(self.reactor, self.path)).close()

    def test_aMissingSocketIsTold(self) -> None:
        error = self.failureResultOf(connectSocket(self.reactor, self.path + "not"), OSError).value
        self.assertEqual(error.errno, ENOENT)

    def fill(self) -> Deferred[socket]:
        self.listener.listen(0)
        while True:
            connected = connectSocket(self.reactor, self.path)
            if not connected.called:
                return connected
            self.addCleanup(self.successResultOf(connected).close)

    def test_aListenerThatIsBehindIsAskedAgain(self) -> None:
        connected = self.fill()
        self.reactor.advance(FULL_BACKLOG_DELAY)
        self.assertNoResult(connected)
        self.addCleanup(self.listener.accept()[0].close)
        self.reactor.advance(FULL_BACKLOG_DELAY)
        self.successResultOf(connected).close()

    def test_cancellingAsksNoMore(self) -> None:
        connected = self.fill()
        connected.cancel()
        self.failureResultOf(connected, CancelledError)
        self.assertEqual(self.reactor.getDelayedCalls(), [])
