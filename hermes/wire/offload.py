"""
The head of a frame: Linux's C{struct virtio_net_hdr}, which says what is still to be done to the packet behind it.

Ten bytes, little endian: flags, kind of segmentation (a byte each), size of the headers, size of a segment's payload,
where the checksum begins, where behind that its field is (16 bits each). Offsets count from the first byte of the IP
packet. The field of a checksum that is to be completed holds the sum of the pseudo header for the whole length already,
not inverted.

Whoever takes frames from a peer checks each with L{checkOffload}: what it lets through never changes what was
decided about, and is no more work than its size suggests.
"""

from __future__ import annotations

from struct import Struct
from typing import Final

from attrs import frozen

from hermes.wire.buffers import Buffer
from hermes.wire.checksum import wordSum
from hermes.wire.errors import MalformedError
from hermes.wire.ip import parse
from hermes.wire.ippacket import MAX_PACKET, TCP, UDP

HEAD_SIZE: Final = 10

PLAIN: Final = bytes(HEAD_SIZE)
"""
The head of a packet to which nothing is to be done.
"""

NEEDS_CSUM: Final = 1
"""
Flag: the checksum is to be completed.
"""

DATA_VALID: Final = 2
"""
Flag: the sender has found the checksum right. It is nothing that we go by.
"""

GSO_NONE: Final = 0
GSO_TCPV4: Final = 1
GSO_TCPV6: Final = 4
GSO_UDP_L4: Final = 5
"""
UDP datagrams of one size in a row, IPv4 or IPv6. (3 is another thing: fragments of one large datagram.)
"""

GSO_ECN: Final = 0x80
"""
Added to a TCP kind where the first segment has CWR set.
"""

MAX_SEGMENTS: Final = 1024
"""
Into how many packets one frame may be cut. 64 KiB in segments of 64 bytes.
"""

MAX_DATAGRAMS: Final = 128
"""
The same for UDP: what Linux cuts at most (C{UDP_MAX_SEGMENTS}).
"""

MAX_HEADERS: Final = 256
"""
The most bytes of headers that each packet of a frame may repeat. IPv4 and TCP with all options have 120.
"""

_HEAD = Struct("<BBHHHH").unpack_from
_SHORT = Struct(">H").pack_into
_SHORTS = Struct(">HH").pack_into
_LONG = Struct(">I").pack_into

# Where the field of the checksum is.
_FIELDS = {TCP: 16, UDP: 6}
_KINDS = {GSO_TCPV4: (4, TCP), GSO_TCPV6: (6, TCP)}

# By the length of an ordinary packet's flow key and its protocol: the head with which a kernel hands it over when its
# checksum is to be completed. Most packets of a TUN device have one of these.
_USUAL = {
    (length, protocol): bytes((NEEDS_CSUM, 0, 0, 0, 0, 0, start, 0, field, 0))
    for length, start in ((13, 20), (37, 40))
    for protocol, field in _FIELDS.items()
}

# A packet that the kernel forwards from a network card that checked it.
_VALID = bytes((DATA_VALID,)) + bytes(HEAD_SIZE - 1)

_FIN_PSH, _CWR = 0x09, 0x80


@frozen(slots=True)
class _Work:
    """
    What a frame's head asks for, checked against its packet.

    @ivar protocol: L{TCP} or L{UDP}.
    @ivar start: where the transport header begins in the packet.
    @ivar headers: the size of all headers; 0 where the packet is not to be cut.
    @ivar size: of a segment's payload; the same.
    """

    version: int
    protocol: int
    start: int
    headers: int = 0
    size: int = 0


def checkOffload(frame: Buffer, key: bytes | None = None) -> None:
    """
    Check a frame's head against its packet.

    @param frame: the frame, without anything behind the packet.
    @param key: what L{hermes.wire.ip.flowKey} said of it. It saves looking at the packet once more.
    @raise MalformedError: if the head asks for what the packet is not: another checksum than that of its TCP or UDP,
        another kind of segments, too many of them. If the packet is malformed and C{key} L{None}, too.
    """
    head = bytes(frame[:HEAD_SIZE])
    if head in (PLAIN, _VALID) or (key is not None and head == _USUAL.get((len(key), key[-1]))):
        return
    _check(frame)


def needsWork(frame: Buffer) -> bool:
    """
    Whether a checksum is to be completed or the packet to be cut before it goes over a wire.
    """
    return bool(frame[0] & NEEDS_CSUM or frame[1])


def wireSize(frame: Buffer) -> int:
    """
    The size in bytes of the largest packet that the frame becomes on a wire.

    @param frame: one that L{checkOffload} took.
    """
    if not frame[1]:
        return len(frame) - HEAD_SIZE
    kind: int
    size: int
    start: int
    _, kind, _, size, start, _ = _HEAD(frame)
    transport = 8 if kind == GSO_UDP_L4 else (frame[HEAD_SIZE + start + 12] >> 4) * 4
    return min(start + transport + size, len(frame) - HEAD_SIZE)


def complete(frame: Buffer) -> Buffer:
    """
    Complete the checksum of a frame that is not to be cut.

    @return: the frame with nothing left to do: C{frame} itself where there was nothing, else a copy.
    @raise MalformedError: if the head does not fit the packet.
    @raise ValueError: if the packet is to be cut.
    """
    if len(frame) < HEAD_SIZE:
        raise MalformedError("a frame ends within its head")
    flags, kind, _, _, start, field = _HEAD(frame)
    if kind:
        raise ValueError("a frame of several segments has no one checksum")
    if not flags & NEEDS_CSUM:
        return frame if frame[:HEAD_SIZE] == PLAIN else PLAIN + bytes(frame[HEAD_SIZE:])
    if not _usual(frame, start, field):
        _check(frame)
    at = HEAD_SIZE + start
    whole = bytearray(frame)
    whole[:HEAD_SIZE] = PLAIN
    # UDP's 0 says that there is no checksum; 65535 is as right.
    _SHORT(whole, at + field, -wordSum(frame[at:]) % 65535 or (65535 if field == 6 else 0))
    return whole


def segment(frame: Buffer, mtu: int | None = None) -> list[Buffer]:
    """
    Make packets of a frame that can go over any wire.

    As the kernel does it: the segments' IPv4 identifications count up, FIN and PSH are the last one's, CWR is the
    first one's.

    @param frame: any frame, without anything behind the packet. Borrowed.
    @param mtu: where given, TCP is cut into packets of at most so many bytes, even where the frame says larger. A UDP
        datagram is as large as it is.
    @return: frames with nothing left to do, in order. Where C{frame} is one already, that.
    @raise MalformedError: if the head does not fit the packet, or there is no room for the headers in C{mtu}.
    """
    if len(frame) < HEAD_SIZE:
        raise MalformedError("a frame ends within its head")
    if not frame[1]:
        return [complete(frame)]
    work = _check(frame)
    size = work.size
    if mtu is not None and work.protocol == TCP:
        room = mtu - work.headers
        if room < 8:
            raise MalformedError(f"{work.headers} bytes of headers leave no room in an MTU of {mtu}")
        size = min(size, room)
    return _cut(memoryview(frame), work, size)


def _usual(frame: Buffer, start: int, field: int) -> bool:
    """
    Whether the checksum is that of TCP or UDP right behind the IP header, in a packet that is no fragment and is as
    long as the frame.
    """
    size = len(frame) - HEAD_SIZE
    if size < start + field + 2:
        return False
    if start == 20 and frame[10] == 0x45:
        return (
            field == _FIELDS.get(frame[19])
            and not (frame[16] & 0x3F or frame[17])
            and frame[12] << 8 | frame[13] == size
        )
    return (
        start == 40
        and frame[10] >> 4 == 6
        and field == _FIELDS.get(frame[16])
        and (frame[14] << 8 | frame[15]) + 40 == size
    )


def _check(frame: Buffer) -> _Work:
    """
    What the head of C{frame} asks for.

    @raise MalformedError: if it does not fit the packet.
    """
    if len(frame) < HEAD_SIZE:
        raise MalformedError("a frame ends within its head")
    flags, kind, headers, size, start, field = _HEAD(frame)
    if flags & ~(NEEDS_CSUM | DATA_VALID):
        raise MalformedError(f"a frame has unknown flags: {flags:#x}")
    packet = parse(frame, HEAD_SIZE)
    if packet.totalLength != len(frame) - HEAD_SIZE or packet.totalLength > MAX_PACKET:
        raise MalformedError("a frame does not end where its packet does")
    if headers > packet.totalLength:
        raise MalformedError(f"a packet of {packet.totalLength} bytes is said to have {headers} bytes of headers")
    if not flags & NEEDS_CSUM:
        if kind:
            raise MalformedError("a frame is to be cut, but its checksums not to be completed")
        return _Work(packet.version, packet.protocol, packet.transportOffset)
    if packet.isFragment:
        raise MalformedError("the checksum of a fragment is to be completed")
    if start != packet.transportOffset or field != _FIELDS.get(packet.protocol):
        raise MalformedError("the checksum to be completed is not that of TCP or UDP")
    if not kind:
        return _Work(packet.version, packet.protocol, start)
    transport = 8
    if kind == GSO_UDP_L4:
        fits = packet.protocol == UDP
        most = MAX_DATAGRAMS
    else:
        fits = _KINDS.get(kind & ~GSO_ECN) == (packet.version, packet.protocol)
        most = MAX_SEGMENTS
        transport = (frame[HEAD_SIZE + start + 12] >> 4) * 4
    if not fits:
        raise MalformedError(f"a packet of IPv{packet.version} is said to be of segments of kind {kind:#x}")
    if transport < (8 if packet.protocol == UDP else 20) or start + transport > packet.totalLength:
        raise MalformedError("a packet ends within its TCP header")
    if start + transport > MAX_HEADERS:
        raise MalformedError(f"each of several segments is to have {start + transport} bytes of headers")
    if not size:
        raise MalformedError("a frame is to be cut into segments of no size")
    if packet.totalLength - start - transport > size * most:
        raise MalformedError(f"a frame is to be cut into more than {most} packets")
    return _Work(packet.version, packet.protocol, start, start + transport, size)


def _cut(frame: memoryview, work: _Work, size: int) -> list[Buffer]:
    """
    @param size: of a segment's payload.
    """
    start = HEAD_SIZE + work.start
    first = HEAD_SIZE + work.headers
    end = len(frame)
    tcp = work.protocol == TCP
    field = start + _FIELDS[work.protocol]
    head = bytearray(PLAIN + frame[HEAD_SIZE:first])
    ipv4 = work.version == 4
    identification = head[14] << 8 | head[15]
    sequence = int.from_bytes(head[start + 4 : start + 8], "big")
    flags = head[start + 13] if tcp else 0
    # The sums of what stays the same. The field holds the pseudo header's with the length of the whole.
    pseudo = (head[field] << 8 | head[field + 1]) - (end - start)
    if ipv4:
        _SHORTS(head, 12, 0, 0)
        _SHORT(head, 20, 0)
        ipSum = wordSum(head[HEAD_SIZE:start])
    _SHORT(head, field, 0)
    if tcp:
        _LONG(head, start + 4, 0)
        head[start + 13] = 0
    else:
        _SHORT(head, start + 4, 0)
    staying = pseudo + wordSum(head[start:])
    frames: list[Buffer] = []
    for at in range(first, max(end, first + 1), size):
        payload = frame[at : at + size]
        following = at + len(payload)
        # From the transport header to the end.
        length = first - start + len(payload)
        total = staying + wordSum(payload) + length
        if tcp:
            now = flags
            if following < end:
                now &= ~_FIN_PSH
            if at > first:
                now &= ~_CWR
            head[start + 13] = now
            position = sequence + at - first & 0xFFFFFFFF
            _LONG(head, start + 4, position)
            _SHORT(head, field, -(total + now + position) % 65535)
        else:
            _SHORT(head, start + 4, length)
            _SHORT(head, field, -(total + length) % 65535 or 65535)
        if ipv4:
            whole = start - HEAD_SIZE + length
            _SHORTS(head, 12, whole, identification)
            _SHORT(head, 20, -(ipSum + whole + identification) % 65535)
            identification = identification + 1 & 0xFFFF
        else:
            _SHORT(head, 14, start - HEAD_SIZE - 40 + length)
        frames.append(b"".join((head, payload)))
    return frames
