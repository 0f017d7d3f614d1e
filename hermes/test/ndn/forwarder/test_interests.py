"""
The pipelines of Interests: each rule by itself.
"""

from __future__ import annotations

from typing import Any, ClassVar

from zope.interface.verify import verifyObject

from hermes.ndn.forwarder.pipelines import MAX_COMPONENTS
from hermes.ndn.interfaces import IFaceObserver, IFaceReceiver
from hermes.test.ndn.forwarder.forwarding import (
    CONGESTION,
    LATE,
    NO_ROUTE,
    ForwardingCase,
    data,
    interest,
    value,
)


class IncomingInterestTests(ForwardingCase):
    """
    What comes in.
    """

    def setUp(self) -> None:
        super().setUp()
        self.consumer, self.producer = self.face(), self.face()
        self.route("/a", self.producer)

    def test_theForwarderIsWhatFacesFeedAndTellOf(self) -> None:
        verifyObject(IFaceReceiver, self.forwarder)
        verifyObject(IFaceObserver, self.forwarder)

    def test_anInterestIsSentOnAsItCame(self) -> None:
        view = interest("/a/b", nonce=77)
        self.consumer.express(view, b"token")
        (sent,) = self.producer.take()
        self.assertEqual((sent.what, sent.view.wire, sent.token), ("interest", view.wire, None))
        # Only a face with local fields enabled tells it.
        self.assertEqual(sent.incoming, self.consumer.id)
        self.assertEqual(len(self.forwarder.pit), 1)

    def test_withoutANonceItGetsOne(self) -> None:
        self.consumer.express(interest("/a/b", nonce=None))
        self.consumer.express(interest("/a/c", nonce=None))
        nonces = [sent.view.nonce for sent in self.producer.take()]
        self.assertNotIn(None, nonces)
        self.assertEqual(len(set(nonces)), 2)

    def test_theHopLimitIsOneLess(self) -> None:
        self.consumer.express(interest("/a/b", hopLimit=7))
        (sent,) = self.producer.take()
        self.assertEqual((sent.view.hopLimit, sent.view.wire[sent.view.hopLimitOffset]), (6, 6))

    def test_withNoHopLeftItIsDropped(self) -> None:
        self.consumer.express(interest("/a/b", hopLimit=0))
        self.assertEqual((self.producer.sent, self.consumer.sent), ([], []))
        self.assertEqual(self.forwarder.counters.hopLimits, 1)
        self.assertIdle()

    def test_theLastHopIsAnApplication(self) -> None:
        application = self.face(local=True)
        self.route("/a/here", application)
        self.consumer.express(interest("/a/here", hopLimit=1))
        self.assertEqual(application.took(), [("interest", "/a/here")])
        self.consumer.express(interest("/a/b", hopLimit=1))
        self.assertEqual(self.producer.sent, [])
        self.assertEqual([(sent.what, sent.reason) for sent in self.consumer.take()], [("nack", NO_ROUTE)])

    def test_theLastHopMayBeTheContentStore(self) -> None:
        self.forwarder.cs.insert(data("/a/b"))
        self.consumer.express(interest("/a/b", hopLimit=1))
        self.assertEqual(self.consumer.took(), [("data", "/a/b")])

    def test_nothingLeadsThere(self) -> None:
        view = interest("/nowhere", nonce=5)
        self.consumer.express(view, b"token")
        (nack,) = self.consumer.take()
        self.assertEqual((nack.what, nack.reason, nack.token, nack.view), ("nack", NO_ROUTE, b"token", view))
        self.assertIdle()

    def test_anInterestDoesNotGoBackWhereItCameFrom(self) -> None:
        self.producer.express(interest("/a/b"))
        self.assertEqual([(sent.what, sent.reason) for sent in self.producer.take()], [("nack", NO_ROUTE)])

    def test_onAnAdHocFaceItDoes(self) -> None:
        radio = self.face(linkType="ad-hoc")
        self.route("/radio", radio)
        radio.express(interest("/radio/x"))
        self.assertEqual(radio.took(), [("interest", "/radio/x")])
        radio.put(data("/radio/x"))
        self.assertEqual(radio.took(), [("data", "/radio/x")])

    def test_aNameOfTooManyComponentsIsDropped(self) -> None:
        self.consumer.express(interest("/a" * (MAX_COMPONENTS + 1)))
        self.assertEqual((self.producer.sent, self.forwarder.counters.longNames), ([], 1))
        self.consumer.express(interest("/a" * MAX_COMPONENTS))
        self.assertEqual(len(self.producer.sent), 1)

    def test_whatComesFromAFaceThatIsGoneIsDropped(self) -> None:
        self.consumer.close()
        self.consumer.express(interest("/a/b"))
        self.assertEqual(self.producer.sent, [])
        self.consumer.put(data("/a/b"))
        self.consumer.nack(interest("/a/b"), NO_ROUTE)
        self.forwarder.interestLost(self.consumer, interest("/a/b"))


class AggregationTests(ForwardingCase):
    """
    Several who want the same.
    """

    def setUp(self) -> None:
        super().setUp()
        self.consumers = [self.face() for _ in range(3)]
        self.producer = self.face()
        self.route("/a", self.producer)

    def test_theSameIsAskedForOnce(self) -> None:
        for number, face in enumerate(self.consumers):
            face.express(interest("/a/b", nonce=number), b"%d" % number)
        self.assertEqual(self.producer.took(), [("interest", "/a/b")])
        self.assertEqual(len(self.forwarder.pit), 1)
        self.producer.put(data("/a/b"))
        self.assertEqual(
            [[(sent.what, sent.token) for sent in face.take()] for face in self.consumers],
            [[("data", b"0")], [("data", b"1")], [("data", b"2")]],
        )
        self.assertIdle()

    def test_otherSelectorsAreAnotherEntry(self) -> None:
        self.consumers[0].express(interest("/a/b", nonce=1))
        self.consumers[1].express(interest("/a/b", nonce=2, mustBeFresh=True))
        self.assertEqual((len(self.producer.sent), len(self.forwarder.pit)), (2, 2))
        self.producer.put(data("/a/b"))
        self.assertEqual([face.took() for face in self.consumers], [[("data", "/a/b")], [("data", "/a/b")], []])

    def test_eachWaitsAsLongAsItSaid(self) -> None:
        self.consumers[0].express(interest("/a/b", nonce=1, lifetime=1000))
        self.pass_(0.5)
        self.consumers[1].express(interest("/a/b", nonce=2, lifetime=1000))
        self.pass_(0.6)
        self.producer.put(data("/a/b"))
        self.assertEqual([face.took() for face in self.consumers], [[], [("data", "/a/b")], []])

    def test_oneWithALongerLifetimeKeepsTheEntry(self) -> None:
        self.consumers[0].express(interest("/a/b", nonce=1, lifetime=1000))
        self.consumers[1].express(interest("/a/b", nonce=2, lifetime=3000))
        self.pass_(2.9)
        self.assertEqual(len(self.forwarder.pit), 1)
        self.pass_(0.1 + LATE)
        self.assertIdle()
        self.assertEqual(self.forwarder.counters.unsatisfied, 1)

    def test_anInterestExpiresInItsTime(self) -> None:
        self.consumers[0].express(interest("/a/b", lifetime=1500))
        self.pass_(1.495)
        self.assertEqual(len(self.forwarder.pit), 1)
        self.pass_(0.005 + LATE)
        self.assertIdle()
        self.producer.put(data("/a/b"))
        self.assertEqual((self.consumers[0].sent, self.forwarder.counters.unsolicited), ([], 1))

    def test_noInterestIsPendingForAWeek(self) -> None:
        self.consumers[0].express(interest("/a/b", lifetime=7 * 24 * 3600 * 1000))
        self.clock.advance(3602)
        self.assertIdle()


class NextHopTests(ForwardingCase):
    """
    NextHopFaceId, from an application that is allowed to say it.
    """

    def setUp(self) -> None:
        super().setUp()
        self.application = self.face(local=True)
        self.first, self.second = self.face(), self.face()
        self.route("/a", self.first)

    def test_itIsObeyed(self) -> None:
        self.application.express(interest("/a/b"), nextHop=self.second.id)
        self.application.express(interest("/other"), nextHop=self.second.id)
        self.assertEqual((self.first.took(), len(self.second.took())), ([], 2))
        self.second.put(data("/a/b"))
        self.assertEqual(self.application.took(), [("data", "/a/b")])

    def test_aFaceThatDoesNotExistIsANack(self) -> None:
        self.application.express(interest("/a/b"), nextHop=999)
        self.assertEqual([(sent.what, sent.reason) for sent in self.application.take()], [("nack", NO_ROUTE)])
        self.assertEqual(self.first.sent, [])
        self.assertIdle()

    def test_localhostDoesNotLeaveForAllThat(self) -> None:
        self.application.express(interest("/localhost/x"), nextHop=self.second.id)
        self.assertEqual(self.second.sent, [])
        self.assertEqual([(sent.what, sent.reason) for sent in self.application.take()], [("nack", NO_ROUTE)])

    def test_whoElseWaitsIsNotTold(self) -> None:
        self.second.express(interest("/a/b", nonce=2))
        self.application.express(interest("/a/b"), nextHop=999)
        self.first.put(data("/a/b"))
        self.assertEqual(self.second.took(), [("data", "/a/b")])


class CongestionTests(ForwardingCase):
    """
    What is refused for want of room; see C{test_admission} for who is.
    """

    options: ClassVar[dict[str, Any]] = {"pitCapacity": 10_000}

    def test_aNackSaysSo(self) -> None:
        consumer, producer = self.face(), self.face()
        self.route("/a", producer)
        for number in range(20):
            consumer.express(interest(f"/a/{number}", nonce=number), b"%d" % number)
        nacks = [sent for sent in consumer.take() if sent.what == "nack"]
        self.assertTrue(nacks)
        self.assertEqual({nack.reason for nack in nacks}, {CONGESTION})
        self.assertEqual(len(producer.sent) + len(nacks), 20)
        for nack in nacks:
            self.assertEqual(nack.token, b"%d" % nack.view.nonce)
        self.assertLessEqual(self.forwarder.pit.charge, 10_000)
        self.assertEqual(value("/a/19"), nacks[-1].view.name)
