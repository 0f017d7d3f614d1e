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
from typing import Final

from hermes.wire.buffers import Buffer
from hermes.wire.checksum import wordSum
from hermes.wire.offload import GSO_UDP_L4, HEAD_SIZE, MAX_DATAGRAMS, NEEDS_CSUM

SHORTEST: Final = 3
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
_TRAIN_HEAD = Struct("<BBHHHH").pack


def couple(frames: Sequence[Buffer]) -> Sequence[Buffer]:
    """
    Make trains.

    Only of datagrams whose checksum is to be completed, of one size, with the same headers; in IPv4 those that must
    not be fragmented, whose identification says nothing (RFC 6864 section 4.1): in a train it counts up. Order is kept.

    @param frames: whole frames, borrowed.
    @return: C{frames} itself where there are none; else a list where one frame, a copy that can be written to, is in
        the place of each L{SHORTEST} or more.
    """
    count = len(frames)
    if count < SHORTEST:
        return frames
    try:
        heads = [_SAME(frame) for frame in frames]
    except StructError:
        # One has no room for UDP. That is seldom, and all the others get on as they are.
        return frames
    coupled: list[Buffer] = []
    taken = start = 0
    head = heads[0]
    heads.append((b"",))
    for at, other in enumerate(heads):
        if other == head:
            continue
        if at - start >= SHORTEST:
            headers = _headers(frames[start:at])
            if headers:
                coupled += frames[taken:start]
                coupled += _trains(frames[start:at], headers)
                taken = at
        start, head = at, other
    if not taken:
        return frames
    coupled += frames[taken:]
    return coupled


def _headers(frames: Sequence[Buffer]) -> int:
    """
    The size of the headers of frames, all of which look alike where L{_SAME} looks; 0 where they are no datagrams that
    can be coupled.
    """
    frame = frames[0]
    size = len(frame)
    if frame[0] != NEEDS_CSUM or frame[1] or [*map(len, frames)].count(size) != len(frames):
        return 0
    if frame[10] == 0x45 and frame[19] == _UDP:
        # Not to be fragmented, and no fragment.
        headers = _V4 if frame[16] == 0x40 and not frame[17] else 0
        start, length = 20, frame[12] << 8 | frame[13]
    elif frame[10] >> 4 == 6 and frame[16] == _UDP and size >= _V6:
        same = bytes(frame[:_V6])
        headers = _V6 if all([each[:_V6] == same for each in frames]) else 0
        start, length = 40, (frame[14] << 8 | frame[15]) + 40
    else:
        return 0
    udp = HEAD_SIZE + start + 4
    fits = (
        size > headers
        and length == size - HEAD_SIZE
        and frame[udp] << 8 | frame[udp + 1] == length - start
        and frame[6] | frame[7] << 8 == start
        and frame[8] | frame[9] << 8 == 6
    )
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
    start = headers - HEAD_SIZE - 8
    train[:HEAD_SIZE] = _TRAIN_HEAD(NEEDS_CSUM, GSO_UDP_L4, start + 8, len(first) - headers, start, 6)
    size = len(train) - HEAD_SIZE
    if headers == _V4:
        _SHORT(train, HEAD_SIZE + 2, size)
        _SHORT(train, HEAD_SIZE + 10, 0)
        _SHORT(train, HEAD_SIZE + 10, -wordSum(train[HEAD_SIZE : HEAD_SIZE + 20]) % 65535)
    else:
        _SHORT(train, HEAD_SIZE + 4, size - 40)
    udp = HEAD_SIZE + start
    _SHORT(train, udp + 4, size - start)
    # The pseudo header has the length, too. It is not 0, so that its sum is none of the two zeros.
    pseudo = (train[udp + 6] << 8 | train[udp + 7]) + len(train) - len(first)
    _SHORT(train, udp + 6, pseudo % 65535 or 65535)
    return memoryview(train)
