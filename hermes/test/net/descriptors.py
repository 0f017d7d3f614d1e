"""
What the tests of sockets share: real sockets on loopback, a reactor that does as it is told, recorders.
"""

from __future__ import annotations

from collections.abc import Sequence
from select import select
from socket import AF_INET, AF_INET6, SOCK_DGRAM, socket
from typing import Any

from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface import implementer

from hermes.interfaces import IDatagramChannel, IDatagramReceiver, IDatagramSocketReceiver
from hermes.values import Buffer


class DescriptorReactor(Clock):
    """
    Time, and the sets of descriptors that a reactor would watch.
    """

    def __init__(self) -> None:
        super().__init__()
        self.readers: set[Any] = set()
        self.writers: set[Any] = set()

    def addReader(self, reader: Any) -> None:
        self.readers.add(reader)

    def removeReader(self, reader: Any) -> None:
        self.readers.discard(reader)

    def addWriter(self, writer: Any) -> None:
        self.writers.add(writer)

    def removeWriter(self, writer: Any) -> None:
        self.writers.discard(writer)

    def turn(self) -> None:
        """
        Do what the kernel is ready for, and what is due now, until there is nothing. Over loopback that is all that was
        begun.
        """
        while True:
            self.advance(0)
            readable, writable, _ = select(self.readers, self.writers, [], 0)
            if not (readable or writable or self._due()):
                return
            for descriptor in readable:
                if descriptor in self.readers:
                    descriptor.doRead()
            for descriptor in writable:
                if descriptor in self.writers:
                    descriptor.doWrite()

    def _due(self) -> bool:
        return any(call.getTime() <= self.seconds() for call in self.getDelayedCalls())


@implementer(IDatagramReceiver)
class Recorder:
    """
    Records what a channel delivers, as batches.
    """

    def __init__(self) -> None:
        self.channel: IDatagramChannel | None = None
        self.batches: list[list[bytes]] = []
        self.ends: list[Failure] = []

    @property
    def datagrams(self) -> list[bytes]:
        return [datagram for batch in self.batches for datagram in batch]

    def channelConnected(self, channel: IDatagramChannel) -> None:
        self.channel = channel

    def datagramsReceived(self, datagrams: Sequence[Buffer]) -> None:
        self.batches.append([bytes(datagram) for datagram in datagrams])

    def channelLost(self, reason: Failure) -> None:
        self.ends.append(reason)


@implementer(IDatagramSocketReceiver)
class SourceRecorder:
    """
    Records what a bound socket delivers, as pairs of a source and a batch.
    """

    def __init__(self) -> None:
        self.batches: list[tuple[object, list[bytes]]] = []

    def datagramsReceivedFrom(self, datagrams: Sequence[Buffer], address: object) -> None:
        self.batches.append((address, [bytes(datagram) for datagram in datagrams]))


def udpPair(host: str = "127.0.0.1") -> tuple[socket, socket]:
    """
    Two UDP sockets that are connected to each other.
    """
    family = AF_INET6 if ":" in host else AF_INET
    one, other = socket(family, SOCK_DGRAM), socket(family, SOCK_DGRAM)
    one.bind((host, 0))
    other.bind((host, 0))
    one.connect(other.getsockname())
    other.connect(one.getsockname())
    one.setblocking(False)
    other.setblocking(False)
    return one, other
