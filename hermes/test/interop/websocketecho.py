"""
A WebSocket server on C{websockets}, a program of its own. It prints its port, echoes messages, and refuses what is not
under C{/echo}.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus

from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

PROTOCOLS = [Subprotocol("b"), Subprotocol("a")]


async def echo(connection: ServerConnection) -> None:
    """
    Say what was asked for, and then the same as the client.
    """
    assert connection.request is not None
    await connection.send(connection.request.path)
    async for message in connection:
        if message == "close":
            await connection.close(4321, "as you wish")
        else:
            await connection.send(message)


def admit(connection: ServerConnection, request: Request) -> Response | None:
    """
    Refuse, or not.
    """
    if request.path.startswith("/echo"):
        return None
    return connection.respond(HTTPStatus.FORBIDDEN, "not here\n")


async def main() -> None:
    """
    Serve until killed.
    """
    async with serve(echo, "127.0.0.1", 0, process_request=admit, subprotocols=PROTOCOLS, max_size=None) as server:
        print(f"serving on {next(iter(server.sockets)).getsockname()[1]}", flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
