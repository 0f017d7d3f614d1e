"""
Who is shut out, as the controller tells it: to its own port, and to every node.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from hermes.control.errors import NodeCallFailed, NodeFailed
from hermes.interfaces.control import INodeLink, INodeLinks
from hermes.interfaces.store import IStore
from hermes.net.revocation import RevokedCertificates

READ_AGAIN = 3600.0
"""
Seconds after which the list is read again in any case: certificates that would have expired meanwhile leave it.
"""

TRY_AGAIN = 5.0
"""
Seconds after which a store that can't be read is asked again.
"""


class RevocationList:
    """
    Keeps the list at the controller's port, and at all nodes that are connected, as the store has it.
    """

    log = Logger()

    def __init__(
        self,
        store: IStore,
        revoked: RevokedCertificates,
        links: INodeLinks,
        clock: IReactorTime,
        seconds: Callable[[], float],
    ) -> None:
        """
        @param revoked: what the controller's credentials look at.
        @param clock: tells time that never jumps.
        @param seconds: the time, since the epoch.
        """
        self._store = store
        self._revoked = revoked
        self._links = links
        self._clock = clock
        self._seconds = seconds
        self._serials: tuple[str, ...] | None = None
        # What each link has been told.
        self._told: dict[INodeLink, tuple[str, ...]] = {}
        self._telling: set[INodeLink] = set()
        self._reading = False
        self._changed = False
        self._later: IDelayedCall | None = None
        self._stops: list[Callable[[], None]] = []

    def start(self) -> Deferred[None]:
        """
        Fires once the list is in force.
        """
        self._stops = [self._store.watch(self.read, "nodes"), self._links.watch(self._linkChanged)]
        return self._read()

    def stop(self) -> None:
        """
        Look no more.
        """
        for stop in self._stops:
            stop()
        self._stops = []
        if self._later is not None:
            self._later.cancel()
            self._later = None

    def read(self) -> None:
        """
        Something has changed.
        """
        if self._reading:
            self._changed = True
        elif self._stops:
            self._read()

    def _read(self) -> Deferred[None]:
        self._reading, self._changed = True, False
        if self._later is not None:
            self._later.cancel()
            self._later = None
        return self._store.revocations(self._seconds()).addCallbacks(self._found, self._failed).addCallback(self._done)

    def _found(self, found: Any) -> float:
        self._serials = tuple(sorted(found))
        # Connections with these certificates are ended here.
        self._revoked.set(self._serials)
        for link in self._links:
            self._tell(link)
        return READ_AGAIN

    def _failed(self, failure: Failure) -> float:
        self.log.error("who is shut out can't be read: {error}", error=failure.getErrorMessage())
        return TRY_AGAIN

    def _done(self, delay: float) -> None:
        self._reading = False
        if self._changed:
            self.read()
        elif self._stops:
            self._later = self._clock.callLater(delay, self._again)

    def _again(self) -> None:
        self._later = None
        self.read()

    # The nodes

    def _linkChanged(self, link: INodeLink) -> None:
        if link.state.connected:
            self._tell(link)
        else:
            self._told.pop(link, None)

    def _tell(self, link: INodeLink) -> None:
        serials = self._serials
        if serials is None or link in self._telling or self._told.get(link) == serials:
            return
        self._told[link] = serials
        self._telling.add(link)
        link.revoked(serials).addErrback(self._notTold, link).addCallback(self._hasTold, link)

    def _notTold(self, failure: Failure, link: INodeLink) -> None:
        failure.trap(NodeCallFailed)
        if failure.check(NodeFailed):
            self.log.error("{error}: it does not know who is shut out", error=failure.getErrorMessage())
        else:
            # It connects again, and is told again.
            link.disconnect("it was not told who is shut out")

    def _hasTold(self, result: Any, link: INodeLink) -> None:
        self._telling.discard(link)
        if link.state.connected:
            self._tell(link)
        else:
            self._told.pop(link, None)
