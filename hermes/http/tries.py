"""
One request, sent until there is a response to hand on.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any, Final

from attrs import define, evolve
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from hermes.errors import RequestBroken, ResponseTimeout
from hermes.http.replay import KeptBody, Replay
from hermes.http.retry import RetryPolicy
from hermes.http.retryafter import retryAfter
from hermes.interfaces import IRequestSender
from hermes.messages import Request, Response

HEDGE: Final = "hedge"
"""
Why a request was sent again, in its record, where it was sent beside one that had no response yet.
"""

MAX_RETRY_AFTER: Final = 60.0
"""
Seconds: whoever asks to be left alone for longer is not asked again, where there is no deadline.
"""

Permit = Callable[[], "Callable[[], None] | None"]
"""
Asked before a request is sent again: gives what is called once that try is over, or L{None} where it may not be sent.
"""

NO_RETRIES: Final = RetryPolicy(reasons=frozenset(), statuses=frozenset(), tries=1)
"""
Of whoever has no policy: what is left of the budget is for others to spend.
"""


class DeadlineExceeded(ResponseTimeout):
    """
    The deadline has passed.
    """


@define(eq=False)
class _Try:
    """
    One time that the request is sent.

    @ivar given: how much of the retry budget went with it.
    @ivar body: the request's body, as this try reads it; L{None} where it has none, or it can be read but once.
    @ivar response: what it will be answered.
    @ivar timer: gives it up.
    @ivar timedOut: it was.
    @ivar over: there is an answer, or a failure.
    @ivar release: called once it is over.
    """

    given: int
    body: Replay | None = None
    response: Deferred[Response] | None = None
    timer: Any = None
    timedOut: bool = False
    over: bool = False
    release: Callable[[], None] | None = None


class Tries:
    """
    Sends one request: again where its policy and its budget say so, and beside a try that takes long.

    It ends in one of these ways: a response is handed on; the last try has failed; the deadline passes; it is
    cancelled.
    """

    log = Logger()

    def __init__(
        self,
        sender: IRequestSender,
        policy: RetryPolicy,
        clock: IReactorTime,
        random: Random,
        permit: Permit | None,
        request: Request,
    ) -> None:
        """
        @param permit: says whether the upstream bears one more; L{None} where it always does.
        """
        self._sender = sender
        self._policy = policy
        self._clock = clock
        self._random = random
        self._permit = permit
        self._request = request
        self._method = request.head.method
        self._kept: KeptBody | None = None
        if request.body is not None and policy.tries > 1:
            self._kept = KeptBody(request.body, policy.bodyLimit)
        self._spentBefore = request.record.spent
        # The smaller of the two bounds holds; whoever has no policy passes on what there is, be it nothing.
        self._total = request.retriesLeft
        if policy is not NO_RETRIES:
            own = policy.tries - 1
            self._total = own if self._total is None else min(own, self._total)
        self._open: list[_Try] = []
        self._retries = 0
        self._hedges = 0
        self._over = False
        self._backoff: Any = None
        self._release: Callable[[], None] | None = None
        self._hedge: Any = None
        self._deadline: Any = None
        self._done: Deferred[Response] = Deferred(self._cancelled)

    def begin(self) -> Deferred[Response]:
        """
        Fires with the response that is handed on. Called once.
        """
        deadline = self._request.deadline
        if deadline is not None:
            left = deadline - self._clock.seconds()
            if left <= 0:
                self._tooLate()
                return self._done
            self._deadline = self._clock.callLater(left, self._tooLate)
        self._send()
        return self._done

    # The budget

    def _available(self) -> int:
        """
        How often the request may still be sent again, by us or by the nodes beyond, besides what they have been given.
        """
        spent = self._request.record.spent - self._spentBefore
        return (self._total or 0) - spent - sum(one.given for one in self._open)

    def _permitted(self) -> tuple[bool, Callable[[], None] | None]:
        if self._policy is NO_RETRIES or self._available() <= 0:
            return False, None
        if self._kept is not None and not self._kept.replayable:
            return False, None
        if self._permit is None:
            return True, None
        release = self._permit()
        return release is not None, release

    def _spend(self, reason: str) -> None:
        record = self._request.record
        record.spent += 1
        record.retries += (reason,)

    # Trying

    def _send(self, release: Callable[[], None] | None = None, hedge: bool = False) -> None:
        request, policy = self._request, self._policy
        kept = self._kept
        given = None
        if self._total is not None:
            # Half of it stays here: what the next node was given is lost where that node is.
            available = max(0, self._available())
            given = available if policy is NO_RETRIES else available // 2
        one = _Try(given or 0, None if kept is None else kept.replay(), release=release)
        again = evolve(
            request,
            body=one.body or request.body,
            retriesLeft=given,
            # A node that knows it again would answer both with the same.
            name=None if hedge else request.name,
        )
        self._open.append(one)
        if policy.perTry is not None:
            one.timer = self._clock.callLater(policy.perTry, self._tryTooSlow, one)
        hedging = policy.hedging
        if hedging is not None and self._hedge is None and request.body is None and self._hedges < hedging.most:
            self._hedge = self._clock.callLater(hedging.after, self._sendBeside)
        one.response = response = self._sender.send(again)
        response.addCallbacks(self._answered, self._failed, (one,), {}, (one,), {})
        response.addErrback(self._crashed)

    def _sendBeside(self) -> None:
        self._hedge = None
        if self._method not in self._policy.methods:
            return
        permitted, release = self._permitted()
        if permitted:
            self._hedges += 1
            self._spend(HEDGE)
            self._send(release, hedge=True)

    def _tryTooSlow(self, one: _Try) -> None:
        one.timer = None
        one.timedOut = True
        self._give(one)

    def _give(self, one: _Try) -> None:
        """
        Give a try up.
        """
        response = one.response
        if response is not None and not one.over:
            response.cancel()

    def _settle(self, one: _Try) -> None:
        one.over = True
        self._open.remove(one)
        if one.timer is not None:
            one.timer.cancel()
            one.timer = None
        release, one.release = one.release, None
        if release is not None:
            release()

    def _answered(self, response: Response, one: _Try) -> None:
        self._settle(one)
        if self._over:
            _discard(response)
            return
        reason = self._policy.reasonForResponse(self._method, response)
        if reason is None:
            self._hand(response)
        elif self._open or self._again(reason, one, retryAfter(response.head, self._clock.seconds())):
            _discard(response)
        else:
            self._hand(response)

    def _failed(self, failure: Failure, one: _Try) -> None:
        self._settle(one)
        if self._over:
            return
        error: Any = failure.value
        if one.timedOut:
            error = ResponseTimeout(f"no response within {self._policy.perTry:g} s")
            failure = Failure(error)
        if self._open:
            return
        reason = self._policy.reasonForError(self._method, error)
        if reason is None or not self._again(reason, one, None):
            self._giveUp()
            self._done.errback(failure)

    def _again(self, reason: str, one: _Try, wait: float | None) -> bool:
        """
        Send the request again, a little later; whether it is.

        @param one: the try that has come to nothing.
        @param wait: how long the upstream wants to be left alone.
        """
        delay = max(wait or 0.0, self._policy.backoff.delay(self._retries, self._random))
        deadline = self._request.deadline
        if deadline is None:
            if wait is not None and wait > MAX_RETRY_AFTER:
                return False
        elif self._clock.seconds() + delay >= deadline:
            return False
        permitted, release = self._permitted()
        if not permitted:
            return False
        if one.body is not None:
            one.body.abandon()
        self._retries += 1
        self._spend(reason)
        self._cancelHedge()
        self._release = release
        self._backoff = self._clock.callLater(delay, self._sendAgain)
        return True

    def _sendAgain(self) -> None:
        self._backoff = None
        if self._kept is None or self._kept.replayable:
            release, self._release = self._release, None
            self._send(release)
            return
        # More of the body has come meanwhile than is kept, or no more will.
        self._giveUp()
        self._done.errback(RequestBroken("the request's body can't be sent again"))

    # The end

    def _hand(self, response: Response) -> None:
        self._finish()
        if self._kept is not None:
            self._kept.finish()
        self._done.callback(response)

    def _tooLate(self) -> None:
        self._deadline = None
        self._giveUp()
        self._done.errback(DeadlineExceeded("there was no response before the deadline"))

    def _cancelled(self, _: Deferred[Response]) -> None:
        self._giveUp()

    def _crashed(self, failure: Failure) -> None:
        self.log.failure("sending a request failed", failure)
        if not self._over:
            self._giveUp()
            self._done.errback(failure)

    def _giveUp(self) -> None:
        self._finish()
        if self._kept is not None:
            self._kept.close()

    def _finish(self) -> None:
        self._over = True
        self._cancelHedge()
        for timer in (self._deadline, self._backoff):
            if timer is not None:
                timer.cancel()
        self._deadline = self._backoff = None
        release, self._release = self._release, None
        if release is not None:
            release()
        for one in list(self._open):
            self._give(one)

    def _cancelHedge(self) -> None:
        hedge, self._hedge = self._hedge, None
        if hedge is not None:
            hedge.cancel()


def _discard(response: Response) -> None:
    if response.body is not None:
        response.body.stopProducing()
