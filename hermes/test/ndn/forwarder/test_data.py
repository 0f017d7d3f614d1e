"""
The pipelines of Data: each rule by itself.
"""

from __future__ import annotations

from typing import Any, ClassVar

from hermes.ndn.forwarder.pipelines import MAX_COMPONENTS
from hermes.ndn.packet.name import Name
from hermes.test.ndn.forwarder.forwarding import ForwardingCase, data, interest


class IncomingDataTests(ForwardingCase):
    """
    What comes back.
    """

    def setUp(self) -> None:
        super().setUp()
        self.consumer, self.other, self.producer = self.face(), self.face(), self.face()
        self.route("/a", self.producer)

    def test_dataGoesWhereItWasAskedForWithItsTokenAndMark(self) -> None:
        self.consumer.express(interest("/a/b"), b"token")
        packet = data("/a/b")
        self.producer.put(packet, None, congestionMark=3)
        (sent,) = self.consumer.take()
        self.assertEqual((sent.what, sent.view, sent.token, sent.mark), ("data", packet, b"token", 3))
        self.assertEqual(sent.incoming, self.producer.id)
        self.assertEqual((self.other.sent, len(self.forwarder.cs)), ([], 1))
        self.assertEqual(self.forwarder.counters.satisfied, 1)
        self.assertIdle()

    def test_dataThatNobodyAskedForIsDropped(self) -> None:
        self.producer.put(data("/a/b"))
        self.assertEqual((len(self.forwarder.cs), self.forwarder.counters.unsolicited), (0, 1))
        self.assertEqual((self.consumer.sent, self.other.sent), ([], []))

    def test_theSecondAnswerIsForNobody(self) -> None:
        self.consumer.express(interest("/a/b"))
        self.producer.put(data("/a/b"))
        self.producer.put(data("/a/b"))
        self.assertEqual(len(self.consumer.sent), 1)

    def test_whatIsNotToBeKeptIsNotKept(self) -> None:
        self.consumer.express(interest("/a/b"))
        self.producer.put(data("/a/b"), cachePolicy=1)
        self.assertEqual((self.consumer.took(), len(self.forwarder.cs)), ([("data", "/a/b")], 0))

    def test_dataDoesNotGoBackWhereItCameFrom(self) -> None:
        self.consumer.express(interest("/a/b", nonce=1))
        self.producer.take()
        # Two consumers on either side of a link.
        self.producer.express(interest("/a/b", nonce=2))
        self.producer.put(data("/a/b"))
        self.assertEqual((self.consumer.took(), self.producer.took()), ([("data", "/a/b")], []))
        self.assertIdle()

    def test_dataFromAFaceThatWasNotAskedIsTaken(self) -> None:
        """
        Whoever sends it: Data is its own proof.
        """
        self.consumer.express(interest("/a/b"))
        self.other.put(data("/a/b"))
        self.assertEqual(self.consumer.took(), [("data", "/a/b")])

    def test_oneDataSatisfiesInterestsForSeveralPrefixes(self) -> None:
        self.consumer.express(interest("/a", canBePrefix=True, nonce=1), b"1")
        self.other.express(interest("/a/b", canBePrefix=True, nonce=2), b"2")
        self.other.express(interest("/a/b/c", nonce=3), b"3")
        self.other.express(interest("/a/b/x", nonce=4), b"4")
        self.producer.put(data("/a/b/c"))
        self.assertEqual([sent.token for sent in self.consumer.take()], [b"1"])
        # One for each token: the peer has an entry for each.
        self.assertEqual([sent.token for sent in self.other.take()], [b"3", b"2"])
        self.assertEqual(len(self.forwarder.pit), 1)

    def test_aFaceWithoutTokensGetsItOnce(self) -> None:
        self.other.express(interest("/a/b", canBePrefix=True, nonce=2))
        self.other.express(interest("/a/b/c", nonce=3))
        self.producer.put(data("/a/b/c"))
        self.assertEqual(self.other.took(), [("data", "/a/b/c")])

    def test_dataSatisfiesTheInterestForItsFullName(self) -> None:
        packet = data("/a/b")
        self.consumer.express(interest(str(Name.fromValue(packet.name).withDigest(packet.digest())), nonce=1))
        self.other.express(interest(str(Name.fromValue(packet.name).withDigest(bytes(32))), nonce=2))
        self.producer.put(packet)
        self.assertEqual((self.consumer.took(), self.other.took()), ([("data", "/a/b")], []))

    def test_whatIsNotFreshSatisfiesMustBeFreshWhenItComesFromAFace(self) -> None:
        self.consumer.express(interest("/a/b", mustBeFresh=True))
        self.producer.put(data("/a/b"))
        self.assertEqual(self.consumer.took(), [("data", "/a/b")])

    def test_dataWithANameOfTooManyComponentsIsDropped(self) -> None:
        self.consumer.express(interest("/a", canBePrefix=True))
        self.producer.put(data("/a" * (MAX_COMPONENTS + 1)))
        self.assertEqual((self.consumer.sent, len(self.forwarder.cs), self.forwarder.counters.longNames), ([], 0, 1))

    def test_anAnswerThatComesBeforeSendingReturns(self) -> None:
        """
        An application in the same process may answer at once, and the consumer may ask for the next at once.
        """
        self.producer.answer = lambda view: self.producer.put(data(str(Name.fromValue(view.name))))
        asked = iter(range(1, 5))

        def next_(*arguments: Any) -> None:
            number = next(asked, None)
            if number is not None:
                self.consumer.express(interest(f"/a/{number}", nonce=number))

        self.forwarder._ports[self.consumer.id].sendData = next_  # type: ignore[assignment]
        self.consumer.express(interest("/a/0", nonce=0))
        self.assertEqual([name for _, name in self.producer.took()], [f"/a/{number}" for number in range(5)])
        self.assertIdle()


class UnsolicitedTests(ForwardingCase):
    """
    Where Data from applications is kept unasked.
    """

    options: ClassVar[dict[str, Any]] = {"keepsUnsolicited": True}

    def test_itIsKeptFromLocalFacesOnly(self) -> None:
        remote, application = self.face(), self.face(local=True)
        remote.put(data("/a"))
        application.put(data("/b"))
        application.put(data("/c"), cachePolicy=1)
        self.assertEqual(len(self.forwarder.cs), 1)
        remote.express(interest("/b"))
        self.assertEqual(remote.took(), [("data", "/b")])
