"""
Ranges and validators.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.http.ranges import parseContentRange, parseRange, strongValidator
from hermes.test.http.rangeorigin import DATE
from hermes.values import ResponseHead


class FieldTests(SynchronousTestCase):
    @given(st.integers(0, 10**18 - 1), st.integers(0, 10**9), st.none() | st.integers(1, 10**9))
    def test_contentRangesAreRead(self, first: int, more: int, beyond: int | None) -> None:
        last = min(first + more, 10**18 - 2)
        first = min(first, last)
        total = None if beyond is None else min(last + beyond, 10**18 - 1)
        value = b"bytes %d-%d/%s" % (first, last, b"*" if total is None else b"%d" % total)
        part = parseContentRange(value)
        assert part is not None
        self.assertEqual((part.first, part.last, part.total), (first, last, total))

    @given(st.binary(max_size=60))
    def test_noBytesBreakThem(self, value: bytes) -> None:
        parseContentRange(value)
        parseRange(value)
        strongValidator(ResponseHead(200, ((b"etag", value), (b"last-modified", value), DATE)))

    def test_whatCanNotBeIsNoRange(self) -> None:
        for value in (b"bytes 5-4/10", b"bytes 0-10/10", b"bytes */10", b"lines 0-1/2", b"bytes 0-/2", None):
            self.assertIsNone(parseContentRange(value), value)
        for value in (b"bytes=5-4", b"bytes=-5", b"bytes=1-2,3-4", b"lines=1-2", b""):
            self.assertIsNone(parseRange(value), value)
