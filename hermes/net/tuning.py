"""
What every socket of TCP is told.
"""

from __future__ import annotations

import socket as sockets

OPTIONS = (
    (sockets.IPPROTO_TCP, sockets.TCP_NODELAY, 1),
    (sockets.SOL_SOCKET, sockets.SO_KEEPALIVE, 1),
    (sockets.IPPROTO_TCP, sockets.TCP_KEEPIDLE, 60),
    (sockets.IPPROTO_TCP, sockets.TCP_KEEPINTVL, 15),
    (sockets.IPPROTO_TCP, sockets.TCP_KEEPCNT, 4),
)
"""
What is written goes at once. A peer that vanished without a word is found out: a connection that is silent for a minute
is probed, each quarter of a minute, four times.
"""


def tune(socket: sockets.socket) -> None:
    """
    Set L{OPTIONS} on a socket of TCP. What a listening one accepts has them from it (Linux).
    """
    for level, option, value in OPTIONS:
        socket.setsockopt(level, option, value)
