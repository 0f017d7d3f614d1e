"""
Whatever a peer sends, in whatever pieces: nothing is raised, what comes back is frames, and the pieces make no
difference.
"""

from __future__ import annotations

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.http2.abuse import FloodLimits
from hermes.http2.exchange import Exchange
from hermes.http2.handler import EngineSettings
from hermes.test.http2 import raw
from hermes.test.http2.raw import DATA, GOAWAY, HEADERS, PREFACE, RST_STREAM, WINDOW_UPDATE, Peer, RawClient, RawServer
from hermes.test.http2.wire import Reader

SMALL = EngineSettings(
    maxFrameSize=16_384,
    streamWindow=70_000,
    connectionWindow=100_000,
    maxStreams=3,
    maxHeaderList=2000,
    floods=FloodLimits(pings=(20, 1), settings=(5, 1), empty=(5, 1), resets=(10, 1)),
)

streamIDs = st.sampled_from([0, 1, 1, 1, 3, 3, 5, 2, 7, 9, 2**31 - 1])
ends = st.booleans()
values = st.binary(max_size=12)
names = st.sampled_from([b"x", b"te", b"content-length", b"host", b":path", b":status", b"X", b"cookie"])
extras = st.lists(st.tuples(names, values), max_size=2).map(tuple)
requests = st.builds(
    lambda base, extra: (*base, *extra), st.sampled_from([raw.GET, raw.POST, raw.HEAD, raw.OK, ()]), extras
)
frames = st.one_of(
    st.builds(raw.headers, streamIDs, requests, ends, st.sampled_from([4, 4, 4, 0, 12, 36, 44])),
    st.builds(raw.continuation, streamIDs, requests, ends),
    st.builds(raw.data, streamIDs, st.sampled_from([b"", b"x", bytes(100), bytes(16_384)]), ends),
    st.builds(raw.data, streamIDs, st.binary(max_size=9), ends, st.integers(0, 255)),
    st.builds(raw.reset, streamIDs, st.integers(0, 2**32 - 1)),
    st.builds(raw.windowUpdate, streamIDs, st.sampled_from([0, 1, 5, 1000, 2**31 - 1, 2**32 - 1])),
    st.builds(lambda pairs: raw.settings(*pairs), st.lists(st.tuples(st.integers(0, 9), st.integers(0, 2**32 - 1)))),
    st.builds(lambda size: raw.settings((4, size)), st.sampled_from([0, 1, 5, 65_535, 2**31 - 1])),
    st.just(raw.settings(ack=True)),
    st.builds(raw.ping, st.binary(min_size=8, max_size=8), ends),
    st.builds(raw.priority, streamIDs, streamIDs),
    st.builds(raw.goAway, streamIDs, st.integers(0, 20), values),
    st.builds(raw.frame, st.integers(0, 12), st.integers(0, 255), streamIDs, st.binary(max_size=20)),
    st.builds(raw.frame, st.integers(0, 12), st.integers(0, 255), streamIDs, values, st.integers(0, 40)),
)


@st.composite
def traffic(draw: st.DrawFn) -> bytes:
    """
    Frames, some of which have been damaged.
    """
    stream = bytearray(b"".join(draw(st.lists(frames, max_size=12))))
    for _ in range(draw(st.integers(0, 3))):
        if stream:
            position = draw(st.integers(0, len(stream) - 1))
            change = draw(st.sampled_from(["set", "drop", "insert"]))
            if change == "set":
                stream[position] = draw(st.integers(0, 255))
            elif change == "drop":
                del stream[position]
            else:
                stream.insert(position, draw(st.integers(0, 255)))
    return bytes(stream)


anything = st.one_of(traffic(), traffic(), st.binary(max_size=200), st.binary(max_size=60).map(PREFACE.__add__))
cuts = st.one_of(st.just([1]), st.lists(st.integers(1, 200), min_size=1, max_size=5))


def inPieces(peer: Peer, stream: bytes, sizes: list[int]) -> None:
    """
    Send in pieces of these sizes, over and over.
    """
    offset = number = 0
    while offset < len(stream):
        # Long bodies byte by byte would take long.
        size = sizes[number % len(sizes)] if len(stream) < 5000 else sizes[number % len(sizes)] * 100
        # The buffer is overwritten afterwards, as a transport's is.
        piece = bytearray(stream[offset : offset + size])
        peer.connection.dataReceived(memoryview(piece))
        piece[:] = bytes(len(piece))
        offset += size
        number += 1
    peer.read()


def answers(peer: Peer) -> dict[int, list[object]]:
    """
    What came back on each stream, but for bodies, windows and our own PINGs.
    """
    told: dict[int, list[object]] = {}
    for each in peer.frames:
        if each.kind in (DATA, WINDOW_UPDATE) or (each.kind == raw.PING and not each.flags):
            continue
        what = each.fields if each.kind == HEADERS else each.payload
        told.setdefault(each.streamID, []).append((each.kind, each.flags, what))
    return told


class ArbitraryTests(SynchronousTestCase):
    """
    Both ends, fed with anything.
    """

    def compare(self, whole: Peer, cut: Peer) -> None:
        """
        Both were answered alike, and hold together.
        """
        self.assertEqual(answers(whole), answers(cut))
        self.assertEqual(whole.wire.closed, cut.wire.closed)
        failed = {each.streamID for each in whole.of(RST_STREAM)}
        for streamID in {each.streamID for each in whole.of(DATA) + cut.of(DATA)}:
            bodies = whole.bodyOf(streamID), cut.bodyOf(streamID)
            if streamID in failed or whole.wire.closed or streamID not in whole.connection._engine.lanes:
                # What went out before the end depends on when we were told of it.
                self.assertEqual(*(each[: min(map(len, bodies))] for each in bodies))
            else:
                self.assertEqual(*bodies)
        for peer in (whole, cut):
            engine = peer.connection._engine
            self.assertEqual(bool(peer.of(GOAWAY)) and peer.frames[-1].kind != GOAWAY, False)
            if peer.wire.closed:
                self.assertEqual(peer.connection.openExchanges, 0)
            exchanges = [each.exchange for each in engine.lanes.values() if isinstance(each.exchange, Exchange)]
            self.assertLessEqual(sum(each.heldBytes for each in exchanges), peer.connection.heldBytes)
            self.assertLess(len(engine._partial), 20_000)
            peer.hangUp()
            self.assertEqual(peer.connection.heldBytes, sum(each.heldBytes for each in exchanges if not each.gone))
            self.assertEqual(peer.clock.getDelayedCalls(), [])

    @settings(deadline=None, max_examples=400, suppress_health_check=list(HealthCheck))
    @given(stream=anything, sizes=cuts, answering=st.booleans(), greeted=st.sampled_from([True, True, True, False]))
    @example(raw.headers(1, raw.POST) + raw.data(1, b"", True, 255), [1], True, True)
    def test_aServerAnswersAlikeHoweverItIsFed(
        self, stream: bytes, sizes: list[int], answering: bool, greeted: bool
    ) -> None:
        whole, cut = (RawClient(SMALL, answering, handshake=greeted) for _ in range(2))
        whole.connection.dataReceived(stream)
        whole.read()
        inPieces(cut, stream, sizes)
        self.assertEqual(
            [each.request for each in whole.handler.exchanges], [each.request for each in cut.handler.exchanges]
        )
        self.compare(whole, cut)

    @settings(deadline=None, max_examples=400, suppress_health_check=list(HealthCheck))
    @given(stream=anything, sizes=cuts, open=st.booleans(), greeted=st.sampled_from([True, True, True, False]))
    def test_aClientAnswersAlikeHoweverItIsFed(
        self, stream: bytes, sizes: list[int], open: bool, greeted: bool
    ) -> None:
        peers = [RawServer(SMALL, greeted, end=not open) for _ in range(2)]
        for peer in peers:
            if greeted:
                peer.ask()
                peer.exchanges[0].attach(Reader())
        whole, cut = peers
        whole.connection.dataReceived(stream)
        whole.read()
        inPieces(cut, stream, sizes)
        self.compare(whole, cut)
        # What failed with the connection says so; what failed on its own has the same code.
        self.assertEqual(
            {each: str(outcome) for each, outcome in whole.outcomes.items()},
            {each: str(outcome) for each, outcome in cut.outcomes.items()},
        )
