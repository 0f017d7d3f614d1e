"""
Tests of L{hermes.ndn.management.publisher}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hermes.ndn.management.publisher import KEPT, KEPT_BYTES, SEGMENT_SIZE, DatasetPublisher, NotificationStream
from hermes.ndn.packet.component import SEGMENT, VERSION, isNumber, number, segment
from hermes.ndn.packet.data import Data, decodeData
from hermes.ndn.packet.interest import encodeInterest
from hermes.ndn.packet.name import Name
from hermes.ndn.packet.peek import DataView, InterestView, peekInterest
from hermes.ndn.security.signers import DigestSigner
from hermes.ndn.security.verifiers import DigestVerifier


def asked(name: Name, **options: Any) -> InterestView:
    """
    An Interest.
    """
    return peekInterest(encodeInterest(name, nonce=1, **options))


def decoded(view: DataView | None) -> Data:
    """
    Data whose digest is right.
    """
    assert view is not None
    data = decodeData(view.wire)
    assert DigestVerifier().verifies(data.signatureInfo.signatureType, (data.signed,), data.signatureValue)
    return data


class DatasetPublisherTests(SynchronousTestCase):
    """
    Datasets.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.time = 1_700_000_000.0
        self.publisher = DatasetPublisher(self.clock, DigestSigner(), lambda: self.time)
        self.name = Name.fromText("/localhost/nfd/faces/list")

    def test_oneThatFitsIsOneSegment(self) -> None:
        data = decoded(self.publisher.publish(self.name, b"abc"))
        self.assertEqual(bytes(data.content), b"abc")
        self.assertEqual(data.name[:-2], self.name)
        self.assertTrue(isNumber(data.name[-2], VERSION))
        self.assertEqual(number(data.name[-2]), 1_700_000_000_000_000)
        self.assertEqual(data.name[-1], segment(0))
        self.assertEqual(data.metaInfo.finalBlock, segment(0))
        self.assertEqual(data.metaInfo.freshness, 1000)

    def test_anEmptyOneIsAnEmptySegment(self) -> None:
        data = decoded(self.publisher.publish(self.name, b""))
        self.assertEqual((bytes(data.content), data.metaInfo.finalBlock), (b"", segment(0)))
        again = decoded(self.publisher.find(asked(data.name)))
        self.assertEqual((again.name, bytes(again.content)), (data.name, b""))
        self.assertIsNone(self.publisher.find(asked(data.name[:-1] + segment(1))))

    def test_allSegmentsOfALargeOneAreThere(self) -> None:
        for size in (SEGMENT_SIZE, SEGMENT_SIZE + 1, 3 * SEGMENT_SIZE, 3 * SEGMENT_SIZE + 7):
            content = bytes(range(251)) * (size // 251 + 1)
            content = content[:size]
            first = decoded(self.publisher.publish(self.name, content))
            final = first.metaInfo.finalBlock
            assert final is not None
            found = bytes(first.content)
            for index in range(1, number(final) + 1):
                data = decoded(self.publisher.find(asked(first.name[:-1] + segment(index))))
                self.assertEqual(data.metaInfo.finalBlock, final)
                found += data.content
            self.assertEqual(found, content)
            self.assertIsNone(self.publisher.find(asked(first.name[:-1] + segment(number(final) + 1))))

    def test_eachVersionIsLaterThanTheLast(self) -> None:
        versions = []
        for step in (0, 0, -5, 3):
            self.time += step
            versions.append(number(decoded(self.publisher.publish(self.name, b"")).name[-2]))
        self.assertEqual(versions, sorted(set(versions)))

    def test_whatIsNoSegmentOfItIsNotFound(self) -> None:
        first = decoded(self.publisher.publish(self.name, b"x"))
        for name in (self.name, first.name[:-1], first.name + segment(0), Name.fromText("/a"), Name([segment(0)])):
            self.assertIsNone(self.publisher.find(asked(name)))
        self.assertFalse(isNumber(first.name[0], SEGMENT))

    def test_itIsForgottenAfterAWhile(self) -> None:
        first = decoded(self.publisher.publish(self.name, b"x"))
        self.clock.advance(KEPT - 0.1)
        self.assertIsNotNone(self.publisher.find(asked(first.name)))
        self.clock.advance(0.2)
        self.assertIsNone(self.publisher.find(asked(first.name)))
        self.publisher.publish(self.name, b"y")
        self.assertEqual(len(self.publisher._kept), 1)

    def test_whatIsKeptIsBounded(self) -> None:
        content = bytes(KEPT_BYTES // 4)
        names = [decoded(self.publisher.publish(self.name, content)).name for _ in range(10)]
        there = [self.publisher.find(asked(name)) is not None for name in names]
        self.assertEqual(there, [False] * 6 + [True] * 4)
        for _ in range(50_000):
            self.publisher.publish(self.name, b"")
        self.assertLess(len(self.publisher._kept), 40_000)


class NotificationStreamTests(SynchronousTestCase):
    """
    Notifications.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.sent: list[DataView] = []
        self.prefix = Name.fromText("/localhost/nfd/faces/events")
        self.stream = NotificationStream(self.prefix, self.clock, DigestSigner(), self.sent.append)

    def numbered(self, index: int) -> InterestView:
        """
        An Interest for a notification.
        """
        return asked(self.prefix + Name.fromText(f"/seq={index}"))

    def test_theyAreNumberedAndSentAtOnce(self) -> None:
        self.stream.post(b"a")
        self.stream.post(b"b")
        found = [decoded(view) for view in self.sent]
        self.assertEqual([str(data.name) for data in found], [f"{self.prefix}/seq=0", f"{self.prefix}/seq=1"])
        self.assertEqual([bytes(data.content) for data in found], [b"a", b"b"])

    def test_oneThatIsThereCanBeAskedFor(self) -> None:
        for index in range(300):
            self.stream.post(b"%d" % index)
        self.assertEqual(bytes(decoded(self.stream.find(self.numbered(299))).content), b"299")
        self.assertEqual(bytes(decoded(self.stream.find(self.numbered(44))).content), b"44")
        self.assertIsNone(self.stream.find(self.numbered(43)))
        self.assertIsNone(self.stream.find(self.numbered(300)))

    def test_theLastAnswersForThePrefixWhileItIsFresh(self) -> None:
        anything = asked(self.prefix, canBePrefix=True, mustBeFresh=True)
        self.assertIsNone(self.stream.find(anything))
        self.stream.post(b"a")
        self.stream.post(b"b")
        self.assertEqual(bytes(decoded(self.stream.find(anything)).content), b"b")
        self.assertIsNone(self.stream.find(asked(self.prefix)))
        self.clock.advance(1)
        self.assertIsNone(self.stream.find(anything))

    def test_otherNamesAreNotFound(self) -> None:
        self.stream.post(b"a")
        for text in ("/seg=0", "/seq=0/x", "/a"):
            self.assertIsNone(self.stream.find(asked(self.prefix + Name.fromText(text))))
