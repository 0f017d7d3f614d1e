"""
UDP in an HTTP exchange: DATAGRAM capsules with context ID 0 (RFC 9297, RFC 9298), a batch at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from hermes.interfaces import IDatagramChannel
from hermes.tunnel.exchangechannel import ExchangeChannel
from hermes.values import Buffer
from hermes.wire.capsule import MAX_UDP_PAYLOAD, CapsuleReader, encodeDatagrams
from hermes.wire.errors import MalformedError

MAX_QUEUED: Final = 1 << 20
"""
The default bound on what waits for a full exchange, in bytes.
"""

MAX_AGE: Final = 1.0
"""
The default bound on how long it waits, in seconds.
"""


@implementer(IDatagramChannel)
class CapsuleChannel(ExchangeChannel):
    """
    The datagram channel in a CONNECT-UDP tunnel.
    """

    maxDatagramSize = MAX_UDP_PAYLOAD

    def __init__(self, clock: IReactorTime, maxQueued: int = MAX_QUEUED, maxAge: float = MAX_AGE) -> None:
        """
        @param maxQueued: how many bytes of datagrams may wait while the exchange is full; as many of the peer's may
            wait for a receiver.
        @param maxAge: how many seconds they may wait.
        """
        super().__init__(clock, CapsuleReader(), maxQueued, maxAge)

    def write(self, datagrams: Sequence[Buffer]) -> None:
        if self._ending or not datagrams:
            return
        if max(map(len, datagrams)) > MAX_UDP_PAYLOAD:
            fitting = [datagram for datagram in datagrams if len(datagram) <= MAX_UDP_PAYLOAD]
            self._tooLarge += len(datagrams) - len(fitting)
            datagrams = fitting
        if self._blocked:
            self._queue.append(datagrams)
        else:
            assert self._exchange is not None
            self._exchange.writeSequence(encodeDatagrams(datagrams))

    def _encode(self, datagrams: Sequence[Buffer]) -> list[Buffer]:
        return encodeDatagrams(datagrams)

    def dataReceived(self, data: Buffer) -> None:
        try:
            datagrams = self._reader.receive(data)
        except MalformedError as error:
            self._malformed(error)
            return
        if datagrams and not self._ending:
            if self._receiver is not None:
                self._receiver.datagramsReceived(datagrams)
            else:
                self._deliver(datagrams)
