"""
Keys are asked for when it is time to, and kept where there are no others.
"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hermes.assist.fetching import FetchFailed
from hermes.assist.keysets import KEEP, PAUSE, KeySet, KeysUnavailable
from hermes.test.assist.tokens import Source, ecKey, jwk, keySet

FIRST, SECOND = keySet(jwk(ecKey(1), "a")), keySet(jwk(ecKey(2), "b"))


class KeySetTests(SynchronousTestCase):
    """
    L{KeySet}.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1000)
        self.source = Source()
        self.keys = KeySet(self.source, "https://issuer.example/keys", self.clock, interval=300)

    def load(self, data: bytes = FIRST) -> None:
        """
        The first keys come.
        """
        due = self.keys.due()
        assert due is not None
        self.source.asked[-1].callback(data)
        self.successResultOf(due)

    def names(self) -> list[str | None]:
        return [key.name for key in self.keys.find(None, "ES256")]

    def test_nothingIsAskedBeforeThereIsAToken(self) -> None:
        self.clock.advance(5000)
        self.assertEqual(self.source.asked, [])

    def test_theFirstTokensWaitForTheKeysTogether(self) -> None:
        waiting = [self.keys.due() for _ in range(3)]
        self.assertEqual(len(self.source.asked), 1)
        with self.assertRaises(KeysUnavailable):
            self.keys.find("a", "ES256")
        for each in waiting:
            assert each is not None
            self.assertNoResult(each)
        self.source.asked[0].callback(FIRST)
        for each in waiting:
            assert each is not None
            self.assertIsNone(self.successResultOf(each))
        self.assertEqual(self.names(), ["a"])
        self.assertEqual([key.name for key in self.keys.find("a", "ES256")], ["a"])
        self.assertEqual(self.keys.find("b", "ES256"), [])
        self.assertEqual(self.keys.find("a", "RS256"), [])

    def test_whoWaitsMayGoAway(self) -> None:
        waiting = self.keys.due()
        assert waiting is not None
        waiting.addErrback(lambda failure: None)
        waiting.cancel()
        self.source.asked[0].callback(FIRST)
        self.assertEqual(self.names(), ["a"])

    def test_oldKeysAreUsedWhileNewOnesAreOnTheirWay(self) -> None:
        self.load()
        self.clock.advance(299)
        self.assertIsNone(self.keys.due())
        self.assertEqual(len(self.source.asked), 1)
        self.clock.advance(1)
        self.assertIsNone(self.keys.due())
        self.assertIsNone(self.keys.due())
        self.assertEqual(len(self.source.asked), 2)
        self.assertEqual(self.names(), ["a"])
        self.source.asked[1].callback(SECOND)
        self.assertEqual((self.names(), self.keys.version), (["b"], 2))

    def test_theSameKeysAreNoChange(self) -> None:
        self.load()
        self.clock.advance(300)
        self.keys.due()
        self.source.asked[1].callback(FIRST)
        self.assertEqual(self.keys.version, 1)
        self.clock.advance(299)
        self.assertIsNone(self.keys.due())
        self.assertEqual(len(self.source.asked), 2)

    def test_afterALongSilenceNewKeysAreWaitedFor(self) -> None:
        self.load()
        self.clock.advance(600)
        due = self.keys.due()
        assert due is not None
        self.assertNoResult(due)
        self.source.asked[1].errback(FetchFailed("down"))
        self.assertIsNone(self.successResultOf(due))
        # There are none: the old ones will do.
        self.assertIsNone(self.keys.due())
        self.assertEqual((self.names(), self.keys.failure), (["a"], "down"))

    def test_whatCannotBeReadChangesNothing(self) -> None:
        self.load()
        for garbage in (b"", b"<html>", b'{"keys": []}'):
            self.clock.advance(301)
            self.keys.due()
            self.source.asked[-1].callback(garbage)
            self.assertEqual(self.names(), ["a"])
            self.assertIsNotNone(self.keys.failure)
        self.assertEqual(self.keys.version, 1)

    def test_aSourceThatFailsIsLeftAloneForAWhile(self) -> None:
        due = self.keys.due()
        assert due is not None
        self.source.asked[0].errback(FetchFailed("down"))
        self.assertIsNone(self.successResultOf(due))
        self.assertIsNone(self.keys.due())
        self.clock.advance(PAUSE - 0.1)
        self.assertIsNone(self.keys.due())
        self.assertEqual(len(self.source.asked), 1)
        self.clock.advance(0.2)
        self.assertIsNotNone(self.keys.due())
        self.assertEqual(len(self.source.asked), 2)

    def test_anUnknownKeyIsAskedForButNotOften(self) -> None:
        self.load()
        self.assertIsNone(self.keys.renew())
        self.clock.advance(PAUSE)
        renewing = self.keys.renew()
        assert renewing is not None
        self.source.asked[1].callback(SECOND)
        self.successResultOf(renewing)
        self.assertEqual(self.names(), ["b"])
        for _ in range(1000):
            self.assertIsNone(self.keys.renew())
        self.assertEqual(len(self.source.asked), 2)

    def test_keysAreNotKeptForEver(self) -> None:
        self.load()
        self.clock.advance(KEEP - 1)
        self.keys.due()
        self.source.asked[-1].errback(FetchFailed("down"))
        self.assertEqual(self.names(), ["a"])
        self.clock.advance(PAUSE)
        self.keys.due()
        with self.assertRaises(KeysUnavailable):
            self.keys.find("a", "ES256")
        self.source.asked[-1].callback(FIRST)
        self.assertEqual(self.names(), ["a"])

    def test_aMistakeOfOursIsLogged(self) -> None:
        keys = KeySet(lambda: 1 // 0, "x", self.clock)  # type: ignore[arg-type, return-value]
        self.successResultOf(keys.due())  # type: ignore[arg-type]
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertIn("ZeroDivisionError", str(keys.failure))
