"""
Tests for L{hermes.http1.inbox}.
"""

from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.http1.errors import Malformed
from hermes.http1.inbox import Inbox

END = re.compile(rb"\r\n\r\n")


class InboxTests(SynchronousTestCase):
    """
    Tests for L{Inbox}.
    """

    @settings(deadline=None, max_examples=200)
    @given(st.lists(st.binary(max_size=9)), st.integers(1, 7))
    def test_whatIsPutInComesOutInOrder(self, pieces: list[bytes], size: int) -> None:
        inbox = Inbox()
        taken = bytearray()
        for number, piece in enumerate(pieces):
            lent = bytearray(piece)
            inbox.add(lent)
            if number % 2 and (part := inbox.take(size)) is not None:
                self.assertTrue(part)
                taken += part
            inbox.settle()
            lent[:] = b"\xee" * len(lent)
        taken += inbox.rest()
        self.assertEqual(bytes(taken), b"".join(pieces))
        self.assertEqual(len(inbox), 0)

    @settings(deadline=None, max_examples=200)
    @given(st.binary(max_size=30), st.lists(st.integers(1, 5), min_size=1))
    def test_aBlockIsFoundHoweverItArrives(self, rest: bytes, sizes: list[int]) -> None:
        data = b"head: 1\r\n\r\n" + rest
        inbox = Inbox()
        found = None
        position = index = 0
        while position < len(data):
            size = sizes[index % len(sizes)]
            index += 1
            inbox.add(data[position : position + size])
            position += size
            if found is None:
                found = inbox.block(END, 64)
            inbox.settle()
        self.assertEqual(found, b"head: 1\r\n\r\n")
        self.assertEqual(inbox.rest(), rest)

    def test_aBlockThatIsTooLongIsRefusedHoweverItArrives(self) -> None:
        whole = Inbox()
        whole.add(b"x" * 20 + b"\r\n\r\n")
        self.assertEqual(self.assertRaises(Malformed, whole.block, END, 16, 431).status, 431)
        pieces = Inbox()
        for _ in range(15):
            pieces.add(b"x")
            self.assertIsNone(pieces.block(END, 16, 431))
        pieces.add(b"x")
        self.assertEqual(self.assertRaises(Malformed, pieces.block, END, 16, 431).status, 431)

    def test_aPartOfABodyIsHandedOnWithoutACopy(self) -> None:
        inbox = Inbox()
        lent = bytearray(b"abcdef")
        inbox.add(memoryview(lent))
        part = inbox.take(4)
        assert part is not None
        lent[0] = ord("z")
        self.assertEqual(bytes(part), b"zbcd")
