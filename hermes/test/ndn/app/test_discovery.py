"""
Tests for L{hermes.ndn.app.discovery}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred

from hermes.ndn.app.client import Reply
from hermes.ndn.app.discovery import METADATA, Discovery, discover
from hermes.ndn.app.errors import FetchFailed, InterestNack, InterestTimeout
from hermes.ndn.app.publisher import (
    BytesSource,
    ObjectPublisher,
    SegmentedObject,
)
from hermes.ndn.packet.component import segment, version
from hermes.ndn.packet.data import encodeData
from hermes.ndn.packet.interest import encodeInterest
from hermes.ndn.packet.metainfo import MetaInfo
from hermes.ndn.packet.name import Name
from hermes.ndn.packet.peek import InterestView, peekInterest
from hermes.ndn.packet.tlv import encodeElement
from hermes.ndn.packet.typenumbers import CONTENT_NACK
from hermes.ndn.security.errors import Untrusted
from hermes.ndn.security.validator import Validator
from hermes.test.ndn.app.objects import DIGEST, NAME, VERSIONED, Case, made
from hermes.test.ndn.security.keys import NOW, Identity


class DiscoveryTests(Case):
    """
    L{discover}.
    """

    def discover(self, name: Name = NAME, how: Discovery = "metadata", **options: Any) -> Deferred[Any]:
        """
        Start.
        """
        return Deferred.fromCoroutine(discover(self.client, name, 1000, how=how, **options))

    def found(self, name: Name = NAME, how: Discovery = "metadata", **options: Any) -> Name:
        """
        What comes of it.
        """
        found = self.network.result(self.discover(name, how, **options))
        self.network.run(1)
        self.assertEqual((self.network.clock.getDelayedCalls(), self.client._prefixes), ([], {}))
        self.assertIsNone(found.single)
        prefix: Name = found.prefix
        return prefix

    def test_aNameWithAVersionIsTakenAsItIs(self) -> None:
        self.assertEqual(self.found(VERSIONED), VERSIONED)
        self.assertEqual(self.found(NAME, "none"), NAME)
        self.assertEqual(self.network.interests, [])

    def test_metadataIsTakenWhereThereIsAny(self) -> None:
        self.publish(made())
        self.assertEqual(self.found(), VERSIONED)
        self.assertTrue(all(view.mustBeFresh and view.canBePrefix for view in self.network.interests))

    def test_metadataHasAStartAsItIsFresher(self) -> None:
        older, newer = made(prefix=NAME + version(6)), made(prefix=NAME + version(8))
        first, second = (ObjectPublisher(NAME, each, DIGEST, lambda: NOW) for each in (older, newer))

        def answer(view: InterestView, reply: Reply) -> None:
            (second if METADATA in view.name else first).answer(view, reply)

        self.serve(answer)
        # A round trip longer than the start is no matter: the other has it, too.
        self.network.delay = 0.4
        self.assertEqual(self.found(), NAME + version(8))

    def test_whoHasMetadataIsAskedForNothingElse(self) -> None:
        self.publish(made())
        self.found()
        self.assertEqual(len(self.network.interests), 1)

    def test_withoutMetadataItIsWhateverThereIs(self) -> None:
        found = made()

        def answer(view: InterestView, reply: Reply) -> None:
            if METADATA not in view.name:
                wire = found.data(3)
                assert wire is not None
                reply(wire)

        self.serve(answer)
        begun = self.network.clock.seconds()
        self.assertEqual(self.found(), VERSIONED)
        self.assertLess(self.network.clock.seconds() - begun, 2)

    def test_whoAnswersMetadataWithSomethingElseHasNone(self) -> None:
        found = made()

        def answer(view: InterestView, reply: Reply) -> None:
            if METADATA in view.name:
                reply(encodeData(Name.fromValue(view.name), b"hello", DIGEST))
            else:
                wire = found.data(0)
                assert wire is not None
                reply(wire)

        self.serve(answer)
        self.assertEqual(self.found(), VERSIONED)

    def test_segmentsNeedNoVersion(self) -> None:
        self.publish(made(prefix=NAME))
        self.assertEqual(self.found(how="prefix"), NAME)

    def test_metadataMayComeForThePrefix(self) -> None:
        publisher = ObjectPublisher(NAME, made(), DIGEST, lambda: NOW)

        def answer(view: InterestView, reply: Reply) -> None:
            publisher.answer(peekInterest(encodeInterest(NAME + METADATA, canBePrefix=True)), reply)

        self.serve(answer)
        self.assertEqual(self.found(how="prefix"), VERSIONED)

    def test_aPacketMayBeAll(self) -> None:
        self.serve(lambda view, reply: reply(encodeData(NAME, b"hello", DIGEST)))
        found = self.network.result(self.discover(how="prefix"))
        self.assertEqual((found.prefix, bytes(found.single.content)), (NAME, b"hello"))

    def test_moreMayFollowTheNameInMetadata(self) -> None:
        body = VERSIONED.encode() + encodeElement(0x80, b"size")
        self.serve(lambda view, reply: reply(encodeData(Name.fromValue(view.name), body, DIGEST)))
        self.assertEqual(self.found(), VERSIONED)

    def test_metadataThatPointsElsewhereIsNotFollowed(self) -> None:
        body = Name.fromText("/elsewhere/v=1").encode()

        def answer(view: InterestView, reply: Reply) -> None:
            reply(encodeData(NAME + METADATA + version(1) + segment(0), body, DIGEST))

        self.serve(answer)
        with self.assertRaisesRegex(FetchFailed, "points elsewhere, to /elsewhere/v=1"):
            self.network.result(self.discover())

    def test_aProducerThatSaysNo(self) -> None:
        def answer(view: InterestView, reply: Reply) -> None:
            reply(encodeData(NAME + METADATA + version(1) + segment(0), b"", DIGEST, MetaInfo(CONTENT_NACK)))

        self.serve(answer)
        with self.assertRaisesRegex(FetchFailed, "has no /a/file"):
            self.network.result(self.discover())

    def test_whereNothingIsItIsAnError(self) -> None:
        begun = self.network.clock.seconds()
        with self.assertRaises(InterestNack):
            self.network.result(self.discover())
        self.assertLess(self.network.clock.seconds() - begun, 2)
        self.serve(lambda view, reply: None)
        with self.assertRaises(InterestTimeout):
            self.network.result(self.discover(retries=1))
        self.assertEqual(self.network.clock.getDelayedCalls(), [])
        with self.assertRaisesRegex(FetchFailed, "name of everything"):
            self.network.result(self.discover(Name()))

    def test_aLostInterestIsSentAgain(self) -> None:
        self.publish(made())
        self.network.loses = lambda view: len(self.network.interests) <= 2
        self.assertEqual(self.found(), VERSIONED)

    def test_aRouteMayComeInAMoment(self) -> None:
        self.network.clock.callLater(0.2, lambda: self.network.routes.update({NAME.value: end}))
        self.publish(made())
        end = self.network.routes.pop(NAME.value)
        self.assertEqual(self.found(), VERSIONED)

    def test_whatIsFoundIsVerified(self) -> None:
        root = Identity("/a", kind="ed25519")
        validator = Validator([root.certificate], lambda: NOW)
        self.publish(made())
        with self.assertRaises(Untrusted):
            self.network.result(self.discover(verifier=validator))
        signed = SegmentedObject(VERSIONED, BytesSource(b"x"), root.signer)
        self.publish(signed).__init__(NAME, signed, root.signer, lambda: NOW)  # type: ignore[misc]
        self.assertEqual(self.found(verifier=validator), VERSIONED)

    def test_cancelled(self) -> None:
        self.serve(lambda view, reply: None)
        waiting = self.discover()
        self.network.run(0.1)
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        self.assertEqual((self.network.clock.getDelayedCalls(), self.client._prefixes), ([], {}))
