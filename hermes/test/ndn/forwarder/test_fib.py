"""
Next hops are kept in order, and go with their faces.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hermes.ndn.forwarder.fib import FIB, MAX_PREFIX
from hermes.ndn.forwarder.port import Port
from hermes.ndn.packet.errors import PacketError
from hermes.test.ndn.forwarder.forwarding import FakeFace, ends, value


class FIBTests(SynchronousTestCase):
    """
    L{FIB}.
    """

    def setUp(self) -> None:
        self.fib = FIB()
        self.ports = [Port(FakeFace(256 + number)) for number in range(4)]

    def hops(self, prefix: str) -> list[tuple[int, int]] | None:
        entry = self.fib.get(value(prefix))
        return None if entry is None else [(hop.port.id, hop.cost) for hop in entry.hops]

    def test_nextHopsAreInOrderOfCostThenOfAge(self) -> None:
        for number, cost in ((3, 5), (2, 1), (1, 5), (0, 9)):
            self.assertTrue(self.fib.setNextHop(value("/a"), self.ports[number], cost))
        self.assertEqual(self.hops("/a"), [(258, 1), (257, 5), (259, 5), (256, 9)])

    def test_anotherCostMovesANextHop(self) -> None:
        self.fib.setNextHop(value("/a"), self.ports[0], 1)
        self.fib.setNextHop(value("/a"), self.ports[1], 2)
        self.assertFalse(self.fib.setNextHop(value("/a"), self.ports[0], 3))
        self.assertEqual(self.hops("/a"), [(257, 2), (256, 3)])

    def test_withItsLastNextHopAPrefixGoes(self) -> None:
        self.fib.setNextHop(value("/a"), self.ports[0], 1)
        self.fib.setNextHop(value("/a"), self.ports[1], 1)
        self.assertTrue(self.fib.removeNextHop(value("/a"), self.ports[0]))
        self.assertFalse(self.fib.removeNextHop(value("/a"), self.ports[0]))
        self.assertFalse(self.fib.removeNextHop(value("/b"), self.ports[0]))
        self.assertEqual(self.hops("/a"), [(257, 1)])
        self.assertTrue(self.fib.removeNextHop(value("/a"), self.ports[1]))
        self.assertIsNone(self.hops("/a"))
        self.assertEqual(len(self.fib), 0)

    def test_aPrefixGoesWithAllItsNextHops(self) -> None:
        self.fib.setNextHop(value("/a"), self.ports[0], 1)
        self.fib.setNextHop(value("/a"), self.ports[1], 1)
        self.assertTrue(self.fib.remove(value("/a")))
        self.assertFalse(self.fib.remove(value("/a")))
        self.assertEqual([port.routes for port in self.ports], [{}, {}, {}, {}])

    def test_aFaceGoesWithAllNextHopsThatLeadThere(self) -> None:
        for prefix in ("/a", "/a/b", "/c", "/"):
            self.fib.setNextHop(value(prefix), self.ports[0], 1)
        self.fib.setNextHop(value("/c"), self.ports[1], 1)
        self.fib.removePort(self.ports[0])
        self.assertEqual([entry.prefix for entry in self.fib], [value("/c")])
        self.assertEqual(self.hops("/c"), [(257, 1)])
        self.assertEqual(self.ports[0].routes, {})

    def test_theLongestPrefixLeadsOn(self) -> None:
        self.fib.setNextHop(value("/"), self.ports[0], 1)
        self.fib.setNextHop(value("/a/b"), self.ports[1], 1)
        for name, prefix in (("/a/b/c", "/a/b"), ("/a", "/"), ("/x", "/")):
            found = self.fib.longest(value(name), ends(value(name)))
            self.assertEqual(None if found is None else found.prefix, value(prefix))

    def test_aPrefixIsNotTooLong(self) -> None:
        self.fib.setNextHop(value("/a" * MAX_PREFIX), self.ports[0], 1)
        self.assertRaises(ValueError, self.fib.setNextHop, value("/a" * (MAX_PREFIX + 1)), self.ports[0], 1)
        self.assertEqual(len(self.fib), 1)

    def test_whatIsNoNameOrNoCostIsRefused(self) -> None:
        self.assertRaises(PacketError, self.fib.setNextHop, b"\x08", self.ports[0], 1)
        self.assertRaises(ValueError, self.fib.setNextHop, value("/a"), self.ports[0], -1)
        self.assertEqual(len(self.fib), 0)
