"""
Tests for L{hermes.admin.formats}.
"""

from __future__ import annotations

import json
import re
from typing import Any

from attrs import evolve
from hypothesis import given
from hypothesis.strategies import binary, booleans, composite, floats, integers, lists, none, sampled_from, text
from twisted.trial.unittest import SynchronousTestCase

from hermes.admin.entries import describeRequest
from hermes.admin.formats import MAX_CACHED, CommonLines, JSONLines
from hermes.errors import TargetRefused
from hermes.fabric.record import FlowRecord
from hermes.messages import RequestRecord
from hermes.test.admin.records import requestRecord
from hermes.values import Flow, Identity, RequestHead, Target

NOW = 1_700_000_000.25
COMMON = re.compile(
    r'(\S+) - (\S+) \[14/Nov/2023:22:13:20 \+0000\] "(\S+) (\S+) (\S+)" (\d{3}|-) (\d+|-)'
    r'(?: "((?:[^"\\]|\\.)*)" "((?:[^"\\]|\\.)*)")?\n'
)

small = floats(0, 1e6).map(lambda value: round(value, 6))


@composite
def records(draw: Any) -> RequestRecord:
    """
    Records of exchanges with whatever somebody may send.
    """
    source = draw(sampled_from([None, ("192.0.2.7", 4000), ("2001:db8::1", 1)]))
    identity = Identity(draw(none() | text(min_size=1)), draw(none() | text(min_size=1)))
    flow = Flow("http", Target("shop.example", 80), source, identity, draw(text()))
    data = binary(max_size=30)
    headers = ((b"referer", draw(data)), (b"user-agent", draw(data)), (b"traceparent", draw(data)))
    head = RequestHead(draw(data), draw(data), draw(data), draw(data), draw(none() | data), headers)
    record = RequestRecord(flow, head, draw(sampled_from(["1.1", "2"])), 0.0)
    record.routeName, record.upstream, record.endpoint = draw(text()), draw(text()), draw(text())
    record.hops, record.retries = tuple(draw(lists(text()))), tuple(draw(lists(text())))
    record.status, record.bytesOut = draw(sampled_from([0, 100, 204, 599])), draw(integers(0, 2**60))
    record.seconds, record.firstByteSeconds = draw(small), draw(none() | small)
    if draw(booleans()):
        record.error, record.proxyStatus = draw(text()), draw(none() | text())
    return record


class JSONLinesTests(SynchronousTestCase):
    """
    L{JSONLines}.
    """

    @given(records(), booleans())
    def test_aLineSaysWhatTheDescriptionSaysWhateverCame(self, record: RequestRecord, query: bool) -> None:
        line = JSONLines(lambda: NOW, query).line(record)
        self.assertEqual(line.count("\n"), 1)
        self.assertTrue(line.isascii() and line.endswith("}\n"))
        entry = describeRequest(record, NOW, query) | {"event": "request"}
        self.assertEqual(json.loads(line), entry)
        self.assertEqual(list(json.loads(line)), list(entry))

    def test_partsThatAreKeptAreThoseOfTheSameRequest(self) -> None:
        lines = JSONLines(lambda: NOW)
        first = requestRecord()
        for other in (
            requestRecord(head={"method": b"PUT"}),
            requestRecord(head={"authority": b"other.example"}),
            requestRecord(head={"scheme": b"https"}),
            requestRecord(head={"protocol": b"websocket"}),
            requestRecord(version="2"),
            requestRecord(routeName="other"),
            requestRecord(upstream="other"),
            requestRecord(endpoint="10.0.0.6:8080"),
            requestRecord(hops=("relay",)),
        ):
            for record in (first, other):
                self.assertEqual(json.loads(lines.line(record)), describeRequest(record, NOW) | {"event": "request"})

    def test_whatIsKeptIsBounded(self) -> None:
        lines = JSONLines(lambda: NOW)
        for number in range(MAX_CACHED + 2):
            authority = b"host-%d.example" % number
            record = requestRecord(head={"authority": authority}, endpoint=f"10.0.0.5:{number}")
            self.assertEqual(json.loads(lines.line(record))["authority"], authority.decode())
        self.assertLess(max(len(lines._heads), len(lines._places)), MAX_CACHED)

    def test_theTimeFollowsTheClock(self) -> None:
        times = iter([0.0, 0.999, 1.0, 59.5])
        lines = JSONLines(lambda: next(times))
        found = [json.loads(lines.line(requestRecord()))["time"][11:23] for _ in range(4)]
        self.assertEqual(found, ["00:00:00.000", "00:00:00.999", "00:00:01.000", "00:00:59.500"])

    def test_aPasswordInTheAuthorityIsNotTold(self) -> None:
        record = requestRecord(head={"authority": b"alice:s3cret@shop.example"})
        for line in (JSONLines(lambda: NOW).line(record), CommonLines(lambda: NOW).line(record)):
            self.assertNotIn("s3cret", line)
            self.assertIn("shop.example", line)

    def test_headersAreNotTold(self) -> None:
        record = requestRecord(((b"authorization", b"Basic s3cret"), (b"cookie", b"s3cret")))
        for combined in (False, True):
            self.assertNotIn("s3cret", CommonLines(lambda: NOW, True, combined).line(record))
        self.assertNotIn("s3cret", JSONLines(lambda: NOW).line(record))

    def test_theTraceOfARequestIsTold(self) -> None:
        trace = "0af7651916cd43dd8448eb211c80319c"
        record = requestRecord(((b"traceparent", f"00-{trace}-b7ad6b7169203331-01".encode()),))
        self.assertEqual(json.loads(JSONLines(lambda: NOW).line(record))["traceID"], trace)


class CommonLinesTests(SynchronousTestCase):
    """
    L{CommonLines}.
    """

    def line(self, record: RequestRecord, query: bool = True, combined: bool = False) -> str:
        """
        The line for an exchange.
        """
        return CommonLines(lambda: NOW, query, combined).line(record)

    def test_itIsWhatApacheWrites(self) -> None:
        self.assertEqual(
            self.line(requestRecord()),
            '192.0.2.7 - alice [14/Nov/2023:22:13:20 +0000] "GET http://shop.example/items?page=2 HTTP/1.1" 200 2000\n',
        )

    def test_combinedHasReferrerAndAgent(self) -> None:
        headers = ((b"user-agent", b'curl/8 "odd"'), (b"referer", b"http://a.example/?token=1"))
        line = self.line(requestRecord(headers, version="2", bytesOut=0), combined=True)
        self.assertTrue(line.endswith(' HTTP/2.0" 200 - "http://a.example/?token=1" "curl/8 \\"odd\\""\n'), line)
        line = self.line(requestRecord(headers), query=False, combined=True)
        self.assertIn('"GET http://shop.example/items HTTP/1.1" 200 2000 "http://a.example/" ', line)

    def test_whoIsUnknownIsADash(self) -> None:
        record = requestRecord(status=0, bytesOut=0)
        record.flow = evolve(record.flow, source=None, identity=Identity())
        line = self.line(record)
        self.assertTrue(line.startswith("- - - ["))
        self.assertTrue(line.endswith('" - -\n'))
        record.flow = evolve(record.flow, identity=Identity(node="edge"))
        self.assertTrue(self.line(record).startswith("- - edge ["))

    def test_anUpgradeIsShownAsItWasSent(self) -> None:
        head = {"method": b"CONNECT", "protocol": b"websocket", "path": b"/chat"}
        self.assertIn('"GET http://shop.example/chat HTTP/1.1"', self.line(requestRecord(head=head)))
        self.assertIn('"CONNECT http://shop.example/chat HTTP/2.0"', self.line(requestRecord(head=head, version="2")))

    def test_nobodyWritesALineOfHisOwn(self) -> None:
        forged = b'/ HTTP/1.1" 200 1\n10.0.0.1 - admin [14/Nov/2023:22:13:20 +0000] "GET /\r\x1b[31m\xff\\'
        line = self.line(requestRecord(((b"user-agent", forged),), head={"path": forged}), combined=True)
        self.assertEqual(line.count("\n"), 1)
        self.assertTrue(line[:-1].isascii() and line[:-1].isprintable())
        match = COMMON.fullmatch(line)
        assert match is not None, line
        self.assertIn(r"/\x20HTTP/1.1\"\x20200\x201\x0a10.0.0.1\x20-\x20admin", match[4])
        self.assertTrue(match[4].endswith(r"GET\x20/\x0d\x1b[31m\xff\\"))

    @given(records(), booleans())
    def test_aLineHasItsFieldsWhateverCame(self, record: RequestRecord, combined: bool) -> None:
        record.head = evolve(record.head, method=record.head.method or b"GET")
        line = self.line(record, combined=combined)
        match = COMMON.fullmatch(line)
        assert match is not None, line
        self.assertEqual(match[8] is not None, combined)
        # Nothing is lost on the way.
        unescaped = re.sub(r"\\(x[0-9a-f]{2}|.)", _unescaped, match[4])
        head = record.head
        self.assertEqual(
            unescaped.encode("latin-1"), head.scheme + b"://" + head.authority.rpartition(b"@")[2] + head.path
        )

    def test_aFlowThatWasRefusedHasTheStatusThatItWasAnsweredWith(self) -> None:
        flow = FlowRecord(Flow("udp", Target("2001:db8::1", 53)), 0.0)
        flow.failed(TargetRefused("no"))
        line = CommonLines(lambda: NOW, combined=True).flowLine(flow, False)
        self.assertTrue(line.endswith('"CONNECT [2001:db8::1]:53 UDP" 502 - "-" "-"\n'), line)


def _unescaped(match: re.Match[str]) -> str:
    return chr(int(match[1][1:], 16)) if len(match[1]) == 3 else match[1]
