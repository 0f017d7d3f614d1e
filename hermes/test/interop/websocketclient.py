"""
A WebSocket client on C{websockets}, a program of its own: C{websocketclient HOST PORT}. It talks to
L{hermes.test.interop.websocketecho} and prints C{done}.
"""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol


async def main(host: str, port: int) -> None:
    """
    What two programs can say to each other.
    """
    url = f"ws://{host}:{port}"
    options: dict[str, Any] = {"host": "127.0.0.1", "port": port, "proxy": None, "max_size": None}
    async with connect(f"{url}/echo?room=1", subprotocols=[Subprotocol("a")], **options) as one:
        assert one.subprotocol == "a", one.subprotocol
        assert one.response is not None and one.response.status_code == 101
        assert any("permessage-deflate" in str(extension.name) for extension in one.protocol.extensions)
        assert await one.recv() == "/echo?room=1"
        for message in ("hello", "", "\u2603" * 1000, b"", os.urandom(3 << 20), b"x" * (1 << 20)):
            await one.send(message)
            assert await one.recv() == message
        # Many at once, in order.
        for number in range(500):
            await one.send(str(number))
        for number in range(500):
            assert await one.recv() == str(number)
        await (await one.ping())
        async with connect(f"{url}/echo", subprotocols=[Subprotocol("b")], compression=None, **options) as other:
            assert await other.recv() == "/echo"
            await other.send("close")
            try:
                await other.recv()
            except ConnectionClosed as error:
                assert error.rcvd is not None and (error.rcvd.code, error.rcvd.reason) == (4321, "as you wish"), error
            else:
                raise AssertionError("the server closes")
        await one.send("still here")
        assert await one.recv() == "still here"
    try:
        await connect(f"{url}/elsewhere", **options)
    except InvalidStatus as error:
        assert error.response.status_code == 403, error
        assert error.response.body == b"not here\n", error.response.body
    else:
        raise AssertionError("the server refuses")
    print("done")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
