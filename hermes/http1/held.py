"""
What is written into a tunnel before it is open.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hermes.values import Buffer

HIGH_WATER = 64 * 1024


class Held:
    """
    Sent ahead, it would be a request in the eyes of a peer that refuses the tunnel; so it waits for the answer.

    @ivar ended: our direction is to end once the tunnel is open.
    """

    def __init__(self) -> None:
        self.ended = False
        self._buffers: list[bytes] = []
        self._size = 0
        self._paused = False

    def add(self, buffers: Sequence[Buffer], producer: Any) -> None:
        """
        Keep a copy.

        @param producer: is paused when much is held; L{None} where there is none.
        """
        if self.ended:
            return
        data = b"".join(buffers)
        self._buffers.append(data)
        self._size += len(data)
        if self._size > HIGH_WATER and producer is not None and not self._paused:
            self._paused = True
            producer.pauseProducing()

    def release(self, transport: Any, producer: Any) -> None:
        """
        The tunnel is open.
        """
        buffers = self.clear()
        if buffers:
            transport.writeSequence(buffers)
        if self.ended:
            transport.loseWriteConnection()
        if self._paused and producer is not None:
            self._paused = False
            producer.resumeProducing()

    def clear(self) -> list[bytes]:
        """
        Forget what is held.

        @return: it.
        """
        buffers, self._buffers = self._buffers, []
        self._size = 0
        return buffers
