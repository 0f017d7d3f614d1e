"""
A process that stores responses until it is killed: C{python -m hermes.test.assist.cache.writing PATH SEED}.
"""

from __future__ import annotations

import sys
from random import Random
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater, react

from hermes.assist.cache.disk import DiskStore
from hermes.assist.cache.freshness import Rules, assess
from hermes.assist.cache.stored import Key, StoredResponse
from hermes.test.assist.cache.storesuite import Filler
from hermes.values import ResponseHead

CAPACITY = 8 << 20
SITE = b"http://web.example/"


def bodyOf(url: bytes) -> bytes:
    """
    What is stored for a URL.
    """
    return Random(url).randbytes(int(url.rpartition(b"/")[2]))


async def write(store: DiskStore, reactor: Any, random: Random) -> None:
    """
    Store responses, one after the other, for ever.
    """
    while True:
        size = random.choice((0, 10, 3_000, 70_000, 300_000, 700_000)) + random.randrange(1000)
        url = b"%s%d/%d" % (SITE, random.randrange(4), size)
        head = ResponseHead(200, ((b"cache-control", b"max-age=600"), (b"etag", b'"1"')))
        now = reactor.seconds()
        freshness = assess(head, now, now, Rules())
        writer = store.writer(StoredResponse(Key(url), (), 200, head.headers, now, now, freshness, size), Filler())
        body = bodyOf(url)
        for at in range(0, size, 50_000):
            writer.write(body[at : at + 50_000])
            print("piece", flush=True)
            await deferLater(reactor, 0)
        if random.random() < 0.1:
            writer.abandon()
        else:
            await writer.commit()
        writer.release()
        if random.random() < 0.1:
            await store.invalidate(url)
        print("stored", flush=True)


def main(reactor: Any, path: str, seed: str) -> Deferred[None]:
    """
    Four at a time.
    """
    store = DiskStore.threaded(path, CAPACITY, CAPACITY, Rules(), reactor)
    for number in range(3):
        Deferred.fromCoroutine(write(store, reactor, Random(f"{seed} {number}")))
    return Deferred.fromCoroutine(write(store, reactor, Random(seed)))


if __name__ == "__main__":
    react(main, sys.argv[1:])
