"""
What the Content Store has is not asked for, whether it has it at hand or has to look.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred

from hermes.ndn.forwarder.contentstore import ContentStore
from hermes.ndn.interfaces import CONTENT_STORE_FACE
from hermes.ndn.packet.name import Name
from hermes.ndn.packet.peek import DataView, InterestView
from hermes.test.ndn.forwarder.forwarding import (
    LATE,
    ForwardingCase,
    data,
    interest,
)


class ContentStoreTests(ForwardingCase):
    """
    What was there before.
    """

    def setUp(self) -> None:
        super().setUp()
        self.consumer, self.producer = self.face(), self.face()
        self.route("/a", self.producer)

    def test_aSecondInterestIsAnsweredFromTheStore(self) -> None:
        self.consumer.express(interest("/a/b", nonce=1))
        self.producer.put(data("/a/b"))
        self.consumer.take()
        self.producer.take()
        self.consumer.express(interest("/a/b", nonce=2), b"t")
        (sent,) = self.consumer.take()
        self.assertEqual((sent.what, sent.token, sent.mark, sent.incoming), ("data", b"t", 0, CONTENT_STORE_FACE))
        self.assertEqual(self.producer.sent, [])
        self.assertIdle()

    def test_whatIsStaleIsAskedForAgain(self) -> None:
        self.forwarder.cs.insert(data("/a/b", freshness=100))
        self.pass_(0.2)
        self.consumer.express(interest("/a/b", mustBeFresh=True))
        self.assertEqual(self.producer.took(), [("interest", "/a/b")])

    def test_theFullNameIsAnsweredFromTheStore(self) -> None:
        packet = data("/a/b")
        self.forwarder.cs.insert(packet)
        self.consumer.express(interest(str(Name.fromValue(packet.name).withDigest(packet.digest()))))
        self.assertEqual(self.consumer.took(), [("data", "/a/b")])


class SlowStore(ContentStore):
    """
    Has to read what it has.
    """

    asked: list[Deferred[DataView | None]]

    def find(self, view: InterestView) -> Deferred[DataView | None]:  # type: ignore[override]
        self.asked.append(Deferred())
        return self.asked[-1]


class SlowStoreTests(ForwardingCase):
    """
    A Content Store that answers later.
    """

    def setUp(self) -> None:
        super().setUp()
        self.store = self.forwarder.cs = SlowStore(self.clock)
        self.store.asked = []
        self.consumer, self.other, self.producer = self.face(), self.face(), self.face()
        self.route("/a", self.producer)
        self.consumer.express(interest("/a/b", nonce=1), b"1")

    def test_itAnswersAllWhoWaitByThen(self) -> None:
        self.other.express(interest("/a/b", nonce=2), b"2")
        self.assertEqual((self.producer.sent, len(self.store.asked)), ([], 1))
        self.store.asked[0].callback(data("/a/b"))
        for face, token in ((self.consumer, b"1"), (self.other, b"2")):
            self.assertEqual([(sent.what, sent.token) for sent in face.take()], [("data", token)])
        self.assertIdle()

    def test_withoutAnAnswerTheInterestGoesOn(self) -> None:
        self.store.asked[0].callback(None)
        self.assertEqual(self.producer.took(), [("interest", "/a/b")])
        self.producer.put(data("/a/b"))
        self.assertEqual(self.consumer.took(), [("data", "/a/b")])

    def test_aStoreThatFailsHasNothing(self) -> None:
        self.store.asked[0].errback(RuntimeError("disk"))
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.assertEqual(self.producer.took(), [("interest", "/a/b")])

    def test_anAnswerThatComesTooLateIsForNobody(self) -> None:
        self.pass_(4 + LATE)
        self.assertIdle()
        self.store.asked[0].callback(data("/a/b"))
        self.assertEqual((self.consumer.sent, self.producer.sent), ([], []))

    def test_dataThatComesFirstIsTheAnswer(self) -> None:
        self.producer.put(data("/a/b"))
        self.assertEqual(self.consumer.took(), [("data", "/a/b")])
        self.store.asked[0].callback(data("/a/b"))
        self.assertEqual(self.consumer.took(), [])
