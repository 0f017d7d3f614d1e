"""
Tests for L{hermes.wire.varint}.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.wire.varint import MAX_VARINT, decodeVarint, encodeVarint


class VarintTests(SynchronousTestCase):
    """
    QUIC varints (RFC 9000 section 16).
    """

    EXAMPLES = (
        # RFC 9000 appendix A.1
        ("c2197c5eff14e88c", 151288809941952652),
        ("9d7f3e7d", 494878333),
        ("7bbd", 15293),
        ("25", 37),
    )

    def test_theExamplesOfTheRFCAreRead(self) -> None:
        for encoded, value in self.EXAMPLES:
            data = bytes.fromhex(encoded)
            self.assertEqual(decodeVarint(data), (value, len(data)))

    def test_theExamplesOfTheRFCAreWritten(self) -> None:
        for encoded, value in self.EXAMPLES:
            self.assertEqual(encodeVarint(value).hex(), encoded)

    def test_aLongerEncodingThanNeededIsRead(self) -> None:
        self.assertEqual(decodeVarint(bytes.fromhex("4025")), (37, 2))

    def test_theShortestEncodingIsWritten(self) -> None:
        for value, size in ((0, 1), (63, 1), (64, 2), (16383, 2), (16384, 4), (1 << 30, 8), (MAX_VARINT, 8)):
            self.assertEqual(len(encodeVarint(value)), size)

    def test_whatDoesNotFitIsRefused(self) -> None:
        self.assertRaises(ValueError, encodeVarint, -1)
        self.assertRaises(ValueError, encodeVarint, MAX_VARINT + 1)

    @given(st.integers(0, MAX_VARINT), st.binary(max_size=9), st.binary(max_size=9))
    def test_whatIsWrittenIsReadBack(self, value: int, before: bytes, after: bytes) -> None:
        encoded = encodeVarint(value)
        data = memoryview(before + encoded + after)
        self.assertEqual(decodeVarint(data, len(before)), (value, len(before) + len(encoded)))

    @given(st.integers(0, MAX_VARINT))
    def test_aPartOfOneAsksForMore(self, value: int) -> None:
        encoded = encodeVarint(value)
        for size in range(len(encoded)):
            self.assertIsNone(decodeVarint(encoded[:size]))
