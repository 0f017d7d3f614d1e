"""
The deadline and the budget on the wire.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.trial.unittest import SynchronousTestCase

from hermes.errors import BadRequest, RequestBroken, StreamRefused
from hermes.http.deadline import (
    MAX_DEADLINE,
    MAX_RETRIES,
    NO_BUDGET,
    Budget,
    readBudget,
    sendThroughBudget,
    writeBudget,
    writeSpent,
)
from hermes.messages import Response
from hermes.test.http.delivery import request, response
from hermes.values import Headers, RequestHead

NAMES = st.text("abcXYZ019-_", min_size=1, max_size=64).map(str.encode)


def read(headers: Headers, now: float = 0.0) -> Budget:
    """
    What these fields say.
    """
    return readBudget(RequestHead(b"GET", headers=headers), now)


class FieldTests(SynchronousTestCase):
    @given(
        st.none() | st.integers(0, 86_400_000),
        st.none() | st.integers(0, MAX_RETRIES),
        st.none() | NAMES,
        st.floats(0, 1e9),
    )
    def test_whatIsWrittenIsRead(self, left: int | None, retries: int | None, name: bytes | None, now: float) -> None:
        deadline = None if left is None else now + left / 1000
        asked = request(deadline=deadline, retriesLeft=retries, name=name)
        budget = read(((b"accept", b"*/*"), *writeBudget(asked, now)), now)
        self.assertEqual((budget.retriesLeft, budget.name), (retries, name))
        if deadline is None:
            self.assertIsNone(budget.deadline)
        else:
            assert budget.deadline is not None
            self.assertTrue(deadline - 0.0011 <= budget.deadline <= deadline + 1e-6)

    def test_nothingIsWrittenWhereNothingWasSaid(self) -> None:
        self.assertEqual(writeBudget(request(), 0.0), ())
        self.assertIs(read(((b"accept", b"*/*"),)), NO_BUDGET)

    def test_whatIsPastIsNone(self) -> None:
        self.assertEqual(
            writeBudget(request(deadline=1.0, retriesLeft=-3), 2.0),
            ((b"hermes-deadline", b"0"), (b"hermes-retries", b"0")),
        )

    def test_theBoundsHold(self) -> None:
        budget = read(((b"hermes-deadline", b"9999999999"), (b"hermes-retries", b"9999999999")), 5.0)
        self.assertEqual(budget, Budget(5.0 + MAX_DEADLINE, MAX_RETRIES))

    def test_whatIsNotAsItMustBeIsRefused(self) -> None:
        for field in (b"hermes-deadline", b"hermes-retries"):
            for value in (b"", b"-1", b"1.5", b"a", b"12345678901", "\N{SUPERSCRIPT TWO}".encode("latin-1")):
                self.assertRaises(BadRequest, read, ((field, value),))
        for name in (b"", b"a b", b"a" * 65, b"\xff"):
            self.assertRaises(BadRequest, read, ((b"hermes-request", name),))

    @given(st.sampled_from([b"hermes-deadline", b"hermes-retries", b"hermes-request"]), st.binary(max_size=80))
    def test_noBytesBreakIt(self, field: bytes, value: bytes) -> None:
        try:
            budget = read(((field, value),))
        except BadRequest:
            return
        self.assertNotEqual(budget, NO_BUDGET)


class AccountTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.request = request(retriesLeft=5)

    def answered(self, *fields: tuple[bytes, bytes], status: int = 200) -> Response:
        """
        What becomes of a response with these fields.
        """
        return self.successResultOf(sendThroughBudget(self.request, succeed(response(status, *fields))))

    @given(st.integers(0, 5), st.booleans())
    def test_whatIsWrittenIsCounted(self, spent: int, unsent: bool) -> None:
        beyond = request()
        beyond.record.spent = spent
        self.request = request(retriesLeft=5)
        answer = self.answered((b"a", b"1"), *writeSpent(beyond.record, unsent), status=502)
        self.assertEqual(answer.head.headers, ((b"a", b"1"),))
        self.assertEqual((self.request.record.spent, answer.unsent), (spent, unsent))

    def test_neverMoreThanWasGiven(self) -> None:
        self.answered((b"hermes-retries-spent", b"999"))
        self.assertEqual(self.request.record.spent, 5)

    def test_whoeverAnswersAndSaysNothingKnowsNoBudget(self) -> None:
        self.answered()
        self.answered((b"hermes-retries-spent", b"many"))
        self.assertEqual(self.request.record.spent, 0)

    def test_unsentIsForFailures(self) -> None:
        self.assertFalse(self.answered((b"hermes-retries-spent", b"0;unsent")).unsent)

    def test_whoeverIsLostHasSpentAll(self) -> None:
        self.failureResultOf(sendThroughBudget(self.request, fail(RequestBroken("gone"))), RequestBroken)
        self.assertEqual(self.request.record.spent, 5)

    def test_whoeverIsGivenUpHasSpentAll(self) -> None:
        answer = sendThroughBudget(self.request, Deferred())
        answer.cancel()
        self.failureResultOf(answer, CancelledError)
        self.assertEqual(self.request.record.spent, 5)

    def test_whoeverNeverHadItHasSpentNothing(self) -> None:
        self.failureResultOf(sendThroughBudget(self.request, fail(StreamRefused("no"))), StreamRefused)
        self.assertEqual(self.request.record.spent, 0)
