"""
The longest prefix is found, however many there are and however long they are.
"""

from __future__ import annotations

from typing import Any

import pygtrie  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.ndn.forwarder.prefixtable import PrefixTable
from hermes.ndn.packet.component import generic
from hermes.ndn.packet.errors import PacketError
from hermes.test.ndn.forwarder.forwarding import ends, value

COMPONENTS = st.sampled_from([generic(b""), generic(b"a"), generic(b"b"), generic(b"ab"), b"\x32\x01\x00"])
NAMES = st.one_of(
    st.lists(COMPONENTS, max_size=4),
    # Long ones that share much.
    st.tuples(st.integers(0, 40), st.lists(COMPONENTS, max_size=2)).map(
        lambda pair: [generic(b"a")] * pair[0] + pair[1]
    ),
)


class PrefixTableTests(SynchronousTestCase):
    """
    L{PrefixTable}.
    """

    def setUp(self) -> None:
        self.table: PrefixTable[str] = PrefixTable()

    def find(self, text: str) -> str | None:
        name = value(text)
        return self.table.longest(name, ends(name))

    def fill(self, *prefixes: str) -> None:
        for prefix in prefixes:
            self.table.set(value(prefix), prefix)

    def test_theLongestPrefixIsFound(self) -> None:
        self.fill("/a", "/a/b", "/a/b/c/d")
        self.assertEqual(self.find("/a/b/c"), "/a/b")
        self.assertEqual(self.find("/a/b/c/d"), "/a/b/c/d")
        self.assertEqual(self.find("/a/x"), "/a")
        self.assertIsNone(self.find("/x"))

    def test_theEmptyPrefixIsOfEveryName(self) -> None:
        self.fill("/", "/a/b")
        self.assertEqual(self.find("/x/y"), "/")
        self.assertEqual(self.find("/"), "/")
        self.table.remove(b"")
        self.assertIsNone(self.find("/x/y"))

    def test_aPrefixOfBytesThatIsNoneOfComponentsIsNotFound(self) -> None:
        self.fill("/ab")
        self.assertIsNone(self.find("/a"))
        self.assertIsNone(self.find("/abc"))

    def test_whatIsRemovedIsNotFound(self) -> None:
        self.fill("/a", "/a/b", "/a/b/c/d")
        self.assertEqual(self.table.remove(value("/a/b/c/d")), "/a/b/c/d")
        self.assertEqual(self.find("/a/b/c/d"), "/a/b")
        self.assertIsNone(self.table.remove(value("/a/b/c/d")))
        self.assertEqual(len(self.table), 2)

    def test_aValueIsReplaced(self) -> None:
        self.fill("/a")
        self.table.set(value("/a"), "other")
        self.assertEqual((self.find("/a/b"), len(self.table)), ("other", 1))
        self.table.remove(value("/a"))
        self.assertIsNone(self.find("/a/b"))

    def test_allPrefixesTheLongestFirst(self) -> None:
        self.fill("/", "/a", "/a/b", "/b", "/a/b/c/d")
        name = value("/a/b/c")
        self.assertEqual(list(self.table.all(name, ends(name))), ["/a/b", "/a", "/"])

    def test_whatIsNoNameIsRefused(self) -> None:
        self.assertRaises(PacketError, self.table.set, b"\x08\x05a", "x")
        self.assertEqual(list(self.table), [])

    def test_nothingIsLeftOfWhatWasRemoved(self) -> None:
        for length in range(40):
            self.fill("/a" * length or "/")
        for length in range(40):
            self.table.remove(value("/a" * length or "/"))
        self.assertEqual((self.table._depths, self.table._counts, self.table._landings), ((), {}, {}))
        self.assertIsNone(self.find("/a/a"))

    def test_aMuchLongerNameCostsFewLooks(self) -> None:
        """
        With prefixes of 40 lengths under /a, a name that has nothing of them is not looked up 40 times.
        """
        self.fill(*("/a" * length for length in range(1, 41)))
        looks = 0

        class Counting(bytes):
            """
            Each look is a slice.
            """

            def __getitem__(self, key: Any) -> Any:
                nonlocal looks
                looks += 1
                return bytes.__getitem__(self, key)

        name = value("/b" * 60)
        self.assertIsNone(self.table.longest(Counting(name), ends(name)))
        self.assertLess(looks, 5)
        looks = 0
        name = value("/a/a/a" + "/b" * 57)
        self.assertEqual(self.table.longest(Counting(name), ends(name)), "/a/a/a")
        self.assertLess(looks, 6)

    @given(st.lists(st.tuples(st.booleans(), NAMES), max_size=40), st.lists(NAMES, max_size=10))
    def test_itIsWhatPygtrieFinds(self, changes: list[tuple[bool, list[bytes]]], names: list[list[bytes]]) -> None:
        table: PrefixTable[tuple[bytes, ...]] = PrefixTable()
        trie = pygtrie.Trie()
        for add, prefix in changes:
            if add:
                table.set(b"".join(prefix), tuple(prefix))
                trie[tuple(prefix)] = True
            else:
                removed = table.remove(b"".join(prefix))
                self.assertEqual(removed is not None, trie.pop(tuple(prefix), False))
        self.assertEqual(len(table), len(trie))
        for name in [*names, *(prefix for _, prefix in changes)]:
            joined = b"".join(name)
            step = trie.longest_prefix(tuple(name))
            expected = tuple(step.key) if step else None
            self.assertEqual(table.longest(joined, ends(joined)), expected)
            self.assertEqual(next(table.all(joined, ends(joined)), None), expected)
