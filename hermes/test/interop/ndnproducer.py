"""
A producer on python-ndn, a program of its own: it registers a prefix and serves an object in segments under each name
there that says how large it is, C{PREFIX/SIZE/seg=N}. Who asks for whatever is under C{PREFIX/SIZE} gets the first.

    python -m hermes.test.interop.ndnproducer FACE PREFIX [SIZE...]

It says C{ready} once the prefix is registered; the objects of the sizes that are given are made before.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from hashlib import sha256
from random import Random
from typing import Any

from ndn.appv2 import NDNApp
from ndn.encoding import Component, MetaInfo, Name, make_data
from ndn.security import DigestSha256Signer

from hermes.test.interop.ndnfaces import SEGMENT, openFace


def content(size: int) -> bytes:
    """
    An object: the same for everybody who knows its size.
    """
    return Random(size).randbytes(size)


class Producer:
    """
    Serves objects.
    """

    def __init__(self, prefix: str) -> None:
        self.prefix = Name.from_str(prefix)
        self._packets: dict[int, list[bytes]] = {}

    def packets(self, size: int) -> list[bytes]:
        """
        The Data packets of an object.
        """
        packets = self._packets.get(size)
        if packets is None:
            whole = content(size)
            last = (size - 1) // SEGMENT
            final = Component.from_segment(last)
            name = [*self.prefix, Component.from_str(str(size))]
            packets = self._packets[size] = [
                bytes(
                    make_data(
                        [*name, Component.from_segment(number)],
                        MetaInfo(freshness_period=10_000, final_block_id=final),
                        whole[number * SEGMENT : (number + 1) * SEGMENT],
                        DigestSha256Signer(),
                    )
                )
                for number in range(last + 1)
            ]
        return packets

    def answer(self, name: Any, reply: Callable[[bytes], object]) -> None:
        """
        Answer an Interest, or not.
        """
        rest = name[len(self.prefix) :]
        if not 1 <= len(rest) <= 2:
            return
        packets = self.packets(int(bytes(Component.get_value(rest[0]))))
        number = Component.to_number(rest[1]) if len(rest) == 2 else 0
        if number < len(packets):
            reply(packets[number])


def main(face: str, prefix: str, *sizes: str) -> None:
    """
    Serve until killed.
    """
    producer = Producer(prefix)
    for size in sizes:
        packets = producer.packets(int(size))
        print(f"{size} bytes in {len(packets)} segments: {sha256(content(int(size))).hexdigest()}", flush=True)
    app: Any = NDNApp(openFace(face))
    app.attach_handler(prefix, lambda name, parameters, reply, context: producer.answer(name, reply))

    async def register() -> None:
        while not await app.register(prefix):
            await asyncio.sleep(0.1)
        print("ready", flush=True)

    app.run_forever(register())


if __name__ == "__main__":
    main(*sys.argv[1:])
