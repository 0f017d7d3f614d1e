"""
The configurations that a node keeps: the last good ones, and one that it is trying.

In the directory, the name of a file says what it is: C{00000012.7.5f1c….yaml} was confirmed, as the twelfth on this
node: version 7. C{….prepared} is one that the node has built and not run; C{….trial} one that it ran on trial. A
configuration becomes the last good one by being renamed, which takes no room: whatever needs room is done when it is
prepared, and refused where there is none. What the node starts from is the last C{.yaml} that is whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from attrs import frozen
from twisted.logger import Logger

from hermes.control.agent.files import TEMPORARY, Files
from hermes.control.values import digestOf

KEPT = 5
"""
How many configurations that were confirmed are kept.
"""

CORRUPT_KEPT = 3
"""
How many that turned out corrupt.
"""

_NAME = re.compile(r"(\d{8})\.(\d{1,18})\.([0-9a-f]{16})\.(yaml|prepared|trial)", re.ASCII)
_HEADER = re.compile(rb"# hermes: version (\d{1,18}), sha256 ([0-9a-f]{64})\n")


@frozen
class Configuration:
    """
    One configuration of the node.

    @ivar version: the number of the overlay's version that it is of.
    @ivar config: the configuration, YAML.
    @ivar digest: L{digestOf} it.
    """

    version: int
    config: bytes
    digest: str

    @classmethod
    def of(cls, version: int, config: bytes) -> Configuration:
        """
        With the digest worked out.
        """
        return cls(version, config, digestOf(config))

    def toBytes(self) -> bytes:
        """
        As it is on disk: a comment that tells version and digest, and the configuration.
        """
        return f"# hermes: version {self.version}, sha256 {self.digest}\n".encode() + self.config

    @classmethod
    def fromBytes(cls, data: bytes) -> Configuration:
        """
        The reverse of L{toBytes}.

        @raise ValueError: where it is not whole; with a sentence for the operator.
        """
        header = _HEADER.match(data)
        if header is None:
            raise ValueError("it does not begin with its version and digest")
        found = cls.of(int(header[1]), data[header.end() :])
        if found.digest != header[2].decode():
            raise ValueError("its digest is another than the one that it was written with")
        return found


@frozen
class Found:
    """
    What was on disk when the node started.

    @ivar interrupted: the version that was on trial when the process ended, or L{None}.
    @ivar problems: what was wrong, for the operator.
    """

    interrupted: int | None
    problems: tuple[str, ...] = ()


class ConfigurationDisk:
    """
    The configurations in a directory. Every method but L{__init__} blocks for as long as the disk takes, and is called
    by one thread at a time.
    """

    log = Logger()

    def __init__(self, files: Files, kept: int = KEPT) -> None:
        """
        @param kept: how many confirmed configurations are kept, at least 1.
        """
        self._files = files
        self._kept = kept
        self._sequence = 0
        self._confirmed: list[str] = []

    def open(self) -> Found:
        """
        Look at what is there; remove what was never finished. Called first, once.

        @raise OSError: where the directory can't be read or made.
        """
        self._files.create()
        interrupted: int | None = None
        for name in self._files.names():
            found = _NAME.fullmatch(name)
            if found is None:
                if name.endswith(TEMPORARY):
                    self._remove(name)
                continue
            self._sequence = max(self._sequence, int(found[1]))
            if found[4] == "yaml":
                self._confirmed.append(name)
                continue
            if found[4] == "trial":
                interrupted = int(found[2])
            self._remove(name)
        return Found(interrupted)

    def configurations(self, told: list[str]) -> Iterator[Configuration]:
        """
        Those that were confirmed, the last one first. One that is corrupt is set aside, as C{….corrupt}.

        @param told: gets a sentence for the operator about each that can't be used.
        """
        for name in reversed(list(self._confirmed)):
            try:
                yield Configuration.fromBytes(self._files.read(name))
            except OSError as error:
                told.append(f"{name} can't be read: {error.strerror or error}")
            except ValueError as error:
                told.append(f"{name} is corrupt: {error}; it was set aside as {name}.corrupt")
                self._setAside(name)

    def stage(self, configuration: Configuration) -> None:
        """
        Write a configuration that was prepared; an earlier one that was not run is forgotten.

        @raise OSError: where it can't be written; nothing has then changed.
        """
        self._drop("prepared")
        self._files.write(self._next(configuration, "prepared"), configuration.toBytes())

    def mark(self, configuration: Configuration) -> None:
        """
        It is run on trial from now on.

        @raise OSError: where that can't be written down.
        """
        for name in self._having("prepared"):
            if self._is(name, configuration):
                self._files.rename(name, _as(name, "trial"))
                return
        # Somebody has removed it.
        self._files.write(self._next(configuration, "trial"), configuration.toBytes())

    def keep(self, configuration: Configuration) -> None:
        """
        It is the last good one from now on; the oldest are removed.

        @raise OSError: where that can't be written down; the one before is then the last good one still.
        """
        for name in self._having("trial"):
            if self._is(name, configuration):
                kept = _as(name, "yaml")
                self._files.rename(name, kept)
                break
        else:
            kept = self._next(configuration, "yaml")
            self._files.write(kept, configuration.toBytes())
        self._confirmed = sorted({*self._confirmed, kept})
        for name in self._confirmed[: -self._kept]:
            self._remove(name)
        del self._confirmed[: -self._kept]

    def forget(self) -> None:
        """
        What was prepared or on trial is not wanted any more. Where it can't be removed, it does no harm.
        """
        for kind in "prepared", "trial":
            self._drop(kind)

    def _next(self, configuration: Configuration, kind: str) -> str:
        self._sequence += 1
        return f"{self._sequence:08}.{configuration.version}.{configuration.digest[:16]}.{kind}"

    def _is(self, name: str, configuration: Configuration) -> bool:
        found = _NAME.fullmatch(name)
        assert found is not None
        return (int(found[2]), found[3]) == (configuration.version, configuration.digest[:16])

    def _having(self, kind: str) -> list[str]:
        return [name for name in self._files.names() if (found := _NAME.fullmatch(name)) and found[4] == kind]

    def _drop(self, kind: str) -> None:
        try:
            for name in self._having(kind):
                self._remove(name)
        except OSError:
            self.log.failure("looking for what is not wanted any more failed")

    def _setAside(self, name: str) -> None:
        self._confirmed.remove(name)
        try:
            self._files.rename(name, f"{name}.corrupt")
            aside = [each for each in self._files.names() if each.endswith(".corrupt")]
        except OSError:
            self.log.failure("{name} could not be set aside", name=name)
            return
        for each in aside[:-CORRUPT_KEPT]:
            self._remove(each)

    def _remove(self, name: str) -> None:
        try:
            self._files.remove(name)
        except OSError:
            self.log.failure("{name} could not be removed", name=name)


def _as(name: str, kind: str) -> str:
    return f"{name.rpartition('.')[0]}.{kind}"
