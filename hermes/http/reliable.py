"""
Reliable delivery of requests: the parts put together.
"""

from __future__ import annotations

from random import Random

from attrs import evolve, frozen
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from hermes.http.resume import ResumedBody, ResumePolicy, resumable
from hermes.http.retry import GATEWAY_ERRORS, REASONS, RetryPolicy
from hermes.http.spools import Spools
from hermes.http.timed import TimedBody
from hermes.http.tries import NO_RETRIES, Permit, Tries
from hermes.interfaces import IRequestSender
from hermes.messages import Request, Response


@frozen
class Delivery:
    """
    What is done so that requests are answered.

    @ivar retry: when one is sent again; L{None} for never.
    @ivar timeout: seconds for a request and its whole response; L{None} for no bound of ours.
    @ivar resume: how a body that was cut short goes on; L{None} where it does not.
    """

    retry: RetryPolicy | None = None
    timeout: float | None = None
    resume: ResumePolicy | None = None


@implementer(IRequestSender)
class Reliable:
    """
    Sends requests through another sender, as often as need be.
    """

    def __init__(
        self,
        sender: IRequestSender,
        policy: Delivery,
        clock: IReactorTime,
        random: Random,
        permit: Permit | None = None,
    ) -> None:
        """
        @param permit: says whether the upstream bears a retry; L{None} where it always does.
        """
        self._sender = sender
        self._policy = policy
        self._clock = clock
        self._random = random
        self._permit = permit
        self._retry = policy.retry or NO_RETRIES
        self._partly = self._retry
        self._spools: Spools | None = None
        if policy.resume is not None:
            self._partly = evolve(
                self._retry,
                reasons=self._retry.reasons | REASONS,
                statuses=self._retry.statuses | GATEWAY_ERRORS,
                tries=policy.resume.tries,
                backoff=policy.resume.backoff,
                hedging=None,
            )
            if policy.resume.spool is not None:
                self._spools = Spools(policy.resume.spool, self._deliver, clock)

    def send(self, request: Request) -> Deferred[Response]:
        timeout = self._policy.timeout
        if timeout is not None:
            deadline = self._clock.seconds() + timeout
            if request.deadline is None or deadline < request.deadline:
                request = evolve(request, deadline=deadline)
        if self._policy.resume is not None and request.head.method == b"GET":
            if request.name is None:
                request = evolve(request, name=b"%024x" % self._random.getrandbits(96))
            elif self._spools is not None and request.flow.identity.node is not None and request.body is None:
                return self._spools.send(request)
        return self._deliver(request)

    def _deliver(self, request: Request) -> Deferred[Response]:
        resume = self._policy.resume
        response = self._tries(request, self._retry)
        if resume is not None or request.deadline is not None:
            response.addCallback(self._attended, request)
        return response

    def _tries(self, request: Request, policy: RetryPolicy) -> Deferred[Response]:
        return Tries(self._sender, policy, self._clock, self._random, self._permit, request).begin()

    def _sendPart(self, request: Request) -> Deferred[Response]:
        return self._tries(request, self._partly)

    def _attended(self, response: Response, request: Request) -> Response:
        body, resume = response.body, self._policy.resume
        if body is None or request.head.method == b"CONNECT":
            return response
        if resume is not None:
            known = resumable(request, response)
            if known is not None:
                body = ResumedBody(request, response, known, resume, self._sendPart, self._clock, self._random)
        if request.deadline is not None:
            body = TimedBody(body, request.deadline, self._clock)
        response.body = body
        return response
