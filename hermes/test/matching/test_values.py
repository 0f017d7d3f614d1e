"""
Values of header fields and parameters, and hosts.
"""

from __future__ import annotations

from ipaddress import ip_address

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.matching import HostPattern, IPAddress, Match, ValuePattern, authorityHost
from hermes.matching.values import queryParameters
from hermes.values import Flow, RequestHead, Target


class Values(SynchronousTestCase):
    def test_eachKindComparesInItsWay(self) -> None:
        cases: list[tuple[object, list[bytes | None], list[bytes | None]]] = [
            ("abc", [b"abc"], [b"abcd", b"ABC", b"", None]),
            ("", [b""], [b"a", None]),
            (True, [b"", b"x"], [None]),
            (False, [None], [b"", b"x"]),
            ({"prefix": "ab"}, [b"ab", b"abc"], [b"xab", b"", None]),
            ({"suffix": "ab"}, [b"ab", b"xab"], [b"abx", None]),
            ({"contains": "ab"}, [b"ab", b"xaby"], [b"ba", None]),
            ({"regex": "a+"}, [b"a", b"aaa"], [b"ab", b"ba", b"", None]),
            ({"regex": ".*"}, [b"", b"\xff\n"], [None]),
            (7, [b"7"], [b"07"]),
        ]
        for value, taken, refused in cases:
            pattern = ValuePattern.fromValue(value)
            for one in taken:
                self.assertTrue(pattern.matches(one), (value, one))
            for one in refused:
                self.assertFalse(pattern.matches(one), (value, one))

    def test_textIsItsUTF8(self) -> None:
        self.assertTrue(ValuePattern.fromValue("grün").matches("grün".encode()))
        self.assertTrue(ValuePattern.fromValue({"regex": "gr(ü|ue)n"}).matches("grün".encode()))

    def test_whatIsNoPatternIsRefusedWithASentence(self) -> None:
        wrong: list[object] = [
            *(None, [], {}, {"prefix": ""}, {"like": "a"}, {"prefix": 1}, {"prefix": "a", "suffix": "b"}, 1.5)
        ]
        for value in wrong:
            with self.assertRaises(ValueError, msg=repr(value)):
                ValuePattern.fromValue(value)
        with self.assertRaises(ValueError) as caught:
            ValuePattern.fromValue({"regex": "a**"})
        self.assertIn("is not a regular expression: ", str(caught.exception))

    def test_aQueryIsReadAsFormsAre(self) -> None:
        self.assertEqual(
            {b"a": [b"1", b"3"], b"b c": [b"2 &"], b"d": [b""], b"e": [b""]},
            queryParameters(b"/x?a=1&b+c=%32+%26&a=3&d=&e"),
        )
        self.assertEqual({}, queryParameters(b"/x"))

    def test_aFieldThatIsThereTwiceSaysBoth(self) -> None:
        flow = Flow("http", Target("x", 80))
        head = RequestHead(b"GET", b"http", b"x", b"/?a=1&a=2", None, ((b"a", b"1"), (b"a", b"2")))
        for wanted, taken in (("1", False), ("1, 2", True), ({"contains": "1"}, True), (True, True), (False, False)):
            self.assertEqual(taken, Match.fromTexts(headers={"A": wanted}).takes(flow, head), wanted)
        for wanted, taken in (("1", True), ("2", True), ("1, 2", False), (False, False)):
            self.assertEqual(taken, Match.fromTexts(query={"a": wanted}).takes(flow, head), wanted)

    def test_namesOfFieldsAndMethodsAreChecked(self) -> None:
        for wrong in ({"headers": {"a b": True}}, {"headers": {"": True}}, {"methods": ["G T"]}, {"methods": [":m"]}):
            with self.assertRaises(ValueError, msg=repr(wrong)):
                Match.fromTexts(**wrong)


class Hosts(SynchronousTestCase):
    def test_anAuthorityHasAHost(self) -> None:
        for authority, host in {
            b"Web.Example:8080": "web.example",
            b"web.example.": "web.example",
            b"[::1]:80": ip_address("::1"),
            b"10.1": ip_address("10.0.0.1"),
            b"": "",
            b"user@web.example": "",
            b"a b": "",
        }.items():
            self.assertEqual(host, authorityHost(authority), authority)

    def test_patternsFindTheirHosts(self) -> None:
        for text, taken, refused in (
            ("Web.Example.", ["web.example"], ["a.web.example", ""]),
            ("*.example", ["web.example", "a.b.example"], ["example", "badexample", "", "1.2.3.4"]),
            ("[::1]", ["::1", "0:0::1"], ["::2"]),
            ("::1", ["::1"], []),
            ("10.0.0.1", ["10.1", "::ffff:10.0.0.1"], ["10.0.0.2"]),
            ("*", ["web.example", "::1"], []),
        ):
            pattern = HostPattern.fromText(text)
            for host in taken:
                self.assertTrue(pattern.matches(self.canonical(host)), (text, host))
            for host in refused:
                self.assertFalse(pattern.matches(self.canonical(host)), (text, host))

    def canonical(self, host: str) -> str | IPAddress:
        return authorityHost((f"[{host}]" if ":" in host else host).encode())

    @given(st.from_regex(r"(\*\.)?[a-z][a-z0-9-]{0,8}(\.[a-z][a-z0-9]{0,5}){0,3}", fullmatch=True))
    def test_aPatternPrintsAsItIsWritten(self, text: str) -> None:
        self.assertEqual(text, str(HostPattern.fromText(text)))

    def test_whatIsNoHostIsRefusedWithASentence(self) -> None:
        for text in ("", "a:80", "[::1]:80", "a b", "*.*", "x*.y", "10.0.0.0/8", "a..b", "http://a", "a/b"):
            with self.assertRaises(ValueError, msg=text):
                HostPattern.fromText(text)
