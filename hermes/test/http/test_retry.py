"""
What is retried, and when.
"""

from __future__ import annotations

from datetime import UTC, datetime
from random import Random

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.errors import (
    FlowError,
    HopRefused,
    NameNotFound,
    NoRoute,
    Overloaded,
    RequestBroken,
    ResponseTimeout,
    ShuttingDown,
    StreamRefused,
    TargetRefused,
)
from hermes.http.retry import CONNECT, GATEWAY_ERRORS, REASONS, REFUSED, RESET, TIMEOUT, Backoff, RetryPolicy
from hermes.http.retryafter import parseDate, retryAfter
from hermes.test.http.delivery import response
from hermes.values import ResponseHead

EVERYTHING = RetryPolicy(reasons=REASONS, statuses=GATEWAY_ERRORS)


class PolicyTests(SynchronousTestCase):
    def test_failuresHaveReasons(self) -> None:
        for error, reason in (
            (TargetRefused("x"), CONNECT),
            (NameNotFound("x"), CONNECT),
            (StreamRefused("x"), REFUSED),
            (RequestBroken("x"), RESET),
            (ResponseTimeout("x"), TIMEOUT),
            (HopRefused("x", 502, told="connection_refused"), CONNECT),
        ):
            self.assertEqual(EVERYTHING.reasonForError(b"GET", error), reason, error)
            only = RetryPolicy(reasons=frozenset({reason}))
            self.assertEqual(only.reasonForError(b"GET", error), reason)
            others = RetryPolicy(reasons=REASONS - {reason})
            self.assertIsNone(others.reasonForError(b"GET", error), error)

    def test_whatAnotherTryDoesNotChangeIsNotRetried(self) -> None:
        for error in (NoRoute("x"), Overloaded("x"), ShuttingDown("x"), FlowError("x"), ValueError("x")):
            self.assertIsNone(EVERYTHING.reasonForError(b"GET", error), error)

    def test_whatMayHaveHadAnEffectIsRetriedWhereItMayHappenTwice(self) -> None:
        self.assertIsNone(EVERYTHING.reasonForError(b"POST", RequestBroken("x")))
        self.assertEqual(EVERYTHING.reasonForError(b"PUT", RequestBroken("x")), RESET)
        everyMethod = RetryPolicy(methods=frozenset({b"POST"}))
        self.assertEqual(everyMethod.reasonForError(b"POST", RequestBroken("x")), RESET)
        self.assertIsNone(everyMethod.reasonForError(b"GET", RequestBroken("x")))

    def test_whatWasNotSentIsRetriedWhateverItIs(self) -> None:
        self.assertEqual(EVERYTHING.reasonForError(b"POST", TargetRefused("x")), CONNECT)
        sent = TargetRefused("x")
        sent.sent = True
        self.assertIsNone(EVERYTHING.reasonForError(b"POST", sent))

    def test_statusesAreRetried(self) -> None:
        self.assertEqual(EVERYTHING.reasonForResponse(b"GET", response(503)), "503")
        self.assertIsNone(EVERYTHING.reasonForResponse(b"GET", response(500)))
        self.assertIsNone(EVERYTHING.reasonForResponse(b"POST", response(503)))
        self.assertIsNone(EVERYTHING.reasonForResponse(b"GET", response(200)))
        self.assertEqual(RetryPolicy(statuses=frozenset({429})).reasonForResponse(b"GET", response(429)), "429")

    def test_aRefusalBeyondCountsAsWhatItSays(self) -> None:
        policy = RetryPolicy(reasons=frozenset({CONNECT}), statuses=frozenset())
        told = (b"proxy-status", b"exit; error=connection_refused, relay; received-status=502")
        self.assertEqual(policy.reasonForResponse(b"GET", response(502, told)), CONNECT)
        self.assertIsNone(policy.reasonForResponse(b"GET", response(502)))
        self.assertIsNone(policy.reasonForResponse(b"GET", response(404, told)))
        self.assertIsNone(policy.reasonForResponse(b"GET", response(502, (b"proxy-status", b"((("))))
        self.assertIsNone(policy.reasonForResponse(b"GET", response(502, (b"proxy-status", b"exit"))))

    def test_aRefusalBeyondThatSentNothingIsRetriedWhateverTheMethod(self) -> None:
        refused = response(502)
        refused.unsent = True
        self.assertEqual(EVERYTHING.reasonForResponse(b"POST", refused), "502")


class BackoffTests(SynchronousTestCase):
    @given(st.integers(0, 10_000), st.integers())
    def test_delaysAreBelowABoundThatDoubles(self, retries: int, seed: int) -> None:
        delay = Backoff(0.5, 8.0).delay(retries, Random(seed))
        self.assertTrue(0 <= delay <= min(8.0, 0.5 * 2 ** min(retries, 10)))

    def test_delaysFillTheWholeRange(self) -> None:
        random = Random(1)
        delays = [Backoff(1.0, 1.0).delay(3, random) for _ in range(1000)]
        self.assertLess(min(delays), 0.1)
        self.assertGreater(max(delays), 0.9)


def imf(seconds: int) -> bytes:
    return datetime.fromtimestamp(seconds, UTC).strftime("%a, %d %b %Y %H:%M:%S GMT").encode()


class RetryAfterTests(SynchronousTestCase):
    NOW = 1_800_000_000

    def test_theThreeFormatsOfADate(self) -> None:
        for text in (
            b"Sun, 06 Nov 1994 08:49:37 GMT",
            b"Sunday, 06-Nov-94 08:49:37 GMT",
            b"Sun Nov  6 08:49:37 1994",
        ):
            self.assertEqual(parseDate(text, self.NOW), 784111777.0, text)

    def test_aYearOfTwoDigitsIsAtMost50YearsAhead(self) -> None:
        year = 2027
        self.assertEqual(
            parseDate(b"Friday, 01-Jan-77 00:00:00 GMT", self.NOW), datetime(year + 50, 1, 1, tzinfo=UTC).timestamp()
        )
        self.assertEqual(
            parseDate(b"Saturday, 01-Jan-78 00:00:00 GMT", self.NOW), datetime(1978, 1, 1, tzinfo=UTC).timestamp()
        )

    @given(st.integers(0, 4_000_000_000))
    def test_datesRoundTrip(self, seconds: int) -> None:
        self.assertEqual(parseDate(imf(seconds), self.NOW), seconds)

    @given(st.binary(max_size=80))
    def test_noBytesBreakIt(self, value: bytes) -> None:
        head = ResponseHead(503, ((b"retry-after", value), (b"date", value)))
        seconds = retryAfter(head, self.NOW)
        self.assertTrue(seconds is None or seconds >= 0)

    def test_seconds(self) -> None:
        self.assertEqual(retryAfter(ResponseHead(503, ((b"retry-after", b"120"),)), self.NOW), 120)
        self.assertEqual(retryAfter(ResponseHead(503, ((b"retry-after", b"9" * 400),)), self.NOW), 1e9)
        self.assertIsNone(retryAfter(ResponseHead(503), self.NOW))
        for wrong in (b"-1", b"1.5", b"soon", b""):
            self.assertIsNone(retryAfter(ResponseHead(503, ((b"retry-after", wrong),)), self.NOW), wrong)

    def test_aDateIsComparedWithTheResponsesOwn(self) -> None:
        later = (b"retry-after", imf(self.NOW + 30))
        self.assertEqual(retryAfter(ResponseHead(503, (later,)), self.NOW), 30)
        own = (b"date", imf(self.NOW + 20))
        self.assertEqual(retryAfter(ResponseHead(503, (later, own)), self.NOW), 10)
        self.assertEqual(retryAfter(ResponseHead(503, (later,)), self.NOW + 60), 0)
