"""
Tests for L{hermes.wire.capsule}.
"""

from __future__ import annotations

from collections.abc import Iterator

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.wire import capsule
from hermes.wire.buffers import Buffer
from hermes.wire.capsule import (
    MAX_UDP_PAYLOAD,
    UDP_PREFIXES,
    CapsuleReader,
    encodeCapsule,
    encodeDatagrams,
)
from hermes.wire.errors import MalformedError
from hermes.wire.varint import MAX_VARINT, encodeVarint


def joined(pieces: list[Buffer]) -> bytes:
    return b"".join(pieces)


def longVarint(value: int, size: int) -> bytes:
    """
    An encoding of 2, 4 or 8 bytes, whether or not a shorter one would do.
    """
    return (value | {2: 1, 4: 2, 8: 3}[size] << (8 * size - 2)).to_bytes(size, "big")


def chunks(data: bytes, cuts: list[int]) -> Iterator[bytes]:
    """
    C{data} cut at C{cuts}, as far as they lie within.
    """
    at = 0
    for cut in sorted(cuts):
        cut %= len(data) + 1
        if cut >= at:
            yield data[at:cut]
            at = cut
    yield data[at:]


class Heard:
    """
    All that a L{CapsuleReader} found, in a form that can be compared.
    """

    def __init__(self, pieces: Iterator[bytes] | list[bytes], **options: int) -> None:
        self.datagrams: list[bytes] = []
        self.capsules: list[tuple[int, bytes]] = []
        self.contexts: list[tuple[int, bytes]] = []
        self.error: str | None = None
        reader = CapsuleReader(
            capsuleReceived=lambda capsuleType, value: self.capsules.append((capsuleType, value)),
            wanted={1, 2, 0x1337},
            contextReceived=lambda context, payload: self.contexts.append((context, bytes(payload))),
            maxCapsuleSize=options.get("maxCapsuleSize", 3000),
            maxPayloadSize=options.get("maxPayloadSize", 5000),
        )
        try:
            for piece in pieces:
                # A buffer of its own, wiped afterwards: what was returned is only borrowed.
                buffer = bytearray(piece)
                self.datagrams += [bytes(payload) for payload in reader.receive(buffer)]
                buffer[:] = bytes(len(buffer))
            reader.close()
        except MalformedError as error:
            self.error = str(error)
        self.oversize = reader.oversizeDatagrams


datagrams = st.one_of(st.binary(max_size=80), st.integers(0, 2500).map(bytes))
varintSizes = st.sampled_from([2, 4, 8])


@st.composite
def capsuleStreams(draw: st.DrawFn) -> bytes:
    """
    Streams of capsules: runs of one size, single ones, other types and contexts, long encodings, too large ones, and
    sometimes bytes that are no capsule or an end that comes too early.
    """
    parts: list[bytes] = []
    for _ in range(draw(st.integers(0, 6))):
        kind = draw(st.sampled_from(["run", "mixed", "context", "type", "long", "large", "junk"]))
        if kind == "run":
            size = draw(st.integers(0, 100))
            parts.append(joined(encodeDatagrams([bytes([n]) * size for n in range(draw(st.integers(1, 100)))])))
        elif kind == "mixed":
            parts.append(joined(encodeDatagrams(draw(st.lists(datagrams, max_size=20)))))
        elif kind == "context":
            parts.append(encodeCapsule(0, encodeVarint(draw(st.integers(0, MAX_VARINT))) + draw(datagrams)))
        elif kind == "type":
            parts.append(encodeCapsule(draw(st.sampled_from([1, 2, 3, 0x1337, MAX_VARINT])), draw(datagrams)))
        elif kind == "long":
            payload = draw(datagrams)
            context = longVarint(0, draw(varintSizes))
            length = longVarint(len(context) + len(payload), draw(varintSizes))
            parts.append(longVarint(0, draw(varintSizes)) + length + context + payload)
        elif kind == "large":
            value = encodeVarint(draw(st.integers(0, 3))) + bytes(draw(st.integers(2990, 5010)))
            parts.append(encodeCapsule(draw(st.sampled_from([0, 1, 3])), value))
        else:
            parts.append(draw(st.binary(max_size=30)))
    data = b"".join(parts)
    return data[: len(data) - draw(st.sampled_from([0, 0, 0, 1, 5]))]


class EncodeTests(SynchronousTestCase):
    """
    Writing.
    """

    def test_oneDatagramIsACapsuleWithContextZero(self) -> None:
        self.assertEqual(joined(encodeDatagrams([b"abc"])), b"\x00\x04\x00abc")

    def test_noDatagramsAreNoBytes(self) -> None:
        self.assertEqual(encodeDatagrams([]), [])

    def test_anEmptyDatagramHasACapsule(self) -> None:
        self.assertEqual(joined(encodeDatagrams([b"", b""])), b"\x00\x01\x00\x00\x01\x00")

    def test_aBatchOfOneSizeIsOnePiece(self) -> None:
        self.assertEqual(encodeDatagrams([b"ab", b"cd"]), [b"\x00\x03\x00ab\x00\x03\x00cd"])

    def test_aBatchOfManySizesKeepsItsOrder(self) -> None:
        self.assertEqual(joined(encodeDatagrams([b"a", b"bc", b""])), b"\x00\x02\x00a\x00\x03\x00bc\x00\x01\x00")

    def test_largeDatagramsAreNotCopied(self) -> None:
        large = [bytes(60000), bytes(60001)]
        pieces = encodeDatagrams(large)
        self.assertIs(pieces[1], large[0])
        self.assertIs(pieces[3], large[1])

    def test_theLargestPayloadIsWrittenAndALargerOneRefused(self) -> None:
        self.assertEqual(len(joined(encodeDatagrams([bytes(MAX_UDP_PAYLOAD)]))), MAX_UDP_PAYLOAD + 6)
        self.assertRaises(ValueError, encodeDatagrams, [bytes(MAX_UDP_PAYLOAD + 1)])

    def test_aPrefixIsAtMostSixBytes(self) -> None:
        self.assertEqual(len(UDP_PREFIXES[62]), 3)
        self.assertEqual(len(UDP_PREFIXES[1200]), 4)
        self.assertEqual(len(UDP_PREFIXES[MAX_UDP_PAYLOAD]), 6)

    def test_aCapsuleOfAnyTypeIsWritten(self) -> None:
        self.assertEqual(encodeCapsule(0x1337, b"xy"), b"\x53\x37\x02xy")


class ReadTests(SynchronousTestCase):
    """
    Reading.
    """

    def test_payloadsAreSlicesOfTheInput(self) -> None:
        data = joined(encodeDatagrams([b"abc", b"defg", bytes(1200)]))
        payloads = CapsuleReader().receive(data)
        for payload in payloads:
            assert isinstance(payload, memoryview)
            self.assertIs(payload.obj, data)
        self.assertEqual(payloads, [b"abc", b"defg", bytes(1200)])

    def test_aRunOfOneSizeComesOutInOrder(self) -> None:
        for size in (0, 1, 61, 62, 63, 1200, 16382, 16383):
            batch = [n.to_bytes(2, "big").ljust(size, b"x")[:size] for n in range(300)]
            self.assertEqual(CapsuleReader().receive(joined(encodeDatagrams(batch))), batch)

    def test_aRunIsBrokenByACapsuleOfTheSameLengthAndAnotherContext(self) -> None:
        contexts: list[tuple[int, bytes]] = []
        reader = CapsuleReader(contextReceived=lambda context, payload: contexts.append((context, bytes(payload))))
        zero, two = encodeCapsule(0, b"\x00zz"), encodeCapsule(0, b"\x02zz")
        self.assertEqual(len(reader.receive(zero * 100 + two + zero * 100)), 200)
        self.assertEqual(contexts, [(2, b"zz")])

    def test_aRunIsBrokenByACapsuleOfTheSameLengthAndAnotherType(self) -> None:
        zero, other = encodeCapsule(0, b"\x00zz"), encodeCapsule(7, b"\x00zz")
        for at in range(100):
            payloads = CapsuleReader().receive(zero * at + other + zero * (99 - at))
            self.assertEqual(len(payloads), 99)

    def test_emptyDatagramsArrive(self) -> None:
        self.assertEqual(CapsuleReader().receive(b"\x00\x01\x00" * 5), [b""] * 5)

    def test_theLargestPayloadArrivesInAnyCut(self) -> None:
        data = joined(encodeDatagrams([b"x" * MAX_UDP_PAYLOAD]))
        self.assertEqual(CapsuleReader().receive(data), [b"x" * MAX_UDP_PAYLOAD])
        reader = CapsuleReader()
        found = [payload for at in range(0, len(data), 1000) for payload in reader.receive(data[at : at + 1000])]
        self.assertEqual(found, [b"x" * MAX_UDP_PAYLOAD])

    def test_aPayloadThatStraddledCallsIsNotTouchedByTheNext(self) -> None:
        reader = CapsuleReader()
        reader.receive(b"\x00\x04\x00a")
        (first,) = reader.receive(b"bc\x00\x04\x00d")
        reader.receive(b"ef")
        self.assertEqual(first, b"abc")

    def test_aLongerEncodingThanNeededIsRead(self) -> None:
        for typeSize in (2, 4, 8):
            for lengthSize in (2, 4, 8):
                for contextSize in (2, 4, 8):
                    data = longVarint(0, typeSize) + longVarint(contextSize + 3, lengthSize)
                    data += longVarint(0, contextSize) + b"abc"
                    self.assertEqual(CapsuleReader().receive(data * 30), [b"abc"] * 30)

    def test_unknownTypesAreSkipped(self) -> None:
        data = encodeCapsule(0x29, b"grease") + joined(encodeDatagrams([b"abc"])) + encodeCapsule(MAX_VARINT, b"")
        reader = CapsuleReader()
        self.assertEqual(reader.receive(data), [b"abc"])
        reader.close()

    def test_anUnknownCapsuleOfAnyLengthIsSkippedWithoutBuffering(self) -> None:
        reader = CapsuleReader()
        reader.receive(encodeVarint(0x29) + encodeVarint(MAX_VARINT))
        for _ in range(100):
            self.assertEqual(reader.receive(bytes(100_000)), [])
        self.assertEqual(len(reader._partial), 0)

    def test_whatFollowsASkippedCapsuleIsFound(self) -> None:
        reader = CapsuleReader()
        reader.receive(encodeVarint(0x29) + encodeVarint(1000) + bytes(400))
        self.assertEqual(reader.receive(bytes(600) + joined(encodeDatagrams([b"abc"]))), [b"abc"])

    def test_aDatagramAboveTheBoundIsSkippedAndCounted(self) -> None:
        reader = CapsuleReader(maxCapsuleSize=1000)
        data = joined(encodeDatagrams([b"a", bytes(1000), b"b", bytes(999)]))
        self.assertEqual(reader.receive(data), [b"a", b"b", bytes(999)])
        self.assertEqual(reader.oversizeDatagrams, 1)

    def test_aPayloadThatNoUDPPacketHoldsIsAnError(self) -> None:
        data = encodeVarint(0) + encodeVarint(MAX_UDP_PAYLOAD + 2) + b"\x00"
        self.assertRaises(MalformedError, CapsuleReader().receive, data)
        reader = CapsuleReader()
        reader.receive(data[:-1])
        self.assertRaises(MalformedError, reader.receive, data[-1:])

    def test_aLargeDatagramOfAnotherContextIsSkipped(self) -> None:
        reader = CapsuleReader()
        self.assertEqual(reader.receive(encodeCapsule(0, b"\x02" + bytes(100_000)) + b"\x00\x01\x00"), [b""])
        self.assertEqual(reader.oversizeDatagrams, 1)

    def test_withoutABoundOfTheProtocolALargePayloadIsOnlyCounted(self) -> None:
        reader = CapsuleReader(maxPayloadSize=None)
        self.assertEqual(reader.receive(encodeCapsule(0, bytes(100_000))), [])
        self.assertEqual(reader.oversizeDatagrams, 1)

    def test_unknownContextsAreDroppedAndCounted(self) -> None:
        reader = CapsuleReader()
        self.assertEqual(reader.receive(encodeCapsule(0, b"\x02abc") * 3 + b"\x00\x02\x00z"), [b"z"])
        self.assertEqual(reader.unknownContexts, 3)

    def test_wantedCapsulesAreDelivered(self) -> None:
        heard: list[tuple[int, bytes]] = []
        reader = CapsuleReader(capsuleReceived=lambda *found: heard.append(found), wanted={1})
        reader.receive(encodeCapsule(1, b"one") + encodeCapsule(2, b"two"))
        self.assertEqual(heard, [(1, b"one")])

    def test_aWantedCapsuleAboveTheBoundIsAnErrorAtItsHeader(self) -> None:
        reader = CapsuleReader(100, lambda *found: None, wanted={1})
        self.assertRaises(MalformedError, reader.receive, b"\x01" + encodeVarint(101))

    def test_aDatagramWithoutAContextIsAnError(self) -> None:
        self.assertRaises(MalformedError, CapsuleReader().receive, b"\x00\x00")

    def test_aContextCutByTheEndOfItsCapsuleIsAnError(self) -> None:
        self.assertRaises(MalformedError, CapsuleReader().receive, b"\x00\x01\x40\x00\x01\x00")

    def test_anEndBetweenCapsulesIsInOrder(self) -> None:
        reader = CapsuleReader()
        reader.close()
        reader.receive(b"\x00\x01\x00")
        reader.close()

    def test_anEndWithinACapsuleIsAnError(self) -> None:
        for data in (b"\x00", b"\x00\x04", b"\x00\x04\x00ab", b"\x29\x02x", b"\x29\x44"):
            reader = CapsuleReader()
            reader.receive(data)
            self.assertRaises(MalformedError, reader.close)

    def test_aBoundThatHoldsNoHeaderIsRefused(self) -> None:
        self.assertRaises(ValueError, CapsuleReader, 15)

    def test_mixedTrafficDoesNotLookForRunsAgainAndAgain(self) -> None:
        reader = CapsuleReader()
        data = joined(encodeDatagrams([b"aaaa", b"bbbb", b"cccc", b"dddd", b"e"] * 2000))
        looks: list[int] = []

        def look(view: memoryview, position: int, stride: int, width: int, header: memoryview) -> int:
            looks.append(width)
            return 0

        self.patch(capsule, "runLength", look)
        self.assertEqual(len(reader.receive(data)), 10_000)
        self.assertLess(sum(looks), 10_000)

    @settings(deadline=None)
    @given(st.lists(datagrams, max_size=200), st.lists(st.integers(0, 1 << 20), max_size=20))
    def test_datagramsSurviveAnyCut(self, batch: list[bytes], cuts: list[int]) -> None:
        data = joined(encodeDatagrams(batch))
        heard = Heard(chunks(data, cuts))
        self.assertEqual(heard.datagrams, batch)
        self.assertIsNone(heard.error)

    @settings(deadline=None, max_examples=300)
    @given(capsuleStreams(), st.lists(st.integers(0, 1 << 20), max_size=20))
    def test_whatIsFoundDoesNotDependOnTheCuts(self, data: bytes, cuts: list[int]) -> None:
        whole = Heard([data])
        cut = Heard(chunks(data, cuts))
        self.assertEqual(cut.error, whole.error)
        if whole.error is None:
            self.assertEqual(cut.datagrams, whole.datagrams)
            self.assertEqual(cut.oversize, whole.oversize)
        self.assertEqual(cut.capsules, whole.capsules)
        self.assertEqual(cut.contexts, whole.contexts)

    @settings(deadline=None)
    @given(capsuleStreams())
    def test_byteByByteIsTheSameAsAtOnce(self, data: bytes) -> None:
        whole = Heard([data])
        cut = Heard([data[at : at + 1] for at in range(len(data))])
        self.assertEqual(cut.error, whole.error)
        self.assertEqual(cut.capsules, whole.capsules)
        self.assertEqual(cut.contexts, whole.contexts)
        if whole.error is None:
            self.assertEqual(cut.datagrams, whole.datagrams)
