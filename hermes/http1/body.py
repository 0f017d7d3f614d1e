"""
The framing of bodies (RFC 9112 sections 6 and 7), both ways. Sans-IO.

Libraries have this too, but take what RFC 9112 only tolerates (bare LF, padded chunk sizes), and copy each byte.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Protocol

from hermes.http1.errors import Malformed
from hermes.http1.fields import checkBlock, fieldLines
from hermes.http1.inbox import Inbox
from hermes.values import Buffer, Headers

# A lone LF ends nothing: it is found so that it can be refused at once.
_LINE_END = re.compile(rb"\r\n|(?<!\r)\n")
_TRAILERS_END = re.compile(rb"\A\r\n|\r\n\r\n|(?<!\r)\n")
_CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,15})(?:[ \t]*;[\t\x20-\x7e\x80-\xff]*)?\r\n")
_CHUNK_LINE_LIMIT = 1024

_NOT_IN_TRAILERS = frozenset(
    {
        *(b"transfer-encoding", b"content-length", b"host", b"connection", b"te", b"upgrade", b"trailer"),
        *(b"content-encoding", b"content-type", b"content-range", b"authorization", b"proxy-authorization"),
        *(b"cookie", b"set-cookie", b"expect", b"max-forwards", b"keep-alive", b"proxy-connection", b"forwarded"),
    }
)
"""
Framing, routing, authority: a trailer section is no place for these (RFC 9110 section 6.5.1). They are dropped.
"""


class BodyReader(Protocol):
    """
    Cuts one body out of an L{Inbox}.

    @ivar ended: the message is complete.
    @ivar trailers: its trailer fields, once ended.
    @ivar remaining: how many bytes are to come; L{None} where that is not known.
    """

    ended: bool
    trailers: Headers
    remaining: int | None

    def read(self, inbox: Inbox) -> memoryview | None:
        """
        The next part of the body, borrowed, or L{None} where more must arrive or the body has ended.

        @raise Malformed: where the framing is broken.
        """

    def eof(self) -> None:
        """
        The peer has ended its direction, and the inbox is read empty.

        @raise Malformed: where the body is not complete.
        """


class LengthReader:
    """
    A body of C{Content-Length} bytes.
    """

    def __init__(self, length: int) -> None:
        self.remaining: int | None = length
        self._left = length
        self.ended = not length
        self.trailers: Headers = ()

    def read(self, inbox: Inbox) -> memoryview | None:
        if self.ended:
            return None
        data = inbox.take(self._left)
        if data is not None:
            self._left -= len(data)
            self.remaining = self._left
            self.ended = not self._left
        return data

    def eof(self) -> None:
        if not self.ended:
            raise Malformed(f"the connection ended {self._left} bytes before the body")


class ChunkedReader:
    """
    A body in chunks (RFC 9112 section 7.1). Chunk extensions are read and forgotten.
    """

    def __init__(self, maxTrailers: int) -> None:
        self.remaining: int | None = None
        self.ended = False
        self.trailers: Headers = ()
        self._maxTrailers = maxTrailers
        self._left = 0
        self._afterChunk = False
        self._afterBody = False

    def read(self, inbox: Inbox) -> memoryview | None:
        while not self.ended:
            if self._left:
                data = inbox.take(self._left)
                if data is not None:
                    self._left -= len(data)
                    self._afterChunk = not self._left
                return data
            if self._afterChunk:
                line = inbox.block(_LINE_END, 2)
                if line is None:
                    return None
                if line != b"\r\n":
                    raise Malformed("a chunk is longer than its size says")
                self._afterChunk = False
            elif self._afterBody:
                block = inbox.block(_TRAILERS_END, self._maxTrailers, 431)
                if block is None:
                    return None
                self.trailers = _readTrailers(block)
                self.ended = True
            else:
                line = inbox.block(_LINE_END, _CHUNK_LINE_LIMIT)
                if line is None:
                    return None
                match = _CHUNK_LINE.fullmatch(line)
                if match is None:
                    raise Malformed("a chunk size is no number")
                self._left = int(match[1], 16)
                self._afterBody = not self._left
        return None

    def eof(self) -> None:
        if not self.ended:
            raise Malformed("the connection ended before the last chunk")


class CloseReader:
    """
    A response body that the end of the connection ends.
    """

    def __init__(self) -> None:
        self.remaining: int | None = None
        self.ended = False
        self.trailers: Headers = ()

    def read(self, inbox: Inbox) -> memoryview | None:
        return inbox.take(len(inbox)) if inbox else None

    def eof(self) -> None:
        self.ended = True


def _readTrailers(block: bytes) -> Headers:
    if block == b"\r\n":
        return ()
    checkBlock(block)
    fields = []
    for line in block[:-4].split(b"\r\n"):
        name, colon, value = line.partition(b":")
        if not colon:
            raise Malformed("a trailer field has no colon")
        fields.append((name.lower(), value.strip(b" \t")))
    fieldLines(fields)
    return tuple(pair for pair in fields if pair[0] not in _NOT_IN_TRAILERS)


class BodyWriter(Protocol):
    """
    Frames one body.
    """

    def frame(self, buffers: Sequence[Buffer]) -> Sequence[Buffer]:
        """
        What to send for a part of the body; the buffers themselves are in it.

        @raise Malformed: for more than was announced.
        """

    def end(self, trailers: Headers) -> bytes:
        """
        What to send at the end. Trailers go only where the framing has a place for them.

        @raise Malformed: for less than was announced.
        """


class LengthWriter:
    """
    A body of C{Content-Length} bytes.
    """

    def __init__(self, length: int) -> None:
        self._left = length

    def frame(self, buffers: Sequence[Buffer]) -> Sequence[Buffer]:
        self._left -= sum(map(len, buffers))
        if self._left < 0:
            raise Malformed("a body is longer than its Content-Length")
        return buffers

    def end(self, trailers: Headers) -> bytes:
        if self._left:
            raise Malformed("a body is shorter than its Content-Length")
        return b""


class ChunkedWriter:
    """
    A body in chunks, one for each write.
    """

    def frame(self, buffers: Sequence[Buffer]) -> Sequence[Buffer]:
        size = sum(map(len, buffers))
        # A chunk of no bytes would end the body.
        return [b"%x\r\n" % size, *buffers, b"\r\n"] if size else ()

    def end(self, trailers: Headers) -> bytes:
        fields = [pair for pair in trailers if pair[0] not in _NOT_IN_TRAILERS]
        return b"0\r\n" + fieldLines(fields)


class CloseWriter:
    """
    A response body to an HTTP/1.0 client: the end of the connection ends it.
    """

    def frame(self, buffers: Sequence[Buffer]) -> Sequence[Buffer]:
        return buffers

    def end(self, trailers: Headers) -> bytes:
        return b""
