"""
Random: each rule by itself.
"""

from __future__ import annotations

from random import Random
from typing import Any, ClassVar

from hermes.test.ndn.forwarder.forwarding import (
    CONGESTION,
    DUPLICATE,
    NO_ROUTE,
    FakeFace,
    ForwardingCase,
    data,
    interest,
)


class RandomTests(ForwardingCase):
    """
    L{hermes.ndn.forwarder.strategies.randomly.Randomly}.
    """

    strategy = "random"
    options: ClassVar[dict[str, Any]] = {"random": Random(1)}

    def setUp(self) -> None:
        super().setUp()
        self.consumer, *self.upstreams = (self.face() for _ in range(4))
        self.route("/a", *self.upstreams)
        self.nonce = 0

    def express(self, name: str = "/a/b", face: FakeFace | None = None, **more: Any) -> list[int]:
        """
        One more Interest; which of the upstream faces have been asked by it.
        """
        self.nonce += 1
        for upstream in self.upstreams:
            upstream.take()
        (face or self.consumer).express(interest(name, nonce=self.nonce, **more))
        return self.asked()

    def asked(self) -> list[int]:
        """
        Which of the upstream faces were sent an Interest.
        """
        return [number for number, upstream in enumerate(self.upstreams) if upstream.sent]

    def counts(self, count: int = 300) -> list[int]:
        """
        How many of new Interests go to which.
        """
        counts = [0, 0, 0]
        for number in range(count):
            (asked,) = self.express(f"/a/{number}")
            counts[asked] += 1
        return counts

    def test_newInterestsAreBalancedWhateverTheCost(self) -> None:
        for count in self.counts():
            self.assertTrue(70 < count < 130, count)

    def test_whoseLinkIsDownHasNone(self) -> None:
        self.forwarder.faceDown(self.upstreams[1])
        first, second, third = self.counts()
        self.assertEqual(second, 0)
        self.assertTrue(110 < first < 190 and 110 < third < 190, (first, third))

    def test_unlessAllAreDown(self) -> None:
        for upstream in self.upstreams:
            self.forwarder.faceDown(upstream)
        self.assertEqual(sum(self.counts(10)), 10)

    def test_theOneThatItCameFromHasNone(self) -> None:
        for number in range(50):
            (asked,) = self.express(f"/a/{number}", self.upstreams[0])
            self.assertNotEqual(asked, 0)

    def test_sentAgainItGoesToOneThatWasNotAsked(self) -> None:
        seen = []
        for _ in range(3):
            seen += self.express()
            self.pass_(0.3)
        self.assertEqual(sorted(seen), [0, 1, 2])
        # Then to the first of them.
        self.assertEqual(self.express(), seen[:1])

    def test_tooSoonItIsNotSentAgain(self) -> None:
        self.express()
        self.pass_(0.005)
        self.assertEqual(self.express(), [])

    def test_afterANackAnotherIsAskedAtOnce(self) -> None:
        view = interest("/a/b", nonce=7)
        self.consumer.express(view)
        for count in (1, 2, 3):
            asked = self.asked()
            self.assertEqual(len(asked), count)
            self.assertEqual(self.consumer.sent, [])
            last = next(number for number in asked if self.upstreams[number].sent[-1].what == "interest")
            self.upstreams[last].sent[-1].what = "answered"
            self.upstreams[last].nack(view, CONGESTION)
        self.assertEqual([sent.reason for sent in self.consumer.take()], [CONGESTION])
        self.assertIdle()

    def test_afterANackForALoopToo(self) -> None:
        view = interest("/a/b", nonce=7)
        self.consumer.express(view)
        (asked,) = self.asked()
        self.upstreams[asked].nack(view, DUPLICATE)
        self.assertEqual((len(self.asked()), self.consumer.sent), (2, []))

    def test_whereALinkGoesDownAnotherIsAskedAtOnce(self) -> None:
        (asked,) = self.express()
        self.forwarder.faceDown(self.upstreams[asked])
        self.assertEqual(len(self.asked()), 2)

    def test_nothingLeadsThere(self) -> None:
        self.assertEqual(self.express("/b"), [])
        self.assertEqual([sent.reason for sent in self.consumer.take()], [NO_ROUTE])

    def test_theAnswerGoesToWhoeverAsked(self) -> None:
        (asked,) = self.express()
        self.upstreams[asked].put(data("/a/b"))
        self.assertEqual(self.consumer.took(), [("data", "/a/b")])
