"""
Reliable delivery in the configuration of a route: see L{hermes.config.routes}.
"""

from __future__ import annotations

from attrs import field, frozen

from hermes.config.problems import Misfit
from hermes.config.types import Method, RetryReason, Seconds, Size
from hermes.http.resume import ResumePolicy
from hermes.http.retry import (
    BODY_LIMIT,
    GATEWAY_ERRORS,
    IDEMPOTENT,
    REASONS,
    SERVER_ERRORS,
    Backoff,
    Hedging,
    RetryPolicy,
)
from hermes.http.spool import SpoolPolicy

MAX_TRIES = 1000

_FIRST = Seconds(0.025)
_MOST = Seconds(1.0)
_BODY_LIMIT = Size(BODY_LIMIT)
_SPOOLED = Size(16 << 20)
_IN_MEMORY = Size(1 << 20)
_KEPT = Seconds(30.0)
_LEAST = Size(64 << 10)


@frozen
class BackoffConfig:
    """
    How long is waited before a request is sent again: a random time between nothing and a bound that doubles each time.

    @ivar first: the bound before the first retry.
    @ivar most: what the bound grows to.
    """

    first: Seconds = _FIRST
    most: Seconds = _MOST

    def __attrs_post_init__(self) -> None:
        if self.most < self.first:
            raise Misfit("is less than 'first'", below=("most",))

    def backoff(self) -> Backoff:
        """
        What it stands for.
        """
        return Backoff(self.first, self.most)


@frozen
class HedgeConfig:
    """
    A second request beside one that takes long; the first response wins. Only for requests without a body whose method
    is one of C{methods}.

    @ivar after: how long there is no response until then.
    @ivar most: how many beside the first, each so much later than the one before.
    """

    after: Seconds
    most: int = 1

    def __attrs_post_init__(self) -> None:
        if self.most < 1:
            raise Misfit("there is at least one", below=("most",))


@frozen
class RetryConfig:
    """
    When a request is sent again.

    @ivar on: what for. C{connect}: no connection, or no address. C{refused}: the stream was refused unseen. C{reset}:
        the connection ended before a response. C{timeout}: C{perTry} has passed. C{gateway}: all of these, and the
        statuses 502, 503, 504. C{5xx}: all of these, and every status from 500 on. A status: that one.
    @ivar tries: how often it is sent at most, by this proxy and those beyond, the first time included.
    @ivar perTry: how long a try may take until its response begins; left out, as long as there is time.
    @ivar backoff: how long is waited before. A response's Retry-After is honoured where it is longer.
    @ivar methods: which requests may be sent again after something of them may have reached their target; left out,
        those that are idempotent. What has not reached it is sent again whatever its method.
    @ivar hedge: whether one is sent beside another that takes long; left out, none is.
    @ivar bodyLimit: how much of a request's body is kept, so that it can be sent again; one that is longer is sent
        once.
    """

    on: tuple[RetryReason, ...] = (RetryReason("connect"), RetryReason("refused"), RetryReason("reset"))
    tries: int = 3
    perTry: Seconds | None = None
    backoff: BackoffConfig = field(factory=BackoffConfig)
    methods: tuple[Method, ...] = ()
    hedge: HedgeConfig | None = None
    bodyLimit: Size = _BODY_LIMIT

    def __attrs_post_init__(self) -> None:
        if not 1 <= self.tries <= MAX_TRIES:
            raise Misfit(f"between 1 and {MAX_TRIES} can be made", below=("tries",))
        if self.perTry is not None and self.perTry <= 0:
            raise Misfit("in no time there is no response", below=("perTry",))

    def policy(self) -> RetryPolicy:
        """
        What it stands for.
        """
        reasons: set[str] = set()
        statuses: set[int] = set()
        for word in self.on:
            if word in REASONS:
                reasons.add(word)
            elif word.isdigit():
                statuses.add(int(word))
            else:
                reasons |= REASONS
                statuses |= SERVER_ERRORS if word == "5xx" else GATEWAY_ERRORS
        return RetryPolicy(
            reasons=frozenset(reasons),
            statuses=frozenset(statuses),
            tries=self.tries,
            perTry=self.perTry,
            backoff=self.backoff.backoff(),
            methods=frozenset(method.encode() for method in self.methods) or IDEMPOTENT,
            hedging=None if self.hedge is None else Hedging(self.hedge.after, self.hedge.most),
            bodyLimit=self.bodyLimit,
        )


@frozen
class SpoolConfig:
    """
    How far a response that another proxy asked for is read ahead. Between two proxies, the link may be down while the
    links behind it are up: what one has begun it finishes though the other is away, and answers with it when that asks
    again. C{true} stands for a mapping with nothing in it.

    @ivar most: how much of one response is here at a time.
    @ivar memory: how much of that in memory, before all of it is in a temporary file.
    @ivar keep: how long a response goes on coming, and is kept, while nobody asks for it.
    """

    most: Size = _SPOOLED
    memory: Size = _IN_MEMORY
    keep: Seconds = _KEPT

    def __attrs_post_init__(self) -> None:
        if self.most < _LEAST:
            raise Misfit("is too little to be of use: at least 64KiB", below=("most",))

    def policy(self) -> SpoolPolicy:
        """
        What it stands for.
        """
        return SpoolPolicy(self.most, self.memory, self.keep)


@frozen
class ResumeConfig:
    """
    How the body of a response goes on that was cut short: the rest is asked for, where the response has a strong
    validator. C{true} stands for a mapping with nothing in it.

    @ivar tries: how often the rest is asked for without a byte of it.
    @ivar backoff: how long is waited before.
    @ivar stall: how long nothing may come, while some is wanted, until a body counts as cut short; left out, for ever.
    @ivar spool: whether what another proxy asked for is read ahead, and kept while that is away; left out, it is not.
    """

    tries: int = 10
    backoff: BackoffConfig = field(factory=BackoffConfig)
    stall: Seconds | None = None
    spool: SpoolConfig | None = None

    def __attrs_post_init__(self) -> None:
        if not 1 <= self.tries <= MAX_TRIES:
            raise Misfit(f"between 1 and {MAX_TRIES} can be made", below=("tries",))
        if self.stall is not None and self.stall <= 0:
            raise Misfit("in no time nothing comes", below=("stall",))

    def policy(self) -> ResumePolicy:
        """
        What it stands for.
        """
        return ResumePolicy(
            tries=self.tries,
            backoff=self.backoff.backoff(),
            stall=self.stall,
            spool=None if self.spool is None else self.spool.policy(),
        )
