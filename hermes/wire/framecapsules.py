"""
IP packets in capsules: whole packets under context ID 0 (RFC 9484 section 6), and, where both ends are ours, frames
under context ID 2: a packet behind the ten bytes that say what is still to be done to it (see L{hermes.wire.offload}).

This is the hot path of CONNECT-IP, as L{hermes.wire.capsule} is of CONNECT-UDP. What comes out of the reader may be
written to.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Final

from hermes.wire.buffers import Buffer
from hermes.wire.capsule import DATAGRAM, CapsuleReader, Prefixes, encodeDatagrams, runLength
from hermes.wire.errors import MalformedError
from hermes.wire.usualframes import isUsual
from hermes.wire.varint import decodeVarint

PACKETS: Final = 0
"""
The context ID of whole IP packets.
"""

FRAMES: Final = 2
"""
The context ID of frames, one of those that a client may use (RFC 9297 section 3.5: even ones). Nobody registers it:
both ends have said that they know it.
"""

FRAME_HEADER: Final = 10
"""
What a frame has before its packet, in bytes.
"""

MAX_PACKET: Final = 65535
"""
The longest IP packet, in bytes. Jumbograms (RFC 2675) do not cross.
"""

MAX_FRAME: Final = FRAME_HEADER + MAX_PACKET

_HEADER = bytes(FRAME_HEADER)
_PACKET_PREFIXES: Final = Prefixes(PACKETS, MAX_PACKET)
_FRAME_PREFIXES: Final = Prefixes(FRAMES, MAX_FRAME)
_FIRST_WINDOW = 64
_WORTH = 8
_MIN_STREAK, _MAX_STREAK = 2, 64


def encodePackets(packets: Sequence[Buffer]) -> list[Buffer]:
    """
    DATAGRAM capsules of whole packets; as L{hermes.wire.capsule.encodeDatagrams}.

    @raise ValueError: if one is longer than L{MAX_PACKET}.
    """
    return encodeDatagrams(packets, _PACKET_PREFIXES)


def encodeFrames(frames: Sequence[Buffer]) -> list[Buffer]:
    """
    DATAGRAM capsules of frames; as L{hermes.wire.capsule.encodeDatagrams}.

    @raise ValueError: if one is longer than L{MAX_FRAME}.
    """
    return encodeDatagrams(frames, _FRAME_PREFIXES)


class FrameReader(CapsuleReader):
    """
    Takes frames out of a stream of capsules, of both context IDs in the order that they came in.

    @ivar capsules: of the last piece the other capsules that are wanted: how many frames came before each, its type,
        its value.
    @ivar unfit: how many frames were dropped because they are none, or because of what their header says.
    """

    def __init__(self, wanted: Collection[int], check: Callable[[Buffer], None], takesFrames: bool = True) -> None:
        """
        @param wanted: the types of capsules for C{capsules}.
        @param check: raises L{MalformedError} where the header of a frame does not fit its packet. Not called where
            the header says that nothing is to be done.
        @param takesFrames: whether context ID 2 is known; else it is one of those that are not.
        """
        super().__init__(8 + MAX_FRAME, lambda capsuleType, value: None, wanted, maxPayloadSize=None)
        self.capsules: list[tuple[int, int, bytes]] = []
        self.unfit = 0
        self._checkFrame = check
        # The bits that the context IDs that are known don't have.
        self._otherBits = ~FRAMES if takesFrames else ~PACKETS

    def receive(self, buffer: Buffer) -> list[Buffer]:
        """
        Take the next piece of the stream.

        @param buffer: borrowed; where it can be written to, it will be.
        @return: the frames that are now complete, in order. They can be written to, and are borrowed as C{buffer} is.
        @raise MalformedError: the peer breaks the protocol; the stream is to be aborted.
        """
        view = buffer if isinstance(buffer, memoryview) else memoryview(buffer)
        if view.readonly:
            view = memoryview(bytearray(view))
        frames: list[Buffer] = []
        if self.capsules:
            self.capsules = []
        position = 0
        if self._skip or self._partial:
            position = self._resume(view, frames)
        end = len(view)
        stride, streak, streakNeeded = self._stride, self._streak, self._streakNeeded
        window = _FIRST_WINDOW
        otherBits = self._otherBits
        # The context of the frames from C{begun} on, which are still to be looked at as a whole.
        current, begun = PACKETS, len(frames)
        while position < end:
            # The common case, spelt out as in the base class: a DATAGRAM capsule with one of the two contexts.
            try:
                length = view[position + 1]
                start = position + 2
                if length >= 64:
                    if length < 128:
                        length = (length & 63) << 8 | view[start]
                        start += 1
                    elif length < 192:
                        length = (length & 63) << 24 | view[start] << 16 | view[start + 1] << 8 | view[start + 2]
                        start += 3
                    else:
                        length = 0
                following = start + length
                context = view[start]
                other = view[position] or length < 2 or following > end or length > MAX_PACKET or context & otherBits
            except IndexError:
                other = True
            if other:
                self._finish(frames, begun, current)
                position = self._other(view, position, frames)
                begun = len(frames)
                continue
            if context != current:
                self._finish(frames, begun, current)
                current, begun = context, len(frames)
            frames.append(view[start + 1 : following])
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
            width = min(window, (end - position) // stride)
            if width < _WORTH:
                continue
            found = runLength(view, position, stride, width, header)
            size = length - 1
            first = position + len(header)
            frames += [view[at : at + size] for at in range(first, first + found * stride, stride)]
            position += found * stride
            streakNeeded = min(2 * streakNeeded, _MAX_STREAK) if found < _WORTH else _MIN_STREAK
            if found == width:
                window *= 2
            else:
                streak = 0
                window = _FIRST_WINDOW
        self._stride, self._streak, self._streakNeeded = stride, streak, streakNeeded
        self._finish(frames, begun, current)
        return frames

    def _finish(self, frames: list[Buffer], begun: int, context: int) -> None:
        """
        Make frames of what is in C{frames} from C{begun} on, all of one context.
        """
        if len(frames) == begun:
            return
        if context == PACKETS:
            frames[begun:] = framed(frames[begun:])
        else:
            self._check(frames, begun)

    def _check(self, frames: list[Buffer], begun: int) -> None:
        """
        Drop what is in C{frames} from C{begun} on and is no frame.
        """
        fits = self._fits
        good = [
            frame
            for frame in (frames[begun:] if begun else frames)
            if len(frame) > FRAME_HEADER and (not (frame[0] or frame[1]) or isUsual(frame) or fits(frame))
        ]
        if len(good) != len(frames) - begun:
            self.unfit += len(frames) - begun - len(good)
            frames[begun:] = good

    def _fits(self, frame: Buffer) -> bool:
        try:
            self._checkFrame(frame)
        except MalformedError:
            return False
        return True

    def _deliver(self, capsuleType: int, value: memoryview, payloads: list[Buffer]) -> None:
        """
        A capsule that is not of the common kind, or was cut.
        """
        if capsuleType != DATAGRAM:
            self.capsules.append((len(payloads), capsuleType, bytes(value)))
            return
        decoded = decodeVarint(value)
        if decoded is None:
            raise MalformedError("a datagram has no context ID")
        context, start = decoded
        begun = len(payloads)
        if context & self._otherBits:
            self.unknownContexts += 1
        elif start == len(value):
            self.unfit += 1
        elif len(value) - start > (MAX_PACKET if context == PACKETS else MAX_FRAME):
            self.oversizeDatagrams += 1
        else:
            payloads.append(value[start:])
            self._finish(payloads, begun, context)


def framed(packets: Sequence[Buffer]) -> list[Buffer]:
    """
    Frames of whole packets, copied: the memory of a batch is one piece.
    """
    joined = bytearray(_HEADER).join([b"", *packets])
    view = memoryview(joined)
    sizes = [*map(len, packets)]
    stride = sizes[0] + FRAME_HEADER
    if sizes.count(sizes[0]) == len(sizes):
        return [view[at : at + stride] for at in range(0, len(joined), stride)]
    frames: list[Buffer] = []
    at = 0
    for size in sizes:
        following = at + FRAME_HEADER + size
        frames.append(view[at:following])
        at = following
    return frames
