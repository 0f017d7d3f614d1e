"""
Fragments (NDNLPv2, section "Fragmentation"): cutting packets, and putting them together again within bounds.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from hermes.ndn.packet.errors import PacketError
from hermes.ndn.packet.lp import LpPacket
from hermes.ndn.packet.typenumbers import MAX_PACKET_SIZE

MAX_FRAGMENTS: Final = 400
"""
Fragments that a packet may have (as NFD): of 22 bytes at least, for the largest packet.
"""

MAX_PARTIAL: Final = 256
"""
Packets that may be incomplete at once, on one face.
"""

MAX_PARTIAL_BYTES: Final = 1024 * 1024
"""
What they may hold, in bytes; a fragment costs L{FRAGMENT_COST} beside its payload.
"""

FRAGMENT_COST: Final = 128

MAX_AGE: Final = 0.5
"""
Seconds that a packet may be incomplete, from its first fragment on (as NFD).
"""

SEQUENCES: Final = 1 << 64
"""
Sequence numbers are modulo this.
"""


def cut(packet: bytes, room: int) -> list[bytes]:
    """
    Cut a packet into pieces of C{room} bytes; the last may be shorter.
    """
    return [packet[start : start + room] for start in range(0, len(packet), room)]


class _Partial:
    """
    A packet of which some fragments are there.
    """

    __slots__ = ("cost", "first", "missing", "pieces", "size", "time")

    def __init__(self, count: int, time: float) -> None:
        self.pieces: list[bytes | None] = [None] * count
        self.missing = count
        self.size = 0
        # A slot for a fragment is not free either.
        self.cost = FRAGMENT_COST + 8 * count
        self.time = time
        self.first: LpPacket | None = None


class Reassembler:
    """
    Puts fragments together.

    All is bounded, and where a bound is met the packet that has been incomplete longest goes.

    @ivar dropped: fragments that were given up.
    @ivar heldBytes: what the incomplete packets cost.
    """

    __slots__ = ("_maxAge", "_maxBytes", "_maxPartial", "_partials", "dropped", "heldBytes")

    def __init__(
        self, maxPartial: int = MAX_PARTIAL, maxBytes: int = MAX_PARTIAL_BYTES, maxAge: float = MAX_AGE
    ) -> None:
        self.dropped = 0
        self.heldBytes = 0
        self._maxPartial = maxPartial
        self._maxBytes = maxBytes
        self._maxAge = maxAge
        self._partials: OrderedDict[tuple[object, int], _Partial] = OrderedDict()

    def __len__(self) -> int:
        """
        How many packets are incomplete.
        """
        return len(self._partials)

    def receive(self, packet: LpPacket, now: float, source: object = None) -> tuple[bytes, LpPacket] | None:
        """
        Take a fragment.

        @param packet: has a fragment, and C{fragCount} above 1.
        @param now: in seconds.
        @param source: who sent it, on a link that several send to.
        @return: where the packet is whole with it: the packet, and its first fragment, whose fields are those of the
            packet; else L{None}.
        @raise PacketError: where it does not go together with the others.
        """
        count, index, fragment, sequence = packet.fragCount, packet.fragIndex, packet.fragment, packet.sequence
        if fragment is None or sequence is None or not index < count <= MAX_FRAGMENTS:
            raise PacketError(f"fragment {index} of {count}")
        self.expire(now)
        key = source, (sequence - index) % SEQUENCES
        partial = self._partials.get(key)
        if partial is None:
            partial = self._partials[key] = _Partial(count, now)
            self.heldBytes += partial.cost
        elif len(partial.pieces) != count:
            self._drop(key)
            raise PacketError(f"a packet of {len(partial.pieces)} fragments is said to have {count}")
        if partial.pieces[index] is not None:
            return None
        partial.pieces[index] = fragment
        partial.missing -= 1
        partial.size += len(fragment)
        partial.cost += len(fragment) + FRAGMENT_COST
        self.heldBytes += len(fragment) + FRAGMENT_COST
        if index == 0:
            partial.first = packet
        if partial.size > MAX_PACKET_SIZE:
            self._drop(key)
            raise PacketError(f"a packet in fragments is larger than {MAX_PACKET_SIZE} bytes")
        if not partial.missing:
            del self._partials[key]
            self.heldBytes -= partial.cost
            assert partial.first is not None
            return b"".join(partial.pieces), partial.first  # type: ignore[arg-type]  # none is missing
        while self.heldBytes > self._maxBytes or len(self._partials) > self._maxPartial:
            self._drop(next(iter(self._partials)))
        return None

    def expire(self, now: float) -> None:
        """
        Give up what has been incomplete for too long.
        """
        partials = self._partials
        while partials:
            key = next(iter(partials))
            if now - partials[key].time < self._maxAge:
                break
            self._drop(key)

    def clear(self) -> None:
        """
        Give up all.
        """
        while self._partials:
            self._drop(next(iter(self._partials)))

    def _drop(self, key: tuple[object, int]) -> None:
        partial = self._partials.pop(key)
        self.heldBytes -= partial.cost
        self.dropped += len(partial.pieces) - partial.missing
