"""
Trains: UDP datagrams that come one after the other, made into one frame, as segmentation offload has it
(L{hermes.wire.offload.GSO_UDP_L4}). What is then done for each frame is done once for all of them, at both ends of a
tunnel and in the kernel that takes it; who must have them singly cuts it again.

A kernel hands datagrams of its own host over with checksums that are still to be completed, so that nothing has to be
summed. Nothing is waited for: a train is of what has come already.
"""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct
from struct import error as StructError
from typing import Final, TypeAlias

from hermes.wire.buffers import Buffer
from hermes.wire.offload import GSO_UDP_L4, HEAD_SIZE, MAX_DATAGRAMS, NEEDS_CSUM

SHORTEST: Final = 2
"""
Fewer datagrams are left as they are.
"""

MAX_LENGTH: Final = 65535
"""
Of the packet that a train becomes, in bytes.
"""

_UDP = 17
_V4, _V6 = HEAD_SIZE + 28, HEAD_SIZE + 48

# What is the same in all datagrams of a train: in IPv4 everything but the identification and the sum that covers it.
# The field of UDP's checksum holds the sum of the pseudo header. Of IPv6 this is less than all.
_SAME = Struct("14s2x4s2x16s").unpack_from
_SHORT = Struct(">H").pack_into
_SHORTS = Struct(">HH").pack_into
_TRAIN_HEAD = Struct("<BBHHHH").pack_into
_Head: TypeAlias = "tuple[bytes, bytes, bytes]"

# How a kernel begins a frame with an ordinary datagram whose checksum is to be completed, and the packet in it.
_BEGIN4 = bytes((NEEDS_CSUM, 0, 0, 0, 0, 0, 20, 0, 6, 0, 0x45))
_BEGIN6 = bytes((NEEDS_CSUM, 0, 0, 0, 0, 0, 40, 0, 6, 0))


def couple(frames: Sequence[Buffer]) -> Sequence[Buffer]:
    """
    Make trains.

    Only of datagrams whose checksum is to be completed, of one flow and size, with the same headers; in IPv4 those that
    must not be fragmented, whose identification says nothing (RFC 6864 section 4.1): in a train it counts up. A flow
    stays in order; a datagram may overtake those of others.

    @param frames: whole frames, borrowed.
    @return: C{frames} itself where there are none; else a list where one frame, a copy that can be written to, is in
        the place of L{SHORTEST} or more.
    """
    count = len(frames)
    if count < SHORTEST:
        return frames
    try:
        heads = [_SAME(frame) for frame in frames]
    except StructError:
        # One has no room for UDP. That is seldom, and all the others get on as they are.
        return frames
    runs: list[tuple[_Head, list[Buffer]]] = []
    # By addresses and ports, the last run of the flow.
    last: dict[bytes, tuple[_Head, list[Buffer]]] = {}
    previous: _Head | None = None
    run: list[Buffer] = []
    for frame, head in zip(frames, heads, strict=True):
        if head == previous:
            run.append(frame)
            continue
        flow = head[2][:12]
        known = last.get(flow)
        if known is not None and known[0] == head:
            run = known[1]
            run.append(frame)
        else:
            run = [frame]
            known = last[flow] = head, run
            runs.append(known)
        previous = head
    if len(runs) == count:
        return frames
    coupled: list[Buffer] = []
    for head, run in runs:
        headers = _headers(head, run) if len(run) >= SHORTEST else 0
        coupled += _trains(run, headers) if headers else run
    return coupled


def _headers(head: _Head, run: list[Buffer]) -> int:
    """
    The size of the headers of frames, all of which look alike where L{_SAME} looks; 0 where they are no datagrams that
    can be coupled.
    """
    begin, middle, end = head
    frame = run[0]
    size = len(frame)
    if begin[:11] == _BEGIN4:
        # Not to be fragmented, and no fragment.
        if middle[:2] != b"\x40\x00" or middle[3] != _UDP:
            return 0
        headers = _V4
        length = begin[12] << 8 | begin[13]
        fits = end[12] << 8 | end[13] == length - 20
    elif begin[:10] == _BEGIN6 and begin[10] >> 4 == 6 and middle[0] == _UDP and size > _V6:
        headers = _V6
        length = (frame[14] << 8 | frame[15]) + 40
        same = bytes(frame[:_V6])
        fits = frame[54] << 8 | frame[55] == length - 40 and all([each[:_V6] == same for each in run])
    else:
        return 0
    fits = fits and length + HEAD_SIZE == size > headers and [*map(len, run)].count(size) == len(run)
    return headers if fits else 0


def _trains(frames: Sequence[Buffer], headers: int) -> list[Buffer]:
    """
    As few trains as there can be.
    """
    most = min(MAX_DATAGRAMS, (MAX_LENGTH + HEAD_SIZE - headers) // (len(frames[0]) - headers))
    parts = [frames[at : at + most] for at in range(0, len(frames), most)]
    return [_train(part, headers) if len(part) > 1 else part[0] for part in parts]


def _train(frames: Sequence[Buffer], headers: int) -> memoryview:
    first = frames[0]
    train = bytearray().join([first, *[frame[headers:] for frame in frames[1:]]])
    size = len(train) - HEAD_SIZE
    more = len(train) - len(first)
    payload = len(first) - headers
    if headers == _V4:
        _TRAIN_HEAD(train, 0, NEEDS_CSUM, GSO_UDP_L4, 28, payload, 20, 6)
        _SHORT(train, 12, size)
        # The sum is what it was, but for the length (RFC 1624).
        _SHORT(train, 20, (-((train[20] << 8 | train[21]) ^ 0xFFFF) - more) % 65535)
        udp = 34
    else:
        _TRAIN_HEAD(train, 0, NEEDS_CSUM, GSO_UDP_L4, 48, payload, 40, 6)
        _SHORT(train, 14, size - 40)
        udp = 54
    # The pseudo header has the length, too. It is not 0, so that its sum is none of the two zeros.
    pseudo = ((train[udp + 2] << 8 | train[udp + 3]) + more) % 65535 or 65535
    _SHORTS(train, udp, size + HEAD_SIZE - udp + 4, pseudo)
    return memoryview(train)
