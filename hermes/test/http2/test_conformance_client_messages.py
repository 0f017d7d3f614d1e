"""
Responses, right and wrong, and how our client takes them. It has sent a GET on stream 1, unless told otherwise.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hermes.test.http2.conformance import (
    Case,
    accepted,
    allOf,
    client,
    ends,
    fails,
    resets,
    responds,
    streamError,
    table,
)
from hermes.test.http2.raw import (
    ENHANCE_YOUR_CALM,
    NO_ERROR,
    OK,
    PROTOCOL_ERROR,
    REFUSED_STREAM,
    Fields,
    data,
    goAway,
    headers,
    reset,
)

MORE: Fields = ((b"x-more", b"1"),)
EARLY: Fields = ((b":status", b"103"),)
LARGEST = 2**31 - 1
PONG = b"12345678"


def length(value: bytes) -> Fields:
    """
    A response with content-length.
    """
    return (*OK, (b"content-length", value))


MESSAGES = [
    *(
        Case(
            "8.3.2",
            f"{name}IsMalformed",
            [headers(1, fields, end=True)],
            allOf(fails(PROTOCOL_ERROR), accepted),
        )
        for name, fields in [
            ("aResponseWithoutAStatus", ((b"x", b"1"),)),
            ("aStatusTwice", OK * 2),
            ("aStatusThatIsNone", ((b":status", b"2x0"),)),
            ("aStatusOf4Digits", ((b":status", b"2000"),)),
            ("aStatusOf101", ((b":status", b"101"),)),
            ("aStatusOf600", ((b":status", b"600"),)),
            ("aStatusInOtherDigits", ((b":status", "\u0662\u0660\u0660".encode()),)),
            ("aPseudoFieldOfRequests", (*OK, (b":path", b"/"))),
            ("anUpperCaseName", (*OK, (b"X", b"1"))),
            ("aConnectionSpecificField", (*OK, (b"connection", b"close"))),
            ("contentLengthWithoutABody", length(b"5")),
            ("aContentLengthThatIsNone", length(b"five")),
            ("anInformationalEnd", EARLY),
        ]
    ),
    Case(
        "8.1",
        "informationalHeadsAreTaken",
        [headers(1, EARLY), headers(1, EARLY), headers(1, OK, end=True)],
        allOf(responds(200), accepted),
    ),
    Case(
        "10.5",
        "informationalHeadsAreBounded",
        [headers(1, EARLY)] * 33,
        allOf(fails(PROTOCOL_ERROR), streamError(PROTOCOL_ERROR)),
    ),
    resets("anInformationalHeadBehindTheFinalOne", "8.1", PROTOCOL_ERROR, headers(1, OK), headers(1, EARLY)),
    resets("trailersThatDoNotEnd", "8.1", PROTOCOL_ERROR, headers(1, OK), data(), headers(1, MORE)),
    Case(
        "8.1",
        "trailersAreTaken",
        [headers(1, OK), data(), headers(1, MORE, end=True)],
        allOf(responds(200, b"test", MORE), accepted),
    ),
    resets("aBodyTooLong", "8.1.1", PROTOCOL_ERROR, headers(1, length(b"3")), data(end=True)),
    resets(
        "aBodyTooShort",
        "8.1.1",
        PROTOCOL_ERROR,
        headers(1, length(b"5")),
        data(),
        data(payload=b"", end=True),
        open=True,
    ),
    Case(
        "8.1.1",
        "aResponseOf304HasNoBody",
        [headers(1, ((b":status", b"304"), (b"content-length", b"5")), end=True)],
        responds(304),
    ),
    Case(
        "8.1",
        "theResponseMayComeBeforeTheRequestsEnd",
        [headers(1, OK), data(end=True)],
        allOf(responds(200, b"test"), accepted),
        answers=True,
    ),
    Case(
        "8.1",
        "aResponseIsNotLostWithTheResetBehindIt",
        [headers(1, OK), data(end=True), reset(1, NO_ERROR)],
        allOf(responds(200, b"test"), accepted),
        answers=True,
    ),
    Case("8.1", "aResetFailsTheRequest", [reset(1, REFUSED_STREAM)], allOf(fails(REFUSED_STREAM), accepted)),
    Case("6.8", "goAwayBelowItFailsTheRequest", [goAway(0)], fails(REFUSED_STREAM)),
    Case("6.8", "goAwayAboveItLeavesTheRequest", [goAway(1), headers(1, OK, end=True)], responds(200)),
    Case(
        "6.8",
        "goAwayInTwoStepsIsTaken",
        [goAway(LARGEST), goAway(1), headers(1, OK), data(end=True)],
        allOf(responds(200, b"test"), lambda test, peer: test.assertTrue(peer.wire.closed)),
    ),
    ends("aFloodOfGoAways", "10.5", ENHANCE_YOUR_CALM, *[goAway(LARGEST)] * 21),
]


@table(client, MESSAGES)
class ClientMessageTests(SynchronousTestCase):
    """
    Responses.
    """
