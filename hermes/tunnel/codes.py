"""
HTTP/2 error codes that tunnels use (RFC 9113 section 7).
"""

from __future__ import annotations

from typing import Any, Final

from hermes.interfaces import IExchange

PROTOCOL_ERROR: Final = 0x1
"""
A malformed message (RFC 9113 section 8.1.1), which a malformed capsule makes of the stream that carries it (RFC 9297
section 3.3).
"""

CANCEL: Final = 0x8
"""
The stream is not needed any more.
"""


ENHANCE_YOUR_CALM: Final = 0xB
"""
The peer makes us do more than it may.
"""


def resetStream(transport: Any, code: int) -> None:
    """
    End the stream under a tunnel at once. A tunnel over HTTP/1.1 may stand on the connection itself, which knows no
    codes.
    """
    if IExchange.providedBy(transport):
        transport.reset(code)
    else:
        transport.abortConnection()
