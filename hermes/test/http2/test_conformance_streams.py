"""
The states of streams, their identifiers, how many there may be, and how errors end them: section 5.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hermes.http2.handler import EngineSettings
from hermes.test.http2.conformance import (
    Case,
    Check,
    accepted,
    allOf,
    answered,
    connectionError,
    getsNo,
    server,
    streamError,
    table,
)
from hermes.test.http2.raw import (
    CANCEL,
    END_HEADERS,
    FRAME_SIZE_ERROR,
    GET,
    GOAWAY,
    HEADERS,
    INTERNAL_ERROR,
    PING,
    POST,
    PROTOCOL_ERROR,
    REFUSED_STREAM,
    RST_STREAM,
    STREAM_CLOSED,
    WITH_PRIORITY,
    Peer,
    RawClient,
    block,
    continuation,
    data,
    frame,
    headers,
    ping,
    priority,
    reset,
    windowUpdate,
)

TWO = EngineSettings(maxStreams=2)


def resetByUs(peer: Peer) -> None:
    """
    The server resets the first stream.
    """
    peer.handler.exchanges[0].reset(CANCEL)


def quietly(streamID: int = 1) -> Check:
    """
    Only the reset of our own came, and the connection goes on.
    """
    return streamError(CANCEL, streamID)


IDLE = [
    Case("5.1", f"{name}OnAnIdleStreamEndsTheConnection", [each], connectionError(PROTOCOL_ERROR), covers)
    for name, each, covers in [
        ("data", data(end=True), ["http2/5.1/1"]),
        ("reset", reset(), ["http2/5.1/2"]),
        ("windowUpdate", windowUpdate(1, 100), ["http2/5.1/3"]),
        ("continuation", continuation(1, GET), ["http2/5.1/4"]),
        ("dataOnAStreamOfOurs", data(2), []),
        ("resetOfAStreamOfOurs", reset(2), []),
    ]
]

HALF_CLOSED = [
    Case(
        "5.1",
        "dataOnAHalfClosedStreamResetsIt",
        [headers(end=True), data(end=True)],
        streamError(STREAM_CLOSED),
        ["http2/5.1/5"],
    ),
    Case(
        "5.1",
        "headersOnAHalfClosedStreamResetIt",
        [headers(end=True), headers(end=True)],
        streamError(STREAM_CLOSED),
        ["http2/5.1/6"],
    ),
    Case(
        "5.1",
        "aContinuationOnAHalfClosedStreamEndsTheConnection",
        [headers(end=True), continuation(1, GET)],
        connectionError(PROTOCOL_ERROR, 1),
        ["http2/5.1/7"],
    ),
    Case("5.1", "windowUpdateOnAHalfClosedStreamIsTaken", [headers(end=True), windowUpdate(1, 9)], accepted),
]

CLOSED = [
    Case(
        "5.1",
        "dataAfterTheirResetIsAnError",
        [headers(), reset(), data(end=True)],
        streamError(STREAM_CLOSED),
        ["http2/5.1/8"],
    ),
    Case(
        "5.1",
        "headersAfterTheirResetAreAnError",
        [headers(), reset(), headers(end=True)],
        streamError(STREAM_CLOSED),
        ["http2/5.1/9"],
    ),
    Case(
        "5.1",
        "aContinuationAfterTheirResetEndsTheConnection",
        [headers(), reset(), continuation(1)],
        connectionError(PROTOCOL_ERROR, 1),
        ["http2/5.1/10"],
    ),
    Case(
        "5.1",
        "dataOnAClosedStreamEndsTheConnection",
        [headers(end=True), data(end=True)],
        connectionError(STREAM_CLOSED, 1),
        ["http2/5.1/11"],
        answers=True,
    ),
    Case(
        "5.1",
        "headersOnAClosedStreamEndTheConnection",
        [headers(end=True), headers(end=True)],
        connectionError(STREAM_CLOSED, 1),
        ["http2/5.1/12"],
        answers=True,
    ),
    Case(
        "5.1",
        "aContinuationOnAClosedStreamEndsTheConnection",
        [headers(end=True), continuation(1)],
        connectionError(PROTOCOL_ERROR, 1),
        ["http2/5.1/13"],
        answers=True,
    ),
    *(
        Case("5.1", f"{name}AfterOurResetIsIgnored", [headers(1, POST), resetByUs, *each], quietly())
        for name, each in [
            ("data", [data(), data(end=True)]),
            ("trailers", [headers(1, ((b"x-sum", b"1"),), end=True)]),
            ("windowUpdate", [windowUpdate(1, 100)]),
            ("reset", [reset()]),
            ("priority", [priority(1)]),
        ]
    ),
    Case(
        "5.1",
        "fieldsAfterOurResetAreStillRememberedByTheTable",
        [
            headers(1, POST),
            resetByUs,
            frame(HEADERS, END_HEADERS | 1, 1, b"\x40\x06x-test\x01y"),
            frame(HEADERS, END_HEADERS | 1, 3, block(GET) + b"\xbe"),
        ],
        allOf(
            quietly(),
            lambda test, peer: test.assertEqual(peer.handler.exchanges[1].request.headers, ((b"x-test", b"y"),)),
        ),
    ),
    Case(
        "5.1", "windowUpdateOnAClosedStreamIsIgnored", [headers(end=True), windowUpdate(1, 1)], answered(), answers=True
    ),
    Case(
        "5.1",
        "dataOnAStreamThatWasSkippedEndsTheConnection",
        [headers(5), data(3)],
        connectionError(STREAM_CLOSED, 5),
    ),
]

IDENTIFIERS = [
    Case("5.1.1", "anEvenStreamEndsTheConnection", [headers(2)], connectionError(PROTOCOL_ERROR), ["http2/5.1.1/1"]),
    Case(
        "5.1.1",
        "aStreamBelowOneBeforeEndsTheConnection",
        [headers(5), headers(3)],
        connectionError(PROTOCOL_ERROR, 5),
        ["http2/5.1.1/2"],
    ),
    Case("5.1.1", "theHighestStreamIsTaken", [headers(2**31 - 1, end=True)], getsNo(RST_STREAM)),
    Case(
        "5.1.2",
        "aStreamTooManyIsRefused",
        [headers(1), headers(3), headers(5)],
        allOf(
            lambda test, peer: test.assertEqual(len(peer.handler.exchanges), 2),
            lambda test, peer: test.assertEqual(
                [(each.streamID, each.code) for each in peer.of(RST_STREAM)], [(5, REFUSED_STREAM)]
            ),
            getsNo(GOAWAY),
        ),
        ["http2/5.1.2/1"],
        settings=TWO,
    ),
    Case(
        "5.1.2",
        "aStreamThatEndsMakesRoom",
        [headers(1), headers(3), reset(1), headers(5)],
        allOf(
            getsNo(RST_STREAM),
            lambda test, peer: test.assertEqual(len(peer.handler.exchanges), 3),
        ),
        settings=TWO,
    ),
]

DEPENDENCIES = [
    Case(
        "5.3.1",
        "headersThatDependOnTheirOwnStreamResetIt",
        [frame(HEADERS, END_HEADERS | WITH_PRIORITY, 1, b"\0\0\0\x01\xff" + block(GET))],
        streamError(PROTOCOL_ERROR),
        ["http2/5.3.1/1"],
    ),
    Case(
        "5.3.1",
        "aPriorityThatDependsOnItsOwnStreamResetsIt",
        [headers(), priority(1, parent=1)],
        streamError(PROTOCOL_ERROR),
        ["http2/5.3.1/2"],
    ),
]

ERRORS = [
    Case(
        "5.4.1",
        "aConnectionErrorClosesTheConnection",
        [frame(PING, 0, 0, bytes(6))],
        connectionError(FRAME_SIZE_ERROR),
        ["http2/5.4.1/1"],
    ),
    Case(
        "5.4.1",
        "aConnectionErrorTellsTheLastStream",
        [headers(1), headers(7), frame(PING, 0, 0, bytes(6))],
        connectionError(FRAME_SIZE_ERROR, 7),
        ["http2/5.4.1/2"],
    ),
    Case(
        "5.4.1",
        "aConnectionErrorInAHeaderBlockDoesNotTellItsStream",
        [headers(1), frame(HEADERS, END_HEADERS, 3, b"\xff")],
        connectionError(9, 1),
    ),
    Case(
        "5.4.2",
        "aStreamErrorIsNotAnsweredWithAnother",
        [headers(), frame(HEADERS, END_HEADERS, 1, b""), data(), data(), reset()],
        streamError(PROTOCOL_ERROR),
    ),
    Case(
        "5.4.2",
        "aStreamErrorLeavesItsNeighbours",
        [headers(1), headers(3, POST), windowUpdate(1, 0), data(3), ping(b"12345678")],
        allOf(
            streamError(PROTOCOL_ERROR),
            lambda test, peer: test.assertEqual(peer.handler.exchanges[1].heldBytes, 4),  # type: ignore[attr-defined]
        ),
    ),
]

EXTENSIONS = [
    Case(
        "5.5",
        "anExtensionsFrameIsIgnored",
        [frame(0xF0, 0xFF, 1, b"unknown"), headers(), frame(0xF1, 0, 1)],
        accepted,
        ["http2/5.5/1"],
    ),
    Case(
        "5.5",
        "anExtensionsFrameInAHeaderBlockEndsTheConnection",
        [headers(flags=0), frame(0xF0, 0, 1, b"unknown"), continuation(1)],
        connectionError(PROTOCOL_ERROR),
        ["http2/5.5/2"],
    ),
]


@table(server, IDLE + HALF_CLOSED + CLOSED)
class StateTests(SynchronousTestCase):
    """
    Frames that come in a state that does not take them.
    """


@table(server, IDENTIFIERS + DEPENDENCIES + ERRORS + EXTENSIONS)
class StreamTests(SynchronousTestCase):
    """
    Identifiers, priorities, errors and extensions.
    """

    def test_aHandlerThatFailsLosesItsStreamAndNoOther(self) -> None:
        peer = RawClient()
        receive = peer.handler.exchangeReceived

        def fail(exchange: object) -> None:
            raise ZeroDivisionError

        peer.handler.exchangeReceived = fail  # type: ignore[method-assign]
        peer.send(headers())
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        peer.handler.exchangeReceived = receive  # type: ignore[method-assign]
        streamError(INTERNAL_ERROR)(self, peer)
