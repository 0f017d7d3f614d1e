"""
Bytes that were read before anybody wanted them, in memory first, and then in a file.
"""

from __future__ import annotations

import os
from collections import deque
from itertools import islice
from tempfile import TemporaryFile
from typing import BinaryIO

from hermes.values import Buffer


class ReadAhead:
    """
    A window of a sequence of bytes: what was appended, less what was discarded.

    The file has no name: it is gone with the process, however that ends. It is a ring as large as the window may be.

    @ivar begin: the offset of the first byte that is here.
    @ivar end: that behind the last.
    """

    def __init__(self, begin: int, most: int, memory: int, directory: str | None = None) -> None:
        """
        @param most: how many bytes are here at a time.
        @param memory: how many of them in memory, before all are in a file.
        @param directory: where the file is; L{None} for where temporary files are.
        """
        self.begin = begin
        self.end = begin
        self._most = most
        self._memory = memory
        self._directory = directory
        self._pieces: deque[bytes] = deque()
        self._file: BinaryIO | None = None

    def __len__(self) -> int:
        return self.end - self.begin

    @property
    def room(self) -> int:
        """
        How many bytes may be appended.
        """
        return self._most - len(self)

    def append(self, data: Buffer) -> None:
        """
        @param data: no more than there is room for.
        @raise OSError: where the file can't be written.
        """
        if len(data) > self.room:
            raise ValueError(f"{len(data)} bytes for {self.room}")
        if self._file is None and len(self) + len(data) > self._memory:
            self._file = TemporaryFile(buffering=0, prefix="hermes-", dir=self._directory)  # noqa: SIM115
            at = self.begin
            for piece in self._pieces:
                self._write(piece, at)
                at += len(piece)
            self._pieces.clear()
        if self._file is None:
            self._pieces.append(bytes(data))
        else:
            self._write(data, self.end)
        self.end += len(data)

    def read(self, at: int, size: int) -> bytes:
        """
        Up to C{size} bytes from the offset C{at} on, at least one.

        @raise ValueError: where that is not here.
        @raise OSError: where the file can't be read.
        """
        if not self.begin <= at < self.end:
            raise ValueError(f"{at} is not between {self.begin} and {self.end}")
        if self._file is not None:
            place = at % self._most
            data = os.pread(self._file.fileno(), min(size, self.end - at, self._most - place), place)
            if not data:
                raise OSError("the file is shorter than it was")
            return data
        skip = at - self.begin
        for number, piece in enumerate(self._pieces):
            if skip < len(piece):
                if not skip and len(piece) < size:
                    return self._joined(number, size)
                return piece[skip : skip + size]
            skip -= len(piece)
        raise AssertionError("the pieces are as long as the window")

    def _joined(self, number: int, size: int) -> bytes:
        """
        Pieces from the one at C{number} on, as many as make up C{size} bytes.
        """
        taken: list[bytes] = []
        for piece in islice(self._pieces, number, None):
            if size < len(piece):
                break
            taken.append(piece)
            size -= len(piece)
        return b"".join(taken)

    def discard(self, before: int) -> None:
        """
        Forget the bytes before the offset C{before}.
        """
        while self._pieces and self.begin + len(self._pieces[0]) <= before:
            self.begin += len(self._pieces.popleft())
        if self._file is not None:
            self.begin = max(self.begin, min(before, self.end))

    def close(self) -> None:
        """
        Forget everything.
        """
        self._pieces.clear()
        self.begin = self.end
        if self._file is not None:
            self._file.close()
            self._file = None

    def _write(self, data: Buffer, at: int) -> None:
        assert self._file is not None
        view = memoryview(data)
        while view:
            place = at % self._most
            written = os.pwrite(self._file.fileno(), view[: self._most - place], place)
            view = view[written:]
            at += written
