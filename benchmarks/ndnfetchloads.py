"""
Loads of the fetch measures: C{ndnfetchloads.py ROLE NAME=VALUE...}. Each runs on a core of its own and prints JSON.

Both are programs of python-ndn as anybody writes them. Where a producer has no forwarder, its face listens.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import time
from hashlib import sha256
from itertools import count
from random import Random
from typing import Any

from ndn.appv2 import NDNApp
from ndn.encoding import Component, MetaInfo, Name, make_data, parse_tl_num
from ndn.security import DigestSha256Signer, sha256_digest_checker
from ndn.transport.face import Face
from ndn.transport.stream_face import TcpFace, UnixFace
from ndn.transport.udp_face import UdpFace
from ndn.types import InterestNack, InterestTimeout, ValidResult

SEGMENT = 8000
WINDOW = 20
LIFETIME = 1000
UDP_BUFFER = 4 << 20


def say(**result: object) -> None:
    print(json.dumps(result), flush=True)


def widen(transport: Any) -> None:
    """
    Let a UDP socket hold as much as the proxies' own do: a window of packets is more than the kernel's default.
    """
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, UDP_BUFFER)


class WideUDP(UdpFace):
    """
    python-ndn's face, with room for a window.
    """

    async def open(self) -> None:
        await super().open()
        widen(self.transport)


class ListeningStream(UnixFace):
    """
    A Unix face to whoever connects first.
    """

    async def open(self) -> None:
        connected = asyncio.get_running_loop().create_future()
        self.server = await asyncio.start_unix_server(lambda *streams: connected.set_result(streams), self.path)
        say(ready=True)
        self.reader, self.writer = await connected
        self.running = True


class ListeningUDP(Face):
    """
    A UDP face to whoever has sent last.
    """

    def __init__(self, host: str, port: int) -> None:
        super().__init__()
        self.address = host, port
        self.peer: Any = None

    async def open(self) -> None:
        face = self

        class Handler(asyncio.DatagramProtocol):
            def datagram_received(self, data: bytes, address: Any) -> None:
                face.peer = address
                kind, _ = parse_tl_num(data)
                # As python-ndn's own face does.
                asyncio.create_task(face.callback(kind, data))  # noqa: RUF006

        loop = asyncio.get_running_loop()
        self.transport, _ = await loop.create_datagram_endpoint(Handler, local_addr=self.address)
        widen(self.transport)
        self.running = True
        say(ready=True)

    async def run(self) -> None:
        await asyncio.get_running_loop().create_future()

    def send(self, data: bytes) -> None:
        self.transport.sendto(data, self.peer)

    def shutdown(self) -> None:
        self.running = False
        self.transport.close()

    async def isLocalFace(self) -> bool:
        return False


def openFace(text: str) -> Any:
    transport, _, rest = text.partition(":")
    if transport in ("unix", "unix-listen"):
        return (UnixFace if transport == "unix" else ListeningStream)(rest)
    host, _, port = rest.rpartition(":")
    return {"tcp": TcpFace, "udp": WideUDP, "udp-listen": ListeningUDP}[transport](host, int(port))


def content(number: int, size: int) -> bytes:
    return Random(number).randbytes(size)


def producer(face: str, prefix: str, size: int, rounds: int) -> None:
    """
    Serve objects, whose packets are made before.
    """
    app: Any = NDNApp(openFace(face))
    last = (size - 1) // SEGMENT
    packets: list[list[bytes]] = []
    for number in range(rounds):
        whole = content(number, size)
        name = [*Name.from_str(prefix), Component.from_str(str(number))]
        packets.append(
            [
                bytes(
                    make_data(
                        [*name, Component.from_segment(part)],
                        MetaInfo(freshness_period=10_000, final_block_id=Component.from_segment(last)),
                        whole[part * SEGMENT : (part + 1) * SEGMENT],
                        DigestSha256Signer(),
                    )
                )
                for part in range(last + 1)
            ]
        )

    def answer(name: Any, parameters: object, reply: Any, context: object) -> None:
        reply(packets[int(bytes(Component.get_value(name[-2])))][Component.to_number(name[-1])])

    app.attach_handler(prefix, answer)

    async def register() -> None:
        # Whoever listens for its peer has no forwarder.
        if "-listen" not in face:
            while not await app.register(prefix):
                await asyncio.sleep(0.1)
            say(ready=True)

    app.run_forever(register())


async def verified(name: Any, signature: Any, context: Any) -> ValidResult:
    return ValidResult.PASS if await sha256_digest_checker(name, signature) else ValidResult.FAIL


def consumer(face: str, prefix: str, size: int, rounds: int) -> None:
    """
    Fetch the objects one after the other.
    """
    app: Any = NDNApp(openFace(face))
    last = (size - 1) // SEGMENT

    async def one(number: int) -> dict[str, Any]:
        name = [*Name.from_str(prefix), Component.from_str(str(number))]
        segments: list[bytes] = [b""] * (last + 1)
        parts = count()
        again = 0

        async def worker() -> None:
            nonlocal again
            for part in parts:
                if part > last:
                    return
                while not segments[part]:
                    try:
                        _, found, _ = await app.express(
                            [*name, Component.from_segment(part)], verified, lifetime=LIFETIME
                        )
                        segments[part] = bytes(found)
                    except (InterestTimeout, InterestNack, KeyError):
                        # python-ndn raises the last where Data comes just as it gives up.
                        again += 1
                        await asyncio.sleep(0.01)

        started = time.monotonic()
        await asyncio.gather(*[worker() for _ in range(WINDOW)])
        seconds = time.monotonic() - started
        if sha256(b"".join(segments)).digest() != sha256(content(number, size)).digest():
            raise RuntimeError("the object is not the one that was asked for")
        return {"seconds": seconds, "again": again}

    async def fetch() -> None:
        say(rounds=[await one(number) for number in range(rounds)])
        app.shutdown()

    app.run_forever(fetch())


if __name__ == "__main__":
    role, *words = sys.argv[1:]
    arguments = dict(word.split("=", 1) for word in words)
    {"producer": producer, "consumer": consumer}[role](
        arguments["face"], arguments["prefix"], int(arguments["size"]), int(arguments["rounds"])
    )
