"""
HTTP messages, and the compression of their fields: section 8 of RFC 9113, and RFC 7541.
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
    server,
    streamError,
    table,
)
from hermes.test.http2.raw import (
    COMPRESSION_ERROR,
    END_HEADERS,
    END_STREAM,
    ENHANCE_YOUR_CALM,
    GET,
    HEADERS,
    POST,
    PROTOCOL_ERROR,
    Fields,
    Peer,
    block,
    data,
    frame,
    headers,
    literal,
)
from hermes.values import ResponseHead

CONNECT: Fields = ((b":method", b"CONNECT"), (b":authority", b"db.example:3306"))
EXTENDED: Fields = ((b":method", b"CONNECT"), (b":protocol", b"connect-udp"), *GET[1:])
TRAILERS: Fields = ((b"x-sum", b"1"),)


def without(name: bytes) -> Fields:
    """
    A request that lacks a field.
    """
    return tuple(each for each in GET if each[0] != name)


def instead(name: bytes, value: bytes) -> Fields:
    """
    A request with another value of a field.
    """
    return tuple((each, value if each == name else old) for each, old in GET)


def asked(**expected: object) -> Check:
    """
    The handler has been handed such a request.
    """

    def check(test: SynchronousTestCase, peer: Peer) -> None:
        request = peer.handler.exchanges[0].request
        test.assertEqual({name: getattr(request, name) for name in expected}, expected)

    return check


def notHandedOver(test: SynchronousTestCase, peer: Peer) -> None:
    """
    The handler knows nothing of the request.
    """
    test.assertEqual(peer.handler.exchanges, [])


def tunnel(peer: Peer) -> None:
    """
    The server accepts a CONNECT.
    """
    peer.handler.exchanges[0].respond(ResponseHead(200))


def malformed(
    section: str, name: str, fields: Fields, covers: str = "", settings: EngineSettings | None = None
) -> Case:
    """
    A request that must be refused before anybody sees it.
    """
    return Case(
        section,
        f"{name}IsMalformed",
        [headers(1, fields, end=True)],
        allOf(notHandedOver, streamError(PROTOCOL_ERROR)),
        [covers] if covers else [],
        settings=settings,
    )


FIELDS = [
    malformed("8.2.1", "anUpperCaseName", (*GET, (b"X-TEST", b"1")), "http2/8.1.2/1"),
    *(
        malformed("8.2.1", name, (*GET, pair))
        for name, pair in [
            ("aSpaceInAName", (b"x test", b"1")),
            ("anEmptyName", (b"", b"1")),
            ("aColonInAName", (b"x:test", b"1")),
            ("aControlInAName", (b"x\x01", b"1")),
            ("aHighByteInAName", (b"x\xff", b"1")),
            ("aLineFeedInAValue", (b"x", b"1\nhost: b")),
            ("aCarriageReturnInAValue", (b"x", b"1\r")),
            ("aNULInAValue", (b"x", b"1\x002")),
            ("aSpaceBeforeAValue", (b"x", b" 1")),
            ("aTabBehindAValue", (b"x", b"1\t")),
        ]
    ),
    Case("8.2.1", "anEmptyValueIsTaken", [headers(1, (*GET, (b"x", b"")))], asked(headers=((b"x", b""),))),
    malformed("8.2.2", "aConnectionSpecificField", (*GET, (b"connection", b"keep-alive")), "http2/8.1.2.2/1"),
    malformed("8.2.2", "teThatIsNotTrailers", (*GET, (b"te", b"trailers, deflate")), "http2/8.1.2.2/2"),
    *(
        malformed("8.2.2", f"theField{name.title().replace('-', '')}", (*GET, (name.encode(), b"x")))
        for name in ("keep-alive", "proxy-connection", "transfer-encoding", "upgrade")
    ),
    Case("8.2.2", "teTrailersIsTaken", [headers(1, (*GET, (b"te", b"trailers")))], accepted),
    malformed("8.3", "anUnknownPseudoField", (*GET, (b":test", b"1")), "http2/8.1.2.1/1"),
    malformed("8.3", "aPseudoFieldOfResponses", (*GET, (b":status", b"200")), "http2/8.1.2.1/2"),
    malformed("8.3", "anInformationalStatus", ((b":status", b"100"), *GET)),
    Case(
        "8.3",
        "aPseudoFieldInTrailersIsMalformed",
        [headers(1, POST), headers(1, ((b":method", b"200"),), end=True)],
        streamError(PROTOCOL_ERROR),
        ["http2/8.1.2.1/3"],
    ),
    malformed(
        "8.3", "aPseudoFieldBehindAnother", (*without(b":path"), (b"x", b"1"), (b":path", b"/")), "http2/8.1.2.1/4"
    ),
    malformed("8.3.1", "anEmptyPath", instead(b":path", b""), "http2/8.1.2.3/1"),
    malformed("8.3.1", "noMethod", without(b":method"), "http2/8.1.2.3/2"),
    malformed("8.3.1", "noScheme", without(b":scheme"), "http2/8.1.2.3/3"),
    malformed("8.3.1", "noPath", without(b":path"), "http2/8.1.2.3/4"),
    malformed("8.3.1", "aMethodTwice", (GET[0], *GET), "http2/8.1.2.3/5"),
    malformed("8.3.1", "aSchemeTwice", (GET[1], *GET), "http2/8.1.2.3/6"),
    malformed("8.3.1", "aPathTwice", (GET[2], *GET), "http2/8.1.2.3/7"),
    malformed("8.3.1", "anAuthorityTwice", (GET[3], *GET)),
    malformed("8.3.1", "aMethodThatIsNoToken", instead(b":method", b"GET /")),
    malformed("8.3.1", "aPathWithoutItsSlash", instead(b":path", b"x")),
    malformed("8.3.1", "aSpaceInThePath", instead(b":path", b"/ HTTP/1.1")),
    malformed("8.3.1", "aDeleteInThePath", instead(b":path", b"/\x7f")),
    malformed("8.3.1", "aSchemeThatIsNone", instead(b":scheme", b"http://")),
    malformed("8.3.1", "noAuthorityAndNoHost", without(b":authority")),
    malformed("8.3.1", "anEmptyHost", (*without(b":authority"), (b"host", b""))),
    malformed("8.3.1", "aSlashInTheAuthority", instead(b":authority", b"a.example/")),
    malformed("8.3.1", "aSpaceInTheAuthority", instead(b":authority", b"a example")),
    malformed("8.3.1", "userInformationInTheAuthority", instead(b":authority", b"root@a.example")),
    malformed("8.3.1", "aHostThatIsAnotherThanTheAuthority", (*GET, (b"host", b"b.example"))),
    malformed("8.3.1", "aSecondHost", (*without(b":authority"), (b"host", b"a"), (b"host", b"a"))),
    Case(
        "8.3.1",
        "hostStandsInForTheAuthority",
        [headers(1, (*without(b":authority"), (b"host", b"a.example")))],
        asked(authority=b"a.example", headers=()),
    ),
    Case(
        "8.3.1",
        "optionsOfTheWholeServerIsTaken",
        [headers(1, ((b":method", b"OPTIONS"), (b":scheme", b"http"), (b":path", b"*"), GET[3]))],
        asked(path=b"*"),
    ),
]


def withLength(*lengths: bytes) -> Fields:
    """
    A POST with content-length.
    """
    return (*POST, *((b"content-length", each) for each in lengths))


BODIES = [
    Case(
        "8.1",
        "aSecondHeadInARequestIsMalformed",
        [headers(1, POST), headers(1, TRAILERS)],
        streamError(PROTOCOL_ERROR),
        ["http2/8.1/1"],
    ),
    Case(
        "8.1.1",
        "contentLengthUnlikeTheBodyIsMalformed",
        [headers(1, withLength(b"1")), data(end=True)],
        streamError(PROTOCOL_ERROR),
        ["http2/8.1.2.6/1"],
    ),
    Case(
        "8.1.1",
        "contentLengthUnlikeTheSumOfTheBodyIsMalformed",
        [headers(1, withLength(b"1")), data(payload=b""), data(payload=b"a"), data(payload=b"b", end=True)],
        streamError(PROTOCOL_ERROR),
        ["http2/8.1.2.6/2"],
    ),
    Case(
        "8.1.1",
        "aBodyThatEndsTooSoonIsMalformed",
        [headers(1, withLength(b"5")), data(), data(payload=b"", end=True)],
        streamError(PROTOCOL_ERROR),
    ),
    Case(
        "8.1.1",
        "aBodyThatEndsTooSoonWithTrailersIsMalformed",
        [headers(1, withLength(b"5")), data(), headers(1, TRAILERS, end=True)],
        streamError(PROTOCOL_ERROR),
    ),
    malformed("8.1.1", "contentLengthWithoutABody", withLength(b"1")),
    malformed("8.1.1", "aContentLengthThatIsNone", withLength(b"x")),
    malformed("8.1.1", "aNegativeContentLength", withLength(b"-1")),
    malformed("8.1.1", "twoContentLengths", withLength(b"4", b"5")),
    Case("8.1.1", "aContentLengthOf0IsTaken", [headers(1, withLength(b"0"), end=True)], answered(), answers=True),
    Case(
        "8.1.1",
        "paddingIsNotContent",
        [headers(1, withLength(b"4")), data(pad=9, end=True)],
        answered(received=4),
        answers=True,
    ),
]

CONNECTS = [
    Case(
        "8.5", "connectIsTaken", [headers(1, CONNECT)], asked(method=b"CONNECT", authority=b"db.example:3306", path=b"")
    ),
    malformed("8.5", "connectWithAPath", (*CONNECT, (b":path", b"/"))),
    malformed("8.5", "connectWithAScheme", (*CONNECT, (b":scheme", b"http"))),
    malformed("8.5", "connectWithoutAnAuthority", CONNECT[:1]),
    malformed("8.5", "connectWithAnEmptyAuthority", (*CONNECT[:1], (b":authority", b""))),
    Case(
        "8.5",
        "trailersInATunnelAreMalformed",
        [headers(1, CONNECT), tunnel, headers(1, TRAILERS, end=True)],
        streamError(PROTOCOL_ERROR),
    ),
    Case("8441 4", "extendedConnectIsTaken", [headers(1, EXTENDED)], asked(protocol=b"connect-udp", path=b"/")),
    malformed("8441 4", "protocolWithoutConnect", (*GET, (b":protocol", b"connect-udp"))),
    malformed("8441 4", "extendedConnectThatWasNotOffered", EXTENDED, settings=EngineSettings(extendedConnect=False)),
    malformed("8441 4", "extendedConnectWithoutAPath", tuple(each for each in EXTENDED if each[0] != b":path")),
]


def compressed(section: str, name: str, encoded: bytes, *covers: str, code: int = COMPRESSION_ERROR) -> Case:
    """
    A header block that ends the connection.
    """
    return Case(
        section,
        f"{name}EndsTheConnection",
        [frame(HEADERS, END_HEADERS | END_STREAM, 1, encoded)],
        connectionError(code),
        covers,
    )


REQUEST = block(GET)

HPACK = [
    compressed("hpack 2.3.3", "anIndexBeyondTheTables", REQUEST + b"\xc6", "hpack/2.3.3/1"),
    compressed("hpack 2.3.3", "aNameWithAnIndexBeyondTheTables", REQUEST + b"\x7f\x07\x01x", "hpack/2.3.3/2"),
    compressed("hpack 4.2", "aTableSizeUpdateBehindAField", REQUEST + b"\x20", "hpack/4.2/1"),
    compressed("hpack 4.2", "aThirdTableSizeUpdate", b"\x20\x21\x22" + REQUEST),
    compressed("hpack 5.1", "anIntegerWithoutItsEnd", REQUEST + b"\x3f\xff\xff"),
    compressed("hpack 5.1", "anIntegerOfManyBytes", b"\xff" + b"\x80" * 5000 + b"\x01"),
    compressed("hpack 5.2", "huffmanPaddingOfMoreThan7Bits", REQUEST + b"\x00\x01x\x82\x1f\xff", "hpack/5.2/1"),
    compressed("hpack 5.2", "huffmanPaddingOfZeros", REQUEST + b"\x00\x01x\x81\x18", "hpack/5.2/2"),
    compressed("hpack 5.2", "huffmanWithTheEndOfString", REQUEST + b"\x00\x01x\x85\x1f\xff\xff\xff\xff", "hpack/5.2/3"),
    compressed("hpack 5.2", "aStringBeyondTheBlock", REQUEST + b"\x00\x01x\x7f\xff\x03x"),
    compressed("hpack 6.1", "theIndex0", REQUEST + b"\x80", "hpack/6.1/1"),
    compressed("hpack 6.3", "aTableBeyondItsBound", b"\x3f\xe2\x1f" + REQUEST, "hpack/6.3/1"),
    compressed(
        "10.5.1",
        "aHeaderListOfTwiceTheBound",
        REQUEST + literal(b"x-much", bytes(4000)) * 34,
        code=ENHANCE_YOUR_CALM,
    ),
]


@table(server, FIELDS)
class FieldTests(SynchronousTestCase):
    """
    Fields and pseudo-header fields.
    """


@table(server, BODIES + CONNECTS)
class MessageTests(SynchronousTestCase):
    """
    Requests and their bodies.
    """


@table(server, HPACK)
class CompressionTests(SynchronousTestCase):
    """
    HPACK.
    """
