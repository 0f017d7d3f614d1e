"""
The store in etcd: what its parts do, as one.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from zope.interface import implementer

from hermes.control.errors import NotLeading
from hermes.control.store import codec
from hermes.control.store.codec import Unreadable
from hermes.control.store.errors import StoreTooNew
from hermes.control.store.etcd.campaign import Campaign
from hermes.control.store.etcd.changing import change
from hermes.control.store.etcd.gateway import Gateway
from hermes.control.store.etcd.keys import FORMAT, Keys, after
from hermes.control.store.etcd.leadership import EtcdLeadership
from hermes.control.store.etcd.nodes import Nodes
from hermes.control.store.etcd.options import EtcdOptions
from hermes.control.store.etcd.records import Audits, Secrets, Tokens
from hermes.control.store.etcd.space import Space, Stored, nonce
from hermes.control.store.etcd.versions import Versions
from hermes.control.store.etcd.watch import Event, Watch
from hermes.control.store.lastseen import INTERVAL, LastSeen
from hermes.control.store.sqlite import KEEP_AUDITS, KEEP_VERSIONS
from hermes.control.store.steadytime import SteadyTime
from hermes.control.store.watching import WATCHED, Watchers
from hermes.control.values import AuditEntry, NodeEntry, NodeReason, Phase, VersionRecord
from hermes.interfaces.store import ILeadership, IStore, Watched

_T = TypeVar("_T")


@implementer(IStore)
class EtcdStore:
    """
    One controller's connection to what is stored. Each write compares what it was made from with what is there, and the
    leader's that it leads: an answer that is lost, and a call that is made again, do no harm.
    """

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        options: EtcdOptions,
        keepVersions: int = KEEP_VERSIONS,
        keepAudits: int = KEEP_AUDITS,
        interval: float = INTERVAL,
        clock: IReactorTime | None = None,
    ) -> None:
        """
        @param reactor: for its connections and its threads.
        @param interval: seconds after which it is written, at the latest, when nodes were last seen.
        @param clock: what leases and waits go by; one that nobody can set, where not given.
        """
        self._gateway = Gateway(reactor, SteadyTime(reactor) if clock is None else clock, options)
        self._keys = keys = Keys.under(options.prefix)
        self._space = space = Space(self._gateway)
        self._lease = options.lease
        self._leadership: EtcdLeadership | None = None
        self._campaigns: set[Deferred[ILeadership]] = set()
        self._watchers = Watchers(reactor)
        self._watch = Watch(self._gateway, keys.state, after(keys.state), self._heard, self._missed, options.ping)
        self._versions = Versions(reactor, space, keys, self._lead, keepVersions)
        self._nodes = Nodes(space, keys)
        self._tokens = Tokens(space, keys)
        self._secrets = Secrets(space, keys)
        self._audits = Audits(space, keys, keepAudits)
        self._seen = LastSeen(reactor, lambda times: _begun(self._nodes.lastSeen(times)), interval)
        self._closed = False

    def start(self) -> Deferred[None]:
        return _begun(self._start())

    async def _start(self) -> None:
        wanted = codec.dumped({"format": FORMAT, "by": nonce()})

        def made(there: Stored | None) -> bytes | None:
            if there is None:
                return wanted
            try:
                form = codec.whole(there.json, "format")
            except Unreadable as error:
                raise there.corrupt(error) from None
            if form > FORMAT:
                raise StoreTooNew(
                    f"{there.name}: a newer Hermes has made this store (form {form}, this one knows up to {FORMAT}). "
                    "Install that Hermes here too."
                )
            return None

        try:
            await change(self._space, self._keys.format, made)
            revision = (await self._space.read()).revision
        except BaseException:
            await self._gateway.close()
            raise
        if not self._closed:
            self._watch.start(revision)

    def close(self) -> Deferred[None]:
        self._closed = True
        return _begun(self._close())

    async def _close(self) -> None:
        self._watchers.end()
        for each in list(self._campaigns):
            each.cancel()
        last: list[Deferred[Any]] = [self._seen.stop()]
        if self._leadership is not None:
            last.append(self._leadership.resign())
        await DeferredList(last, consumeErrors=True)
        self._watch.stop()
        await self._gateway.close()

    # Changes, and who leads

    def watch(self, callback: Callable[[], object], what: Watched = "versions") -> Callable[[], None]:
        return self._watchers.watch(callback, what)

    def _heard(self, event: Event) -> None:
        what = self._keys.watched(event.stored.key)
        if what == "leader" and self._leadership is not None:
            self._leadership.observed(event.removed, event.stored.changed, event.stored.created)
        if what is not None:
            self._watchers.changed((what,))

    def _missed(self) -> None:
        self._watchers.changed(WATCHED)

    def campaign(self, identity: str) -> Deferred[ILeadership]:
        campaign = Campaign(self._gateway, self._space, self._keys, self._lease, self._watchers.watch, self._ended)
        won: Deferred[ILeadership] = _begun(self._won(campaign, identity))
        self._campaigns.add(won)

        def over(result: _T) -> _T:
            self._campaigns.discard(won)
            return result

        return won.addBoth(over)

    async def _won(self, campaign: Campaign, identity: str) -> ILeadership:
        self._leadership = await campaign.won(identity)
        return self._leadership

    def _ended(self) -> None:
        self._leadership = None
        self._watchers.changed(("leader",))

    def _lead(self) -> EtcdLeadership:
        leadership = self._leadership
        if leadership is None or not leadership.leads:
            raise NotLeading("this controller does not lead")
        return leadership

    def leader(self) -> Deferred[str | None]:
        return _begun(self._leader())

    async def _leader(self) -> str | None:
        there = await self._space.one(self._keys.leader)
        if there is None:
            return None
        try:
            return codec.text(there.json, "identity")
        except Unreadable as error:
            raise there.corrupt(error) from None

    # Versions

    def appendVersion(self, record: VersionRecord) -> Deferred[int]:
        return _begun(self._versions.append(record))

    def version(self, number: int) -> Deferred[VersionRecord | None]:
        return _begun(self._versions.one(number))

    def versions(self, limit: int, before: int | None = None, whole: bool = True) -> Deferred[Sequence[VersionRecord]]:
        return _begun(self._versions.several(limit, before, whole))

    def current(self) -> Deferred[int | None]:
        return _begun(self._versions.current())

    def setPhase(
        self, number: int, expected: Phase, phase: Phase, reasons: Sequence[NodeReason] = ()
    ) -> Deferred[bool]:
        return _begun(self._versions.setPhase(number, expected, phase, reasons))

    # Nodes

    def putNode(self, entry: NodeEntry) -> Deferred[None]:
        return _begun(self._nodes.put(entry))

    def changeNode(
        self, name: str, change: Callable[[NodeEntry | None], NodeEntry | None]
    ) -> Deferred[NodeEntry | None]:
        return _begun(self._nodes.change(name, change)).addCallback(self._merged)

    def node(self, name: str) -> Deferred[NodeEntry | None]:
        return _begun(self._nodes.one(name)).addCallback(self._merged)

    def _merged(self, entry: NodeEntry | None) -> NodeEntry | None:
        return None if entry is None else self._seen.merged(entry)

    def nodes(self) -> Deferred[Sequence[NodeEntry]]:
        return _begun(self._nodes.all()).addCallback(lambda found: [self._seen.merged(each) for each in found])

    def removeNode(self, name: str) -> Deferred[None]:
        self._seen.forget(name)
        return _begun(self._nodes.remove(name))

    def seen(self, name: str, when: float) -> None:
        self._seen.seen(name, when)

    def putRevocations(self, serials: Mapping[str, float]) -> Deferred[None]:
        return _begun(self._nodes.revoke(dict(serials)))

    def revocations(self, now: float) -> Deferred[Mapping[str, float]]:
        return _begun(self._nodes.revocations(now))

    # Tokens, secrets, the audit log

    def putToken(self, hashed: str, node: str, expires: float) -> Deferred[None]:
        return _begun(self._tokens.put(hashed, node, expires))

    def takeToken(self, hashed: str, now: float) -> Deferred[str | None]:
        return _begun(self._tokens.take(hashed, now))

    def dropTokens(self, node: str) -> Deferred[int]:
        return _begun(self._tokens.drop(node))

    def secret(self, name: str) -> Deferred[bytes | None]:
        return _begun(self._secrets.get(name))

    def putSecret(self, name: str, value: bytes, expectedAbsent: bool = True) -> Deferred[bool]:
        return _begun(self._secrets.put(name, value, expectedAbsent))

    def audit(self, entry: AuditEntry) -> Deferred[int]:
        return _begun(self._audits.put(entry))

    def audits(self, limit: int, before: int | None = None) -> Deferred[Sequence[AuditEntry]]:
        return _begun(self._audits.several(limit, before))


def _begun(work: Coroutine[Deferred[Any], Any, Any]) -> Deferred[Any]:
    return Deferred.fromCoroutine(work)
