"""
Tests for L{hermes.ndn.app.ping} and L{hermes.ndn.app.status}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from hermes.ndn.app.errors import AppError, Disconnected
from hermes.ndn.app.ping import Answer, Pinger, PingReport, PingServer
from hermes.ndn.app.publisher import BytesSource, ObjectPublisher, SegmentedObject
from hermes.ndn.app.registration import register
from hermes.ndn.app.status import dataset, status
from hermes.ndn.management.statuses import (
    ChannelStatus,
    ContentStoreInfo,
    FaceStatus,
    FIBEntryStatus,
    ForwarderStatus,
    NextHop,
    RIBEntryStatus,
    RouteStatus,
    StrategyChoice,
)
from hermes.ndn.packet.component import version
from hermes.ndn.packet.name import Name
from hermes.ndn.packet.peek import InterestView
from hermes.ndn.security.signers import DigestSigner
from hermes.test.ndn.app.network import Network
from hermes.test.ndn.security.keys import NOW

PREFIX = Name.fromText("/a")


class PingTests(SynchronousTestCase):
    """
    L{Pinger} and L{PingServer}.
    """

    def setUp(self) -> None:
        self.network = Network()
        self.network.delay = 0.01
        self.client = self.network.client()
        self.answers: list[Answer] = []
        self.names: list[Name] = []

    def serve(self, **options: Any) -> PingServer:
        """
        Somebody who answers.
        """
        server = PingServer(PREFIX, DigestSigner(), self.names.append, **options)
        producer = self.network.client()
        self.network.result(
            Deferred.fromCoroutine(register(producer, self.network.signer(), server.prefix, server.answer))
        )
        return server

    def ping(self, first: int = 5, **options: Any) -> PingReport:
        """
        Ping.
        """
        pinger = Pinger(self.client, PREFIX, first, self.answers.append, **options)
        report: PingReport = self.network.result(Deferred.fromCoroutine(pinger.run()))
        return report

    def test_eachIsAnswered(self) -> None:
        server = self.serve()
        report = self.ping(count=3)
        self.assertEqual([str(name) for name in self.names], [f"/a/ping/{number}" for number in (5, 6, 7)])
        self.assertEqual([each.number for each in self.answers], [5, 6, 7])
        self.assertEqual((report.sent, report.received, report.nacked, server.answered), (3, 3, 0, 3))
        for seconds in (report.shortest, report.average, report.longest):
            self.assertAlmostEqual(seconds, 0.02)
        self.assertAlmostEqual(report.deviation, 0.0, places=4)
        # Two intervals and a round trip.
        self.assertAlmostEqual(report.elapsed, 2.02, places=2)
        self.assertTrue(all(view.mustBeFresh for view in self.network.interests))

    def test_theNumberAfterTheLastIsZero(self) -> None:
        self.serve()
        self.ping((1 << 64) - 1, count=2, identifier=b"me", allowCached=True, interval=0.1, timeout=500)
        self.assertEqual([str(name) for name in self.names], ["/a/ping/me/18446744073709551615", "/a/ping/me/0"])
        self.assertTrue(all(not view.mustBeFresh and view.lifetime == 500 for view in self.network.interests))

    def test_whatIsNotAnsweredIsLostAndDelaysNothing(self) -> None:
        self.serve()
        self.network.loses = lambda view: isinstance(view, InterestView) and len(self.network.interests) == 2
        report = self.ping(count=3, interval=0.5, timeout=1000)
        self.assertEqual((report.sent, report.received, report.nacked), (3, 2, 0))
        self.assertEqual([each.number for each in self.answers], [5, 7, 6])
        self.assertIsNone(self.answers[2].seconds)
        self.assertAlmostEqual(report.elapsed, 1.5, places=2)

    def test_nacksAreCounted(self) -> None:
        report = self.ping(count=2, interval=0.1)
        self.assertEqual((report.sent, report.received, report.nacked), (2, 0, 2))
        self.assertEqual(self.answers, [Answer(5, None, 150), Answer(6, None, 150)])
        self.assertEqual((report.average, report.deviation), (0.0, 0.0))

    def test_withoutACountItGoesOn(self) -> None:
        self.serve()
        pinger = Pinger(self.client, PREFIX, 0, self.answers.append, interval=0.1)
        waiting = Deferred.fromCoroutine(pinger.run())
        self.network.run(5)
        self.assertTrue(49 <= len(self.answers) <= 51)
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        self.network.run(1)
        self.assertEqual(self.network.clock.getDelayedCalls(), [])

    def test_whenTheForwarderGoesAwayItEnds(self) -> None:
        self.serve()
        pinger = Pinger(self.client, PREFIX, 0, self.answers.append, count=1)
        waiting = Deferred.fromCoroutine(pinger.run())
        self.client.close()
        self.failureResultOf(waiting, Disconnected)

    def test_theServerAnswersSoManyAndNoMore(self) -> None:
        server = self.serve(most=2, size=100, freshness=50)
        report = self.ping(count=3, interval=0.1, timeout=500)
        self.assertEqual((report.received, server.answered), (2, 2))
        self.successResultOf(server.ended)

    def test_theServerSendsAsMuchAsItIsTold(self) -> None:
        self.serve(size=100, freshness=50)
        data = self.network.result(self.client.express(Name.fromText("/a/ping/7")))
        self.assertEqual((len(data.content), data.metaInfo.freshness), (100, 50))

    def test_deviation(self) -> None:
        report = PingReport()
        for seconds in (1.0, 2.0, 3.0, 4.0):
            report.add(Answer(0, seconds))
        self.assertEqual((report.shortest, report.longest, report.average), (1.0, 4.0, 2.5))
        self.assertAlmostEqual(report.deviation, 1.118, places=3)


GENERAL = ForwarderStatus(
    version="Hermes", started=1, now=2, nameTreeEntries=3, fibEntries=4, pitEntries=5, measurementsEntries=6,
    csEntries=7, inInterests=8, inData=9, inNacks=10, outInterests=11, outData=12, outNacks=13,
    satisfiedInterests=14, unsatisfiedInterests=15,
)  # fmt: skip
FACES = [
    FaceStatus(
        faceID=number, uri=f"unix:///run/{number}", localURI="unix:///run/ndn.sock", scope=1, persistency=1, linkType=0,
        inInterests=1, inData=2, inNacks=3, outInterests=4, outData=5, outNacks=6, inBytes=7, outBytes=8, flags=0,
    )
    for number in range(256, 456)
]  # fmt: skip
ROUTE = RouteStatus(faceID=256, origin=0, cost=0, flags=1)


class StatusTests(SynchronousTestCase):
    """
    L{status}.
    """

    def setUp(self) -> None:
        self.network = Network()
        self.client = self.network.client()
        self.datasets = {
            "status/general": [GENERAL],
            "cs/info": [ContentStoreInfo(capacity=1, flags=3, entries=2, hits=3, misses=4)],
            "faces/channels": [ChannelStatus(localURI="tcp4://0.0.0.0:6363")],
            "faces/list": FACES,
            "fib/list": [FIBEntryStatus(name=PREFIX, nextHops=(NextHop(faceID=256, cost=10),))],
            "rib/list": [RIBEntryStatus(name=PREFIX, routes=(ROUTE,))],
            "strategy-choice/list": [StrategyChoice(name=Name(), strategy=Name.fromText("/s/best-route/v=5"))],
        }

    def serve(self) -> None:
        """
        A forwarder that says all that.
        """
        producer = self.network.client()
        for path, blocks in self.datasets.items():
            name = Name.fromText(f"/localhost/nfd/{path}")
            source = BytesSource(b"".join(each.encode() for each in blocks))  # type: ignore[attr-defined]
            found = SegmentedObject(name + version(3), source, DigestSigner())
            publisher = ObjectPublisher(name, found, DigestSigner(), lambda: NOW)
            self.network.result(
                Deferred.fromCoroutine(register(producer, self.network.signer(), name, publisher.answer))
            )

    def test_allOfIt(self) -> None:
        self.serve()
        found = self.network.result(Deferred.fromCoroutine(status(self.client)))
        self.assertEqual(found.general, GENERAL)
        # In several segments.
        self.assertEqual(found.faces, FACES)
        self.assertEqual(found.store.hits, 3)
        for each, path in (
            (found.channels, "faces/channels"),
            (found.fib, "fib/list"),
            (found.rib, "rib/list"),
            (found.strategies, "strategy-choice/list"),
        ):
            self.assertEqual(each, self.datasets[path])

    def test_nothingIsALegitimateAnswer(self) -> None:
        self.datasets["fib/list"] = []
        self.serve()
        self.assertEqual(
            self.network.result(Deferred.fromCoroutine(dataset(self.client, "fib/list", FIBEntryStatus))), []
        )

    def test_whatIsMalformedIsAnError(self) -> None:
        self.datasets["fib/list"] = self.datasets["faces/list"]
        self.serve()
        with self.assertRaisesRegex(AppError, "fib/list is malformed"):
            self.network.result(Deferred.fromCoroutine(dataset(self.client, "fib/list", FIBEntryStatus)))
