"""
The C{proxy} listener with HTTP/2 on the loopback interface.
"""

from __future__ import annotations

from typing import Any

from attrs import evolve
from twisted.internet import reactor
from twisted.internet.protocol import Factory
from twisted.internet.task import deferLater

from hermes.http2.connection import ClientConnection
from hermes.net.network import Network
from hermes.test.fabric.loopbackproxy import Loopback, clock
from hermes.test.http.forwarding import Body
from hermes.values import RequestHead


class HTTP2Tests(Loopback):
    async def exchange(self, connection: ClientConnection, head: RequestHead, body: bytes = b"") -> tuple[int, Body]:
        exchange = connection.open(head, end=not body)
        if body:
            exchange.write(body)
            exchange.loseWriteConnection()
        response = await exchange.response()
        exchange.attach(read := Body())
        while not read.ended:
            await deferLater(clock, 0, lambda: None)
        return response.status, read

    async def test_requestsAndRefusalsShareAConnection(self) -> None:
        origin, proxy = await self.start()
        authority = origin.removeprefix("http://").encode()
        endpoint = Network(reactor).streamClient(proxy)
        client: Any = ClientConnection
        made: Any = await endpoint.connect(Factory.forProtocol(lambda: client(clock)))
        connection: ClientConnection = await made.ready
        head = RequestHead(b"GET", b"http", authority, b"/a")
        expecting = ((b"expect", b"100-continue"), (b"content-length", b"200000"))
        status, body = await self.exchange(connection, head)
        self.assertEqual((status, body.data), (200, b"GET /a via 2: "))
        upload = b"x" * 200_000
        status, body = await self.exchange(connection, evolve(head, method=b"POST", headers=expecting), upload)
        self.assertEqual((status, body.data), (200, b"POST /a via 2: " + upload))
        status, body = await self.exchange(connection, evolve(head, authority=b"127.0.0.1:1"), upload)
        self.assertEqual(status, 502)
        status, body = await self.exchange(connection, evolve(head, method=b"HEAD"))
        self.assertEqual((status, body.data), (200, b""))
        self.assertEqual([record.status for record in self.watching.ended], [200, 200, 502, 200])
        self.assertEqual(len(self.dialer.transports), 1)
        connection.abort()
