"""
Wanting to lead: wait until nobody does, and be the first.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from hermes.control.store import codec
from hermes.control.store.errors import StoreError
from hermes.control.store.etcd.gateway import Gateway
from hermes.control.store.etcd.keys import Keys
from hermes.control.store.etcd.leadership import EtcdLeadership, Lease
from hermes.control.store.etcd.space import Space, get, made, nonce, put
from hermes.interfaces.store import Watched

LOOK = 5.0
"""
Seconds after which it looks again whether somebody leads, where it has heard of no change.
"""

AGAIN = 1.0
"""
Seconds after which it tries again where etcd does not answer.
"""


def _whatever(failure: Failure) -> None:
    failure.trap(StoreError, CancelledError)


class Campaign:
    """
    One of those who want to lead.
    """

    log = Logger()

    def __init__(
        self,
        gateway: Gateway,
        space: Space,
        keys: Keys,
        seconds: int,
        watch: Callable[[Callable[[], object], Watched], Callable[[], None]],
        ended: Callable[[], object],
    ) -> None:
        """
        @param seconds: of the lease.
        @param watch: see L{hermes.interfaces.store.IStore.watch}.
        @param ended: called when a leadership is over.
        """
        self._gateway = gateway
        self._space = space
        self._keys = keys
        self._seconds = seconds
        self._watch = watch
        self._ended = ended

    async def won(self, identity: str) -> EtcdLeadership:
        """
        The leadership, once it is had.
        """
        while True:
            # Before it looks, so that nothing is missed between.
            changed = self._changed()
            try:
                if await self._space.one(self._keys.leader) is not None:
                    await changed
                    continue
                leadership = await self._run(identity)
                if leadership is not None:
                    return leadership
            except StoreError as error:
                self.log.warn("{identity} can't try to lead: {error}", identity=identity, error=error)
                await self._gateway.pause(AGAIN)
            finally:
                changed.addErrback(_whatever)
                changed.cancel()

    async def _run(self, identity: str) -> EtcdLeadership | None:
        """
        Try to make the leader's key.
        """
        key = self._keys.leader
        lease = await Lease.granted(self._gateway, self._seconds)
        mine = codec.dumped({"identity": identity, "by": nonce()})
        try:
            done = await self._space.transact([made(key, 0)], [put(key, mine, lease.name)], [get(key)], urgent=True)
            there = done.one(0)
            revision = done.revision if done.succeeded else 0
            if there is not None and there.value == mine:
                # It was made, and the answer was lost.
                revision = there.created
        except BaseException:
            # Whether it was made is not known; without its lease it is not there.
            self._drop(lease)
            raise
        if revision and lease.until > self._gateway.clock.seconds():
            return EtcdLeadership(self._gateway, self._keys, identity, lease, revision, self._ended)
        self._drop(lease)
        return None

    def _drop(self, lease: Lease) -> None:
        Deferred.fromCoroutine(lease.revoke()).addErrback(_whatever)

    def _changed(self) -> Deferred[None]:
        """
        Somebody leads: wait for a change of that.
        """
        changed: Deferred[None] = Deferred(lambda _: stop())

        def told() -> None:
            if not changed.called:
                stop()
                changed.callback(None)

        def stop() -> None:
            end()
            if call.active():
                call.cancel()

        end = self._watch(told, "leader")
        call = self._gateway.clock.callLater(LOOK, told)
        return changed
