"""
Responses made of stored ones.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from hermes.assist.cache.asked import Asked
from hermes.assist.cache.storing import withoutBody
from hermes.interfaces import IBody
from hermes.messages import Response, textResponse
from hermes.values import Headers, ResponseHead

if TYPE_CHECKING:
    from hermes.assist.cache.stored import StoredResponse


def respond(
    stored: StoredResponse,
    asked: Asked,
    own: Headers,
    body: Callable[[int, int | None], IBody],
    shown: Headers | None = None,
) -> Response:
    """
    Answer a request with a response that is stored, or is about to be: whole, a range of it, or that it was not
    modified.

    @param own: fields that are not stored: C{age}, C{cache-status}.
    @param body: gives the body from a start to a stop, or to its end.
    @param shown: the fields for a client; those that are stored where left out.
    """
    if shown is None:
        shown = stored.shown
    length = stored.length
    if asked.fields and stored.status == 200:
        if asked.notModified(stored):
            return Response(ResponseHead(304, (*withoutBody(shown), *own)))
        if not asked.headOnly and length is not None and b"range" in asked.fields:
            part = asked.range(stored, length)
            if part is False:
                return textResponse(416, "no such range\n", ((b"content-range", b"bytes */%d" % length), *own))
            if part is not None:
                start, stop = part
                return partial(shown, own, start, stop, length, body(start, stop))
    head = ResponseHead(stored.status, (*shown, *own))
    if asked.headOnly or length == 0 or stored.status == 204:
        return Response(head)
    return Response(head, body(0, None))


def partial(shown: Headers, own: Headers, start: int, stop: int, total: int, body: IBody) -> Response:
    """
    A 206 with one range (RFC 9110 section 15.3.7).

    @param total: how long the whole is.
    """
    fields = (
        *(pair for pair in shown if pair[0] != b"content-length"),
        (b"content-range", b"bytes %d-%d/%d" % (start, stop - 1, total)),
        (b"content-length", b"%d" % (stop - start)),
        *own,
    )
    return Response(ResponseHead(206, fields), body)
