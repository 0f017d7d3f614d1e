"""
The sending half of a stream transport: what waits to be sent, and the producer that is told to wait meanwhile.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Any

from hermes.values import Buffer

HIGH_WATER = 64 * 1024
"""
With more than this buffered, in bytes, the push producer is paused. It is resumed when nothing is buffered any more: a
producer that is resumed earlier would have all it writes copied behind what still waits.
"""

MAX_BUFFERS = 1024
"""
How many buffers one C{sendmsg} takes: Linux' C{IOV_MAX}.
"""


class SendingSide:
    """
    Sends at once what the peer takes, and keeps a copy of the rest until it takes that.

    The two ways out raise C{BlockingIOError} where nothing can be sent now, any other C{OSError} where the connection
    is broken.

    @ivar _send: sends one buffer; returns how many bytes went.
    @ivar _sendMany: the same for a sequence of at most L{MAX_BUFFERS} buffers.
    """

    # Defaults stand in the class: an idle transport has few entries of its own.
    connected: bool = True
    disconnecting: bool = False
    disconnected: bool = False
    bufferedBytes: int = 0
    _writing: bool = False
    _writeClosing: bool = False
    _writeClosed: bool = False
    _producer: Any = None
    _producerPaused: bool = False
    _pulling: bool = False
    _send: Callable[[Any], int]
    _sendMany: Callable[[Sequence[Any]], int]

    def __init__(self, reactor: Any) -> None:
        """
        @param reactor: provides C{IReactorFDSet} and C{IReactorTime}.
        """
        self.reactor = reactor
        self._queue: deque[memoryview] = deque()

    def write(self, data: Buffer) -> None:
        if len(data) and not (self._writeClosed or self._writeClosing):
            self._emit(data)

    def _emit(self, data: Buffer) -> None:
        """
        Send C{data}, behind what waits.
        """
        if self._queue or self._pulling:
            self._keep(bytes(data))
            return
        try:
            sent = self._send(data)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            self._fail(error)
            return
        if sent < len(data):
            self._keep(bytes(memoryview(data)[sent:]))

    def writeSequence(self, iovec: Iterable[Buffer]) -> None:
        buffers = iovec if isinstance(iovec, (list, tuple)) else list(iovec)
        if not buffers or self._writeClosed or self._writeClosing:
            return
        if self._queue or self._pulling:
            self._keep(b"".join(buffers))
            return
        if len(buffers) > MAX_BUFFERS:
            # Rare, and so many are small: one copy costs less than the bookkeeping.
            self._emit(b"".join(buffers))
            return
        try:
            sent = self._sendMany(buffers)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            self._fail(error)
            return
        if sent < sum(map(len, buffers)):
            self._keep(b"".join(_unsent(buffers, sent)))

    def _keep(self, data: bytes) -> None:
        """
        Hold what can't be sent now.
        """
        if not data:
            return
        self._queue.append(memoryview(data))
        self.bufferedBytes += len(data)
        if not self._writing:
            self._writing = True
            self.reactor.addWriter(self)
        if self.bufferedBytes > HIGH_WATER and not self._producerPaused:
            producer = self._producer
            if producer is not None and not self._pulling:
                self._producerPaused = True
                producer.pauseProducing()

    def doWrite(self) -> None:
        """
        Send what waits; then let the producer go on, or end what was asked to be ended.
        """
        queue = self._queue
        while queue:
            try:
                sent = self._send(queue[0]) if len(queue) == 1 else self._sendMany(list(islice(queue, MAX_BUFFERS)))
            except BlockingIOError:
                return
            except OSError as error:
                self._fail(error)
                return
            self.bufferedBytes -= sent
            while sent:
                head = queue[0]
                if sent < len(head):
                    # The kernel is full: wait for it rather than hear it say so.
                    queue[0] = head[sent:]
                    return
                sent -= len(head)
                queue.popleft()
        self.stopWriting()
        self._drained()

    def _drained(self) -> None:
        """
        Nothing is buffered.
        """
        if self._writeClosing and not self._writeClosed:
            self._endWriting()
        producer = self._producer
        if producer is not None:
            if self._producerPaused or self._pulling:
                self._producerPaused = False
                self._tell(producer.resumeProducing)
        elif self.disconnecting:
            self._finish()

    def startWriting(self) -> None:
        if not self._writing:
            self._writing = True
            self.reactor.addWriter(self)

    def stopWriting(self) -> None:
        if self._writing:
            self._writing = False
            self.reactor.removeWriter(self)

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        if self._producer is not None:
            raise RuntimeError(f"Cannot register {producer}: {self._producer} is still registered.")
        if self.disconnected:
            producer.stopProducing()
            return
        self._producer = producer
        self._pulling = not streaming
        if not streaming:
            # What it writes is queued, so that it is asked for more from the reactor and not from its own write.
            producer.resumeProducing()
        elif self.bufferedBytes > HIGH_WATER:
            self._producerPaused = True
            producer.pauseProducing()

    def unregisterProducer(self) -> None:
        self._producer = None
        self._producerPaused = False
        self._pulling = False
        if self.connected and self.disconnecting:
            self.startWriting()

    def _fail(self, error: OSError) -> None:
        """
        Sending failed: the connection is lost, and the protocol hears of it from the reactor's next turn, because the
        caller may be in the middle of its work.
        """
        raise NotImplementedError

    def _endWriting(self) -> None:
        """
        All is sent after C{loseWriteConnection}: end our direction.
        """
        raise NotImplementedError

    def _finish(self) -> None:
        """
        All is sent after C{loseConnection}: end both directions.
        """
        raise NotImplementedError

    def _tell(self, method: Callable[[], object]) -> None:
        """
        Call a method that is not ours; if it fails, that ends this connection and nothing else.
        """
        raise NotImplementedError


def _unsent(buffers: Sequence[Buffer], sent: int) -> list[memoryview]:
    """
    What is left of C{buffers} after their first C{sent} bytes.
    """
    left = []
    for buffer in buffers:
        size = len(buffer)
        if sent >= size:
            sent -= size
        else:
            left.append(memoryview(buffer)[sent:])
            sent = 0
    return left
