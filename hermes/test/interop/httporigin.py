"""
What the origins of these tests answer, whatever version they speak: what they were asked, as JSON. C{/size/N} is a body
of C{N} bytes, C{/trailers} has trailers, C{/hints} an informational response before the final one, C{/declined} no use
for a body, C{/stall} no answer at all.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

CHUNK = bytes(range(256)) * 256


def sizeOf(path: str) -> int | None:
    """
    How long the answer is to be, where the path says so.
    """
    match = re.fullmatch(r"/size/(\d+)", path)
    return None if match is None else int(match[1])


def isDeclined(path: str) -> bool:
    """
    Whether no body is wanted.
    """
    return path == "/declined"


def answer(
    version: str,
    method: str,
    path: str,
    fields: Sequence[tuple[str, str]],
    length: int,
    digest: str,
    trailers: Sequence[tuple[str, str]],
) -> bytes:
    """
    What was asked.
    """
    told: dict[str, Any] = {
        "version": version,
        "method": method,
        "path": path,
        "fields": [[name.lower(), value] for name, value in fields],
        "length": length,
        "digest": digest,
        "trailers": [list(pair) for pair in trailers],
    }
    return json.dumps(told).encode()


def valueOf(told: dict[str, Any], name: str) -> str | None:
    """
    The value of a field, of what was asked.
    """
    values = [value for key, value in told["fields"] if key == name]
    return ", ".join(values) if values else None
