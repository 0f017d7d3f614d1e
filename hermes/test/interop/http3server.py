"""
An HTTP/3 server on aioquic, a program of its own: C{http3server CERTIFICATE KEY}. It prints its port and answers every
request with what was asked.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.asyncio.server import QuicServer
from aioquic.h3.connection import H3_ALPN, H3Connection
from aioquic.h3.events import HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import ProtocolNegotiated, QuicEvent


class HTTP3Protocol(QuicConnectionProtocol):
    """
    One connection.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._http: H3Connection | None = None

    def quic_event_received(self, event: QuicEvent) -> None:
        if isinstance(event, ProtocolNegotiated):
            self._http = H3Connection(self._quic)
        if self._http is None:
            return
        for received in self._http.handle_event(event):
            if isinstance(received, HeadersReceived):
                self._answer(received)
        self.transmit()

    def _answer(self, request: HeadersReceived) -> None:
        assert self._http is not None
        head = dict(request.headers)
        path = head[b":path"]
        body = path * 20_000 if path.endswith(b"big") else path
        fields = [(b":status", b"200"), (b"content-length", b"%d" % len(body))]
        self._http.send_headers(request.stream_id, fields)
        self._http.send_data(request.stream_id, body, end_stream=True)


async def main(certificate: str, key: str) -> None:
    """
    Serve for ever.
    """
    configuration = QuicConfiguration(alpn_protocols=H3_ALPN, is_client=False)
    configuration.load_cert_chain(certificate, key)
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: QuicServer(configuration=configuration, create_protocol=HTTP3Protocol), local_addr=("127.0.0.1", 0)
    )
    print("port", transport.get_extra_info("sockname")[1], flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
