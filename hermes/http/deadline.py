"""
The deadline and the retry budget of a request, as they travel with it over all hops: see C{docs/reference/wire.md}.

What is written goes to nodes of ours, and is read from them, alone.
"""

from __future__ import annotations

from typing import Final

from attrs import frozen
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from hermes.errors import BadRequest, FlowError
from hermes.messages import Request, RequestRecord, Response
from hermes.values import Headers, RequestHead, ResponseHead

DEADLINE: Final = b"hermes-deadline"
RETRIES: Final = b"hermes-retries"
NAME: Final = b"hermes-request"
SPENT: Final = b"hermes-retries-spent"

MAX_DEADLINE: Final = 86_400.0
"""
Seconds; a deadline that is further away is taken for this.
"""

MAX_RETRIES: Final = 10_000
"""
A larger budget is taken for this.
"""

MAX_NAME: Final = 64
"""
Characters of a request's name.
"""

_MAX_DIGITS = 10
_UNSENT: Final = b";unsent"
_NAME_CHARACTERS: Final = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")


@frozen
class Budget:
    """
    What a node says of a request that it sends on.

    @ivar deadline: when an answer is of no use any more, in seconds of our clock; L{None} for never.
    @ivar retriesLeft: how often it may still be sent again; L{None} where nobody has said.
    @ivar name: what the node calls it; L{None} where it gives it no name.
    """

    deadline: float | None = None
    retriesLeft: int | None = None
    name: bytes | None = None


NO_BUDGET: Final = Budget()


def readBudget(head: RequestHead, now: float) -> Budget:
    """
    What the node that sent C{head} says. Only for requests on a connection whose certificate named a node.

    @param now: in seconds of our clock.
    @raise BadRequest: where a value is not as it must be.
    """
    deadline = retries = name = None
    for field, value in head.headers:
        if field == DEADLINE:
            deadline = _number(DEADLINE, value)
        elif field == RETRIES:
            retries = _number(RETRIES, value)
        elif field == NAME:
            name = value
    if deadline is None and retries is None and name is None:
        return NO_BUDGET
    if name is not None and not (0 < len(name) <= MAX_NAME and _NAME_CHARACTERS.issuperset(name)):
        raise BadRequest("hermes-request is not a name")
    return Budget(
        None if deadline is None else now + min(deadline / 1000, MAX_DEADLINE),
        None if retries is None else min(retries, MAX_RETRIES),
        name,
    )


def writeBudget(request: Request, now: float) -> Headers:
    """
    What the next node is told of C{request}: nothing, where nobody has said anything.

    @param now: in seconds of our clock.
    """
    fields: Headers = ()
    if request.deadline is not None:
        left = max(0.0, min(request.deadline - now, MAX_DEADLINE))
        fields += ((DEADLINE, b"%d" % int(left * 1000)),)
    if request.retriesLeft is not None:
        fields += ((RETRIES, b"%d" % max(0, request.retriesLeft)),)
    if request.name is not None:
        fields += ((NAME, request.name),)
    return fields


def writeSpent(record: RequestRecord, unsent: bool = False) -> Headers:
    """
    What the node that sent the request is told with its response: how much of the budget was spent.

    @param unsent: whether surely nothing of the request has reached its target: the response is our refusal, for an
        error whose C{sent} is false, or such a one of the next hop (L{Response.unsent}).
    """
    return ((SPENT, b"%d%s" % (record.spent, _UNSENT if unsent else b"")),)


def sendThroughBudget(request: Request, response: Deferred[Response]) -> Deferred[Response]:
    """
    Keep account of what the next node spends: its response is relieved of what it says about that. Where there is no
    response, all that it was given counts as spent, save where it surely never had the request.

    @param request: as it was sent, with C{retriesLeft} as it was written.
    @param response: what was answered.
    """
    return response.addCallbacks(_settle, _lost, (request,), {}, (request,), {})


def _settle(response: Response, request: Request) -> Response:
    given = request.retriesLeft or 0
    spent = None
    for field, value in response.head.headers:
        if field == SPENT:
            number, _, parameter = value.partition(b";")
            if number.isdigit() and len(number) <= _MAX_DIGITS:
                spent = int(number)
                response.unsent = response.head.status >= 500 and parameter == _UNSENT[1:]
    # Whoever says nothing knows no budget: a proxy of another make, and it was given none to spend.
    if spent is not None:
        request.record.spent += min(spent, given)
        kept = tuple(pair for pair in response.head.headers if pair[0] != SPENT)
        response.head = ResponseHead(response.head.status, kept)
    return response


def _lost(failure: Failure, request: Request) -> Failure:
    error = failure.value
    if not isinstance(error, FlowError) or error.sent:
        request.record.spent += request.retriesLeft or 0
    return failure


def _number(field: bytes, value: bytes) -> int:
    if not value.isdigit() or len(value) > _MAX_DIGITS:
        raise BadRequest(f"{field.decode()} is not a number")
    return int(value)
