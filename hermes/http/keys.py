"""
By what requests and flows are balanced, where that is by a key.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from hermes.messages import Request
from hermes.values import Flow, fieldValue

RequestKey: TypeAlias = Callable[[Request], bytes | None]
FlowKey: TypeAlias = Callable[[Flow], bytes | None]


def sourceKey(flow: Flow) -> bytes | None:
    """
    The client's address, without its port.
    """
    return None if flow.source is None else flow.source[0].encode()


def userKey(flow: Flow) -> bytes | None:
    """
    The user; without one, the node.
    """
    name = flow.identity.user or flow.identity.node
    return None if name is None else name.encode()


def noKey(flow: Flow) -> bytes | None:
    """
    None.
    """
    return None


def flowKey(hashOn: str) -> FlowKey:
    """
    @param hashOn: C{source}, C{user}, C{header NAME} or C{cookie NAME}; a flow has no fields.
    """
    return {"source": sourceKey, "user": userKey}.get(hashOn, noKey)


def requestKey(hashOn: str) -> RequestKey:
    """
    @param hashOn: C{source}, C{user}, C{header NAME} or C{cookie NAME}.
    """
    kind, _, name = hashOn.partition(" ")
    if kind == "header":
        field = name.lower().encode("ascii")
        return lambda request: fieldValue(request.head.headers, field)
    if kind == "cookie":
        cookie = name.encode("ascii")
        return lambda request: _cookie(request, cookie)
    key = flowKey(hashOn)
    return lambda request: key(request.flow)


def _cookie(request: Request, name: bytes) -> bytes | None:
    """
    A cookie's value (RFC 6265 section 4.2.1). HTTP/2 may have one field a cookie (RFC 9113 section 8.2.3).
    """
    for field, value in request.head.headers:
        if field == b"cookie":
            for pair in value.split(b";"):
                key, _, found = pair.partition(b"=")
                if key.strip() == name:
                    return found.strip()
    return None
