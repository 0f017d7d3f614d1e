"""
Frames, made by scapy.
"""

from __future__ import annotations

from typing import Any

from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.packet import Raw

from hermes.wire.offload import PLAIN


def packet(size: int = 100, number: int = 0) -> bytes:
    """
    A frame with an ordinary packet.
    """
    return PLAIN + bytes(IP(src="10.0.0.1", dst="10.0.0.2", id=number) / UDP(sport=1, dport=2) / Raw(bytes(size)))


def partial(ip: Any, payload: bytes, segment: int = 0) -> bytes:
    """
    A frame as a TUN device gives it: its checksum, of UDP or TCP, holds the sum of the pseudo header, and with
    C{segment} it is to be cut into packets of so much payload.
    """
    tcp = TCP in ip
    whole = bytearray(bytes(ip / Raw(payload)))
    start = 40 if IPv6 in ip else 20
    source, destination = (8, 24) if IPv6 in ip else (12, 16)
    width = 16 if IPv6 in ip else 4
    pseudo = bytes(whole[source : source + width] + whole[destination : destination + width])
    pseudo += (len(whole) - start).to_bytes(4, "big") + bytes((0, 0, 0, 6 if tcp else 17))
    total = sum(int.from_bytes(pseudo[at : at + 2], "big") for at in range(0, len(pseudo), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    offset = 16 if tcp else 6
    whole[start + offset : start + offset + 2] = total.to_bytes(2, "big")
    kind = 0 if not segment else 5 if not tcp else 4 if IPv6 in ip else 1
    headers = start + (20 if tcp else 8)
    header = bytes((1, kind)) + b"".join(
        value.to_bytes(2, "little") for value in (headers if segment else 0, segment, start, offset)
    )
    return header + bytes(whole)


BULK = partial(IP(dst="10.0.0.2") / TCP(sport=1, dport=2), b"t" * 60_000, 1400)
"""
60,000 bytes of TCP.
"""
