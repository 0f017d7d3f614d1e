"""
What the access log says of a flow or of an HTTP exchange, as a JSON object.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from hermes.values import Target
from hermes.wire.tracecontext import traceIDOf


def describe(record: Any, now: float | None = None) -> dict[str, Any]:
    """
    A flow as a JSON object.

    @param record: a L{hermes.fabric.record.FlowRecord}.
    @param now: the time of the entry, seconds since 1970; without it the entry has none.
    """
    flow = record.flow
    entry: dict[str, Any] = _timed(now)
    entry |= {
        "listener": flow.listener,
        "protocol": flow.protocol,
        "source": str(Target(*flow.source)) if flow.source else None,
        "user": flow.identity.user,
        "node": flow.identity.node,
        "target": str(flow.target),
        "route": record.routeName,
        "upstream": record.upstream,
        "hops": list(record.hops),
        "bytesIn": record.bytesIn,
        "bytesOut": record.bytesOut,
        "connectSeconds": _rounded(record.connectDuration),
        "seconds": _rounded(record.duration),
    }
    if flow.protocol == "udp":
        entry |= {"datagramsIn": record.datagramsIn, "datagramsOut": record.datagramsOut}
        entry["datagramsDropped"] = record.datagramsDropped
    if record.error is not None:
        entry |= {"error": record.error, "proxyStatus": record.proxyStatus}
    return entry


def describeRequest(record: Any, now: float | None = None, query: bool = True) -> dict[str, Any]:
    """
    An HTTP exchange as a JSON object.

    @param record: a L{hermes.messages.RequestRecord}.
    @param now: the time of the entry, seconds since 1970; without it the entry has none.
    @param query: whether the path's query is told.
    """
    flow, head = record.flow, record.head
    entry = _timed(now)
    entry |= {
        "listener": flow.listener,
        "route": record.routeName,
        "upstream": record.upstream,
        "endpoint": record.endpoint,
        "hops": list(record.hops),
        "version": record.version,
        "method": readable(head.method),
        "scheme": readable(head.scheme),
        "authority": readable(withoutUserinfo(head.authority)),
        "protocol": "http" if head.protocol is None else readable(head.protocol),
        "path": readable(head.path if query else withoutQuery(head.path)),
        "source": str(Target(*flow.source)) if flow.source else None,
        "user": flow.identity.user,
        "node": flow.identity.node,
        "status": record.status,
        "bytesIn": record.bytesIn,
        "bytesOut": record.bytesOut,
        "seconds": _rounded(record.seconds),
        "firstByteSeconds": _rounded(record.firstByteSeconds),
        "tries": record.tries,
        "retries": list(record.retries),
        "resumed": record.resumed,
        "cache": record.cache,
        "traceID": traceID(record),
    }
    if record.error is not None:
        entry |= {"error": record.error, "proxyStatus": record.proxyStatus}
    return entry


def traceID(record: Any) -> str | None:
    """
    The trace that an exchange is part of: 32 hexadecimal digits. Where this node traces nothing, as the request's own
    C{traceparent} says.
    """
    notes = record.notes
    if notes is not None and (trace := notes.get("trace")) is not None:
        return str(trace.traceID)
    for name, value in record.head.headers:
        if name == b"traceparent":
            return traceIDOf(value)
    return None


def readable(data: bytes) -> str:
    """
    What is meant to be text, of whoever sent it.
    """
    return data.decode("utf-8", "backslashreplace")


def withoutUserinfo(authority: bytes) -> bytes:
    """
    An authority without what may be a password.
    """
    return authority.rpartition(b"@")[2]


def withoutQuery(path: bytes) -> bytes:
    """
    A path without its query.
    """
    return path.partition(b"?")[0]


def _timed(now: float | None) -> dict[str, Any]:
    return {} if now is None else {"time": datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds")}


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 6)
