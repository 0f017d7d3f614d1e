"""
Many proxies in a row, each with its policy, before an origin that always fails.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from hermes.errors import FlowError, RequestBroken, StreamRefused, TargetRefused
from hermes.http.deadline import readBudget, sendThroughBudget, writeBudget, writeSpent
from hermes.http.reliable import Delivery, Reliable
from hermes.http.retry import GATEWAY_ERRORS, REASONS, RetryPolicy
from hermes.interfaces import IRequestSender
from hermes.messages import Request, RequestRecord, Response
from hermes.test.http.delivery import FLOW, request, response
from hermes.values import RequestHead

Fate = Callable[[], "Response | FlowError"]


@implementer(IRequestSender)
class Origin:
    """
    Counts what reaches it.
    """

    def __init__(self, fate: Fate) -> None:
        self.fate = fate
        self.count = 0
        self.heads: list[RequestHead] = []

    def send(self, request: Request) -> Deferred[Response]:
        self.count += 1
        self.heads.append(request.head)
        outcome = self.fate()
        return fail(outcome) if isinstance(outcome, FlowError) else succeed(outcome)


@implementer(IRequestSender)
class Node:
    """
    A hop: what C{HopSender} writes and reads before it, and what the handler there does behind it, with nothing between
    but the heads.

    @ivar lost: whether the link to it breaks before its next answer comes back, and
    @ivar refused: whether there is no connection to it, each so many times.
    """

    def __init__(self, beyond: IRequestSender, clock: Clock) -> None:
        self._beyond = beyond
        self._clock = clock
        self.lost = 0
        self.refused = 0

    def send(self, request: Request) -> Deferred[Response]:
        if self.refused:
            self.refused -= 1
            return sendThroughBudget(request, fail(TargetRefused("the link is down")))
        now = self._clock.seconds()
        head = evolve(request.head, headers=request.head.headers + writeBudget(request, now))
        return sendThroughBudget(request, self._handle(head))

    def _handle(self, head: RequestHead) -> Deferred[Response]:
        budget = readBudget(head, self._clock.seconds())
        headers = tuple(pair for pair in head.headers if not pair[0].startswith(b"hermes-"))
        record = RequestRecord(FLOW, head, "2", 0.0)
        received = Request(
            evolve(head, headers=headers),
            FLOW,
            record,
            deadline=budget.deadline,
            retriesLeft=budget.retriesLeft,
            name=budget.name,
        )
        return self._beyond.send(received).addCallbacks(self._answer, self._refuse, (record,), {}, (record,), {})

    def _answer(self, answer: Response, record: RequestRecord) -> Response:
        if self.lost:
            self.lost -= 1
            raise RequestBroken("the link broke")
        head = answer.head
        return Response(evolve(head, headers=head.headers + writeSpent(record, answer.unsent)))

    def _refuse(self, failure: Failure, record: RequestRecord) -> Response:
        error: Any = failure.value
        refusal = response(error.status, (b"proxy-status", b"node; error=" + error.proxyStatus.encode()))
        refusal.unsent = not error.sent
        return self._answer(refusal, record)


class ChainTests(SynchronousTestCase):
    """
    Four nodes before the origin; the first is the one that the client asks.
    """

    def chain(self, fate: Fate, tries: list[int | None], body: int = 0) -> None:
        """
        @param tries: of each node's policy, the first node's first; L{None} for a node without one.
        """
        self.clock = Clock()
        self.origin = Origin(fate)
        self.nodes: list[Node] = []
        sender: IRequestSender = self.origin
        for place, count in reversed(list(enumerate(tries))):
            retry = None if count is None else RetryPolicy(REASONS, GATEWAY_ERRORS, count)
            sender = Reliable(sender, Delivery(retry), self.clock, Random(place))
            if place:
                sender = Node(sender, self.clock)
                self.nodes.insert(0, sender)
        self.first = sender

    def ask(self, asked: Request | None = None) -> Deferred[Response]:
        """
        Send a request, and let as much time pass as it takes.
        """
        answer = self.first.send(asked or request())
        for _ in range(10_000):
            if not self.clock.getDelayedCalls():
                break
            self.clock.advance(0.1)
        return answer

    FATES: tuple[Fate, ...] = (
        lambda: TargetRefused("no"),
        lambda: StreamRefused("no"),
        lambda: response(503),
        lambda: RequestBroken("no"),
    )

    def test_anOriginThatAlwaysFailsSeesAsManyTriesAsTheFirstNodeMakes(self) -> None:
        for fate in self.FATES:
            for tries in (1, 2, 3, 4, 8):
                self.chain(fate, [tries] * 4)
                asked = request()
                answer = self.successResultOf(self.ask(asked))
                self.assertIn(answer.head.status, (502, 503))
                self.assertEqual(self.origin.count, tries, (fate(), tries))
                self.assertEqual(asked.record.spent, tries - 1)

    def test_withoutTheBudgetTheyMultiply(self) -> None:
        """
        What the fields are for.
        """
        self.patch(Node, "send", lambda node, request: node._handle(request.head))
        self.chain(lambda: response(503), [3] * 4)
        self.successResultOf(self.ask())
        self.assertEqual(self.origin.count, 3**4)

    @given(st.lists(st.none() | st.integers(1, 9), min_size=1, max_size=6))
    def test_noChainTriesMoreOftenThanWhoeverSetsTheBudget(self, tries: list[int | None]) -> None:
        self.chain(lambda: response(503), tries)
        self.successResultOf(self.ask())
        most = next((count for count in tries if count is not None), 1)
        self.assertTrue(1 <= self.origin.count <= most)
        if len({count for count in tries if count is not None}) == 1:
            self.assertEqual(self.origin.count, most)

    @given(
        st.lists(st.integers(1, 12), min_size=2, max_size=5),
        st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=4, max_size=4),
    )
    def test_linksThatBreakAddNothing(self, tries: list[int], troubles: list[tuple[int, int]]) -> None:
        self.chain(lambda: response(503), list(tries))
        for node, (lost, refused) in zip(self.nodes, troubles, strict=False):
            node.lost, node.refused = lost, refused
        answer = self.ask()
        answer.addErrback(lambda failure: failure.trap(FlowError))
        self.successResultOf(answer)
        self.assertLessEqual(self.origin.count, tries[0])

    def test_aLinkThatBreaksIsRetriedBeforeIt(self) -> None:
        self.chain(lambda: response(200), [3] * 4)
        self.nodes[0].lost = 1
        self.assertEqual(self.successResultOf(self.ask()).head.status, 200)
        self.assertEqual(self.origin.count, 2)

    def test_whatNeverReachedTheOriginIsRetriedWhateverItIs(self) -> None:
        outcomes: list[Response | FlowError] = [TargetRefused("no"), response(200)]
        self.chain(lambda: outcomes.pop(0), [2] * 4)
        self.assertEqual(self.successResultOf(self.ask(request(b"POST"))).head.status, 200)

    def test_whatMayHaveReachedItIsNot(self) -> None:
        self.chain(lambda: RequestBroken("no"), [3] * 4)
        self.assertEqual(self.successResultOf(self.ask(request(b"POST"))).head.status, 502)
        self.assertEqual(self.origin.count, 1)

    def test_nothingOfOursReachesTheOrigin(self) -> None:
        self.chain(lambda: response(200), [3] * 4)
        self.successResultOf(self.ask(request(deadline=50.0)))
        self.assertEqual(self.origin.heads[0].headers, ())

    def test_theDeadlineHoldsAtEveryNode(self) -> None:
        self.chain(lambda: response(200), [None] * 4)
        stuck: Deferred[Response] = Deferred()
        given: list[float | None] = []

        def send(request: Request) -> Deferred[Response]:
            given.append(request.deadline)
            return stuck

        self.patch(self.origin, "send", send)
        answer = self.first.send(request(deadline=2.5))
        self.assertEqual(given, [2.5])
        self.clock.advance(2.5)
        self.failureResultOf(answer, FlowError)
        self.assertTrue(stuck.called, "the last node has not given it up")
