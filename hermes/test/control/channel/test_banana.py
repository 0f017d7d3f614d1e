"""
Banana: against Twisted's own, cut anywhere, and what is no Banana.
"""

from __future__ import annotations

import contextlib
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.spread.banana import Banana
from twisted.trial.unittest import SynchronousTestCase

from hermes.control.channel.banana import MAX_INT, VOCABULARY, Decoder, MalformedBanana, encode, encodeList

ATOMS = st.one_of(
    st.integers(-(2**40), 2**40),
    st.integers(-MAX_INT, MAX_INT),
    st.floats(allow_nan=False),
    st.binary(max_size=40),
    st.sampled_from(sorted(VOCABULARY)),
)
EXPRESSIONS = st.recursive(ATOMS, lambda inner: st.lists(inner, max_size=5), max_leaves=25)


def decoder(most: int = 100_000, depth: int = 20, items: int = 10_000) -> Decoder:
    """
    One with room.
    """
    return Decoder(most, depth, items)


def decode(data: bytes, **limits: int) -> list[Any]:
    """
    All expressions in C{data}.
    """
    return list(decoder(**limits).feed(data))


class Twisted(Banana):
    """
    Twisted's own, in the dialect C{pb}.
    """

    def __init__(self) -> None:
        super().__init__(isClient=False)
        self.written = b""
        self.found: list[Any] = []
        transport: Any = self
        self.transport = transport
        self.setPrefixLimit(64)
        self.currentDialect = b"pb"

    def write(self, data: bytes) -> None:
        self.written += data

    def expressionReceived(self, lst: Any) -> None:
        self.found.append(lst)


class AgainstTwisted(SynchronousTestCase):
    """
    The same bytes for the same expressions.
    """

    @given(EXPRESSIONS)
    def test_it_reads_what_is_written_here(self, expression: Any) -> None:
        twisted = Twisted()
        twisted.dataReceived(encode(expression))
        self.assertEqual(twisted.found, [expression])

    @given(EXPRESSIONS)
    def test_what_it_writes_is_read_here(self, expression: Any) -> None:
        twisted = Twisted()
        twisted.sendEncoded(expression)
        self.assertEqual(decode(twisted.written), [expression])

    def test_the_bytes_are_the_same(self) -> None:
        for expression in (
            0,
            127,
            128,
            2**31 - 1,
            2**31,
            -1,
            -(2**31),
            -(2**31) - 1,
            1.5,
            b"",
            b"None",
            b"x" * 300,
            [],
            [[b"list", 1], []],
        ):
            twisted = Twisted()
            twisted.sendEncoded(expression)
            self.assertEqual(encode(expression), twisted.written, expression)


class Cut(SynchronousTestCase):
    """
    However the bytes are cut.
    """

    @given(st.lists(EXPRESSIONS, min_size=1, max_size=4), st.lists(st.integers(1, 30), min_size=1))
    def test_expressions_are_whole(self, expressions: list[Any], sizes: list[int]) -> None:
        data = b"".join(map(encode, expressions))
        reading = decoder()
        found: list[Any] = []
        turn = 0
        while data:
            size = sizes[turn % len(sizes)]
            turn += 1
            found += reading.feed(memoryview(data[:size]))
            data = data[size:]
        self.assertEqual(found, expressions)
        self.assertTrue(reading.idle)

    def test_a_part_is_not_idle(self) -> None:
        for part in (encode(b"hello")[:3], encode([1, 2])[:-2], b"\x01"):
            reading = decoder()
            self.assertEqual(list(reading.feed(part)), [])
            self.assertFalse(reading.idle)

    def test_the_limits_can_change_between_two(self) -> None:
        reading = decoder(most=50)
        data = encode(b"x" * 40) + encode(b"y" * 400)
        found = []
        for expression in reading.feed(data):
            found.append(len(expression))
            reading.most = 1000
        self.assertEqual(found, [40, 400])

    def test_a_list_can_be_put_together_of_what_is_encoded(self) -> None:
        self.assertEqual(decode(encodeList(encode(1), encode([b"a"]))), [[1, [b"a"]]])


class Invalid(SynchronousTestCase):
    """
    What is no Banana, or more than is taken.
    """

    def refused(self, data: bytes, text: str, **limits: int) -> None:
        error = self.assertRaises(MalformedBanana, decode, data, **limits)
        self.assertIn(text, str(error))

    def test_a_long_prefix(self) -> None:
        self.refused(b"\x01" * 65, "prefix")
        self.refused(b"\x01" * 65 + b"\x81", "prefix")

    def test_an_unknown_type(self) -> None:
        self.refused(b"\x01\x88", "type")
        self.refused(b"\xff", "type")

    def test_a_word_that_is_not_in_the_vocabulary(self) -> None:
        self.refused(b"\x7f\x87", "vocabulary")

    def test_a_string_is_refused_before_it_is_there(self) -> None:
        self.refused(encode(b"x" * 101)[:3], "100 bytes", most=100)

    def test_a_list_is_refused_before_its_items_are_there(self) -> None:
        self.refused(encode([1] * 200)[:3], "100 bytes", most=100)

    def test_many_small_items_are_counted_together(self) -> None:
        self.refused(encode([[b"abcd"] * 10] * 3), "100 bytes", most=100)
        self.refused(encode([[[]] * 50] * 50), "2000 items", items=2000)

    def test_each_expression_is_counted_by_itself(self) -> None:
        data = encode(b"x" * 90)
        self.assertEqual(len(decode(data * 5, most=100)), 5)
        self.assertEqual(len(decode(encode([1] * 9) * 50, items=10)), 50)

    def test_deep_lists(self) -> None:
        self.refused(b"\x01\x80" * 21, "nested more than 20")
        self.assertEqual(len(decode(b"\x01\x80" * 19 + b"\x00\x80")), 1)

    def test_what_can_not_be_sent(self) -> None:
        wrongs: list[Any] = ["text", None, {}, [object()]]
        for wrong in wrongs:
            self.assertRaises(TypeError, encode, wrong)
        self.assertRaises(OverflowError, encode, MAX_INT + 1)

    @given(st.binary(max_size=200))
    @settings(max_examples=300)
    def test_noise_is_refused_or_read_and_nothing_else(self, noise: bytes) -> None:
        with contextlib.suppress(MalformedBanana):
            decode(noise)

    def test_many_small_items_take_no_longer_than_their_bytes(self) -> None:
        """
        Twisted's own copies what is left with each of them: this would take it hours.
        """
        self.assertEqual(len(decode(encode(1) * 1_000_000)), 1_000_000)
