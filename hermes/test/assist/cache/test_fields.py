"""
Tests for what is read out of fields and written into them.
"""

from __future__ import annotations

from typing import Any

from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.assist.cache.asked import Asked, parseRange, targetOf
from hermes.assist.cache.cachestatus import cacheName, forwarded, hit, keyParameter
from hermes.assist.cache.dates import parseDate, writeDate
from hermes.assist.cache.directives import MAX_SECONDS, NOTHING, Directives, directives
from hermes.test.assist.cache.fakes import fields
from hermes.values import RequestHead


class DateTests(SynchronousTestCase):
    """
    Dates.
    """

    def test_theThreeFormsAreRead(self) -> None:
        for text in (b"Sun, 06 Nov 1994 08:49:37 GMT", b"Sunday, 06-Nov-94 08:49:37 GMT", b"Sun Nov  6 08:49:37 1994"):
            self.assertEqual(parseDate(text, 2024), 784111777.0, text)

    def test_aYearOfTwoDigitsIsNotMoreThanFiftyYearsAhead(self) -> None:
        early, late = b"Sunday, 06-Nov-75 08:49:37 GMT", b"Sunday, 06-Nov-74 08:49:37 GMT"
        self.assertEqual(parseDate(early, 2024), parseDate(b"Thu, 06 Nov 1975 08:49:37 GMT"))
        self.assertEqual(parseDate(late, 2024), parseDate(b"Tue, 06 Nov 2074 08:49:37 GMT"))

    def test_caseDoesNotMatter(self) -> None:
        self.assertEqual(parseDate(b"THU, 18 AUG 2050 02:01:18 gmt"), parseDate(b"Thu, 18 Aug 2050 02:01:18 GMT"))

    def test_whatIsNoDateIsNone(self) -> None:
        for text in (
            b"",
            b"0",
            b"-1",
            b"Thu, 18 Aug 2050 02:01:18 UTC",
            b"Thu, 18 Aug 50 02:01:18 GMT",
            b"Thu 18 Aug 2050 02:01:18 GMT",
            b"Thu, 18  Aug  2050 02:01:18 GMT",
            b"Thu, 18-Aug-2050 02:01:18 GMT",
            b"Thu, 18 Aug 2050 02.01.18 GMT",
            b"Thu, 18 Aug 2050 2:01:18 GMT",
            b"Thu, 18 Aug 2050 25:01:18 GMT",
            b"Thu, 18 Xyz 2050 02:01:18 GMT",
            b"Thu, 00 Aug 2050 02:01:18 GMT",
            b"Thu, 18 Aug 0000 02:01:18 GMT",
            b"Thu, 18 Aug 2050 02:01:18 GMT, Thu, 18 Aug 2050 02:01:18 GMT",
        ):
            self.assertIsNone(parseDate(text), text)

    @given(st.integers(0, 253402300799))
    def test_whatIsWrittenIsRead(self, seconds: int) -> None:
        self.assertEqual(parseDate(writeDate(seconds)), seconds)

    @given(st.binary(max_size=40))
    def test_anythingIsReadOrNot(self, text: bytes) -> None:
        parseDate(text)


class DirectiveTests(SynchronousTestCase):
    """
    Cache-Control.
    """

    def test_lifetimesAreRead(self) -> None:
        table: list[tuple[bytes, int | None]] = [
            (b"max-age=3600", 3600),
            (b"MaX-aGe=3600", 3600),
            (b"max-age=003600", 3600),
            (b'max-age="3600"', 3600),
            (b"max-age=99999999999999999999", MAX_SECONDS),
            (b"max-age=4294967296", MAX_SECONDS),
            (b"max-age=00000000000000007", 7),
            (b'extension="max-age=3600", max-age=1', 1),
            (b'max-age=1, extension="max-age=3600"', 1),
            (b"a, ,  , max-age=5", 5),
            (b'a="unclosed, max-age=5', None),
            (b"max-age", 0),
            (b"max-age=", 0),
            (b"max-age='3600'", 0),
            (b"max-age=3600.0", 0),
            (b"max-age=-1", 0),
            (b"max-age=a3600", 0),
            (b"max-age=3600a", 0),
            (b"max-age= 3600", 0),
            (b"max-age =3600", None),
            (b"max-age=1800, max-age=1", 0),
            (b"max-age=1, max-age=1800", 0),
            (b"max-age=1800, max-age=1800", 1800),
            (b"max-agex=1", None),
            (b"", None),
        ]
        for value, expected in table:
            self.assertEqual(directives(value).maxAge, expected, value)

    def test_qualifiedDirectivesNameFields(self) -> None:
        said = directives(b'no-cache="A, b", private="Set-Cookie"')
        self.assertEqual((said.noCache, said.noCacheFields), (False, {b"a", b"b"}))
        self.assertEqual((said.private, said.privateFields), (False, {b"set-cookie"}))

    def test_aQualifiedDirectiveWithoutNamesOrBesideAnUnqualifiedOneIsUnqualified(self) -> None:
        for value in (b'no-cache=""', b'no-cache=","', b'no-cache="a", no-cache', b"no-cache", b"no-cache="):
            self.assertTrue(directives(value).noCache, value)

    def test_theRestIsThereOrNot(self) -> None:
        names = {
            "noStore": b"No-Store",
            "public": b"public",
            "mustRevalidate": b"must-revalidate",
            "proxyRevalidate": b"proxy-revalidate",
            "mustUnderstand": b"must-understand",
            "immutable": b"immutable",
            "onlyIfCached": b"only-if-cached",
        }
        for name, value in names.items():
            only: Any = {name: True}
            self.assertEqual(directives(value), evolve(NOTHING, **only))
        every: Any = dict.fromkeys(names, True)
        self.assertEqual(directives(b", ".join(names.values())), Directives(**every))

    def test_maxStaleMayBeWithoutBound(self) -> None:
        for value, expected in ((b"max-stale", MAX_SECONDS), (b"max-stale=5", 5), (b"max-stale=x", None)):
            self.assertEqual(directives(value).maxStale, expected)

    @given(st.binary(max_size=60))
    def test_anythingIsRead(self, value: bytes) -> None:
        directives(value)

    @given(st.lists(st.sampled_from([b"max-age=5", b"no-store", b'x="a, \\" b"', b"y", b"private"]), max_size=6))
    def test_theOrderDoesNotMatter(self, parts: list[bytes]) -> None:
        self.assertEqual(directives(b", ".join(parts)), directives(b" ,".join(reversed(parts))))


class RangeTests(SynchronousTestCase):
    """
    Ranges (RFC 9110 section 14).
    """

    def test_ranges(self) -> None:
        table: list[tuple[bytes, Any]] = [
            (b"bytes=0-1", (0, 2)),
            (b"bytes=1-", (1, 10)),
            (b"bytes=-1", (9, 10)),
            (b"bytes=-100", (0, 10)),
            (b"bytes=9-9", (9, 10)),
            (b"bytes=5-100", (5, 10)),
            (b"Bytes = 5-6", (5, 7)),
            (b"bytes=10-", False),
            (b"bytes=-0", False),
            (b"bytes=2-1", None),
            (b"bytes=0-1,3-4", None),
            (b"bytes=-", None),
            (b"bytes=a-b", None),
            (b"lines=0-1", None),
            (b"bytes=99999999999999999999999999-", False),
            (b"", None),
        ]
        for value, expected in table:
            self.assertEqual(parseRange(value, 10), expected, value)

    @given(st.integers(0, 30), st.integers(0, 30), st.integers(0, 30))
    def test_aRangeIsThatPartOfTheBody(self, first: int, last: int, length: int) -> None:
        body = bytes(range(length))
        part = parseRange(b"bytes=%d-%d" % (first, last), length)
        if last < first:
            self.assertIsNone(part)
        elif first >= length:
            self.assertIs(part, False)
        else:
            assert isinstance(part, tuple)
            self.assertEqual(body[part[0] : part[1]], body[first : last + 1])

    @given(st.integers(0, 30), st.integers(0, 30))
    def test_aSuffixIsTheEndOfTheBody(self, suffix: int, length: int) -> None:
        body = bytes(range(length))
        part = parseRange(b"bytes=-%d" % suffix, length)
        if part is False:
            self.assertTrue(suffix == 0 or length == 0)
        else:
            assert isinstance(part, tuple)
            self.assertEqual(body[part[0] : part[1]], body[-suffix:])

    @given(st.binary(max_size=20), st.integers(0, 100))
    def test_anythingIsReadOrNot(self, value: bytes, length: int) -> None:
        part = parseRange(value, length)
        if isinstance(part, tuple):
            self.assertTrue(0 <= part[0] < part[1] <= length)


class AskedTests(SynchronousTestCase):
    """
    Requests.
    """

    def test_theSameTargetIsOneKey(self) -> None:
        table = [
            (b"http", b"Web.Example", b"http://web.example/a?b"),
            (b"HTTP", b"web.example:80", b"http://web.example/a?b"),
            (b"https", b"web.example:443", b"https://web.example/a?b"),
            (b"http", b"web.example:443", b"http://web.example:443/a?b"),
            (b"https", b"web.example:80", b"https://web.example:80/a?b"),
        ]
        for scheme, authority, expected in table:
            self.assertEqual(targetOf(RequestHead(b"GET", scheme, authority, b"/a?b")), expected)

    def test_pragmaCountsWhereThereIsNoCacheControl(self) -> None:
        def said(**headers: str) -> Directives:
            return Asked.of(RequestHead(b"GET", headers=fields(**headers)), b"").directives

        self.assertTrue(said(pragma="no-cache").noCache)
        self.assertFalse(said(pragma="x").noCache)
        self.assertFalse(said(pragma="no-cache", cache_control="max-age=5").noCache)


class CacheStatusTests(SynchronousTestCase):
    """
    Cache-Status (RFC 9211).
    """

    def test_members(self) -> None:
        name = cacheName("edge", "pages")
        self.assertEqual(hit(name, -3, b"x"), b"edge/pages; hit; ttl=-3; detail=x")
        self.assertEqual(forwarded(name, b"stale", 304), b"edge/pages; fwd=stale; fwd-status=304")
        self.assertEqual(
            forwarded(name, b"uri-miss", None, 5, True, True, b"d"),
            b"edge/pages; fwd=uri-miss; ttl=5; stored; collapsed; detail=d",
        )
        self.assertEqual(cacheName("1st", "pages"), b'"1st/pages"')
        self.assertEqual(keyParameter(b'http://x/"\xe9'), b'; key="http://x/\\"?"')
