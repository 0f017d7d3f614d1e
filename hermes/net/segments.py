"""
Sending datagrams: runs of one size in one system call, cut apart by the kernel (UDP_SEGMENT).

Over loopback, a datagram that is sent alone costs 2.8 us, nearly all of it the kernel's; in a train of 32 to a plain
receiver 0.5, to one that takes trains 0.2. sendmmsg(2) saves no more than a fifth (2.3), so what fits no train is sent
alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from errno import (
    ECONNREFUSED,
    EHOSTDOWN,
    EHOSTUNREACH,
    EINVAL,
    EIO,
    EMSGSIZE,
    ENETDOWN,
    ENETUNREACH,
    ENOPROTOOPT,
    EPROTO,
)
from functools import lru_cache
from socket import AF_UNIX, socket
from struct import pack
from typing import Any

from hermes.values import Buffer

SOL_UDP = 17
UDP_SEGMENT = 103
UDP_GRO = 104

TRAIN_LENGTH = 64
"""
How many datagrams every kernel cuts apart: C{UDP_MAX_SEGMENTS}.
"""

TRAIN_BYTES = 65507
"""
The largest UDP payload over IPv4, a train's too.
"""

ICMP_ERRORS = frozenset({ECONNREFUSED, EHOSTDOWN, EHOSTUNREACH, ENETDOWN, ENETUNREACH, ENOPROTOOPT, EPROTO})
"""
What the network said about datagrams that were sent before; a connected socket tells it once, at the next call.
"""


class Segmenter:
    """
    Sends batches of datagrams through one non-blocking socket.

    @ivar dropped: how many datagrams the kernel did not take and never will: too large for the path, forbidden.
    @ivar errors: how many ICMP errors the socket told; at most one a call.
    """

    def __init__(self, sock: socket) -> None:
        self.dropped = 0
        self.errors = 0
        self._send = sock.send
        self._sendto = sock.sendto
        self._sendmsg = sock.sendmsg
        self._largest = TRAIN_BYTES if _cutsTrains(sock) else 0

    def send(self, datagrams: Sequence[Buffer], address: Any = None) -> int:
        """
        Send datagrams in order.

        @param address: where to, for a socket that is not connected, as C{sendto} wants it.
        @return: how many are done with, sent or dropped: fewer than all where the socket takes no more now.
        """
        if len(datagrams) == 1:
            return self._sendOne(datagrams[0], address)
        done = 0
        for train, size in trains(datagrams, self._largest):
            if size and size <= self._largest:
                sent = self._sendTrain(train, size, address)
            else:
                sent = self._sendSingly(train, address)
            done += sent
            if sent < len(train):
                break
        return done

    def _sendTrain(self, train: Sequence[Buffer], size: int, address: Any) -> int:
        try:
            self._sendmsg(train, _segmentOption(size), 0, address)
        except BlockingIOError:
            return 0
        except OSError as error:
            if error.errno in ICMP_ERRORS:
                self.errors += 1
            elif error.errno in (EINVAL, EMSGSIZE):
                # Alone it may pass in fragments; that is for the socket's options to say.
                self._largest = size - 1
            elif error.errno == EIO:
                # The device computes no checksums.
                self._largest = 0
            return self._sendSingly(train, address)
        return len(train)

    def _sendSingly(self, datagrams: Sequence[Buffer], address: Any) -> int:
        done = 0
        for datagram in datagrams:
            if not self._sendOne(datagram, address):
                break
            done += 1
        return done

    def _sendOne(self, datagram: Buffer, address: Any) -> int:
        """
        @return: 1 if the datagram is done with, else 0.
        """
        try:
            if address is None:
                self._send(datagram)
            else:
                self._sendto(datagram, address)
        except BlockingIOError:
            return 0
        except OSError as error:
            if error.errno not in ICMP_ERRORS:
                self.dropped += 1
                return 1
            self.errors += 1
            # The error was about another datagram, and is told now.
            try:
                self._sendmsg((datagram,), (), 0, address)
            except BlockingIOError:
                return 0
            except OSError:
                self.dropped += 1
        return 1


def trains(datagrams: Sequence[Buffer], largest: int) -> list[tuple[Sequence[Buffer], int]]:
    """
    Cut a batch into runs that can go as one: of one size, C{largest} at most, save that the last datagram may be
    smaller.

    @return: pairs of a run and its size; the size is 0 where the run is to be sent singly.
    """
    sizes = list(map(len, datagrams))
    total = len(sizes)
    first = sizes[0] if sizes else 0
    if first and first <= largest and sizes.count(first) == total and total <= min(TRAIN_LENGTH, TRAIN_BYTES // first):
        return [(datagrams, first)] if total > 1 else [(datagrams, 0)]
    runs: list[tuple[Sequence[Buffer], int]] = []
    start = 0
    while start < total:
        size = sizes[start]
        end = start + 1
        if 0 < size <= largest:
            limit = min(total, start + min(TRAIN_LENGTH, TRAIN_BYTES // size))
            while end < limit and sizes[end] == size:
                end += 1
            if end < limit and 0 < sizes[end] < size:
                end += 1
        runs.append((datagrams[start:end], size if end - start > 1 else 0))
        start = end
    return runs


@lru_cache(maxsize=4096)
def _segmentOption(size: int) -> tuple[tuple[int, int, bytes], ...]:
    """
    The control message that has the kernel cut a train into datagrams of C{size} bytes.
    """
    return ((SOL_UDP, UDP_SEGMENT, pack("@H", size)),)


def _cutsTrains(sock: socket) -> bool:
    """
    Whether the kernel knows UDP_SEGMENT for this socket.
    """
    if sock.family == AF_UNIX:
        return False
    try:
        sock.getsockopt(SOL_UDP, UDP_SEGMENT)
    except OSError:
        return False
    return True
