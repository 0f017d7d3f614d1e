"""
Tests of L{hermes.ndn.management.prefixes.paths}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hermes.ndn.management.prefixes.paths import Path, Paths


class PathsTests(SynchronousTestCase):
    """
    Ways to prefixes.
    """

    def setUp(self) -> None:
        self.paths = Paths()

    def test_theCheapestIsBestThenTheShortestThenTheFirst(self) -> None:
        a, b = Path.over(("a",), 5), Path.over(("b",), 5)
        self.assertEqual(sorted([Path.over(("b", "a"), 5), b, a, Path.over(("x", "y", "z"), 4)])[:3][1:], [a, b])
        self.assertEqual(min(Path.over((), 9), Path.over(("x",), 8)).nodes, ("x",))

    def test_onlyWhatIsNewIsToldSo(self) -> None:
        path = Path.over(("a",), 1)
        self.assertTrue(self.paths.set(b"p", 300, path))
        self.assertFalse(self.paths.set(b"p", 300, Path.over(("a",), 1)))
        self.assertTrue(self.paths.set(b"p", 300, Path.over(("a",), 2)))
        self.assertFalse(self.paths.set(b"p", 400, None))
        self.assertTrue(self.paths.setHere(b"p", 0))
        self.assertFalse(self.paths.setHere(b"p", 0))
        self.assertEqual((self.paths.count(300), len(self.paths)), (1, 1))
        self.assertTrue(self.paths.set(b"p", 300, None))
        self.assertEqual(list(self.paths.here()), [(b"p", 0)])
        self.assertTrue(self.paths.setHere(b"p", None))
        self.assertEqual((self.paths.count(300), list(self.paths), list(self.paths.here())), (0, [], []))

    def test_aNeighbourIsToldNoneOfItsOwnWays(self) -> None:
        self.paths.set(b"p", 300, Path.over(("a",), 1))
        self.paths.set(b"p", 400, Path.over(("b", "a"), 2))
        self.paths.set(b"p", 500, Path.over(("c",), 9))
        self.assertEqual(self.paths.best(b"p", 600, None), Path.over(("a",), 1))
        self.assertEqual(self.paths.best(b"p", 300, None), Path.over(("b", "a"), 2))
        self.assertEqual(self.paths.best(b"p", 300, "a"), Path.over(("c",), 9))
        self.paths.setHere(b"p", 20)
        self.assertEqual(self.paths.best(b"p", 500, "a"), Path.over((), 20))
        self.assertIsNone(self.paths.best(b"q", 300, None))

    def test_whatANeighbourCanReachIsFound(self) -> None:
        self.paths.set(b"p", 300, Path.over(("a",), 1))
        self.paths.set(b"q", 400, Path.over(("a",), 1))
        self.assertEqual(self.paths.of(300), [b"p"])
        self.assertEqual(self.paths.get(b"p", 300), Path.over(("a",), 1))
        self.assertIsNone(self.paths.get(b"q", 300))
