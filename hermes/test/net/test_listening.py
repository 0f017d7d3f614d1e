"""
Accepting, and what comes in its way.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from errno import EBADF, ECONNABORTED, EMFILE
from socket import socket
from typing import Any, cast

from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import IListeningPort, IReadDescriptor
from twisted.internet.protocol import ServerFactory
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from hermes.net.listening import ACCEPTS_PER_TURN, EXHAUSTED_DELAY, ListeningPort
from hermes.net.sockets import Bound, bindStreams
from hermes.test.net.descriptors import DescriptorReactor


class Factory(ServerFactory):
    """
    Counts starts and stops.
    """

    noisy = False
    started = 0
    stopped = 0

    def startFactory(self) -> None:
        self.started += 1

    def stopFactory(self) -> None:
        self.stopped += 1


class ScriptedSocket:
    """
    A listening socket of which C{accept} does what a test says.
    """

    def __init__(self, sock: socket, errors: Sequence[int]) -> None:
        self.sock = sock
        self.errors = list(errors)

    def accept(self) -> tuple[socket, Any]:
        if self.errors:
            number = self.errors.pop(0)
            raise OSError(number, os.strerror(number))
        return self.sock.accept()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.sock, name)


class ListeningPortTests(SynchronousTestCase):
    """
    A port on loopback.
    """

    def setUp(self) -> None:
        self.reactor = DescriptorReactor()
        self.factory = Factory()
        self.served: list[Any] = []
        self.failing = False
        self.stopping: ListeningPort | None = None

    def serve(self, sock: socket, peer: Any, factory: Any) -> None:
        self.served.append(peer)
        if self.failing:
            raise ValueError("broken")
        if self.stopping is not None:
            self.stopping.stopListening()
        sock.close()

    def port(self, *errors: int) -> ListeningPort:
        bound = bindStreams("127.0.0.1:0")
        scripted = Bound(cast(socket, ScriptedSocket(bound.socket, errors)))
        port = ListeningPort(scripted, self.reactor, self.factory, self.serve)
        port.startListening()
        self.addCleanup(port.stopListening)
        return port

    def client(self, port: ListeningPort) -> socket:
        client = socket()
        self.addCleanup(client.close)
        client.connect(("127.0.0.1", port.getHost().port))
        return client

    def test_itIsAPort(self) -> None:
        port = self.port()
        verifyObject(IListeningPort, port)
        verifyObject(IReadDescriptor, port)
        self.assertEqual(self.factory.started, 1)
        self.assertEqual(self.reactor.readers, {port})
        self.assertEqual(port.logPrefix(), "Factory")

    def test_allThatWaitAreAccepted(self) -> None:
        port = self.port()
        names = [self.client(port).getsockname() for _ in range(5)]
        port.doRead()
        self.assertEqual([(peer.host, peer.port) for peer in self.served], names)

    def test_othersHaveTheirTurn(self) -> None:
        port = self.port()
        for _ in range(ACCEPTS_PER_TURN + 1):
            self.client(port)
        port.doRead()
        self.assertEqual(len(self.served), ACCEPTS_PER_TURN)
        port.doRead()
        self.assertEqual(len(self.served), ACCEPTS_PER_TURN + 1)

    def test_whoGaveUpStandsInNobodysWay(self) -> None:
        port = self.port(ECONNABORTED)
        self.client(port)
        port.doRead()
        self.assertEqual(len(self.served), 1)

    def test_withoutDescriptorsItPausesAMoment(self) -> None:
        port = self.port(EMFILE)
        self.client(port)
        port.doRead()
        self.assertEqual((self.served, self.reactor.readers), ([], set()))
        self.reactor.advance(EXHAUSTED_DELAY)
        self.assertEqual(self.reactor.readers, {port})
        port.doRead()
        self.assertEqual(len(self.served), 1)

    def test_aPausedPortCanBeStopped(self) -> None:
        port = self.port(EMFILE)
        port.doRead()
        port.stopListening()
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_oneConnectionsTroubleIsNotTheOthers(self) -> None:
        port = self.port()
        self.failing = True
        clients = [self.client(port), self.client(port)]
        port.doRead()
        self.assertEqual(len(self.served), 2)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 2)
        self.assertEqual([client.recv(1) for client in clients], [b"", b""])

    def test_stoppingClosesAndTellsTheFactory(self) -> None:
        port = self.port()
        host = port.getHost()
        self.successResultOf(port.stopListening())
        self.successResultOf(port.stopListening())
        self.assertEqual((self.factory.stopped, self.reactor.readers), (1, set()))
        self.assertEqual(port.getHost(), host)
        self.assertEqual(port.fileno(), -1)
        with socket() as client:
            self.assertRaises(ConnectionRefusedError, client.connect, (host.host, host.port))

    def test_theReactorsEndIsThePorts(self) -> None:
        port = self.port()
        port.connectionLost(Failure(ConnectionLost()))
        self.assertEqual(self.factory.stopped, 1)

    def test_aPortMayBeStoppedByWhatItAccepts(self) -> None:
        port = self.port()
        self.client(port)
        self.client(port)
        self.stopping = port
        port.doRead()
        self.assertEqual(len(self.served), 1)
        self.assertEqual(self.reactor.readers, set())

    def test_aClosedSocketDoesNotSpin(self) -> None:
        port = self.port(*[EBADF] * 1000)
        port.doRead()
        self.assertEqual(self.served, [])
