"""
Asking over HTTP, in tests. It blocks: for a thread.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from http.client import HTTPConnection
from typing import Any

from attrs import field, frozen


@frozen
class Answered:
    """
    An answer.
    """

    status: int
    headers: dict[str, str] = field(repr=False)
    body: bytes

    @property
    def json(self) -> Any:
        """
        Its body.
        """
        return json.loads(self.body)

    @property
    def text(self) -> str:
        """
        Its body.
        """
        return self.body.decode()


def ask(
    port: int,
    method: str,
    path: str,
    body: bytes | Iterable[bytes] | None = None,
    headers: dict[str, str] | None = None,
) -> Answered:
    """
    Ask 127.0.0.1.

    @param body: of a length that is told; or chunks.
    """
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        return Answered(
            response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()
        )
    finally:
        connection.close()
