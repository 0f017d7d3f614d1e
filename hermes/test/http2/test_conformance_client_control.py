"""
Frames of the connection that a server sends wrongly, and how our client answers. It has sent a GET on stream 1.
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
    getsNo,
    resets,
    responds,
    table,
)
from hermes.test.http2.raw import (
    ACK,
    CONTINUATION,
    ENABLE_CONNECT_PROTOCOL,
    ENABLE_PUSH,
    FLOW_CONTROL_ERROR,
    FRAME_SIZE_ERROR,
    GOAWAY,
    INITIAL_WINDOW_SIZE,
    MAX_FRAME_SIZE,
    OK,
    PING,
    PROTOCOL_ERROR,
    SETTINGS,
    WINDOW_UPDATE,
    Fields,
    continuation,
    data,
    frame,
    headers,
    ping,
    settings,
    windowUpdate,
)

MORE: Fields = ((b"x-more", b"1"),)
EARLY: Fields = ((b":status", b"103"),)
LARGEST = 2**31 - 1
PONG = b"12345678"


CONTROL = [
    ends(
        "anAcknowledgementWithAPayload", "6.5", FRAME_SIZE_ERROR, frame(SETTINGS, ACK, 0, b"\0"), covers="client/6.5/1"
    ),
    ends("settingsOnAStream", "6.5", PROTOCOL_ERROR, frame(SETTINGS, 0, 1), covers="client/6.5/2"),
    ends("settingsOf3Bytes", "6.5", FRAME_SIZE_ERROR, frame(SETTINGS, 0, 0, bytes(3)), covers="client/6.5/3"),
    ends(
        "aWindowBeyondTheLargest",
        "6.5.2",
        FLOW_CONTROL_ERROR,
        settings((INITIAL_WINDOW_SIZE, 2**31)),
        covers="client/6.5.2/1",
    ),
    ends(
        "aFrameSizeBelowTheLeast", "6.5.2", PROTOCOL_ERROR, settings((MAX_FRAME_SIZE, 16383)), covers="client/6.5.2/2"
    ),
    ends(
        "aFrameSizeBeyondTheLargest",
        "6.5.2",
        PROTOCOL_ERROR,
        settings((MAX_FRAME_SIZE, 1 << 24)),
        covers="client/6.5.2/3",
    ),
    ends("pushThatAServerOffers", "6.5.2", PROTOCOL_ERROR, settings((ENABLE_PUSH, 1))),
    Case(
        "6.5.2",
        "anUnknownSettingIsIgnored",
        [settings((0xFF, 1))],
        allOf(gets(SETTINGS, b"", ACK), accepted),
        ["client/6.5.2/4"],
    ),
    Case(
        "6.5.3", "settingsAreAcknowledged", [settings()], allOf(gets(SETTINGS, b"", ACK), accepted), ["client/6.5.3/1"]
    ),
    ends(
        "extendedConnectTakenBack",
        "8441 3",
        PROTOCOL_ERROR,
        settings((ENABLE_CONNECT_PROTOCOL, 1)),
        settings((ENABLE_CONNECT_PROTOCOL, 0)),
    ),
    Case("6.7", "aPingIsAnswered", [ping(PONG)], allOf(gets(PING, PONG, ACK), accepted), ["client/6.7/1"]),
    Case("6.7", "anAnswerIsNotAnswered", [ping(PONG, ack=True)], allOf(getsNo(PING), accepted), ["client/6.7/2"]),
    ends("aPingOnAStream", "6.7", PROTOCOL_ERROR, frame(PING, 0, 1, bytes(8)), covers="client/6.7/3"),
    ends("aPingOf7Bytes", "6.7", FRAME_SIZE_ERROR, frame(PING, 0, 0, bytes(7)), covers="client/6.7/4"),
    ends("goAwayOnAStream", "6.8", PROTOCOL_ERROR, frame(GOAWAY, 0, 1, bytes(8)), covers="client/6.8/1"),
    ends("anIncrementOf0", "6.9", PROTOCOL_ERROR, windowUpdate(0, 0), covers="client/6.9/1"),
    resets("anIncrementOf0OnIt", "6.9", PROTOCOL_ERROR, windowUpdate(1, 0), covers="client/6.9/2"),
    ends("aWindowUpdateOf3Bytes", "6.9", FRAME_SIZE_ERROR, frame(WINDOW_UPDATE, 0, 0, bytes(3)), covers="client/6.9/3"),
    ends(
        "aConnectionsWindowTooLarge",
        "6.9.1",
        FLOW_CONTROL_ERROR,
        *[windowUpdate(0, LARGEST)] * 2,
        covers="client/6.9.1/1",
    ),
    resets(
        "aWindowTooLarge",
        "6.9.1",
        FLOW_CONTROL_ERROR,
        headers(1, OK),
        *[windowUpdate(1, LARGEST)] * 2,
        covers="client/6.9.1/2",
    ),
    Case(
        "6.10",
        "manyContinuationsAreTaken",
        [headers(1, OK, end=True, flags=0), continuation(1, MORE, False), continuation(1, MORE)],
        allOf(responds(200), accepted),
        ["client/6.10/1"],
    ),
    ends(
        "dataInsideABlock",
        "6.10",
        PROTOCOL_ERROR,
        headers(1, OK, flags=0),
        continuation(1, MORE, False),
        data(),
        covers="client/6.10/2",
    ),
    ends(
        "aContinuationOnStream0",
        "6.10",
        PROTOCOL_ERROR,
        headers(1, OK, flags=0),
        continuation(0),
        covers="client/6.10/3",
    ),
    ends("aContinuationTooMany", "6.10", PROTOCOL_ERROR, headers(1, OK), continuation(1), covers="client/6.10/4"),
    ends(
        "aContinuationBehindTheLast",
        "6.10",
        PROTOCOL_ERROR,
        headers(1, OK, flags=0),
        continuation(1, MORE),
        continuation(1, MORE),
        covers="client/6.10/5",
    ),
    ends(
        "aContinuationBehindData",
        "6.10",
        PROTOCOL_ERROR,
        headers(1, OK),
        data(),
        continuation(1),
        covers="client/6.10/6",
    ),
    ends("aBareContinuation", "6.10", PROTOCOL_ERROR, frame(CONTINUATION, 0, 1)),
]


@table(client, CONTROL)
class ClientControlTests(SynchronousTestCase):
    """
    The frames that belong to the connection, and CONTINUATION.
    """
