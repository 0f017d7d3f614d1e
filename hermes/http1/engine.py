"""
One end of an HTTP/1.1 connection: bytes in, events out; parts of messages in, bytes out. Sans-IO.

One exchange at a time: what arrives behind a message waits in the inbox until the next exchange begins.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum, auto
from typing import TypeAlias

from attrs import frozen

from hermes.errors import HopRefused
from hermes.http1.body import BodyReader, BodyWriter, ChunkedWriter, CloseWriter, LengthReader, LengthWriter
from hermes.http1.errors import Malformed
from hermes.http1.fields import HOP_BY_HOP
from hermes.http1.head import (
    Request,
    Response,
    contentLength,
    readRequest,
    readResponse,
    writeRequest,
    writeResponse,
)
from hermes.http1.inbox import Inbox
from hermes.http1.limits import Limits
from hermes.http1.websocket import ACCEPT, KEY, WEBSOCKET, checkProof, newKey, proof
from hermes.values import Buffer, Headers, RequestHead, ResponseHead

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

MAX_INFORMATIONAL = 32
"""
How many informational responses a request may get.
"""

_CLOSE = (b"connection", b"close")
_NO_LENGTH = frozenset({b"content-length"})
_NOT_IN_TUNNELS = _NO_LENGTH | {ACCEPT}
_NOTHING: frozenset[bytes] = frozenset()

# What a request's head has of these is for the hop before, or is written anew.
_NOT_OURS = HOP_BY_HOP | {b"host"}

# Methods whose requests have no body unless they say so (RFC 9110 section 8.6).
_WITHOUT_BODY = frozenset({b"GET", b"HEAD", b"DELETE", b"OPTIONS", b"TRACE", b"CONNECT"})


@frozen
class BodyEnd:
    """
    The peer's message is complete.
    """

    trailers: Headers = ()


class Phase(Enum):
    """
    What is to be read next.
    """

    HEAD = auto()
    BODY = auto()
    ENDED = auto()
    ASKED = auto()
    TUNNEL = auto()


Event: TypeAlias = "Request | Response | memoryview | BodyEnd"


class Engine:
    """
    What both ends have in common: bodies.

    @ivar phase: what is to be read next; in C{ASKED} a tunnel was asked for and not answered, in C{TUNNEL} the bytes
        are no longer HTTP.
    @ivar reader: cuts out the body that is being read, or L{None}.
    @ivar writer: frames the body that is being written; L{None} where there is none, or none any more.
    @ivar close: the connection ends after this exchange.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.inbox = Inbox()
        self.phase = Phase.HEAD
        self.reader: BodyReader | None = None
        self.writer: BodyWriter | None = None
        self.close = False

    @property
    def asking(self) -> bool:
        """
        Whether a tunnel was asked for, and is not answered.
        """
        raise NotImplementedError

    def next(self) -> Event | None:
        """
        The next event, or L{None} where more must arrive or the exchange is to be answered first. A part of a body is
        a L{memoryview}, borrowed from what arrived.

        @raise Malformed: where the connection can't go on.
        """
        if self.phase is Phase.BODY:
            reader = self.reader
            if reader is None:
                self.phase = Phase.ENDED
                return BodyEnd()
            data = reader.read(self.inbox)
            if data is None and reader.ended:
                self.phase = Phase.ENDED
                self.reader = None
                return BodyEnd(reader.trailers)
            return data
        if self.phase is Phase.HEAD:
            block = self.inbox.head(self.limits.head)
            if block is not None:
                return self._head(block)
        return None

    def _head(self, block: bytes) -> Event:
        raise NotImplementedError("each end reads its own kind of head")

    def eof(self) -> None:
        """
        The peer has ended its direction, and what had arrived is consumed. L{next} may have an event again.

        @raise Malformed: where a message is cut off.
        """
        if self.phase is Phase.BODY and self.reader is not None:
            self.reader.eof()
        elif self.phase is Phase.HEAD and len(self.inbox):
            raise Malformed("the connection ended before the head")

    def frame(self, buffers: Sequence[Buffer]) -> Sequence[Buffer]:
        """
        What to send for a part of our body.

        @raise Malformed: for more than was announced.
        """
        return self.writer.frame(buffers) if self.writer is not None else ()

    def end(self, trailers: Headers = ()) -> bytes:
        """
        What to send for the end of our body.

        @raise Malformed: for less than was announced.
        """
        writer, self.writer = self.writer, None
        return writer.end(trailers) if writer is not None else b""


class ServerEngine(Engine):
    """
    The server's end.

    @ivar scheme: of requests that do not say.
    @ivar request: the request that is being answered, or L{None}.
    @ivar responded: whether its final response head is written.
    @ivar expecting: whether the client waits for our 100.
    """

    def __init__(self, limits: Limits, scheme: bytes) -> None:
        super().__init__(limits)
        self.scheme = scheme
        self.request: Request | None = None
        self.responded = False
        self.expecting = False

    def _head(self, block: bytes) -> Event:
        request = readRequest(block, self.scheme, self.limits)
        self.request = request
        self.reader = request.body
        if request.tunnel:
            self.phase = Phase.ASKED
        else:
            self.phase = Phase.ENDED if request.body is None else Phase.BODY
        self.expecting = request.expects
        self.close = self.close or request.close
        return request

    @property
    def asking(self) -> bool:
        return self.phase is Phase.ASKED

    def goOn(self) -> bytes:
        """
        What to send when the body is wanted: the 100 that the client may wait for.
        """
        wanted, self.expecting = self.expecting, False
        return CONTINUE if wanted and not self.responded and not len(self.inbox) else b""

    def respond(self, head: ResponseHead, end: bool, reading: bool) -> bytes:
        """
        What to send for a response head.

        @param end: there is no body.
        @param reading: whether somebody reads the request's body.
        @raise Malformed: where the head can't be written.
        @raise RuntimeError: where there is nothing to respond to.
        """
        request = self.request
        if request is None or self.responded:
            raise RuntimeError("there is no request that waits for a response")
        status = head.status
        if self.phase is Phase.ASKED and (200 <= status < 300 or (status == 101 and request.upgrade is not None)):
            return self._accept(request, head)
        if status < 200:
            if status == 100:
                self.expecting = False
            if status == 101:
                raise Malformed("101 to a request that asked for no upgrade")
            return b"" if request.http10 else writeResponse(head, (), _NO_LENGTH)
        data = self._final(request, head, end, reading)
        self.responded = True
        return data

    def _accept(self, request: Request, head: ResponseHead) -> bytes:
        own: tuple[tuple[bytes, bytes], ...] = ()
        if request.upgrade is not None:
            head = ResponseHead(101, head.headers)
            own = ((b"connection", b"Upgrade"), (b"upgrade", request.upgrade))
            if request.key is not None:
                own += ((ACCEPT, proof(request.key)),)
        data = writeResponse(head, own, _NOT_IN_TUNNELS)
        self.responded = True
        self.phase = Phase.TUNNEL
        return data

    def _final(self, request: Request, head: ResponseHead, end: bool, reading: bool) -> bytes:
        length = contentLength(head.headers)
        bodyless = head.status in (204, 304) or request.head.method == b"HEAD"
        own: list[tuple[bytes, bytes]] = []
        drop = _NOTHING
        writer: BodyWriter | None = None
        if bodyless:
            if head.status == 204:
                drop = _NO_LENGTH
        elif end:
            if length is None:
                own.append((b"content-length", b"0"))
            elif length:
                raise Malformed("a Content-Length, and no body")
        elif length is not None:
            writer = LengthWriter(length)
        elif request.http10:
            writer = CloseWriter()
        else:
            own.append((b"transfer-encoding", b"chunked"))
            writer = ChunkedWriter()
        if self._mustClose(reading):
            self.close = True
        if self.close:
            own.append(_CLOSE)
        data = writeResponse(head, tuple(own), drop)
        self.writer = writer
        if self.phase is Phase.ASKED:
            self.phase = Phase.BODY
        return data

    def _mustClose(self, reading: bool) -> bool:
        """
        Whether the next request could not be told from what this one left unread.
        """
        if self.phase is Phase.ASKED:
            # Bytes that were sent ahead for a tunnel that is refused are no request.
            return len(self.inbox) > 0
        if self.expecting:
            # Whether the body comes without our 100 is the client's choice.
            return True
        reader = self.reader
        return not reading and isinstance(reader, LengthReader) and (reader.remaining or 0) > self.limits.discard

    def startNext(self) -> None:
        """
        Begin the next exchange, after both messages have ended.
        """
        self.request = None
        self.responded = False
        self.expecting = False
        self.phase = Phase.HEAD


class ClientEngine(Engine):
    """
    The client's end.

    @param absolute: requests go to a proxy, which takes the target in absolute-form (RFC 9112 section 3.2.2).
    """

    def __init__(self, limits: Limits, absolute: bool = False) -> None:
        super().__init__(limits)
        self._absolute = absolute
        self._method = b""
        self._informational = 0
        self._request = RequestHead(b"")
        self._key = b""
        self.responded = False
        self.phase = Phase.ENDED

    @property
    def asking(self) -> bool:
        return self._request.method == b"CONNECT" and not self.responded

    def request(self, head: RequestHead, end: bool) -> bytes:
        """
        What to send for a request head.

        @param end: there is no body.
        @raise Malformed: where the head can't be written.
        """
        method = b"GET" if head.protocol is not None else head.method
        own: list[tuple[bytes, bytes]] = []
        writer: BodyWriter | None = None
        drop = _NOT_OURS
        length = contentLength(head.headers)
        if head.method == b"CONNECT":
            drop = _NOT_OURS | _NO_LENGTH | {KEY}
            if head.protocol is not None:
                own = [(b"connection", b"Upgrade"), (b"upgrade", head.protocol)]
                if head.protocol == WEBSOCKET:
                    self._key = newKey()
                    own.append((KEY, self._key))
        elif end:
            if length is None and method not in _WITHOUT_BODY:
                own = [(b"content-length", b"0")]
        elif length is not None:
            writer = LengthWriter(length)
        else:
            own = [(b"transfer-encoding", b"chunked")]
            writer = ChunkedWriter()
        fields = [(b"host", head.authority), *own, *[pair for pair in head.headers if pair[0] not in drop]]
        data = writeRequest(method, self._target(head), fields)
        self._request, self._method = head, method
        self._informational = 0
        self.writer = writer
        self.responded = False
        self.phase = Phase.HEAD
        return data

    def _target(self, head: RequestHead) -> bytes:
        if head.method == b"CONNECT" and head.protocol is None:
            return head.authority
        if self._absolute and head.path[:1] != b"*":
            return b"%s://%s%s" % (head.scheme or b"http", head.authority, head.path)
        return head.path

    def _head(self, block: bytes) -> Event:
        response = readResponse(block, self._method, self.limits)
        status = response.head.status
        if status < 200:
            self._informational += 1
            if self._informational > MAX_INFORMATIONAL:
                raise Malformed("informational responses without end")
            return response
        self.responded = True
        upgrade = self._request.protocol
        if response.switched and self._request.method != b"CONNECT":
            raise Malformed("101 to a request that asked for no upgrade")
        if response.switched and (upgrade is None or upgrade.lower() in response.upgrade):
            if upgrade == WEBSOCKET:
                response.head = checkProof(response.head, self._key)
            self.phase = Phase.TUNNEL
            return response
        if response.switched or (upgrade is not None and status < 300):
            # A 2xx is what a server answers that knows nothing of the upgrade.
            raise HopRefused("the peer did not upgrade the connection as asked", status)
        self.close = self.close or response.close
        self.reader = response.body
        self.phase = Phase.BODY
        return response
