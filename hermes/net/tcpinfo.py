"""
What the kernel knows of a TCP connection.
"""

from __future__ import annotations

import socket
from struct import unpack_from
from typing import Final, NamedTuple

_SIZE: Final = 256
_RTT: Final = 8 + 15 * 4
_TOTAL_RETRANS: Final = 8 + 23 * 4
_DATA_SEGS_OUT: Final = 8 + 24 * 4 + 4 * 8 + 5 * 4
"""
Offsets in C{struct tcp_info} of Linux, which only grows at its end (linux/tcp.h).
"""


class TCPInfo(NamedTuple):
    """
    @ivar roundTrip: smoothed, in seconds; 0 before the first.
    @ivar sent: segments with data that were sent, those sent again included.
    @ivar resent: those that were sent again.
    """

    roundTrip: float
    sent: int
    resent: int


def tcpInfo(sock: socket.socket) -> TCPInfo | None:
    """
    @return: L{None} where the kernel does not tell: of a Unix socket, or on another system.
    """
    if not hasattr(socket, "TCP_INFO") or sock.family not in (socket.AF_INET, socket.AF_INET6):
        return None
    try:
        data = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _SIZE)
    except OSError:
        return None
    if len(data) < _DATA_SEGS_OUT + 4:
        return None
    (roundTrip,), (resent,), (sent,) = (unpack_from("=I", data, at) for at in (_RTT, _TOTAL_RETRANS, _DATA_SEGS_OUT))
    return TCPInfo(roundTrip / 1e6, sent, resent)
