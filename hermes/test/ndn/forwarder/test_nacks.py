"""
The pipelines of Nacks: each rule by itself.
"""

from __future__ import annotations

from hermes.test.ndn.forwarder.forwarding import CONGESTION, DUPLICATE, NO_ROUTE, ForwardingCase, data, interest


class IncomingNackTests(ForwardingCase):
    """
    What comes back in place of Data.
    """

    def setUp(self) -> None:
        super().setUp()
        self.consumer, self.other, self.producer = self.face(), self.face(), self.face()
        self.route("/a", self.producer)

    def reasons(self, face: object) -> list[int | None]:
        return [sent.reason for sent in face.take() if sent.what == "nack"]  # type: ignore[attr-defined]

    def test_aNackGoesToAllWhoWaitWithTheirNoncesAndTokens(self) -> None:
        first, second = interest("/a/b", nonce=1), interest("/a/b", nonce=2)
        self.consumer.express(first, b"1")
        self.other.express(second, b"2")
        self.producer.nack(first, NO_ROUTE)
        for face, view, token in ((self.consumer, first, b"1"), (self.other, second, b"2")):
            (sent,) = face.take()
            self.assertEqual((sent.what, sent.reason, sent.view, sent.token), ("nack", NO_ROUTE, view, token))
        self.assertIdle()

    def test_oneForAnInterestThatWasNotSentThereIsDropped(self) -> None:
        self.consumer.express(interest("/a/b", nonce=1))
        self.other.nack(interest("/a/b", nonce=1), NO_ROUTE)
        self.producer.nack(interest("/a/c", nonce=1), NO_ROUTE)
        self.producer.nack(interest("/a/b", nonce=1, mustBeFresh=True), NO_ROUTE)
        self.assertEqual((self.consumer.sent, self.forwarder.counters.strayNacks), ([], 3))
        self.assertEqual(len(self.forwarder.pit), 1)

    def test_oneWithAnotherNonceIsDropped(self) -> None:
        self.consumer.express(interest("/a/b", nonce=1))
        self.pass_(0.1)
        self.consumer.express(interest("/a/b", nonce=2))
        self.producer.nack(interest("/a/b", nonce=1), NO_ROUTE)
        self.assertEqual((self.consumer.sent, self.forwarder.counters.strayNacks), ([], 1))
        self.producer.nack(interest("/a/b", nonce=2), NO_ROUTE)
        self.assertEqual(self.reasons(self.consumer), [NO_ROUTE])

    def test_onALinkOfManyOnePeersNackIsDropped(self) -> None:
        group = self.face(linkType="multi-access")
        self.route("/group", group)
        self.consumer.express(interest("/group/b", nonce=1))
        group.nack(interest("/group/b", nonce=1), NO_ROUTE)
        self.assertEqual((self.consumer.sent, self.forwarder.counters.strayNacks), ([], 1))
        group.put(data("/group/b"))
        self.assertEqual(self.consumer.took(), [("data", "/group/b")])

    def test_toALinkOfManyNoNackIsSent(self) -> None:
        group = self.face(linkType="multi-access")
        group.express(interest("/a/b", nonce=1))
        self.producer.nack(interest("/a/b", nonce=1), NO_ROUTE)
        group.express(interest("/nowhere", nonce=1))
        self.assertEqual(group.sent, [])
        self.assertIdle()

    def test_afterTheAnswerANackIsDropped(self) -> None:
        self.consumer.express(interest("/a/b", nonce=1))
        self.producer.put(data("/a/b"))
        self.producer.nack(interest("/a/b", nonce=1), NO_ROUTE)
        self.assertEqual(self.consumer.took(), [("data", "/a/b")])

    def test_theLeastSevereReasonIsTold(self) -> None:
        third = self.face()
        self.forwarder.strategies.set(b"", self.forwarder.strategies.named("multicast"))
        self.route("/m", self.other, self.producer, third)
        view = interest("/m/b", nonce=1)
        self.consumer.express(view)
        self.other.nack(view, NO_ROUTE)
        self.producer.nack(view, CONGESTION)
        self.assertEqual(self.consumer.sent, [])
        third.nack(view, DUPLICATE)
        self.assertEqual(self.reasons(self.consumer), [CONGESTION])
        self.assertIdle()

    def test_aReasonThatIsNoneIsTheMostSevere(self) -> None:
        self.forwarder.strategies.set(b"", self.forwarder.strategies.named("multicast"))
        self.route("/m", self.other, self.producer)
        view = interest("/m/b", nonce=1)
        self.consumer.express(view)
        self.other.nack(view, 0)
        self.producer.nack(view, NO_ROUTE)
        self.assertEqual(self.reasons(self.consumer), [NO_ROUTE])

    def test_twoThatWaitForEachOtherDoNot(self) -> None:
        """
        A and B both want it, both have asked the other and someone else; A's someone else has nothing: then B is told,
        though B has not answered.
        """
        self.forwarder.strategies.set(b"", self.forwarder.strategies.named("multicast"))
        self.route("/m", self.other, self.producer)
        view = interest("/m/b", nonce=1)
        self.consumer.express(view)
        self.other.express(interest("/m/b", nonce=2))
        self.other.take()
        self.producer.nack(view, NO_ROUTE)
        self.assertEqual(self.reasons(self.other), [NO_ROUTE])
        self.assertEqual(self.consumer.sent, [])
        self.other.nack(view, NO_ROUTE)
        self.assertEqual(self.reasons(self.consumer), [NO_ROUTE])
        self.assertIdle()
