"""
What a page does: a WebSocket on the C{websockets} library, an Interest made by python-ndn, and the answer printed.

    python -m hermes.test.interop.ndnbrowser URL NAME [ORIGIN]
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from ndn.encoding import InterestParam, Name, make_interest, parse_data
from websockets.asyncio.client import connect


async def main(url: str, name: str, origin: Any = None) -> None:
    """
    Ask once.
    """
    async with connect(url, origin=origin) as connection:
        await connection.send(bytes(make_interest(Name.from_str(name), InterestParam(nonce=5, lifetime=5000))))
        answer = await connection.recv()
        assert isinstance(answer, bytes)
        found, _, content, _ = parse_data(answer)
        print(f"{Name.to_str(found)}: {len(bytes(content or b''))} bytes")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
