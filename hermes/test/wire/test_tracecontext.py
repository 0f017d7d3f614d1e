"""
Tests for L{hermes.wire.tracecontext}. The cases are those of the W3C's own suite, and what the text says beyond them.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis.strategies import binary, builds, integers, lists, tuples
from twisted.trial.unittest import SynchronousTestCase

from hermes.wire.tracecontext import (
    MAX_MEMBERS,
    MAX_STATE,
    RANDOM,
    SAMPLED,
    TraceParent,
    parseState,
    traceContext,
    traceIDOf,
)

TRACE = "12345678901234567890123456789012"
SPAN = "1234567890123456"
GOOD = f"00-{TRACE}-{SPAN}-01".encode()


class TraceParentTests(SynchronousTestCase):
    """
    L{TraceParent}.
    """

    def test_itIsRead(self) -> None:
        parent = TraceParent.parse(GOOD)
        self.assertEqual(parent, TraceParent(TRACE, SPAN, SAMPLED))
        assert parent is not None
        self.assertTrue(parent.sampled)
        self.assertFalse(TraceParent(TRACE, SPAN).sampled)

    @given(
        builds(
            TraceParent,
            integers(1, 2**128 - 1).map("{:032x}".format),
            integers(1, 2**64 - 1).map("{:016x}".format),
            integers(0, SAMPLED | RANDOM),
        )
    )
    def test_whatIsWrittenIsRead(self, parent: TraceParent) -> None:
        self.assertEqual(TraceParent.parse(parent.value()), parent)
        self.assertEqual(traceIDOf(parent.value()), parent.traceID)

    @given(binary(max_size=80))
    def test_whateverComesIsReadOrRefused(self, value: bytes) -> None:
        self.assertIsNone(TraceParent.parse(value))

    def test_flagsThatNobodyKnowsAreNotSentOn(self) -> None:
        parent = TraceParent.parse(GOOD[:-2] + b"ff")
        assert parent is not None
        self.assertEqual(parent.flags, SAMPLED | RANDOM)

    def test_ofAVersionThatIsNotKnownYetWhatThisOneHasIsRead(self) -> None:
        for value in (b"cc" + GOOD[2:], b"cc" + GOOD[2:] + b"-what-the-future-brings", b"01" + GOOD[2:] + b"-"):
            self.assertEqual(TraceParent.parse(value), TraceParent(TRACE, SPAN, SAMPLED), value)

    def test_theRestIsInvalid(self) -> None:
        trace, span = TRACE.encode(), SPAN.encode()
        for value in (
            b"",
            b"ff" + GOOD[2:],
            b"0" + GOOD[2:],
            b"000" + GOOD[2:],
            b".0" + GOOD[2:],
            b"0A" + GOOD[2:],
            GOOD + b"-",
            GOOD + b"-more",
            GOOD + b".",
            b"cc" + GOOD[2:] + b".future",
            b"00-" + b"0" * 32 + b"-" + span + b"-01",
            b"00-" + trace + b"-" + b"0" * 16 + b"-01",
            b"00-" + trace[:-1] + b"-" + span + b"-01",
            b"00-" + trace + b"0-" + span + b"-01",
            b"00-" + trace.replace(b"9", b"A") + b"-" + span + b"-01",
            b"00-" + trace.replace(b"9", b".") + b"-" + span + b"-01",
            b"00-" + trace + b"-" + span[:-1] + b"-01",
            b"00-" + trace + b"-" + span[:-1] + b"X-01",
            b"00-" + trace + b"-" + span + b"-1",
            b"00-" + trace + b"-" + span + b"-001",
            b"00-" + trace + b"-" + span + b"-0.",
            GOOD + b"\n",
        ):
            self.assertIsNone(TraceParent.parse(value), value)
            self.assertIsNone(traceIDOf(value), value)


class StateTests(SynchronousTestCase):
    """
    L{parseState}.
    """

    def test_fieldsAreJoinedInTheirOrder(self) -> None:
        self.assertEqual(parseState([b"foo=1,bar=2", b"rojo=1", b"baz=3"]), b"foo=1,bar=2,rojo=1,baz=3")

    def test_whiteSpaceAndEmptyMembersGo(self) -> None:
        self.assertEqual(
            parseState([b"foo=1 \t , \t bar=2, \t baz=3", b"", b" , foo2=4,"]), b"foo=1,bar=2,baz=3,foo2=4"
        )

    def test_everyCharacterThatKeysAndValuesMayHave(self) -> None:
        key = bytes(c for c in range(0x20, 0x7F) if chr(c) in "abcdefghijklmnopqrstuvwxyz0123456789_-*/")
        value = bytes(c for c in range(0x20, 0x7F) if chr(c) not in ",=")
        for member in (key[key.index(b"a") :] + b"=" + value, b"0ab1@a-b_c/d=" + value, b"a=0", b"z" * 256 + b"=1"):
            self.assertEqual(parseState([member]), member)

    def test_whatIsInvalidIsDiscardedWhole(self) -> None:
        for value in (
            b"foo =1",
            b"FOO=1",
            b"foo.bar=1",
            b"foo@=1,bar=2",
            b"@foo=1,bar=2",
            b"foo@@bar=1,bar=2",
            b"foo@bar@baz=1,bar=2",
            b"z" * 257 + b"=1",
            b"t" * 242 + b"@v=1",
            b"t@" + b"v" * 15 + b"=1",
            b"foo=1,foo=1",
            b"foo=bar=baz",
            b"foo=,bar=3",
            b"foo",
            b"foo=\x7f",
            b"foo=" + b"v" * 257,
        ):
            self.assertEqual(parseState([value]), b"", value)

    def test_thereAreAtMostThirtyTwoMembers(self) -> None:
        members = [b"bar%02d=%02d" % (number, number) for number in range(MAX_MEMBERS + 1)]
        self.assertEqual(parseState(members[:-1]), b",".join(members[:-1]))
        self.assertEqual(parseState(members), b"")

    def test_whereThereIsTooMuchLongMembersGoFirstAndThenTheLast(self) -> None:
        long, short = b"long=" + b"v" * 200, [b"k%02d=" % number + b"v" * 35 for number in range(14)]
        self.assertEqual(
            parseState([b",".join([short[0], long, *short[1:5]])]), b",".join([short[0], long, *short[1:5]])
        )
        self.assertEqual(parseState([b",".join([short[0], long, *short[1:8]])]), b",".join(short[:8]))
        self.assertEqual(parseState([b",".join([short[0], long, *short[1:]])]), b",".join(short[:12]))

    @given(lists(tuples(integers(0, 10**6), integers(1, 256)), max_size=MAX_MEMBERS, unique_by=lambda each: each[0]))
    def test_whatGoesOnIsBoundedAndGoesOnAsItIs(self, members: list[tuple[int, int]]) -> None:
        state = parseState([b"k%d=" % key + b"v" * length for key, length in members])
        self.assertLessEqual(len(state), MAX_STATE)
        self.assertEqual(parseState([state]), state)

    @given(lists(binary(max_size=600), max_size=3))
    def test_whateverComesIsReadOrDiscarded(self, values: list[bytes]) -> None:
        self.assertLessEqual(len(parseState(values)), MAX_STATE)


class ContextTests(SynchronousTestCase):
    """
    L{traceContext}.
    """

    def test_bothFieldsAreRead(self) -> None:
        headers = ((b"accept", b"*/*"), (b"tracestate", b"a=1"), (b"traceparent", GOOD), (b"tracestate", b"b=2"))
        self.assertEqual(traceContext(headers), (TraceParent(TRACE, SPAN, SAMPLED), b"a=1,b=2"))

    def test_aStateThatIsInvalidDoesNotHurtTheParent(self) -> None:
        headers = ((b"traceparent", GOOD), (b"tracestate", b"foo"))
        self.assertEqual(traceContext(headers), (TraceParent(TRACE, SPAN, SAMPLED), b""))

    def test_withoutOneValidParentThereIsNone(self) -> None:
        state = (b"tracestate", b"a=1")
        self.assertIsNone(traceContext((state,)))
        self.assertIsNone(traceContext(((b"traceparent", b"nonsense"), state)))
        self.assertIsNone(traceContext(((b"traceparent", GOOD), (b"traceparent", GOOD), state)))
