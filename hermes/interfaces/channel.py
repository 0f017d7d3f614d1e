"""
The datagram shape.
"""

from __future__ import annotations

from collections.abc import Sequence

from twisted.python.failure import Failure
from zope.interface import Attribute, Interface

from hermes.values import Buffer


class IDatagramReceiver(Interface):
    """
    The reading side of an L{IDatagramChannel}.
    """

    def channelConnected(channel: IDatagramChannel) -> None:
        """
        The channel is up and is this one. Called once, before anything else.
        """

    def datagramsReceived(datagrams: Sequence[Buffer]) -> None:
        """
        One or more datagrams arrived, in order. Each is one payload, 0 to 65,527 bytes. They are borrowed: valid until
        this returns.
        """

    def channelLost(reason: Failure) -> None:
        """
        The channel has ended; nothing more is called. C{reason} wraps C{ConnectionDone} after an orderly end.
        """


class IDatagramChannel(Interface):
    """
    A flow of datagrams between two ends: a UDP flow, a CONNECT-UDP tunnel, later a CONNECT-IP tunnel or a TUN device.

    Batch first: both directions move sequences, so that one turn of the reactor carries many datagrams in few calls.

    A channel never delivers late and never pushes back. What can't be sent now waits in a queue that is bounded in
    bytes and in age; the oldest are dropped first and counted. One that knows how much waits has C{bufferedBytes}, in
    bytes: whoever can send less may ask.
    """

    maxDatagramSize = Attribute(
        "C{int}: the largest payload in bytes that can be written; larger ones are dropped, counted."
    )
    droppedDatagrams = Attribute("C{int}: how many datagrams this end dropped: too large, queue full, too old.")

    def setReceiver(receiver: IDatagramReceiver) -> None:
        """
        Connect the reading side; what arrived before waits in the bounded queue. Calls C{channelConnected} at once.
        Called once.
        """

    def write(datagrams: Sequence[Buffer]) -> None:
        """
        Send datagrams in order, best effort. They are borrowed. After the channel ended this does nothing.
        """

    def loseChannel() -> None:
        """
        End the channel in order, after what is queued. The receiver is told by C{channelLost}.
        """

    def abortChannel() -> None:
        """
        End the channel at once, telling the peer that it is an error where the transport can.
        """


class IDatagramSocketReceiver(Interface):
    """
    The reading side of an L{IDatagramSocket}.
    """

    def datagramsReceivedFrom(datagrams: Sequence[Buffer], address: object) -> None:
        """
        Datagrams, borrowed, that one source sent, in order. C{address} is hashable: C{(host, port)}, with a numeric
        host, or for a Unix socket its path.
        """


class IDatagramSocket(Interface):
    """
    A bound datagram socket that many peers send to.
    """

    def setReceiver(receiver: IDatagramSocketReceiver) -> None:
        """
        Start reading. Called once.
        """

    def writeTo(datagrams: Sequence[Buffer], address: object) -> None:
        """
        Send datagrams, borrowed, to one peer. What the kernel won't take at once is dropped and counted.
        """

    def getHost() -> object:
        """
        The bound address, as a Twisted L{IAddress}.
        """

    def stopListening() -> None:
        """
        Close the socket.
        """
