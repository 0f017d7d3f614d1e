"""
Field lines, and those of them that are remembered.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.http1 import fields
from hermes.http1.errors import Malformed
from hermes.http1.fields import endToEnd, fieldLines, members, readLines

_lines = st.builds(
    lambda name, before, value, after: name + b":" + before + value + after,
    st.from_regex(rb"\A[A-Za-z-]{1,8}\Z"),
    st.sampled_from([b"", b" ", b"\t", b"  "]),
    st.one_of(st.sampled_from([b"", b"a:b", b"A b", b"\xe9", b":"]), st.text("aB:\t ", max_size=300).map(str.encode)),
    st.sampled_from([b"", b" ", b"\t "]),
)


class ReadTests(SynchronousTestCase):
    @given(st.lists(_lines, max_size=8))
    def test_aLineIsANameAndAValueHoweverOftenItWasMet(self, lines: list[bytes]) -> None:
        expected = []
        for line in lines:
            colon = line.index(b":")
            expected.append((line[:colon].lower(), line[colon + 1 :].strip(b" \t")))
        for _ in range(2):
            self.assertEqual(readLines(lines), expected)

    def test_linesThatAreNearlyTheSameAreNotTaken(self) -> None:
        lines = [b"A: b", b"a: b", b"A:b", b"A: B", b"A: b ", b"A : b"]
        expected = [(b"a", b"b"), (b"a", b"b"), (b"a", b"b"), (b"a", b"B"), (b"a", b"b"), (b"a ", b"b")]
        for _ in range(2):
            self.assertEqual(readLines(lines), expected)

    def test_onlySoManyAreRememberedAndNoLongOnes(self) -> None:
        self.patch(fields, "_MAX_LINES", 3)
        self.patch(fields, "_lines", {})
        for number in (*range(10), *range(10)):
            self.assertEqual(readLines([b"X: %d" % number]), [(b"x", b"%d" % number)])
            self.assertLessEqual(len(fields._lines), 3)
        long = b"X: " + b"y" * fields._MAX_LINE
        self.assertEqual(readLines([long]), [(b"x", b"y" * fields._MAX_LINE)])
        self.assertNotIn(long, fields._lines)


class WriteTests(SynchronousTestCase):
    @given(
        st.lists(
            st.tuples(
                st.one_of(st.from_regex(rb"\A[a-z-]{1,5}\Z"), st.sampled_from([b"", b"a b", b"a:", b"\xe9", b"a\r\n"])),
                st.one_of(
                    st.binary(max_size=6), st.sampled_from([b"a\r\nb: c", b"\r", b"\n", b"\t", b"a\tb", b"\x7f"])
                ),
            ),
            max_size=5,
        )
    )
    def test_whatCanBeWrittenIsReadAndTheRestIsNot(self, pairs: list[tuple[bytes, bytes]]) -> None:
        controls = {*range(32), 127} - {9}
        token = b"!#$%&'*+.^_`|~-0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
        fine = all(name and not set(name) - set(token) and not set(value) & controls for name, value in pairs)
        for _ in range(2):
            try:
                written = fieldLines(pairs)
            except Malformed:
                self.assertFalse(fine, pairs)
                continue
            self.assertTrue(fine, pairs)
            self.assertTrue(written.endswith(b"\r\n"))
            lines = written.split(b"\r\n")[:-2]
            self.assertEqual(readLines(lines), [(name.lower(), value.strip(b" \t")) for name, value in pairs])

    def test_onlySoManyNamesAreRemembered(self) -> None:
        self.patch(fields, "_MAX_NAMES", 3)
        self.patch(fields, "_written", set())
        for number in range(10):
            self.assertEqual(fieldLines([(b"x-%d" % number, b"y")]), b"x-%d: y\r\n\r\n" % number)
            self.assertLessEqual(len(fields._written), 3)
        for _ in range(2):
            self.assertRaises(Malformed, fieldLines, [(b"x y", b"z")])


class HopByHopTests(SynchronousTestCase):
    def test_whatIsForOneHopGoes(self) -> None:
        known = [(b"keep-alive", b"x"), (b"te", b"gzip"), (b"upgrade", b"h2c"), (b"connection", b"close")]
        self.assertEqual(endToEnd([*known, (b"a", b"b")], [b"close"]), ((b"a", b"b"),))

    def test_soDoesWhatConnectionNames(self) -> None:
        kept = [(b"x-mine", b"1"), (b"host", b"a"), (b"cache-control", b"no-store"), (b"content-length", b"1")]
        options = members([b"X-Mine, Host", b"cache-control,,content-length, close"])
        self.assertEqual(options, [b"x-mine", b"host", b"cache-control", b"content-length", b"close"])
        # What would change the message itself is not for it to name.
        self.assertEqual(endToEnd(kept, options), tuple(kept[1:]))
        self.assertEqual(endToEnd(kept, options, frozenset({b"host"})), tuple(kept[2:]))
