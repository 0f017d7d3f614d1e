"""
The preface, the layout of frames, and the frames that belong to a stream: sections 3.4, 4 and 6.1 to 6.4.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hermes.test.http2.conformance import (
    Case,
    Check,
    accepted,
    allOf,
    connectionError,
    gets,
    server,
    streamError,
    table,
)
from hermes.test.http2.raw import (
    ACK,
    COMPRESSION_ERROR,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    ENHANCE_YOUR_CALM,
    FRAME_SIZE_ERROR,
    GET,
    HEADERS,
    PADDED,
    PING,
    POST,
    PREFACE,
    PRIORITY,
    PROTOCOL_ERROR,
    RST_STREAM,
    SETTINGS,
    WITH_PRIORITY,
    Peer,
    block,
    continuation,
    data,
    frame,
    headers,
    ping,
    priority,
    reset,
    settings,
)

MEGABYTE = 1 << 20


def settingsFirst(test: SynchronousTestCase, peer: Peer) -> None:
    """
    The server's preface begins with SETTINGS.
    """
    test.assertEqual((peer.preface[0].kind, peer.preface[0].flags), (SETTINGS, 0))


def received(size: int) -> Check:
    """
    The first request's body has come so far.
    """

    def check(test: SynchronousTestCase, peer: Peer) -> None:
        exchange = peer.handler.exchanges[0]
        test.assertEqual(exchange.heldBytes, size)  # type: ignore[attr-defined]

    return check


PREFACES = [
    Case(
        "3.4",
        "theServerSendsSettingsFirst",
        [PREFACE, settings()],
        allOf(settingsFirst, accepted),
        ["http2/3.5/1"],
        handshake=False,
    ),
    Case(
        "3.4",
        "aWrongPrefaceEndsTheConnection",
        [b"INVALID CONNECTION PREFACE\r\n\r\n"],
        connectionError(PROTOCOL_ERROR),
        ["http2/3.5/2"],
        handshake=False,
    ),
    Case(
        "3.4",
        "aPrefaceThatIsWrongAtItsEndEndsTheConnection",
        [PREFACE[:-1] + b"x"],
        connectionError(PROTOCOL_ERROR),
        handshake=False,
    ),
    Case("3.4", "http1EndsTheConnection", [b"GET / HT"], connectionError(PROTOCOL_ERROR), handshake=False),
    *(
        Case(
            "3.4",
            f"{name}BeforeSettingsEndsTheConnection",
            [PREFACE, each],
            connectionError(PROTOCOL_ERROR),
            handshake=False,
        )
        for name, each in [
            ("headers", headers()),
            ("data", data()),
            ("muchData", frame(DATA, 0, 1, length=MEGABYTE)),
            ("ping", ping()),
            ("anUnknownFrame", frame(0x16, 0, 0, b"x")),
            ("anAcknowledgement", settings(ack=True)),
        ]
    ),
]

LAYOUT = [
    Case(
        "4.1",
        "aFrameOfUnknownTypeIsIgnored",
        [frame(0x16, 0, 0, bytes(8)), ping(bytes(8))],
        allOf(gets(PING, bytes(8), ACK), accepted),
        ["http2/4.1/1"],
    ),
    Case("4.1", "aLargeFrameOfUnknownTypeIsIgnored", [frame(0xFF, 0xFF, 77, bytes(MEGABYTE))], accepted),
    Case(
        "4.1",
        "undefinedFlagsAreIgnored",
        [frame(PING, 0x16, 0, bytes(8))],
        allOf(gets(PING, bytes(8), ACK), accepted),
        ["http2/4.1/2"],
    ),
    Case(
        "4.1",
        "theReservedBitIsIgnored",
        [frame(PING, 0x16, 1 << 31, bytes(8)), headers(1 << 31 | 1), data(1 << 31 | 1)],
        allOf(gets(PING, bytes(8), ACK), accepted),
        ["http2/4.1/3"],
    ),
    Case("4.2", "aFrameOf16KiBIsTaken", [headers(1, POST), data(payload=bytes(1 << 14))], accepted, ["http2/4.2/1"]),
    Case("4.2", "aFrameOfTheOfferedSizeIsTaken", [headers(1, POST), data(payload=bytes(MEGABYTE))], accepted),
    Case(
        "4.2",
        "dataBeyondTheOfferedFrameSizeEndsTheConnection",
        [headers(1, POST), frame(DATA, 0, 1, length=MEGABYTE + 1)],
        connectionError(FRAME_SIZE_ERROR, 1),
        ["http2/4.2/2"],
    ),
    Case(
        "4.2",
        "headersBeyondTheOfferedFrameSizeEndTheConnection",
        [frame(HEADERS, END_HEADERS, 1, length=MEGABYTE + 1)],
        connectionError(FRAME_SIZE_ERROR),
        ["http2/4.2/3"],
    ),
    Case(
        "4.2",
        "aControlFrameThatIsFarTooLongIsNotWaitedFor",
        [frame(SETTINGS, 0, 0, length=6 * 20_000)],
        connectionError(ENHANCE_YOUR_CALM),
    ),
    Case(
        "4.3",
        "aHeaderBlockThatDoesNotDecodeEndsTheConnection",
        [frame(HEADERS, END_HEADERS | END_STREAM, 1, b"\x40")],
        connectionError(COMPRESSION_ERROR),
        ["http2/4.3/1"],
    ),
    Case(
        "4.3",
        "priorityInsideAHeaderBlockEndsTheConnection",
        [headers(flags=0), priority(1), continuation(1)],
        connectionError(PROTOCOL_ERROR),
        ["http2/4.3/2", "http2/6.2/1"],
    ),
    Case(
        "4.3",
        "headersOfAnotherStreamInsideAHeaderBlockEndTheConnection",
        [headers(flags=0), headers(3)],
        connectionError(PROTOCOL_ERROR),
        ["http2/4.3/3", "http2/6.2/2"],
    ),
    *(
        Case(
            "4.3",
            f"{name}InsideAHeaderBlockEndsTheConnection",
            [headers(flags=0), each],
            connectionError(PROTOCOL_ERROR),
        )
        for name, each in [
            ("data", data()),
            ("moreHeadersOfTheSameStream", headers()),
            ("ping", ping()),
            ("settings", settings()),
            ("reset", reset()),
            ("aContinuationOfAnotherStream", continuation(3)),
            ("anUnknownFrame", frame(0x16, 0, 1, b"x")),
        ]
    ),
]

DATA_CASES = [
    Case("6.1", "dataOnStream0EndsTheConnection", [data(0)], connectionError(PROTOCOL_ERROR), ["http2/6.1/1"]),
    # RFC 9113 section 5.1 would have half-closed (remote); h2spec's case is of a stream that has ended.
    Case(
        "6.1",
        "dataOnAStreamThatThePeerHasEndedResetsIt",
        [headers(end=True), data()],
        streamError(5),
        ["http2/6.1/2"],
    ),
    Case(
        "6.1",
        "paddingBeyondTheFrameEndsTheConnection",
        [headers(1, POST), frame(DATA, PADDED, 1, b"\x05test")],
        connectionError(PROTOCOL_ERROR, 1),
        ["http2/6.1/3"],
    ),
    Case(
        "6.1",
        "paddingUpToTheFramesEndIsTaken",
        [headers(1, POST), frame(DATA, PADDED, 1, b"\x04test")],
        allOf(received(0), accepted),
    ),
    Case(
        "6.1",
        "aPaddedFrameWithoutItsPadLengthEndsTheConnection",
        [headers(1, POST), frame(DATA, PADDED, 1)],
        connectionError(FRAME_SIZE_ERROR, 1),
    ),
    Case("6.1", "whatIsNotPaddingArrives", [headers(1, POST), data(pad=200)], allOf(received(4), accepted)),
]

HEADERS_CASES = [
    Case("6.2", "headersOnStream0EndTheConnection", [headers(0)], connectionError(PROTOCOL_ERROR), ["http2/6.2/3"]),
    Case(
        "6.2",
        "paddingBeyondTheFrameEndsTheConnection",
        [frame(HEADERS, END_HEADERS | PADDED, 1, b"\xff" + block(GET))],
        connectionError(PROTOCOL_ERROR),
        ["http2/6.2/4"],
    ),
    Case(
        "6.2",
        "paddingOverThePriorityFieldsEndsTheConnection",
        [frame(HEADERS, END_HEADERS | PADDED | WITH_PRIORITY, 1, b"\x01\0\0\0\0\0")],
        connectionError(PROTOCOL_ERROR),
    ),
    *(
        Case(
            "6.2",
            f"headersWithout{name}EndTheConnection",
            [frame(HEADERS, END_HEADERS | flags, 1, payload)],
            connectionError(FRAME_SIZE_ERROR),
        )
        for name, flags, payload in [
            ("TheirPadLength", PADDED, b""),
            ("TheirPriority", WITH_PRIORITY, b"\0\0\0\0"),
            ("TheirPriorityBehindThePadLength", WITH_PRIORITY | PADDED, b"\0\0\0\0\0"),
        ]
    ),
    Case(
        "6.2",
        "anEmptyHeaderBlockIsAMalformedRequest",
        [frame(HEADERS, END_HEADERS, 1)],
        streamError(PROTOCOL_ERROR),
    ),
]

PRIORITY_CASES = [
    Case("6.3", "priorityOnStream0EndsTheConnection", [priority(0)], connectionError(PROTOCOL_ERROR), ["http2/6.3/1"]),
    *(
        Case(
            "6.3",
            f"aPriorityOf{size}BytesResetsItsStream",
            [headers(), frame(PRIORITY, 0, 1, bytes(size))],
            streamError(FRAME_SIZE_ERROR),
            ["http2/6.3/2"] if size == 4 else [],
        )
        for size in (0, 4, 6)
    ),
    Case(
        "6.3",
        "aShortPriorityOnAnIdleStreamEndsTheConnection",
        [frame(PRIORITY, 0, 1, bytes(4))],
        connectionError(FRAME_SIZE_ERROR),
    ),
    Case("6.3", "prioritySaysNothingInsideAnOpenStream", [headers(), priority(1, 3), data()], accepted),
]

RESET_CASES = [
    Case("6.4", "resetOnStream0EndsTheConnection", [reset(0)], connectionError(PROTOCOL_ERROR), ["http2/6.4/1"]),
    Case("6.4", "resetOfAnIdleStreamEndsTheConnection", [reset(1)], connectionError(PROTOCOL_ERROR), ["http2/6.4/2"]),
    *(
        Case(
            "6.4",
            f"aResetOf{size}BytesEndsTheConnection",
            [headers(), frame(RST_STREAM, 0, 1, bytes(size))],
            connectionError(FRAME_SIZE_ERROR, 1),
            ["http2/6.4/3"] if size == 3 else [],
        )
        for size in (0, 3, 5)
    ),
    Case("6.4", "resetOfAClosedStreamIsIgnored", [headers(end=True), reset(), reset()], accepted, answers=True),
    Case(
        "6.6",
        "aPushPromiseEndsTheConnection",
        [headers(), frame(5, END_HEADERS, 1, b"\0\0\0\x02" + block(GET))],
        connectionError(PROTOCOL_ERROR, 1),
        ["http2/8.2/1"],
    ),
    Case("6.6", "anEmptyPushPromiseEndsTheConnection", [frame(5, END_STREAM, 1)], connectionError(PROTOCOL_ERROR)),
    Case(
        "6.10", "aContinuationAtTheStartEndsTheConnection", [frame(CONTINUATION, 0, 1)], connectionError(PROTOCOL_ERROR)
    ),
]


@table(server, PREFACES)
@table(server, LAYOUT)
class FrameTests(SynchronousTestCase):
    """
    Prefaces and frames.
    """


@table(server, DATA_CASES)
@table(server, HEADERS_CASES)
@table(server, PRIORITY_CASES)
@table(server, RESET_CASES)
class StreamFrameTests(SynchronousTestCase):
    """
    The frames that belong to a stream.
    """
