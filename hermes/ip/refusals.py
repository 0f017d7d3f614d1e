"""
What the sender of a packet is told when it does not get on: ICMP errors (RFC 792, RFC 4443), and not too many of them.
"""

from __future__ import annotations

from collections import Counter
from enum import Enum
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.interfaces import IReactorTime

from hermes.ip.prefixes import IPAddress
from hermes.values import Buffer
from hermes.wire import icmp, icmpv6
from hermes.wire.errors import MalformedError
from hermes.wire.ip import parse
from hermes.wire.offload import PLAIN

if TYPE_CHECKING:
    from hermes.ip.port import Port

RATE: Final = 100.0
"""
Errors a second and port, on the average (RFC 4443 section 2.4(f)).
"""

BURST: Final = 100.0

DUMMY: Final = ip_address("192.0.0.8")
"""
Where errors come from that have no other address (RFC 7600 section 4.8).
"""


class Why(Enum):
    """
    Why a packet did not get on.
    """

    MALFORMED = "malformed"
    SPOOFED = "spoofed"
    REFUSED = "refused"
    NO_ROUTE = "no route"
    UNREACHABLE = "unreachable"
    EXPIRED = "expired"
    TOO_BIG = "too big"
    NOT_FORWARDED = "not forwarded"


class Refusals:
    """
    Counts what does not get on, and answers some of it.

    @ivar counts: packets by L{Why}.
    @ivar unanswered: errors that were not sent, for there were too many.
    @ivar addresses: the node's own address for each version of IP, from which errors come.
    """

    def __init__(self, clock: IReactorTime, rate: float = RATE, burst: float = BURST) -> None:
        self.counts: Counter[Why] = Counter()
        self.unanswered = 0
        self.addresses: dict[int, IPAddress] = {}
        self._clock = clock
        self._rate = rate
        self._burst = burst
        # Of each port: what is left, and since when. A port that is gone takes its own along.
        self._buckets: dict[Any, tuple[float, float]] = {}

    def forget(self, port: Port) -> None:
        """
        A port is gone.
        """
        self._buckets.pop(port, None)

    def refuse(self, port: Port, frame: Buffer, why: Why, mtu: int = 0) -> None:
        """
        Count a packet, and tell who sent it through C{port}, where an error may be sent at all.

        @param mtu: for L{Why.TOO_BIG}: what fits.
        """
        self.counts[why] += 1
        packet = memoryview(frame)[len(PLAIN) :]
        version = packet[0] >> 4
        source = self.addresses.get(version)
        if source is None or not port.up:
            return
        if version == 4 and port.isHost:
            # The kernel takes nothing that comes from one of its own addresses.
            source = DUMMY if why is Why.EXPIRED else ip_address(bytes(packet[16:20]))
        try:
            parsed = parse(frame, len(PLAIN))
        except MalformedError:
            return
        mayAnswer = icmp.mayAnswer(parsed) if version == 4 else icmpv6.mayAnswer(parsed)
        if not mayAnswer:
            return
        if not self._allowed(port):
            self.unanswered += 1
            return
        answer = _answer4(packet, source, why, mtu) if version == 4 else _answer6(packet, source, why, mtu)
        port.write([PLAIN + answer])

    def _allowed(self, port: Port) -> bool:
        now = self._clock.seconds()
        left, since = self._buckets.get(port, (self._burst, now))
        left = min(left + (now - since) * self._rate, self._burst)
        allowed = left >= 1
        self._buckets[port] = (left - 1 if allowed else left, now)
        return allowed


def _answer4(packet: Buffer, source: Any, why: Why, mtu: int) -> bytes:
    match why:
        case Why.EXPIRED:
            return icmp.timeExceeded(packet, source)
        case Why.TOO_BIG:
            return icmp.fragmentationNeeded(packet, source, mtu)
        case Why.REFUSED | Why.NO_ROUTE:
            return icmp.destinationUnreachable(packet, source, icmp.ADMINISTRATIVELY_PROHIBITED)
    return icmp.destinationUnreachable(packet, source, icmp.HOST_UNREACHABLE)


def _answer6(packet: Buffer, source: Any, why: Why, mtu: int) -> bytes:
    match why:
        case Why.EXPIRED:
            return icmpv6.timeExceeded(packet, source)
        case Why.TOO_BIG:
            return icmpv6.packetTooBig(packet, source, mtu)
        case Why.REFUSED | Why.NO_ROUTE:
            return icmpv6.destinationUnreachable(packet, source, icmpv6.ADMINISTRATIVELY_PROHIBITED)
    return icmpv6.destinationUnreachable(packet, source, icmpv6.ADDRESS_UNREACHABLE)
