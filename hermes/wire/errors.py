"""
What a codec raises.
"""

from __future__ import annotations


class MalformedError(ValueError):
    """
    Bytes that are not what the protocol allows. The text is fit for a peer and a log: it names no secret.

    @ivar status: the HTTP status that answers it, where it came in a request.
    """

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status
