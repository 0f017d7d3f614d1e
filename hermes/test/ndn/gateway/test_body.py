"""
Tests of L{hermes.ndn.gateway.body} and L{hermes.ndn.gateway.localclient}.
"""

from __future__ import annotations

from typing import Any

from zope.interface.verify import verifyObject

from hermes.interfaces import IBody
from hermes.ndn.gateway.errors import ForwarderGone
from hermes.ndn.gateway.localclient import LocalClient
from hermes.ndn.interfaces import INDNFace
from hermes.ndn.packet.interest import encodeInterest
from hermes.ndn.packet.name import Name
from hermes.ndn.packet.peek import peekInterest
from hermes.test.assist.cache.fakes import Reader
from hermes.test.ndn.app.fetches import content
from hermes.test.ndn.gateway.publishers import GatewayCase


class BodyTests(GatewayCase):
    """
    Bodies as they come.
    """

    def body(self, size: int = 100_000, **options: Any) -> Any:
        """
        The body of an object.
        """
        self.gateway = self.make(**options)
        self.producer.publish("/a/file", content(size))
        asked = self.ask("/ndn/a/file/v=7")
        self.run_(1)
        response: Any = self.successResultOf(asked)
        verifyObject(IBody, response.body)
        self.assertEqual(response.body.length, size)
        return response.body

    def fetched(self) -> int:
        """
        How many segments the producer was asked for.
        """
        return len(self.producer.times)

    def test_aSlowReaderIsWaitedFor(self) -> None:
        body = self.body(ahead=16)
        reader = Reader(body, pauseAfter=1000).start()
        self.run_(5)
        self.assertEqual(len(reader.data), 1000)
        # What it has, and what may be ahead of that; the last one tells the size.
        self.assertLessEqual(self.fetched(), 10 + 16 + 1)
        for most in (3000, 7000):
            reader.pauseAfter = most
            body.resumeProducing()
            self.run_(5)
            self.assertEqual(len(reader.data), most)
            self.assertLessEqual(self.fetched(), most // 100 + 16 + 1)
        reader.resume()
        self.run_(20)
        self.assertEqual(bytes(reader.data), content(100_000))
        self.assertIsNotNone(reader.trailers)

    def test_aReaderMayPauseBeforeItBegins(self) -> None:
        body = self.body(ahead=4)
        reader = Reader(body)
        body.pauseProducing()
        reader.start()
        self.run_(2)
        self.assertEqual(len(reader.data), 0)
        body.resumeProducing()
        self.run_(60)
        self.assertEqual(bytes(reader.data), content(100_000))

    def test_whoHasEnoughIsToldNoMore(self) -> None:
        for before in (True, False):
            body = self.body()
            reader = Reader(body)
            if before:
                body.stopProducing()
            else:
                reader.start()
                self.run_(0.05)
                body.stopProducing()
            had = len(reader.data)
            fetched = self.fetched()
            self.run_(2)
            self.assertEqual((len(reader.data), reader.over), (had, False))
            self.assertLessEqual(self.fetched(), fetched)

    def test_whoStopsWithinItsFirstPieceIsToldNoMore(self) -> None:
        body = self.body()

        class Once(Reader):
            """
            Wants one piece.
            """

            def dataReceived(self, data: Any) -> None:
                super().dataReceived(data)
                self.body.stopProducing()

        reader = Once(body).start()
        self.run_(2)
        self.assertEqual((reader.pieces, reader.over), (1, False))

    def test_aForwarderThatStopsCutsItShort(self) -> None:
        reader = Reader(self.body()).start()
        self.run_(0.05)
        self.node.faces.closeAll()
        assert reader.failure is not None
        reader.failure.trap(ForwarderGone)

    def test_everyPipelineFetchesAll(self) -> None:
        for pipeline in ("fixed", "aimd", "cubic"):
            reader = Reader(self.body(pipeline=pipeline, window=5)).start()
            self.run_(20)
            self.assertEqual(bytes(reader.data), content(100_000), pipeline)
            self.node.forwarder.cs.erase(b"")
            self.producer.handlers.clear()
            self.successResultOf(self.gateway.close())


class LocalClientTests(GatewayCase):
    """
    An application in the same process.
    """

    def client(self) -> LocalClient:
        """
        One at the node.
        """
        client = LocalClient(self.node.clock, lambda: 7, self.node.forwarder, "test://", self.node.faces.remove)
        self.node.faces.add(client.face)
        return client

    def test_itsFaceIsOne(self) -> None:
        client = self.client()
        verifyObject(INDNFace, client.face)
        self.assertIs(self.node.faces.byURI("test://"), client.face)
        client.close()
        client.close()
        self.assertIsNone(self.node.faces.byURI("test://"))

    def test_interestsAreAnswered(self) -> None:
        self.producer.publish("/a/file", b"hello")
        client = self.client()
        found = client.express(Name.fromText("/a/file/v=7/seg=0"))
        nacked = client.express(Name.fromText("/b"))
        self.run_(0.1)
        self.assertEqual(bytes(self.successResultOf(found).content), b"hello")
        self.failureResultOf(nacked)
        counters = client.face.counters
        self.assertEqual((counters.inInterests, counters.outData, counters.outNacks), (2, 1, 1))
        client.close()

    def test_onceClosedItIsSilent(self) -> None:
        self.producer.publish("/a/file", b"hello")
        client = self.client()
        waiting = client.express(Name.fromText("/a/other/v=7/seg=0"))
        client.face.sendInterest(peekInterest(encodeInterest(Name.fromText("/x"), nonce=1)))
        client.close()
        self.failureResultOf(waiting)
        self.failureResultOf(client.express(Name.fromText("/a/file/v=7/seg=0")))
        self.successResultOf(client.closed)
