from __future__ import annotations

import subprocess
import sys
from collections import Counter
from random import Random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.fabric.hashing import MAX_POINTS, TABLE_SIZES, Maglev, Ring, digest, fraction, rendezvous
from hermes.fabric.places import Endpoint

KEYS = [b"user-%d" % number for number in range(10_000)]
TABLES: tuple[type[Any], ...] = (Ring, Maglev)


def endpoints(count: int, weight: int = 1) -> list[Endpoint]:
    return [Endpoint(f"10.0.0.{number}:80", weight) for number in range(count)]


def owners(table: Any) -> list[str]:
    return [table.pick(key).address for key in KEYS]


class Sameness(SynchronousTestCase):
    def test_itDoesNotMatterInWhichOrderEndpointsAreConfigured(self) -> None:
        for table in TABLES:
            one, other = endpoints(10), endpoints(10)
            Random(3).shuffle(other)
            self.assertEqual(owners(table(one, Random())), owners(table(other, Random())))

    def test_itIsTheSameInEveryProcess(self) -> None:
        script = (
            "from random import Random; from hermes.fabric.hashing import *; from hermes.fabric.places import Endpoint;"
            "print([t([Endpoint(f'10.0.0.{n}:80') for n in range(10)], Random()).pick(b'user-%d' % k).address"
            " for t in (Ring, Maglev) for k in range(50)])"
        )
        here = [table(endpoints(10), Random()).pick(key).address for table in TABLES for key in KEYS[:50]]
        there = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
        self.assertEqual(str(here), there.stdout.strip())

    def test_digestsStayWhatTheyAre(self) -> None:
        # Another version of Hermes must send a key to the same endpoint.
        self.assertEqual(0x4DEAEC0CCE54DA89, digest(b"alice"))
        self.assertEqual(
            ["10.0.0.4:80", "10.0.0.1:80"], [table(endpoints(10), Random()).pick(b"alice").address for table in TABLES]
        )


class Disruption(SynchronousTestCase):
    def test_onlyTheKeysOfAnEndpointThatIsOutMove(self) -> None:
        for table in TABLES:
            ten = endpoints(10)
            made = table(ten, Random())
            before = owners(made)
            made.keep(ten[:3] + ten[4:])
            after = owners(made)
            moved = [(one, other) for one, other in zip(before, after, strict=True) if one != other]
            self.assertEqual({ten[3].address}, {one for one, _ in moved})
            self.assertEqual(before.count(ten[3].address), len(moved))
            # They are shared out among all others.
            self.assertEqual(9, len({other for _, other in moved}))
            made.keep(ten)
            self.assertEqual(before, owners(made))

    def test_anEndpointThatIsTakenOutOfTheConfigurationMovesFewOthers(self) -> None:
        for table, most in ((Ring, 0.0), (Maglev, 0.08)):
            before, after = owners(table(endpoints(10), Random())), owners(table(endpoints(9), Random()))
            gone = "10.0.0.9:80"
            stayed = [(one, other) for one, other in zip(before, after, strict=True) if one != gone]
            moved = sum(one != other for one, other in stayed) / len(stayed)
            self.assertLessEqual(moved, most, table)

    def test_anEndpointMoreTakesItsShareAndNoMore(self) -> None:
        for table, most in ((Ring, 0.12), (Maglev, 0.19)):
            before, after = owners(table(endpoints(10), Random())), owners(table(endpoints(11), Random()))
            moved = sum(one != other for one, other in zip(before, after, strict=True)) / len(KEYS)
            self.assertGreater(moved, 0.06)
            self.assertLess(moved, most, table)


class Shares(SynchronousTestCase):
    def spread(self, table: Any, of: list[Endpoint]) -> list[float]:
        counts = Counter(owners(table(of, Random())))
        whole = sum(endpoint.weight for endpoint in of)
        return [counts[endpoint.address] * whole / endpoint.weight / len(KEYS) for endpoint in of]

    def test_sharesAreNearlyEven(self) -> None:
        for table, off in ((Ring, 0.25), (Maglev, 0.1)):
            spread = self.spread(table, endpoints(10))
            self.assertTrue(all(abs(share - 1) < off for share in spread), (table, spread))

    def test_weightsAreKeptTo(self) -> None:
        for table, off in ((Ring, 0.3), (Maglev, 0.15)):
            weighted = [Endpoint(f"10.0.0.{number}:80", number + 1) for number in range(5)]
            spread = self.spread(table, weighted)
            self.assertTrue(all(abs(share - 1) < off for share in spread), (table, spread))

    def test_theSameAddressTwiceIsNoHarm(self) -> None:
        for table in TABLES:
            self.assertEqual("a:1", table([Endpoint("a:1"), Endpoint("a:1")], Random()).pick(b"x").address)

    def test_tablesAreBounded(self) -> None:
        wild = [Endpoint("a:1", 1), *(Endpoint(f"b{number}:1", 1000) for number in range(20))]
        self.assertLessEqual(len(Ring(wild, Random())._points), MAX_POINTS + len(wild))
        self.assertEqual(TABLE_SIZES[0], len(Maglev(endpoints(20), Random())._table))
        self.assertEqual(TABLE_SIZES[-1], len(Maglev(endpoints(300), Random())._table))


class Keyless(SynchronousTestCase):
    def test_withoutAKeyItGoesAnywhere(self) -> None:
        for table in TABLES:
            made = table(endpoints(3), Random(1))
            self.assertEqual(3, len({made.pick(None) for _ in range(100)}))

    @given(st.binary(), st.integers(1, 9))
    def test_everyKeyHasAnEndpointAndAnOrderOfOthers(self, key: bytes, count: int) -> None:
        some = endpoints(count)
        for table in TABLES:
            self.assertIn(table(some, Random()).pick(key), some)
        self.assertEqual(set(some), set(rendezvous(some, key)))
        self.assertEqual(rendezvous(some, key), rendezvous(some[::-1], key))
        self.assertTrue(0 <= fraction(key) < 1)
