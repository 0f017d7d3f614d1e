"""
Many datagrams in one system call: recvmmsg(2), with each message allowed to be a train of datagrams that the kernel has
joined (UDP_GRO).

Python's C{socket} has neither. Deep in a queue, a datagram costs 0.6 us where they come one by one (a loop over
C{recv_into}: 0.9, over C{recvmsg_into}: 1.8), and 0.13 where they come in trains (a loop over C{recvmsg_into}: 0.25).
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterable
from errno import EAGAIN, EINTR
from itertools import repeat
from socket import MSG_DONTWAIT, MSG_TRUNC
from typing import TypeAlias

from hermes.net.received import received

SLOT = 65536
"""
Room for the largest datagram or train, in bytes.
"""

SLOTS = 64
"""
How many messages one call takes at most: past that, a call's own cost no longer shows.
"""

TRAIN_SLOTS = 16
"""
How many it takes where trains come: a mebibyte, as much as a batch may hold.
"""

NAME_SIZE = 128
"""
Room for a source address: C{sizeof(struct sockaddr_storage)}.
"""

CONTROL_SIZE = 32
"""
Room for one control message that holds an C{int}: C{CMSG_SPACE(sizeof(int))} and alignment to spare.
"""

# struct mmsghdr on 64 bit: msg_name, msg_namelen, msg_iov, msg_iovlen, msg_control, msg_controllen, msg_flags, msg_len.
HEADER = struct.Struct("@QIxxxxQQQQixxxxIxxxx")
IOVEC = struct.Struct("@QQ")

_libc = ctypes.CDLL(None, use_errno=True)
_recvmmsg = _libc.recvmmsg
_recvmmsg.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int, ctypes.c_void_p]
_recvmmsg.restype = ctypes.c_int


def _addressOf(buffer: bytearray) -> int:
    """
    Where C{buffer} is. It must outlive the use of the address and never change its size.
    """
    return ctypes.addressof(ctypes.c_char.from_buffer(buffer))


class Arena:
    """
    The buffers of recvmmsg(2) with room for L{SLOTS} messages: 4 MiB of address space, of which only the pages that
    were once received into cost memory.

    What the methods return lies in the arena: it is valid until the next call. One arena serves all sockets of a
    reactor, because each has delivered what it read before another one reads.

    @ivar count: how many messages the last call received. Fewer than were asked for: the socket is drained.
    @ivar trains: whether one of them was a train.
    @ivar truncated: how many messages the last call dropped because they were larger than L{SLOT}. They can be on a
        Unix socket, not on UDP.
    """

    def __init__(self) -> None:
        self.count = 0
        self.trains = False
        self.truncated = 0
        self._data = bytearray(SLOTS * SLOT)
        self._names = bytearray(SLOTS * NAME_SIZE)
        self._control = bytearray(SLOTS * CONTROL_SIZE)
        self._iovecs = bytearray(SLOTS * IOVEC.size)
        self._headers = bytearray(SLOTS * HEADER.size)
        self._starts = [slot * SLOT for slot in range(SLOTS)]
        self._nameStarts = [slot * NAME_SIZE for slot in range(SLOTS)]
        data, names, control, iovecs = map(_addressOf, (self._data, self._names, self._control, self._iovecs))
        for slot in range(SLOTS):
            name, iovec, option = names + slot * NAME_SIZE, iovecs + slot * IOVEC.size, control + slot * CONTROL_SIZE
            IOVEC.pack_into(self._iovecs, slot * IOVEC.size, data + slot * SLOT, SLOT)
            HEADER.pack_into(self._headers, slot * HEADER.size, name, NAME_SIZE, iovec, 1, option, CONTROL_SIZE, 0, 0)
        # The kernel writes what it found over what it was told: each call starts from a fresh copy.
        self._fresh = bytes(self._headers)
        self._pointer = ctypes.c_void_p(_addressOf(self._headers))
        self._view = memoryview(self._data)
        self._headersView = memoryview(self._headers)
        numbers = self._headersView.cast("I")
        step = HEADER.size // 4
        self._nameSizes = numbers[2::step]
        self._controlSizes = numbers[10::step]
        self._sizes = numbers[14::step]
        # struct cmsghdr is a length, a level and a type, 16 bytes in all; then the value.
        self._segmentSizes = memoryview(self._control).cast("I")[4 :: CONTROL_SIZE // 4]

    def receive(self, descriptor: int, slots: int = SLOTS) -> list[memoryview]:
        """
        Receive at most C{slots} messages from a non-blocking socket.

        @return: the datagrams, trains taken apart; empty where there is nothing to read.
        @raise OSError: where the socket has an error to tell.
        """
        view = self._view
        messages = self._call(descriptor, slots)
        if not self.trains:
            return [view[start : start + size] for start, size, _, _, _ in messages]
        datagrams: list[memoryview] = []
        for start, size, segment, _, _ in messages:
            datagrams += _split(view, start, start + size, segment)
        return datagrams

    def receiveFrom(self, descriptor: int, slots: int = SLOTS) -> dict[bytes, list[memoryview]]:
        """
        The same, by source.

        @return: the datagrams of each source, in order. The key is the source's C{struct sockaddr}.
        """
        view = self._view
        names = self._names
        sources: dict[bytes, list[memoryview]] = {}
        for start, size, segment, nameStart, nameSize in self._call(descriptor, slots):
            name = bytes(names[nameStart : nameStart + nameSize])
            datagrams = _split(view, start, start + size, segment) if segment else [view[start : start + size]]
            if name in sources:
                sources[name] += datagrams
            else:
                sources[name] = datagrams
        return sources

    def _call(self, descriptor: int, slots: int) -> list[_Message]:
        """
        Call recvmmsg(2).
        """
        # With MSG_TRUNC the size is that of the message, though it may not have fitted.
        self.truncated = 0
        count = _recvmmsg(descriptor, self._pointer, slots, MSG_DONTWAIT | MSG_TRUNC, None)
        if count <= 0:
            self.count = 0
            self.trains = False
            number = ctypes.get_errno()
            if count < 0 and number not in (EAGAIN, EINTR):
                raise OSError(number, os.strerror(number))
            return []
        self.count = count
        sizes = self._sizes[:count].tolist()
        received.bytes += sum(sizes)
        nameSizes = self._nameSizes[:count].tolist()
        controlSizes = self._controlSizes[:count].tolist()
        self.trains = any(controlSizes)
        segments: Iterable[int] = repeat(0)
        if self.trains:
            stale = self._segmentSizes[:count].tolist()
            segments = [segment if present else 0 for segment, present in zip(stale, controlSizes, strict=True)]
        used = count * HEADER.size
        self._headersView[:used] = self._fresh[:used]
        messages = list(zip(self._starts, sizes, segments, self._nameStarts, nameSizes, strict=False))
        if max(sizes) > SLOT:
            whole = [message for message in messages if message[1] <= SLOT]
            self.truncated = count - len(whole)
            return whole
        return messages


_Message: TypeAlias = tuple[int, int, int, int, int]
"""
Where a message is in the arena and its size; the size of a train's datagrams, or 0; where its source's address is and
that one's size.
"""


def _split(view: memoryview, start: int, end: int, segment: int) -> list[memoryview]:
    """
    The datagrams of the train at C{view[start:end]}: C{segment} bytes each, the last one what is left. Without
    C{segment}, it is one.
    """
    if not segment or segment >= end - start:
        return [view[start:end]]
    datagrams = [view[at : at + segment] for at in range(start, end - segment + 1, segment)]
    rest = (end - start) % segment
    if rest:
        datagrams.append(view[end - rest : end])
    return datagrams
