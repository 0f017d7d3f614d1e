"""
How assisting components refuse.
"""

from __future__ import annotations

from math import ceil
from typing import Any, Final

import http_sf

from hermes.errors import FlowError
from hermes.messages import Request, Response, textResponse
from hermes.values import Headers
from hermes.wire.fields import proxyStatus

_NO_STORE: Final = (b"cache-control", b"no-store")


class Denied(FlowError):
    """
    A rule or an authorizer does not allow the request.
    """

    status = 403
    proxyStatus = "http_request_denied"


class TooMany(FlowError):
    """
    More than a limit allows.
    """

    status = 429
    proxyStatus = "http_request_denied"


def dropBody(request: Request) -> None:
    """
    Nobody will read the request's body.
    """
    body, request.body = request.body, None
    if body is not None:
        body.stopProducing()


def refusal(request: Request, nodeName: str, error: FlowError, headers: Headers = ()) -> Response:
    """
    The response that tells of C{error}, with fields that an error can't carry. It is noted in the request's record.
    """
    dropBody(request)
    request.record.failed(error)
    status = proxyStatus(nodeName, error.proxyStatus, str(error))
    response = textResponse(error.status, f"{error}\n", (*headers, (b"proxy-status", status), _NO_STORE))
    if request.head.method == b"HEAD":
        response.body = None
    return response


def retryAfter(seconds: float) -> tuple[bytes, bytes]:
    """
    A C{Retry-After} field (RFC 9110 section 10.2.3): whole seconds, at least one.
    """
    return b"retry-after", b"%d" % max(1, ceil(seconds))


class Quota:
    """
    The fields that tell a client of its limit (draft-ietf-httpapi-ratelimit-headers-09).

    @ivar policy: the C{RateLimit-Policy} field, which is the same every time.
    """

    def __init__(self, name: str, rate: float, burst: float) -> None:
        """
        @param name: what the limit is called.
        @param rate: tokens a second.
        @param burst: tokens that a full bucket holds.
        """
        self._name = name
        self._rate = rate
        self._burst = burst
        window = max(1, ceil(burst / rate))
        self.policy = b"ratelimit-policy", _member(name, {"q": int(burst), "w": window})

    def fields(self, left: float) -> Headers:
        """
        @param left: the tokens that are there.
        """
        parameters = {"r": max(0, int(left)), "t": max(0, ceil((self._burst - left) / self._rate))}
        return (self.policy, (b"ratelimit", _member(self._name, parameters)))


def _member(name: str, parameters: dict[str, int]) -> bytes:
    member: list[Any] = [(name, parameters)]
    made: bytes = http_sf.ser(member).encode("ascii")
    return made
