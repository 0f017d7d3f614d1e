"""
What the tests of transports stand on: a reactor turned by hand, pairs of sockets, and a protocol that remembers.
"""

from __future__ import annotations

import socket as sockets
from collections.abc import Callable
from select import POLLERR, POLLHUP, POLLIN, POLLOUT, poll
from typing import Any

from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface import implementer

from hermes.interfaces import IBorrowingProtocol
from hermes.values import Buffer

PATIENCE = 5000
"""
How long a kernel may take to do what it must, in milliseconds, before a test fails.
"""


class HandReactor(Clock):
    """
    A clock that also watches descriptors, whenever a test says so.
    """

    def __init__(self) -> None:
        super().__init__()
        self.readers: list[Any] = []
        self.writers: list[Any] = []

    def addReader(self, reader: Any) -> None:
        if reader not in self.readers:
            self.readers.append(reader)

    def removeReader(self, reader: Any) -> None:
        if reader in self.readers:
            self.readers.remove(reader)

    def addWriter(self, writer: Any) -> None:
        if writer not in self.writers:
            self.writers.append(writer)

    def removeWriter(self, writer: Any) -> None:
        if writer in self.writers:
            self.writers.remove(writer)

    def turn(self, timeout: int = 0) -> bool:
        """
        Call what is ready, and what was scheduled for now.

        @param timeout: how long to wait for something, in milliseconds.
        @return: whether there was anything.
        """
        poller = poll()
        for descriptor in {*self.readers, *self.writers}:
            events = (POLLIN if descriptor in self.readers else 0) | (POLLOUT if descriptor in self.writers else 0)
            poller.register(descriptor.fileno(), events)
        owners = {descriptor.fileno(): descriptor for descriptor in {*self.readers, *self.writers}}
        due = [call for call in self.getDelayedCalls() if call.getTime() <= self.seconds()]
        ready = poller.poll(0 if due else timeout)
        for number, events in ready:
            owner = owners[number]
            if events & (POLLIN | POLLHUP | POLLERR) and owner in self.readers:
                owner.doRead()
            if events & (POLLOUT | POLLHUP | POLLERR) and owner in self.writers:
                owner.doWrite()
        self.advance(0)
        return bool(ready or due)

    def settle(self) -> None:
        """
        Turn until nothing happens any more.
        """
        while self.turn():
            pass

    def until(self, condition: Callable[[], object]) -> None:
        """
        Turn until C{condition} holds.
        """
        while not condition():
            if not self.turn(PATIENCE):
                raise AssertionError("nothing happens any more")


@implementer(IHalfCloseableProtocol)
class Recorder:
    """
    A protocol that remembers what it was told. Takes bytes, and knows half-close.
    """

    def __init__(self) -> None:
        self.received = bytearray()
        self.calls: list[Any] = []
        self.events: list[str] = []
        self.reason: Any = None
        self.transport: Any = None

    def makeConnection(self, transport: Any) -> None:
        self.transport = transport
        self.events.append("connected")

    def dataReceived(self, data: Any) -> None:
        self.calls.append(data)
        self.received += data

    def readConnectionLost(self) -> None:
        self.events.append("read lost")

    def writeConnectionLost(self) -> None:
        self.events.append("write lost")

    def connectionLost(self, reason: Failure) -> None:
        self.events.append("lost")
        self.reason = reason.value


class Plain:
    """
    The same for a protocol that does not know half-close.
    """

    def __init__(self) -> None:
        self.received = bytearray()
        self.reason: Any = None

    def makeConnection(self, transport: Any) -> None:
        self.transport = transport

    def dataReceived(self, data: Any) -> None:
        self.received += data

    def connectionLost(self, reason: Failure) -> None:
        self.reason = reason.value


@implementer(IBorrowingProtocol)
class Borrower(Recorder):
    """
    The same, lent its data.
    """

    def dataReceived(self, data: Buffer) -> None:
        self.calls.append(type(data))
        self.received += data


class Producer:
    """
    A producer that remembers what it was told.
    """

    def __init__(self) -> None:
        self.calls: list[str] = []

    def pauseProducing(self) -> None:
        self.calls.append("pause")

    def resumeProducing(self) -> None:
        self.calls.append("resume")

    def stopProducing(self) -> None:
        self.calls.append("stop")


def tcpPair() -> tuple[sockets.socket, sockets.socket]:
    """
    Two connected TCP sockets on loopback.
    """
    with sockets.create_server(("127.0.0.1", 0)) as server:
        client = sockets.create_connection(server.getsockname())
        accepted, _ = server.accept()
    return client, accepted


def unixPair() -> tuple[sockets.socket, sockets.socket]:
    """
    Two connected Unix sockets. What one sends is at the other at once.
    """
    return sockets.socketpair()
