"""
Tests for L{hermes.admin.accesslog}.
"""

from __future__ import annotations

import json
from pathlib import Path

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hermes.admin.accesslog import AccessLog
from hermes.admin.entries import describe, describeRequest
from hermes.errors import NoRoute, TargetRefused
from hermes.test.admin.records import flowRecord, requestRecord


class AccessLogTests(SynchronousTestCase):
    """
    L{AccessLog}.
    """

    def setUp(self) -> None:
        self.path = Path(self.mktemp())
        self.clock = Clock()

    def log(self, format: str = "json", query: bool = True) -> AccessLog:
        """
        A log that writes to C{self.path}.
        """
        log = AccessLog(str(self.path), lambda: 1_700_000_000.0, self.clock, format, query)
        self.addCleanup(log.close)
        return log

    def lines(self) -> list[str]:
        """
        What is in the file.
        """
        return self.path.read_text().splitlines()

    def test_aLineForEachFlowThatEndedAndANewFileAfterRotation(self) -> None:
        log = self.log()
        closed = flowRecord(bytesIn=5, duration=1.25)
        log.flowOpened(closed)
        log.flowClosed(closed)
        refused = flowRecord(connectDuration=None)
        refused.failed(TargetRefused("nobody listens"))
        log.flowRefused(refused)
        moved = self.path.rename(str(self.path) + ".1")
        log.reopen()
        first, second = (json.loads(line) for line in moved.read_text().splitlines())
        self.assertEqual(first, describe(closed, 1_700_000_000.0) | {"event": "closed"})
        self.assertEqual(first["time"], "2023-11-14T22:13:20.000+00:00")
        self.assertEqual((first["user"], first["target"], first["bytesIn"]), ("alice", "db.hermes:3306", 5))
        self.assertEqual((second["event"], second["proxyStatus"]), ("refused", "connection_refused"))
        log.flowClosed(closed)
        log.flush()
        self.assertEqual(len(self.lines()), 1)

    def test_aFlowWhoseFarSideBrokeIsClosedAndNotRefused(self) -> None:
        log = self.log()
        broken = flowRecord(error="target: reset", duration=1.0)
        log.flowClosed(broken)
        log.flush()
        self.assertEqual(json.loads(self.lines()[0])["event"], "closed")

    def test_aLineForEachExchangeThatEnded(self) -> None:
        log = self.log()
        record = requestRecord()
        log.requestStarted(record)
        log.requestEnded(record)
        log.flush()
        entry = describeRequest(record, 1_700_000_000.0) | {"event": "request"}
        self.assertEqual([json.loads(line) for line in self.lines()], [entry])
        self.assertEqual(list(json.loads(self.lines()[0])), list(entry))

    def test_theQueryIsLeftOutWhereItIsNotWanted(self) -> None:
        log = self.log(query=False)
        log.requestEnded(requestRecord())
        log.flush()
        self.assertEqual(json.loads(self.lines()[0])["path"], "/items")

    def test_inTheCommonFormatAFlowIsAConnectToItsTarget(self) -> None:
        log = self.log("common")
        log.flowClosed(flowRecord(bytesOut=12, duration=1.0))
        refused = flowRecord(connectDuration=None, upstream="")
        refused.failed(NoRoute("no route"))
        log.flowRefused(refused)
        log.requestEnded(requestRecord())
        log.flush()
        start = "192.0.2.7 - alice [14/Nov/2023:22:13:20 +0000]"
        self.assertEqual(
            self.lines(),
            [
                f'{start} "CONNECT db.hermes:3306 TCP" 200 12',
                f'{start} "CONNECT db.hermes:3306 TCP" 403 -',
                f'{start} "GET http://shop.example/items?page=2 HTTP/1.1" 200 2000',
            ],
        )
