"""
What an engine offers its peer, and what it tells its owner. Sans-IO.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from attrs import field, frozen

from hermes.http2.abuse import FloodLimits
from hermes.http2.state import Lane

HeaderList = Sequence[tuple[bytes, bytes]]


@frozen
class EngineSettings:
    """
    What one end offers.

    @ivar maxFrameSize: the largest frame taken, bytes.
    @ivar streamWindow: what each stream may send us before we take it up, bytes, to begin with.
    @ivar connectionWindow: the same for the connection, bytes.
    @ivar maxStreams: how many streams the peer may have open.
    @ivar maxHeaderList: the largest header list, bytes as RFC 9113 section 6.5.2 counts them. A request with a larger
        one is answered 431, any other head resets its stream; twice as much, in a block or in what it stands for, is
        not read to its end: it ends the connection.
    @ivar extendedConnect: offer SETTINGS_ENABLE_CONNECT_PROTOCOL (RFC 8441); for servers.
    @ivar maxUnsent: how many bytes of answers to control frames may wait for a peer that does not read; sixteen times
        as many with the heads of responses.
    @ivar idleTime: seconds after which a connection without streams is closed, though its peer answers; for servers.
        Longer than hops keep theirs, so that who opens connections closes them.
    """

    maxFrameSize: int = 1 << 20
    streamWindow: int = 4 << 20
    connectionWindow: int = 32 << 20
    maxStreams: int = 1024
    maxHeaderList: int = 64 << 10
    extendedConnect: bool = True
    maxUnsent: int = 256 << 10
    idleTime: float = 600.0
    floods: FloodLimits = field(factory=FloodLimits)


class Handler(Protocol):
    """
    What an engine tells. None of these may raise.
    """

    def headersReceived(self, lane: Lane, fields: HeaderList, ended: bool) -> None:
        """
        A header block came: a request, a response or trailers.

        @raise MalformedHead: the engine resets the stream.
        """

    def bodyReceived(self, lane: Lane, data: memoryview) -> None:
        """
        A piece of a body, borrowed.
        """

    def bodyEnded(self, lane: Lane) -> None:
        """
        The peer's side of the stream has ended.
        """

    def streamReset(self, lane: Lane, code: int, remote: bool) -> None:
        """
        The stream was reset, by the peer or for an error of the peer's.
        """

    def windowOpened(self, lane: Lane | None) -> None:
        """
        There is room to send on a stream again, or on the connection and perhaps on all (L{None}).
        """

    def settingsAcknowledged(self) -> None:
        """
        The peer holds to the last SETTINGS of ours.
        """

    def settingsReceived(self) -> None:
        """
        The peer's settings have changed.
        """

    def pingAcknowledged(self, payload: bytes) -> None:
        """
        A PING of ours came back.
        """

    def goAwayReceived(self, lastStreamID: int, code: int, debug: bytes) -> None:
        """
        The peer takes no streams above C{lastStreamID}.
        """

    def connectionFailed(self, code: int, message: str) -> None:
        """
        The engine has ended the connection with a connection error.
        """
