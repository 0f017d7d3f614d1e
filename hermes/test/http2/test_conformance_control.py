"""
The frames that belong to the connection, CONTINUATION and error codes: sections 6.5 to 6.8, 6.10 and 7.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hermes.test.http2.conformance import (
    Case,
    Check,
    accepted,
    allOf,
    answered,
    connectionError,
    gets,
    server,
    table,
)
from hermes.test.http2.raw import (
    ACK,
    DATA,
    ENABLE_CONNECT_PROTOCOL,
    ENABLE_PUSH,
    FLOW_CONTROL_ERROR,
    FRAME_SIZE_ERROR,
    GOAWAY,
    HEADER_TABLE_SIZE,
    INITIAL_WINDOW_SIZE,
    MAX_CONCURRENT_STREAMS,
    MAX_FRAME_SIZE,
    MAX_HEADER_LIST_SIZE,
    PING,
    POST,
    PROTOCOL_ERROR,
    SETTINGS,
    Peer,
    continuation,
    data,
    frame,
    goAway,
    headers,
    ping,
    reset,
    settings,
)

LARGEST = 2**31 - 1


def dataSizes(*sizes: int) -> Check:
    """
    These DATA frames came on stream 1.
    """

    def check(test: SynchronousTestCase, peer: Peer) -> None:
        test.assertEqual([len(each.payload) for each in peer.of(DATA, 1)], list(sizes))

    return check


def acknowledged(times: int) -> Check:
    """
    So many SETTINGS were acknowledged.
    """

    def check(test: SynchronousTestCase, peer: Peer) -> None:
        test.assertEqual([(each.flags, each.payload) for each in peer.of(SETTINGS)], [(ACK, b"")] * times)

    return check


SETTINGS_CASES = [
    Case(
        "6.5",
        "anAcknowledgementWithAPayloadEndsTheConnection",
        [frame(SETTINGS, ACK, 0, b"\0")],
        connectionError(FRAME_SIZE_ERROR),
        ["http2/6.5/1"],
    ),
    Case(
        "6.5",
        "settingsOnAStreamEndTheConnection",
        [frame(SETTINGS, 0, 1)],
        connectionError(PROTOCOL_ERROR),
        ["http2/6.5/2"],
    ),
    *(
        Case(
            "6.5",
            f"settingsOf{size}BytesEndTheConnection",
            [frame(SETTINGS, 0, 0, b"\0\x03" + bytes(size - 2))],
            connectionError(FRAME_SIZE_ERROR),
            ["http2/6.5/3"] if size == 3 else [],
        )
        for size in (3, 5, 7)
    ),
    *(
        Case("6.5.2", f"{name}EndsTheConnection", [settings(pair)], connectionError(code), covers)
        for name, pair, code, covers in [
            ("enablePushOf2", (ENABLE_PUSH, 2), PROTOCOL_ERROR, ["http2/6.5.2/1"]),
            ("aWindowBeyondTheLargest", (INITIAL_WINDOW_SIZE, 2**31), FLOW_CONTROL_ERROR, ["http2/6.5.2/2"]),
            ("aFrameSizeBelowTheLeast", (MAX_FRAME_SIZE, (1 << 14) - 1), PROTOCOL_ERROR, ["http2/6.5.2/3"]),
            ("aFrameSizeBeyondTheLargest", (MAX_FRAME_SIZE, 1 << 24), PROTOCOL_ERROR, ["http2/6.5.2/4"]),
            ("enableConnectOf2", (ENABLE_CONNECT_PROTOCOL, 2), PROTOCOL_ERROR, []),
        ]
    ),
    Case(
        "6.5.2",
        "anUnknownSettingIsIgnored",
        [settings((0xFF, 1), (0, 0), (7, 7), (0xFFFF, 2**32 - 1))],
        allOf(acknowledged(1), accepted),
        ["http2/6.5.2/5"],
    ),
    Case(
        "6.5.2",
        "settingsAtTheirLimitsAreTaken",
        [
            settings(
                (HEADER_TABLE_SIZE, 2**32 - 1),
                (ENABLE_PUSH, 1),
                (MAX_CONCURRENT_STREAMS, 0),
                (INITIAL_WINDOW_SIZE, LARGEST),
                (MAX_FRAME_SIZE, (1 << 24) - 1),
                (MAX_HEADER_LIST_SIZE, 2**32 - 1),
            ),
            headers(end=True),
        ],
        allOf(acknowledged(1), answered()),
        answers=True,
    ),
    Case(
        "6.5.2",
        "aHeaderTableOf0IsKeptTo",
        [
            settings((HEADER_TABLE_SIZE, 0)),
            headers(1, end=True),
            settings((HEADER_TABLE_SIZE, 200)),
            headers(3, end=True),
        ],
        answered(3),
        answers=True,
    ),
    Case(
        "6.5.3",
        "theLastOfAValueHolds",
        [settings((INITIAL_WINDOW_SIZE, 100), (INITIAL_WINDOW_SIZE, 1)), headers(end=True)],
        allOf(dataSizes(1), accepted),
        ["http2/6.5.3/1"],
        answers=True,
    ),
    Case(
        "6.5.3",
        "aWrongValueIsNotHealedByTheNext",
        [settings((INITIAL_WINDOW_SIZE, 2**31), (INITIAL_WINDOW_SIZE, 1))],
        connectionError(FLOW_CONTROL_ERROR),
    ),
    Case(
        "6.5.3",
        "settingsAreAcknowledged",
        [settings(), settings()],
        allOf(acknowledged(2), accepted),
        ["http2/6.5.3/2"],
    ),
    Case("6.5.3", "anAcknowledgementIsNot", [settings(ack=True)], allOf(acknowledged(0), accepted)),
]

PING_CASES = [
    Case("6.7", "aPingIsAnswered", [ping(b"\0" * 8)], allOf(gets(PING, b"\0" * 8, ACK), accepted), ["http2/6.7/1"]),
    Case(
        "6.7",
        "anAnswerIsNotAnswered",
        [ping(b"invalid!", ack=True), ping(b"hermesdr", ack=True), ping(b"12345678")],
        allOf(lambda test, peer: test.assertEqual([each.payload for each in peer.frames], [b"12345678"]), accepted),
        ["http2/6.7/2"],
    ),
    Case(
        "6.7",
        "aPingOnAStreamEndsTheConnection",
        [frame(PING, 0, 1, bytes(8))],
        connectionError(PROTOCOL_ERROR),
        ["http2/6.7/3"],
    ),
    *(
        Case(
            "6.7",
            f"aPingOf{size}BytesEndsTheConnection",
            [frame(PING, 0, 0, bytes(size))],
            connectionError(FRAME_SIZE_ERROR),
            ["http2/6.7/4"] if size == 6 else [],
        )
        for size in (0, 6, 9)
    ),
]

GOAWAY_CASES = [
    Case(
        "6.8",
        "goAwayOnAStreamEndsTheConnection",
        [frame(GOAWAY, 0, 1, bytes(8))],
        connectionError(PROTOCOL_ERROR),
        ["http2/6.8/1"],
    ),
    Case("6.8", "aShortGoAwayEndsTheConnection", [frame(GOAWAY, 0, 0, bytes(7))], connectionError(FRAME_SIZE_ERROR)),
    Case(
        "7",
        "anUnknownCodeInGoAwayIsTaken",
        [headers(), goAway(0, 0xFF, b"debug"), ping(b"12345678")],
        gets(PING, b"12345678", ACK),
        ["http2/7/1"],
    ),
    Case("7", "anUnknownCodeInResetIsTaken", [headers(), reset(1, 0xFF)], accepted, ["http2/7/2"]),
]

MORE = ((b"x-more", b"1"),)

CONTINUATIONS = [
    Case(
        "6.10",
        "manyContinuationsAreTaken",
        [headers(end=True, flags=0), continuation(1, MORE, False), continuation(1, MORE)],
        answered(),
        ["http2/6.10/1"],
        answers=True,
    ),
    *(
        Case("6.10", name, does, connectionError(PROTOCOL_ERROR, last), covers)
        for name, does, last, covers in [
            (
                "dataBehindAContinuationEndsTheConnection",
                [headers(flags=0), continuation(1, MORE, False), data()],
                0,
                ["http2/6.10/2"],
            ),
            (
                "aContinuationOnStream0EndsTheConnection",
                [headers(flags=0), continuation(0, MORE)],
                0,
                ["http2/6.10/3"],
            ),
            (
                "aContinuationBehindWholeHeadersEndsTheConnection",
                [headers(), continuation(1, MORE)],
                1,
                ["http2/6.10/4"],
            ),
            (
                "aContinuationBehindTheLastEndsTheConnection",
                [headers(flags=0), continuation(1, MORE), continuation(1, MORE)],
                1,
                ["http2/6.10/5"],
            ),
            (
                "aContinuationBehindDataEndsTheConnection",
                [headers(1, POST), data(), continuation(1, MORE)],
                1,
                ["http2/6.10/6"],
            ),
        ]
    ),
]


@table(server, SETTINGS_CASES + PING_CASES + GOAWAY_CASES)
class ConnectionFrameTests(SynchronousTestCase):
    """
    SETTINGS, PING, GOAWAY.
    """


@table(server, CONTINUATIONS)
class ContinuationTests(SynchronousTestCase):
    """
    CONTINUATION.
    """
