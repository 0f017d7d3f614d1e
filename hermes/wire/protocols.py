"""
IP protocols that have a name (IANA's Protocol Numbers).
"""

from __future__ import annotations

from typing import Final

PROTOCOLS: Final = {
    "icmp": 1,
    "igmp": 2,
    "tcp": 6,
    "udp": 17,
    "gre": 47,
    "esp": 50,
    "ah": 51,
    "icmpv6": 58,
    "sctp": 132,
}
"""
Those that are more than curiosities, by name.
"""

_NAMES = {number: name for name, number in PROTOCOLS.items()}


def protocolName(number: int) -> str:
    """
    What a protocol is called; C{protocol 200} where it has no name here.
    """
    return _NAMES.get(number, f"protocol {number}")


def protocolNumber(value: str) -> int:
    """
    @param value: a name, or a number from 0 to 255 as text.
    @raise ValueError: with a sentence for the user.
    """
    number = PROTOCOLS.get(value.lower())
    if number is None and value.isascii() and value.isdigit() and len(value) <= 3:
        number = int(value)
    if number is None or number > 255:
        raise ValueError(f"{value!r} is not an IP protocol: write {', '.join(PROTOCOLS)} or a number from 0 to 255")
    return number
