"""
An Interest that comes back goes no further; nor does one that has gone as far as its name may.
"""

from __future__ import annotations

from hermes.test.ndn.forwarder.forwarding import (
    DUPLICATE,
    NO_ROUTE,
    ForwardingCase,
    data,
    interest,
)


class LoopTests(ForwardingCase):
    """
    An Interest that comes back.
    """

    def setUp(self) -> None:
        super().setUp()
        self.consumer, self.producer, self.other = self.face(), self.face(), self.face()
        self.route("/a", self.producer)

    def assertLooped(self, face: object, count: int = 1) -> None:
        sent = face.take()  # type: ignore[attr-defined]
        self.assertEqual([(each.what, each.reason) for each in sent], [("nack", DUPLICATE)])
        self.assertEqual(self.forwarder.counters.loops, count)

    def test_fromAnotherFace(self) -> None:
        self.consumer.express(interest("/a/b", nonce=5))
        self.producer.take()
        self.other.express(interest("/a/b", nonce=5), b"t")
        self.assertLooped(self.other)
        self.assertEqual(self.producer.sent, [])
        # The entry is as it was.
        self.producer.put(data("/a/b"))
        self.assertEqual((self.consumer.took(), self.other.took()), ([("data", "/a/b")], []))

    def test_fromTheFaceThatItWasSentTo(self) -> None:
        self.consumer.express(interest("/a/b", nonce=5))
        self.producer.take()
        self.producer.express(interest("/a/b", nonce=5))
        self.assertLooped(self.producer)

    def test_fromTheSameFaceItWasSentAgain(self) -> None:
        self.consumer.express(interest("/a/b", nonce=5))
        self.pass_(1)
        self.producer.take()
        self.consumer.express(interest("/a/b", nonce=5))
        self.assertEqual((self.producer.took(), self.consumer.took()), ([("interest", "/a/b")], []))

    def test_onALinkOfManyTheSameFaceIsNotTheSamePeer(self) -> None:
        group = self.face(linkType="multi-access")
        group.express(interest("/a/b", nonce=5))
        self.producer.take()
        group.express(interest("/a/b", nonce=5))
        # No Nack: somebody else may have a better answer.
        self.assertEqual((self.producer.sent, group.sent, self.forwarder.counters.loops), ([], [], 1))

    def test_afterTheInterestHasExpired(self) -> None:
        self.consumer.express(interest("/a/b", nonce=5, lifetime=100))
        self.pass_(0.2)
        self.assertIdle()
        self.producer.take()
        self.other.express(interest("/a/b", nonce=5))
        self.assertLooped(self.other)
        self.other.express(interest("/a/b", nonce=6))
        self.assertEqual(self.producer.took(), [("interest", "/a/b")])

    def test_afterItWasAnsweredItIsAnsweredAgain(self) -> None:
        self.consumer.express(interest("/a/b", nonce=5))
        self.producer.put(data("/a/b"))
        self.other.express(interest("/a/b", nonce=5))
        self.assertEqual(self.other.took(), [("data", "/a/b")])

    def test_afterItWasAnsweredWithWhatIsNotFreshForLong(self) -> None:
        self.consumer.express(interest("/a/b", nonce=5, mustBeFresh=True))
        self.producer.put(data("/a/b", freshness=10))
        self.pass_(0.1)
        self.other.express(interest("/a/b", nonce=5, mustBeFresh=True))
        self.assertLooped(self.other)

    def test_ofTwoThatWereSentBothNoncesAreKnown(self) -> None:
        self.consumer.express(interest("/a/b", nonce=5, lifetime=1000))
        self.pass_(0.5)
        self.consumer.express(interest("/a/b", nonce=6, lifetime=1000))
        self.producer.take()
        # The first is no longer known to the entry: the face was asked with the other since.
        self.producer.express(interest("/a/b", nonce=6))
        self.assertLooped(self.producer)


class ScopeTests(ForwardingCase):
    """
    /localhost and /localhop.
    """

    def setUp(self) -> None:
        super().setUp()
        self.remote, self.other = self.face(), self.face()
        self.application, self.manager = self.face(local=True), self.face(local=True)

    def test_localhostIsForLocalFacesOnly(self) -> None:
        self.route("/localhost/nfd", self.other, self.manager)
        self.application.express(interest("/localhost/nfd/x"))
        self.assertEqual((self.other.took(), self.manager.took()), ([], [("interest", "/localhost/nfd/x")]))
        self.manager.put(data("/localhost/nfd/x"))
        self.assertEqual(self.application.took(), [("data", "/localhost/nfd/x")])

    def test_fromElsewhereLocalhostIsDropped(self) -> None:
        self.route("/localhost", self.manager)
        self.forwarder.cs.insert(data("/localhost/x"))
        for text in ("/localhost/x", "/localhost"):
            self.remote.express(interest(text, canBePrefix=True))
        self.assertEqual((self.remote.sent, self.manager.sent), ([], []))
        self.assertEqual(self.forwarder.counters.scopeViolations, 2)

    def test_dataOfLocalhostFromElsewhereIsDropped(self) -> None:
        self.route("/localhost", self.manager)
        self.application.express(interest("/localhost/x"))
        self.remote.put(data("/localhost/x"))
        self.assertEqual((self.application.sent, len(self.forwarder.cs)), ([], 0))
        self.assertEqual(self.forwarder.counters.scopeViolations, 1)

    def test_localhopGoesOneHop(self) -> None:
        self.route("/localhop", self.other)
        self.application.express(interest("/localhop/x"))
        self.assertEqual(self.other.took(), [("interest", "/localhop/x")])
        self.remote.express(interest("/localhop/y"))
        self.assertEqual(self.other.took(), [])
        self.assertEqual([(sent.what, sent.reason) for sent in self.remote.take()], [("nack", NO_ROUTE)])

    def test_localhopReachesApplicationsFromElsewhere(self) -> None:
        self.route("/localhop", self.other, self.manager)
        self.remote.express(interest("/localhop/y"))
        self.assertEqual((self.other.took(), self.manager.took()), ([], [("interest", "/localhop/y")]))
        self.manager.put(data("/localhop/y"))
        self.assertEqual(self.remote.took(), [("data", "/localhop/y")])

    def test_aNameThatOnlyBeginsAlikeIsAnyName(self) -> None:
        self.route("/", self.other)
        for name in ("/localhosts", "/localhop/", "/local", "/xlocalhost"):
            self.remote.express(interest(name))
        self.assertEqual([name for _, name in self.other.took()], ["/localhosts", "/local", "/xlocalhost"])
