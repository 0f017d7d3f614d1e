"""
What the WebSocket handshake has in HTTP/1.1 and in no other version: a key, and the proof that it was read (RFC 6455
sections 4.1 and 4.2; RFC 8441 section 5). Sans-IO.

Both belong to one connection, as C{Upgrade} itself does: an exchange shows neither, whatever version is on its other
side.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable
from hashlib import sha1
from os import urandom
from typing import Final

from hermes.errors import HopRefused
from hermes.http1.errors import Malformed
from hermes.values import RequestHead, ResponseHead

WEBSOCKET: Final = b"websocket"
"""
The protocol of an extended CONNECT, and the token of an C{Upgrade}.
"""

KEY: Final = b"sec-websocket-key"
ACCEPT: Final = b"sec-websocket-accept"

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

# 16 bytes in base64.
_KEY = re.compile(rb"[A-Za-z0-9+/]{21}[AQgw]==")


def takeKey(head: RequestHead) -> tuple[RequestHead, bytes]:
    """
    The head of a request for a WebSocket, without its key, and the key.

    @raise Malformed: where there is not one key.
    """
    keys = [value for name, value in head.headers if name == KEY]
    if len(keys) != 1 or _KEY.fullmatch(keys[0]) is None:
        raise Malformed("a WebSocket needs one key of 16 bytes")
    headers = tuple([pair for pair in head.headers if pair[0] != KEY])
    return RequestHead(head.method, head.scheme, head.authority, head.path, head.protocol, headers), keys[0]


def proof(key: bytes) -> bytes:
    """
    What a server says to a key.
    """
    return b64encode(sha1(key + _GUID).digest())


def newKey(random: Callable[[int], bytes] = urandom) -> bytes:
    """
    A key for a request of ours.
    """
    return b64encode(random(16))


def checkProof(head: ResponseHead, key: bytes) -> ResponseHead:
    """
    The head of a response that accepts a WebSocket, without the proof.

    @raise HopRefused: where that is missing or wrong: what answered has not read the request.
    """
    if [value for name, value in head.headers if name == ACCEPT] != [proof(key)]:
        raise HopRefused("the peer's Sec-WebSocket-Accept is not what its key asks for", head.status)
    return ResponseHead(head.status, tuple([pair for pair in head.headers if pair[0] != ACCEPT]))
