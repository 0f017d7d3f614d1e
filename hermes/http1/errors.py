"""
What the peer did wrong.
"""

from __future__ import annotations

from hermes.errors import HermesError


class Malformed(HermesError):
    """
    The peer's bytes are not HTTP/1.1 as RFC 9112 has it, or pass one of our bounds. The connection can't go on: where
    the next message begins is not known.

    @ivar status: the status that answers it, where we are the server.
    """

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status
