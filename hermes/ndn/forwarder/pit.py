"""
The Pending Interest Table: who waits for what, and who was asked.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from hermes.ndn.forwarder.pitentry import ENTRY_COST, OUT_COST, InRecord, OutRecord, PITEntry
from hermes.ndn.forwarder.port import Port

if TYPE_CHECKING:
    from hermes.ndn.forwarder.strategychoice import Chosen
    from hermes.ndn.packet.peek import DataView, InterestView

MAX_VARIANTS: Final = 16
"""
So many entries one name has, at most: with CanBePrefix, MustBeFresh, both, none, and forwarding hints of any kind. One
more makes the oldest go that has a hint.
"""


class PIT:
    """
    All entries, found by their names. What they cost is counted, by face and together.

    @ivar charge: bytes that all in-records and out-records count.
    """

    __slots__ = ("_count", "_depths", "_digests", "_entries", "_prefixes", "charge")

    def __init__(self) -> None:
        self.charge = 0
        self._count = 0
        self._entries: dict[bytes, PITEntry] = {}
        # How many entries with CanBePrefix have so many components, and these numbers, the greatest first.
        self._prefixes: dict[int, int] = {}
        self._depths: tuple[int, ...] = ()
        # Names whose implicit digest some entries have, how many each: of other Data it need not be computed.
        self._digests: dict[bytes, int] = {}

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[PITEntry]:
        for entry in list(self._entries.values()):
            one: PITEntry | None = entry
            while one is not None:
                yield one
                one = one.following

    # Entries

    def find(self, view: InterestView) -> PITEntry | None:
        """
        The entry of an Interest.
        """
        entry = self._entries.get(view.name)
        while entry is not None:
            first = entry.view
            if (
                first.canBePrefix is view.canBePrefix
                and first.mustBeFresh is view.mustBeFresh
                and first.hint == view.hint
            ):
                return entry
            entry = entry.following
        return None

    def open(
        self,
        view: InterestView,
        scope: int,
        chosen: Chosen,
        port: Port,
        came: InterestView,
        token: bytes | None,
        now: float,
        expiry: float,
        cost: int,
    ) -> tuple[PITEntry, PITEntry | None]:
        """
        An entry for an Interest that has none yet, with its first in-record.

        @param cost: see L{InRecord}.
        @return: the entry, and the one that has to be finished for it (L{MAX_VARIANTS}).
        """
        entry = PITEntry(view, scope, chosen)
        record = port.pending[entry] = InRecord(port, view, came, token, now, expiry, cost)
        entry.ins.append(record)
        port.charge += cost
        self.charge += cost
        self._count += 1
        name = view.name
        first = self._entries.setdefault(name, entry)
        if view.canBePrefix:
            depth = len(view.ends)
            self._prefixes[depth] = self._prefixes.get(depth, 0) + 1
            if self._prefixes[depth] == 1:
                self._depths = tuple(sorted(self._prefixes, reverse=True))
        if name[-34:-32] == b"\x01\x20" and (bare := withoutDigest(name, view.ends)) is not None:
            entry.bare = bare
            self._digests[bare] = self._digests.get(bare, 0) + 1
        return entry, None if first is entry else self._chain(first, entry)

    def _chain(self, last: PITEntry, entry: PITEntry) -> PITEntry | None:
        """
        Add an entry to those of its name.
        """
        hinted = None
        count = 2
        while True:
            if hinted is None and last.view.hint:
                hinted = last
            if last.following is None:
                break
            last = last.following
            count += 1
        last.following = entry
        return hinted if count > MAX_VARIANTS else None

    def erase(self, entry: PITEntry) -> None:
        """
        Take an entry out, with its in-records; nothing happens where it is not in any more.
        """
        name = entry.name
        one = self._entries.get(name)
        if one is entry:
            if entry.following is None:
                del self._entries[name]
            else:
                self._entries[name] = entry.following
                entry.following = None
        else:
            while one is not None and one.following is not entry:
                one = one.following
            if one is None:
                return
            one.following, entry.following = entry.following, None
        self._count -= 1
        view = entry.view
        if view.canBePrefix:
            depth = len(view.ends)
            self._prefixes[depth] -= 1
            if not self._prefixes[depth]:
                del self._prefixes[depth]
                self._depths = tuple(sorted(self._prefixes, reverse=True))
        bare = entry.bare
        if bare is not None:
            self._digests[bare] -= 1
            if not self._digests[bare]:
                del self._digests[bare]
        for record in entry.ins:
            port = record.port
            del port.pending[entry]
            port.charge -= record.cost
            self.charge -= record.cost
        entry.ins.clear()

    def matches(self, view: DataView) -> list[PITEntry]:
        """
        The entries that Data satisfies: of its name, of its name with its digest, and those with CanBePrefix of which
        its name goes on.
        """
        name = view.name
        get = self._entries.get
        found = []
        entry = get(name)
        while entry is not None:
            found.append(entry)
            entry = entry.following
        if self._depths:
            ends = view.ends
            length = len(ends)
            for depth in self._depths:
                if depth < length:
                    entry = get(name[: ends[depth - 1]])
                    while entry is not None:
                        if entry.view.canBePrefix:
                            found.append(entry)
                        entry = entry.following
        if self._digests and name in self._digests:
            entry = get(b"".join((name, b"\x01\x20", view.digest())))
            while entry is not None:
                found.append(entry)
                entry = entry.following
        return found

    # Records

    def join(
        self,
        entry: PITEntry,
        port: Port,
        view: InterestView,
        came: InterestView,
        token: bytes | None,
        now: float,
        expiry: float,
        cost: int,
    ) -> None:
        """
        Insert or renew the in-record of a face; see L{InRecord}.
        """
        pending = port.pending
        record = pending.get(entry)
        if record is None:
            record = pending[entry] = InRecord(port, view, came, token, now, expiry, 0)
            entry.ins.append(record)
        else:
            record.view = view
            record.came = came
            record.token = token
            record.since = now
            record.expiry = expiry
            pending.move_to_end(entry)
            if record is entry.ins[0]:
                cost += ENTRY_COST
        if cost > record.cost:
            self.bear(record, cost - record.cost)

    def leave(self, entry: PITEntry, port: Port) -> None:
        """
        Remove the in-record of a face, where there is one.
        """
        record = port.pending.pop(entry, None)
        if record is None:
            return
        ins = entry.ins
        first = ins[0] is record
        ins.remove(record)
        port.charge -= record.cost
        self.charge -= record.cost
        if first and ins:
            self.bear(ins[0], ENTRY_COST + OUT_COST * max(0, len(entry.outs) - 1))

    def ask(self, entry: PITEntry, port: Port, nonce: int, now: float, expiry: float) -> OutRecord:
        """
        Insert or renew the out-record of a face.
        """
        outs = entry.outs
        record = outs.get(port)
        if record is not None:
            record.nonce = nonce
            record.sent = now
            record.expiry = expiry
            record.nack = None
            return record
        record = outs[port] = OutRecord(nonce, now, expiry)
        if len(outs) > 1 and entry.ins:
            self.bear(entry.ins[0], OUT_COST)
        return record

    def forget(self, entry: PITEntry, port: Port) -> OutRecord | None:
        """
        Remove the out-record of a face.
        """
        record = entry.outs.pop(port, None)
        if record is not None and entry.outs and entry.ins:
            self.bear(entry.ins[0], -OUT_COST)
        return record

    def bear(self, record: InRecord, cost: int) -> None:
        """
        Let an in-record count more, or less: the first of an entry counts what its out-records cost.
        """
        record.cost += cost
        record.port.charge += cost
        self.charge += cost


def withoutDigest(name: bytes, ends: tuple[int, ...]) -> bytes | None:
    """
    The name without the implicit digest that it ends with, or L{None} where it ends with none.
    """
    start = ends[-2] if len(ends) > 1 else 0
    return name[:start] if len(name) - start == 34 and name[start] == 1 else None
