"""
Who leads, where there is one process.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from hermes.interfaces.store import ILeadership


class LocalElection:
    """
    Those who want to lead, in the order in which they came: the first of them does.

    @ivar over: whether nobody leads any more.
    """

    def __init__(self) -> None:
        self.over = False
        self._candidates: list[_Candidate] = []

    @property
    def leader(self) -> str | None:
        """
        Who leads.
        """
        return self._candidates[0].identity if self._candidates else None

    def campaign(self, identity: str) -> Deferred[ILeadership]:
        """
        See L{hermes.interfaces.store.IStore.campaign}.
        """
        candidate = _Candidate(self, identity)
        self._candidates.append(candidate)
        if not self.over:
            self._begin()
        return candidate.elected

    def end(self) -> None:
        """
        Nobody leads any more.
        """
        self.over = True
        for each in list(self._candidates):
            each.end()

    def _begin(self) -> None:
        if self._candidates and not self._candidates[0].elected.called:
            first = self._candidates[0]
            first.elected.callback(first)

    def _leave(self, candidate: _Candidate) -> None:
        self._candidates.remove(candidate)

    def _changed(self) -> None:
        """
        Who led does no more, and knows it.
        """
        if not self.over:
            self._begin()


@implementer(ILeadership)
class _Candidate:
    """
    One of them.
    """

    def __init__(self, election: LocalElection, identity: str) -> None:
        self.identity = identity
        self.elected: Deferred[ILeadership] = Deferred(lambda _: self.end())
        self.lost: Deferred[None] = Deferred()
        self._election = election
        self._over = False

    @property
    def leads(self) -> bool:
        return not self._over and self.elected.called

    def resign(self) -> Deferred[None]:
        self.end()
        return succeed(None)

    def end(self) -> None:
        """
        Lead no more, or want to no more.
        """
        if self._over:
            return
        led = self.leads
        self._over = True
        self._election._leave(self)
        if led:
            self.lost.callback(None)
        self._election._changed()
