"""
Best-effort reliability of a link (NDNLPv2, section "Link-layer reliability"): what is sent has a TxSequence, what
arrives is acknowledged, and what is not acknowledged is sent again, a few times. Sans-IO: time is an argument.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import Any, Final

from hermes.ndn.face.reassembly import SEQUENCES
from hermes.ndn.face.roundtrip import RoundTrip
from hermes.ndn.packet.lp import encode
from hermes.ndn.packet.peek import InterestView

MAX_RETRANSMISSIONS: Final = 3
"""
How often a fragment is sent again before its packet is given up (as NFD).
"""

PASSED: Final = 3
"""
A fragment counts as lost once so many that were sent after it are acknowledged (as NFD).
"""

MAX_WAITING: Final = 4096
"""
Fragments that may wait to be acknowledged; beyond, the oldest is given up. Also how many acknowledgements of ours may
wait, and how many sequence numbers of the peer's are remembered.
"""

MAX_WAITING_BYTES: Final = 8 * 1024 * 1024
"""
What those fragments may hold.
"""

ACK_DELAY: Final = 0.005
"""
Seconds that an acknowledgement waits for a packet to go with (as NFD).
"""

ACK_SIZE: Final = 12
"""
Bytes of one Ack field.
"""

REMEMBERED: Final = 5.0
"""
Seconds for which the sequence numbers of what has arrived are remembered: what is sent again comes within that time,
and a peer that was started anew and counts from the same number again is heard after it.
"""


class Sending:
    """
    A network packet on its way.

    @ivar view: the Interest, where it is one.
    @ivar waiting: the TxSequences of its fragments that are not acknowledged.
    @ivar givenUp: whether it is not sent again.
    """

    __slots__ = ("givenUp", "view", "waiting")

    def __init__(self, view: InterestView | None = None) -> None:
        self.view = view
        self.waiting: set[int] = set()
        self.givenUp = False


class _Fragment:
    """
    A fragment that is not acknowledged.
    """

    __slots__ = ("fields", "passed", "payload", "retries", "sending", "time")

    def __init__(self, payload: bytes, fields: dict[str, Any], sending: Sending, time: float) -> None:
        self.payload = payload
        self.fields = fields
        self.sending = sending
        self.time = time
        self.passed = 0
        self.retries = 0


class Reliability:
    """
    One end of a link.

    @ivar lost: Interests that were given up, L{None} for another packet; whoever reads them takes them out.
    @ivar retransmitted: how many fragments were sent again.
    """

    def __init__(self, firstSequence: int = 0) -> None:
        """
        @param firstSequence: the first TxSequence.
        """
        self.lost: list[InterestView | None] = []
        self.retransmitted = 0
        self.roundTrip = RoundTrip()
        self._next = firstSequence
        # Oldest first, and so in the order of their TxSequences, which may wrap.
        self._waiting: OrderedDict[int, _Fragment] = OrderedDict()
        self._waitingBytes = 0
        self._acks: OrderedDict[int, None] = OrderedDict()
        self._ackSince: float | None = None
        self._seen: OrderedDict[int, float] = OrderedDict()

    def __len__(self) -> int:
        """
        How many fragments are not acknowledged.
        """
        return len(self._waiting)

    # Sending

    def send(self, payload: bytes, fields: dict[str, Any], sending: Sending, now: float, room: int = 0) -> bytes:
        """
        Encode a fragment, and wait for its acknowledgement.

        @param fields: arguments for L{encode}, without C{txSequence} and C{acks}.
        @param room: bytes that are left for acknowledgements of ours.
        """
        return self._send(_Fragment(payload, fields, sending, now), self.takeAcks(room) if self._acks else ())

    def _send(self, fragment: _Fragment, acks: tuple[int, ...] = ()) -> bytes:
        number = self._next
        self._next = (number + 1) % SEQUENCES
        self._waiting[number] = fragment
        self._waitingBytes += len(fragment.payload)
        fragment.sending.waiting.add(number)
        while len(self._waiting) > MAX_WAITING or self._waitingBytes > MAX_WAITING_BYTES:
            self._giveUp(next(iter(self._waiting.values())).sending)
        return encode(fragment.payload, **fragment.fields, acks=acks, txSequence=number)

    def acknowledged(self, numbers: tuple[int, ...], now: float) -> list[bytes]:
        """
        The peer has got these.

        @return: what is to be sent again.
        """
        again: list[_Fragment] = []
        for number in numbers:
            fragment = self._waiting.get(number)
            if fragment is None:
                continue
            if not fragment.retries:
                self.roundTrip.measured(now - fragment.time)
            # Before it is taken out: what is before it in order was sent before it.
            for earlier, other in list(self._before(number)):
                other.passed += 1
                if other.passed >= PASSED:
                    self._take(earlier)
                    again.append(other)
            self._take(number)
        return self._again(again, now)

    def _before(self, number: int) -> Iterator[tuple[int, _Fragment]]:
        for earlier, fragment in self._waiting.items():
            if earlier == number:
                return
            yield earlier, fragment

    def expire(self, now: float) -> list[bytes]:
        """
        What was not acknowledged in time.

        @return: what is to be sent again.
        """
        late: list[_Fragment] = []
        timeout = self.roundTrip.timeout
        while self._waiting:
            number, fragment = next(iter(self._waiting.items()))
            if fragment.time + timeout > now:
                break
            self._take(number)
            late.append(fragment)
        if late:
            self.roundTrip.backOff()
        return self._again(late, now)

    def _again(self, fragments: list[_Fragment], now: float) -> list[bytes]:
        packets: list[bytes] = []
        for fragment in fragments:
            sending = fragment.sending
            if sending.givenUp:
                continue
            if fragment.retries >= MAX_RETRANSMISSIONS:
                self._giveUp(sending)
                continue
            fragment.retries += 1
            fragment.passed = 0
            fragment.time = now
            self.retransmitted += 1
            packets.append(self._send(fragment))
        return packets

    def _take(self, number: int) -> None:
        fragment = self._waiting.pop(number)
        self._waitingBytes -= len(fragment.payload)
        fragment.sending.waiting.discard(number)

    def _giveUp(self, sending: Sending) -> None:
        """
        Without one of its fragments the others are of no use.
        """
        for number in list(sending.waiting):
            self._take(number)
        sending.givenUp = True
        self.lost.append(sending.view)

    # Receiving

    def received(self, number: int, sequence: int | None, now: float) -> bool:
        """
        A fragment came.

        @param number: its TxSequence, which is acknowledged.
        @param sequence: its Sequence, which stays the same when it is sent again.
        @return: whether it is new.
        """
        self._acks[number] = None
        if len(self._acks) > MAX_WAITING:
            self._acks.popitem(last=False)
        if self._ackSince is None:
            self._ackSince = now
        if sequence is None:
            return True
        seen = self._seen
        while seen and (len(seen) >= MAX_WAITING or next(iter(seen.values())) <= now - REMEMBERED):
            seen.popitem(last=False)
        if sequence in seen:
            return False
        seen[sequence] = now
        return True

    def takeAcks(self, room: int) -> tuple[int, ...]:
        """
        The oldest acknowledgements, as many as C{room} bytes hold.
        """
        count = min(room // ACK_SIZE, len(self._acks))
        acks = tuple(self._acks.popitem(last=False)[0] for _ in range(count))
        if not self._acks:
            self._ackSince = None
        return acks

    def nextEvent(self) -> float | None:
        """
        When, in seconds of the clock, something is to be done if nothing happens: L{expire}, or acknowledgements to be
        sent alone.
        """
        times = [] if self._ackSince is None else [self._ackSince + ACK_DELAY]
        if self._waiting:
            times.append(next(iter(self._waiting.values())).time + self.roundTrip.timeout)
        return min(times, default=None)

    def ackIsDue(self, now: float) -> bool:
        """
        Whether acknowledgements have waited for long enough.
        """
        return self._ackSince is not None and self._ackSince + ACK_DELAY <= now
