"""
Multicast: each rule by itself.
"""

from __future__ import annotations

from hermes.test.ndn.forwarder.forwarding import NO_ROUTE, ForwardingCase, data, interest, value


class MulticastTests(ForwardingCase):
    """
    L{hermes.ndn.forwarder.strategies.multicast.Multicast}.
    """

    strategy = "multicast"

    def setUp(self) -> None:
        super().setUp()
        self.consumer, self.first, self.second, self.third = (self.face() for _ in range(4))
        self.route("/a", self.first, self.second)

    def counts(self) -> list[int]:
        return [len(face.take()) for face in (self.first, self.second, self.third)]

    def test_anInterestGoesToAll(self) -> None:
        self.consumer.express(interest("/a/b"))
        self.assertEqual(self.counts(), [1, 1, 0])
        self.second.put(data("/a/b"))
        self.assertEqual(self.consumer.took(), [("data", "/a/b")])
        self.first.put(data("/a/b"))
        self.assertEqual(self.consumer.took(), [])
        self.assertIdle()

    def test_butNotToTheOneItCameFrom(self) -> None:
        self.first.express(interest("/a/b"))
        self.assertEqual(self.counts(), [0, 1, 0])

    def test_sentAgainItGoesToEachAsOftenAsItMay(self) -> None:
        self.consumer.express(interest("/a/b", nonce=1))
        self.counts()
        self.consumer.express(interest("/a/b", nonce=2))
        self.assertEqual(self.counts(), [0, 0, 0])
        self.pass_(0.015)
        self.consumer.express(interest("/a/b", nonce=3))
        self.assertEqual(self.counts(), [1, 1, 0])
        self.pass_(0.015)
        self.consumer.express(interest("/a/b", nonce=4))
        self.assertEqual(self.counts(), [0, 0, 0])
        # One that was not asked before need not wait.
        self.route("/a", self.first, self.second, self.third)
        self.consumer.express(interest("/a/b", nonce=5))
        self.assertEqual(self.counts(), [0, 0, 1])

    def test_anotherFacesInterestGoesWhereTheFirstCameFrom(self) -> None:
        self.first.express(interest("/a/b", nonce=1))
        self.counts()
        self.second.express(interest("/a/b", nonce=2))
        self.assertEqual(self.counts(), [1, 0, 0])

    def test_withoutANextHopItWaitsForOne(self) -> None:
        self.consumer.express(interest("/sync/x"))
        self.assertEqual((self.consumer.sent, len(self.forwarder.pit)), ([], 1))
        self.route("/sync", self.third)
        self.clock.advance(0)
        self.assertEqual(self.third.took(), [("interest", "/sync/x")])
        self.third.put(data("/sync/x"))
        self.assertEqual(self.consumer.took(), [("data", "/sync/x")])

    def test_aNewNextHopIsAskedForWhatIsPending(self) -> None:
        self.consumer.express(interest("/a/b/c", nonce=1))
        self.consumer.express(interest("/x/y", nonce=2))
        self.third.express(interest("/a/own", nonce=3))
        self.counts()
        self.route("/a", self.first, self.second, self.third)
        self.clock.advance(0)
        self.assertEqual(self.third.took(), [("interest", "/a/b/c")])
        self.assertEqual(self.counts(), [0, 0, 0])
        # A shorter prefix than the one that leads on is none for it.
        self.forwarder.setNextHop(b"", self.third.id, 0)
        self.clock.advance(0)
        self.assertEqual(self.third.took(), [("interest", "/x/y")])
        # Told once.
        self.forwarder.setNextHop(value("/a"), self.third.id, 9)
        self.clock.advance(0)
        self.assertEqual(self.third.took(), [])

    def test_aThousandNewPrefixesAreOneLookAtThePendingInterests(self) -> None:
        self.consumer.express(interest("/p/7/x", nonce=1))
        for number in range(1000):
            self.route(f"/p/{number}", self.third)
        # The other is that of the PIT.
        self.assertEqual(len(self.clock.getDelayedCalls()), 2)
        self.clock.advance(0)
        self.assertEqual(self.third.took(), [("interest", "/p/7/x")])

    def test_aNextHopThatIsGoneAgainIsNotAsked(self) -> None:
        self.consumer.express(interest("/a/b", nonce=1))
        self.route("/a", self.first, self.second, self.third)
        self.third.close()
        self.clock.advance(0)
        self.assertEqual(self.third.sent, [])

    def test_whereAllSayNoSoDoesIt(self) -> None:
        view = interest("/a/b")
        self.consumer.express(view)
        self.first.nack(view, NO_ROUTE)
        self.assertEqual(self.consumer.sent, [])
        self.second.nack(view, NO_ROUTE)
        self.assertEqual([sent.reason for sent in self.consumer.take()], [NO_ROUTE])
        self.assertIdle()
