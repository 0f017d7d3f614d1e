"""
Heads of messages: bytes to values and back. Sans-IO; h11 parses and checks, the rest of RFC 9112 is here.
"""

from __future__ import annotations

import re
from http import HTTPStatus

import h11
from attrs import frozen

from hermes.http1.body import BodyReader, ChunkedReader, CloseReader, LengthReader
from hermes.http1.errors import Malformed
from hermes.http1.fields import HOP_BY_HOP, checkBlock, checkedFields, endToEnd, tokens, writeFields
from hermes.http1.limits import Limits
from hermes.http1.target import readTarget
from hermes.values import Headers, RequestHead, ResponseHead, fieldValue

# What h11 folds together or answers otherwise than RFC 9112 section 6.3 has it is looked at in the bytes.
_LENGTHS = re.compile(rb"^content-length:[ \t]*(.*?)[ \t]*\r$", re.I | re.M)
_CODINGS = re.compile(rb"^transfer-encoding:[ \t]*(.*?)[ \t]*\r$", re.I | re.M)
_LENGTH = re.compile(rb"[0-9]{1,18}")
_PROTOCOL = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+(?:/[!#$%&'*+.^_`|~0-9A-Za-z-]+)?")
_STATUS_LINE = re.compile(rb"HTTP/1\.[0-9] [1-5][0-9][0-9](?: |\r)")

_HOST = frozenset({b"host"})
_FRAMING = frozenset({b"content-length", b"transfer-encoding"})

# An offer that is taken or left without harm, and that no tunnel begins with.
_IGNORED_UPGRADES = (b"h2c", b"tls/")

_REASONS = {status.value: status.phrase.encode("ascii") for status in HTTPStatus}


@frozen
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
    """

    head: RequestHead
    body: BodyReader | None = None
    tunnel: bool = False
    upgrade: bytes | None = None
    close: bool = False
    http10: bool = False
    expects: bool = False


@frozen
class Response:
    """
    A response as it came.

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


def readRequest(block: bytes, scheme: bytes, limits: Limits) -> Request:
    """
    @param block: a head, through the empty line.
    @param scheme: C{b"https"} on a secure connection, else C{b"http"}.
    @raise Malformed: where it is none.
    """
    # An empty line before a request line is forgiven, once (RFC 9112 section 2.2).
    block = block.removeprefix(b"\r\n")
    checkBlock(block)
    if block.count(b"\r\n") > limits.fields + 2:
        raise Malformed("too many fields", 431)
    parser = h11.Connection(h11.SERVER, limits.head)
    parser.receive_data(block)
    try:
        event = parser.next_event()
    except h11.RemoteProtocolError as error:
        # The bytes of the codings are looked at below; h11 would answer 501 to each that it doesn't know.
        if error.error_status_hint == 501:
            _requestBody(block, False, limits)
        raise Malformed(_reason(error)) from None
    if not isinstance(event, h11.Request):
        raise Malformed("no request")
    if event.http_version[:2] != b"1.":
        raise Malformed("not a version of HTTP that is spoken here", 505)
    http10 = event.http_version == b"1.0"
    fields = list(event.headers)
    host = next((value for name, value in fields if name == b"host"), None)
    if host is None and not http10:
        raise Malformed("no Host")
    method = event.method
    place = readTarget(method, event.target, host, scheme)
    body = _requestBody(block, http10, limits)
    options = tokens(fields, b"connection")
    protocol = upgrade = None
    if method == b"CONNECT":
        if body is not None:
            raise Malformed("CONNECT with a body")
    elif not http10 and b"upgrade" in options and (upgrade := _upgrade(event, fields)) is not None:
        if body is not None:
            raise Malformed("Upgrade with a body")
        protocol, method = upgrade.lower(), b"CONNECT"
    return Request(
        RequestHead(method, place.scheme, place.authority, place.path, protocol, endToEnd(fields, _HOST)),
        body,
        method == b"CONNECT",
        upgrade,
        http10 or b"close" in options,
        http10,
        body is not None and not http10 and b"100-continue" in tokens(fields, b"expect"),
    )


def _reason(error: h11.ProtocolError) -> str:
    # What follows the colon is what the peer sent, and may be a credential.
    return str(error).partition(":")[0]


def _upgrade(event: h11.Request, fields: list[tuple[bytes, bytes]]) -> bytes | None:
    """
    The first protocol that an C{Upgrade} names and that can be a tunnel; with a method other than GET the offer is
    ignored, as RFC 9110 section 7.8 allows.
    """
    if event.method != b"GET":
        return None
    offers = [part.strip(b" \t") for name, value in fields if name == b"upgrade" for part in value.split(b",")]
    return next(
        (
            offer
            for offer in offers
            if _PROTOCOL.fullmatch(offer) is not None and not offer.lower().startswith(_IGNORED_UPGRADES)
        ),
        None,
    )


def _requestBody(block: bytes, http10: bool, limits: Limits) -> BodyReader | None:
    """
    RFC 9112 section 6.3, without what it lets a server repair.
    """
    if (body := _framedBody(block, http10, limits)) is None or body.ended:
        return None
    return body


def _framedBody(block: bytes, http10: bool, limits: Limits) -> BodyReader | None:
    codings = _CODINGS.findall(block)
    lengths = _LENGTHS.findall(block)
    if codings:
        if lengths or http10 or len(codings) > 1:
            raise Malformed("the length of the body is told in two ways")
        members = [member.strip(b" \t") for member in codings[0].lower().split(b",")]
        if members[-1] != b"chunked" or members.count(b"chunked") > 1:
            raise Malformed("chunked is not the last transfer coding")
        if len(members) > 1:
            raise Malformed("a transfer coding that is not spoken here", 501)
        return ChunkedReader(limits.trailers)
    if not lengths:
        return None
    if len(lengths) > 1 or _LENGTH.fullmatch(lengths[0]) is None:
        raise Malformed("Content-Length is no number, or several")
    return LengthReader(int(lengths[0]))


def readResponse(block: bytes, parser: h11.Connection, method: bytes, limits: Limits) -> Response:
    """
    @param block: a head, through the empty line.
    @param parser: has sent the request.
    @param method: the request's.
    @raise Malformed: where it is none.
    """
    checkBlock(block)
    if _STATUS_LINE.match(block) is None:
        raise Malformed("no HTTP/1.1 status line")
    if block.count(b"\r\n") > limits.fields + 2:
        raise Malformed("too many fields")
    parser.receive_data(block)
    try:
        event = parser.next_event()
    except h11.RemoteProtocolError as error:
        raise Malformed(_reason(error)) from None
    if not isinstance(event, (h11.Response, h11.InformationalResponse)):
        raise Malformed("no response")
    status = event.status_code
    fields = list(event.headers)
    http10 = event.http_version == b"1.0"
    success = 200 <= status < 300
    if status == 101 or (success and method == b"CONNECT"):
        head = ResponseHead(200 if status == 101 else status, endToEnd(fields, _FRAMING))
        return Response(head, switched=True, upgrade=tuple(tokens(fields, b"upgrade")))
    head = ResponseHead(status, endToEnd(fields))
    body: BodyReader | None
    if status < 200 or status in (204, 304) or method == b"HEAD":
        body = None
    else:
        body = _framedBody(block, http10, limits) or CloseReader()
        if body.ended:
            body = None
    return Response(head, body, http10 or isinstance(body, CloseReader) or b"close" in tokens(fields, b"connection"))


def contentLength(headers: Headers) -> int | None:
    """
    What a head that we are to write announces, or L{None}.

    @raise Malformed: where it is no number.
    """
    value = fieldValue(headers, b"content-length")
    if value is None:
        return None
    if _LENGTH.fullmatch(value) is None:
        raise Malformed("Content-Length is no number")
    return int(value)


def writeResponse(head: ResponseHead, own: tuple[tuple[bytes, bytes], ...], drop: frozenset[bytes]) -> bytes:
    """
    A response head; the fields that are for one hop are C{own}, and what C{head} has of them is left out.

    @param drop: more names that are left out of C{head}.
    @raise Malformed: where a field can't be written.
    """
    fields = checkedFields([pair for pair in head.headers if pair[0] not in HOP_BY_HOP and pair[0] not in drop])
    reason = _REASONS.get(head.status, b"")
    return b"HTTP/1.1 %d %s\r\n%s%s\r\n" % (head.status, reason, writeFields(own), writeFields(fields))
