"""
Tests for L{hermes.admin.names}, with listeners in memory.
"""

from __future__ import annotations

import re
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest
from twisted.internet.error import ConnectionDone
from twisted.trial.unittest import SynchronousTestCase

from hermes.admin.names import NameMetrics
from hermes.ndn.options import FaceOptions, NDNOptions, PrefixOptions
from hermes.ndnlistener import NDNListener
from hermes.test.admin.test_admin import samples
from hermes.test.fabric.fakenetwork import FakeContext
from hermes.test.fabric.fakes import FakeStream
from hermes.test.ndn.face.fakes import data, interest
from hermes.test.ndn.face.test_streamchannel import Receiver

# A test says what a configuration does, as plain text.
Options: Any = NDNOptions

UNIX = "unix:/run/ndn.sock"
FAR: Any = Options(
    bind=(UNIX, "tcp:127.0.0.1:0"),
    faces={"far": FaceOptions("udp:far.ndn.hermes:6363")},  # type: ignore[arg-type]
    prefixes=(PrefixOptions("/far", "far"),),  # type: ignore[arg-type]
    strategies={"/far": "asf"},
)


class NameMetricsTests(SynchronousTestCase):
    """
    L{NameMetrics}.
    """

    def setUp(self) -> None:
        self.context = FakeContext()
        self.registry = CollectorRegistry()
        NameMetrics(lambda: self.context.commons.all("ndn"), self.registry)

    def listener(self, options: Any = FAR) -> Any:
        """
        One that runs.
        """
        listener = NDNListener("names", options, self.context)
        self.successResultOf(listener.start())
        self.addCleanup(self.end, listener)
        return listener

    def end(self, listener: Any) -> None:
        """
        End it.
        """
        self.successResultOf(listener.stop())
        listener.abort()
        self.context.reactor.advance(0)

    def program(self) -> FakeStream:
        """
        A program connects.
        """
        stream: FakeStream = self.context.network.servers[UNIX].accept()
        return stream

    def shown(self) -> dict[str, float]:
        """
        All samples that are not 0, without what all begin with.
        """
        found = samples(generate_latest(self.registry))
        return {
            re.sub(",?listener=names", "", key).removeprefix("hermes_ndn_").replace("{,", "{"): value
            for key, value in found.items()
            if value
        }

    def test_withoutAListenerThereIsNothing(self) -> None:
        self.assertEqual(self.shown(), {})

    def test_whatPassesIsCountedByFace(self) -> None:
        self.listener()
        program = self.program()
        far = Receiver()
        [opening] = [opening for _, opening in self.context.flows.asked]
        opening.callback(far)
        asked = interest("/far/a")
        program.deliver(asked.wire)
        self.context.reactor.advance(0)
        shown = self.shown()
        self.assertEqual(shown["pit_entries{}"], 1)
        self.assertGreater(shown["pit_bytes{}"], len(asked.wire))
        self.assertEqual(shown["faces_up{face=far}"], 1)
        self.assertEqual(shown["strategy_prefixes{strategy=asf}"], 1)
        self.assertEqual(shown["strategy_prefixes{strategy=best-route}"], 1)
        answer = data("/far/a")
        assert far.channel is not None
        far.channel.write([answer.wire])
        self.context.reactor.advance(0)
        shown = self.shown()
        for face, direction, packet in (
            ("tcp:", "in", "interest"),
            ("far", "out", "interest"),
            ("far", "in", "data"),
            ("tcp:", "out", "data"),
        ):
            self.assertEqual(shown.pop(f"packets_total{{direction={direction},face={face},packet={packet}}}"), 1)
        for face, direction, wire in (
            ("tcp:", "in", asked.wire),
            ("far", "out", asked.wire),
            ("far", "in", answer.wire),
            ("tcp:", "out", answer.wire),
        ):
            self.assertEqual(shown.pop(f"bytes_total{{direction={direction},face={face}}}"), len(wire))
        others = [key for key in shown if key.startswith(("packets", "bytes")) and "face=internal:" not in key]
        self.assertEqual(others, [])
        self.assertEqual(shown["store_packets{}"], 1)
        self.assertEqual(shown["store_lookups_total{result=miss}"], 1)
        self.assertEqual(shown["interests_total{result=satisfied}"], 1)
        self.assertNotIn("pit_entries{}", shown)
        program.deliver(interest("/far/a", nonce=8).wire)
        self.assertEqual(self.shown()["store_lookups_total{result=hit}"], 1)

    def test_whatGoesNowhereIsCountedByWhy(self) -> None:
        self.listener()
        program = self.program()
        # Management tells of each face, whether anybody waits for it or not.
        before = self.shown()["not_forwarded_total{reason=unsolicited}"]
        program.deliver(data("/b").wire)
        program.deliver(interest("/b", hopLimit=0).wire)
        program.deliver(b"\x64\x03\x50\x01\x05")
        shown = self.shown()
        self.assertEqual(shown["not_forwarded_total{reason=unsolicited}"], before + 1)
        self.assertEqual(shown["not_forwarded_total{reason=hopLimit}"], 1)
        self.assertEqual(shown["malformed_total{face=tcp:}"], 1)

    def test_programsThatComeAndGoMakeNoSeries(self) -> None:
        self.listener()
        for _ in range(3):
            program = self.program()
            program.deliver(interest("/b", hopLimit=0).wire)
            program.fail(ConnectionDone())
        before = self.shown()
        self.assertEqual(before["packets_total{direction=in,face=tcp:,packet=interest}"], 3)
        self.assertNotIn("faces{face=tcp:}", before)
        self.program().deliver(interest("/b", hopLimit=0).wire)
        shown = self.shown()
        self.assertEqual(shown["packets_total{direction=in,face=tcp:,packet=interest}"], 4)
        self.assertEqual(shown["faces{face=tcp:}"], 1)

    def test_whatAListenerHasCountedStaysCountedWhenItIsMadeAnew(self) -> None:
        first = self.listener()
        self.program().deliver(interest("/b", hopLimit=0).wire)
        name = "packets_total{direction=in,face=tcp:,packet=interest}"
        self.assertEqual(self.shown()[name], 1)
        self.end(first)
        self.assertEqual(self.shown()[name], 1)
        self.listener()
        self.assertEqual(self.shown()[name], 1)
        for _ in range(2):
            self.program().deliver(interest("/b", hopLimit=0).wire)
            # Asking changes nothing.
            self.shown()
        self.assertEqual(self.shown()[name], 3)

    def test_facesBeyondTheBoundAreCounted(self) -> None:
        # Management has one, and the configuration.
        self.listener(NDNOptions(bind=FAR.bind, maxFaces=1))
        self.program()
        self.program()
        self.assertGreaterEqual(self.shown()["faces_refused_total{}"], 1)
