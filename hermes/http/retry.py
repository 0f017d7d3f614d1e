"""
Which failures and responses a request is sent again for, and when. Pure: no time passes here.
"""

from __future__ import annotations

from random import Random
from typing import Final

from attrs import frozen

from hermes.errors import FlowError, Overloaded, ShuttingDown
from hermes.messages import Response
from hermes.values import ResponseHead
from hermes.wire.errors import MalformedError
from hermes.wire.fields import parseProxyStatus

IDEMPOTENT: Final = frozenset({b"GET", b"HEAD", b"OPTIONS", b"TRACE", b"PUT", b"DELETE"})
"""
Methods that may be sent twice (RFC 9110 section 9.2.2).
"""

CONNECT: Final = "connect"
REFUSED: Final = "refused"
RESET: Final = "reset"
TIMEOUT: Final = "timeout"

REASONS: Final = frozenset({CONNECT, REFUSED, RESET, TIMEOUT})
"""
Why there is no response: no connection; a stream that was refused unseen; a connection or stream that ended; none in
time.
"""

SERVER_ERRORS: Final = frozenset(range(500, 600))
GATEWAY_ERRORS: Final = frozenset({502, 503, 504})

BODY_LIMIT: Final = 65_536
"""
Bytes of a request's body that are kept, so that it can be sent again, where nothing else is said.
"""

_REASON_OF_TYPE: Final = {
    "dns_error": CONNECT,
    "dns_timeout": CONNECT,
    "destination_unavailable": CONNECT,
    "destination_ip_unroutable": CONNECT,
    "connection_refused": CONNECT,
    "connection_timeout": CONNECT,
    "connection_limit_reached": REFUSED,
    "connection_terminated": RESET,
    "http_response_incomplete": RESET,
    "connection_read_timeout": TIMEOUT,
    "connection_write_timeout": TIMEOUT,
    "http_response_timeout": TIMEOUT,
}


@frozen
class Backoff:
    """
    How long it is waited before a request is sent again: a random time between nothing and a bound that doubles.

    @ivar first: the bound before the first retry, in seconds.
    @ivar most: what the bound grows to.
    """

    first: float = 0.025
    most: float = 1.0

    def delay(self, retries: int, random: Random) -> float:
        """
        @param retries: how many there have been.
        """
        return random.uniform(0, min(self.most, self.first * 2.0 ** min(retries, 60)))


@frozen
class Hedging:
    """
    A second request beside the first, where that takes long.

    @ivar after: seconds without a response.
    @ivar most: how many beside the first.
    """

    after: float
    most: int = 1


@frozen
class RetryPolicy:
    """
    When a request is sent again.

    @ivar reasons: of L{REASONS}, and
    @ivar statuses: those of responses, for which it is.
    @ivar tries: how often it is sent at most, the first time included.
    @ivar perTry: seconds after which a try without a response is given up; L{None} for never.
    @ivar backoff: how long is waited before.
    @ivar methods: which requests may be sent again after something of them may have reached their target.
    @ivar hedging: L{None} for none.
    @ivar bodyLimit: bytes of a request's body that are kept to be sent again; one that is longer is not sent again.
    """

    reasons: frozenset[str] = frozenset({CONNECT, REFUSED, RESET})
    statuses: frozenset[int] = GATEWAY_ERRORS
    tries: int = 3
    perTry: float | None = None
    backoff: Backoff = Backoff()
    methods: frozenset[bytes] = IDEMPOTENT
    hedging: Hedging | None = None
    bodyLimit: int = BODY_LIMIT

    def reasonForError(self, method: bytes, error: BaseException) -> str | None:
        """
        Why a request that met this is sent again, for the record; L{None} where it is not.
        """
        if not isinstance(error, FlowError) or isinstance(error, Overloaded | ShuttingDown):
            return None
        reason = _REASON_OF_TYPE.get(error.cause)
        if reason is None or reason not in self.reasons:
            return None
        return reason if not error.sent or method in self.methods else None

    def reasonForResponse(self, method: bytes, response: Response) -> str | None:
        """
        The same for a response. The refusal of a proxy beyond counts as what it says in its Proxy-Status field, too.
        """
        head = response.head
        if head.status < 400:
            return None
        if method not in self.methods and not response.unsent:
            return None
        if head.status in self.statuses:
            return str(head.status)
        told = _toldReason(head)
        return told if told in self.reasons else None


def _toldReason(head: ResponseHead) -> str | None:
    value = head.get(b"proxy-status") if head.status in GATEWAY_ERRORS else None
    if value is None:
        return None
    try:
        members = parseProxyStatus(value)
    except MalformedError:
        return None
    for member in members:
        if member.error is not None:
            return _REASON_OF_TYPE.get(member.error)
    return None
