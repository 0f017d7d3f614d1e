"""
Tests for freshness, and for what may be stored.
"""

from __future__ import annotations

from email.utils import formatdate
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.assist.cache.directives import NOTHING, directives
from hermes.assist.cache.freshness import Freshness, Rules, Use, assess, judge, mayServeOnError
from hermes.assist.cache.storing import matches, mayStore, merged, selecting, storedHeaders, varying
from hermes.test.assist.cache.fakes import EPOCH, fields
from hermes.values import RequestHead, ResponseHead

RULES = Rules()


def date(offset: float = 0) -> str:
    """
    An HTTP date, so many seconds from L{EPOCH}.
    """
    return formatdate(EPOCH + offset, usegmt=True)


def response(status: int = 200, **headers: str) -> ResponseHead:
    """
    A response of now.
    """
    headers.setdefault("date", date())
    return ResponseHead(status, fields(**headers))


def fresh(
    requested: float = 0, received: float = 0, status: int = 200, rules: Rules = RULES, **headers: str
) -> Freshness:
    """
    What follows from a response.
    """
    return assess(response(status, **headers), EPOCH + requested, EPOCH + received, rules)


class LifetimeTests(SynchronousTestCase):
    """
    For how long a response is fresh (RFC 9111 section 4.2.1).
    """

    def test_lifetimes(self) -> None:
        table: list[tuple[dict[str, Any], float]] = [
            ({"cache_control": "max-age=60"}, 60),
            ({"cache_control": "max-age=60, s-maxage=10"}, 10),
            ({"cache_control": "s-maxage=0", "expires": date(100)}, 0),
            ({"cache_control": "max-age=60", "expires": date(-100)}, 60),
            ({"cache_control": "max-age=0", "expires": date(100)}, 0),
            ({"expires": date(100)}, 100),
            ({"expires": date()}, 0),
            ({"expires": date(-100)}, 0),
            ({"expires": "0"}, 0),
            ({"expires": "tomorrow", "last_modified": date(-1000)}, 0),
            ({"expires": date(100), "date": date(50)}, 50),
            ({"expires": f"{date(100)}, {date(200)}"}, 0),
            ({"last_modified": date(-1000)}, 100),
            ({"last_modified": date(-100 * 86400)}, 86400),
            ({"last_modified": date(1000)}, 0),
            ({"last_modified": date(-1000), "status": 302}, 0),
            ({"last_modified": date(-1000), "status": 404}, 100),
            ({"last_modified": date(-1000), "status": 302, "cache_control": "public"}, 100),
            ({"last_modified": date(-1000), "rules": Rules(heuristic=0.5)}, 500),
            ({"last_modified": date(-1000), "rules": Rules(heuristic=0.5, heuristicMost=7)}, 7),
            ({"last_modified": date(-1000), "rules": Rules(heuristic=0)}, 0),
            ({}, 0),
        ]
        for given_, expected in table:
            self.assertEqual(fresh(**given_).lifetime, expected, given_)


class AgeTests(SynchronousTestCase):
    """
    How old a response is (RFC 9111 section 4.2.3).
    """

    def test_ages(self) -> None:
        table: list[tuple[dict[str, Any], float]] = [
            ({}, 0),
            ({"age": "30"}, 30),
            ({"age": "30", "requested": -5}, 35),
            ({"date": date(-50)}, 50),
            ({"date": date(50)}, 0),
            ({"date": date(-50), "age": "30"}, 50),
            ({"date": date(-20), "age": "30"}, 30),
            ({"date": "garbage", "age": "3"}, 3),
            ({"age": "abc"}, 0),
            ({"age": "-7200"}, 0),
            ({"age": "7200.0"}, 0),
            ({"age": "7200,0"}, 7200),
            ({"age": "0, 7200"}, 0),
        ]
        for given_, expected in table:
            self.assertEqual(EPOCH - fresh(**given_).bornAt, expected, given_)

    @given(
        st.integers(0, 10**6),
        st.integers(0, 10**6),
        st.integers(-(10**6), 10**6),
        st.integers(0, 10**6),
        st.integers(0, 10**6),
    )
    def test_aResponseIsNeverYoungerThanItsPartsSayAndAgesWithTheClock(
        self, lifetime: int, age: int, dated: int, delay: int, later: int
    ) -> None:
        freshness = fresh(-delay, 0, date=date(dated), age=str(age), cache_control=f"max-age={lifetime}")
        initial = EPOCH - freshness.bornAt
        self.assertEqual(initial, max(0, -dated, age + delay))
        use = judge(freshness, NOTHING, EPOCH + later)
        self.assertEqual(use is Use.FRESH, lifetime > initial + later)


class UseTests(SynchronousTestCase):
    """
    What a stored response is good for (RFC 9111 sections 4.2.4 and 5.2, RFC 5861, RFC 8246).
    """

    def test_uses(self) -> None:
        F, S, W, V = Use.FRESH, Use.STALE, Use.STALE_WHILE_REVALIDATED, Use.VALIDATE
        table: list[tuple[str, str, float, Use]] = [
            ("max-age=60", "", 59, F),
            ("max-age=60", "", 60, V),
            ("max-age=60, no-cache", "", 1, V),
            ('max-age=60, no-cache="x"', "", 1, F),
            ("max-age=60, must-revalidate", "", 1, F),
            # The request's.
            ("max-age=60", "no-cache", 1, V),
            ("max-age=60", "max-age=10", 9, F),
            ("max-age=60", "max-age=10", 11, V),
            ("max-age=60", "max-age=0", 0, V),
            ("max-age=60", "max-age=100", 61, V),
            ("max-age=60", "min-fresh=10", 49, F),
            ("max-age=60", "min-fresh=10", 51, V),
            ("max-age=60", "max-stale=10", 69, S),
            ("max-age=60", "max-stale=10", 71, V),
            ("max-age=60", "max-stale", 10**6, S),
            ("max-age=60", "max-age=10, max-stale=10", 15, F),
            ("max-age=60, must-revalidate", "max-stale", 61, V),
            ("max-age=60, proxy-revalidate", "max-stale", 61, V),
            ("s-maxage=60", "max-stale", 61, V),
            ("max-age=60, no-cache", "max-stale", 61, V),
            # While it is validated.
            ("max-age=60, stale-while-revalidate=10", "", 59, F),
            ("max-age=60, stale-while-revalidate=10", "", 69, W),
            ("max-age=60, stale-while-revalidate=10", "", 70, V),
            ("s-maxage=60, stale-while-revalidate=10", "", 65, W),
            ("max-age=60, stale-while-revalidate=10, must-revalidate", "", 65, V),
            ("max-age=60, stale-while-revalidate=10", "no-cache", 65, V),
            ("max-age=60, stale-while-revalidate=10", "min-fresh=1", 65, V),
            # What can't change.
            ("max-age=60, immutable", "max-age=0", 5, F),
            ("max-age=60, immutable", "max-age=0", 61, V),
            ("max-age=60, immutable", "no-cache", 5, V),
        ]
        for said, asked, later, expected in table:
            use = judge(fresh(cache_control=said), directives(asked.encode()), EPOCH + later)
            self.assertIs(use, expected, (said, asked, later))

    def test_whatIsSupposedHoldsWhereTheResponseSaysNothing(self) -> None:
        rules = Rules(staleWhileRevalidate=30, staleIfError=40)
        table = [
            ("max-age=60", 30, 40),
            ("max-age=60, stale-while-revalidate=5, stale-if-error=6", 5, 6),
            ("max-age=60, stale-while-revalidate=0, stale-if-error=0", 0, 0),
            ("max-age=60, must-revalidate", 0, 0),
            ("max-age=60, proxy-revalidate", 0, 0),
            ("max-age=60, no-cache", 0, 0),
            ("s-maxage=60", 0, 0),
        ]
        for said, whileRevalidate, ifError in table:
            freshness = fresh(cache_control=said, rules=rules)
            self.assertEqual((freshness.staleWhileRevalidate, freshness.staleIfError), (whileRevalidate, ifError), said)

    def test_whatStandsInForAnOriginThatFails(self) -> None:
        table = [
            ("max-age=60, stale-if-error=10", "", 69, True),
            ("max-age=60, stale-if-error=10", "", 71, False),
            ("max-age=60", "", 61, False),
            ("max-age=60", "stale-if-error=10", 69, True),
            ("max-age=60, must-revalidate", "stale-if-error=10", 61, False),
            ("max-age=60, must-revalidate, stale-if-error=10", "", 61, False),
            ("max-age=60, stale-if-error=10", "no-cache", 61, False),
            ("max-age=60", "max-age=0", 30, True),
        ]
        for said, asked, later, expected in table:
            stands = mayServeOnError(fresh(cache_control=said), directives(asked.encode()), EPOCH + later)
            self.assertEqual(stands, expected, (said, asked, later))


class StoringTests(SynchronousTestCase):
    """
    What may be stored (RFC 9111 section 3).
    """

    def test_whatMayBeStored(self) -> None:
        old = date(-1000)
        table: list[tuple[dict[str, str], int, dict[str, str], bool]] = [
            # Of a request, a status, a response.
            ({}, 200, {"cache_control": "max-age=60"}, True),
            ({}, 200, {"expires": date(60)}, True),
            ({}, 200, {"last_modified": old}, True),
            ({}, 200, {"etag": '"1"'}, True),
            ({}, 200, {}, False),
            ({}, 200, {"cache_control": "max-age=0"}, False),
            ({}, 200, {"cache_control": "max-age=0", "etag": '"1"'}, True),
            ({}, 200, {"cache_control": "no-cache", "etag": '"1"'}, True),
            ({}, 200, {"cache_control": "no-store, max-age=60"}, False),
            ({}, 200, {"cache_control": "private, max-age=60"}, False),
            ({}, 200, {"cache_control": 'private="x", max-age=60'}, True),
            ({"cache_control": "no-store"}, 200, {"cache_control": "max-age=60"}, False),
            ({}, 200, {"cache_control": "max-age=60", "vary": "*"}, False),
            ({}, 200, {"cache_control": "max-age=60", "vary": "accept, *"}, False),
            # Statuses.
            *[
                ({}, status, {"last_modified": old}, True)
                for status in (203, 204, 300, 301, 308, 404, 405, 410, 414, 501)
            ],
            *[({}, status, {"last_modified": old}, False) for status in (201, 302, 307, 400, 403, 500, 503, 599)],
            *[({}, status, {"cache_control": "max-age=60"}, True) for status in (201, 302, 307, 403, 500, 503, 599)],
            *[({}, status, {"cache_control": "max-age=60"}, False) for status in (100, 206, 304, 401, 407, 416)],
            ({}, 302, {"cache_control": "public", "last_modified": old}, True),
            # What must be understood.
            ({}, 200, {"cache_control": "must-understand, no-store, max-age=60"}, True),
            ({}, 599, {"cache_control": "must-understand, no-store, max-age=60"}, False),
            ({}, 599, {"cache_control": "must-understand, max-age=60"}, False),
            # Authorization (section 3.5).
            ({"authorization": "Basic x"}, 200, {"cache_control": "max-age=60"}, False),
            ({"authorization": "Basic x"}, 200, {"cache_control": "max-age=60, public"}, True),
            ({"authorization": "Basic x"}, 200, {"cache_control": "s-maxage=60"}, True),
            ({"authorization": "Basic x"}, 200, {"cache_control": "max-age=60, must-revalidate"}, True),
            # Cookies: only where the response says that they are not part of it.
            ({}, 200, {"cache_control": "max-age=60, public", "set_cookie": "a=b"}, False),
            ({}, 200, {"cache_control": 'max-age=60, no-cache="set-cookie"', "set_cookie": "a=b"}, True),
            ({}, 200, {"cache_control": 'max-age=60, private="Set-Cookie"', "set_cookie": "a=b"}, True),
            ({"cookie": "a=b"}, 200, {"cache_control": "max-age=60"}, True),
        ]
        for asked, status, said, expected in table:
            head = response(status, **said)
            request = RequestHead(b"GET", headers=fields(**asked))
            self.assertEqual(
                mayStore(request, head, assess(head, EPOCH, EPOCH, RULES)), expected, (asked, status, said)
            )

    def test_fieldsOfOneHopOrOfOneExchangeAreNotStored(self) -> None:
        head = response(
            connection="close, X-Hop",
            x_hop="1",
            keep_alive="5",
            age="5",
            cache_status="x; hit",
            proxy_authenticate="Basic",
            cache_control='no-cache="a, b", private="c"',
            a="1",
            b="2",
            c="3",
            d="4",
        )
        self.assertEqual([name for name, _ in storedHeaders(head)], [b"cache-control", b"d", b"date"])

    def test_a304BringsFieldsUpToDateSaveThoseOfTheBody(self) -> None:
        stored = fields(
            etag='"1"', content_length="5", content_type="text/plain", x="old", y="kept", content_encoding="gzip"
        )
        told = ResponseHead(
            304, fields(x="new", content_length="0", content_encoding="br", content_type="text/html", z="1")
        )
        expected = {
            b"etag": b'"1"',
            b"content-length": b"5",
            b"content-encoding": b"gzip",
            b"content-type": b"text/html",
            b"x": b"new",
            b"y": b"kept",
            b"z": b"1",
        }
        self.assertEqual(dict(merged(stored, told)), expected)


class VaryTests(SynchronousTestCase):
    """
    For which requests a response is (RFC 9111 section 4.1).
    """

    def test_namesAreReadOutOfVary(self) -> None:
        table: list[tuple[str, tuple[bytes, ...] | None]] = [
            ("Foo", (b"foo",)),
            ("foo, Bar,, baz", (b"bar", b"baz", b"foo")),
            ("", ()),
            ("*", None),
            ("*, *", None),
            (", *", None),
            ("*, foo", None),
            ("foo, *", None),
        ]
        for value, expected in table:
            self.assertEqual(varying(response(vary=value)), expected, value)

    def test_valuesMatchWhereTheyMeanTheSame(self) -> None:
        table: list[tuple[str | None, str | None, bool]] = [
            ("1", "1", True),
            ("1", "2", False),
            ("1", None, False),
            (None, None, True),
            (None, "", False),
            ("a, b", "a,b", True),
            ("a, b", "a ,, b", True),
            ("a, b", "b, a", False),
            ("A", "a", False),
        ]

        def request(value: str | None) -> RequestHead:
            return RequestHead(b"GET", headers=() if value is None else fields(foo=value))

        for first, second, expected in table:
            self.assertEqual(matches(selecting((b"foo",), request(first)), request(second)), expected, (first, second))
