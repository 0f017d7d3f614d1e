"""
The WebSocket handshake where it crosses versions of HTTP.

In HTTP/2 it has no key and no proof (RFC 8441 section 5), and in HTTP/1.1 both belong to one connection, see
L{hermes.http1.websocket}. Yet there are proxies that translate the one form into the other and leave the two fields as
they are, Envoy for one: what is behind such a proxy needs a key from us, and what is before it a proof.
"""

from __future__ import annotations

from hermes.http1.errors import Malformed
from hermes.http1.websocket import ACCEPT, KEY, newKey, proof, takeKey
from hermes.values import RequestHead, ResponseHead


def withKey(head: RequestHead) -> RequestHead:
    """
    A request for a WebSocket, for whoever may need a key.
    """
    headers = (*head.headers, (KEY, newKey()))
    return RequestHead(head.method, head.scheme, head.authority, head.path, head.protocol, headers)


def withProof(head: ResponseHead, request: RequestHead) -> ResponseHead:
    """
    The response that accepts a WebSocket, with a proof for whoever has sent a key.

    @param request: as it came.
    """
    try:
        _, key = takeKey(request)
    except Malformed:
        return head
    return ResponseHead(head.status, (*head.headers, (ACCEPT, proof(key))))
