"""
Tests for L{hermes.ndn.app.consumer}: objects from one application to another.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from hermes.ndn.app.consumer import certificateFetch, fetch, fetchBytes
from hermes.ndn.app.errors import FetchFailed
from hermes.ndn.app.fetching import FetchOptions, FetchReport
from hermes.ndn.app.publisher import (
    BytesSource,
    ObjectPublisher,
    SegmentedObject,
    answerCertificate,
)
from hermes.ndn.app.windows import AimdWindow
from hermes.ndn.packet.component import SEGMENT, isNumber, version
from hermes.ndn.packet.data import encodeData
from hermes.ndn.packet.metainfo import MetaInfo
from hermes.ndn.packet.name import Name
from hermes.ndn.packet.typenumbers import CONTENT_NACK
from hermes.ndn.security.errors import Untrusted
from hermes.ndn.security.validator import Validator
from hermes.test.ndn.app.fetches import content
from hermes.test.ndn.app.objects import DIGEST, NAME, VERSIONED, Case, made
from hermes.test.ndn.security.keys import NOW, Identity


class FetchTests(Case):
    """
    L{fetch}.
    """

    def fetch(self, name: Name = NAME, **options: Any) -> tuple[FetchReport, bytes]:
        """
        Fetch; how it went, and what came.
        """
        got: list[bytes] = []
        report = self.network.result(
            Deferred.fromCoroutine(fetch(self.client, name, lambda piece: got.append(bytes(piece)), **options))
        )
        return report, b"".join(got)

    def test_theNewestVersionInAllItsSegments(self) -> None:
        self.publish(made(12345))
        for name in (NAME, VERSIONED):
            for window in (None, AimdWindow()):
                report, got = self.fetch(name, window=window)
                self.assertEqual(got, content(12345))
                self.assertEqual((report.name, report.segments), (VERSIONED, 124))

    def test_onePacket(self) -> None:
        self.serve(lambda view, reply: reply(encodeData(NAME, b"hello", DIGEST)))
        report, got = self.fetch(discovery="prefix")
        self.assertEqual((got, report.segments, report.bytes), (b"hello", 1, 5))
        self.assertGreater(report.seconds, 0)

    def test_onePacketThatSaysNo(self) -> None:
        self.serve(lambda view, reply: reply(encodeData(NAME, b"", DIGEST, MetaInfo(CONTENT_NACK))))
        with self.assertRaisesRegex(FetchFailed, "has no /a/file"):
            self.fetch(discovery="prefix")

    def test_optionsAreHeeded(self) -> None:
        self.publish(made())
        self.fetch(VERSIONED, options=FetchOptions(lifetime=777, mustBeFresh=True))
        self.assertTrue(all(view.lifetime == 777 and view.mustBeFresh for view in self.network.interests))

    def test_whoStartsItIsGivenTheFetcher(self) -> None:
        self.publish(made())
        fetchers: list[Any] = []
        report, _ = self.fetch(started=fetchers.append)
        self.assertIs(fetchers[0].report, report)

    def test_certificatesComeOverTheSameNetwork(self) -> None:
        root = Identity("/a", kind="ed25519")
        alice = Identity("/a/alice", root, number=1)
        name = Name.fromText("/a/alice/file")
        found = SegmentedObject(name + version(1), BytesSource(content(5000)), alice.signer, 100)
        self.serve(ObjectPublisher(name, found, alice.signer, lambda: NOW).answer, name)
        self.serve(answerCertificate(alice.certificate), alice.keyName)
        validator = Validator([root.certificate], lambda: NOW, certificateFetch(self.client, 1000))
        report, got = self.fetch(name, verifier=validator)
        self.assertEqual((got, report.segments), (content(5000), 50))
        certificates = [view for view in self.network.interests if alice.keyName.value in view.name]
        self.assertEqual(len(certificates), 1)
        # What she has signed without being asked to is another matter.
        forged = Identity("/a/alice", Identity("/a", number=5), number=6)
        self.serve(answerCertificate(forged.certificate), alice.keyName)
        found = SegmentedObject(name + version(1), BytesSource(content(5000)), forged.signer, 100)
        self.serve(ObjectPublisher(name, found, forged.signer, lambda: NOW).answer, name)
        validator = Validator([root.certificate], lambda: NOW, certificateFetch(self.client, 1000))
        with self.assertRaises(Untrusted):
            self.fetch(name, verifier=validator)

    def test_smallObjectsInMemory(self) -> None:
        self.publish(made(1000))
        self.assertEqual(self.network.result(Deferred.fromCoroutine(fetchBytes(self.client, NAME))), content(1000))
        with self.assertRaisesRegex(FetchFailed, "larger than 500"):
            self.network.result(Deferred.fromCoroutine(fetchBytes(self.client, NAME, most=500)))
        self.assertTrue(isNumber(self.network.interests[-1].name[-3:], SEGMENT))
