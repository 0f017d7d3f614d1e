"""
The capsule protocol (RFC 9297 section 3.2) and the HTTP Datagrams in it (section 3.5), with the context IDs that UDP
and IP proxying put before the payload (RFC 9298 section 4).

This is the hot path of CONNECT-UDP. Nothing here runs Python once per datagram where the datagrams of a batch are of
equal size, save the slicing itself.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Final

from hermes.wire.buffers import Buffer
from hermes.wire.errors import MalformedError
from hermes.wire.varint import decodeVarint, encodeVarint

DATAGRAM: Final = 0x00
"""
The type of a DATAGRAM capsule (RFC 9297 section 3.5).
"""

MAX_UDP_PAYLOAD: Final = 65527
"""
The largest payload of a UDP packet, in bytes; a longer one under context ID 0 is an error of the peer (RFC 9298
section 5).
"""

MAX_CAPSULE_SIZE: Final = 8 + 65535
"""
The default bound on a capsule's value, in bytes: a context ID of any encoding and an IP packet or a UDP payload.
"""

_MAX_HEAD = 24  # type, length and context ID, each a varint of eight bytes
_GATHER_FROM = 8192  # above this size a copy costs more than two more entries in an iovec
_CACHED_PREFIXES = 1 << 14
_FIRST_WINDOW = 64
_WORTH = 8  # a look at fewer capsules than these costs more than going one by one
_MIN_STREAK, _MAX_STREAK = 2, 64
_BYTES = [bytes([value]) for value in range(256)]


def encodeCapsule(capsuleType: int, value: Buffer) -> bytes:
    """
    One capsule of any type.
    """
    return b"".join((encodeVarint(capsuleType), encodeVarint(len(value)), value))


class Prefixes(dict[int, bytes]):
    """
    What goes before payloads of one context ID, by their size, made when first asked for: capsule type, capsule length,
    context ID. At most six bytes. Bounded: only those of sizes below 16 KiB are kept.
    """

    def __init__(self, context: int, most: int) -> None:
        """
        @param context: the context ID, below 64.
        @param most: the largest payload, in bytes. A larger one raises C{ValueError}.
        """
        super().__init__()
        self._context = encodeVarint(context)
        self._most = most

    def __missing__(self, size: int) -> bytes:
        if size > self._most:
            raise ValueError(f"a payload has at most {self._most} bytes, not {size}")
        prefix = b"\x00" + encodeVarint(size + 1) + self._context
        if size < _CACHED_PREFIXES:
            self[size] = prefix
        return prefix


UDP_PREFIXES: Final = Prefixes(0, MAX_UDP_PAYLOAD)
"""
Those of CONNECT-UDP.
"""


def encodeDatagrams(datagrams: Sequence[Buffer], prefixes: Prefixes = UDP_PREFIXES) -> list[Buffer]:
    """
    DATAGRAM capsules, one for each payload.

    @param datagrams: payloads of 0 bytes up to the most that C{prefixes} allow.
    @param prefixes: those of the context ID.
    @return: pieces to be written one after the other. Large payloads are among them as they are, not copied, so what
        is returned is borrowed as long as C{datagrams} is.
    @raise ValueError: if a payload is too long.
    """
    if not datagrams:
        return []
    sizes = [*map(len, datagrams)]
    size = sizes[0]
    if size < _GATHER_FROM and sizes.count(size) == len(sizes):
        # The prefix is the separator: one call for the whole batch.
        return [prefixes[size].join([b"", *datagrams])]
    pieces: list[Buffer] = [b""] * (2 * len(sizes))
    pieces[::2] = map(prefixes.__getitem__, sizes)
    pieces[1::2] = datagrams
    if sum(sizes) >= _GATHER_FROM * len(sizes):
        return pieces
    return [b"".join(pieces)]


class CapsuleReader:
    """
    Takes capsules out of a byte stream that arrives in pieces of any size. What it finds does not depend on how the
    stream is cut.

    It holds at most one incomplete capsule that it wants, so at most C{maxCapsuleSize} bytes and a header. All other
    capsules are skipped as they arrive, whatever their length.

    After L{MalformedError} the stream is to be aborted, and the reader no longer used.

    @ivar oversizeDatagrams: how many DATAGRAM capsules were skipped because their value was larger than
        C{maxCapsuleSize}.
    @ivar unknownContexts: how many datagrams were dropped because nobody wants their context ID.
    """

    def __init__(
        self,
        maxCapsuleSize: int = MAX_CAPSULE_SIZE,
        capsuleReceived: Callable[[int, bytes], None] | None = None,
        wanted: Collection[int] | None = None,
        contextReceived: Callable[[int, Buffer], None] | None = None,
        maxPayloadSize: int | None = MAX_UDP_PAYLOAD,
    ) -> None:
        """
        @param maxCapsuleSize: the largest value of a capsule, in bytes, that is taken; at least 16.
        @param capsuleReceived: called with type and value for capsules of the types in C{wanted}. It is called while
            L{receive} runs, before the datagrams around it are returned.
        @param wanted: the types for C{capsuleReceived}, without DATAGRAM; L{None} is none.
        @param contextReceived: called with a context ID other than 0 and a payload, which is borrowed; without it such
            datagrams are dropped.
        @param maxPayloadSize: the largest payload under context ID 0 that the peer may send at all, at least 16;
            L{None} where the protocol sets no bound.
        """
        # A context ID has up to eight bytes; it has to fit, or the header could reach beyond its capsule.
        if maxCapsuleSize < 16 or (maxPayloadSize is not None and maxPayloadSize < 16):
            raise ValueError("a capsule reader needs bounds of at least 16 bytes")
        self.oversizeDatagrams = 0
        self.unknownContexts = 0
        self._maxCapsuleSize = maxCapsuleSize
        self._capsuleReceived = capsuleReceived
        self._wanted: Collection[int] = frozenset(wanted or ()) if capsuleReceived is not None else frozenset()
        self._contextReceived = contextReceived
        self._maxPayloadSize = maxPayloadSize
        # A datagram capsule of up to this length needs no other check than its context ID.
        self._plainLength = maxCapsuleSize if maxPayloadSize is None else min(maxCapsuleSize, maxPayloadSize + 1)
        self._partial = bytearray()
        self._needed = 0
        self._skip = 0
        # How many capsules of one stride came in a row, and how many it takes before a run is looked for: more after
        # each look that found too little, so that traffic of mixed sizes goes one by one.
        self._stride = 0
        self._streak = 0
        self._streakNeeded = _MIN_STREAK

    def receive(self, buffer: Buffer) -> list[Buffer]:
        """
        Take the next piece of the stream.

        @param buffer: bytes, borrowed.
        @return: the payloads under context ID 0 that are now complete, in order. They are slices of C{buffer} wherever
            the capsule lies whole in it, so they are borrowed for as long as it is.
        @raise MalformedError: the peer breaks the protocol; the stream is to be aborted.
        """
        view = buffer if isinstance(buffer, memoryview) else memoryview(buffer)
        payloads: list[Buffer] = []
        position = 0
        if self._skip or self._partial:
            position = self._resume(view, payloads)
        end = len(view)
        plainLength = self._plainLength
        stride, streak, streakNeeded = self._stride, self._streak, self._streakNeeded
        window = _FIRST_WINDOW
        while position < end:
            # The common case, spelt out: a DATAGRAM capsule, length in one or two bytes, context ID 0.
            try:
                if view[position]:
                    position = self._other(view, position, payloads)
                    continue
                length = view[position + 1]
                start = position + 2
                if length >= 64:
                    if length >= 128:
                        position = self._other(view, position, payloads)
                        continue
                    length = (length & 63) << 8 | view[start]
                    start += 1
                following = start + length
                if not length or view[start] or length > plainLength or following > end:
                    position = self._other(view, position, payloads)
                    continue
            except IndexError:
                position = self._other(view, position, payloads)
                continue
            payloads.append(view[start + 1 : following])
            if following - position != stride:
                stride = following - position
                streak = 0
                position = following
                continue
            header = view[position : start + 1]
            position = following
            streak += 1
            if streak < streakNeeded:
                continue
            # A look costs in proportion to its width, and the width only doubles after a look that found it full, so
            # the whole stays linear in the size of the buffer.
            width = min(window, (end - position) // stride)
            if width < _WORTH:
                continue
            found = runLength(view, position, stride, width, header)
            size = length - 1
            first = position + len(header)
            payloads += [view[at : at + size] for at in range(first, first + found * stride, stride)]
            position += found * stride
            streakNeeded = min(2 * streakNeeded, _MAX_STREAK) if found < _WORTH else _MIN_STREAK
            if found == width:
                window *= 2
            else:
                streak = 0
                window = _FIRST_WINDOW
        self._stride, self._streak, self._streakNeeded = stride, streak, streakNeeded
        return payloads

    def close(self) -> None:
        """
        The stream has ended.

        @raise MalformedError: if it ended within a capsule (RFC 9297 section 3.3).
        """
        if self._partial or self._skip:
            raise MalformedError("the stream ended within a capsule")

    def _other(self, view: memoryview, position: int, payloads: list[Buffer]) -> int:
        """
        Deal with the capsule at C{position}, of whatever kind.

        @return: the position behind it; the end of the view where it goes on in the next piece.
        """
        head = self._head(view, position)
        end = len(view)
        if head is None:
            self._partial += view[position:]
            return end
        capsuleType, start, following = head
        if capsuleType < 0:
            if following > end:
                self._skip = following - end
                return end
            return following
        if following > end:
            self._needed = following - position
            self._partial += view[position:]
            return end
        self._deliver(capsuleType, view[start:following], payloads)
        return following

    def _resume(self, view: memoryview, payloads: list[Buffer]) -> int:
        """
        Go on with what the last piece ended within.

        @return: the position behind it.
        """
        end = len(view)
        if self._skip:
            skipped = min(self._skip, end)
            self._skip -= skipped
            return skipped
        partial = self._partial
        held = len(partial)
        if not self._needed:
            head = self._head(memoryview(bytes(partial) + view[: _MAX_HEAD - held]), 0)
            if head is None:
                partial += view
                return end
            capsuleType, _, following = head
            if capsuleType < 0:
                self._partial = bytearray()
                self._skip = max(following - held - end, 0)
                return min(following - held, end)
            self._needed = following
        taken = min(self._needed - held, end)
        partial += view[:taken]
        if len(partial) == self._needed:
            # The payload may be a slice of this bytearray: it is given away and a new one begun.
            self._partial = bytearray()
            self._needed = 0
            whole = memoryview(partial)
            head = self._head(whole, 0)
            assert head is not None
            self._deliver(head[0], whole[head[1] :], payloads)
        return taken

    def _head(self, view: memoryview, position: int) -> tuple[int, int, int] | None:
        """
        Read the header of a capsule and decide what becomes of it.

        @return: its type, or -1 where it is to be skipped; where its value begins; where it ends. L{None} where more is
            needed to decide.
        """
        decoded = decodeVarint(view, position)
        if decoded is None:
            return None
        capsuleType, at = decoded
        decoded = decodeVarint(view, at)
        if decoded is None:
            return None
        length, start = decoded
        following = start + length
        if capsuleType != DATAGRAM:
            if capsuleType not in self._wanted:
                return -1, start, following
            if length > self._maxCapsuleSize:
                raise MalformedError(f"a capsule of type {capsuleType:#x} is {length} bytes long")
            return capsuleType, start, following
        if length > self._plainLength:
            # The context ID tells whether the peer sends what no UDP packet holds, or only more than we take.
            decoded = decodeVarint(view, start)
            if decoded is None:
                return None
            context, payload = decoded
            if context == 0 and self._maxPayloadSize is not None and following - payload > self._maxPayloadSize:
                raise MalformedError(f"a datagram of {following - payload} bytes is longer than the protocol allows")
            if length > self._maxCapsuleSize:
                self.oversizeDatagrams += 1
                return -1, start, following
        return capsuleType, start, following

    def _deliver(self, capsuleType: int, value: memoryview, payloads: list[Buffer]) -> None:
        """
        Hand out a complete capsule.
        """
        if capsuleType != DATAGRAM:
            assert self._capsuleReceived is not None
            self._capsuleReceived(capsuleType, bytes(value))
            return
        decoded = decodeVarint(value)
        if decoded is None:
            raise MalformedError("a datagram has no context ID")
        context, start = decoded
        if context == 0:
            payloads.append(value[start:])
        elif self._contextReceived is not None:
            self._contextReceived(context, value[start:])
        else:
            self.unknownContexts += 1


def runLength(view: memoryview, position: int, stride: int, width: int, header: memoryview) -> int:
    """
    How many of the next C{width} capsules, C{stride} bytes apart, begin with C{header}: each of its bytes is compared
    in all of them at once.
    """
    # The end of the length comes first: if sizes differ, it shows.
    for offset in (len(header) - 2, len(header) - 1, *range(len(header) - 2)):
        column = view[position + offset : position + width * stride : stride].tobytes()
        byte = header[offset]
        if column.count(byte) != width:
            width -= len(column.lstrip(_BYTES[byte]))
            if not width:
                break
    return width
