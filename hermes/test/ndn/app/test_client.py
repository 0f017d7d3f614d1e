"""
Tests for L{hermes.ndn.app.client} and L{hermes.ndn.app.registration}.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.address import IPv4Address
from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from hermes.ndn.app.client import Client, Reply
from hermes.ndn.app.errors import CommandFailed, Disconnected, InterestNack, InterestTimeout
from hermes.ndn.app.registration import Registration, managementPrefix, register
from hermes.ndn.packet import lp
from hermes.ndn.packet.data import encodeData
from hermes.ndn.packet.errors import PacketError
from hermes.ndn.packet.interest import encodeInterest
from hermes.ndn.packet.name import Name
from hermes.ndn.packet.peek import InterestView, peekInterest
from hermes.ndn.packet.tlv import encodeElement
from hermes.ndn.security.signers import DigestSigner
from hermes.test.ndn.app.network import End, Network

A = Name.fromText("/a")
DIGEST = DigestSigner()


def echo(view: InterestView, reply: Reply) -> None:
    """
    A producer that has whatever is asked for.
    """
    reply(encodeData(Name.fromValue(view.name), b"hello", DIGEST))


class ClientTests(SynchronousTestCase):
    """
    L{Client}.
    """

    def setUp(self) -> None:
        self.network = Network()
        self.client = self.network.client()
        (self.end,) = self.network.ends

    def produce(self, prefix: str = "/a", handler: Callable[[InterestView, Reply], None] = echo) -> Client:
        """
        Another application, which answers Interests.
        """
        producer = self.network.client()
        self.network.result(
            Deferred.fromCoroutine(register(producer, self.network.signer(), Name.fromText(prefix), handler))
        )
        return producer

    def test_anInterestBringsData(self) -> None:
        self.produce()
        data = self.network.result(self.client.express(Name.fromText("/a/b"), mustBeFresh=True, lifetime=1000))
        self.assertEqual((str(data.name), bytes(data.content)), ("/a/b", b"hello"))
        (interest,) = self.network.interests
        self.assertEqual((interest.mustBeFresh, interest.canBePrefix, interest.lifetime), (True, False, 1000))
        self.assertIsNotNone(interest.nonce)

    def test_eachHasANonceOfItsOwn(self) -> None:
        self.produce()
        for _ in range(3):
            self.network.result(self.client.express(A))
        self.assertEqual(len({interest.nonce for interest in self.network.interests}), 3)

    def test_parametersAndSignaturesCanBeSent(self) -> None:
        self.produce()
        data = self.network.result(self.client.express(A, parameters=b"x", signer=DIGEST))
        self.assertEqual(len(data.name), 2)

    def test_noAnswerIsATimeout(self) -> None:
        self.produce(handler=lambda view, reply: None)
        waiting = self.client.express(A, lifetime=1000)
        self.network.run(0.99)
        self.assertNoResult(waiting)
        self.network.run(0.02)
        self.failureResultOf(waiting, InterestTimeout)
        self.assertEqual(self.client._exact, {})

    def test_aNackHasItsReason(self) -> None:
        with self.assertRaises(InterestNack) as caught:
            self.network.result(self.client.express(A))
        self.assertEqual(caught.exception.reason, 150)
        self.assertIn("/a: no route", str(caught.exception))
        self.assertEqual(self.network.clock.getDelayedCalls(), [])

    def test_whatWasCancelledIsForgotten(self) -> None:
        waiting = self.client.express(A)
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        self.assertEqual(self.client._exact, {})
        self.end.deliver(encodeData(A, b"", DIGEST))

    def test_severalMayWaitForOneName(self) -> None:
        self.produce()
        waiting = [self.client.express(A) for _ in range(3)]
        self.network.run(0.1)
        for each in waiting:
            self.assertEqual(self.successResultOf(each).name, A)

    def test_onlyAPrefixIsAnsweredWithALongerName(self) -> None:
        longer = Name.fromText("/a/b/c")
        exact = self.client.express(A)
        prefixes = [self.client.express(Name.fromText(name), canBePrefix=True) for name in ("/a", "/a/b", "/a/b/c")]
        other = self.client.express(Name.fromText("/a/c"), canBePrefix=True)
        self.end.deliver(encodeData(longer, b"", DIGEST))
        for each in prefixes:
            self.assertEqual(self.successResultOf(each).name, longer)
        for each in (exact, other):
            self.assertNoResult(each)
            each.cancel()
            self.failureResultOf(each, CancelledError)

    def test_aDigestIsThatOfTheWholePacket(self) -> None:
        from hashlib import sha256

        wire, other = encodeData(A, b"x", DIGEST), encodeData(A, b"y", DIGEST)
        waiting = [
            self.client.express(A.withDigest(sha256(each).digest()), canBePrefix=prefix)
            for each in (wire, other)
            for prefix in (False, True)
        ]
        self.end.deliver(wire)
        for each in waiting[:2]:
            self.assertEqual(bytes(self.successResultOf(each).content), b"x")
        for each in waiting[2:]:
            self.assertNoResult(each)
        self.end.deliver(other)
        for each in waiting[2:]:
            self.assertEqual(bytes(self.successResultOf(each).content), b"y")
        self.assertEqual(self.client._digests, 0)

    def test_aDigestThatIsForgottenIsNotLookedFor(self) -> None:
        waiting = self.client.express(A.withDigest(bytes(32)))
        self.assertEqual(self.client._digests, 1)
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        self.assertEqual(self.client._digests, 0)

    def test_dataWhoseSignatureIsMalformedIsAnError(self) -> None:
        waiting = self.client.express(A)
        self.end.deliver(encodeElement(6, A.encode() + b"\x16\x00\x17\x00"))
        self.failureResultOf(waiting, PacketError)

    def test_unaskedForDataIsNothing(self) -> None:
        self.end.deliver(encodeData(A, b"", DIGEST))

    def test_malformedPacketsAreCountedAndOthersGoOn(self) -> None:
        waiting = self.client.express(A)
        for wire in (
            b"\x05\x00",
            b"\x06\x00",
            b"\x64\x03\x50\x01\x05",
            b"\x64\x02\x54\x00",
            lp.encode(b"\x05\x00", 1, 0, 2),
            lp.encode(b"\x06\x00", nackReason=50),
        ):
            self.end.deliver(wire)
        self.assertEqual(self.client.malformed, 6)
        self.end.deliver(lp.encode(None))
        self.end.deliver(lp.encode(encodeData(A, b"", DIGEST), congestionMark=1))
        self.successResultOf(waiting)

    def test_whatIsNoStreamOfPacketsEndsTheConnection(self) -> None:
        waiting = self.client.express(A)
        self.end.deliver(b"\x00\x00")
        self.failureResultOf(waiting, Disconnected)

    def test_packetsMayComeInPieces(self) -> None:
        waiting = [self.client.express(Name.fromText(name)) for name in ("/a", "/b")]
        wire = encodeData(A, bytes(300), DIGEST) + encodeData(Name.fromText("/b"), bytes(300), DIGEST)
        for at in range(0, len(wire), 7):
            self.client.dataReceived(wire[at : at + 7])
        for each in waiting:
            self.assertEqual(len(self.successResultOf(each).content), 300)

    def test_whenTheConnectionEndsAllThatWaitHearOfIt(self) -> None:
        waiting = [self.client.express(A), self.client.express(A, canBePrefix=True)]
        self.client.close()
        waiting.append(self.client.express(A))
        for each in waiting:
            self.failureResultOf(each, Disconnected)
        self.successResultOf(self.client.closed)
        self.network.run(0.1)
        self.assertEqual(self.network.clock.getDelayedCalls(), [])
        self.client.close()

    def test_waiting(self) -> None:
        waiting = self.client.wait(1)
        self.network.run(0.9)
        self.assertNoResult(waiting)
        self.network.run(0.2)
        self.successResultOf(waiting)
        waiting = self.client.wait(1)
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        self.assertEqual(self.network.clock.getDelayedCalls(), [])


class ProducerTests(SynchronousTestCase):
    """
    A L{Client} that answers.
    """

    def setUp(self) -> None:
        self.network = Network()
        self.client = self.network.client()
        (self.end,) = self.network.ends
        self.got: list[str] = []

    def handle(self, prefix: str) -> None:
        """
        Note what comes for it.
        """
        self.client.handle(Name.fromText(prefix), lambda view, reply: self.got.append(prefix))

    def test_theLongestPrefixIsTaken(self) -> None:
        for prefix in ("/", "/a", "/a/b"):
            self.handle(prefix)
        for name in ("/a/b/c", "/a/b", "/a/c", "/a", "/x"):
            self.end.deliver(encodeInterest(Name.fromText(name)))
        self.assertEqual(self.got, ["/a/b", "/a/b", "/a", "/a", "/"])
        self.client.unhandle(Name())
        self.end.deliver(encodeInterest(Name.fromText("/x")))
        self.assertEqual(len(self.got), 5)

    def test_theReplyHasTheTokenOfTheInterest(self) -> None:
        self.client.handle(A, echo)
        self.end.deliver(lp.encode(encodeInterest(A), pitToken=b"1234"))
        found = lp.decode(self.end.written[-1])
        self.assertEqual(found.pitToken, b"1234")
        self.end.deliver(encodeInterest(A))
        self.assertEqual(self.end.written[-1], found.fragment)

    def test_repliesToWhatCameTogetherLeaveTogether(self) -> None:
        self.client.handle(A, echo)
        self.end.deliver(b"".join(encodeInterest(A, nonce=nonce) for nonce in range(5)))
        (written,) = self.end.written
        self.assertEqual(len(written), 5 * len(encodeData(A, b"hello", DIGEST)))

    def test_aReplyIsSentThoughTheConnectionIsClosedRightAfterIt(self) -> None:
        def answer(view: InterestView, reply: Reply) -> None:
            echo(view, reply)
            self.client.close()

        self.client.handle(A, answer)
        self.end.deliver(encodeInterest(A))
        self.assertEqual(self.end.written, [encodeData(A, b"hello", DIGEST)])

    def test_aReplyMayComeLater(self) -> None:
        replies: list[Reply] = []
        self.client.handle(A, lambda view, reply: replies.append(reply))
        self.end.deliver(encodeInterest(A))
        self.assertEqual(self.end.written, [])
        replies[0](encodeData(A, b"", DIGEST))
        self.assertEqual(len(self.end.written), 1)

    def test_aHandlerThatFailsIsLoggedAndOthersGoOn(self) -> None:
        def fail(view: InterestView, reply: Reply) -> None:
            raise RuntimeError("no")

        self.client.handle(A, fail)
        self.client.handle(Name.fromText("/b"), echo)
        self.end.deliver(encodeInterest(A) + encodeInterest(Name.fromText("/b")))
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.assertEqual(len(self.end.written), 1)

    def test_whenNobodyTakesItsDataItReadsNoMoreInterests(self) -> None:
        self.client.handle(A, echo)
        assert self.end.producer is not None
        self.end.producer.pauseProducing()
        self.end.deliver(encodeInterest(A))
        self.assertEqual(self.end.written, [])
        self.end.producer.resumeProducing()
        self.assertEqual(len(self.end.written), 1)

    def test_whoAnswersNothingGoesOnReading(self) -> None:
        assert self.end.producer is not None
        self.end.producer.pauseProducing()
        self.assertTrue(self.end.reading)

    def test_afterTheEndRepliesGoNowhere(self) -> None:
        replies: list[Reply] = []
        self.client.handle(A, lambda view, reply: replies.append(reply))
        self.end.deliver(encodeInterest(A))
        self.client.close()
        replies[0](encodeData(A, b"", DIGEST))
        self.assertEqual(self.end.written, [])


class RegistrationTests(SynchronousTestCase):
    """
    L{register}.
    """

    def setUp(self) -> None:
        self.network = Network()
        self.client = self.network.client()
        (self.end,) = self.network.ends

    def register(self) -> Deferred[Registration]:
        """
        Start.
        """
        return Deferred.fromCoroutine(register(self.client, self.network.signer(), A, echo, cost=5, flags=1))

    def test_theForwarderIsToldAndUntold(self) -> None:
        registration = self.network.result(self.register())
        self.assertEqual(self.network.commands, [("register", A)])
        data = self.network.result(self.network.client().express(A))
        self.assertEqual(data.content, b"hello")
        self.network.result(Deferred.fromCoroutine(registration.withdraw()))
        self.assertEqual(self.network.commands[1:], [("unregister", A)])
        with self.assertRaises(InterestNack):
            self.network.result(self.network.client().express(A))

    def test_aRefusalIsAnError(self) -> None:
        self.network.refuses = 403
        with self.assertRaisesRegex(CommandFailed, "403 no") as caught:
            self.network.result(self.register())
        self.assertEqual(caught.exception.code, 403)
        self.assertEqual(self.client._handlers, {})

    def test_aCommandThatIsLostIsSentOnceMoreWithANewSignature(self) -> None:
        sent: list[bytes] = []
        self.end.write = lambda data: sent.append(data)  # type: ignore[method-assign]
        waiting = self.register()
        self.network.run(5)
        self.assertNoResult(waiting)
        self.assertEqual(len(sent), 2)
        self.assertEqual(len({peekInterest(wire).name for wire in sent}), 2)
        self.network.run(5)
        self.failureResultOf(waiting, InterestTimeout)
        self.assertEqual((len(sent), self.client._handlers), (2, {}))

    def test_withdrawingWhereNobodyAnswersIsLogged(self) -> None:
        registration = self.network.result(self.register())
        self.network.refuses = 500
        self.network.result(Deferred.fromCoroutine(registration.withdraw()))
        self.assertEqual(self.client._handlers, {})

    def test_aForwarderElsewhereIsAskedByAnotherName(self) -> None:
        self.assertEqual(str(managementPrefix(self.client)), "/localhost/nfd")
        for host, prefix in (("127.0.0.1", "/localhost/nfd"), ("192.0.2.1", "/localhop/nfd")):
            self.end.peer = IPv4Address("TCP", host, 6363)
            self.assertEqual(str(managementPrefix(self.client)), prefix)
        self.assertIsInstance(self.end, End)
