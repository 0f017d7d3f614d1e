"""
Protocols and receivers with somebody who attends to their connection: says something before they do, hears of its end.

The hot path does not pass through: what is called for each chunk is the attended one's own bound method.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IHalfCloseableProtocol, IProtocol, ITransport
from twisted.python.failure import Failure
from zope.interface import directlyProvides, implementer, providedBy

from hermes.interfaces import IDatagramChannel, IDatagramReceiver


@implementer(IProtocol)
class AttendedProtocol:
    """
    Stands for a protocol towards its transport, and provides whatever it does.
    """

    def __init__(
        self, protocol: IProtocol, ended: Callable[[], None], preamble: Callable[[Any], bytes] | None = None
    ) -> None:
        """
        @param ended: called once when the connection is lost.
        @param preamble: gives what is written to the transport, its argument, before the protocol hears of it.
        """
        self._protocol = protocol
        self._ended = ended
        self._preamble = preamble
        self.dataReceived = protocol.dataReceived
        half: Any = IHalfCloseableProtocol(protocol, None)
        if half is not None:
            self.readConnectionLost = half.readConnectionLost
            self.writeConnectionLost = half.writeConnectionLost
        directlyProvides(self, providedBy(protocol))

    def makeConnection(self, transport: ITransport) -> None:
        if self._preamble is not None:
            transport.write(self._preamble(transport))
        self._protocol.makeConnection(transport)

    def connectionMade(self) -> None:
        pass

    def connectionLost(self, reason: Failure) -> None:
        self._ended()
        self._protocol.connectionLost(reason)


@implementer(IDatagramReceiver)
class AttendedReceiver:
    """
    Stands for a receiver towards its channel.
    """

    def __init__(self, receiver: IDatagramReceiver, ended: Callable[[], None]) -> None:
        """
        @param ended: called once when the channel is lost.
        """
        self._receiver = receiver
        self._ended = ended
        self.datagramsReceived = receiver.datagramsReceived

    def channelConnected(self, channel: IDatagramChannel) -> None:
        self._receiver.channelConnected(channel)

    def channelLost(self, reason: Failure) -> None:
        self._ended()
        self._receiver.channelLost(reason)
