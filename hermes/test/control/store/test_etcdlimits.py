"""
What stands in an etcd may be anything, and as much as there is room for.
"""

from __future__ import annotations

import json
import zlib
from itertools import pairwise
from typing import Any

from attrs import evolve

from hermes.control.store.errors import StoreCorrupt, StoreFull, StoreTooNew
from hermes.control.values import AuditEntry, NodeEntry
from hermes.test.control.store.etcdcase import EtcdCase
from hermes.test.control.store.etcds import Etcd
from hermes.test.control.store.user import StoreUser, record
from hermes.test.control.store.waycase import WayCase

BAD = (b"", b"{", b"[]", b"\xff", b'{"parent": 1e999}', b'{"a":' * 5000)
"""
What is no value of ours.
"""


class HostileTests(EtcdCase, StoreUser):
    """
    Somebody else writes into it.
    """

    async def corrupt(self, waiting: Any, name: str) -> None:
        """
        It says which key can't be read.
        """
        error = await self.failing(StoreCorrupt, waiting)
        self.assertIn(f"{self.options.prefix}/{name}", str(error))

    async def test_a_version_that_is_nonsense_is_told_with_its_key(self) -> None:
        store = await self.leading()
        for number in range(1, 4):
            await store.appendVersion(record(f"{number}"))
        head = f"state/version/head/{2:019}"
        for value in BAD:
            self.put(head, value)
            await self.corrupt(store.version(2), head)
            await self.corrupt(store.versions(5, whole=False), head)
            await self.corrupt(store.setPhase(2, "preparing", "trial"), head)
            self.assertEqual((await store.version(3)).document, "3")

    async def test_a_head_that_promises_too_much_is_told(self) -> None:
        store = await self.leading()
        await store.appendVersion(record())
        head = f"state/version/head/{1:019}"
        good: dict[str, Any] = {"parent": None, "author": "", "time": 0, "comment": "", "phase": "trial", "reasons": []}
        for parts in (0, 10**9, -1, "1", None):
            self.put(head, json.dumps({**good, "parts": parts}).encode())
            await self.corrupt(store.version(1), head)
        self.put(head, json.dumps({**good, "parts": 3}).encode())
        await self.corrupt(store.version(1), f"data/body/{1:019}/0001")

    async def test_a_document_that_is_nonsense_is_told_with_its_key(self) -> None:
        store = await self.leading()
        await store.appendVersion(record())
        body = f"data/body/{1:019}/"
        bomb = zlib.compress(b" " * 64 * 1024 * 1024)
        for value in (b"", b"nonsense", zlib.compress(b"[]"), zlib.compress(b"{}")[:-2], bomb):
            self.put(body + "0000", value)
            await self.corrupt(store.version(1), body)

    async def test_numbers_that_are_none_are_told(self) -> None:
        store = await self.leading()
        for value in (*BAD, b'{"next": -1}', b'{"next": "1"}', b'{"next": 1.5}'):
            self.put("state/version/next", value)
            await self.corrupt(store.appendVersion(record()), "state/version/next")
            self.put("data/audit/next", value)
            await self.corrupt(store.audit(AuditEntry(0.0, "a", "b")), "data/audit/next")
        self.put("state/version/current", b"x")
        await self.corrupt(store.current(), "state/version/current")

    async def test_a_node_that_is_nonsense_is_left_out_of_the_list(self) -> None:
        store = await self.opened()
        await store.putNode(NodeEntry("edge"))
        for value in BAD:
            self.put("state/node/bad", value)
            await self.corrupt(store.node("bad"), "state/node/bad")
            self.assertEqual([each.name for each in await store.nodes()], ["edge"])
        # One under a key that we would not write.
        self.put("state/node/a%zz", b"{}")
        self.assertEqual([each.name for each in await store.nodes()], ["edge"])
        await store.putNode(NodeEntry("bad", "good"))
        self.assertEqual((await store.node("bad")).serial, "good")

    async def test_a_revocation_that_is_nonsense_is_not_passed_over(self) -> None:
        store = await self.opened()
        await store.putRevocations({"aa": 10.0})
        for value in BAD:
            self.put("state/revoked/bb", value)
            await self.corrupt(store.revocations(0.0), "state/revoked/bb")

    async def test_a_token_that_is_nonsense_lets_nobody_in(self) -> None:
        store = await self.opened()
        await store.putToken("good", "edge", 10.0)
        for value in BAD:
            self.put("data/token/bad", value)
            await self.corrupt(store.takeToken("bad", 0.0), "data/token/bad")
        self.assertEqual(await store.takeToken("good", 0.0), "edge")

    async def test_a_secret_that_is_nonsense_is_told_and_not_shown(self) -> None:
        store = await self.opened()
        for value in (*BAD, b'{"value": "sesame!"}'):
            self.put("data/secret/key", value)
            await self.corrupt(store.secret("key"), "data/secret/key")
            error = await self.failing(StoreCorrupt, store.secret("key"))
            self.assertNotIn("sesame", str(error))

    async def test_an_entry_of_the_log_that_is_nonsense_says_so_in_its_place(self) -> None:
        store = await self.opened()
        for _ in range(3):
            await store.audit(AuditEntry(1.0, "alice", "apply"))
        for value in BAD:
            self.put(f"data/audit/entry/{2:019}", value)
            self.assertEqual([each.action for each in await store.audits(5)], ["apply", "unreadable", "apply"])

    async def test_times_that_are_nonsense_begin_anew(self) -> None:
        store = await self.opened(interval=600.0)
        await store.putNode(NodeEntry("edge"))
        for value in (*BAD, zlib.compress(b'{"times": {"edge": "x"}}'), zlib.compress(b" " * 64 * 1024 * 1024)):
            self.put("data/seen", value)
            self.assertEqual((await store.node("edge")).lastSeen, 0.0)
        store.seen("edge", 5.0)
        await store._seen.flush()
        other = await self.opened()
        self.assertEqual((await other.node("edge")).lastSeen, 5.0)

    async def test_a_leader_that_is_nonsense_is_told(self) -> None:
        store = await self.opened()
        self.put("state/leader", b"x")
        await self.corrupt(store.leader(), "state/leader")

    async def test_a_newer_form_is_refused(self) -> None:
        self.put("state/format", b'{"format": 2}')
        store = self.makeStore()
        error = await self.failing(StoreTooNew, store.start())
        await store.close()
        self.assertIn("a newer Hermes has made this store", str(error))

    async def test_another_overlay_beside_it_is_another_store(self) -> None:
        store = await self.leading()
        await store.putNode(NodeEntry("edge"))
        prefix = self.options.prefix
        for beside in (prefix + "0", prefix[:-1], prefix + "/state"):
            self.options = evolve(self.options, prefix=beside)
            other = await self.opened()
            self.assertEqual(list(await other.nodes()), [])
            self.assertIsNone(await other.leader())


class FullTests(EtcdCase, StoreUser):
    """
    An etcd that has no room.
    """

    async def test_a_write_is_refused_and_says_so_and_reads_go_on(self) -> None:
        own = Etcd(options=("--quota-backend-bytes=3000000",))
        self.addCleanup(own.stop)
        own.start()
        own.ready()
        self.options = evolve(self.options, endpoints=(own.url,))
        store = await self.leading()
        await store.appendVersion(record("first"))
        await store.setPhase(1, "preparing", "trial")
        value = bytes(range(256)) * 900
        for number in range(200):
            try:
                await store.putSecret(f"{number}", value)
            except StoreFull as error:
                self.assertIn("alarm disarm", str(error))
                break
        else:
            self.fail("it was never full")
        await self.failing(StoreFull, store.appendVersion(record("second", 1)))
        await self.failing(StoreFull, store.setPhase(1, "trial", "committed"))
        self.assertEqual((await store.version(1)).phase, "trial")
        self.assertEqual(len(await store.versions(5)), 1)
        self.assertIsNone(await store.current())


class CostTests(WayCase):
    """
    What is asked of etcd does not grow with what is there.
    """

    def count(self) -> int:
        """
        How many transactions there were.
        """
        return self.way.requests.count("/v3/kv/txn")

    async def test_a_thousand_nodes_that_are_seen_are_one_write(self) -> None:
        store = self.makeStore(self.wayOptions, interval=600.0)
        await store.start()
        self.addCleanup(self.closed, store)
        before = self.count()
        for round in range(5):
            for number in range(1000):
                store.seen(f"node{number}", 1000.0 + round)
        self.assertEqual(self.count(), before)
        flushing: Any = store
        await flushing._seen.flush()
        # It reads, and it writes.
        self.assertEqual(self.count(), before + 2)

    async def test_versions_are_listed_and_decided_alike_among_few_and_many(self) -> None:
        store = await self.over()
        await store.campaign("here")
        costs: list[tuple[int, ...]] = []
        for count in (60, 300):
            known = (await store.versions(1, whole=False) or [None])[0]
            for _ in range(count - (known.number if known else 0)):
                await store.appendVersion(record())
            marks = [self.count()]
            self.assertEqual(len(await store.versions(20, whole=False)), 20)
            marks.append(self.count())
            await store.setPhase(count, "preparing", "trial")
            marks.append(self.count())
            await store.appendVersion(record())
            marks.append(self.count())
            costs.append(tuple(after - before for before, after in pairwise(marks)))
        self.assertEqual(costs[0], costs[1])
        self.assertEqual(costs[0], (2, 2, 2))
