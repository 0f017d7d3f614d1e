"""
What may stand in a message's head (RFC 9113 section 8.2 and 8.3), judged the fast way and the plain way.
"""

from __future__ import annotations

import re

from hypothesis import example, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.http2 import heads
from hermes.http2.heads import (
    MalformedHead,
    readContentLength,
    readRequest,
    readResponse,
    readTrailers,
    writeRequest,
    writeResponse,
)
from hermes.values import RequestHead, ResponseHead

Fields = tuple[tuple[bytes, bytes], ...]

GET: Fields = ((b":method", b"GET"), (b":scheme", b"http"), (b":authority", b"a.example"), (b":path", b"/"))
OK: Fields = ((b":status", b"200"),)

TOKEN = re.compile(rb"[a-z0-9!#$%&'*+\-.^_`|~]+")
CONNECTION_SPECIFIC = {b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"}


def plain(fields: Fields) -> bool:
    """
    Whether each of the fields may be there, one by one.
    """
    return all(
        TOKEN.fullmatch(name)
        and name not in CONNECTION_SPECIFIC
        and (name != b"te" or value.lower() == b"trailers")
        and not any(bad in value for bad in (b"\r", b"\n", b"\0"))
        and value == value.strip(b" \t")
        for name, value in fields
    )


_names = st.one_of(
    st.sampled_from(
        [b"accept", b"te", b"connection", b"upgrade", b":path", b"X-Upper", b"", b"a b", b"\xe9", b"x" * 65]
    ),
    st.from_regex(rb"\A[a-z0-9-]{1,9}\Z"),
    st.binary(max_size=4),
)
_values = st.one_of(
    st.sampled_from(
        [b"", b" ", b"\t", b"trailers", b"Trailers", b"a b", b"a ", b" a", b"\ta", b"a\t", b"\0", b"a\rb", b"\n"]
    ),
    st.text("ab \t\r\n\0", max_size=6).map(str.encode),
    st.binary(max_size=8),
)


class FieldTests(SynchronousTestCase):
    def judged(self, fields: Fields) -> bool:
        """
        What is said of the fields; the same of a request, a response and trailers.
        """
        verdicts = set()
        for read in (
            lambda: readRequest(GET + fields, False).headers,
            lambda: readResponse(OK + fields).headers,
            lambda: readTrailers(fields),
        ):
            try:
                self.assertEqual(read(), fields)
                verdicts.add(True)
            except MalformedHead:
                verdicts.add(False)
        (verdict,) = verdicts
        return verdict

    @given(st.lists(st.tuples(_names.filter(lambda name: name not in (b"host",)), _values), max_size=6).map(tuple))
    @example(((b"a", b""), (b"b", b" ")))
    @example(((b"a", b"x"), (b"b", b"\tx")))
    @example(((b"a", b"x "), (b"b", b"")))
    @example(((b"a", b"\0"),))
    @example(())
    def test_theyAreJudgedAsOneByOne(self, fields: Fields) -> None:
        # Twice: names that were met are remembered.
        for _ in range(2):
            self.assertEqual(self.judged(fields), bool(plain(fields)))

    def test_whatWasRefusedIsNotRemembered(self) -> None:
        for name in (*CONNECTION_SPECIFIC, b"X", b"", b"a:", b"x" * 65 + b"\n"):
            for _ in range(2):
                self.assertFalse(self.judged(((name, b"y"),)), name)

    def test_teMayNameTrailersAndNothingElseHoweverOften(self) -> None:
        for _ in range(2):
            self.assertTrue(self.judged(((b"te", b"trailers"),)))
            self.assertFalse(self.judged(((b"te", b"gzip"),)))
            self.assertFalse(self.judged(((b"te", b"trailers, gzip"),)))

    def test_onlySoManyNamesAreRememberedAndNoLongOnes(self) -> None:
        self.patch(heads, "_MAX_NAMES", 3)
        self.patch(heads, "_names", set())
        for number in (*range(10), *range(10)):
            self.assertTrue(self.judged(((b"x-%d" % number, b"y"),)))
            self.assertLessEqual(len(heads._names), 3)
        self.assertTrue(self.judged(((b"x" * 1000, b"y"),)))
        self.assertNotIn(b"x" * 1000, heads._names)

    def test_pseudoHeaderFieldsComeFirstOnceAndWhereTheyBelong(self) -> None:
        for fields in (
            (*GET, (b"a", b"b"), (b":path", b"/")),
            (*GET, (b":path", b"/")),
            (*GET, (b":status", b"200")),
            (*GET, (b":unknown", b"x")),
            ((b"a", b"b"), *GET),
        ):
            self.assertRaises(MalformedHead, readRequest, fields, True)
        for fields in ((*OK, *OK), (*OK, (b":path", b"/")), ((b"a", b"b"), *OK)):
            self.assertRaises(MalformedHead, readResponse, fields)
        for name, value in (*GET, *OK):
            self.assertRaises(MalformedHead, readTrailers, ((name, value),))

    def test_theirValuesAreJudgedToo(self) -> None:
        for value in (b"a.example\0", b" a.example", b"a.example\t", b"a\r\nb"):
            self.assertRaises(MalformedHead, readRequest, (*GET[:2], (b":authority", value), GET[3]), False)


class RequestTests(SynchronousTestCase):
    def refused(self, **changes: bytes | None) -> None:
        """
        A request with other pseudo-header fields is malformed.
        """
        fields = {b":method": b"GET", b":scheme": b"http", b":authority": b"a", b":path": b"/"}
        for name, value in changes.items():
            fields.pop(b":" + name.encode(), None)
            if value is not None:
                fields[b":" + name.encode()] = value
        self.assertRaises(MalformedHead, readRequest, tuple(fields.items()), True)

    def test_aRequestIsWhatItSays(self) -> None:
        fields = ((b"accept", b"*/*"), (b"cookie", b"a=b"))
        self.assertEqual(
            readRequest(GET + fields, False), RequestHead(b"GET", b"http", b"a.example", b"/", None, fields)
        )

    def test_eachPartMustBeThereAndMakeSense(self) -> None:
        for method in (None, b"", b"GE T", b"G\x7fT", b"GET\xe9"):
            self.refused(method=method)
        for scheme in (None, b"", b"1http", b"ht tp"):
            self.refused(scheme=scheme)
        for path in (None, b"", b"a", b"*", b"/a b", b"/\x7f", b"/a#\x1f", b"http://a/"):
            self.refused(path=path)
        for authority in (None, b"", b"user@a", b"a/b", b"a b", b"a\\b", b'"', b"\xe9"):
            self.refused(authority=authority)

    def test_anAsteriskIsForOptions(self) -> None:
        fields = ((b":method", b"OPTIONS"), *GET[1:3], (b":path", b"*"))
        self.assertEqual(readRequest(fields, False).path, b"*")

    def test_hostMayTakeTheAuthoritysPlaceAndNotDifferFromIt(self) -> None:
        bare = (*GET[:2], GET[3])
        self.assertEqual(readRequest((*bare, (b"host", b"b")), False).authority, b"b")
        self.assertEqual(readRequest((*GET, (b"host", b"a.example")), False), readRequest(GET, False))
        for fields in ((*GET, (b"host", b"b")), (*bare, (b"host", b"b"), (b"host", b"b")), (*bare, (b"host", b"u@b"))):
            self.assertRaises(MalformedHead, readRequest, fields, False)

    def test_connectHasAnAuthorityAlone(self) -> None:
        asked = ((b":method", b"CONNECT"), (b":authority", b"a:80"))
        self.assertEqual(readRequest(asked, False), RequestHead(b"CONNECT", authority=b"a:80"))
        for more in ((b":path", b"/"), (b":scheme", b"http")):
            self.assertRaises(MalformedHead, readRequest, (*asked, more), False)
        self.assertRaises(MalformedHead, readRequest, asked[:1], False)

    def test_aProtocolIsForConnectWhereItWasOffered(self) -> None:
        asked = ((b":method", b"CONNECT"), *GET[1:], (b":protocol", b"websocket"))
        self.assertEqual(readRequest(asked, True).protocol, b"websocket")
        self.assertRaises(MalformedHead, readRequest, asked, False)
        self.assertRaises(MalformedHead, readRequest, (*GET, asked[-1]), True)
        for protocol in (b"", b"web socket"):
            self.assertRaises(MalformedHead, readRequest, (*asked[:-1], (b":protocol", protocol)), True)

    @given(
        st.sampled_from([b"GET", b"PROPFIND", b"POST"]),
        st.sampled_from([b"http", b"https", b"x+y"]),
        st.sampled_from([b"a", b"a.example:80", b"[::1]:8080"]),
        st.from_regex(rb"\A/[!-~]{0,20}\Z"),
        st.lists(st.tuples(st.from_regex(rb"\Ax-[a-z]{1,5}\Z"), st.sampled_from([b"", b"v", b"a b"])), max_size=5),
    )
    def test_whatIsWrittenIsRead(
        self, method: bytes, scheme: bytes, authority: bytes, path: bytes, fields: list[tuple[bytes, bytes]]
    ) -> None:
        head = RequestHead(method, scheme, authority, path, None, tuple(fields))
        self.assertEqual(readRequest(tuple(writeRequest(head)), False), head)


class ResponseTests(SynchronousTestCase):
    def test_whatIsWrittenIsRead(self) -> None:
        for status in (100, 103, 200, 204, 304, 418, 599):
            head = ResponseHead(status, ((b"a", b"b"),))
            self.assertEqual(readResponse(tuple(writeResponse(head))), head)

    def test_aStatusIsThreeDigitsAndNo101(self) -> None:
        for status in (b"", b"20", b"2000", b"099", b"600", b"101", b"+20", b" 200", b"2e2", b"0200"):
            self.assertRaises(MalformedHead, readResponse, ((b":status", status),))
        self.assertRaises(MalformedHead, readResponse, ())

    def test_aLengthIsANumberAndThereIsOne(self) -> None:
        self.assertIsNone(readContentLength(()))
        self.assertEqual(readContentLength(((b"content-length", b"17"),)), 17)
        self.assertEqual(readContentLength(((b"content-length", b"17"), (b"content-length", b"17"))), 17)
        for value in (b"", b"-1", b"+1", b"1_0", b"0x1", b"1" * 19, "\u0664".encode()):
            self.assertRaises(MalformedHead, readContentLength, ((b"content-length", value),))
        self.assertRaises(MalformedHead, readContentLength, ((b"content-length", b"1"), (b"content-length", b"2")))
