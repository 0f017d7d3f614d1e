"""
What two neighbours have told each other: one L{Telling} and one L{Hearing} for each of them. Sans-IO.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from hermes.ndn.management.prefixes.messages import (
    MAX_COST,
    MAX_PATH,
    SESSION_SIZE,
    Acknowledgement,
    Announcement,
    Update,
    Withdrawal,
)
from hermes.ndn.management.prefixes.paths import Path
from hermes.ndn.packet.name import Name

UPDATE_SIZE: Final = 7000
"""
So many bytes of announcements and withdrawals go into an update. What is larger than that alone is not told.
"""


class Telling:
    """
    What a neighbour was told, and what it is still to be told. One update is on its way at a time.

    @ivar silent: how many prefixes can't be told: too large, too far, too expensive.
    """

    def __init__(
        self, node: str, hold: int, best: Callable[[bytes], Path | None], random: Callable[[int], bytes]
    ) -> None:
        """
        @param node: the name of this node.
        @param hold: see L{Update}.
        @param best: the path to a prefix that the neighbour is to be told.
        @param random: that many random bytes.
        """
        self._node = node
        self._hold = hold
        self._best = best
        self._random = random
        self._session = b""
        self._sequence = 0
        self._completed = False
        # In the order in which they have changed.
        self._dirty: dict[bytes, None] = {}
        self._told: dict[bytes, Path] = {}
        self._wire: bytes | None = None
        self._unsayable: set[bytes] = set()

    @property
    def silent(self) -> int:
        return len(self._unsayable)

    def begin(self, prefixes: Iterable[bytes]) -> None:
        """
        Tell all of it, as if nothing had been told.
        """
        self._session = self._random(SESSION_SIZE)
        self._sequence = 0
        self._completed = False
        self._told.clear()
        self._unsayable.clear()
        self._dirty = dict.fromkeys(prefixes)
        self._wire = None

    def changed(self, prefix: bytes) -> None:
        """
        There may be another path to a prefix than was told.
        """
        self._dirty[prefix] = None

    @property
    def pending(self) -> bool:
        """
        Whether there is something that the neighbour has not acknowledged, or was not told.
        """
        return self._wire is not None or bool(self._dirty) or not self._completed

    def update(self) -> bytes:
        """
        The update to be sent now: the one that is on its way, or the next; where there is nothing to tell, one that
        says no more than that this node is there.
        """
        if self._wire is None:
            announcements, withdrawals = self._gather()
            complete = not self._completed and not self._dirty
            self._completed = self._completed or complete
            self._wire = Update(
                node=self._node,
                session=self._session,
                sequence=self._sequence,
                hold=self._hold,
                complete=complete,
                announcements=tuple(announcements),
                withdrawals=tuple(withdrawals),
            ).encode()
        return self._wire

    def _gather(self) -> tuple[list[Announcement], list[Withdrawal]]:
        announcements: list[Announcement] = []
        withdrawals: list[Withdrawal] = []
        dirty, told = self._dirty, self._told
        size = 0
        while dirty:
            prefix = next(iter(dirty))
            path = self._best(prefix)
            self._unsayable.discard(prefix)
            element: Announcement | Withdrawal | None = None
            if path is not None:
                element = self._announcement(prefix, path)
                if element is None:
                    self._unsayable.add(prefix)
                    path = None
            if path is not None and path == told.get(prefix):
                del dirty[prefix]
                continue
            if path is None:
                if prefix not in told:
                    del dirty[prefix]
                    continue
                element = Withdrawal(prefix=Name.fromValue(prefix))
            if element is None:
                continue
            size += len(element.encode())
            if size > UPDATE_SIZE and (announcements or withdrawals):
                break
            del dirty[prefix]
            if isinstance(element, Announcement):
                announcements.append(element)
            else:
                withdrawals.append(element)
            if path is None:
                del told[prefix]
            else:
                told[prefix] = path
        return announcements, withdrawals

    def _announcement(self, prefix: bytes, path: Path) -> Announcement | None:
        """
        A path as the neighbour is told; L{None} where it can't be.
        """
        if path.length >= MAX_PATH or path.cost > MAX_COST:
            return None
        announcement = Announcement(
            prefix=Name.fromValue(prefix),
            cost=path.cost,
            path=(self._node, *path.nodes),
        )
        return announcement if len(announcement.encode()) <= UPDATE_SIZE else None

    def acknowledged(self, answer: Acknowledgement) -> bool:
        """
        The neighbour has answered an update.

        @return: whether all is well; else L{begin} is to be called.
        """
        if answer.session != self._session:
            # To an update of an earlier session, which was on its way for long.
            return True
        if self._wire is not None and answer.expected == self._sequence + 1:
            self._wire = None
            self._sequence += 1
            return True
        return answer.expected == self._sequence and self._wire is None


class Hearing:
    """
    What a neighbour has told.

    @ivar node: its name; L{None} as long as it has told nothing.
    @ivar until: when it is to be taken for gone, in seconds; L{None} as long as it has told nothing.
    @ivar ignored: how many prefixes were not taken, for there were too many.
    """

    def __init__(self, node: str, maxPrefixes: int) -> None:
        """
        @param node: the name of this node.
        @param maxPrefixes: so many are taken.
        """
        self.node: str | None = None
        self.until: float | None = None
        self.ignored = 0
        self._own = node
        self._maxPrefixes = maxPrefixes
        self._session = b""
        self._expected = 0
        self._heard: set[bytes] = set()
        # Of an earlier session, and not told again yet; L{None} once all was told.
        self._stale: set[bytes] | None = None

    def receive(self, update: Update, now: float) -> tuple[Acknowledgement, dict[bytes, Path | None]]:
        """
        Take an update that was checked.

        @return: the answer, and what has changed: paths from the neighbour on by prefix, L{None} where there is none.
        """
        changes: dict[bytes, Path | None] = {}
        self.until = now + update.hold / 1000
        if update.session != self._session:
            if update.sequence:
                return Acknowledgement(session=update.session, expected=0), changes
            self._session = update.session
            self._expected = 0
            self._stale = set(self._heard)
            self.ignored = 0
        if update.sequence == self._expected:
            self.node = update.node
            self._expected += 1
            self._take(update, changes)
            if self.ignored and len(self._heard) < self._maxPrefixes * 9 // 10:
                # There is room again: all of it once more.
                self._session = b""
                return Acknowledgement(session=update.session, expected=0), changes
        elif update.sequence != self._expected - 1:
            return Acknowledgement(session=update.session, expected=0), changes
        return Acknowledgement(session=update.session, expected=self._expected), changes

    def _take(self, update: Update, changes: dict[bytes, Path | None]) -> None:
        heard, stale = self._heard, self._stale
        for withdrawal in update.withdrawals:
            prefix = withdrawal.prefix.value
            if prefix in heard:
                heard.discard(prefix)
                changes[prefix] = None
            if stale is not None:
                stale.discard(prefix)
        for announcement in update.announcements:
            prefix = announcement.prefix.value
            nodes = announcement.path
            if stale is not None:
                stale.discard(prefix)
            if self._own in nodes:
                # Over this node: no way at all.
                if prefix in heard:
                    heard.discard(prefix)
                    changes[prefix] = None
                continue
            if prefix not in heard:
                if len(heard) >= self._maxPrefixes:
                    self.ignored += 1
                    continue
                heard.add(prefix)
            changes[prefix] = Path.over(nodes, announcement.cost)
        if update.complete and stale is not None:
            for prefix in stale:
                heard.discard(prefix)
                changes[prefix] = None
            self._stale = None

    def forget(self) -> list[bytes]:
        """
        The neighbour is gone.

        @return: what it could reach.
        """
        heard, self._heard = self._heard, set()
        self._session = b""
        self._expected = 0
        self._stale = None
        self.node = self.until = None
        self.ignored = 0
        return list(heard)
