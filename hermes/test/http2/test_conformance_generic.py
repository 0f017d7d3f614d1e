"""
What any server must take, frame by frame.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hermes.test.http2.conformance import Case, accepted, allOf, answered, gets, server, table
from hermes.test.http2.raw import (
    ACK,
    BODY,
    CANCEL,
    CONTINUATION,
    END_HEADERS,
    END_STREAM,
    GET,
    HEAD,
    HEADERS,
    INITIAL_WINDOW_SIZE,
    PADDED,
    PING,
    POST,
    PREFACE,
    SETTINGS,
    WITH_PRIORITY,
    block,
    continuation,
    data,
    frame,
    goAway,
    headers,
    ping,
    priority,
    reset,
    settings,
    windowUpdate,
)

NO_WINDOW = settings((INITIAL_WINDOW_SIZE, 0))
MORE = ((b"x-more", b"1"),)


def agent(first: bytes, name: bytes, value: bytes) -> bytes:
    """
    A request with one more field, in the representation that C{first} begins.
    """
    return headers(end=True, extra=first + name + value)


PLAIN_NAME = b"\x06x-test"
PLAIN_VALUE = b"\x06hermes"
# «www.example.com» and «no-cache», from the examples in RFC 7541 appendix C.4.
HUFFMAN_VALUE = bytes.fromhex("8cf1e3c2e5f23a6ba0ab90f4ff")
# «custom-key», from the same.
HUFFMAN_NAME = bytes.fromhex("8825a849e95ba97d7f")

REPRESENTATIONS = [
    ("Incremental", b"\x40", b"\x7a"),
    ("WithoutIndexing", b"\x00", b"\x0f\x2b"),
    ("NeverIndexed", b"\x10", b"\x1f\x2b"),
]

HPACK = [
    Case(
        f"hpack 6.2.{number}",
        f"aLiteral{kind}With{name}And{coding}IsTaken",
        [agent(*parts)],
        answered(),
        [f"generic/5/{2 + 4 * number - 4 + offset}"],
        answers=True,
    )
    for number, (kind, new, known) in enumerate(REPRESENTATIONS, 1)
    for offset, (name, coding, parts) in enumerate(
        [
            ("AnIndexedName", "APlainValue", (known, b"", PLAIN_VALUE)),
            ("AnIndexedName", "AHuffmanValue", (known, b"", HUFFMAN_VALUE)),
            ("ANewName", "APlainValue", (new, PLAIN_NAME, PLAIN_VALUE)),
            ("ANewHuffmanName", "AHuffmanValue", (new, HUFFMAN_NAME, HUFFMAN_VALUE)),
        ]
    )
]

CASES = [
    Case(
        "3.4",
        "theClientsPrefaceIsTakenAndAcknowledged",
        [PREFACE, settings((INITIAL_WINDOW_SIZE, 65535))],
        allOf(gets(SETTINGS, b"", ACK), accepted),
        ["generic/1/1"],
        handshake=False,
    ),
    Case("5.1", "priorityOnAnIdleStreamIsTaken", [priority(1)], accepted, ["generic/2/1"]),
    Case(
        "5.1",
        "windowUpdateOnAHalfClosedStreamIsTaken",
        [NO_WINDOW, headers(end=True), windowUpdate(1, 100)],
        answered(),
        ["generic/2/2"],
        answers=True,
    ),
    Case(
        "5.1",
        "priorityOnAHalfClosedStreamIsTaken",
        [NO_WINDOW, headers(end=True), priority(1), windowUpdate(1, 100)],
        answered(),
        ["generic/2/3"],
        answers=True,
    ),
    Case("5.1", "resetOnAHalfClosedStreamIsTaken", [headers(end=True), reset(1, CANCEL)], accepted, ["generic/2/4"]),
    Case(
        "5.1",
        "priorityOnAClosedStreamIsTaken",
        [headers(end=True), priority(1)],
        answered(),
        ["generic/2/5"],
        answers=True,
    ),
    Case(
        "6.1",
        "dataIsTaken",
        [headers(1, POST), data(end=True)],
        answered(received=4),
        ["generic/3.1/1"],
        answers=True,
    ),
    Case(
        "6.1",
        "manyDataFramesAreTaken",
        [headers(1, POST), data(), data(end=True)],
        answered(received=8),
        ["generic/3.1/2"],
        answers=True,
    ),
    Case(
        "6.1",
        "paddedDataIsTaken",
        [headers(1, POST), data(pad=6), data(payload=b"", pad=0), data(payload=b"", end=True, pad=255)],
        answered(received=4),
        ["generic/3.1/3"],
        answers=True,
    ),
    Case("6.2", "headersAreTaken", [headers(end=True)], answered(), ["generic/3.2/1", "generic/4/1"], answers=True),
    Case(
        "6.2",
        "paddedHeadersAreTaken",
        [frame(HEADERS, END_HEADERS | END_STREAM | PADDED, 1, b"\x06" + block(GET) + b"padded")],
        answered(),
        ["generic/3.2/2"],
        answers=True,
    ),
    Case(
        "6.2",
        "headersWithPriorityAreTaken",
        [frame(HEADERS, END_HEADERS | END_STREAM | WITH_PRIORITY, 1, b"\x80\0\0\0\xff" + block(GET))],
        answered(),
        ["generic/3.2/3"],
        answers=True,
    ),
    Case(
        "6.2",
        "paddedHeadersWithPriorityAreTaken",
        [
            frame(
                HEADERS,
                END_HEADERS | END_STREAM | WITH_PRIORITY | PADDED,
                1,
                b"\xff\0\0\0\x09\0" + block(GET) + bytes(255),
            )
        ],
        answered(),
        answers=True,
    ),
    *(
        Case("6.3", f"{name}IsTaken", [each, headers(end=True)], answered(), [f"generic/3.3/{number}"], answers=True)
        for number, (name, each) in enumerate(
            [
                ("aPriorityOf1", priority(1, weight=0)),
                ("aPriorityOf256", priority(1, weight=255)),
                ("aPriorityThatDependsOnAnotherStream", priority(3, parent=1)),
                ("anExclusivePriority", priority(1, exclusive=True)),
                ("aPriorityOfAHigherIdleStreamBeforeALowerOne", priority(3)),
            ],
            1,
        )
    ),
    Case("6.4", "resetIsTaken", [headers(), reset()], accepted, ["generic/3.4/1"]),
    Case("6.5", "settingsAreAcknowledged", [settings()], allOf(gets(SETTINGS, b"", ACK), accepted), ["generic/3.5/1"]),
    Case("6.7", "aPingIsAnswered", [ping(b"12345678")], allOf(gets(PING, b"12345678", ACK)), ["generic/3.7/1"]),
    Case("6.8", "afterGoAwayTheConnectionIsClosed", [goAway()], lambda test, peer: test.assertTrue(peer.wire.closed)),
    Case(
        "6.8",
        "afterGoAwayWhatIsOpenGoesOn",
        [headers(1, POST), goAway(), ping(b"12345678"), data(end=True)],
        allOf(
            gets(PING, b"12345678", ACK),
            lambda test, peer: test.assertEqual(peer.bodyOf(1), BODY),
            lambda test, peer: test.assertTrue(peer.wire.closed),
        ),
        ["generic/3.8/1"],
        answers=True,
    ),
    Case("6.9", "windowUpdateOnTheConnectionIsTaken", [windowUpdate(0, 1)], accepted, ["generic/3.9/1"]),
    Case("6.9", "windowUpdateOnAStreamIsTaken", [headers(), windowUpdate(1, 1)], accepted, ["generic/3.9/2"]),
    Case(
        "6.10",
        "aContinuationIsTaken",
        [headers(end=True, flags=0), continuation(1, MORE)],
        answered(),
        ["generic/3.10/1"],
        answers=True,
    ),
    Case(
        "6.10",
        "aHeaderBlockMayBeCutAnywhere",
        [
            frame(HEADERS, END_STREAM, 1, block(GET)[:5]),
            frame(CONTINUATION, 0, 1, block(GET)[5:10]),
            frame(CONTINUATION, END_HEADERS, 1, block(GET)[10:]),
        ],
        answered(),
        answers=True,
    ),
    Case(
        "6.10",
        "manyContinuationsAreTaken",
        [headers(end=True, flags=0), *[continuation(1, MORE, False)] * 100, continuation(1)],
        answered(),
        ["generic/3.10/2"],
        answers=True,
    ),
    Case(
        "8.1",
        "aHeadRequestGetsAHead",
        [headers(1, HEAD, end=True)],
        answered(body=b""),
        ["generic/4/2"],
        answers=True,
    ),
    Case(
        "8.1",
        "aPostRequestGetsAnAnswer",
        [headers(1, (*POST, (b"content-length", b"4"))), data(end=True)],
        answered(received=4),
        ["generic/4/3"],
        answers=True,
    ),
    Case(
        "8.1",
        "aPostRequestWithTrailersGetsAnAnswer",
        [headers(1, POST), data(), headers(1, MORE, end=True)],
        allOf(
            answered(received=4),
            lambda test, peer: test.assertEqual(peer.handler.exchanges[0].trailers, MORE),
        ),
        ["generic/4/4"],
        answers=True,
    ),
    Case(
        "hpack 6.1",
        "anIndexedFieldIsTaken",
        [agent(b"\xba", b"", b"")],
        answered(),
        ["generic/5/1"],
        answers=True,
    ),
    *HPACK,
    Case(
        "hpack 6.3",
        "aTableSizeUpdateIsTaken",
        [frame(HEADERS, END_HEADERS | END_STREAM, 1, b"\x20" + block(GET))],
        answered(),
        ["generic/5/14"],
        answers=True,
    ),
    Case(
        "hpack 4.2",
        "twoTableSizeUpdatesAreTaken",
        [frame(HEADERS, END_HEADERS | END_STREAM, 1, b"\x20\x3f\xe1\x1f" + block(GET))],
        answered(),
        ["generic/5/15"],
        answers=True,
    ),
    Case(
        "hpack 2.3.2",
        "aFieldThatTheTableRemembersIsTaken",
        [
            frame(HEADERS, END_HEADERS | END_STREAM, 1, block(GET) + b"\x40" + PLAIN_NAME + PLAIN_VALUE),
            frame(HEADERS, END_HEADERS | END_STREAM, 3, block(GET) + b"\xbe"),
        ],
        allOf(
            answered(3),
            lambda test, peer: test.assertEqual(
                peer.handler.exchanges[1].request.headers,
                ((b"x-test", b"hermes"),),
            ),
        ),
        answers=True,
    ),
]


@table(server, CASES)
class GenericTests(SynchronousTestCase):
    """
    A server that answers each request.
    """
