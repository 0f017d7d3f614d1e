"""
The admin listener's pages, for C{twisted.web}.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site

from hermes.admin.capture import Capture
from hermes.admin.status import SHOWN, Status


class Page(Resource):
    """
    A page that is made anew for each GET.
    """

    isLeaf = True
    log = Logger()

    def __init__(self, contentType: str, render: Callable[[Request], Deferred[bytes]]) -> None:
        Resource.__init__(self)
        self._contentType = contentType.encode("ascii")
        self._render = render

    def render_GET(self, request: Request) -> int:
        def rendered(body: bytes) -> None:
            request.setHeader(b"content-type", self._contentType)
            request.setHeader(b"cache-control", b"no-store")
            request.setHeader(b"content-length", b"%d" % len(body))
            request.write(body)
            request.finish()

        def failed(failure: Failure) -> None:
            if gone:
                return
            self.log.failure("the page {uri} failed", failure, uri=request.uri)
            request.setResponseCode(500)
            request.finish()

        gone: list[object] = []
        request.notifyFinish().addErrback(gone.append)
        self._render(request).addCallback(lambda body: None if gone else rendered(body)).addErrback(failed)
        return NOT_DONE_YET


def _json(value: Any) -> bytes:
    return json.dumps(value, indent=2).encode() + b"\n"


def _route(packets: Status, request: Request) -> bytes:
    asked = {name.decode(): values[0].decode() for name, values in (request.args or {}).items()}
    try:
        return _json(packets.packetRoute(asked))
    except ValueError as error:
        request.setResponseCode(400)
        return _json({"error": str(error)})


def _limit(request: Request) -> int:
    given = (request.args or {}).get(b"limit", [b""])[0]
    return min(int(given), 10_000) if given.isdigit() else SHOWN


_INDEX = b"""Hermes admin
/metrics   Prometheus metrics
/status    listeners, upstreams, counts (JSON)
/flows     open flows, newest first, ?limit=N (JSON)
/requests  HTTP exchanges that go on, newest first, ?limit=N (JSON)
/route     where an IP packet would go, ?destination=ADDRESS&user=... (JSON)
/capture   the IP packets of a listener or tunnel, live, /capture/NAME (for hermes capture)
/healthz   "ok", or 503 while the node drains
"""


def site(
    metrics: Callable[[], Deferred[bytes]],
    summary: Callable[[], Deferred[dict[str, Any]]],
    flows: Callable[[int], Deferred[list[dict[str, Any]]]],
    requests: Callable[[int], Deferred[list[dict[str, Any]]]],
    packets: Status | None = None,
) -> Site:
    """
    The site of an admin listener.

    @param packets: tells of IP packets, where one process has them all.
    """

    def health(request: Request) -> Deferred[bytes]:
        def tell(status: dict[str, Any]) -> bytes:
            if status["draining"]:
                request.setResponseCode(503)
                return b"draining\n"
            return b"ok\n"

        return summary().addCallback(tell)

    root = Resource()
    root.putChild(b"", Page("text/plain; charset=utf-8", lambda request: succeed(_INDEX)))
    root.putChild(b"metrics", Page(CONTENT_TYPE_LATEST, lambda request: metrics()))
    root.putChild(b"status", Page("application/json", lambda request: summary().addCallback(_json)))
    root.putChild(b"flows", Page("application/json", lambda request: flows(_limit(request)).addCallback(_json)))
    root.putChild(b"requests", Page("application/json", lambda request: requests(_limit(request)).addCallback(_json)))
    root.putChild(b"healthz", Page("text/plain; charset=utf-8", health))
    if packets is not None:
        root.putChild(b"capture", Capture(packets.packetPort))
        root.putChild(b"route", Page("application/json", lambda request: succeed(_route(packets, request))))
    made = Site(root, timeout=30)
    made.displayTracebacks = False
    made.noisy = False
    return made


def nodeSite(registry: CollectorRegistry, status: Status) -> Site:
    """
    The site of one process.
    """
    return site(
        lambda: succeed(generate_latest(registry)),
        lambda: succeed(status.summary()),
        lambda limit: succeed(status.openFlows(limit)),
        lambda limit: succeed(status.openRequests(limit)),
        status,
    )
