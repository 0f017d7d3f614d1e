"""
Tests of L{hermes.ndn.management.internalface}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from hermes.ndn.interfaces import IFaceReceiver, INDNFace
from hermes.ndn.management.internalface import MAX_PENDING, MAX_QUEUED, InterestTimeout, InternalFace, Nacked
from hermes.ndn.packet.data import encodeData
from hermes.ndn.packet.interest import encodeInterest
from hermes.ndn.packet.name import Name
from hermes.ndn.packet.peek import DataView, InterestView, peekData, peekInterest
from hermes.ndn.security.signers import DigestSigner


@implementer(IFaceReceiver)
class RecordingReceiver:
    """
    A forwarder that notes what it gets.

    @ivar got: kind, view, and the rest, in order.
    """

    def __init__(self) -> None:
        self.got: list[tuple[Any, ...]] = []

    def receiveInterest(
        self,
        face: Any,
        view: InterestView,
        pitToken: bytes | None = None,
        nextHop: int | None = None,
        congestionMark: int = 0,
    ) -> None:
        self.got.append(("interest", view, nextHop))

    def receiveData(
        self,
        face: Any,
        view: DataView,
        pitToken: bytes | None = None,
        congestionMark: int = 0,
        cachePolicy: int | None = None,
    ) -> None:
        self.got.append(("data", view, pitToken, cachePolicy))

    def receiveNack(self, face: Any, reason: int, view: InterestView, pitToken: bytes | None = None) -> None:
        self.got.append(("nack", view, reason, pitToken))

    def interestLost(self, face: Any, view: InterestView) -> None:
        self.got.append(("lost", view))


def interest(text: str, nonce: int = 1, **options: Any) -> InterestView:
    """
    An Interest.
    """
    return peekInterest(encodeInterest(Name.fromText(text), nonce=nonce, **options))


def data(text: str, content: bytes = b"") -> DataView:
    """
    Data.
    """
    return peekData(encodeData(Name.fromText(text), content, DigestSigner()))


class InternalFaceTests(SynchronousTestCase):
    """
    Both sides of it.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.forwarder = RecordingReceiver()
        self.answered: list[tuple[InterestView, bytes | None, int | None]] = []
        self.closed: list[InternalFace] = []
        self.face = InternalFace(
            self.clock, self.forwarder, lambda *what: self.answered.append(what), closed=self.closed.append
        )

    def test_itIsAFace(self) -> None:
        verifyObject(INDNFace, self.face)
        verifyObject(IFaceReceiver, self.forwarder)

    def test_interestsAreHandedOverInALaterTurn(self) -> None:
        first, second = interest("/a"), interest("/b")
        self.face.sendInterest(first, b"token", 256)
        self.face.sendInterest(second)
        self.assertEqual(self.answered, [])
        self.clock.advance(0)
        self.assertEqual(self.answered, [(first, b"token", 256), (second, None, None)])
        self.assertEqual(self.face.counters.outInterests, 2)
        self.assertEqual(self.face.counters.outBytes, len(first.wire) + len(second.wire))

    def test_oneThatCannotBeAnsweredDoesNotKeepOthersFromIt(self) -> None:
        def answer(view: InterestView, pitToken: bytes | None, faceID: int | None) -> None:
            if view.name == interest("/bad").name:
                raise RuntimeError("bad")
            self.answered.append((view, pitToken, faceID))

        face = InternalFace(self.clock, self.forwarder, answer)
        face.sendInterest(interest("/bad"))
        face.sendInterest(interest("/good"))
        self.clock.advance(0)
        self.assertEqual(len(self.answered), 1)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_whatWaitsIsBounded(self) -> None:
        for number in range(MAX_QUEUED + 10):
            self.face.sendInterest(interest("/a", number))
        self.clock.advance(0)
        self.assertEqual(len(self.answered), MAX_QUEUED)
        self.assertEqual(self.answered[0][0].nonce, 10)
        self.assertEqual(self.face.counters.droppedPackets, 10)

    def test_anInterestIsAnsweredWithData(self) -> None:
        view = interest("/a")
        deferred = self.face.express(view, 300)
        self.assertEqual(self.forwarder.got, [("interest", view, 300)])
        answer = data("/a", b"x")
        self.face.sendData(answer)
        self.assertNoResult(deferred)
        self.clock.advance(0)
        self.assertIs(self.successResultOf(deferred), answer)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_dataOfAnotherNameIsNoAnswer(self) -> None:
        deferred = self.face.express(interest("/a"))
        self.face.sendData(data("/a/b"))
        self.clock.advance(0)
        self.assertNoResult(deferred)

    def test_anInterestThatNobodyAnswersTimesOut(self) -> None:
        deferred = self.face.express(interest("/a", lifetime=500))
        self.clock.advance(0.49)
        self.assertNoResult(deferred)
        self.clock.advance(0.02)
        self.failureResultOf(deferred, InterestTimeout)

    def test_aNackIsForTheInterestWithItsNonce(self) -> None:
        first, second = interest("/a", 1), interest("/a", 2)
        deferreds = [self.face.express(first), self.face.express(second)]
        self.face.sendNack(first, 150)
        self.clock.advance(0)
        self.assertEqual(self.failureResultOf(deferreds[0], Nacked).value.reason, 150)
        self.assertNoResult(deferreds[1])
        self.face.sendData(data("/a"))
        self.clock.advance(0)
        self.successResultOf(deferreds[1])

    def test_anInterestThatIsGivenUpLeavesNothing(self) -> None:
        deferred = self.face.express(interest("/a"))
        deferred.cancel()
        self.failureResultOf(deferred, CancelledError)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.face.sendData(data("/a"))
        self.clock.advance(0)

    def test_whatIsUnansweredIsBounded(self) -> None:
        deferreds = [self.face.express(interest("/a", number)) for number in range(MAX_PENDING)]
        self.failureResultOf(self.face.express(interest("/a", MAX_PENDING)), Nacked)
        deferreds[0].cancel()
        self.failureResultOf(deferreds[0])
        self.assertNoResult(self.face.express(interest("/a", MAX_PENDING + 1)))

    def test_answersReachTheForwarder(self) -> None:
        answer, asked = data("/a"), interest("/b")
        self.face.put(answer, b"token", 1)
        self.face.nack(asked, 150, b"other")
        self.assertEqual(self.forwarder.got, [("data", answer, b"token", 1), ("nack", asked, 150, b"other")])
        self.assertEqual((self.face.counters.inData, self.face.counters.inNacks), (1, 1))

    def test_onceClosedItIsSilent(self) -> None:
        deferred = self.face.express(interest("/a"))
        self.face.sendInterest(interest("/b"))
        self.forwarder.got.clear()
        self.face.close()
        self.face.close()
        self.assertEqual(self.closed, [self.face])
        self.failureResultOf(deferred, ConnectionDone)
        self.failureResultOf(self.face.express(interest("/c")), ConnectionDone)
        self.face.put(data("/a"))
        self.face.nack(interest("/a"), 0)
        self.face.sendInterest(interest("/d"))
        self.clock.advance(0)
        self.assertEqual((self.answered, self.forwarder.got), ([], []))
        self.assertEqual(self.clock.getDelayedCalls(), [])
