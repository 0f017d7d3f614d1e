"""
Frames that a server sends wrongly, and how our client answers. It has sent a GET on stream 1, unless told otherwise.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hermes.test.http2.conformance import (
    Case,
    accepted,
    allOf,
    client,
    ends,
    gets,
    resets,
    table,
)
from hermes.test.http2.raw import (
    ACK,
    COMPRESSION_ERROR,
    DATA,
    END_HEADERS,
    FRAME_SIZE_ERROR,
    GET,
    HEADERS,
    OK,
    PADDED,
    PING,
    PRIORITY,
    PROTOCOL_ERROR,
    PUSH_PROMISE,
    RST_STREAM,
    STREAM_CLOSED,
    Fields,
    block,
    continuation,
    data,
    frame,
    goAway,
    headers,
    ping,
    priority,
    reset,
    windowUpdate,
)

MORE: Fields = ((b"x-more", b"1"),)
EARLY: Fields = ((b":status", b"103"),)
LARGEST = 2**31 - 1
PONG = b"12345678"


FRAMES = [
    ends("aPrefaceThatIsNone", "3.4", PROTOCOL_ERROR, b"HTTP/1.1 400 Bad Request\r\n\r\n", handshake=False),
    ends("pingBeforeSettings", "3.4", PROTOCOL_ERROR, ping(), covers="client/1/1", handshake=False),
    ends("goAwayBeforeSettings", "3.4", PROTOCOL_ERROR, goAway(), handshake=False),
    Case("4.1", "aFrameOfUnknownTypeIsIgnored", [frame(0x16, 0, 0, bytes(8))], accepted, ["client/4.1/1"]),
    Case(
        "4.1",
        "undefinedFlagsAreIgnored",
        [frame(PING, 0x16, 0, PONG)],
        allOf(gets(PING, PONG, ACK), accepted),
        ["client/4.1/2"],
    ),
    Case(
        "4.1",
        "theReservedBitIsIgnored",
        [frame(PING, 0, 1 << 31, PONG)],
        allOf(gets(PING, PONG, ACK), accepted),
        ["client/4.1/3"],
    ),
    ends(
        "dataBeyondTheFrameSize",
        "4.2",
        FRAME_SIZE_ERROR,
        headers(1, OK),
        frame(DATA, 0, 1, length=1 + (1 << 20)),
        covers="client/4.2/1",
    ),
    ends(
        "headersBeyondTheFrameSize",
        "4.2",
        FRAME_SIZE_ERROR,
        frame(HEADERS, 4, 1, length=1 + (1 << 20)),
        covers="client/4.2/2",
    ),
    ends(
        "aBlockThatDoesNotDecode",
        "4.3",
        COMPRESSION_ERROR,
        frame(HEADERS, END_HEADERS, 1, b"\x40"),
        covers="client/4.3/1",
    ),
    ends("priorityInsideABlock", "4.3", PROTOCOL_ERROR, headers(1, OK, flags=0), priority(1), covers="client/4.3/2"),
    ends(
        "otherHeadersInsideABlock",
        "4.3",
        PROTOCOL_ERROR,
        headers(1, OK, flags=0),
        headers(3, OK),
        covers="client/4.3/3",
    ),
]

STATES = [
    *(
        ends(f"{name}OnAnIdleStream", "5.1", PROTOCOL_ERROR, each, covers=covers)
        for name, each, covers in [
            ("data", data(2, end=True), "client/5.1/1"),
            ("reset", reset(2), "client/5.1/2"),
            ("windowUpdate", windowUpdate(2, 100), "client/5.1/3"),
            ("continuation", continuation(2, OK), "client/5.1/4"),
            ("headers", headers(2, OK), ""),
            ("dataOnOneOfOurs", data(3), ""),
            ("resetOnOneOfOurs", reset(3), ""),
        ]
    ),
    resets("dataAfterReset", "5.1", STREAM_CLOSED, headers(1, OK), reset(), data(end=True), covers="client/5.1/5"),
    resets(
        "headersAfterReset",
        "5.1",
        STREAM_CLOSED,
        headers(1, OK),
        reset(),
        headers(1, MORE, end=True),
        covers="client/5.1/6",
    ),
    ends(
        "aContinuationAfterReset",
        "5.1",
        PROTOCOL_ERROR,
        headers(1, OK),
        reset(),
        continuation(1),
        covers="client/5.1/7",
    ),
    ends("dataOnAClosedStream", "5.1", STREAM_CLOSED, headers(1, OK, end=True), data(), covers="client/5.1/8"),
    ends(
        "headersOnAClosedStream", "5.1", STREAM_CLOSED, headers(1, OK, end=True), headers(1, OK), covers="client/5.1/9"
    ),
    ends(
        "aContinuationOnAClosedStream",
        "5.1",
        PROTOCOL_ERROR,
        headers(1, OK, end=True),
        continuation(1),
        covers="client/5.1/10",
    ),
    resets("dataAfterTheResponse", "5.1", STREAM_CLOSED, headers(1, OK, end=True), data(), open=True),
    ends("aStreamThatWeDidNotOpen", "5.1.1", PROTOCOL_ERROR, headers(101, OK, end=True), covers="client/5.1.1/1"),
    ends("aPingOf6Bytes", "5.4.1", FRAME_SIZE_ERROR, frame(PING, 0, 0, bytes(6)), covers="client/5.4.1/1"),
    Case("5.5", "anExtensionsFrameIsIgnored", [frame(0xF0, 0, 1, b"x")], accepted, ["client/5.5/1"]),
    ends(
        "anExtensionsFrameInABlock",
        "5.5",
        PROTOCOL_ERROR,
        headers(1, OK, flags=0),
        frame(0xF0, 0, 1),
        covers="client/5.5/2",
    ),
]

STREAM_FRAMES = [
    ends("dataOnStream0", "6.1", PROTOCOL_ERROR, headers(1, OK), data(0), covers="client/6.1/1"),
    ends("dataOnAStreamThatEnded", "6.1", STREAM_CLOSED, headers(1, OK), data(end=True), data(), covers="client/6.1/2"),
    ends(
        "dataPaddedBeyondItsEnd",
        "6.1",
        PROTOCOL_ERROR,
        headers(1, OK),
        frame(DATA, PADDED, 1, b"\x05test"),
        covers="client/6.1/3",
    ),
    resets("dataBeforeTheHead", "8.1", PROTOCOL_ERROR, data()),
    resets("dataBehindAnInformationalHead", "8.1", PROTOCOL_ERROR, headers(1, EARLY), data()),
    ends("headersOnStream0", "6.2", PROTOCOL_ERROR, headers(0, OK), covers="client/6.2/3"),
    ends(
        "headersPaddedBeyondTheirEnd",
        "6.2",
        PROTOCOL_ERROR,
        frame(HEADERS, END_HEADERS | PADDED, 1, b"\xff" + block(OK)),
        covers="client/6.2/4",
    ),
    ends("aBlockCutByPriority", "6.2", PROTOCOL_ERROR, headers(1, OK, flags=0), priority(1), covers="client/6.2/1"),
    ends("aBlockCutByAnother", "6.2", PROTOCOL_ERROR, headers(1, OK, flags=0), headers(3, OK), covers="client/6.2/2"),
    ends("priorityOnStream0", "6.3", PROTOCOL_ERROR, priority(0), covers="client/6.3/1"),
    resets("aPriorityOf4Bytes", "6.3", FRAME_SIZE_ERROR, frame(PRIORITY, 0, 1, bytes(4)), covers="client/6.3/2"),
    ends("resetOnStream0", "6.4", PROTOCOL_ERROR, reset(0), covers="client/6.4/1"),
    ends("resetOnAStreamNeverOpened", "6.4", PROTOCOL_ERROR, reset(5), covers="client/6.4/2"),
    ends("aResetOf3Bytes", "6.4", FRAME_SIZE_ERROR, frame(RST_STREAM, 0, 1, bytes(3)), covers="client/6.4/3"),
    ends("aPushPromise", "6.6", PROTOCOL_ERROR, frame(PUSH_PROMISE, END_HEADERS, 1, b"\0\0\0\2" + block(GET))),
]


@table(client, FRAMES + STATES + STREAM_FRAMES)
class ClientFrameTests(SynchronousTestCase):
    """
    Frames and the states of streams.
    """
