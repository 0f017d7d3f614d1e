"""
Retries in a configuration.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hermes.config import ConfigError, RouteConfig, loadNodeText
from hermes.http.resume import ResumePolicy
from hermes.http.retry import GATEWAY_ERRORS, IDEMPOTENT, REASONS, SERVER_ERRORS, Backoff, Hedging, RetryPolicy
from hermes.http.spool import SpoolPolicy

NODE = "node: a\nlisteners: {}\nroutes:\n  - match: {any: true}\n    "


def route(text: str) -> RouteConfig:
    """
    The route with these keys beside its match.
    """
    return loadNodeText(NODE + text, "a.yaml", "/").routes[0]


def policy(text: str) -> RetryPolicy:
    """
    What C{retry} stands for.
    """
    retry = route(f"retry: {text}").retry
    assert retry is not None
    return retry.policy()


class RetryTests(SynchronousTestCase):
    def refused(self, text: str, message: str) -> None:
        """
        C{text} is refused with a message that holds C{message}.
        """
        error = self.assertRaises(ConfigError, route, text)
        self.assertIn(message, str(error))

    def test_theExampleOfTheDesign(self) -> None:
        self.assertEqual(policy("{on: [5xx, reset], tries: 3}"), RetryPolicy(REASONS, SERVER_ERRORS, 3))

    def test_everyKey(self) -> None:
        text = (
            "{on: [connect, 429, gateway], tries: 5, perTry: 2s, backoff: {first: 100ms, most: 3s}, "
            "methods: [GET, POST], hedge: {after: 200ms, most: 2}, bodyLimit: 1MiB}"
        )
        self.assertEqual(
            policy(text),
            RetryPolicy(
                REASONS,
                GATEWAY_ERRORS | {429},
                5,
                2.0,
                Backoff(0.1, 3.0),
                frozenset({b"GET", b"POST"}),
                Hedging(0.2, 2),
                1 << 20,
            ),
        )

    def test_byDefaultNothingIsSentTwiceThatMayHaveBeenAnswered(self) -> None:
        self.assertEqual(
            policy("{}"), RetryPolicy(frozenset({"connect", "refused", "reset"}), frozenset(), 3, methods=IDEMPOTENT)
        )

    def test_oneWordOrStatusStandsForAList(self) -> None:
        self.assertEqual(policy("{on: 503}").statuses, {503})
        self.assertEqual(policy("{on: timeout}").reasons, {"timeout"})

    def test_whatIsWrongIsSaid(self) -> None:
        self.refused("retry: {on: [conect]}", "found 'conect'")
        self.refused("retry: {on: [200]}", "200 is not a status of a failure")
        self.refused("retry: {tries: 0}", "between 1 and 1000")
        self.refused("retry: {perTry: 0}", "in no time")
        self.refused("retry: {backoff: {first: 2s}}", "is less than 'first'")
        self.refused("retry: {hedge: {after: 1s, most: 0}}", "at least one")
        self.refused("retry: {bodyLimit: 12MB}", "is not a size")
        self.refused("retry: {bodyLimit: -1}", "is negative")
        self.refused("timeout: 0s", "in no time")
        self.refused("deny: no\n    retry: {}", "goes with no other action")

    def test_resume(self) -> None:
        self.assertIsNone(route("resume: false").resume)
        resume = route("resume: true").resume
        assert resume is not None
        self.assertEqual(resume.policy(), ResumePolicy())
        resume = route("resume: {tries: 4, stall: 3s, backoff: {most: 5s}}").resume
        assert resume is not None
        self.assertEqual(resume.policy(), ResumePolicy(4, Backoff(0.025, 5.0), 3.0))
        resume = route("resume: {spool: true}").resume
        assert resume is not None
        self.assertEqual(resume.policy(), ResumePolicy(spool=SpoolPolicy()))
        resume = route("resume: {spool: {most: 1MiB, memory: 64KiB, keep: 2m}}").resume
        assert resume is not None
        self.assertEqual(resume.policy().spool, SpoolPolicy(1 << 20, 1 << 16, 120.0))
        self.refused("resume: {spool: {most: 1KiB}}", "too little")
        self.refused("resume: 3", "expected a mapping")
        self.refused("resume: {stall: 0}", "in no time")
        self.refused("resume: {tries: 5000}", "between 1 and 1000")
