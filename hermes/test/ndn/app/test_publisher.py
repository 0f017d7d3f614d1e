"""
Tests for L{hermes.ndn.app.publisher}.
"""

from __future__ import annotations

import os

from twisted.trial.unittest import SynchronousTestCase

from hermes.ndn.app.discovery import METADATA
from hermes.ndn.app.publisher import (
    BytesSource,
    FileSource,
    ObjectPublisher,
    SegmentedObject,
    answerCertificate,
    splitVersion,
    versionNow,
)
from hermes.ndn.packet.component import VERSION, isNumber, number, segment, version
from hermes.ndn.packet.data import Data, decodeData
from hermes.ndn.packet.interest import encodeInterest
from hermes.ndn.packet.metainfo import MetaInfo
from hermes.ndn.packet.name import Name
from hermes.ndn.packet.peek import peekInterest
from hermes.test.ndn.app.fetches import content
from hermes.test.ndn.app.objects import DIGEST, NAME, VERSIONED, made
from hermes.test.ndn.security.keys import NOW, Identity


class SegmentedObjectTests(SynchronousTestCase):
    """
    L{SegmentedObject}.
    """

    def test_segmentsHaveTheirPartOfItAndSayWhereItEnds(self) -> None:
        for size, count in ((0, 1), (1, 1), (100, 1), (101, 2), (1000, 10)):
            found = made(size)
            self.assertEqual(found.count, count)
            parts = []
            for at in range(count):
                wire = found.data(at)
                assert wire is not None
                data = decodeData(wire)
                self.assertEqual(data.name, VERSIONED + segment(at))
                self.assertEqual(data.metaInfo, MetaInfo(freshness=10_000, finalBlock=segment(count - 1)))
                parts.append(bytes(data.content))
            self.assertEqual(b"".join(parts), content(size))
            for at in (-1, count):
                self.assertIsNone(found.data(at))

    def test_aFileIsReadWhereItIsAskedFor(self) -> None:
        path = self.mktemp()
        with open(path, "wb") as file:
            file.write(content(1000))
        with open(path, "rb") as file:
            found = SegmentedObject(VERSIONED, FileSource(file), DIGEST, 100)
            for at in (9, 0, 5, 0):
                wire = found.data(at)
                assert wire is not None
                self.assertEqual(decodeData(wire).content, content(1000)[at * 100 : at * 100 + 100])
            os.truncate(path, 950)
            self.assertIsNotNone(found.data(8))
            self.assertIsNone(found.data(9))
        self.assertRaises(ValueError, found.data, 0)

    def test_aFileThatCannotBeReadHasNoSegments(self) -> None:
        class Broken(BytesSource):
            def read(self, offset: int, size: int) -> bytes:
                raise OSError("it is broken")

        self.assertIsNone(SegmentedObject(VERSIONED, Broken(b"x"), DIGEST).data(0))

    def test_segmentsHaveToFitIntoPackets(self) -> None:
        with self.assertRaisesRegex(ValueError, "has room for 8[67]"):
            made(20000, 8800)
        for size in (0, -1):
            with self.assertRaises(ValueError):
                made(100, size)
        found = SegmentedObject(VERSIONED, BytesSource(bytes(1 << 20)), Identity("/a").signer, 8500)
        for at in range(found.count):
            self.assertIsNotNone(found.data(at))


class PublisherTests(SynchronousTestCase):
    """
    L{ObjectPublisher}.
    """

    def setUp(self) -> None:
        self.now = float(NOW)
        self.publisher = ObjectPublisher(NAME, made(), DIGEST, lambda: self.now)

    def ask(self, name: Name | str, canBePrefix: bool = False) -> Data | None:
        """
        What it answers.
        """
        found: list[bytes] = []
        whole = Name.fromText(name) if isinstance(name, str) else name
        self.publisher.answer(peekInterest(encodeInterest(whole, canBePrefix)), found.append)
        return decodeData(found[0]) if found else None

    def test_segmentsByName(self) -> None:
        found = self.ask("/a/file/v=7/seg=3")
        assert found is not None
        self.assertEqual(found.content, content(1000)[300:400])
        for name in ("/a/file/v=7/seg=10", "/a/file/v=6/seg=3", "/a/file/v=7/3", "/a/file/v=7/seg=3/x", "/a/file/v=7"):
            self.assertIsNone(self.ask(name), name)
        self.assertEqual(self.publisher.segmentsSent, 1)

    def test_theFirstForAPrefix(self) -> None:
        for name in ("/a", "/a/file", "/a/file/v=7"):
            found = self.ask(name, canBePrefix=True)
            assert found is not None
            self.assertEqual(found.name, VERSIONED + segment(0))
            self.assertIsNone(self.ask(name))
        self.assertIsNone(self.ask("/a/fi", canBePrefix=True))

    def test_metadataNamesTheVersion(self) -> None:
        found = self.ask(NAME + METADATA, canBePrefix=True)
        assert found is not None
        self.assertEqual(found.name[:3], NAME + METADATA)
        self.assertTrue(isNumber(found.name[3], VERSION))
        self.assertEqual(found.name[4:], Name([segment(0)]))
        self.assertEqual(Name.fromWire(found.content), VERSIONED)
        self.assertEqual(found.metaInfo, MetaInfo(freshness=10, finalBlock=segment(0)))
        self.assertIsNone(self.ask(NAME + METADATA))

    def test_metadataMaySayMore(self) -> None:
        said = VERSIONED.encode() + b"\xfd\xf5\x02\x01\x64"
        self.publisher = ObjectPublisher(NAME, made(100), DIGEST, lambda: self.now, said)
        found = self.ask(NAME + METADATA, canBePrefix=True)
        assert found is not None
        self.assertEqual(found.content, said)

    def test_eachMetadataIsANewerVersion(self) -> None:
        versions = []
        for _ in range(3):
            found = self.ask(NAME + METADATA, canBePrefix=True)
            assert found is not None
            versions.append(number(found.name[3]))
            self.now -= 1
        self.assertEqual(versions, sorted(set(versions)))
        self.assertEqual(versions[0], NOW * 1_000_000)

    def test_theLastMetadataCanBeHadByItsName(self) -> None:
        found = self.ask(NAME + METADATA, canBePrefix=True)
        assert found is not None
        for name in (found.name, found.name[:4]):
            again = self.ask(name, canBePrefix=True)
            assert again is not None
            self.assertEqual(again.wire, found.wire)
        self.assertIsNone(self.ask(NAME + METADATA + version(5), canBePrefix=True))
        self.assertEqual(self.publisher.metadataSent, 3)

    def test_aVersionOfSomethingElseIsAnError(self) -> None:
        with self.assertRaises(ValueError):
            ObjectPublisher(Name.fromText("/b"), made(), DIGEST, lambda: NOW)

    def test_versions(self) -> None:
        self.assertEqual(versionNow(1.5), version(1_500_000))
        self.assertEqual(splitVersion(VERSIONED), (NAME, version(7)))
        self.assertEqual(splitVersion(NAME), (NAME, None))
        self.assertEqual(splitVersion(Name()), (Name(), None))

    def test_certificates(self) -> None:
        certificate = Identity("/a").certificate
        answer = answerCertificate(certificate)
        for name, canBePrefix, answered in (
            (certificate.name, False, True),
            (certificate.keyName, True, True),
            (certificate.keyName, False, False),
            (Name.fromText("/a/KEY/other"), True, False),
        ):
            found: list[bytes] = []
            answer(peekInterest(encodeInterest(name, canBePrefix)), found.append)
            self.assertEqual(found, [certificate.data.wire] if answered else [])
