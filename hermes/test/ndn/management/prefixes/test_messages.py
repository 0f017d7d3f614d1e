"""
Tests of L{hermes.ndn.management.prefixes.messages}.
"""

from __future__ import annotations

import contextlib

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.ndn.management.prefixes.messages import (
    MAX_COST,
    MAX_PATH,
    Acknowledgement,
    Announcement,
    Update,
    Withdrawal,
)
from hermes.ndn.packet.errors import PacketError
from hermes.ndn.packet.name import Name
from hermes.test.ndn.management.test_control import names, numbers, quick

nodes = st.text(min_size=1, max_size=10)


@st.composite
def updates(draw: st.DrawFn) -> Update:
    """
    Updates that break no bound.
    """
    sender = draw(nodes)
    announcements = []
    for prefix in draw(st.lists(names, max_size=3)):
        path = draw(st.lists(nodes.filter(lambda node: node != sender), unique=True, max_size=4))
        announcements.append(
            Announcement(
                prefix=prefix,
                cost=draw(st.integers(0, MAX_COST)),
                path=(sender, *path),
            )
        )
    return Update(
        node=sender,
        session=draw(st.binary(min_size=8, max_size=8)),
        sequence=draw(numbers),
        hold=draw(st.integers(0, 3_600_000)),
        complete=draw(st.booleans()),
        announcements=tuple(announcements),
        withdrawals=tuple(Withdrawal(prefix=prefix) for prefix in draw(st.lists(names, max_size=3))),
    )


def anUpdate(**changes: object) -> Update:
    """
    One with an announcement.
    """
    path = ("edge", "far")
    given = {
        "node": "edge",
        "session": b"sessions",
        "sequence": 1,
        "hold": 15_000,
        "complete": True,
        "announcements": (Announcement(prefix=Name.fromText("/a"), cost=3, path=path),),
        "withdrawals": (Withdrawal(prefix=Name.fromText("/b")),),
    }
    return Update(**{**given, **changes})  # type: ignore[arg-type]


class MessageTests(SynchronousTestCase):
    """
    Reading and writing.
    """

    def test_anUpdateIsBytes(self) -> None:
        # As it is in docs/reference/ndn-prefixes.md.
        self.assertEqual(
            anUpdate().encode().hex(" "),
            "df 35 d1 04 65 64 67 65 d3 08 73 65 73 73 69 6f 6e 73 d5 01 01 d7 02 3a 98 d9 00"
            " e1 13 07 03 08 01 61 6a 01 03 d1 04 65 64 67 65 d1 03 66 61 72"
            " e3 05 07 03 08 01 62",
        )

    def test_anAcknowledgementIsBytes(self) -> None:
        answer = Acknowledgement(session=b"sessions", expected=2)
        self.assertEqual(answer.encode().hex(" "), "e5 0d d3 08 73 65 73 73 69 6f 6e 73 d5 01 02")
        self.assertEqual(Acknowledgement.decode(answer.encode()), answer)

    @quick
    @given(updates())
    def test_whatIsWrittenIsRead(self, update: Update) -> None:
        read = Update.decode(update.encode())
        read.check()
        self.assertEqual(read, update)

    @quick
    @given(st.binary(max_size=80))
    def test_anythingElseIsAPacketError(self, wire: bytes) -> None:
        for kind in (Update, Acknowledgement):
            for each in (wire, bytes([kind.TYPE, len(wire)]) + wire):
                with contextlib.suppress(PacketError):
                    kind.decode(each)

    def test_whatBreaksABoundIsRefused(self) -> None:
        def announcing(*path: str) -> Update:
            prefix = Name.fromText("/a")
            return anUpdate(announcements=(Announcement(prefix=prefix, cost=1, path=path),))

        anUpdate().check()
        announcing("edge", *map(str, range(MAX_PATH - 1))).check()
        for update in (
            anUpdate(session=b"short"),
            anUpdate(node=""),
            anUpdate(node="x" * 256),
            announcing(),
            announcing("far", "edge"),
            announcing("edge", "far", "edge"),
            announcing("edge", ""),
            announcing("edge", *map(str, range(MAX_PATH))),
        ):
            self.assertRaises(PacketError, update.check)
        wire = Announcement(prefix=Name.fromText("/a"), cost=MAX_COST + 1, path=("a",)).encode()
        self.assertRaises(PacketError, Announcement.decode, wire)
        self.assertRaises(PacketError, Update.decode, anUpdate(hold=3_600_001).encode())
