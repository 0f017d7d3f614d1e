"""
A consumer on python-ndn, a program of its own: it fetches an object of L{hermes.test.interop.ndnproducer} with a fixed
window, asks again for what does not come, and prints what it got as JSON.

    python -m hermes.test.interop.ndnconsumer FACE PREFIX SIZE [--window 20] [--lifetime 1000] [--tries 30]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from hashlib import sha256
from itertools import count
from time import monotonic
from typing import Any

from ndn.appv2 import NDNApp
from ndn.encoding import Component, Name
from ndn.security import sha256_digest_checker
from ndn.types import InterestNack, InterestTimeout, ValidResult

from hermes.test.interop.ndnfaces import SEGMENT, openFace


async def verified(name: Any, signature: Any, context: Any) -> ValidResult:
    """
    Whether the digest that a packet is signed with is its own.
    """
    return ValidResult.PASS if await sha256_digest_checker(name, signature) else ValidResult.FAIL


class Fetch:
    """
    One object.
    """

    def __init__(self, app: Any, prefix: str, size: int, lifetime: int, tries: int) -> None:
        self._app = app
        self._name = [*Name.from_str(prefix), Component.from_str(str(size))]
        self._lifetime = lifetime
        self._tries = tries
        self._numbers = count()
        self.segments: list[bytes | None] = [None] * ((size - 1) // SEGMENT + 1)
        self.timeouts = 0
        self.nacks = 0

    async def worker(self) -> None:
        """
        Fetch one segment after the other, until there is none left.
        """
        for number in self._numbers:
            if number >= len(self.segments):
                return
            self.segments[number] = await self._segment(number)

    async def _segment(self, number: int) -> bytes:
        name = [*self._name, Component.from_segment(number)]
        for _ in range(self._tries):
            try:
                _, content, _ = await self._app.express(name, verified, lifetime=self._lifetime)
                return bytes(content)
            except (InterestTimeout, KeyError):
                # python-ndn raises the latter where Data comes just as it gives up.
                self.timeouts += 1
            except InterestNack:
                self.nacks += 1
                await asyncio.sleep(0.05)
        raise SystemExit(f"segment {number} does not come")


async def run(options: argparse.Namespace, app: Any) -> None:
    """
    Fetch and tell.
    """
    fetch = Fetch(app, options.prefix, options.size, options.lifetime, options.tries)
    start = monotonic()
    await asyncio.gather(*[fetch.worker() for _ in range(options.window)])
    seconds = monotonic() - start
    whole = b"".join(segment or b"" for segment in fetch.segments)
    told = {
        "bytes": len(whole),
        "digest": sha256(whole).hexdigest(),
        "seconds": seconds,
        "timeouts": fetch.timeouts,
        "nacks": fetch.nacks,
    }
    print(json.dumps(told), flush=True)
    app.shutdown()


def main(*arguments: str) -> None:
    """
    Fetch one object.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("face")
    parser.add_argument("prefix")
    parser.add_argument("size", type=int)
    parser.add_argument("--window", type=int, default=20)
    parser.add_argument("--lifetime", type=int, default=1000)
    parser.add_argument("--tries", type=int, default=30)
    options = parser.parse_args(arguments)
    app = NDNApp(openFace(options.face))
    app.run_forever(run(options, app))


if __name__ == "__main__":
    main(*sys.argv[1:])
