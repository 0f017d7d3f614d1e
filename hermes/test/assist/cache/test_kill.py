"""
Tests for L{hermes.assist.cache.disk} with real threads and real processes, which are killed.
"""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from hashlib import sha256
from random import Random
from threading import Timer

from twisted.internet import reactor
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase, TestCase

from hermes.assist.cache.disk import DiskStore
from hermes.assist.cache.freshness import Rules, assess
from hermes.assist.cache.stored import Key, StoredResponse
from hermes.test.assist.cache.fakes import AtOnce, Reader
from hermes.test.assist.cache.storesuite import Filler
from hermes.test.assist.cache.writing import CAPACITY, SITE, bodyOf
from hermes.test.processes import PATIENCE
from hermes.values import ResponseHead

ROUNDS = 8


class KillTests(SynchronousTestCase):
    """
    Two processes that share a store are killed while they write, again and again.
    """

    def killed(self, path: str, random: Random) -> None:
        """
        Let them write for a while.
        """
        command = [sys.executable, "-m", "hermes.test.assist.cache.writing", path]
        processes = [
            subprocess.Popen([*command, str(random.random())], stdout=subprocess.PIPE, text=True) for _ in range(2)
        ]

        def end() -> None:
            for process in processes:
                process.kill()

        watchdog = Timer(PATIENCE, end)
        watchdog.start()
        try:
            for process in processes:
                assert process.stdout is not None
                for _ in range(random.randrange(20, 200)):
                    self.assertIn(process.stdout.readline(), ("piece\n", "stored\n"))
        finally:
            end()
            for process in processes:
                process.communicate()
            watchdog.cancel()

    def test_allThatIsServedAfterwardsIsWhole(self) -> None:
        path, random = self.mktemp(), Random(7)
        served = 0
        for _ in range(ROUNDS):
            self.killed(path, random)
            served += self.checked(path)
        self.assertGreater(served, ROUNDS)

    def checked(self, path: str) -> int:
        """
        How many responses are there; all are whole.
        """
        connection = sqlite3.connect(path)
        self.assertEqual(connection.execute("PRAGMA integrity_check").fetchone(), ("ok",))
        urls = [url for (url,) in connection.execute("SELECT url FROM response")]
        connection.close()
        store = DiskStore(path, CAPACITY, CAPACITY, Rules(), Clock(), AtOnce(), AtOnce())
        for url in urls:
            self.assertTrue(url.startswith(SITE))
            (found,) = self.successResultOf(store.lookup(Key(url)))
            assert found.length is not None
            reader = Reader(store.body(found, 0, found.length)).start()
            self.assertEqual(reader.trailers, (), url)
            self.assertEqual(bytes(reader.data), bodyOf(url))
            self.assertEqual(found.digest, sha256(reader.data).digest())
            body = self.successResultOf(store.byDigest(found.digest))
            assert body is not None
            self.assertEqual(bytes(Reader(body).start().data), bodyOf(url))
        self.assertLessEqual(store.size, CAPACITY)
        self.assertEqual(store.objects, len(urls))
        self.successResultOf(store.close())
        return len(urls)


class ThreadTests(TestCase):
    """
    A store with its threads.
    """

    async def test_itStoresFindsAndReads(self) -> None:
        path = self.mktemp()
        data = Random(1).randbytes(900_000)
        store = DiskStore.threaded(path, CAPACITY, CAPACITY, Rules(), reactor)
        key = Key(SITE)
        self.assertEqual(await store.lookup(key), [])
        head = ResponseHead(200, ((b"cache-control", b"max-age=600"),))
        writer = store.writer(
            StoredResponse(key, (), 200, head.headers, 0, 0, assess(head, 0, 0, Rules()), len(data)), Filler()
        )
        for at in range(0, len(data), 65_536):
            writer.write(data[at : at + 65_536])
        await writer.commit()
        writer.release()
        (found,) = await store.lookup(key)
        assert found.length is not None
        reader = Reader(store.body(found, 0, found.length)).start()
        await reader.done
        self.assertEqual(bytes(reader.data), data)
        reader = Reader(store.body(found, 100, found.length), pauseAfter=1).start()
        reader.body.stopProducing()
        await store.close()

    async def test_itIsClosedWhileMuchIsToBeWritten(self) -> None:
        path = self.mktemp()
        store = DiskStore.threaded(path, CAPACITY, CAPACITY, Rules(), reactor)
        head = ResponseHead(200, ((b"cache-control", b"max-age=600"),))
        for number in range(50):
            stored = StoredResponse(
                Key(SITE + b"%d" % number), (), 200, head.headers, 0, 0, assess(head, 0, 0, Rules()), 5
            )
            writer = store.writer(stored, Filler())
            writer.write(b"%05d" % number)
            writer.commit()
        await store.close()
        again = DiskStore.threaded(path, CAPACITY, CAPACITY, Rules(), reactor)
        (found,) = await again.lookup(Key(SITE + b"49"))
        self.assertEqual(found.digest, sha256(b"00049").digest())
        await again.close()
