"""
Best route: each rule by itself.
"""

from __future__ import annotations

from hermes.test.ndn.forwarder.forwarding import CONGESTION, DUPLICATE, NO_ROUTE, ForwardingCase, data, interest


class BestRouteTests(ForwardingCase):
    """
    L{hermes.ndn.forwarder.strategies.bestroute.BestRoute}.
    """

    def setUp(self) -> None:
        super().setUp()
        self.consumer, self.first, self.second, self.third = (self.face() for _ in range(4))
        self.upstreams = [self.first, self.second, self.third]
        self.route("/a", *self.upstreams)
        self.nonce = 0

    def express(self, face: object = None, **more: object) -> list[int]:
        """
        One more Interest for /a/b; how many went to each upstream face.
        """
        self.nonce += 1
        for upstream in self.upstreams:
            upstream.take()
        (face or self.consumer).express(interest("/a/b", nonce=self.nonce, **more))  # type: ignore[attr-defined]
        return [len(upstream.sent) for upstream in self.upstreams]

    def test_aNewInterestGoesToTheCheapest(self) -> None:
        self.assertEqual(self.express(), [1, 0, 0])

    def test_sentAgainItGoesToTheCheapestThatWasNotAsked(self) -> None:
        self.express()
        self.pass_(0.3)
        self.assertEqual(self.express(), [0, 1, 0])
        self.pass_(0.3)
        self.assertEqual(self.express(), [0, 0, 1])

    def test_whenAllWereAskedTheFirstIsAskedAgain(self) -> None:
        for expected in ([1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 0, 0], [0, 1, 0]):
            self.assertEqual(self.express(), expected)
            self.pass_(0.3)

    def test_oneThatHasHadItsTimeCountsAsNotAsked(self) -> None:
        self.express(lifetime=1000)
        self.pass_(0.5)
        self.assertEqual(self.express(lifetime=4000), [0, 1, 0])
        self.pass_(0.6)
        self.assertEqual(self.express(lifetime=4000), [1, 0, 0])

    def test_tooSoonItIsNotSentAtAll(self) -> None:
        self.express()
        self.assertEqual(self.express(), [0, 0, 0])
        self.pass_(0.005)
        self.assertEqual(self.express(), [0, 0, 0])

    def test_theTimeBetweenDoublesUpToAQuarterOfASecond(self) -> None:
        self.route("/a/b", self.first)
        times = [self.clock.seconds()]
        self.express()
        for _ in range(2000):
            self.clock.advance(0.001)
            if sum(self.express()):
                times.append(self.clock.seconds())
        expected = [0.01, 0.02, 0.04, 0.08, 0.16, 0.25, 0.25, 0.25, 0.25]
        for earlier, later, gap in zip(times, times[1:], expected, strict=False):
            self.assertTrue(gap <= later - earlier < gap + 0.0015, (gap, later - earlier))
        self.assertGreater(len(times), 9)

    def test_anotherConsumersInterestIsOneThatIsSentAgain(self) -> None:
        other = self.face()
        self.express()
        self.assertEqual(self.express(other), [0, 0, 0])
        self.pass_(0.3)
        self.assertEqual(self.express(other), [0, 1, 0])

    def test_afterTheAnswerItIsNew(self) -> None:
        self.forwarder.cs.admit = False
        self.express()
        self.first.put(data("/a/b"))
        self.assertEqual(self.express(), [1, 0, 0])

    def test_afterANackTheNextIsAskedAtOnce(self) -> None:
        view = interest("/a/b", nonce=7)
        for reason in (NO_ROUTE, CONGESTION):
            for upstream in self.upstreams:
                upstream.take()
            self.consumer.express(view)
            self.first.nack(view, reason)
            self.assertEqual([len(upstream.sent) for upstream in self.upstreams], [1, 1, 0])
            self.second.nack(view, reason)
            self.assertEqual([len(upstream.sent) for upstream in self.upstreams], [1, 1, 1])
            self.assertEqual(self.consumer.sent, [])
            self.third.nack(view, reason)
            self.assertEqual([sent.reason for sent in self.consumer.take()], [reason])
            self.assertIdle()
            self.pass_(13)

    def test_afterANackForALoopNobodyElseIsAsked(self) -> None:
        view = interest("/a/b", nonce=7)
        self.consumer.express(view)
        self.first.nack(view, DUPLICATE)
        self.assertEqual([len(upstream.sent) for upstream in self.upstreams], [1, 0, 0])
        self.assertEqual([sent.reason for sent in self.consumer.take()], [DUPLICATE])

    def test_whatHasGotLostOnALinkGoesToTheNextAtOnce(self) -> None:
        self.express()
        self.forwarder.interestLost(self.first, self.first.sent[0].view)
        self.assertEqual(self.second.took(), [("interest", "/a/b")])
        # It is known of the first that it was asked.
        self.forwarder.interestLost(self.third, self.first.sent[0].view)
        self.assertEqual(self.third.sent, [])

    def test_whereALinkGoesDownTheNextIsAskedAtOnce(self) -> None:
        self.express()
        self.forwarder.faceDown(self.first)
        self.assertEqual(self.second.took(), [("interest", "/a/b")])
        self.forwarder.faceDown(self.third)
        self.assertEqual(self.second.sent, [])
        self.second.close()
        self.assertEqual((self.first.took(), self.third.took()), ([("interest", "/a/b")], []))
        self.first.put(data("/a/b"))
        self.assertEqual(self.consumer.took(), [("data", "/a/b")])

    def test_aFaceThatIsDownIsTheLastChoice(self) -> None:
        self.forwarder.faceDown(self.first)
        self.assertEqual(self.express(), [0, 1, 0])
        self.forwarder.faceDown(self.second)
        self.forwarder.faceDown(self.third)
        self.forwarder.cs.admit = False
        self.second.put(data("/a/b"))
        self.assertEqual(self.express(), [1, 0, 0])

    def test_theFaceThatItCameFromIsNoChoice(self) -> None:
        self.assertEqual(self.express(self.first), [0, 1, 0])
        self.pass_(0.3)
        self.assertEqual(self.express(self.first), [0, 0, 1])
        self.pass_(0.3)
        self.assertEqual(self.express(self.first), [0, 1, 0])

    def test_whereOnlyWhoAsksCouldAnswerItIsTold(self) -> None:
        self.route("/own", self.first)
        view = interest("/own/x", nonce=1)
        self.first.express(view)
        self.assertEqual([(sent.what, sent.reason) for sent in self.first.take()], [("nack", NO_ROUTE)])
        self.assertIdle()

    def test_whoCouldAnswerAnotherIsToldAndTheOtherWaits(self) -> None:
        self.route("/own", self.first)
        self.consumer.express(interest("/own/x", nonce=1, lifetime=1000))
        self.first.take()
        self.pass_(0.5)
        self.first.express(interest("/own/x", nonce=2))
        self.first.put(data("/own/x"))
        self.assertEqual(self.consumer.took(), [("data", "/own/x")])
