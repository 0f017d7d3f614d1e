"""
TLS inside a stream: the inner connection of a nested tunnel.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IHalfCloseableProtocol, ILoggingContext, IProtocol
from twisted.python.failure import Failure
from zope.interface import implementer

from hermes.interfaces import IAttachable, IBorrowingProtocol
from hermes.net.handshake import Credentials
from hermes.net.session import TLSSession, truncated
from hermes.values import Buffer


@implementer(IProtocol, IBorrowingProtocol, IHalfCloseableProtocol, IAttachable, ILoggingContext)
class NestedTLS(TLSSession):
    """
    TLS over another transport: a protocol to that one, a transport to whoever is attached. See L{TLSSession}.

    It holds nothing itself: what is written is encrypted and written on at once, so the outer transport's bounds and
    its backpressure are those of the inner stream.

    Ending our direction sends close_notify and leaves the outer stream's direction open; it is closed as a whole, once
    both directions have ended.
    """

    protocol: Any = None
    transport: Any = None
    disconnecting: bool = False
    disconnected: bool = False
    _paused: bool = False
    _ended: bool = False
    _aborting: bool = False
    _readClosed: bool = False
    _borrowing: bool = False
    _dataReceived: Any = None
    _writeClosed: bool = False
    _producer: Any = None

    def __init__(self, credentials: Credentials, reactor: Any) -> None:
        """
        @param credentials: L{hermes.net.certificates.ServerCredentials} or C{ClientCredentials}: which of the two says
            which side we are on.
        @param reactor: provides C{IReactorTime}.
        """
        self.reactor = reactor
        self._startSession(credentials)

    # The protocol of the outer transport.

    def makeConnection(self, transport: Any) -> None:
        self.transport = transport

    def connectionMade(self) -> None:
        """
        Nothing: C{handshake} begins the talk.
        """

    def dataReceived(self, data: Buffer) -> None:
        self._receive(data)

    def readConnectionLost(self) -> None:
        """
        The outer stream has ended towards us; with close_notify before it, that is known already.
        """
        if not self._readClosed:
            self._broken(truncated())

    def writeConnectionLost(self) -> None:
        """
        Nothing: we end the outer stream's direction only with the whole.
        """

    def connectionLost(self, reason: Failure) -> None:
        self.disconnected = True
        if reason.check(ConnectionDone) and not (self.disconnecting or self._readClosed):
            reason = truncated()
        if self._aborting:
            reason = Failure(ConnectionAborted())
        self._end(reason)

    # The transport of the inner protocol.

    def attach(self, protocol: Any) -> None:
        if not self._established and not self._ended:
            raise RuntimeError("the TLS handshake is not done")
        self.protocol = protocol
        self._dataReceived = protocol.dataReceived
        self._borrowing = IBorrowingProtocol.providedBy(protocol)
        tooLate = self._ended
        self.resumeProducing()
        protocol.makeConnection(self)
        if tooLate:
            protocol.connectionLost(Failure(ConnectionLost()))

    @property
    def connected(self) -> bool:
        """
        Whether the stream is up.
        """
        return not self._ended

    @property
    def bufferedBytes(self) -> int:
        """
        As the outer transport has it: ciphertext.
        """
        size: int = getattr(self.transport, "bufferedBytes", 0)
        return size

    def getHost(self) -> Any:
        return self.transport.getHost()

    def getPeer(self) -> Any:
        return self.transport.getPeer()

    def logPrefix(self) -> str:
        named = ILoggingContext(self.protocol, None)
        return str(named.logPrefix()) if named is not None else type(self.protocol).__name__

    def pauseProducing(self) -> None:
        if not self._paused and not self.disconnected:
            self._paused = True
            self.transport.pauseProducing()

    def resumeProducing(self) -> None:
        if self.protocol is not None and not (self._ended or self.disconnecting):
            if self._paused:
                self._paused = False
                self.transport.resumeProducing()
            self._resume()

    def stopProducing(self) -> None:
        self.loseConnection()

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        if self._ended:
            producer.stopProducing()
            return
        self.transport.registerProducer(producer, streaming)
        self._producer = producer

    def unregisterProducer(self) -> None:
        if self._producer is not None:
            self._producer = None
            self.transport.unregisterProducer()
            if self.disconnecting:
                self._finish()

    def loseWriteConnection(self) -> None:
        if not (self._writeClosed or self._ended):
            self._writeClosed = True
            self._sendClose()
            self.reactor.callLater(0, self._writeEnded)

    def loseConnection(self) -> None:
        """
        End both directions once what was written is sent and the producer, if any, was unregistered.
        """
        if not (self.disconnecting or self._ended):
            self.disconnecting = True
            self._dataReceived = None
            if self._producer is None:
                self._finish()

    def abortConnection(self) -> None:
        if not (self._aborting or self.disconnected):
            self._aborting = True
            self._writeClosed = True
            self._dataReceived = None
            self.transport.abortConnection()

    # What TLSSession asks for.

    def _sendNow(self, data: Buffer) -> None:
        if len(data) and not self.disconnected:
            self.transport.write(data)

    def _listen(self) -> None:
        if self._paused:
            self._paused = False
            self.transport.resumeProducing()

    def _hold(self) -> None:
        self.pauseProducing()

    def _isReading(self) -> bool:
        return not self._paused and self.protocol is not None

    def _takesData(self) -> bool:
        return self._established and not (self._writeClosed or self._ended)

    def _receive(self, ciphertext: Buffer) -> None:
        if self._established and self.protocol is None:
            # The outer transport had it in its hands when it was told to pause.
            self._records.feed(ciphertext)
        else:
            super()._receive(ciphertext)

    def _closeNotified(self) -> None:
        if self._readClosed or self._ended or self.disconnecting:
            return
        self._readClosed = True
        halfCloseable = IHalfCloseableProtocol(self.protocol, None)
        if halfCloseable is None:
            self._close(Failure(ConnectionDone()))
            return
        self._tell(halfCloseable.readConnectionLost)
        if self._writeClosed and not self._aborting:
            self._close(Failure(ConnectionDone()))

    def _broken(self, reason: Failure) -> None:
        self._writeClosed = True
        self._dataReceived = None
        self.reactor.callLater(0, self._close, reason)

    def _giveUp(self, refused: bool) -> None:
        if not self.disconnected:
            self.transport.loseConnection()

    # Ending.

    def _writeEnded(self) -> None:
        halfCloseable = IHalfCloseableProtocol(self.protocol, None)
        if halfCloseable is not None and not self._ended:
            self._tell(halfCloseable.writeConnectionLost)
        if self._readClosed and not self._aborting:
            self._close(Failure(ConnectionDone()))

    def _finish(self) -> None:
        """
        Nothing more will be written.
        """
        self._writeClosed = True
        if not self.disconnected:
            self._sendClose()
            self.transport.loseConnection()

    def _close(self, reason: Failure) -> None:
        """
        Both directions have ended, or can't go on.
        """
        self._end(reason)
        self._finish()

    def _end(self, reason: Failure) -> None:
        """
        Tell the protocol; once.
        """
        self._sessionLost()
        if self._ended:
            return
        self._ended = True
        self._writeClosed = True
        self._dataReceived = None
        producer, self._producer = self._producer, None
        if producer is not None and not self.disconnected:
            self.transport.unregisterProducer()
            self._tell(producer.stopProducing)
        if self.protocol is not None:
            try:
                self.protocol.connectionLost(reason)
            except Exception:
                self.log.failure("{prefix} failed to end", prefix=self.logPrefix())

    def _tell(self, method: Any) -> None:
        try:
            method()
        except Exception:
            self.log.failure("{prefix} failed", prefix=self.logPrefix())
            self.abortConnection()
