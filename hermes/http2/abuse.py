"""
Bounds on what a peer may make us do for nothing: rapid reset, floods of control frames. Sans-IO.
"""

from __future__ import annotations

from attrs import define, field, frozen
from h2.errors import ErrorCodes

from hermes.http2.frames import ConnectionError


@frozen
class FloodLimits:
    """
    Token buckets: C{(burst, tokens a second)} for each kind of frame.

    @ivar resets: RST_STREAM of requests that were not answered yet (CVE-2023-44487), streams that we had to reset for
        the peer's errors (CVE-2025-8671), and frames on streams that are gone. A client counts only the last.
    @ivar settings: SETTINGS that are not acknowledgements.
    @ivar pings: PING that are not acknowledgements. A peer that measures its path sends some tens a second.
    @ivar priorities: PRIORITY.
    @ivar empty: frames that carry nothing: DATA without END_STREAM, CONTINUATION.
    @ivar goAways: GOAWAY.
    @ivar windowUpdates: WINDOW_UPDATE beyond four for each DATA frame that we sent.
    @ivar unknown: frames of unknown types.
    """

    resets: tuple[int, float] = (1000, 100)
    settings: tuple[int, float] = (50, 2)
    pings: tuple[int, float] = (500, 100)
    priorities: tuple[int, float] = (5000, 500)
    empty: tuple[int, float] = (200, 20)
    goAways: tuple[int, float] = (20, 1)
    windowUpdates: tuple[int, float] = (10000, 1000)
    unknown: tuple[int, float] = (1000, 100)


@define
class TokenBucket:
    """
    @ivar burst: how many tokens it holds.
    @ivar rate: how many flow in each second.
    """

    kind: str
    burst: float
    rate: float
    tokens: float = field(init=False)
    filledAt: float = field(init=False, default=0.0)

    def __attrs_post_init__(self) -> None:
        self.tokens = self.burst

    def take(self, now: float) -> None:
        """
        Take a token.

        @raise ConnectionError: ENHANCE_YOUR_CALM where there is none.
        """
        if self.tokens < 1:
            self.tokens = min(self.burst, self.tokens + (now - self.filledAt) * self.rate)
            self.filledAt = now
            if self.tokens < 1:
                raise ConnectionError(ErrorCodes.ENHANCE_YOUR_CALM, f"too many {self.kind}")
        elif self.tokens >= self.burst:
            self.filledAt = now
        self.tokens -= 1

    def earn(self, tokens: float) -> None:
        """
        Put tokens in.
        """
        self.tokens = min(self.burst, self.tokens + tokens)


class FloodGuard:
    """
    The buckets of one connection.
    """

    def __init__(self, limits: FloodLimits) -> None:
        self.resets = TokenBucket("stream resets", *limits.resets)
        self.settings = TokenBucket("SETTINGS", *limits.settings)
        self.pings = TokenBucket("PINGs", *limits.pings)
        self.priorities = TokenBucket("PRIORITY frames", *limits.priorities)
        self.empty = TokenBucket("empty frames", *limits.empty)
        self.goAways = TokenBucket("GOAWAYs", *limits.goAways)
        self.windowUpdates = TokenBucket("WINDOW_UPDATEs", *limits.windowUpdates)
        self.unknown = TokenBucket("frames of unknown types", *limits.unknown)
