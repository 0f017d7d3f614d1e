"""
The bounds of one connection.
"""

from __future__ import annotations

from attrs import frozen


@frozen
class Limits:
    """
    Sizes are in bytes, times in seconds.

    @ivar head: the longest request or response head; a longer request is answered 431.
    @ivar fields: the most fields in a head.
    @ivar trailers: the longest trailer section.
    @ivar discard: how much of a request body that nobody reads is read away to keep the connection; more closes it.
    @ivar headTime: from the first byte of a request, or from the connection's start, to the end of the head.
    @ivar idleTime: from the end of an exchange to the first byte of the next.
    @ivar goneTime: how long a request is still worked on whose client has ended its direction: some wait for the answer
        all the same, most have gone.
    @ivar lingerTime: how long a connection that we end waits for the peer to end it too, so that our last response is
        not lost in a reset.
    """

    head: int = 32 * 1024
    fields: int = 128
    trailers: int = 8 * 1024
    discard: int = 256 * 1024
    headTime: float = 10.0
    idleTime: float = 60.0
    goneTime: float = 60.0
    lingerTime: float = 2.0


DEFAULT_LIMITS = Limits()
