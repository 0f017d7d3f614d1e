"""
Connections in memory: what one end writes reaches the other when the test says so.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IConsumer, IHalfCloseableProtocol, IStreamClientEndpoint, ITransport
from twisted.internet.protocol import connectionDone
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface import implementer

from hermes.errors import HopUnavailable
from hermes.interfaces import IAttachable


@implementer(ITransport, IConsumer, IAttachable)
class WireEnd:
    """
    One end.

    @ivar dropping: whether what is written is lost: the path is broken, and nobody knows.
    """

    disconnecting = False

    def __init__(self, wire: Wires, host: str, peer: str) -> None:
        self.wire = wire
        self.other: WireEnd
        self.protocol: Any = None
        self.disconnected = False
        self.paused = False
        self.dropping = False
        self.written = 0
        self._incoming = bytearray()
        self._ended: Failure | None = None
        self._host = IPv4Address("TCP", host, 1)
        self._peer = IPv4Address("TCP", peer, 2)

    def attach(self, protocol: Any) -> None:
        self.protocol = protocol
        protocol.makeConnection(self)

    def getHost(self) -> Any:
        return self._host

    def getPeer(self) -> Any:
        return self._peer

    @property
    def bufferedBytes(self) -> int:
        """
        What the other end has not read.
        """
        return len(self.other._incoming)

    def write(self, data: Any) -> None:
        if not (self.disconnected or self.disconnecting):
            self.written += len(data)
            if not self.dropping:
                self.other._incoming += data

    def writeSequence(self, iovec: Any) -> None:
        for data in iovec:
            self.write(data)

    def pauseProducing(self) -> None:
        self.paused = True

    def resumeProducing(self) -> None:
        self.paused = False

    def stopProducing(self) -> None:
        self.loseConnection()

    def loseWriteConnection(self) -> None:
        raise NotImplementedError("TLS ends with a message of its own")

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        pass

    def unregisterProducer(self) -> None:
        pass

    def loseConnection(self) -> None:
        if not self.disconnecting:
            self.disconnecting = True
            self.wire.later(lambda: self._end(connectionDone, Failure(ConnectionDone())))

    def abortConnection(self) -> None:
        self.disconnecting = True
        self.other._incoming.clear()
        self.wire.later(lambda: self._end(Failure(ConnectionAborted()), Failure(ConnectionLost())))

    def _end(self, mine: Failure, others: Failure) -> None:
        if not self.disconnected and not self.dropping and self.other._ended is None:
            self.other._ended = others
        self._lose(mine)

    def _lose(self, reason: Failure) -> None:
        if not self.disconnected:
            self.disconnected = True
            self._incoming.clear()
            if self.protocol is not None:
                self.protocol.connectionLost(reason)

    def pump(self) -> bool:
        """
        Deliver what has arrived.

        @return: whether there was something.
        """
        if self.disconnected or self.paused:
            return False
        if self._incoming:
            data = bytes(self._incoming)
            self._incoming.clear()
            if not self.disconnecting:
                self.protocol.dataReceived(data)
            return True
        if self._ended is not None:
            ended, self._ended = self._ended, None
            halfCloseable = IHalfCloseableProtocol(self.protocol, None)
            if halfCloseable is not None and ended.check(ConnectionDone):
                halfCloseable.readConnectionLost()
            self._lose(ended)
            return True
        return False


class Wires:
    """
    All connections of a test, and who listens.

    @ivar clock: what time it is there.
    @ivar listening: factories by address.
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.listening: dict[str, Any] = {}
        self.ends: list[tuple[WireEnd, WireEnd]] = []
        self._later: list[Callable[[], object]] = []

    def later(self, call: Callable[[], object]) -> None:
        """
        Call something in the next turn.
        """
        self._later.append(call)

    def connect(self, address: str, protocol: Any, source: str = "192.0.2.1") -> WireEnd | None:
        """
        Connect a protocol.

        @return: its end; L{None} where nobody listens there.
        """
        factory = self.listening.get(address)
        client, server = WireEnd(self, source, "198.51.100.1"), WireEnd(self, "198.51.100.1", source)
        client.other, server.other = server, client
        atServer = None if factory is None else factory.buildProtocol(client.getHost())
        if atServer is None:
            return None
        self.ends.append((client, server))
        server.attach(atServer)
        client.attach(protocol)
        return client

    def endpoint(self, address: str, source: str = "192.0.2.1") -> WireEndpoint:
        """
        An endpoint for an address.
        """
        return WireEndpoint(self, address, source)

    def flush(self) -> None:
        """
        Deliver everything, until nothing moves any more. Calls that are due now are made.
        """
        moved = True
        while moved:
            moved = bool(self._later)
            later, self._later = self._later, []
            for call in later:
                call()
            while any(call.getTime() <= self.clock.seconds() for call in self.clock.getDelayedCalls()):
                moved = True
                self.clock.advance(0)
            for ends in list(self.ends):
                for end in ends:
                    moved = end.pump() or moved
            moved = moved or bool(self._later)
        self.ends = [ends for ends in self.ends if not (ends[0].disconnected and ends[1].disconnected)]

    def advance(self, seconds: float, step: float = 1.0) -> None:
        """
        Let time pass.
        """
        self.flush()
        while seconds > 0:
            self.clock.advance(min(step, seconds))
            seconds -= step
            self.flush()


@implementer(IStreamClientEndpoint)
class WireEndpoint:
    """
    Connects in memory.
    """

    def __init__(self, wires: Wires, address: str, source: str) -> None:
        self._wires = wires
        self._address = address
        self._source = source

    def connect(self, protocolFactory: Any) -> Deferred[Any]:
        protocol = protocolFactory.buildProtocol(None)
        if self._wires.connect(self._address, protocol, self._source) is None:
            return fail(HopUnavailable("nobody listens there"))
        return succeed(protocol)
