"""
Tests for L{hermes.http1.body}.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.http1.body import BodyReader, ChunkedReader, ChunkedWriter, CloseReader, LengthReader, LengthWriter
from hermes.http1.errors import Malformed
from hermes.http1.inbox import Inbox

sizes = st.lists(st.integers(1, 9), min_size=1)


def readAll(reader: BodyReader, wire: bytes, cuts: list[int]) -> tuple[bytes, bytes]:
    """
    Feed C{wire} in pieces of the sizes C{cuts}.

    @return: the body, and what was left behind it.
    """
    inbox = Inbox()
    body = bytearray()
    position = index = 0
    while position < len(wire):
        size = cuts[index % len(cuts)]
        index += 1
        lent = bytearray(wire[position : position + size])
        position += size
        inbox.add(lent)
        while (part := reader.read(inbox)) is not None:
            body += part
        inbox.settle()
        lent[:] = b"\xee" * len(lent)
    return bytes(body), inbox.rest()


class ChunkedTests(SynchronousTestCase):
    """
    Tests for L{ChunkedReader} and L{ChunkedWriter}.
    """

    @settings(deadline=None)
    @given(st.lists(st.binary(max_size=40)), sizes)
    def test_whatIsWrittenIsReadHoweverItArrives(self, parts: list[bytes], cuts: list[int]) -> None:
        writer = ChunkedWriter()
        wire = b"".join(b"".join(writer.frame([part, part])) for part in parts) + writer.end(((b"a", b"1"),))
        reader = ChunkedReader(100)
        body, rest = readAll(reader, wire + b"next", cuts)
        self.assertEqual(body, b"".join(part + part for part in parts))
        self.assertEqual(rest, b"next")
        self.assertEqual(reader.trailers, ((b"a", b"1"),))
        self.assertTrue(reader.ended)

    def test_extensionsAreReadAndForgotten(self) -> None:
        body, _ = readAll(ChunkedReader(100), b'3;a=b;c="d e"\r\nabc\r\n2 ;x\r\nde\r\n0;last\r\n\r\n', [100])
        self.assertEqual(body, b"abcde")

    def test_whatIsNoChunkIsRefusedHoweverItArrives(self) -> None:
        for wire in (
            b"x\r\n",
            b"-1\r\n",
            b"+3\r\nabc\r\n",
            b"0x3\r\nabc\r\n",
            b"3 \r\nabc\r\n",
            b" 3\r\nabc\r\n",
            b"3\nabc\r\n",
            b"3\r\nabcd\r\n0\r\n\r\n",
            b"3\r\nabc\n0\r\n\r\n",
            b"3\r\nabc\r0\r\n\r\n",
            b"3;\ra\r\nabc\r\n",
            b"3;a\nabc\r\n",
            b"\r\n",
            b"1" * 17 + b"\r\n",
            b"3;" + b"x" * 2000 + b"\r\nabc\r\n",
            b"3_0\r\n",
            b"0\r\na: 1\n\r\n",
            b"0\r\na\r\n\r\n",
            b"0\r\na : 1\r\n\r\n",
            b"0\r\na: 1\r\n b\r\n\r\n",
            b"0\r\na: \x00\r\n\r\n",
            b"0\r\na: " + b"x" * 200 + b"\r\n\r\n",
        ):
            for cuts in ([1], [2, 3], [10000]):
                self.assertRaises(Malformed, readAll, ChunkedReader(100), wire, cuts)

    def test_trailersThatWouldSteerTheMessageAreDropped(self) -> None:
        reader = ChunkedReader(200)
        readAll(reader, b"0\r\nContent-Length: 5\r\nX-Sum: 1\r\nHost: evil\r\nAuthorization: x\r\n\r\n", [7])
        self.assertEqual(reader.trailers, ((b"x-sum", b"1"),))

    def test_nothingWrittenIsNoChunk(self) -> None:
        self.assertEqual(b"".join(ChunkedWriter().frame([b"", b""])), b"")

    def test_aBodyThatIsCutOffIsNotComplete(self) -> None:
        reader = ChunkedReader(100)
        readAll(reader, b"3\r\nabc\r\n", [100])
        self.assertRaises(Malformed, reader.eof)

    def test_manySmallChunksInOneReadCostNoCopyOfTheRest(self) -> None:
        wire = b"1\r\nx\r\n" * 50_000 + b"0\r\n\r\n"
        body, _ = readAll(ChunkedReader(100), wire, [len(wire)])
        self.assertEqual(len(body), 50_000)


class LengthTests(SynchronousTestCase):
    """
    Tests for L{LengthReader} and L{LengthWriter}.
    """

    @settings(deadline=None)
    @given(st.binary(max_size=60), sizes)
    def test_asManyBytesAsAnnouncedAreTheBody(self, data: bytes, cuts: list[int]) -> None:
        reader = LengthReader(len(data))
        self.assertEqual(readAll(reader, data + b"next", cuts), (data, b"next"))
        self.assertTrue(reader.ended)

    def test_aBodyThatIsCutOffIsNotComplete(self) -> None:
        reader = LengthReader(5)
        readAll(reader, b"abc", [1])
        self.assertRaises(Malformed, reader.eof)

    def test_moreThanAnnouncedIsNotWritten(self) -> None:
        self.assertRaises(Malformed, LengthWriter(3).frame, [b"ab", b"cd"])

    def test_lessThanAnnouncedIsNotTheEnd(self) -> None:
        writer = LengthWriter(3)
        writer.frame([b"ab"])
        self.assertRaises(Malformed, writer.end, ())


class CloseTests(SynchronousTestCase):
    """
    Tests for L{CloseReader}.
    """

    def test_theConnectionsEndEndsTheBody(self) -> None:
        reader = CloseReader()
        self.assertEqual(readAll(reader, b"abcdef", [4]), (b"abcdef", b""))
        self.assertFalse(reader.ended)
        reader.eof()
        self.assertTrue(reader.ended)
