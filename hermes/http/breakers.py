"""
Circuit breakers: how much of an upstream's requests goes on at once.
"""

from __future__ import annotations

from collections.abc import Callable

from attrs import define

MAX_REQUESTS = 65_536
MAX_RETRIES = 1_024


@define(eq=False)
class Breakers:
    """
    @ivar maxRequests: how many requests may go on at once.
    @ivar maxRetries: how many of them may have been sent before.
    @ivar requests: how many go on.
    @ivar retries: how many of them have been sent before.
    @ivar refused: how many requests, and retries, were refused for these bounds.
    """

    maxRequests: int = MAX_REQUESTS
    maxRetries: int = MAX_RETRIES
    requests: int = 0
    retries: int = 0
    refused: int = 0

    def permit(self) -> Callable[[], None] | None:
        """
        Whether a request may be sent once more: what is to be called once that is over; L{None} where it may not.
        """
        if self.retries >= self.maxRetries:
            self.refused += 1
            return None
        self.retries += 1
        return self._retried

    def _retried(self) -> None:
        self.retries -= 1
