"""
Who leads, of several controllers: whoever has made the leader's key, while the lease that it hangs on lasts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from hermes.control.errors import NotLeading
from hermes.control.store.errors import StoreError
from hermes.control.store.etcd.answers import EtcdError
from hermes.control.store.etcd.gateway import Gateway
from hermes.control.store.etcd.space import Part, Stored, made, whole
from hermes.interfaces.store import ILeadership

if TYPE_CHECKING:
    from hermes.control.store.etcd.keys import Keys

ENDING = 3.0
"""
Seconds for which etcd is asked to end a lease.
"""

RETRY = 0.25
"""
Seconds until the lease is renewed again, where that has failed.
"""


def margin(lasts: float) -> float:
    """
    So much earlier than its lease ends, in seconds, a leader leads no more: by no two clocks do ten seconds take the
    same time, and who leads must have heard of the end before.
    """
    return max(0.5, lasts / 10)


class Lease:
    """
    A lease, from the time at which it was asked for: it can't end before that and its duration.

    @ivar name: its ID, as etcd's JSON has it.
    """

    def __init__(self, gateway: Gateway, name: str, lasts: float, asked: float) -> None:
        self.name = name
        self.lasts = lasts
        self.until = asked + lasts - margin(lasts)
        self._gateway = gateway

    @classmethod
    async def granted(cls, gateway: Gateway, seconds: int) -> Lease:
        """
        A new one. Where the answer is lost, one that nobody renews is left, for as long as it lasts.
        """
        asked = gateway.clock.seconds()
        answer = await gateway.call("/lease/grant", {"TTL": str(seconds)}, urgent=True)
        return cls(gateway, str(whole(answer.get("ID"))), float(whole(answer.get("TTL"))), asked)

    async def renew(self) -> bool:
        """
        Make it last from now.

        @return: whether there still is one.
        """
        asked = self._gateway.clock.seconds()
        answer = await self._gateway.call("/lease/keepalive", {"ID": self.name}, self.lasts / 3, urgent=True)
        result = answer.get("result")
        lasts = whole(result.get("TTL")) if isinstance(result, dict) else 0
        if lasts <= 0:
            return False
        self.until = asked + lasts - margin(lasts)
        return True

    async def revoke(self) -> None:
        """
        End it, and what hangs on it.
        """
        try:
            await self._gateway.call("/lease/revoke", {"ID": self.name}, ENDING, urgent=True)
        except EtcdError as error:
            if not error.notFound:
                raise


@implementer(ILeadership)
class EtcdLeadership:
    """
    This controller's, until it is over.

    It ends when the lease could not be renewed in time (before it can have ended in etcd, by a clock that nobody sets),
    when etcd says that the lease or the key is gone, and when something that was written because of it was refused.
    """

    log = Logger()

    def __init__(
        self, gateway: Gateway, keys: Keys, identity: str, lease: Lease, revision: int, ended: Callable[[], object]
    ) -> None:
        """
        @param revision: in which the leader's key was made.
        @param ended: called when it is over, before C{lost} fires.
        """
        self.identity = identity
        self.lost: Deferred[None] = Deferred()
        self.revision = revision
        self._gateway = gateway
        self._keys = keys
        self._lease = lease
        self._ended = ended
        self._over = False
        self._renewing: Deferred[None] | None = None
        clock = gateway.clock
        self._end: IDelayedCall = clock.callLater(self._left(), self._timeUp)
        self._next: IDelayedCall | None = clock.callLater(lease.lasts / 3, self._renew)

    @property
    def leads(self) -> bool:
        if not self._over and self._left() <= 0:
            self._timeUp()
        return not self._over

    @property
    def fence(self) -> Part:
        """
        What all that it writes depends on.
        """
        return made(self._keys.leader, self.revision)

    def heldBy(self, key: Stored | None) -> bool:
        """
        Whether this is the key that it has made.
        """
        return key is not None and key.created == self.revision

    def displaced(self) -> NotLeading:
        """
        It is over: what it wrote was refused.
        """
        self._finish("etcd has refused what it wrote: it does not lead any more")
        return NotLeading("this controller does not lead any more")

    def observed(self, removed: bool, revision: int, created: int) -> None:
        """
        The leader's key was written or removed.

        @param revision: when.
        @param created: in which revision the key was made that was written.
        """
        if revision > self.revision and (removed or created != self.revision):
            self._finish("the leader's key was removed in etcd")

    def resign(self) -> Deferred[None]:
        if self._over:
            return succeed(None)
        self._finish(None)
        return Deferred.fromCoroutine(self._lease.revoke()).addErrback(self._notTold)

    def _notTold(self, failure: Failure) -> None:
        failure.trap(StoreError)
        self.log.warn("etcd was not told that {identity} leads no more", identity=self.identity)

    def _left(self) -> float:
        return self._lease.until - self._gateway.clock.seconds()

    def _timeUp(self) -> None:
        self._finish("its lease could not be renewed in time")

    def _finish(self, why: str | None) -> None:
        if self._over:
            return
        self._over = True
        if why is not None:
            self.log.warn("{identity} leads no more: {why}", identity=self.identity, why=why)
        for call in (self._end, self._next):
            if call is not None and call.active():
                call.cancel()
        renewing, self._renewing = self._renewing, None
        if renewing is not None:
            renewing.cancel()
        self._ended()
        self.lost.callback(None)

    def _renew(self) -> None:
        self._next = None
        self._renewing = Deferred.fromCoroutine(self._lease.renew()).addCallbacks(self._renewed, self._failed)

    def _renewed(self, lasts: bool) -> None:
        self._renewing = None
        if self._over:
            return
        if not lasts:
            self._finish("its lease is gone in etcd")
            return
        # A suspended machine, or a reactor that was busy: it may be late for this too.
        self._end.reset(max(0.0, self._left()))
        self._next = self._gateway.clock.callLater(self._lease.lasts / 3, self._renew)

    def _failed(self, failure: Failure) -> None:
        self._renewing = None
        if self._over:
            return
        self.log.warn("the leader's lease could not be renewed: {reason}", reason=failure.getErrorMessage())
        self._next = self._gateway.clock.callLater(RETRY, self._renew)
