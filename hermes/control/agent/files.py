"""
Files that are whole or not there, whenever the process is killed.
"""

from __future__ import annotations

import os
from contextlib import suppress

TEMPORARY = ".new"
"""
How the name of a file ends that is being written: one that is found later was never finished.
"""


class Files:
    """
    The files of one directory. Every method blocks, for as long as the disk takes, and raises L{OSError}.

    @ivar directory: its path.
    """

    def __init__(self, directory: str) -> None:
        self.directory = directory

    def path(self, name: str) -> str:
        """
        The path of a file.
        """
        return os.path.join(self.directory, name)

    def create(self) -> None:
        """
        Make the directory where it is not there, for its owner alone.
        """
        os.makedirs(self.directory, mode=0o700, exist_ok=True)

    def names(self) -> list[str]:
        """
        The names of all files, sorted.
        """
        return sorted(os.listdir(self.directory))

    def read(self, name: str) -> bytes:
        """
        What a file holds.
        """
        with open(self.path(name), "rb") as file:
            return file.read()

    def write(self, name: str, data: bytes) -> None:
        """
        Have a file hold C{data}: all of it or, where this raises or the process ends, what it held before. Only its
        owner can read it.
        """
        path = self.path(name + TEMPORARY)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.rename(path, self.path(name))
        except BaseException:
            with suppress(OSError):
                os.unlink(path)
            raise
        self._settle()

    def rename(self, name: str, to: str) -> None:
        """
        Rename a file; one that had the other name is gone. It takes no room, so that it works on a full disk.
        """
        os.rename(self.path(name), self.path(to))
        self._settle()

    def remove(self, name: str) -> None:
        """
        Remove a file, if it is there.
        """
        with suppress(FileNotFoundError):
            os.unlink(self.path(name))

    def _settle(self) -> None:
        """
        Names are the directory's: they are on the disk once it is.
        """
        descriptor = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
