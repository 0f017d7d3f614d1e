"""
Tests of L{hermes.ndn.gateway.gateway}: what a client of HTTP is told when there is nothing to get.
"""

from __future__ import annotations

from twisted.internet.defer import CancelledError

from hermes.errors import BadRequest, FlowError
from hermes.ndn.gateway.errors import (
    ForwarderGone,
    NetworkBusy,
    ObjectBroken,
    ObjectNotFound,
    ObjectTimeout,
)
from hermes.ndn.packet.data import encodeData
from hermes.ndn.packet.metainfo import MetaInfo
from hermes.ndn.packet.name import Name
from hermes.ndn.packet.peek import InterestView
from hermes.ndn.security.signers import DigestSigner
from hermes.test.assist.cache.fakes import Reader
from hermes.test.ndn.app.fetches import content
from hermes.test.ndn.gateway.publishers import GatewayCase


class TroubleTests(GatewayCase):
    """
    Objects that are not there, and requests that are none.
    """

    def fails(self, kind: type[FlowError], path: str, status: int, **options: object) -> FlowError:
        """
        Ask for what can't be had.
        """
        with self.assertRaises(kind) as caught:
            self.get(path, **options)
        self.assertEqual(caught.exception.status, status)
        error: FlowError = caught.exception
        return error

    def test_whereNothingLeadsNothingIsFound(self) -> None:
        error = self.fails(ObjectNotFound, "/ndn/b/file", 404)
        self.assertEqual(error.proxyStatus, "destination_not_found")

    def test_aProducerMaySayThatThereIsNone(self) -> None:
        for name in ("/a/none/32=metadata", "/a/gone", "/a/away/v=1/seg=0"):
            wire = encodeData(Name.fromText(name), b"", DigestSigner(), MetaInfo(contentType=3))
            self.producer.have(wire)
        for path in ("/ndn/a/gone", "/ndn/a/none", "/ndn/a/away/v=1"):
            self.fails(ObjectNotFound, path, 404)

    def test_whoDoesNotAnswerIsWaitedForAWhile(self) -> None:
        self.producer.silent = True
        began = self.node.clock.seconds()
        error = self.fails(ObjectTimeout, "/ndn/a/file/v=1", 504)
        self.assertEqual(error.proxyStatus, "http_response_timeout")
        # Four times four seconds.
        self.assertEqual(round(self.node.clock.seconds() - began), 16)

    def test_anInterestThatIsLostIsSentAgain(self) -> None:
        self.producer.publish("/a/file", content(50))
        self.producer.silent = True
        asked = self.ask("/ndn/a/file/v=7")
        self.run_(4.5)
        self.producer.silent = False
        self.run_(1)
        # What the forwarder has sent once it suppresses for a moment.
        self.run_(4)
        self.assertEqual(self.successResultOf(asked).head.status, 200)

    def test_congestionIsToldSo(self) -> None:
        def nack(view: InterestView, reply: object) -> None:
            self.node.clock.callLater(0, self.node.forwarder.receiveNack, self.producer, 50, view)

        self.producer.handlers.append(nack)
        self.fails(NetworkBusy, "/ndn/a/file/v=1", 503)

    def test_whatIsNoNameIsToldSo(self) -> None:
        for path in ("/ndn/", "/ndn/a//b", "/ndn/%zz", "/ndn/a/seg=x", "/ndn/" + "a/" * 3000, "/ndn/" + "a/" * 126):
            self.fails(BadRequest, path, 400)

    def test_thisHostsOwnNamesAreNobodyElses(self) -> None:
        for path in ("/ndn/localhost/nfd/rib/list", "/ndn/localhop/nfd/rib/list", "/ndn/localhost"):
            self.fails(ObjectNotFound, path, 404)

    def test_namesMayBeLimited(self) -> None:
        self.producer.publish("/a/open/file", content(10))
        self.gateway = self.make(prefixes=("/a/open",))
        self.assertEqual(self.get("/ndn/a/open/file").status, 200)
        self.fails(ObjectNotFound, "/ndn/a/opening", 404)

    def test_otherMethodsAreRefused(self) -> None:
        answered = self.get("/ndn/a/file", method=b"PUT")
        self.assertEqual((answered.status, answered.get("allow")), (405, "GET, HEAD"))

    def test_otherPathsAndHostsArePassedOn(self) -> None:
        self.gateway = self.make(path="/names/", hosts=("Edge.Example",))
        for path, host in (("/", b"edge.example"), ("/ndn/a", b"edge.example"), ("/names/a", b"other.example:80")):
            self.assertEqual(self.get(path, host=host).body, b"behind\n")
        self.assertEqual(len(self.behind), 3)
        self.producer.publish("/a/file", b"x")
        self.assertEqual(self.get("/names/a/file", host=b"EDGE.example:8080").body, b"x")

    def test_withoutAForwarderItIsUnavailable(self) -> None:
        self.context.commons.withdraw("ndn", "names", self.service)
        self.fails(ForwarderGone, "/ndn/a/file", 503)

    def test_aForwarderThatStopsEndsWhatIsUnderWay(self) -> None:
        self.producer.silent = True
        asked = self.ask("/ndn/a/file/v=1")
        self.run_(0.1)
        self.node.faces.closeAll()
        self.failureResultOf(asked, ForwarderGone)

    def test_aForwarderThatTakesItsPlaceIsAsked(self) -> None:
        self.producer.publish("/a/file", b"x")
        self.assertEqual(self.get("/ndn/a/file").body, b"x")
        before = len(self.node.faces)
        other = type(self.service)(table=self.node.faces, forwarder=self.node.forwarder)
        self.context.commons.offer("ndn", "names", other)
        self.assertEqual(self.get("/ndn/a/file").body, b"x")
        self.assertEqual(len(self.node.faces), before)

    def test_aRequestThatIsGivenUpLeavesNothing(self) -> None:
        self.producer.silent = True
        asked = self.ask("/ndn/a/file")
        self.run_(0.1)
        asked.cancel()
        self.failureResultOf(asked, CancelledError)

    def test_segmentsOfSeveralSizesBreakOff(self) -> None:
        def answer(view: InterestView, reply: object) -> None:
            for index, size in enumerate((100, 70, 80)):
                name = Name.fromText(f"/a/odd/v=1/seg={index}")
                if view.name == name.value:
                    final = Name.fromText("/seg=2")[0]
                    reply(encodeData(name, bytes(size), DigestSigner(), MetaInfo(finalBlock=final)))  # type: ignore[operator]

        self.producer.handlers.append(answer)
        answered = self.get("/ndn/a/odd/v=1")
        assert answered.reader is not None and answered.reader.failure is not None
        answered.reader.failure.trap(ObjectBroken)

    def test_aProducerThatDiesCutsTheBodyShort(self) -> None:
        self.producer.publish("/a/file", content(10_000))
        asked = self.ask("/ndn/a/file")
        self.run_(0.1)
        response = self.successResultOf(asked)
        self.producer.silent = True
        assert response.body is not None
        reader = Reader(response.body).start()
        self.run_(120, 0.05)
        assert reader.failure is not None
        reader.failure.trap(ObjectBroken)
        self.assertLess(len(reader.data), 10_000)

    def test_itTellsOfItself(self) -> None:
        self.producer.publish("/a/file", b"x")
        self.get("/ndn/a/file")
        self.fails(ObjectNotFound, "/ndn/b/file", 404)
        self.assertEqual(self.gateway.status()["requests"], {"200": 1, "404": 1})
