"""
What every store does with nodes, their certificates and their tokens.
"""

from __future__ import annotations

from attrs import evolve
from twisted.internet.defer import gatherResults

from hermes.control.values import NodeEntry
from hermes.test.control.store.user import PATIENCE, StoreUser


class NodesContract(StoreUser):
    """
    A mixin for a C{TestCase}.
    """

    # Nodes

    async def test_a_node_comes_back_as_it_was_put(self) -> None:
        store = await self.opened()
        entry = NodeEntry("edge", "0a1b", 1.5, 2.5, True, 3.5, {"ff": 9.0}, "1.2.3")
        await store.putNode(entry)
        self.assertEqual(await store.node("edge"), entry)
        self.assertIsNone(await store.node("edg"))

    async def test_nodes_are_listed_by_name(self) -> None:
        store = await self.opened()
        names = ["b", "a.example", "A", "ü/..%", "a", "a-b", "a_b"]
        for name in names:
            await store.putNode(NodeEntry(name, name))
        self.assertEqual([each.name for each in await store.nodes()], sorted(names))
        self.assertEqual((await store.node("ü/..%")).serial, "ü/..%")

    async def test_many_nodes_are_listed(self) -> None:
        store = await self.opened()
        names = [f"node{number:04}" for number in range(450)]
        await gatherResults([store.putNode(NodeEntry(name)) for name in names])
        self.assertEqual([each.name for each in await store.nodes()], names)

    async def test_a_removed_node_is_gone(self) -> None:
        store = await self.opened()
        await store.putNode(NodeEntry("edge"))
        await store.putNode(NodeEntry("relay"))
        await store.removeNode("edge")
        await store.removeNode("never")
        self.assertIsNone(await store.node("edge"))
        self.assertEqual([each.name for each in await store.nodes()], ["relay"])

    async def test_a_node_is_changed_with_nobody_between(self) -> None:
        first, second = await self.two()
        await first.putNode(NodeEntry("edge", "0"))

        def more(entry: NodeEntry | None) -> NodeEntry | None:
            assert entry is not None
            return evolve(entry, serial=str(int(entry.serial) + 1))

        await gatherResults([(first, second)[n % 2].changeNode("edge", more) for n in range(10)])
        self.assertEqual((await first.node("edge")).serial, "10")

    async def test_a_change_may_make_a_node_or_leave_it(self) -> None:
        store = await self.opened()
        self.assertIsNone(await store.changeNode("edge", lambda entry: entry))
        self.assertIsNone(await store.node("edge"))
        made = await store.changeNode("edge", lambda entry: NodeEntry("edge", "1"))
        self.assertEqual(made, NodeEntry("edge", "1"))
        left = await store.changeNode("edge", lambda entry: None)
        self.assertEqual(left, made)
        self.assertEqual(await store.node("edge"), made)

    async def test_what_a_change_raises_is_told_and_nothing_was_changed(self) -> None:
        store = await self.opened()
        await store.putNode(NodeEntry("edge", "1"))

        def wrong(entry: NodeEntry | None) -> NodeEntry | None:
            raise LookupError("no")

        await self.failing(LookupError, store.changeNode("edge", wrong))
        self.assertEqual((await store.node("edge")).serial, "1")

    async def test_when_a_node_was_seen_shows_at_once(self) -> None:
        store = await self.opened()
        await store.putNode(NodeEntry("edge", lastSeen=10.0))
        store.seen("edge", 20.0)
        store.seen("edge", 15.0)
        self.assertEqual((await store.node("edge")).lastSeen, 20.0)
        self.assertEqual([each.lastSeen for each in await store.nodes()], [20.0])
        # Put by somebody who has not heard of it.
        await store.putNode(NodeEntry("edge", "new"))
        found = await store.node("edge")
        self.assertEqual((found.serial, found.lastSeen), ("new", 20.0))

    async def test_when_a_node_was_seen_is_written_after_a_while(self) -> None:
        first, second = await self.opened(interval=0.05), await self.opened() if self.shared else None
        await first.putNode(NodeEntry("edge"))
        first.seen("edge", 20.0)
        first.seen("ghost", 20.0)
        if second is None:
            await self.closed(first)
            second = await self.opened()
        for _ in range(int(PATIENCE / 0.05)):
            if (await second.node("edge")).lastSeen == 20.0:
                break
            await self.turn(0.05)
        self.assertEqual((await second.node("edge")).lastSeen, 20.0)
        self.assertIsNone(await second.node("ghost"))

    # Revocations

    async def test_revocations_are_remembered_until_they_expire(self) -> None:
        store = await self.opened()
        await store.putRevocations({"aa": 100.0, "bb": 200.0})
        await store.putRevocations({"bb": 150.0, "cc": 300.0})
        self.assertEqual(dict(await store.revocations(0.0)), {"aa": 100.0, "bb": 200.0, "cc": 300.0})
        self.assertEqual(dict(await store.revocations(100.0)), {"bb": 200.0, "cc": 300.0})
        # A clock that was wrong has done no harm.
        await store.revocations(1e12)
        self.assertEqual(len(await store.revocations(0.0)), 3)

    async def test_revocations_outlast_the_node(self) -> None:
        store = await self.opened()
        await store.putNode(NodeEntry("edge", "aa"))
        await store.putRevocations({"aa": 100.0})
        await store.removeNode("edge")
        self.assertEqual(dict(await store.revocations(0.0)), {"aa": 100.0})

    async def test_hundreds_of_revocations_at_once(self) -> None:
        store = await self.opened()
        serials = {f"{number:x}": 100.0 + number for number in range(333)}
        await store.putRevocations(serials)
        self.assertEqual(dict(await store.revocations(0.0)), serials)

    # Tokens

    async def test_a_token_is_used_once(self) -> None:
        store = await self.opened()
        await store.putToken("hash", "edge", 100.0)
        self.assertIsNone(await store.takeToken("other", 50.0))
        self.assertEqual(await store.takeToken("hash", 50.0), "edge")
        self.assertIsNone(await store.takeToken("hash", 50.0))

    async def test_an_expired_token_is_none(self) -> None:
        store = await self.opened()
        await store.putToken("hash", "edge", 100.0)
        self.assertIsNone(await store.takeToken("hash", 100.0))

    async def test_of_many_who_take_a_token_one_gets_it(self) -> None:
        first, second = await self.two()
        await first.putToken("hash", "edge", 100.0)
        taken = await gatherResults([(first, second)[n % 2].takeToken("hash", 50.0) for n in range(12)])
        self.assertEqual(sorted(taken, key=str), [None] * 11 + ["edge"])

    async def test_a_nodes_tokens_can_be_dropped(self) -> None:
        store = await self.opened()
        for hashed, node in (("a", "edge"), ("b", "edge"), ("c", "relay"), ("d", "edge")):
            await store.putToken(hashed, node, 100.0)
        await store.takeToken("d", 50.0)
        self.assertEqual(await store.dropTokens("edge"), 2)
        self.assertEqual(await store.dropTokens("edge"), 0)
        self.assertIsNone(await store.takeToken("a", 50.0))
        self.assertEqual(await store.takeToken("c", 50.0), "relay")
