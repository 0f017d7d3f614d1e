"""
Tests of L{hermes.ndn.management.rib}.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.errors import Overloaded
from hermes.ndn.management.rib import CAPTURE, CHILD_INHERIT, ORIGIN_STATIC, RIB, RIBEntry, Route
from hermes.ndn.packet.name import Name


class FakeFIB:
    """
    What the RIB writes to.
    """

    def __init__(self) -> None:
        self.hops: dict[str, dict[int, int]] = {}
        self.changes = 0

    def __call__(self, value: bytes, faceID: int, cost: int | None) -> None:
        self.changes += 1
        name = str(Name.fromValue(value))
        if cost is not None:
            self.hops.setdefault(name, {})[faceID] = cost
            return
        # What is not there must not be removed.
        del self.hops[name][faceID]
        if not self.hops[name]:
            del self.hops[name]


def expected(routes: dict[tuple[str, int, int], Route]) -> dict[str, dict[int, int]]:
    """
    The FIB of some routes, by the letter of the protocol.
    """
    names = {name for name, _, _ in routes}
    fib: dict[str, dict[int, int]] = {}
    for name in names:
        hops: dict[int, int] = {}
        whole = Name.fromText(name)
        for length in range(len(whole), -1, -1):
            own = length == len(whole)
            here = [route for (at, _, _), route in routes.items() if Name.fromText(at) == whole[:length]]
            found: dict[int, int] = {}
            for route in here:
                if own or route.flags & CHILD_INHERIT:
                    found[route.faceID] = min(route.cost, found.get(route.faceID, route.cost))
            hops = {**found, **hops}
            if any(route.flags & CAPTURE for route in here):
                break
        fib[name] = hops
    return fib


class RIBTests(SynchronousTestCase):
    """
    Routes, and the FIB that follows.
    """

    def setUp(self) -> None:
        self.fib = FakeFIB()
        self.rib = RIB(self.fib)

    def register(self, name: str, faceID: int, cost: int = 0, flags: int = CHILD_INHERIT, origin: int = 0) -> None:
        """
        Add a route.
        """
        self.rib.register(Name.fromText(name), Route(faceID, origin, cost, flags))

    def unregister(self, name: str, faceID: int, origin: int = 0) -> bool:
        """
        Remove a route.
        """
        return self.rib.unregister(Name.fromText(name), faceID, origin)

    def test_aRouteIsANextHopUntilItIsRemoved(self) -> None:
        self.register("/a", 300, 5)
        self.assertEqual(self.fib.hops, {"/a": {300: 5}})
        self.assertFalse(self.unregister("/a", 300, ORIGIN_STATIC))
        self.assertFalse(self.unregister("/b", 300))
        self.assertTrue(self.unregister("/a", 300))
        self.assertEqual(self.fib.hops, {})
        self.assertEqual((list(self.rib), len(self.rib)), ([], 0))

    def test_ofSeveralRoutesToOneFaceTheCheapestCounts(self) -> None:
        self.register("/a", 300, 5)
        self.register("/a", 300, 3, origin=ORIGIN_STATIC)
        self.assertEqual(self.fib.hops, {"/a": {300: 3}})
        self.unregister("/a", 300, ORIGIN_STATIC)
        self.assertEqual(self.fib.hops, {"/a": {300: 5}})

    def test_theSameRouteAgainTakesTheOldOnesPlace(self) -> None:
        self.register("/a", 300, 5)
        self.register("/a", 300, 9)
        self.assertEqual(self.fib.hops, {"/a": {300: 9}})
        self.assertEqual(len(self.rib), 1)
        changes = self.fib.changes
        self.register("/a", 300, 9)
        self.assertEqual(self.fib.changes, changes)

    def test_longerPrefixesInherit(self) -> None:
        self.register("/a/b", 300, 1)
        self.register("/", 400, 7)
        self.register("/a", 500, 8, flags=0)
        self.assertEqual(self.fib.hops, {"/": {400: 7}, "/a": {500: 8, 400: 7}, "/a/b": {300: 1, 400: 7}})
        self.unregister("/", 400)
        self.assertEqual(self.fib.hops, {"/a": {500: 8}, "/a/b": {300: 1}})

    def test_theOwnRouteAndTheNearerPrefixGoFirst(self) -> None:
        self.register("/a", 300, 1)
        self.register("/a/b", 300, 9)
        self.register("/a/b/c", 400, 2)
        self.assertEqual(self.fib.hops, {"/a": {300: 1}, "/a/b": {300: 9}, "/a/b/c": {400: 2, 300: 9}})

    def test_captureEndsInheritance(self) -> None:
        self.register("/", 400)
        self.register("/a/b/c", 600)
        self.register("/a/b", 500, flags=CAPTURE)
        self.assertEqual(self.fib.hops, {"/": {400: 0}, "/a/b": {500: 0}, "/a/b/c": {600: 0}})
        self.unregister("/a/b", 500)
        self.assertEqual(self.fib.hops, {"/": {400: 0}, "/a/b/c": {600: 0, 400: 0}})

    def test_aNameThatOnlyLooksLongerInheritsNothing(self) -> None:
        self.register("/a", 300)
        self.register("/ab", 400)
        self.assertEqual(self.fib.hops, {"/a": {300: 0}, "/ab": {400: 0}})

    def test_aFaceThatGoesTakesItsRoutesAlong(self) -> None:
        for name in ("/", "/a", "/b/c"):
            self.register(name, 300)
        self.register("/b/c", 400, origin=ORIGIN_STATIC)
        self.assertEqual(self.rib.removeFace(300), 3)
        self.assertEqual(self.fib.hops, {"/b/c": {400: 0}})
        self.assertEqual(self.rib.removeFace(300), 0)

    def test_theRoutesOfOneOriginCanBeRemovedFromAFace(self) -> None:
        self.register("/a", 300)
        self.register("/a", 300, 2, origin=ORIGIN_STATIC)
        self.register("/b", 300, origin=ORIGIN_STATIC)
        self.assertEqual(self.rib.removeOrigin(300, ORIGIN_STATIC), 2)
        self.assertEqual(self.fib.hops, {"/a": {300: 0}})

    def test_routesExpire(self) -> None:
        self.rib.register(Name.fromText("/a"), Route(300, expires=10.0))
        self.rib.register(Name.fromText("/b"), Route(300, expires=20.0))
        self.assertEqual(self.rib.nextExpiry, 10.0)
        self.assertEqual(self.rib.expire(9.9), 0)
        self.assertEqual(self.rib.expire(10.0), 1)
        self.assertEqual(self.fib.hops, {"/b": {300: 0}})
        self.assertEqual(self.rib.nextExpiry, 20.0)

    def test_aRouteThatIsRenewedDoesNotExpire(self) -> None:
        name = Name.fromText("/a")
        self.rib.register(name, Route(300, expires=10.0))
        self.rib.register(name, Route(300, expires=30.0))
        self.assertEqual(self.rib.expire(20.0), 0)
        self.rib.register(name, Route(300))
        self.assertEqual(self.rib.expire(40.0), 0)
        self.assertEqual(self.fib.hops, {"/a": {300: 0}})
        self.assertIsNone(self.rib.nextExpiry)

    def test_renewingForeverTakesNoMemory(self) -> None:
        name = Name.fromText("/a")
        for turn in range(10_000):
            self.rib.register(name, Route(300, expires=1000.0 + turn))
        self.assertLess(len(self.rib._queue), 100)

    def test_thereAreBounds(self) -> None:
        rib = RIB(self.fib, maxRoutes=3, maxRoutesPerFace=2)
        rib.register(Name.fromText("/a"), Route(300))
        rib.register(Name.fromText("/b"), Route(300))
        self.assertRaises(Overloaded, rib.register, Name.fromText("/c"), Route(300))
        rib.register(Name.fromText("/b"), Route(300, cost=4))
        rib.register(Name.fromText("/a"), Route(400))
        self.assertRaises(Overloaded, rib.register, Name.fromText("/a"), Route(500))
        rib.removeFace(300)
        rib.register(Name.fromText("/c"), Route(500))
        self.assertEqual(len(rib), 2)

    def test_observersHearOfWhatHasChanged(self) -> None:
        heard: list[tuple[str, int]] = []

        def observe(entry: RIBEntry) -> None:
            heard.append((str(entry.name), len(entry.routes)))

        self.rib.observers.append(observe)
        self.register("/a", 300)
        self.register("/a", 300)
        self.register("/a", 300, 5)
        self.register("/a", 400)
        self.unregister("/a", 300)
        self.rib.removeFace(400)
        self.assertEqual(heard, [("/a", 1), ("/a", 1), ("/a", 2), ("/a", 1), ("/a", 0)])

    def test_entriesComeInCanonicalOrder(self) -> None:
        for name in ("/b", "/aa", "/", "/a/b", "/a"):
            self.register(name, 300)
        self.assertEqual([str(entry.name) for entry in self.rib], ["/", "/a", "/a/b", "/b", "/aa"])

    @settings(max_examples=150, deadline=None)
    @given(
        st.lists(
            st.tuples(
                st.sampled_from(["add", "add", "add", "remove", "face", "expire"]),
                st.sampled_from(["/", "/a", "/a/b", "/a/b/c", "/a/c", "/d", "/d/e/f", "/ab"]),
                st.integers(300, 303),
                st.integers(0, 1),
                st.integers(0, 3),
                st.integers(0, 3),
                st.none() | st.integers(1, 60),
            ),
            max_size=60,
        )
    )
    def test_theFIBIsThatOfTheRoutesWhateverHappens(
        self, steps: list[tuple[str, str, int, int, int, int, int | None]]
    ) -> None:
        fib = FakeFIB()
        rib = RIB(fib)
        routes: dict[tuple[str, int, int], Route] = {}
        for now, (step, name, faceID, origin, cost, flags, expires) in enumerate(steps):
            if step == "add":
                route = Route(faceID, origin, cost, flags, None if expires is None else now + expires)
                rib.register(Name.fromText(name), route)
                routes[name, faceID, origin] = route
            elif step == "remove":
                removed = rib.unregister(Name.fromText(name), faceID, origin)
                self.assertEqual(removed, routes.pop((name, faceID, origin), None) is not None)
            elif step == "face":
                rib.removeFace(faceID)
                routes = {key: route for key, route in routes.items() if route.faceID != faceID}
            else:
                rib.expire(now)
                routes = {key: route for key, route in routes.items() if route.expires is None or route.expires > now}
            self.assertEqual(fib.hops, expected(routes))
            self.assertEqual(len(rib), len(routes))
