"""
Hearing of changes in an etcd, whatever becomes of the stream that tells of them.
"""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hermes.control.store.errors import StoreUnavailable
from hermes.control.store.etcd.answers import Denied, Unreached
from hermes.control.store.etcd.watch import LINE, Compacted, Event, Stream, Watch
from hermes.control.values import NodeEntry
from hermes.test.control.store.etcds import PATIENCE, Etcd
from hermes.test.control.store.waycase import WayCase


class WatchTests(WayCase):
    """
    A store whose stream breaks.
    """

    def setUp(self) -> None:
        super().setUp()
        self.wayOptions["ping"] = 0.3
        self.wayOptions["answer"] = 0.5

    async def test_a_stream_that_breaks_goes_on_where_it_broke(self) -> None:
        store, other = await self.over(), await self.opened()
        times, following = self.told(store, "nodes")
        for number in range(1, 4):
            self.way.fate = lambda request: "lose request" if b"/v3/watch" in request else "pass"
            self.way.cut()
            await other.putNode(NodeEntry(f"{number}"))
            self.assertEqual(len(times), number - 1)
            waiting = following()
            self.way.fate = lambda request: "pass"
            await waiting
        # What was told before is not told again.
        self.assertEqual(len(times), 3)

    async def test_what_was_compacted_away_is_told_as_a_change_of_everything(self) -> None:
        store, other = await self.over(), await self.opened()
        kinds = [self.told(store, "versions"), self.told(store, "nodes"), self.told(store, "leader")]
        self.way.fate = lambda request: "lose request" if b"/v3/watch" in request else "pass"
        self.way.cut()
        for number in range(5):
            await other.putNode(NodeEntry(f"{number}"))
        revision = self.server.ask("/kv/range", {"key": "AA=="})["header"]["revision"]
        self.server.ask("/kv/compaction", {"revision": revision})
        waiting = [following() for _, following in kinds]
        self.way.fate = lambda request: "pass"
        for each in waiting:
            await each
        # From there on it goes on as before.
        times, following = kinds[1]
        told, next = len(times), following()
        await other.putNode(NodeEntry("more"))
        await next
        self.assertEqual(len(times), told + 1)

    async def test_a_member_that_hangs_is_left(self) -> None:
        store, other = await self.over(), await self.opened()
        _, following = self.told(store, "nodes")
        await self.until(self.way.until(lambda: "/v3/kv/range" in self.way.requests))
        # What is open stays open, and nothing comes.
        self.way.dead = True
        waiting = following()
        await other.putNode(NodeEntry("edge"))
        for _ in range(int(PATIENCE / 0.1)):
            if not any(each.asked == "/v3/watch" for each in self.way.near):
                break
            await self.turn(0.1)
        self.way.dead = False
        await waiting

    async def test_an_etcd_from_an_older_backup_is_noticed(self) -> None:
        older = Etcd()
        self.addCleanup(older.stop)
        older.start()
        older.ready()
        store, other = await self.over(), await self.opened()
        for number in range(20):
            await other.putNode(NodeEntry(f"{number}"))
        _, following = self.told(store, "nodes")
        waiting = following()
        self.way.target = int(older.url.rpartition(":")[2])
        self.way.cut()
        await waiting
        # And from then on its changes are told.
        restored = self.makeStore({"endpoints": (older.url,)})
        await restored.start()
        self.addCleanup(self.closed, restored)
        waiting = following()
        await restored.putNode(NodeEntry("restored"))
        await waiting

    async def test_a_key_of_somebody_else_tells_nothing(self) -> None:
        store, other = await self.over(), await self.opened()
        times, following = self.told(store, "nodes")
        waiting = following()
        self.put("state/nonsense", b"\xff")
        self.put("state", b"\xff")
        self.put("data/node/edge", b"\xff")
        await other.putNode(NodeEntry("edge"))
        await waiting
        self.assertEqual(len(times), 1)


class FakeConnections:
    """
    Connections that can be cut.
    """

    aborted = False

    def abort(self) -> None:
        """
        Cut.
        """
        self.aborted = True


class StreamTests(SynchronousTestCase):
    """
    L{Stream}: what comes in it is not trusted.
    """

    def setUp(self) -> None:
        self.messages: list[Any] = []
        self.connections = FakeConnections()
        self.stream = Stream(self.messages.append, self.connections)  # type: ignore[arg-type]

    def test_messages_come_in_whatever_pieces(self) -> None:
        data = b"".join(json.dumps({"result": {"number": number}}).encode() + b"\n" for number in range(5))
        for size in (1, 2, 7, 1000):
            self.setUp()
            for at in range(0, len(data), size):
                self.stream.dataReceived(data[at : at + size])
            self.assertEqual(self.messages, [{"number": number} for number in range(5)])
        self.assertNoResult(self.stream.ended)

    def test_what_is_no_message_ends_it(self) -> None:
        for line in (b"<html>", b"[]", b"{}", b'{"result": 5}', b'{"error": "no"}', b"[" * 100_000, b"\xff"):
            self.setUp()
            self.stream.dataReceived(line + b"\n" + b'{"result": {}}\n')
            self.failureResultOf(self.stream.ended, Unreached)
            self.assertTrue(self.connections.aborted)
            self.assertEqual(self.messages, [])
            # What still comes is not looked at.
            self.stream.dataReceived(b'{"result": {}}\n')
            self.assertEqual(self.messages, [])

    def test_a_message_without_end_ends_it(self) -> None:
        for _ in range(LINE // 1_000_000 + 2):
            self.stream.dataReceived(b"x" * 1_000_000)
        error = self.failureResultOf(self.stream.ended, Unreached)
        self.assertIn("too large", str(error.value))

    def test_a_token_that_has_ended_is_told(self) -> None:
        answer = {"error": {"grpc_code": 16, "message": "etcdserver: invalid auth token"}}
        self.stream.dataReceived(json.dumps(answer).encode() + b"\n")
        self.failureResultOf(self.stream.ended, Denied)

    def test_it_can_be_cancelled(self) -> None:
        self.stream.ended.cancel()
        self.failureResultOf(self.stream.ended)
        self.assertTrue(self.connections.aborted)


class HeardTests(SynchronousTestCase):
    """
    What a message means.
    """

    def setUp(self) -> None:
        self.events: list[Event] = []
        gateway: Any = Clock()
        self.watch = Watch(gateway, b"a", b"b", self.events.append, lambda: None, 5.0)
        self.watch.revision = 10

    def heard(self, **message: Any) -> None:
        """
        Hear it.
        """
        self.watch._heard({"header": {"revision": "50"}, **message})

    def event(self, revision: int, **more: Any) -> dict[str, Any]:
        """
        A key was written.
        """
        return {"kv": {"key": "YQ==", "mod_revision": str(revision)}, **more}

    def test_events_are_told_once(self) -> None:
        self.heard(events=[self.event(9), self.event(10), self.event(11), self.event(11), self.event(12)])
        self.assertEqual([each.stored.changed for each in self.events], [11, 11, 12])
        self.assertEqual(self.watch.revision, 12)

    def test_the_header_is_ahead_of_events_that_are_still_to_come(self) -> None:
        self.heard(created=True)
        self.assertEqual(self.watch.revision, 10)
        self.heard(events=[self.event(11)])
        self.assertEqual(self.watch.revision, 11)
        # That nothing has happened up to it is told by a message without events.
        self.heard()
        self.assertEqual(self.watch.revision, 50)

    def test_what_is_removed_is_told_so(self) -> None:
        self.heard(events=[self.event(11, type="DELETE"), self.event(12, type="PUT")])
        self.assertEqual([each.removed for each in self.events], [True, False])

    def test_what_was_compacted_is_told(self) -> None:
        self.assertRaises(Compacted, self.heard, canceled=True, compact_revision="40")

    def test_a_watch_that_etcd_ends_is_no_end(self) -> None:
        error = self.assertRaises(Unreached, self.heard, canceled=True, cancel_reason="no leader")
        self.assertIn("no leader", str(error))

    def test_nonsense_in_a_message_ends_its_stream_only(self) -> None:
        for events in (5, [5], [{"kv": 5}], "x", [{"kv": {"key": "%"}}], [{"kv": {"mod_revision": "x"}}]):
            connections: Any = FakeConnections()
            stream = Stream(self.watch._heard, connections)
            message = {"result": {"header": {"revision": "50"}, "events": events}}
            stream.dataReceived(json.dumps(message).encode() + b"\n")
            self.failureResultOf(stream.ended, Unreached, StoreUnavailable)
            self.assertEqual(self.events, [])
        self.flushLoggedErrors(AttributeError, TypeError)
