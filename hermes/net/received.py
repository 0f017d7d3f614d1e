"""
How much this process has received.
"""

from __future__ import annotations


class Received:
    """
    Counts what is read from sockets and devices.

    @ivar bytes: so many, as they came: with TLS, its records.
    """

    __slots__ = ("bytes",)

    def __init__(self) -> None:
        self.bytes = 0


received = Received()
"""
Of this process, as the kernel's own counters are.
"""
