"""
Tests for L{hermes.wire.framecapsules}.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.wire import capsule, framecapsules
from hermes.wire.buffers import Buffer
from hermes.wire.capsule import CapsuleReader, encodeCapsule, encodeDatagrams
from hermes.wire.errors import MalformedError
from hermes.wire.framecapsules import MAX_FRAME, MAX_PACKET, FrameReader, encodeFrames, encodePackets, framed
from hermes.wire.varint import MAX_VARINT, encodeVarint

PLAIN = bytes(10)
PARTIAL = bytes((1, 0, 0, 0, 0, 0, 20, 0, 6, 0))
ROUTES, REQUEST = 3, 2


def check(frame: Buffer) -> None:
    """
    What C{checkOffload} is here: the second byte of a header that says something must be 0.
    """
    if frame[1]:
        raise MalformedError("hostile")


def makeReader() -> FrameReader:
    return FrameReader({ROUTES, REQUEST}, check)


def joined(pieces: Iterable[Buffer]) -> bytes:
    return b"".join(pieces)


def copied(frames: Iterable[Buffer]) -> list[bytes]:
    return [bytes(frame) for frame in frames]


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
    All that a L{FrameReader} found, in a form that can be compared: frames and capsules in their order.
    """

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self.found: list[object] = []
        self.error: str | None = None
        reader = makeReader()
        try:
            for piece in pieces:
                buffer = bytearray(piece)
                frames = reader.receive(buffer)
                behind = 0
                for place, capsuleType, value in reader.capsules:
                    self.found += copied(frames[behind:place])
                    self.found.append((capsuleType, value))
                    behind = place
                self.found += copied(frames[behind:])
                # Each can be written to, and none of it is another's.
                for number, frame in enumerate(frames):
                    memoryview(frame)[:] = bytes([number & 255]) * len(frame)
                for number, frame in enumerate(frames):
                    assert bytes(frame) == bytes([number & 255]) * len(frame)
            reader.close()
        except MalformedError as error:
            self.error = str(error)
        self.counts = reader.oversizeDatagrams, reader.unknownContexts, reader.unfit


packets = st.one_of(st.binary(min_size=1, max_size=80), st.integers(1, 2500).map(lambda size: b"p" * size))
headers = st.sampled_from([PLAIN, PARTIAL, b"\2" + bytes(9), b"\0\7" + bytes(8)])


@st.composite
def capsuleStreams(draw: st.DrawFn) -> bytes:
    """
    Streams of capsules: runs of one size under both contexts, single ones, other types and contexts, long encodings,
    and sometimes bytes that are no capsule or an end that comes too early.
    """
    parts: list[bytes] = []
    for _ in range(draw(st.integers(0, 6))):
        kind = draw(st.sampled_from(["run", "frames", "mixed", "context", "type", "wanted", "long", "large", "junk"]))
        if kind == "run":
            size = draw(st.integers(1, 100))
            parts.append(joined(encodePackets([bytes([n]) * size for n in range(draw(st.integers(1, 100)))])))
        elif kind == "frames":
            size, header = draw(st.integers(0, 100)), draw(headers)
            parts.append(joined(encodeFrames([header + bytes([n]) * size for n in range(draw(st.integers(1, 100)))])))
        elif kind == "mixed":
            for packet in draw(st.lists(packets, max_size=20)):
                whole = draw(st.booleans())
                parts.append(joined(encodeFrames([draw(headers) + packet]) if whole else encodePackets([packet])))
        elif kind == "context":
            parts.append(encodeCapsule(0, encodeVarint(draw(st.integers(0, MAX_VARINT))) + draw(packets)))
        elif kind == "type":
            parts.append(encodeCapsule(draw(st.sampled_from([1, 4, MAX_VARINT])), draw(packets)))
        elif kind == "wanted":
            parts.append(encodeCapsule(draw(st.sampled_from([ROUTES, REQUEST])), draw(st.binary(max_size=60))))
        elif kind == "long":
            payload = draw(packets)
            context = draw(st.sampled_from([b"\x40\0", b"\x40\2", b"\x80\0\0\2", b"\x80\0\0\0"]))
            size = len(context) + len(payload)
            parts.append(b"\0" + (size | 2 << 30).to_bytes(4, "big") + context + payload)
        elif kind == "large":
            value = encodeVarint(draw(st.integers(0, 3))) + bytes(draw(st.integers(65520, 65560)))
            parts.append(encodeCapsule(draw(st.sampled_from([0, 1])), value))
        else:
            parts.append(draw(st.binary(max_size=30)))
    data = b"".join(parts)
    return data[: len(data) - draw(st.sampled_from([0, 0, 0, 1, 5]))]


def reference(data: bytes) -> tuple[list[object], tuple[int, int, int] | None]:
    """
    The same as L{Heard} says, found in the plainest way; the counts are L{None} for a stream that is malformed.
    """
    found: list[object] = []
    oversize = unknown = unfit = 0
    at = 0

    def varint() -> int | None:
        nonlocal at
        if at >= len(data):
            return None
        size = 1 << (data[at] >> 6)
        if at + size > len(data):
            return None
        value = int.from_bytes(data[at : at + size], "big") & ((1 << (8 * size - 2)) - 1)
        at += size
        return value

    while at < len(data):
        capsuleType = varint()
        length = None if capsuleType is None else varint()
        if capsuleType is None or length is None:
            return found, None
        if capsuleType in (ROUTES, REQUEST) and length > 8 + MAX_FRAME:
            return found, None
        value, end = data[at : at + length], at + length
        if end > len(data):
            return found, None
        if capsuleType in (ROUTES, REQUEST):
            found.append((capsuleType, value))
        elif capsuleType == 0 and length > 8 + MAX_FRAME:
            oversize += 1
        elif capsuleType == 0:
            context = varint()
            if context is None or at > end:
                return found, None
            payload = data[at:end]
            if context == 0 and not payload:
                unfit += 1
            elif context == 0:
                if len(payload) > MAX_PACKET:
                    oversize += 1
                else:
                    found.append(PLAIN + payload)
            elif context == 2:
                if len(payload) > MAX_FRAME:
                    oversize += 1
                elif len(payload) <= 10 or payload[1]:
                    unfit += 1
                else:
                    found.append(payload)
            else:
                unknown += 1
        at = end
    return found, (oversize, unknown, unfit)


class EncodeTests(SynchronousTestCase):
    """
    Writing.
    """

    def test_packetsAndFramesHaveTheirContext(self) -> None:
        self.assertEqual(joined(encodePackets([b"abc"])), b"\0\4\0abc")
        self.assertEqual(joined(encodeFrames([PARTIAL + b"abc"])), b"\0\x0e\2" + PARTIAL + b"abc")

    def test_theLongestAreWrittenAndLongerOnesRefused(self) -> None:
        self.assertEqual(len(joined(encodePackets([bytes(MAX_PACKET)]))), MAX_PACKET + 6)
        self.assertEqual(len(joined(encodeFrames([bytes(MAX_FRAME)]))), MAX_FRAME + 6)
        self.assertRaises(ValueError, encodePackets, [bytes(MAX_PACKET + 1)])
        self.assertRaises(ValueError, encodeFrames, [bytes(MAX_FRAME + 1), b"x"])

    def test_largeFramesAreNotCopied(self) -> None:
        large = [bytes(60000), bytes(60001)]
        self.assertIs(encodeFrames(large)[1], large[0])

    def test_packetsAreRead_byWhoeverReadsDatagrams(self) -> None:
        packets = [bytes([number]) * (number * 7 + 1) for number in range(100)]
        self.assertEqual(CapsuleReader().receive(joined(encodePackets(packets))), packets)
        self.assertEqual(joined(encodePackets(packets)), joined(encodeDatagrams(packets)))


class FramedTests(SynchronousTestCase):
    """
    L{framed}.
    """

    def test_eachPacketGetsAHeaderOfZeros(self) -> None:
        for batch in ([b"a"], [b"ab", b"cd", b"ef"], [b"a", b"bcd", b"ef", b"g"]):
            frames = framed(batch)
            self.assertEqual(copied(frames), [PLAIN + packet for packet in batch])
            for frame in frames:
                self.assertFalse(memoryview(frame).readonly)


class ReadTests(SynchronousTestCase):
    """
    Reading.
    """

    def test_bothContextsComeInOrder(self) -> None:
        data = joined(encodePackets([b"one", b"two"])) + joined(encodeFrames([PARTIAL + b"three"]))
        data += joined(encodePackets([b"four"])) + joined(encodeFrames([PLAIN + b"five"] * 40))
        frames = makeReader().receive(data)
        wanted = [PLAIN + b"one", PLAIN + b"two", PARTIAL + b"three", PLAIN + b"four", *[PLAIN + b"five"] * 40]
        self.assertEqual(copied(frames), wanted)

    def test_framesLieInTheBufferWhereItMayBeWrittenTo(self) -> None:
        data = bytearray(joined(encodeFrames([PARTIAL + b"x" * 1000] * 50)))
        frames = makeReader().receive(data)
        self.assertEqual(len(frames), 50)
        for frame in frames:
            assert isinstance(frame, memoryview)
            self.assertIs(frame.obj, data)

    def test_whatMayNotBeWrittenToIsLeftAsItWas(self) -> None:
        data = joined(encodeFrames([PARTIAL + b"x" * 100] * 5))
        before = bytes(bytearray(data))
        for frame in makeReader().receive(memoryview(data)):
            memoryview(frame)[:] = bytes(len(frame))
        self.assertEqual(data, before)

    def test_capsulesKeepTheirPlaceAmongFrames(self) -> None:
        data = joined(encodePackets([b"a", b"b"])) + encodeCapsule(ROUTES, b"r") + joined(encodePackets([b"c"]))
        data += encodeCapsule(REQUEST, b"q") + encodeCapsule(0x29, b"grease") + encodeCapsule(REQUEST, b"s")
        reader = makeReader()
        self.assertEqual(len(reader.receive(data)), 3)
        self.assertEqual(reader.capsules, [(2, ROUTES, b"r"), (3, REQUEST, b"q"), (3, REQUEST, b"s")])
        reader.receive(b"")
        self.assertEqual(reader.capsules, [])

    def test_framesWithHostileHeadersAreDroppedAndCounted(self) -> None:
        hostile = b"\0\1" + bytes(8) + b"packet"
        reader = makeReader()
        frames = reader.receive(joined(encodeFrames([PARTIAL + b"good!!", hostile, PLAIN + b"good!!"] * 20)))
        self.assertEqual(copied(frames), [PARTIAL + b"good!!", PLAIN + b"good!!"] * 20)
        self.assertEqual(reader.unfit, 20)

    def test_whatHasNoPacketIsDroppedAndCounted(self) -> None:
        reader = makeReader()
        data = (
            joined(encodePackets([b""])) + joined(encodeFrames([b"", bytes(9), PLAIN])) + joined(encodePackets([b"a"]))
        )
        self.assertEqual(copied(reader.receive(data)), [PLAIN + b"a"])
        self.assertEqual(reader.unfit, 4)

    def test_theLongestComeInAnyCut(self) -> None:
        data = joined(encodePackets([b"p" * MAX_PACKET])) + joined(encodeFrames([PARTIAL + b"f" * MAX_PACKET]))
        for size in (1000, 65536, len(data)):
            reader = makeReader()
            found = [bytes(each) for at in range(0, len(data), size) for each in reader.receive(data[at : at + size])]
            self.assertEqual(found, [PLAIN + b"p" * MAX_PACKET, PARTIAL + b"f" * MAX_PACKET])

    def test_aPacketThatIPHasNoLengthForIsDroppedAndCounted(self) -> None:
        reader = makeReader()
        for context, most in ((0, MAX_PACKET), (2, MAX_FRAME)):
            for size in (most + 1, most + 100):
                reader.receive(encodeCapsule(0, bytes([context]) + bytes(size)))
        self.assertEqual(reader.oversizeDatagrams, 4)
        self.assertEqual(copied(reader.receive(b"\0\2\0a")), [PLAIN + b"a"])

    def test_otherContextsAreDroppedAndCounted(self) -> None:
        reader = makeReader()
        data = b"".join(encodeCapsule(0, encodeVarint(context) + b"?") for context in (1, 3, 4, 63, 64, 1000))
        self.assertEqual(reader.receive(data), [])
        self.assertEqual(reader.unknownContexts, 6)

    def test_framesAreForWhoHasSaidThatItTakesThem(self) -> None:
        reader = FrameReader({ROUTES}, check, takesFrames=False)
        data = (
            joined(encodePackets([b"a"])) + joined(encodeFrames([PARTIAL + b"b"] * 30)) + joined(encodePackets([b"c"]))
        )
        self.assertEqual(copied(reader.receive(data)), [PLAIN + b"a", PLAIN + b"c"])
        self.assertEqual(reader.unknownContexts, 30)

    def test_aWantedCapsuleThatIsTooLongIsAnError(self) -> None:
        self.assertRaises(MalformedError, makeReader().receive, encodeVarint(ROUTES) + encodeVarint(100_000))

    def test_aDatagramWithoutContextIsAnError(self) -> None:
        self.assertRaises(MalformedError, makeReader().receive, b"\0\0")

    def test_anEndWithinACapsuleIsAnError(self) -> None:
        reader = makeReader()
        reader.receive(b"\0\5\2a")
        self.assertRaises(MalformedError, reader.close)

    def test_theSizeOfWhatAPeerMakesUsKeepIsBounded(self) -> None:
        reader = makeReader()
        reader.receive(encodeVarint(0) + encodeVarint(8 + MAX_FRAME) + b"\2")
        for _ in range(8):
            reader.receive(bytes(8000))
        self.assertLess(len(reader._partial), MAX_FRAME + 24)

    def test_looksForRunsAreLinear(self) -> None:
        seen = 0
        look = capsule.runLength

        def counting(*arguments: object) -> int:
            nonlocal seen
            seen += 1
            return look(*arguments)  # type: ignore[arg-type]

        self.patch(framecapsules, "runLength", counting)
        makeReader().receive(joined(encodeFrames([PARTIAL + bytes(60)] * 4000)))
        self.assertLess(seen, 20)

    @settings(deadline=None, max_examples=300)
    @given(capsuleStreams(), st.lists(st.integers(0, 1 << 16), max_size=8))
    def test_whatIsFoundDoesNotDependOnTheCuts(self, data: bytes, cuts: list[int]) -> None:
        whole = Heard([data])
        cut = Heard(chunks(data, cuts))
        # What came before a malformed capsule in the same piece is lost with the stream.
        if whole.error is None:
            self.assertEqual(cut.found, whole.found)
            self.assertEqual(cut.counts, whole.counts)
        self.assertEqual(cut.error is None, whole.error is None)

    @settings(deadline=None, max_examples=300)
    @given(capsuleStreams())
    def test_itFindsWhatAPlainReadingFinds(self, data: bytes) -> None:
        found, counts = reference(data)
        heard = Heard([data])
        self.assertEqual(heard.error is None, counts is not None)
        if counts is not None:
            self.assertEqual(heard.found, found)
            self.assertEqual(heard.counts, counts)

    @settings(deadline=None)
    @given(st.lists(st.tuples(st.booleans(), packets), max_size=60), st.lists(st.integers(0, 1 << 16), max_size=6))
    def test_whatIsWrittenIsRead(self, batch: list[tuple[bool, bytes]], cuts: list[int]) -> None:
        data = b"".join(
            joined(encodeFrames([PARTIAL + each]) if whole else encodePackets([each])) for whole, each in batch
        )
        wanted = [(PARTIAL if whole else PLAIN) + each for whole, each in batch]
        self.assertEqual(Heard(chunks(data, cuts)).found, wanted)
