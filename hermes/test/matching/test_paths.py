"""
Paths have one normal form, and patterns find what they name in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import unquote_to_bytes

from hypothesis import example, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.errors import BadRequest
from hermes.matching.paths import PathPattern, readings, unmergedPath

PIECES = ["a", "b", "..", ".", "/", "//", "%2e", "%2F", "%2f", "%5C", "\\", ";", "%3B", "%61", "%C3%BC", "é", "%25"]
PATHS = st.lists(st.sampled_from(PIECES), max_size=10).map(lambda pieces: ("/" + "".join(pieces)).encode())


def serverReading(path: bytes, decodes: bool, parameters: bool, mergesFirst: bool) -> list[bytes]:
    """
    The segments that a server would look up: an independent and simple reader of paths.

    @param decodes: whether it decodes all of a path before it looks for slashes.
    @param parameters: whether it drops what follows a semicolon.
    @param mergesFirst: whether empty segments go before dots are resolved.
    """
    if decodes:
        path = unquote_to_bytes(path).replace(b"\\", b"/")
    segments = path.split(b"/")[1:]
    if parameters:
        segments = [segment.partition(b";")[0] for segment in segments]
    if not decodes:
        segments = [unquote_to_bytes(segment) for segment in segments]
    if mergesFirst:
        segments = [segment for segment in segments if segment]
    kept: list[bytes] = []
    for segment in segments:
        if segment == b"..":
            del kept[-1:]
        elif segment != b".":
            kept.append(segment)
    return [segment for segment in kept if segment]


class Readings(SynchronousTestCase):
    def test_whatIsInNormalFormStaysSo(self) -> None:
        for path in (b"/", b"/a/b.c/~d/", b"/a-b_c/!$&'()*+,=:@", b"*", b""):
            self.assertEqual((path, ()), readings(path))

    def test_theQueryIsCutOff(self) -> None:
        self.assertEqual((b"/a", ()), readings(b"/a?/../b"))
        self.assertEqual((b"", ()), readings(b"?x"))

    def test_everySpellingHasOneNormalForm(self) -> None:
        for path, normal in {
            b"/%61%2D%7e": b"/a-~",
            b"/%c3%bc": b"/%C3%BC",
            "/ü".encode(): b"/%C3%BC",
            b"/a%20b": b"/a%20b",
            b'/a"b': b"/a%22b",
            b"/%21%27%3a%40": b"/!':@",
            b"/a/./b/../c": b"/a/c",
            b"/a/%2e/b/%2E%2e/c": b"/a/c",
            b"/a/..": b"/",
            b"/a/.": b"/a/",
            b"/../../a": b"/a",
            b"//a///b//": b"/a/b/",
            b"/...": b"/...",
            b"/.a": b"/.a",
            b"/a%25": b"/a%25",
        }.items():
            self.assertEqual((normal, ()), readings(path), path)

    def test_whatServersReadDifferentlyHasAllTheirReadings(self) -> None:
        for path, others in {
            b"/a%2fb": {b"/a/b"},
            b"/a\\b": {b"/a/b"},
            b"/a%5cb": {b"/a/b"},
            b"/a;x/b": {b"/a/b"},
            b"/a%3Bx/b": {b"/a/b"},
            b"/a/..;/b": {b"/b"},
            b"/b//../a": {b"/a"},
            b"/p/;%2f..%2f..%2fa": {b"/p/", b"/a"},
            b"/q/p/;%2f..%2f..%2fa": {b"/q/p/", b"/q/a", b"/a"},
        }.items():
            self.assertEqual(others, set(readings(path)[1]), path)

    def test_whatCanNotBeReadIsRefused(self) -> None:
        for path in (b"/%", b"/%4", b"/%zz", b"/%u0061", b"/a%00", b"/a#b", b"/%/.."):
            with self.assertRaises(BadRequest, msg=path):
                readings(path)

    @settings(deadline=None, max_examples=500)
    @given(PATHS)
    @example(b"/b//../a")
    def test_whateverAServerReadsIsOneOfTheReadings(self, path: bytes) -> None:
        normal, others = readings(path)
        found = set()
        for reading in (normal, *others):
            kept = reading.replace(b"%2F", b"%252F").replace(b"%5C", b"%255C")
            found.add(tuple(filter(None, unquote_to_bytes(kept).split(b"/"))))
        for decodes in (False, True):
            for parameters in (False, True):
                for mergesFirst in (False, True):
                    segments = serverReading(path, decodes, parameters, mergesFirst)
                    told = tuple(segment.replace(b"/", b"%2F").replace(b"\\", b"%5C") for segment in segments)
                    self.assertIn(told, found, (decodes, parameters, mergesFirst))

    @settings(deadline=None)
    @given(PATHS)
    def test_theNormalFormIsNormal(self, path: bytes) -> None:
        normal, _ = readings(path)
        self.assertEqual(normal, readings(normal)[0])
        self.assertNotIn(b"//", normal)
        self.assertTrue(normal.startswith(b"/"))
        self.assertFalse({b".", b".."}.intersection(normal.split(b"/")))

    def test_slashesCanBeKept(self) -> None:
        self.assertEqual(b"/web/http://x/a", unmergedPath(b"/web/./http://x/%61?q"))


class Patterns(SynchronousTestCase):
    def found(self, value: object, path: str) -> tuple[Mapping[str, str], bytes] | None:
        found = PathPattern.fromValue(value).match(readings(path.encode())[0])
        return None if found is None else (found.names, found.prefix)

    def test_anExactPathIsThatOne(self) -> None:
        self.assertEqual(({}, b""), self.found("/a/b", "/a/b?q"))
        for path in ("/a/b/", "/a", "/a/b/c", "/A/b"):
            self.assertIsNone(self.found("/a/b", path), path)

    def test_withASlashAtTheEndItIsWhatLiesBelow(self) -> None:
        self.assertEqual(({}, b"/a"), self.found("/a/", "/a/"))
        self.assertEqual(({}, b"/a"), self.found("/a/", "/a/b/c"))
        self.assertEqual(({}, b""), self.found("/", "/a"))
        for path in ("/a", "/ab", "/b/a/"):
            self.assertIsNone(self.found("/a/", path), path)

    def test_aPrefixIsOfWholeSegmentsAndItselfToo(self) -> None:
        for written in ("/a", "/a/"):
            for path in ("/a", "/a/", "/a/b"):
                self.assertEqual(({}, b"/a"), self.found({"prefix": written}, path), path)
            self.assertIsNone(self.found({"prefix": written}, "/ab"))
        self.assertEqual(({}, b""), self.found({"prefix": "/"}, "/x"))

    def test_aTemplateCaptures(self) -> None:
        self.assertEqual(({"id": "7"}, b""), self.found("/users/{id}/posts", "/users/7/posts"))
        self.assertEqual(({"id": "a%20b"}, b""), self.found("/users/{id}/posts", "/users/a b/posts"))
        self.assertEqual(({"id": "7"}, b"/users/7"), self.found("/users/{id}/", "/users/7/x"))
        self.assertEqual(({"a": "1", "b": "2"}, b"/1/2"), self.found({"prefix": "/{a}/{b}"}, "/1/2/3"))
        for path in ("/users//posts", "/users/7/8/posts", "/users/posts", "/users/7"):
            self.assertIsNone(self.found("/users/{id}/posts", path), path)

    def test_anExpressionMatchesTheWhole(self) -> None:
        self.assertEqual(({"n": "7"}, b""), self.found({"regex": "/v(?P<n>[0-9]+)/.*"}, "/v7/x/y"))
        self.assertIsNone(self.found({"regex": "/a"}, "/a/b"))
        self.assertIsNone(self.found({"regex": "a"}, "/a"))

    def test_anExpressionTakesNoInputLong(self) -> None:
        # With backtracking, this would not end in a lifetime.
        self.assertIsNone(self.found({"regex": "/(a+)+b"}, "/" + "a" * 5000))

    def test_aRuleIsInNormalFormHoweverItIsWritten(self) -> None:
        self.assertEqual(({}, b""), self.found("/müsli", "/m%c3%bcsli"))
        self.assertEqual(({}, b""), self.found("/%61", "/a"))
        self.assertEqual(({}, b""), self.found("/a b", "/a%20b"))

    def test_aPatternPrintsAsItIsWritten(self) -> None:
        for text in ("/", "/a", "/a/", "/users/{id}/posts", "/users/{id}/"):
            self.assertEqual(text, str(PathPattern.fromText(text)))
        self.assertEqual("prefix /a", str(PathPattern.prefix("/a/")))
        self.assertEqual("regex /a.*", str(PathPattern.expression("/a.*")))

    def test_whatIsNoPatternIsRefusedWithASentence(self) -> None:
        for value in (
            *("", "a", "a/", "//a", "/a/../b", "/./", "/a?b", "/a%2fb", "/a;b", "/a\\b", "/a%", "/a#b", "/%00"),
            *("/{a}b", "/{}", "/{a", "/a}", "/{a}/{a}", "/{a-b}"),
            *({"regex": "("}, {"regex": "(?=a)"}, {"regex": r"(a)\1"}, {"prefix": "a"}),
            *({}, {"prefix": "/a", "regex": "b"}, {"suffix": "/a"}, {"prefix": 1}, 5, None, ["/a"]),
        ):
            with self.assertRaises(ValueError, msg=repr(value)):
                PathPattern.fromValue(value)
