"""
What a store in memory keeps, and who leads in it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from attrs import define, field
from twisted.internet.defer import Deferred
from zope.interface import implementer

from hermes.control.values import AuditEntry, NodeEntry, VersionRecord
from hermes.interfaces.store import ILeadership, Watched

if TYPE_CHECKING:
    from hermes.testing.control.store import MemoryStore


@define(eq=False)
class MemoryStoreState:
    """
    What is stored.

    @ivar current: the version that is committed.
    @ivar decided: how often each version was committed: once, or something is wrong.
    @ivar waiting: who wants to lead, the leader first.
    @ivar untold: who does not know that it does not lead any more.
    """

    versions: dict[int, VersionRecord] = field(factory=dict)
    current: int | None = None
    decided: dict[int, int] = field(factory=dict)
    nodes: dict[str, NodeEntry] = field(factory=dict)
    revoked: dict[str, float] = field(factory=dict)
    tokens: dict[str, tuple[str, float]] = field(factory=dict)
    secrets: dict[str, bytes] = field(factory=dict)
    audited: list[AuditEntry] = field(factory=list)
    waiting: list[MemoryLeadership] = field(factory=list)
    untold: list[MemoryLeadership] = field(factory=list)
    watchers: dict[Callable[[], object], Watched] = field(factory=dict)

    def expire(self, told: bool = True) -> None:
        """
        The leader's lease ends: the next one leads.

        @param told: whether the one that led hears of it; where not, it goes on as if it led, until L{tellAll}.
        """
        if self.waiting:
            self.waiting[0].end(told)

    def tellAll(self) -> None:
        """
        Whoever does not lead any more hears of it.
        """
        untold, self.untold = self.untold, []
        for each in untold:
            each.tell()

    def changed(self, what: Watched) -> None:
        """
        Tell whoever watches.
        """
        for told, wanted in list(self.watchers.items()):
            if wanted == what:
                told()


@implementer(ILeadership)
@define(eq=False)
class MemoryLeadership:
    """
    See L{ILeadership}.
    """

    identity: str
    store: MemoryStore
    leads: bool = False
    over: bool = False
    elected: Deferred[MemoryLeadership] = field(init=False)
    lost: Deferred[None] = field(factory=Deferred)

    def __attrs_post_init__(self) -> None:
        self.elected = Deferred(lambda _: self.end())

    def begin(self) -> None:
        """
        It leads.
        """
        self.store.later(self._begin)

    def _begin(self) -> None:
        if self.over or self.leads:
            return
        self.leads = True
        self.store.state.changed("leader")
        self.elected.callback(self)

    def end(self, told: bool = True) -> None:
        """
        It does not lead any more.

        @param told: whether it knows.
        """
        if self.over:
            return
        self.over = True
        state = self.store.state
        state.waiting.remove(self)
        if self.leads:
            state.changed("leader")
        if not told:
            state.untold.append(self)
        elif self.leads:
            self.tell()
        if state.waiting:
            state.waiting[0].begin()

    def tell(self) -> None:
        """
        It knows now.
        """
        self.leads = False
        self.store.later(lambda: None if self.lost.called else self.lost.callback(None))

    def resign(self) -> Deferred[None]:
        self.end()
        return self.store.done(lambda: None)
