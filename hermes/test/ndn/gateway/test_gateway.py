"""
Tests of L{hermes.ndn.gateway.gateway}: what a client of HTTP gets, on a forwarder.
"""

from __future__ import annotations

import os

from zope.interface.verify import verifyObject

from hermes.errors import FlowError
from hermes.interfaces import IAssistant
from hermes.ndn.gateway.errors import (
    ObjectUntrusted,
)
from hermes.ndn.gateway.metadata import MEDIA_TYPE, MODIFIED, SIZE
from hermes.ndn.packet.data import decodeData, encodeData
from hermes.ndn.packet.interest import encodeInterest
from hermes.ndn.packet.metainfo import MetaInfo
from hermes.ndn.packet.name import Name
from hermes.ndn.packet.peek import InterestView
from hermes.ndn.packet.tlv import encodeElement, encodeInteger
from hermes.ndn.security.signers import DigestSigner
from hermes.test.ndn.app.fetches import content
from hermes.test.ndn.gateway.publishers import GatewayCase
from hermes.test.ndn.management.nodes import App
from hermes.test.ndn.security.keys import Identity


class FoundTests(GatewayCase):
    """
    Objects that are there.
    """

    def test_itIsAnAssistant(self) -> None:
        verifyObject(IAssistant, self.gateway)

    def test_theNewestVersionIsFoundAndSent(self) -> None:
        data = content(1234)
        self.producer.publish("/a/file.txt", data)
        answered = self.get("/ndn/a/file.txt")
        self.assertEqual((answered.status, answered.body), (200, data))
        self.assertEqual(answered.get("content-length"), "1234")
        self.assertEqual(answered.get("content-type"), "text/plain")
        self.assertEqual(answered.get("content-location"), "/ndn/a/file.txt/v=7")
        self.assertEqual(answered.get("accept-ranges"), "bytes")
        self.assertEqual(answered.get("x-content-type-options"), "nosniff")
        etag = answered.get("etag")
        assert etag is not None
        self.assertTrue(etag.startswith('"7-'), etag)

    def test_aVersionMayBeAskedForAndNeverChanges(self) -> None:
        self.producer.publish("/a/file", content(300))
        answered = self.get("/ndn/a/file/v=7")
        self.assertEqual((answered.body, answered.get("cache-control")), (content(300), "max-age=31536000, immutable"))
        self.assertNotIn("/a/file/32=metadata", self.producer.times)

    def test_whatMayChangeIsKeptForAsLongAsItIsFresh(self) -> None:
        self.producer.publish("/a/file", content(300))
        # Metadata is fresh for 10 ms.
        self.assertEqual(self.get("/ndn/a/file").get("cache-control"), "no-cache")
        single = encodeData(Name.fromText("/a/now"), b"x", DigestSigner(), MetaInfo(freshness=30_000))
        self.producer.handlers.append(
            lambda view, reply: reply(single) if view.name == Name.fromText("/a/now").value else None
        )
        self.assertEqual(self.get("/ndn/a/now").get("cache-control"), "max-age=30")

    def test_onePacketIsAnObjectToo(self) -> None:
        wire = encodeData(Name.fromText("/a/one"), b"hello", DigestSigner())
        self.producer.handlers.append(
            lambda view, reply: reply(wire) if view.name == Name.fromText("/a/one").value else None
        )
        answered = self.get("/ndn/a/one")
        self.assertEqual((answered.status, answered.body, answered.get("content-length")), (200, b"hello", "5"))
        self.assertEqual(answered.get("content-type"), "application/octet-stream")
        # Nothing else may have this tag.
        self.assertFalse(str(answered.get("etag")).startswith("W/"))
        digest = decodeData(wire).digest.hex()
        self.assertEqual(self.get(f"/ndn/a/one/sha256digest={digest}").body, b"hello")

    def test_oneSegmentMayBeAskedFor(self) -> None:
        self.producer.publish("/a/file", content(250))
        answered = self.get("/ndn/a/file/v=7/seg=1")
        self.assertEqual(answered.body, content(250)[100:200])

    def test_withoutAVersionTheTagIsWeak(self) -> None:
        self.producer.publish("/a/plain", content(250), None)
        answered = self.get("/ndn/a/plain")
        self.assertEqual(answered.body, content(250))
        self.assertTrue(str(answered.get("etag")).startswith('W/"'))
        part = self.get("/ndn/a/plain", range="bytes=0-9", if_range=str(answered.get("etag")))
        self.assertEqual(part.status, 200)

    def test_anEmptyObjectHasNoBody(self) -> None:
        self.producer.publish("/a/empty", b"")
        answered = self.get("/ndn/a/empty")
        self.assertEqual((answered.status, answered.body, answered.get("content-length")), (200, b"", "0"))

    def test_componentsAreWrittenAsInURIs(self) -> None:
        wire = encodeData(Name.fromText("/a/%00%2F/..../x%20y"), b"odd", DigestSigner())
        self.producer.handlers.append(lambda view, reply: reply(wire))
        self.assertEqual(self.get("/ndn/a/%00%2F/..../x%20y?ignored=1").body, b"odd")

    def test_whatMetadataTellsIsTold(self) -> None:
        made = self.producer.publish("/a/file", content(250))
        extra = encodeInteger(SIZE, 250) + encodeInteger(MODIFIED, 1_600_000_000 * 10**9)
        extra += encodeElement(MEDIA_TYPE, b"text/html; charset=utf-8")
        metadata = Name.fromText("/a/file/32=metadata/v=1/seg=0")
        wire = encodeData(metadata, made.prefix.encode() + extra, DigestSigner(), MetaInfo(freshness=5000))
        self.producer.handlers.insert(0, lambda view, reply: reply(wire) if view.name == metadata[:-2].value else None)
        answered = self.get("/ndn/a/file")
        self.assertEqual(answered.body, content(250))
        self.assertEqual(answered.get("content-type"), "text/html; charset=utf-8")
        self.assertEqual(answered.get("last-modified"), "Sun, 13 Sep 2020 12:26:40 GMT")
        self.assertEqual(answered.get("cache-control"), "max-age=5")
        for since, status in (
            ("Sun, 13 Sep 2020 12:26:40 GMT", 304),
            ("Sun, 13 Sep 2020 12:26:39 GMT", 200),
            ("yesterday", 200),
        ):
            self.assertEqual(self.get("/ndn/a/file", if_modified_since=since).status, status)
        # Tags tell more than times.
        both = {"if_modified_since": "Sun, 13 Sep 2020 12:26:40 GMT", "if_none_match": '"other"'}
        self.assertEqual(self.get("/ndn/a/file", **both).status, 200)
        # The size was said: nobody has to ask for the last segment to know it.
        self.get("/ndn/a/file", method=b"HEAD")

    def test_aHeadIsTheSameWithoutABody(self) -> None:
        self.producer.publish("/a/file", content(250))
        whole, head = self.get("/ndn/a/file"), self.get("/ndn/a/file", method=b"HEAD")
        self.assertIsNone(head.response.body)
        self.assertEqual(head.response.head, whole.response.head)

    def test_whoHasItIsToldSo(self) -> None:
        self.producer.publish("/a/file", content(250))
        etag = str(self.get("/ndn/a/file").get("etag"))
        for value in (etag, f'"x", W/{etag}', "*"):
            answered = self.get("/ndn/a/file", if_none_match=value)
            self.assertEqual((answered.status, answered.get("etag")), (304, etag))
            self.assertIsNone(answered.response.body)
        self.assertEqual(self.get("/ndn/a/file", if_none_match='"x"').status, 200)
        self.assertEqual(self.get("/ndn/a/file", if_match='"x"').status, 412)
        self.assertEqual(self.get("/ndn/a/file", if_match=etag).status, 200)

    def test_anObjectWhoseEndNobodyTellsIsSentAsItComes(self) -> None:
        # FinalBlockId is in the last one only.
        data = content(250)

        def answer(view: InterestView, reply: object) -> None:
            for index, size in enumerate((100, 70, 80)):
                final = Name.fromText("/seg=2")[0] if index == 2 else None
                start = (0, 100, 170)[index]
                name = Name.fromText(f"/a/open/v=1/seg={index}")
                if view.name == name.value:
                    reply(encodeData(name, data[start : start + size], DigestSigner(), MetaInfo(finalBlock=final)))  # type: ignore[operator]

        self.producer.handlers.append(answer)
        answered = self.get("/ndn/a/open/v=1", range="bytes=0-9")
        self.assertEqual((answered.status, answered.body), (200, data))
        self.assertIsNone(answered.get("content-length"))
        self.assertIsNone(answered.get("accept-ranges"))


class RangeTests(GatewayCase):
    """
    Parts of objects.
    """

    def setUp(self) -> None:
        super().setUp()
        self.data = content(1234)
        self.producer.publish("/a/file", self.data)

    def test_partsAreSent(self) -> None:
        for text, start, stop in (
            ("bytes=0-0", 0, 1),
            ("bytes=0-99", 0, 100),
            ("bytes=100-199", 100, 200),
            ("bytes=50-1049", 50, 1050),
            ("bytes=1200-", 1200, 1234),
            ("bytes=1200-9999", 1200, 1234),
            ("bytes=-34", 1200, 1234),
            ("bytes=-5000", 0, 1234),
        ):
            answered = self.get("/ndn/a/file", range=text)
            self.assertEqual((answered.status, answered.body), (206, self.data[start:stop]), text)
            self.assertEqual(answered.get("content-range"), f"bytes {start}-{stop - 1}/1234")
            self.assertEqual(answered.get("content-length"), str(stop - start))

    def test_onlyTheSegmentsOfAPartAreAskedFor(self) -> None:
        self.get("/ndn/a/file/v=7", range="bytes=520-680")
        wanted = {f"/a/file/v=7/seg={index}" for index in (0, 5, 6, 12)}
        self.assertEqual(set(self.producer.times), wanted)

    def test_whatIsNoRangeIsIgnored(self) -> None:
        for text in ("bytes=", "bytes=-", "bytes=5-4", "bytes=0-1,5-6", "lines=1-2", "bytes=a-b"):
            self.assertEqual(self.get("/ndn/a/file", range=text).status, 200, text)

    def test_aPartThatIsNotThereIsToldSo(self) -> None:
        for text in ("bytes=1234-", "bytes=5000-6000", "bytes=-0"):
            answered = self.get("/ndn/a/file", range=text)
            self.assertEqual((answered.status, answered.get("content-range")), (416, "bytes */1234"))

    def test_ofAnotherVersionThereIsNoPart(self) -> None:
        etag = str(self.get("/ndn/a/file").get("etag"))
        self.assertEqual(self.get("/ndn/a/file", range="bytes=5-9", if_range=etag).status, 206)
        for condition in ('"other"', "Sun, 13 Sep 2020 12:26:40 GMT"):
            answered = self.get("/ndn/a/file", range="bytes=5-9", if_range=condition)
            self.assertEqual((answered.status, answered.body), (200, self.data))


class TrustTests(GatewayCase):
    """
    Objects that have to be believed.
    """

    def setUp(self) -> None:
        super().setUp()
        self.anchor = Identity("/a", kind="ed25519")
        path = self.mktemp()
        with open(path, "w") as file:
            file.write(self.anchor.certificate.toText())
        self.gateway = self.make(anchors=(os.path.abspath(path),))

    def test_whatAnAnchorHasSignedIsSent(self) -> None:
        self.producer.publish("/a/file", content(1000), signer=self.anchor.signer)
        self.assertEqual(self.get("/ndn/a/file").body, content(1000))

    def test_whatNobodyVouchesForIsNot(self) -> None:
        stranger = Identity("/a/eve", kind="ed25519", number=3)
        for signer in (DigestSigner(), stranger.signer):
            self.producer.handlers.clear()
            self.producer.publish("/a/file", content(1000), signer=signer)
            with self.assertRaises(FlowError) as caught:
                self.get("/ndn/a/file/v=7")
            self.assertEqual(caught.exception.status, 502)

    def test_aCertificateThatTheAnchorHasSignedIsFetched(self) -> None:
        alice = Identity("/a/alice", issuer=self.anchor, kind="ed25519", number=1)
        wire = alice.certificate.data.wire
        key = alice.certificate.keyName.value
        self.producer.handlers.append(lambda view, reply: reply(wire) if view.name.startswith(key) else None)
        self.producer.publish("/a/alice/file", content(1000), signer=alice.signer)
        self.assertEqual(self.get("/ndn/a/alice/file").body, content(1000))
        self.producer.publish("/a/bob/file", content(1000), signer=alice.signer)
        with self.assertRaises(ObjectUntrusted) as caught:
            self.get("/ndn/a/bob/file/v=7")
        self.assertEqual((caught.exception.status, caught.exception.proxyStatus), (502, "destination_unavailable"))

    def test_aSegmentThatIsForgedCutsTheBodyShort(self) -> None:
        made = self.producer.publish("/a/file", content(1000), signer=self.anchor.signer)
        forged = encodeData(made.prefix + Name.fromText("/seg=5"), bytes(100), DigestSigner())
        name = decodeData(forged).name.value
        self.producer.handlers.insert(0, lambda view, reply: reply(forged) if view.name == name else None)
        answered = self.get("/ndn/a/file/v=7")
        assert answered.reader is not None and answered.reader.failure is not None
        answered.reader.failure.trap(ObjectUntrusted)
        self.assertEqual(bytes(answered.reader.data), content(1000)[: len(answered.reader.data)])
        self.assertLessEqual(len(answered.reader.data), 500)


class SignatureTests(GatewayCase):
    """
    What leaves over NDN is the producer's.
    """

    def test_whatWasFetchedByHTTPIsTheProducersOverNDN(self) -> None:
        alice = Identity("/a", kind="ecdsa", number=2)
        made = self.producer.publish("/a/file", content(1000), signer=alice.signer)
        self.get("/ndn/a/file")
        # Each time it is signed anew, an ECDSA signature is another one.
        consumer = App(self.node)
        asked = dict(self.producer.times)
        for index in range(made.count):
            name = made.prefix + Name.fromText(f"/seg={index}")
            data = consumer.ask(encodeInterest(name, nonce=index))
            assert not isinstance(data, int) and data is not None
            self.assertTrue(alice.certificate.verifies(data))
            self.assertEqual(bytes(data.content), content(1000)[100 * index : 100 * index + 100])
        self.assertEqual(self.producer.times, asked)
