"""
Tests of L{hermes.ip.leases}.
"""

from __future__ import annotations

from ipaddress import ip_address, ip_network

from twisted.trial.unittest import SynchronousTestCase

from hermes.ip.leases import AddressPool, LeaseError, LeaseFile
from hermes.values import ANONYMOUS, Identity

ALICE, BOB = Identity(None, "alice"), Identity(None, "bob")
EDGE = Identity("edge", None)


def pool(*networks: str, path: str | None = None, **reserved: str) -> AddressPool:
    """
    A pool of some prefixes.
    """
    return AddressPool(
        [ip_network(each) for each in networks],
        {name: (ip_address(text),) for name, text in reserved.items()},
        LeaseFile(path),
    )


class PoolTests(SynchronousTestCase):
    """
    Who gets which address.
    """

    def test_theFirstIsTheNodesAndTheEdgesAreNobodys(self) -> None:
        """
        Of an IPv4 prefix; the next ones are given in order.
        """
        few = pool("10.0.0.0/29", "fd00::/64")
        self.assertEqual((few.first(4), few.first(6)), (ip_address("10.0.0.1"), ip_address("fd00::1")))
        given = [few.take(Identity(None, f"user{number}"), 4) for number in range(6)]
        self.assertEqual([str(address) for address in given], [f"10.0.0.{n}" for n in range(2, 7)] + ["None"])
        self.assertEqual(few.take(ALICE, 6), ip_address("fd00::2"))

    def test_theSameOneGetsTheSameAgain(self) -> None:
        """
        Also when others have come meanwhile. A second connection at once has another.
        """
        some = pool("10.0.0.0/24")
        first = some.take(ALICE, 4)
        second = some.take(ALICE, 4)
        assert first is not None and second is not None
        self.assertNotEqual(first, second)
        some.release(first)
        some.release(second)
        self.assertNotIn(some.take(BOB, 4), (first, second))
        self.assertEqual([some.take(ALICE, 4), some.take(ALICE, 4)], [first, second])

    def test_leasesOutliveTheProcess(self) -> None:
        """
        What is on disk is there after a kill: nothing is closed.
        """
        path = self.mktemp()
        some = pool("10.0.0.0/24", path=path)
        some.take(BOB, 4)
        address = some.take(ALICE, 4)
        again = pool("10.0.0.0/24", path=path)
        self.assertEqual(again.take(ALICE, 4), address)
        # Those of a prefix that is no pool any more are not given.
        self.assertEqual(pool("10.9.0.0/24", path=path).take(ALICE, 4), ip_address("10.9.0.2"))

    def test_aFileThatIsNoneOfOursIsRefused(self) -> None:
        """
        With its name.
        """
        path = self.mktemp()
        with open(path, "wb") as file:
            file.write(b"not a database" * 100)
        with self.assertRaisesRegex(LeaseError, "leases can't be kept"):
            LeaseFile(path)

    def test_whatIsWishedIsGivenIfItIsFree(self) -> None:
        """
        Not what another has or had, is reserved for another, or can't be given at all.
        """
        some = pool("10.0.0.0/24", edge="10.0.0.9")
        self.assertEqual(some.take(ALICE, 4, ip_address("10.0.0.77")), ip_address("10.0.0.77"))
        for wished in ("10.0.0.77", "10.0.0.9", "10.0.0.1", "10.0.0.0", "10.0.0.255", "10.1.0.1", "fd00::1"):
            given = some.take(BOB, 4, ip_address(wished))
            self.assertNotEqual(given, ip_address(wished), wished)
            assert given is not None
            some.release(given)
        # Who comes back while its old connection is not known to be dead takes its place.
        self.assertEqual(some.take(ALICE, 4, ip_address("10.0.0.77")), ip_address("10.0.0.77"))

    def test_whatIsReservedIsOnlyForOne(self) -> None:
        """
        A node's or a user's, in the pool or not.
        """
        some = pool("10.0.0.0/24", edge="10.0.0.2", alice="172.16.0.5")
        self.assertEqual(some.take(BOB, 4), ip_address("10.0.0.3"))
        self.assertEqual(some.take(EDGE, 4), ip_address("10.0.0.2"))
        self.assertEqual(some.take(ALICE, 4), ip_address("172.16.0.5"))
        self.assertEqual(some.take(Identity("laptop", "alice"), 4, ip_address("172.16.0.5")), ip_address("172.16.0.5"))

    def test_whereNoneIsLeftTheOneThatWasUsedLongestAgoIsGiven(self) -> None:
        """
        None that is in use.
        """
        few = pool("10.0.0.0/29")
        users = [Identity(None, f"user{number}") for number in range(5)]
        given = [few.take(user, 4) for user in users]
        self.assertIsNone(few.take(ALICE, 4))
        for address in given[1:3]:
            assert address is not None
            few.release(address)
        self.assertEqual(few.take(users[1], 4), given[1])
        assert given[1] is not None
        few.release(given[1])
        self.assertEqual(few.take(ALICE, 4), given[2])
        self.assertEqual(few.holder(given[2] or ip_address("::")), "alice")

    def test_somebodyWithoutANameHasItForAsLongAsItStays(self) -> None:
        """
        Then it is anybody's.
        """
        few = pool("10.0.0.0/30")
        address = few.take(ANONYMOUS, 4)
        assert address is not None
        self.assertIsNone(few.take(ALICE, 4))
        few.release(address)
        self.assertEqual(few.take(ALICE, 4), address)

    def test_aPrefixOfOneAddressIsAPool(self) -> None:
        """
        That one is given.
        """
        self.assertEqual(pool("10.0.0.7/32").take(ALICE, 4), ip_address("10.0.0.7"))
