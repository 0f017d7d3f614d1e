"""
Loads of the NDN measures: C{ndnloads.py ROLE NAME=VALUE...}. Each runs on a core of its own and prints JSON.

The first two are programs of python-ndn as anybody writes them. The others are as cheap as a program of Python can be:
their packets are made before, so that what stands between them is measured, and not they.
"""

from __future__ import annotations

import asyncio
import json
import select
import socket
import sys
import time
from collections.abc import Iterator

CONTENT = bytes(1000)
DIGITS = 8


def say(**result: object) -> None:
    print(json.dumps(result), flush=True)


# Programs of python-ndn


def consumer(path: str, window: int, seconds: float) -> None:
    """
    Ask for one name after the other, C{window} at a time.
    """
    from ndn.app import NDNApp
    from ndn.security import KeychainDigest
    from ndn.transport.stream_face import UnixFace

    app = NDNApp(face=UnixFace(path), keychain=KeychainDigest())
    done = failed = 0

    async def ask(numbers: Iterator[int], until: float) -> None:
        nonlocal done, failed
        while time.monotonic() < until:
            try:
                await app.express_interest(f"/bench/{next(numbers):0{DIGITS}}", lifetime=4000)
                done += 1
            except Exception:
                failed += 1

    async def main() -> None:
        nonlocal done
        numbers = iter(range(10**DIGITS))
        await ask(numbers, time.monotonic() + 0.5)
        say(begun=True)
        done, started = 0, time.monotonic()
        await asyncio.gather(*(ask(numbers, started + seconds) for _ in range(window)))
        say(done=done, failed=failed, seconds=time.monotonic() - started)
        app.shutdown()

    app.run_forever(after_start=main())


def producer(path: str, direct: int) -> None:
    """
    Answer everything under /bench: at a forwarder's socket, or at one of its own, where it is the other end of the
    consumer's face.
    """
    from ndn.app import NDNApp
    from ndn.security import KeychainDigest
    from ndn.transport.stream_face import StreamFace, UnixFace

    class AcceptedFace(StreamFace):
        async def open(self) -> None:
            accepted: asyncio.Future[object] = asyncio.get_running_loop().create_future()
            await asyncio.start_unix_server(lambda *pair: accepted.done() or accepted.set_result(pair), path)
            say(ready=True)
            self.reader, self.writer = await accepted
            self.running = True

        async def isLocalFace(self) -> bool:
            return True

    app = NDNApp(face=AcceptedFace() if direct else UnixFace(path), keychain=KeychainDigest())

    def answer(name: object, *_: object) -> None:
        app.put_data(name, content=CONTENT, freshness_period=1000)

    async def ready() -> None:
        await app.register("/bench", answer)
        say(ready=True)

    if direct:
        app.set_interest_filter("/bench", answer)
        app.run_forever()
    else:
        app.run_forever(after_start=ready())


# Packets that are made before


def packets(buffer: bytearray) -> list[memoryview]:
    """
    The packets that have come whole; the rest stays.
    """
    found = []
    view = memoryview(bytes(buffer))
    position, size = 0, len(view)
    while position + 4 <= size:
        length = view[position + 1]
        start = position + 2
        if length == 253:
            length = view[position + 2] << 8 | view[position + 3]
            start += 2
        if start + length > size:
            break
        found.append(view[position : start + length])
        position = start + length
    del buffer[:position]
    return found


def rawProducer(port: int) -> None:
    """
    Answer Interests for names that end with eight digits.
    """
    from ndn.encoding import MetaInfo, make_data
    from ndn.security import DigestSha256Signer

    wire = bytes(make_data("/bench/" + "0" * DIGITS, MetaInfo(freshness_period=1000), CONTENT, DigestSha256Signer()))
    head, tail = wire.split(b"0" * DIGITS)
    marker = b"\x08\x08"
    with socket.create_server(("127.0.0.1", port)) as server:
        say(ready=True)
        peer, _ = server.accept()
    peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    buffer = bytearray()
    while True:
        try:
            received = peer.recv(1 << 18)
        except ConnectionResetError:
            break
        if not received:
            break
        buffer += received
        pieces = []
        for packet in packets(buffer):
            interest = bytes(packet)
            at = interest.index(marker) + 2
            pieces += (head, interest[at : at + DIGITS], tail)
        peer.sendall(b"".join(pieces))


def rawConsumer(port: int, window: int, seconds: float) -> None:
    """
    Ask for one name after the other, C{window} at a time.
    """
    from ndn.encoding import InterestParam, make_interest

    wire = bytes(make_interest("/bench/" + "0" * DIGITS, InterestParam(nonce=0x6E6F6E63, lifetime=4000)))
    head, rest = wire.split(b"0" * DIGITS)
    before, after = rest.split(b"nonc")
    peer = socket.create_connection(("127.0.0.1", port))
    peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    number = done = failed = 0

    def ask(count: int) -> None:
        nonlocal number
        pieces = []
        for _ in range(count):
            pieces += (head, b"%08d" % number, before, number.to_bytes(4, "big"), after)
            number += 1
        peer.sendall(b"".join(pieces))

    buffer = bytearray()
    started = time.monotonic()
    warm, until = started + 0.5, started + 0.5 + seconds
    began = 0.0
    ask(window)
    last = started
    while last < until:
        if not select.select([peer], [], [], 5)[0]:
            failed += 1
            ask(window)
            continue
        received = peer.recv(1 << 18)
        if not received:
            break
        buffer += received
        count = len(packets(buffer))
        done += count
        last = time.monotonic()
        if not began and last >= warm:
            began, done = last, 0
            say(begun=True)
        ask(count)
    say(done=done, failed=failed, seconds=last - began)


ROLES = {
    "consumer": (consumer, {"path": str, "window": int, "seconds": float}),
    "producer": (producer, {"path": str, "direct": int}),
    "raw-producer": (rawProducer, {"port": int}),
    "raw-consumer": (rawConsumer, {"port": int, "window": int, "seconds": float}),
}

if __name__ == "__main__":
    role, kinds = ROLES[sys.argv[1]]
    words = dict(word.split("=", 1) for word in sys.argv[2:])
    role(**{name: kinds[name](text) for name, text in words.items()})
