"""
Whatever is in one write, the messages are the same.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from attrs import define, field
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hermes.test.http2.raw import (
    DATA,
    END_STREAM,
    GET,
    GOAWAY,
    HEADERS,
    INITIAL_WINDOW_SIZE,
    NO_ERROR,
    OK,
    RST_STREAM,
    Fields,
    RawClient,
    data,
    headers,
    settings,
    windowUpdate,
)
from hermes.test.turns import TurningClock
from hermes.values import ResponseHead


@define
class Message:
    """
    What came on a stream, read plainly.
    """

    heads: list[Fields] = field(factory=list)
    body: bytes = b""
    ended: bool = False
    reset: int | None = None


def messages(peer: RawClient) -> dict[int, Message]:
    """
    What the frames say, whichever way they are cut.
    """
    found: dict[int, Message] = {}
    for each in peer.frames:
        if not each.streamID or each.kind not in (HEADERS, DATA, RST_STREAM):
            continue
        message = found.setdefault(each.streamID, Message())
        assert not message.ended or (each.kind == RST_STREAM and each.code == NO_ERROR), "more behind the end"
        assert message.reset is None, "more behind a reset"
        if each.kind == HEADERS:
            message.heads.append(each.fields)
        elif each.kind == DATA:
            assert message.heads, "a body before its head"
            message.body += each.payload
        else:
            message.reset = each.code
            continue
        message.ended = bool(each.flags & END_STREAM)
    return found


Step: TypeAlias = "tuple[str, int, int]"

_steps = st.lists(
    st.tuples(
        st.sampled_from(
            ["respond", "write", "write", "write", "end", "trailers", "reset", "turn", "full", "room", "window"]
        ),
        st.integers(0, 3),
        st.integers(1, 20_000),
    ),
    max_size=40,
)


class SameTests(SynchronousTestCase):
    def play(self, steps: list[Step], clock: Clock) -> dict[int, Message]:
        """
        What comes of the steps of four exchanges.
        """
        peer = RawClient(clock=clock)
        peer.send(settings((INITIAL_WINDOW_SIZE, 30_000)), *[headers(1 + 2 * n, GET, end=True) for n in range(4)])
        connection = peer.connection
        exchanges: list[Any] = peer.handler.exchanges
        answered, over = set(), set()
        for step, number, size in steps:
            exchange = exchanges[number]
            if step == "turn" and isinstance(clock, TurningClock):
                clock.endTurn()
            elif step == "full":
                connection.pauseProducing()
            elif step == "room":
                connection.resumeProducing()
            elif step == "window":
                peer.send(windowUpdate(0, size))
            elif number in over:
                continue
            elif step == "respond":
                if number not in answered:
                    exchange.respond(ResponseHead(200, ((b"x", b"%d" % number),)))
                answered.add(number)
            elif step == "reset":
                exchange.reset(size % 14)
                over.add(number)
            elif number in answered:
                if step == "write":
                    exchange.write(bytes([number]) * size)
                elif step == "end":
                    exchange.loseWriteConnection()
                    over.add(number)
                elif step == "trailers":
                    exchange.writeTrailers(((b"sum", b"%d" % size),))
                    over.add(number)
        connection.resumeProducing()
        for number in range(4):
            peer.send(windowUpdate(0, 1 << 20))
            if number not in over:
                peer.send(windowUpdate(1 + 2 * number, 1 << 20))
        for number in range(4):
            if not exchanges[number].gone:
                # What is over may still wait for its window.
                peer.send(windowUpdate(1 + 2 * number, 1 << 20))
        if isinstance(clock, TurningClock):
            clock.endTurn()
        peer.read()
        self.assertEqual(peer.of(GOAWAY), [])
        return messages(peer)

    @given(_steps)
    def test_withTurnsTheSameMessagesAreWrittenAsWithout(self, steps: list[Step]) -> None:
        withTurns, without = self.play(steps, TurningClock()), self.play(steps, Clock())
        for found in (withTurns, without):
            for message in found.values():
                if message.reset is not None:
                    # How much of it had gone is a matter of time.
                    message.body, message.heads = b"", []
        self.assertEqual(withTurns, without)

    def test_aPlainReadingFindsWhatIsWrong(self) -> None:
        peer = RawClient()
        for frames in ((headers(1, OK, end=True), data()), (data(),)):
            peer.wire.out.clear()
            peer.frames.clear()
            peer.wire.out.append(b"".join(frames))
            peer.read()
            self.assertRaises(AssertionError, messages, peer)
