"""
An HTTP/2 server (prior knowledge) on C{h2} and C{asyncio}, a program of its own. It prints its port, and answers as
L{hermes.test.interop.httporigin} says.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from typing import Any

import h2.config
import h2.connection
import h2.events

from hermes.test.interop.httporigin import CHUNK, answer, isDeclined, sizeOf


class Asked:
    """
    One request.
    """

    def __init__(self, fields: Sequence[tuple[str, str]]) -> None:
        self.pseudo = {name: value for name, value in fields if name[0] == ":"}
        self.fields = [(name, value) for name, value in fields if name[0] != ":"]
        self.trailers: list[tuple[str, str]] = []
        self.length = 0
        self.digest = hashlib.sha256()

    @property
    def expects(self) -> bool:
        return ("expect", "100-continue") in self.fields


class HTTP2Protocol(asyncio.Protocol):
    """
    One connection.
    """

    transport: Any

    def __init__(self) -> None:
        config = h2.config.H2Configuration(client_side=False, header_encoding="utf-8")
        self._connection = h2.connection.H2Connection(config)
        self._asked: dict[int, Asked] = {}
        self._left: dict[int, int] = {}

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self._connection.initiate_connection()
        self._flush()

    def data_received(self, data: bytes) -> None:
        for event in self._connection.receive_data(data):
            if isinstance(event, h2.events.RequestReceived):
                self._received(event.stream_id, Asked(event.headers))  # type: ignore[arg-type]
            elif isinstance(event, h2.events.DataReceived):
                asked = self._asked.get(event.stream_id)
                if asked is not None:
                    asked.length += len(event.data)
                    asked.digest.update(event.data)
                self._connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, h2.events.TrailersReceived):
                self._asked[event.stream_id].trailers = list(event.headers)  # type: ignore[arg-type]
            elif isinstance(event, h2.events.StreamEnded):
                asked = self._asked.pop(event.stream_id, None)
                if asked is not None:
                    self._answer(event.stream_id, asked)
            elif isinstance(event, h2.events.StreamReset):
                self._asked.pop(event.stream_id, None)
                self._left.pop(event.stream_id, None)
        self._pour()
        self._flush()

    def _received(self, stream: int, asked: Asked) -> None:
        path = asked.pseudo[":path"]
        if isDeclined(path):
            self._connection.send_headers(stream, [(":status", "417"), ("content-length", "0")], end_stream=True)
            return
        self._asked[stream] = asked
        if asked.expects:
            self._connection.send_headers(stream, [(":status", "100")])
        if path == "/hints":
            self._connection.send_headers(stream, [(":status", "103"), ("link", "</style.css>; rel=preload")])

    def _answer(self, stream: int, asked: Asked) -> None:
        path, method = asked.pseudo[":path"], asked.pseudo[":method"]
        size = sizeOf(path)
        if path == "/stall":
            return
        if size is not None:
            self._connection.send_headers(stream, [(":status", "200"), ("content-length", str(size))])
            self._left[stream] = size
            return
        fields = [*asked.fields, ("host", asked.pseudo[":authority"])]
        data = answer("2", method, path, fields, asked.length, asked.digest.hexdigest(), asked.trailers)
        head = [(":status", "200")]
        if path == "/trailers":
            self._connection.send_headers(stream, [*head, ("trailer", "x-sum")])
            self._connection.send_data(stream, data)
            self._connection.send_headers(stream, [("x-sum", "from the origin")], end_stream=True)
            return
        self._connection.send_headers(stream, [*head, ("content-length", str(len(data)))], end_stream=method == "HEAD")
        if method != "HEAD":
            self._connection.send_data(stream, data, end_stream=True)

    def _pour(self) -> None:
        """
        Send what the windows allow.
        """
        for stream, left in list(self._left.items()):
            room = 1
            while left and room:
                window = self._connection.local_flow_control_window(stream)
                room = min(left, window, self._connection.max_outbound_frame_size, len(CHUNK))
                if room:
                    left -= room
                    self._connection.send_data(stream, CHUNK[:room], end_stream=not left)
            if left:
                self._left[stream] = left
            else:
                del self._left[stream]

    def _flush(self) -> None:
        self.transport.write(self._connection.data_to_send())


async def main() -> None:
    """
    Serve until killed.
    """
    server = await asyncio.get_running_loop().create_server(HTTP2Protocol, "127.0.0.1", 0)
    print(f"serving on {server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
