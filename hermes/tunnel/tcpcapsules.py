"""
TCP in capsules: the data stream of connect-tcp.

What is implemented is draft-ietf-httpbis-connect-tcp as it is since version 08: the payload goes in capsules DATA and
FINAL_DATA, whose provisional types are C{0x2028d7f0} and C{0x2028d7f1} (the registry has none yet). The early versions
had the bare bytes in the stream; a peer of that age is not understood.

    =============================================  ==================================================================
    we end our direction                           FINAL_DATA, empty
    both directions have ended                     the stream's end (END_STREAM)
    we abort                                       RST_STREAM with CONNECT_ERROR; on HTTP/1.1 the connection aborts
    FINAL_DATA from the peer                       the protocol's C{readConnectionLost}
    stream ends without FINAL_DATA, or is reset    the protocol's C{connectionLost} with an error: bytes may be missing
    DATA after FINAL_DATA                          a malformed message: RST_STREAM with PROTOCOL_ERROR
    any other capsule                              skipped (RFC 9297 section 3.2)
    =============================================  ==================================================================
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import (
    IAddress,
    IConsumer,
    IHalfCloseableProtocol,
    IProducer,
    IProtocol,
    ITransport,
)
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from hermes.errors import StreamReset
from hermes.interfaces import IBorrowingProtocol, IStreamTransport
from hermes.tunnel.codes import CANCEL, PROTOCOL_ERROR, resetStream
from hermes.values import Buffer
from hermes.wire.varint import decodeVarint, encodeVarint

DATA: Final = 0x2028D7F0
FINAL_DATA: Final = 0x2028D7F1

_DATA_PREFIX: Final = encodeVarint(DATA)
_FINAL: Final = encodeVarint(FINAL_DATA) + encodeVarint(0)
_MAX_HEAD: Final = 16  # two varints of eight bytes


@implementer(IProtocol, IBorrowingProtocol, IHalfCloseableProtocol, IStreamTransport, IConsumer)
class CapsuleStream:
    """
    The protocol on the exchange, and the transport of the protocol of the TCP stream in it.
    """

    log = Logger()

    def __init__(self, protocol: IProtocol) -> None:
        self._protocol = protocol
        self._borrows = IBorrowingProtocol.providedBy(protocol)
        # An IStreamTransport, an exchange or an HTTP/1.1 connection: it borrows what ITransport declares as bytes.
        self._exchange: Any
        # The capsule that is being read: how much of its value is to come, and whether that is payload.
        self._head = bytearray()
        self._remaining = 0
        self._wanted = False
        self._final = False
        self._readEnded = False
        self._writeEnded = False
        self._lost = False

    # The protocol on the exchange

    def makeConnection(self, transport: ITransport) -> None:
        self._exchange = transport
        self._protocol.makeConnection(self)

    def connectionMade(self) -> None:
        pass

    def dataReceived(self, data: Buffer) -> None:
        view = memoryview(data)
        position, end = 0, len(view)
        while position < end and not self._lost:
            if not self._remaining:
                taken = self._readHead(view[position : position + _MAX_HEAD])
                if taken < 0:
                    self._malformed("payload after FINAL_DATA")
                    return
                position += taken
            if self._remaining:
                following = min(position + self._remaining, end)
                if following > position:
                    self._remaining -= following - position
                    if self._wanted:
                        payload = view[position:following]
                        # A protocol that does not borrow gets bytes of its own, as from Twisted's transports.
                        self._protocol.dataReceived(payload if self._borrows else bytes(payload))  # type: ignore[arg-type]
                    position = following
            if self._final and not self._remaining and not self._readEnded and not self._head:
                self._peerEnded()

    def _readHead(self, view: memoryview) -> int:
        """
        Read type and length of the next capsule.

        @param view: what follows, as much of it as a head can be.
        @return: how many bytes of C{view} belong to the head; -1 where such a capsule may not come here.
        """
        held = len(self._head)
        whole = bytes(self._head) + view if held else view
        decoded = decodeVarint(whole)
        if decoded is not None:
            capsuleType, at = decoded
            decoded = decodeVarint(whole, at)
        if decoded is None:
            self._head += view
            return len(view)
        self._remaining, start = decoded
        self._head.clear()
        self._wanted = capsuleType in (DATA, FINAL_DATA)
        if self._wanted:
            if self._final:
                return -1
            self._final = capsuleType == FINAL_DATA
        return start - held

    def _malformed(self, what: str) -> None:
        self.log.info("connect-tcp stream reset: {what}", what=what)
        resetStream(self._exchange, PROTOCOL_ERROR)

    def _peerEnded(self) -> None:
        self._readEnded = True
        if IHalfCloseableProtocol.providedBy(self._protocol):
            IHalfCloseableProtocol(self._protocol).readConnectionLost()
        else:
            # As Twisted has it: a protocol that can't be half-closed is closed.
            self.loseConnection()
        self._endStreamIfDone()

    def readConnectionLost(self) -> None:
        if self._head or self._remaining or not self._final:
            # Truncated: the far side is told with an error, never with an orderly end.
            self._lose(Failure(StreamReset(CANCEL, "the stream ended without FINAL_DATA")))
            self._exchange.abortConnection()
        else:
            self.loseWriteConnection()

    def writeConnectionLost(self) -> None:
        pass

    def connectionLost(self, reason: Failure | None = None) -> None:
        if reason is None:
            reason = Failure(ConnectionDone())
        if reason.check(ConnectionDone) is not None and not self._readEnded and not self._writeEnded:
            reason = Failure(StreamReset(CANCEL, "the stream ended without FINAL_DATA"))
        self._lose(reason)

    def _lose(self, reason: Failure) -> None:
        if not self._lost:
            self._lost = True
            self._protocol.connectionLost(reason)

    # The transport of the protocol

    @property
    def bufferedBytes(self) -> int:
        return int(self._exchange.bufferedBytes)

    def write(self, data: Buffer) -> None:
        if data and not self._writeEnded:
            self._exchange.writeSequence((_DATA_PREFIX + encodeVarint(len(data)), data))

    def writeSequence(self, data: Iterable[Buffer]) -> None:
        pieces: Sequence[Buffer] = [*data]
        size = sum(map(len, pieces))
        if size and not self._writeEnded:
            self._exchange.writeSequence((_DATA_PREFIX + encodeVarint(size), *pieces))

    def loseWriteConnection(self) -> None:
        if self._writeEnded or self._lost:
            return
        self._writeEnded = True
        self._exchange.write(_FINAL)
        self._endStreamIfDone()
        if IHalfCloseableProtocol.providedBy(self._protocol):
            IHalfCloseableProtocol(self._protocol).writeConnectionLost()

    def _endStreamIfDone(self) -> None:
        """
        END_STREAM comes once both directions have ended (section 3.4): until then either end may still reset.
        """
        if self._readEnded and self._writeEnded and not self._lost:
            self._exchange.loseWriteConnection()

    def loseConnection(self) -> None:
        if self._lost:
            return
        self.loseWriteConnection()
        if not self._readEnded:
            self._exchange.loseConnection()

    def abortConnection(self) -> None:
        if not self._lost:
            self._exchange.abortConnection()

    def registerProducer(self, producer: IProducer, streaming: bool) -> None:
        self._exchange.registerProducer(producer, streaming)

    def unregisterProducer(self) -> None:
        self._exchange.unregisterProducer()

    def pauseProducing(self) -> None:
        self._exchange.pauseProducing()

    def resumeProducing(self) -> None:
        self._exchange.resumeProducing()

    def stopProducing(self) -> None:
        self.loseConnection()

    def getPeer(self) -> IAddress:
        return IAddress(self._exchange.getPeer())

    def getHost(self) -> IAddress:
        return IAddress(self._exchange.getHost())
