"""
Flow control: section 6.9.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hermes.http2.handler import EngineSettings
from hermes.test.http2.conformance import (
    Case,
    Check,
    accepted,
    allOf,
    connectionError,
    getsNo,
    server,
    streamError,
    table,
)
from hermes.test.http2.raw import (
    BODY,
    DATA,
    FLOW_CONTROL_ERROR,
    FRAME_SIZE_ERROR,
    INITIAL_WINDOW_SIZE,
    POST,
    PROTOCOL_ERROR,
    RST_STREAM,
    WINDOW_UPDATE,
    Peer,
    data,
    frame,
    headers,
    reset,
    settings,
    windowUpdate,
)

LARGEST = 2**31 - 1
SMALL = EngineSettings(maxFrameSize=1 << 14, streamWindow=100_000, connectionWindow=150_000)


def dataSizes(*sizes: int) -> Check:
    """
    These DATA frames came on stream 1.
    """

    def check(test: SynchronousTestCase, peer: Peer) -> None:
        test.assertEqual([len(each.payload) for each in peer.of(DATA, 1)], list(sizes))

    return check


def credited(streamID: int, size: int) -> Check:
    """
    So many bytes were credited.
    """

    def check(test: SynchronousTestCase, peer: Peer) -> None:
        given = [int.from_bytes(each.payload, "big") for each in peer.of(WINDOW_UPDATE, streamID)]
        test.assertEqual(sum(given), size)

    return check


def initialWindow(size: int) -> bytes:
    """
    SETTINGS_INITIAL_WINDOW_SIZE.
    """
    return settings((INITIAL_WINDOW_SIZE, size))


WINDOWS = [
    Case(
        "6.9", "anIncrementOf0EndsTheConnection", [windowUpdate(0, 0)], connectionError(PROTOCOL_ERROR), ["http2/6.9/1"]
    ),
    Case(
        "6.9",
        "anIncrementOf0OnAStreamResetsIt",
        [headers(), windowUpdate(1, 0)],
        streamError(PROTOCOL_ERROR),
        ["http2/6.9/2"],
    ),
    *(
        Case(
            "6.9",
            f"aWindowUpdateOf{size}BytesEndsTheConnection",
            [frame(WINDOW_UPDATE, 0, 0, bytes(size))],
            connectionError(FRAME_SIZE_ERROR),
            ["http2/6.9/3"] if size == 3 else [],
        )
        for size in (0, 3, 5)
    ),
    Case(
        "6.9.1",
        "noMoreIsSentThanTheStreamsWindow",
        [initialWindow(1), headers(end=True)],
        allOf(dataSizes(1), accepted),
        ["http2/6.9.1/1"],
        answers=True,
    ),
    Case(
        "6.9.1",
        "theConnectionsWindowBeyondTheLargestEndsTheConnection",
        [windowUpdate(0, LARGEST), windowUpdate(0, LARGEST)],
        connectionError(FLOW_CONTROL_ERROR),
        ["http2/6.9.1/2"],
    ),
    Case(
        "6.9.1",
        "aStreamsWindowBeyondTheLargestResetsIt",
        [headers(), windowUpdate(1, LARGEST), windowUpdate(1, LARGEST)],
        streamError(FLOW_CONTROL_ERROR),
        ["http2/6.9.1/3"],
    ),
    Case("6.9.1", "theLargestWindowIsTaken", [headers(), windowUpdate(1, LARGEST - 65535)], accepted),
    Case(
        "6.9.1",
        "dataBeyondAStreamsWindowResetsIt",
        [headers(1, POST), *[data(payload=bytes(1 << 14))] * 7],
        allOf(streamError(FLOW_CONTROL_ERROR), credited(0, 6 << 14)),
        settings=SMALL,
    ),
    Case(
        "6.9.1",
        "dataBeyondTheConnectionsWindowEndsTheConnection",
        [
            headers(1, POST),
            headers(3, POST),
            data(1, bytes(40_000)),
            data(3, bytes(70_000)),
        ],
        connectionError(FLOW_CONTROL_ERROR, 3),
        settings=EngineSettings(streamWindow=100_000, connectionWindow=65_535),
    ),
    Case(
        "6.9.1",
        "dataOnAResetStreamIsCreditedToTheConnection",
        [headers(1, POST), reset(), *[data(payload=bytes(1 << 14))] * 8],
        credited(0, 6 << 14),
        settings=SMALL,
    ),
    Case(
        "6.9.1",
        "emptyDataNeedsNoWindow",
        [initialWindow(0), headers(1, POST), data(1, b"", end=True)],
        getsNo(RST_STREAM),
    ),
    Case(
        "6.9.2",
        "aChangeOfTheInitialWindowMovesThoseOfOpenStreams",
        [initialWindow(0), headers(end=True), initialWindow(1)],
        allOf(dataSizes(1), accepted),
        ["http2/6.9.2/1"],
        answers=True,
    ),
    Case(
        "6.9.2",
        "aWindowThatBecameNegativeIsRemembered",
        [initialWindow(3), headers(end=True), initialWindow(2), windowUpdate(1, 2)],
        allOf(dataSizes(3, 1), accepted),
        ["http2/6.9.2/2"],
        answers=True,
    ),
    Case(
        "6.9.2",
        "nothingIsWrittenIntoANegativeWindow",
        [
            initialWindow(3),
            headers(end=True),
            initialWindow(0),
            windowUpdate(1, 2),
            windowUpdate(1, 1),
            windowUpdate(1, 100),
        ],
        allOf(dataSizes(3, len(BODY) - 3, 0), accepted),
        answers=True,
    ),
    Case(
        "6.9.2",
        "anInitialWindowBeyondTheLargestEndsTheConnection",
        [initialWindow(2**31)],
        connectionError(FLOW_CONTROL_ERROR),
        ["http2/6.9.2/3"],
    ),
    Case(
        "6.9.2",
        "anInitialWindowThatLiftsAStreamsBeyondTheLargestEndsTheConnection",
        [headers(), windowUpdate(1, LARGEST - 65535), initialWindow(65536)],
        connectionError(FLOW_CONTROL_ERROR, 1),
    ),
    Case(
        "6.9.2",
        "theInitialWindowSaysNothingOfTheConnections",
        [initialWindow(0), headers(end=True), windowUpdate(1, 5), initialWindow(65535)],
        allOf(dataSizes(5, len(BODY) - 5, 0), accepted),
        answers=True,
    ),
]


@table(server, WINDOWS)
class WindowTests(SynchronousTestCase):
    """
    Flow control.
    """
