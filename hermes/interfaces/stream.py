"""
The byte stream shape: Twisted's transports and protocols, with half-close, and what Hermes adds to them.
"""

from __future__ import annotations

from twisted.internet.interfaces import IConsumer, IPushProducer, ITransport
from zope.interface import Attribute, Interface


class IBorrowingProtocol(Interface):
    """
    Marks a protocol whose C{dataReceived} takes a borrowed L{memoryview} (see L{hermes.values.Buffer}) instead of
    L{bytes}. To every other protocol a stream transport passes L{bytes}, as Twisted does.
    """


class IStreamTransport(ITransport, IConsumer, IPushProducer):
    """
    A byte stream with half-close: a socket, a TLS connection, an HTTP exchange's body.

    C{write} and C{writeSequence} borrow their buffers: they send at once what the peer can take and copy the rest. When
    the copied rest passes a bound, the registered push producer is paused. A stream never drops a byte.

    The protocol hears of the peer's half-close through Twisted's C{IHalfCloseableProtocol}, and of its end through
    C{connectionLost}: C{ConnectionDone} in order, anything else after an error.
    """

    bufferedBytes = Attribute("C{int}: bytes that were written and that the peer has not taken yet.")

    def loseWriteConnection() -> None:
        """
        End our direction after what is buffered: FIN, END_STREAM, the last chunk.
        """

    def abortConnection() -> None:
        """
        End both directions at once, as an error: RST, RST_STREAM.
        """


class IAttachable(IStreamTransport):
    """
    A stream transport that can be accepted before the protocol for it is known: it reads nothing until one is attached.
    """

    def attach(protocol: object) -> None:
        """
        Make C{protocol} (an L{twisted.internet.interfaces.IProtocol}) the reader: calls its C{makeConnection} with this
        transport and starts to deliver. Called once.
        """
