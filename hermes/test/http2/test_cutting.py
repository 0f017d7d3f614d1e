"""
What is written in one go and is more than the windows take.
"""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.test.http2.raw import DATA, GET, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE, RawClient, headers, windowUpdate
from hermes.test.http2.raw import settings as settingsFrame
from hermes.values import Buffer, ResponseHead

sizes = st.one_of(st.integers(0, 30), st.integers(3000, 20_000), st.just(0))


class CuttingTests(SynchronousTestCase):
    """
    L{hermes.http2.scheduler.Scheduler.send}.
    """

    def answering(self, window: int, frame: int) -> tuple[RawClient, Any]:
        """
        A peer whose request waits for its answer, and that exchange.
        """
        peer = RawClient()
        peer.send(settingsFrame((INITIAL_WINDOW_SIZE, window), (MAX_FRAME_SIZE, frame)), headers(1, GET, end=True))
        exchange: Any = peer.handler.exchanges[0]
        exchange.respond(ResponseHead(200))
        peer.read()
        return peer, exchange

    def body(self, peer: RawClient) -> bytes:
        peer.read()
        return b"".join(frame.payload for frame in peer.of(DATA))

    @settings(deadline=None, max_examples=150)
    @given(
        st.lists(st.lists(sizes, min_size=1, max_size=8), min_size=1, max_size=4),
        st.integers(0, 60_000),
        st.integers(16_384, 40_000),
    )
    def test_itIsCutWithoutAByteLostOrTwice(self, writes: list[list[int]], window: int, frame: int) -> None:
        peer, exchange = self.answering(window, frame)
        written = b""
        number = 0
        for lengths in writes:
            buffers: list[Buffer] = []
            for length in lengths:
                number += 1
                buffers.append(bytearray(number.to_bytes(2, "big") * (length // 2 + 1))[:length])
            written += b"".join(buffers)
            exchange.writeSequence(buffers)
            for buffer in buffers:
                # It was lent.
                memoryview(buffer)[:] = bytes(len(buffer))
        found = self.body(peer)
        self.assertEqual(found, written[:window])
        self.assertLessEqual(max((len(each.payload) for each in peer.of(DATA)), default=0), frame)
        peer.send(windowUpdate(1, 1 << 20), windowUpdate(0, 1 << 20))
        self.assertEqual(self.body(peer), written)

    def test_largeBuffersAreNotCopied(self) -> None:
        peer, exchange = self.answering(60_000, 16_384)
        buffers = [bytes(20_000), bytes(20_000)]
        lent: list[Any] = []

        def write(pieces: list[Buffer]) -> None:
            lent.extend(piece.obj for piece in pieces if isinstance(piece, memoryview))

        self.patch(peer.connection, "_write", write)
        exchange.writeSequence(buffers)
        self.assertEqual({id(each) for each in lent}, {id(each) for each in buffers})
