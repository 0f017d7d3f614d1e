"""
Forwarding hints: where to look for Data whose name alone does not lead there (packet format v0.3, section
"ForwardingHint").
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from hermes.ndn.packet.peek import InterestView, marked, peekInterest
from hermes.ndn.packet.tlv import elements, encodeNumber, readHead
from hermes.ndn.packet.typenumbers import FORWARDING_HINT

MAX_DELEGATIONS: Final = 16
"""
So many names of a hint are looked at.
"""


class Regions:
    """
    The names of the regions that this forwarder is in (NFD's network region table): an Interest with a hint that leads
    here has arrived, and goes on by its own name.
    """

    def __init__(self, names: Iterable[bytes] = ()) -> None:
        """
        @param names: values of names.
        """
        self.names = frozenset(names)

    def __bool__(self) -> bool:
        return bool(self.names)

    def reached(self, hint: Sequence[bytes]) -> bool:
        """
        Whether one of the names in a hint is a region of ours, or a prefix of one.
        """
        # Components are self-delimiting: what begins with the bytes begins with the components.
        return any(region.startswith(name) for name in hint[:MAX_DELEGATIONS] for region in self.names)


def withoutHint(view: InterestView) -> InterestView:
    """
    The same Interest without a forwarding hint.
    """
    wire = view.wire
    start = readHead(wire, 0, len(wire))[1]
    position = start
    pieces = []
    for kind, _, stop in elements(wire, start, len(wire)):
        if kind != FORWARDING_HINT:
            pieces.append(wire[position:stop])
        position = stop
    value = b"".join(pieces)
    return marked(peekInterest(b"".join((b"\x05", encodeNumber(len(value)), value))), view.congestionMark)
