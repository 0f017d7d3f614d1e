"""
An entry of the Pending Interest Table and its records.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from hermes.ndn.forwarder.port import Port
from hermes.ndn.forwarder.wheel import Timed

if TYPE_CHECKING:
    from hermes.ndn.forwarder.strategychoice import Chosen
    from hermes.ndn.packet.peek import InterestView

IN_COST: Final = 620
"""
Bytes that an in-record counts beside its packet: the record, the view, their places in tables. Measured, as are the
others: see C{docs/performance.md}.
"""

ENTRY_COST: Final = 580
"""
What the first in-record of an entry counts, for the entry and its first out-record.
"""

COMPONENT_COST: Final = 36
"""
What each component of its name counts in an in-record.
"""

OUT_COST: Final = 150
"""
What the first in-record of an entry counts for each out-record after the first.
"""


class InRecord:
    """
    A downstream face that waits.

    @ivar port: the face.
    @ivar view: the Interest as it came last and may go on: with a Nonce, with a hop limit that is lower by one, without
        a forwarding hint where it has arrived.
    @ivar came: the same as it came: what a Nack has to say.
    @ivar token: the PIT token that it came with: goes back with Data and Nack.
    @ivar since: when it came, in seconds of the clock.
    @ivar expiry: until when it waits.
    @ivar cost: what it counts against the share of its face.
    """

    __slots__ = ("came", "cost", "expiry", "port", "since", "token", "view")

    def __init__(
        self,
        port: Port,
        view: InterestView,
        came: InterestView,
        token: bytes | None,
        since: float,
        expiry: float,
        cost: int,
    ) -> None:
        self.port = port
        self.view = view
        self.came = came
        self.token = token
        self.since = since
        self.expiry = expiry
        self.cost = cost


class OutRecord:
    """
    An upstream face that was asked.

    @ivar nonce: the Nonce that it was asked with last.
    @ivar sent: when, in seconds of the clock.
    @ivar expiry: until when it may answer.
    @ivar nack: the reason of the Nack that it has answered with, or L{None}.
    @ivar interval: how long the same is not sent there again, in seconds, where a strategy suppresses by face; 0
        before the first time.
    """

    __slots__ = ("expiry", "interval", "nack", "nonce", "sent")

    def __init__(self, nonce: int, sent: float, expiry: float) -> None:
        self.nonce = nonce
        self.sent = sent
        self.expiry = expiry
        self.nack: int | None = None
        self.interval = 0.0


class PITEntry:
    """
    Interests with the same name, selectors and forwarding hint.

    @ivar name: the value of the name.
    @ivar bare: the name without the implicit digest that it ends with, or L{None}.
    @ivar view: the first of them.
    @ivar chosen: the strategy of the name, as it was chosen when the first came.
    @ivar ins: who waits.
    @ivar outs: who was asked, in this order.
    @ivar satisfied: whether Data came.
    @ivar freshness: its FreshnessPeriod, in milliseconds.
    @ivar due: when it ends, in seconds of the clock.
    @ivar interval: how long Interests for it are suppressed after one was sent, in seconds, where a strategy suppresses
        by entry; 0 before the first time.
    @ivar kept: how long it stays after Data came, in seconds, for other answers to be measured; nearly always 0.
    @ivar searching: whether the Content Store still looks for an answer.
    @ivar scope: how far it may go, see L{hermes.ndn.forwarder.scope}.
    @ivar info: the strategy's own.
    @ivar following: the next entry of the same name.
    @ivar slot: see L{Timed}.
    """

    __slots__ = (
        "bare",
        "chosen",
        "due",
        "following",
        "freshness",
        "info",
        "ins",
        "interval",
        "kept",
        "name",
        "outs",
        "satisfied",
        "scope",
        "searching",
        "slot",
        "view",
    )

    def __init__(self, view: InterestView, scope: int, chosen: Chosen) -> None:
        self.name = view.name
        self.bare: bytes | None = None
        self.view = view
        self.chosen = chosen
        self.ins: list[InRecord] = []
        self.outs: dict[Port, OutRecord] = {}
        self.satisfied = False
        self.freshness = 0
        self.due = 0.0
        self.interval = 0.0
        self.kept = 0.0
        self.searching = False
        self.scope = scope
        self.info: Any = None
        self.following: PITEntry | None = None
        self.slot: dict[Timed, None] | None = None

    def __repr__(self) -> str:
        return f"<PITEntry {self.name!r} {len(self.ins)} in {len(self.outs)} out>"
