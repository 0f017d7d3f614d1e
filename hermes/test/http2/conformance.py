"""
Tables of what a peer does and how it must be answered, as tests.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from attrs import frozen
from twisted.trial.unittest import SynchronousTestCase

from hermes.errors import StreamReset
from hermes.http2.handler import EngineSettings
from hermes.test.http2.raw import (
    BODY,
    DATA,
    END_STREAM,
    GOAWAY,
    HEADERS,
    OK,
    PING,
    RST_STREAM,
    WINDOW_UPDATE,
    Fields,
    Frame,
    Peer,
    RawClient,
    RawServer,
    Step,
    headers,
    ping,
)
from hermes.test.http2.wire import Reader
from hermes.values import ResponseHead

Check = Callable[[SynchronousTestCase, Peer], None]


@frozen
class Case:
    """
    One case of a table.

    @ivar section: of RFC 9113; with C{hpack} before it, of RFC 7541.
    @ivar name: what happens, for the name of the test.
    @ivar does: what the peer sends, in order; a callable does something to the connection in between.
    @ivar expects: the answer.
    @ivar covers: the cases of h2spec that this one covers, by their identifiers.
    @ivar answers: the server answers requests, else it keeps them open; the client's request goes on, else it has
        ended.
    @ivar handshake: the peer's preface has been sent before.
    """

    section: str
    name: str
    does: Sequence[Step]
    expects: Check
    covers: Sequence[str] = ()
    answers: bool = False
    handshake: bool = True
    settings: EngineSettings | None = None


def goesOn(test: SynchronousTestCase, peer: Peer) -> None:
    """
    The connection serves another stream, and answers a PING.
    """
    test.assertEqual(peer.of(GOAWAY), [])
    test.assertFalse(peer.wire.closed)
    pongs = len(peer.of(PING))
    peer.send(ping(b"go on??!"))
    test.assertEqual([each.payload for each in peer.of(PING)[pongs:]], [b"go on??!"])
    if isinstance(peer, RawClient):
        before = len(peer.handler.exchanges)
        peer.send(headers(1001, end=True))
        test.assertEqual(len(peer.handler.exchanges), before + 1)
    elif isinstance(peer, RawServer):
        streamID = peer.ask()
        peer.send(headers(streamID, OK, end=True))
        test.assertEqual(peer.outcomes[streamID], ResponseHead(200))
    test.assertFalse(peer.wire.closed)


def accepted(test: SynchronousTestCase, peer: Peer) -> None:
    """
    Nothing is wrong.
    """
    test.assertEqual(peer.of(RST_STREAM), [])
    goesOn(test, peer)


def connectionError(code: int, last: int = 0) -> Check:
    """
    GOAWAY with C{code} and the C{last} stream, and the connection is closed.
    """

    def check(test: SynchronousTestCase, peer: Peer) -> None:
        test.assertTrue(peer.frames, "no answer")
        final = peer.frames[-1]
        test.assertEqual((final.kind, final.code, final.last), (GOAWAY, code, last), final)
        test.assertEqual((len(peer.of(GOAWAY)), peer.of(RST_STREAM)), (1, []))
        test.assertTrue(peer.wire.closed)
        count = len(peer.frames)
        peer.send(ping(), headers(1001, end=True))
        test.assertEqual(len(peer.frames), count)
        peer.hangUp()
        test.assertEqual(peer.clock.getDelayedCalls(), [])

    return check


def streamError(code: int, streamID: int = 1, others: int = 0) -> Check:
    """
    One RST_STREAM with C{code}, and the other streams go on.
    """

    def check(test: SynchronousTestCase, peer: Peer) -> None:
        test.assertEqual([(each.streamID, each.code) for each in peer.of(RST_STREAM)], [(streamID, code)])
        goesOn(test, peer)
        test.assertEqual(len(peer.of(RST_STREAM)), 1)

    return check


def answered(streamID: int = 1, status: bytes = b"200", body: bytes = BODY, received: int = 0) -> Check:
    """
    A response came, in full.
    """

    def check(test: SynchronousTestCase, peer: Peer) -> None:
        (head,) = peer.of(HEADERS, streamID)
        fields = dict(head.fields)
        test.assertEqual((fields[b":status"], fields[b"x-received"]), (status, b"%d" % received))
        test.assertEqual(peer.bodyOf(streamID), body)
        last = [each for each in peer.frames if each.streamID == streamID and each.kind in (DATA, HEADERS)][-1]
        test.assertTrue(last.flags & END_STREAM)
        accepted(test, peer)

    return check


def allOf(*checks: Check) -> Check:
    """
    Each of these.
    """

    def check(test: SynchronousTestCase, peer: Peer) -> None:
        for each in checks:
            each(test, peer)

    return check


def fails(code: int) -> Check:
    """
    The client's request has failed with C{code}.
    """

    def check(test: SynchronousTestCase, peer: Peer) -> None:
        assert isinstance(peer, RawServer)
        outcome = peer.outcomes[1]
        assert isinstance(outcome, StreamReset), outcome
        test.assertEqual(outcome.code, code)

    return check


def gets(kind: int, payload: bytes, flags: int = 0, streamID: int = 0) -> Check:
    """
    This frame came back.
    """

    def check(test: SynchronousTestCase, peer: Peer) -> None:
        test.assertIn(Frame(kind, flags, streamID, payload), peer.frames)

    return check


def getsNo(kind: int) -> Check:
    """
    No frame of this type came back.
    """

    def check(test: SynchronousTestCase, peer: Peer) -> None:
        test.assertEqual(peer.of(kind), [])

    return check


T = TypeVar("T", bound=type[SynchronousTestCase])


def table(make: Callable[[Case, int], Peer], cases: Sequence[Case]) -> Callable[[T], T]:
    """
    Add a test for each case to a class of tests. Each is tried with all that the peer sends at a time in one piece, and
    byte by byte; the answers must be the same.
    """

    def decorate(cls: T) -> T:
        for case in cases:
            name = f"test_{case.section.replace('.', '_').replace(' ', '_')}_{case.name}"
            assert not hasattr(cls, name), name

            def run(self: SynchronousTestCase, case: Case = case) -> None:
                answers = []
                for chunk in (0, 1):
                    peer = make(case, chunk)
                    for step in case.does:
                        if isinstance(step, bytes):
                            peer.send(step)
                        else:
                            step(peer)
                            peer.read()
                    # When windows are credited and paths are measured is nobody's business but ours.
                    ours = [each for each in peer.of(PING) if not each.flags] + peer.of(WINDOW_UPDATE)
                    answers.append([each for each in peer.frames if each not in ours])
                    case.expects(self, peer)
                self.assertEqual(*answers)

            run.__name__ = name
            setattr(cls, name, run)
        cls.cases = [*getattr(cls, "cases", ()), *cases]  # type: ignore[attr-defined]
        return cls

    return decorate


def server(case: Case, chunk: int) -> Peer:
    """
    For cases about our server.
    """
    return RawClient(case.settings, case.answers, case.handshake, chunk)


def client(case: Case, chunk: int) -> Peer:
    """
    For cases about our client, which has sent a GET on stream 1.
    """
    return RawServer(case.settings, case.handshake, chunk, end=not case.answers)


def ends(name: str, section: str, code: int, *does: Step, covers: str = "", handshake: bool = True) -> Case:
    """
    The connection ends with an error.
    """
    return Case(
        section,
        f"{name}EndsTheConnection",
        does,
        connectionError(code),
        [covers] if covers else [],
        handshake=handshake,
    )


def resets(name: str, section: str, code: int, *does: Step, covers: str = "", open: bool = False) -> Case:
    """
    The stream ends with an error; the connection goes on.
    """
    return Case(section, f"{name}ResetsTheStream", does, streamError(code), [covers] if covers else [], answers=open)


def responds(status: int, body: bytes = b"", trailers: Fields = ()) -> Check:
    """
    The exchange got this response.
    """

    def check(test: SynchronousTestCase, peer: Peer) -> None:
        assert isinstance(peer, RawServer)
        outcome = peer.outcomes[1]
        assert isinstance(outcome, ResponseHead), outcome
        test.assertEqual(outcome.status, status)
        reader = Reader()
        peer.exchanges[0].attach(reader)
        test.assertEqual((bytes(reader.data), peer.exchanges[0].trailers), (body, trailers))
        test.assertEqual(reader.readLost, 1)

    return check
