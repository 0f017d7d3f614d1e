"""
Heads of messages: bytes to values and back. Sans-IO; llhttp (httptools) cuts and checks the field lines, the rest of
RFC 9112 is here.
"""

from __future__ import annotations

import re
from contextlib import suppress
from http import HTTPStatus
from typing import Any

import httptools
from attrs import define

from hermes.http1.body import BodyReader, ChunkedReader, CloseReader, LengthReader
from hermes.http1.errors import Malformed
from hermes.http1.fields import HOP_BY_HOP, Judge, endToEnd, fieldLines, members, readLines
from hermes.http1.limits import Limits
from hermes.http1.target import readTarget
from hermes.http1.websocket import WEBSOCKET, takeKey
from hermes.values import Headers, RequestHead, ResponseHead, fieldValue

_LENGTH = re.compile(rb"[0-9]{1,18}")
_PROTOCOL = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+(?:/[!#$%&'*+.^_`|~0-9A-Za-z-]+)?")
_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VERSION = re.compile(rb"HTTP/[0-9]\.[0-9]")
_STATUS_LINE = re.compile(rb"HTTP/1\.[0-9] [1-5][0-9][0-9](?: |\r)")

_HOST = frozenset({b"host"})
_FRAMING = frozenset({b"content-length", b"transfer-encoding"})

# What is looked at in a head, or is for one hop.
_OF_REQUESTS = HOP_BY_HOP | _FRAMING | {b"host", b"expect"}
_OF_RESPONSES = HOP_BY_HOP | _FRAMING

_NOT_IN_TARGETS = bytes({*range(0x21), *range(0x7F, 0x100)})

# What most requests have.
_METHODS = frozenset({b"GET", b"POST", b"HEAD", b"PUT", b"DELETE", b"OPTIONS", b"PATCH", b"CONNECT"})

# An offer that is taken or left without harm, and that no tunnel begins with.
_IGNORED_UPGRADES = (b"h2c", b"tls/")

_TE_TRAILERS = ((b"te", b"trailers"),)

_REASONS = {status.value: status.phrase.encode("ascii") for status in HTTPStatus}
_STATUS_LINES = {status: b"HTTP/1.1 %d %s\r\n" % (status, _REASONS.get(status, b"")) for status in range(100, 600)}


@define(eq=False)
class Request:
    """
    A request as it came.

    @ivar head: with an Upgrade shown as an extended CONNECT.
    @ivar body: reads its body; L{None} where it has none.
    @ivar tunnel: whether it asks for one, by CONNECT or by Upgrade.
    @ivar upgrade: the token as sent, where it asks for an upgrade.
    @ivar close: whether the client closes after it.
    @ivar http10: whether it is of HTTP/1.0.
    @ivar expects: whether the client waits for a 100 before it sends the body.
    @ivar key: of a WebSocket.
    """

    head: RequestHead
    body: BodyReader | None = None
    tunnel: bool = False
    upgrade: bytes | None = None
    close: bool = False
    http10: bool = False
    expects: bool = False
    key: bytes | None = None


@define(eq=False)
class Response:
    """
    A response as it came.

    @ivar head: its head.
    @ivar body: reads its body; L{None} where it has none.
    @ivar close: whether the server closes after it.
    @ivar switched: whether the connection is a tunnel from here on; a 101 is then shown as the 200 that it is in every
        other version of HTTP.
    @ivar upgrade: the tokens of its C{Upgrade} field, lower case.
    """

    head: ResponseHead
    body: BodyReader | None = None
    close: bool = False
    switched: bool = False
    upgrade: tuple[bytes, ...] = ()


def _parse(parser: Any, block: bytes) -> None:
    # What an upgrade brings is not for it; it has read the head.
    with suppress(httptools.HttpParserUpgrade):
        parser.feed_data(block)


def _special(fields: list[tuple[bytes, bytes]], names: frozenset[bytes]) -> dict[bytes, list[bytes]]:
    """
    The values of those fields that have to be looked at, by name.
    """
    found: dict[bytes, list[bytes]] = {}
    for name, value in fields:
        if name in names:
            found.setdefault(name, []).append(value)
    return found


def readRequest(block: bytes, scheme: bytes, limits: Limits) -> Request:
    """
    @param block: a head, through the empty line.
    @param scheme: C{b"https"} on a secure connection, else C{b"http"}.
    @raise Malformed: where it is none.
    """
    # An empty line before a request line is forgiven, once (RFC 9112 section 2.2).
    if block[:1] == b"\r":
        block = block.removeprefix(b"\r\n")
    if block.count(b"\n") > limits.fields + 2:
        raise Malformed("too many fields", 431)
    stop = block.find(b"\r\n")
    parts = block[:stop].split(b" ")
    if len(parts) != 3 or (parts[0] not in _METHODS and _TOKEN.fullmatch(parts[0]) is None):
        raise Malformed("no request line")
    method, target, version = parts
    if len(target.translate(None, _NOT_IN_TARGETS)) != len(target):
        raise Malformed("what can't be in a request target")
    if version != b"HTTP/1.1":
        if _VERSION.fullmatch(version) is None:
            raise Malformed("no request line")
        if version[5:7] != b"1.":
            raise Malformed("not a version of HTTP that is spoken here", 505)
    http10 = version == b"HTTP/1.0"
    judge = Judge()
    # The request line is read: llhttp knows registered methods alone, and is given one for the fields' sake.
    try:
        _parse(httptools.HttpRequestParser(judge), b"GET / HTTP/1.1" + block[stop:])
    except httptools.HttpParserError as error:
        _unspokenCoding(block, http10, limits)
        raise Malformed(_reason(error)) from None
    if not judge.complete:
        raise Malformed("no request")
    fields = readLines(block[stop + 2 : -4].split(b"\r\n")) if stop + 4 < len(block) else []
    special = _special(fields, _OF_REQUESTS)
    hosts = special.get(b"host", ())
    if len(hosts) != 1 and (hosts or not http10):
        raise Malformed("several Hosts" if hosts else "no Host")
    place = readTarget(method, target, hosts[0] if hosts else None, scheme)
    body = _requestBody(special, http10, limits)
    options = members(special.get(b"connection", ()))
    protocol = upgrade = None
    if method == b"CONNECT":
        if body is not None:
            raise Malformed("CONNECT with a body")
    elif (
        not http10 and b"upgrade" in options and (upgrade := _upgrade(method, special.get(b"upgrade", ()))) is not None
    ):
        if body is not None:
            raise Malformed("Upgrade with a body")
        protocol, method = upgrade.lower(), b"CONNECT"
    headers = endToEnd(fields, options, _HOST)
    if b"te" in options and b"trailers" in members(special.get(b"te", ())):
        # The one of its members that HTTP/2 has too (RFC 9113 section 8.2.2), for whoever speaks that beyond.
        headers += _TE_TRAILERS
    head = RequestHead(method, place.scheme, place.authority, place.path, protocol, headers)
    key = None
    if protocol == WEBSOCKET:
        head, key = takeKey(head)
    return Request(
        head,
        body,
        method == b"CONNECT",
        upgrade,
        http10 or b"close" in options,
        http10,
        body is not None and not http10 and b"100-continue" in members(special.get(b"expect", ())),
        key,
    )


def _reason(error: Exception) -> str:
    # What follows the colon is what the peer sent, and may be a credential.
    return str(error).partition(":")[0]


def _unspokenCoding(block: bytes, http10: bool, limits: Limits) -> None:
    """
    llhttp minds the codings of requests itself, where 501 is the better answer.

    @raise Malformed: where that is what is wrong.
    """
    fields = readLines([line for line in block.split(b"\r\n")[1:] if b":" in line])
    _requestBody(_special(fields, _FRAMING), http10, limits)


def _upgrade(method: bytes, values: list[bytes] | tuple[()]) -> bytes | None:
    """
    The first protocol that an C{Upgrade} names and that can be a tunnel; with a method other than GET the offer is
    ignored, as RFC 9110 section 7.8 allows.
    """
    if method != b"GET":
        return None
    offers = [part.strip(b" \t") for value in values for part in value.split(b",")]
    return next(
        (
            offer
            for offer in offers
            if _PROTOCOL.fullmatch(offer) is not None and not offer.lower().startswith(_IGNORED_UPGRADES)
        ),
        None,
    )


def _requestBody(special: dict[bytes, list[bytes]], http10: bool, limits: Limits) -> BodyReader | None:
    """
    RFC 9112 section 6.3, without what it lets a server repair.
    """
    if (body := _framedBody(special, http10, limits)) is None or body.ended:
        return None
    return body


def _framedBody(special: dict[bytes, list[bytes]], http10: bool, limits: Limits) -> BodyReader | None:
    codings = special.get(b"transfer-encoding")
    lengths = special.get(b"content-length")
    if codings:
        if lengths or http10 or len(codings) > 1:
            raise Malformed("the length of the body is told in two ways")
        coded = [member.strip(b" \t") for member in codings[0].lower().split(b",")]
        if coded[-1] != b"chunked" or coded.count(b"chunked") > 1 or b"" in coded:
            raise Malformed("chunked is not the last transfer coding")
        if len(coded) > 1:
            raise Malformed("a transfer coding that is not spoken here", 501)
        return ChunkedReader(limits.trailers)
    if not lengths:
        return None
    if len(lengths) > 1 or _LENGTH.fullmatch(lengths[0]) is None:
        raise Malformed("Content-Length is no number, or several")
    return LengthReader(int(lengths[0]))


def readResponse(block: bytes, method: bytes, limits: Limits) -> Response:
    """
    @param block: a head, through the empty line.
    @param method: the request's.
    @raise Malformed: where it is none.
    """
    if _STATUS_LINE.match(block) is None:
        raise Malformed("no HTTP/1.1 status line")
    if block.count(b"\n") > limits.fields + 2:
        raise Malformed("too many fields")
    judge = Judge()
    try:
        _parse(httptools.HttpResponseParser(judge), block)
    except httptools.HttpParserError as error:
        raise Malformed(_reason(error)) from None
    if not judge.complete:
        raise Malformed("no response")
    status = int(block[9:12])
    http10 = block[7:8] == b"0"
    fields = readLines(block[:-4].split(b"\r\n")[1:])
    special = _special(fields, _OF_RESPONSES)
    options = members(special.get(b"connection", ()))
    if status == 101 and method == b"CONNECT":
        raise Malformed("101 to a request that asked for no upgrade")
    if status == 101 or (200 <= status < 300 and method == b"CONNECT"):
        head = ResponseHead(200 if status == 101 else status, endToEnd(fields, options, _FRAMING))
        return Response(head, switched=True, upgrade=tuple(members(special.get(b"upgrade", ()))))
    head = ResponseHead(status, endToEnd(fields, options))
    body: BodyReader | None
    if status < 200 or status in (204, 304) or method == b"HEAD":
        body = None
    else:
        body = _framedBody(special, http10, limits) or CloseReader()
        if body.ended:
            body = None
    return Response(head, body, http10 or isinstance(body, CloseReader) or b"close" in options)


def contentLength(headers: Headers) -> int | None:
    """
    What a head that we are to write announces, or L{None}.

    @raise Malformed: where it is no number.
    """
    value = fieldValue(headers, b"content-length")
    if value is None:
        return None
    if not value.isdigit() or len(value) > 18:
        raise Malformed("Content-Length is no number")
    return int(value)


def writeRequest(method: bytes, target: bytes, fields: list[tuple[bytes, bytes]]) -> bytes:
    """
    A request head.

    @raise Malformed: where something of it can't be written.
    """
    if _TOKEN.fullmatch(method) is None:
        raise Malformed("the method is no token")
    line = b"%s %s HTTP/1.1\r\n" % (method, target)
    if not target or len(target.translate(None, _NOT_IN_TARGETS)) != len(target):
        raise Malformed("the request target can't be written")
    return line + fieldLines(fields)


def writeResponse(head: ResponseHead, own: tuple[tuple[bytes, bytes], ...], drop: frozenset[bytes]) -> bytes:
    """
    A response head; the fields that are for one hop are C{own}, and what C{head} has of them is left out.

    @param drop: more names that are left out of C{head}.
    @raise Malformed: where a field can't be written.
    """
    fields = [*own, *[pair for pair in head.headers if pair[0] not in HOP_BY_HOP and pair[0] not in drop]]
    return _STATUS_LINES[head.status] + fieldLines(fields)
