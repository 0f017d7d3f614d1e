"""
Tests for L{hermes.assist.cache.fill}: whatever its readers do, each gets the bytes that were sent.
"""

from __future__ import annotations

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hermes.assist.cache.disk import DiskStore
from hermes.assist.cache.fill import MAX_TAIL, Fill
from hermes.assist.cache.freshness import Rules, assess
from hermes.assist.cache.memory import MemoryStore
from hermes.assist.cache.store import IObjectStore
from hermes.assist.cache.stored import Key, StoredResponse
from hermes.errors import RequestBroken
from hermes.test.assist.cache.fakes import EPOCH, AtOnce, FakeBody, Reader
from hermes.values import ResponseHead

KEY = Key(b"http://web.example/")
CAPACITY = 1 << 20
steps = st.lists(
    st.one_of(
        st.tuples(st.just("send"), st.sampled_from([1, 5, 1_000, 70_000, 150_000])),
        st.tuples(st.just("join"), st.integers(0, 3)),
        st.tuples(st.sampled_from(["pause", "resume", "leave"]), st.integers(0, 9)),
        st.tuples(st.just("unwanted"), st.just(0)),
    ),
    min_size=8,
    max_size=40,
)
NOISE = Random(3).randbytes(40 * 150_000)


class FillTests(SynchronousTestCase):
    """
    Random courses of events.
    """

    def stores(self, largest: int) -> list[IObjectStore]:
        """
        One of each kind.
        """
        clock = Clock()
        clock.advance(EPOCH)
        disk = DiskStore(self.mktemp(), CAPACITY, largest, Rules(), clock, AtOnce(), AtOnce())
        return [MemoryStore(CAPACITY, largest), disk]

    @settings(deadline=None, max_examples=100)
    @given(steps, st.sampled_from(["end", "fail", "goes on"]), st.booleans(), st.sampled_from([500, 300_000]))
    def test_eachReaderGetsWhatWasSentInOrderAndAllOfItInTheEnd(
        self, course: list[tuple[str, int]], end: str, keepsOn: bool, largest: int
    ) -> None:
        for store in self.stores(largest):
            self.follow(store, course, end, keepsOn)
            self.successResultOf(store.close())

    def follow(self, store: IObjectStore, course: list[tuple[str, int]], end: str, keepsOn: bool) -> None:
        """
        Let it happen.
        """
        head = ResponseHead(200, ((b"cache-control", b"max-age=60"),))
        stored = StoredResponse(KEY, (), 200, head.headers, EPOCH, EPOCH, assess(head, EPOCH, EPOCH, Rules()))
        body = FakeBody()
        ended: list[bool] = []
        fill = Fill(store, stored, body, keepsOn, lambda: ended.append(True))
        readers = [Reader(fill.body(0, None)).start()]
        gone: list[Reader] = []
        paused: set[int] = set()
        fill.start()
        sent = 0
        for step, value in course:
            if step == "send" and body.sink is not None and not body.paused:
                body.send(NOISE[sent : sent + value])
                sent += value
            elif step == "join" and fill.joinable:
                readers.append(Reader(fill.body(0, None)).start())
            elif step == "unwanted":
                fill.unwanted()
            elif readers and step in ("pause", "resume", "leave"):
                reader = readers[value % len(readers)]
                if step == "pause":
                    reader.body.pauseProducing()
                    paused.add(id(reader))
                elif step == "resume":
                    reader.body.resumeProducing()
                    paused.discard(id(reader))
                elif step == "leave":
                    reader.body.stopProducing()
                    readers.remove(reader)
                    gone.append(reader)
            for reader in readers:
                if id(reader) not in paused:
                    self.assertEqual(len(reader.data), sent)
                self.assertEqual(bytes(reader.data), NOISE[: len(reader.data)])
            self.assertLessEqual(sum(map(len, fill._tail)), MAX_TAIL + 150_000)
        if body.sink is not None and end == "end":
            body.end()
        elif body.sink is not None and end == "fail":
            body.fail(RequestBroken("cut"))
        over = body.sink is None or end != "goes on"
        for reader in readers:
            reader.resume()
            self.assertEqual(bytes(reader.data), NOISE[:sent])
            self.assertEqual(reader.over, over)
            self.assertEqual(reader.trailers is not None, over and end == "end")
        # Whoever has left hears no more.
        self.assertFalse(any(reader.over for reader in gone))
        if over:
            self.assertEqual(ended, [True])
            found = self.successResultOf(store.lookup(KEY))
            whole = bool(found)
            self.assertTrue(not whole or (body.stopped is False and end == "end" and found[0].length == sent))
