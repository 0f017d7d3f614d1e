"""
Heads to blocks and back, with the hpack library at the other end.
"""

from __future__ import annotations

import hpack
from hpack.exceptions import HPACKError
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.http2.hpack import MAX_TABLE, Decoder, Encoder

Head = list[tuple[bytes, bytes]]

names = st.sampled_from(
    [b":method", b":path", b":status", b"cookie", b"set-cookie", b"etag", b"x-a", b"x-b", b"via", b"authorization"]
) | st.binary(min_size=1, max_size=40)
values = st.sampled_from([b"GET", b"/", b"200", b"", b"a", b"b" * 130]) | st.binary(max_size=200)
heads = st.lists(st.lists(st.tuples(names, values), max_size=12), max_size=12)
sizes = st.sampled_from([0, 50, 100, 4095, MAX_TABLE, 8192, 1 << 20])


class OracleTests(SynchronousTestCase):
    """
    What one end writes the other reads, whichever is ours.
    """

    @given(heads)
    def test_theLibraryReadsWhatWeWrite(self, heads: list[Head]) -> None:
        encoder, decoder = Encoder(), hpack.Decoder()
        for head in heads:
            self.assertEqual([tuple(field) for field in decoder.decode(encoder.encode(head), raw=True)], head)

    @given(heads, st.booleans())
    def test_weReadWhatTheLibraryWrites(self, heads: list[Head], huffman: bool) -> None:
        encoder, decoder = hpack.Encoder(), Decoder(1 << 20)
        for head in heads:
            self.assertEqual(decoder.decode(encoder.encode(head, huffman=huffman)), head)

    @given(st.lists(st.tuples(sizes, st.lists(st.tuples(names, values), max_size=8)), max_size=12))
    def test_bothTablesFollowEachChangeOfSize(self, steps: list[tuple[int, Head]]) -> None:
        ours, theirs = Encoder(), hpack.Decoder()
        library, reader = hpack.Encoder(), Decoder(1 << 20)
        reader.max_allowed_table_size = theirs.max_allowed_table_size = 1 << 20
        for size, head in steps:
            ours.header_table_size = library.header_table_size = size
            self.assertEqual([tuple(field) for field in theirs.decode(ours.encode(head), raw=True)], head)
            self.assertEqual(reader.decode(library.encode(head)), head)
            self.assertLessEqual(ours.header_table_size, MAX_TABLE)

    @given(st.binary(max_size=60))
    def test_whatIsNoBlockIsRefusedOrReadAsTheLibraryReadsIt(self, block: bytes) -> None:
        decoder, library = Decoder(1 << 16), hpack.Decoder(1 << 16)
        try:
            expected = [tuple(field) for field in library.decode(block, raw=True)]
        except (HPACKError, IndexError):
            self.assertRaises(HPACKError, decoder.decode, block)
            return
        try:
            self.assertEqual(decoder.decode(block), expected)
        except HPACKError as error:
            # Where we are stricter: integers of more than five bytes, and table sizes that change again and again.
            self.assertTrue("integer" in str(error) or "size" in str(error), error)


class EncoderTests(SynchronousTestCase):
    """
    L{Encoder}.
    """

    def test_whatComesAgainIsOneByte(self) -> None:
        encoder = Encoder()
        head = [(b":method", b"GET"), (b"user-agent", b"curl"), (b"x-tenant", b"blue")]
        lengths = [len(encoder.encode(head)) for _ in range(3)]
        self.assertEqual(lengths[2], 3)
        self.assertGreater(lengths[0], 10)

    def test_credentialsAreNeverIndexed(self) -> None:
        encoder = Encoder()
        for name in (b"authorization", b"cookie", b"set-cookie", b"proxy-authorization"):
            blocks = {encoder.encode([(name, b"secret")]) for _ in range(4)}
            (block,) = blocks
            self.assertEqual(block[0] & 0xF0, 0x10, name)

    def test_memoryIsBounded(self) -> None:
        encoder = Encoder()
        for number in range(20_000):
            encoder.encode([(b"x-%d" % (number % 3000), b"%d" % (number // 2))] * 2)
        self.assertLessEqual(encoder._size, MAX_TABLE)
        self.assertLessEqual(len(encoder._seen), 512)
        self.assertEqual(len(encoder._table), len(encoder._places))


class DecoderTests(SynchronousTestCase):
    """
    L{Decoder}.
    """

    def test_aListBeyondTheBoundIsRefusedHoweverSmallItsBlock(self) -> None:
        decoder = Decoder(1000)
        big = hpack.Encoder().encode([(b"x", b"y" * 400)], huffman=False)
        # One byte each from here on: a bomb.
        self.assertRaises(HPACKError, decoder.decode, big + b"\xbe" * 100)

    def test_aTableThatMustShrinkAndDoesNotIsRefused(self) -> None:
        decoder = Decoder(1000)
        decoder.max_allowed_table_size = 100
        self.assertRaises(HPACKError, decoder.decode, b"\x82")
        self.assertEqual(decoder.decode(b"\x3f\x45\x82"), [(b":method", b"GET")])
