"""
Bytes that are read ahead.
"""

from __future__ import annotations

import os
from random import Random

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.http.readahead import ReadAhead


class ReadAheadTests(SynchronousTestCase):
    @given(
        st.integers(0, 1000),
        st.integers(1, 60),
        st.integers(0, 60),
        st.lists(st.tuples(st.sampled_from("ard"), st.integers(1, 30))),
    )
    def test_itIsAWindowOfWhatWasAppended(
        self, begin: int, most: int, memory: int, steps: list[tuple[str, int]]
    ) -> None:
        window = ReadAhead(begin, most, memory)
        data = Random(begin).randbytes(2000)
        self.addCleanup(window.close)
        for step, number in steps:
            self.assertTrue(begin <= window.begin <= window.end)
            self.assertEqual(window.room, most - len(window))
            if step == "a":
                size = min(number, window.room)
                if size:
                    at = window.end - begin
                    window.append(memoryview(data)[at : at + size])
                self.assertRaises(ValueError, window.append, bytes(window.room + 1))
            elif step == "d":
                before = min(window.begin + number, window.end)
                window.discard(before)
                self.assertLessEqual(window.begin, before)
            else:
                at = window.begin + number
                if at >= window.end:
                    self.assertRaises(ValueError, window.read, at, 10)
                    continue
                read = window.read(at, number)
                self.assertTrue(1 <= len(read) <= number)
                self.assertEqual(read, data[at - begin :][: len(read)])
        window.close()
        self.assertEqual(len(window), 0)

    def test_theFileHasNoName(self) -> None:
        directory = self.mktemp()
        os.mkdir(directory)
        window = ReadAhead(0, 100, 10, directory)
        window.append(b"a" * 50)
        self.assertEqual((window.read(0, 100), os.listdir(directory)), (b"a" * 50, []))
        window.close()
