"""
A controller's time as the leader: what is committed, the change that is under way, and the nodes that lag behind.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from attrs import field, frozen
from twisted.internet.defer import Deferred, DeferredLock
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from hermes.control.errors import ControlError, Superseded
from hermes.control.plans import Plan, Planner
from hermes.control.reconciling import Reconciler, Wanted
from hermes.control.stops import StopAt
from hermes.control.transaction import Change, Transaction
from hermes.control.transaction.core import Core
from hermes.control.transaction.writing import ABORTING, Record
from hermes.control.values import CONTROLLER, NodeReason, Outcome, Progress, Settings, VersionRecord
from hermes.interfaces.control import INodeLinks
from hermes.interfaces.store import IStore

_T = TypeVar("_T")

RECENT = 30
"""
How many of the last versions are looked through for one that nobody has decided.
"""

CLEAR = 5.0
"""
Seconds until the store is asked once more what became of a version.
"""

LEFT = "the controller that made it has gone in the middle"


@frozen(eq=False)
class Parts:
    """
    What a leader stands on.

    @ivar clock: tells time that never jumps.
    @ivar inThread: calls a function where it may take a while, with arguments.
    @ivar settings: for what is given to one node alone.
    """

    store: IStore
    links: INodeLinks
    planner: Planner
    clock: IReactorTime
    inThread: Callable[..., Deferred[Any]]
    stopAt: StopAt
    settings: Settings = field(factory=Settings)


class Leading:
    """
    From the election to its loss.

    @ivar current: the record of the version that is committed, or L{None} where there is none.
    @ivar problem: why it can't be compiled any more, or L{None}.
    @ivar reconciler: brings nodes to it.
    @ivar transaction: the change that is under way, or L{None}.
    """

    log = Logger()

    def __init__(self, parts: Parts, changed: Callable[[], object]) -> None:
        """
        @param changed: called when the version that is committed, or the change that is under way, is another.
        """
        self.current: VersionRecord | None = None
        self.problem: str | None = None
        self.transaction: Transaction | None = None
        self._parts = parts
        self._changed = changed
        self._plan: Plan | None = None
        self._decided: dict[int, VersionRecord] = {}
        self._suspect = False
        self._over = False
        self._one = DeferredLock()
        self._looking = False
        self._unwatch: Callable[[], None] = lambda: None
        self.reconciler = Reconciler(
            parts.links, self.wanted, self._taking, self._version, parts.clock, parts.stopAt, parts.settings
        )

    # What is committed

    @property
    def plan(self) -> Plan | None:
        """
        What is committed, compiled; L{None} where there is nothing, or it can't be.
        """
        return self._plan

    def wanted(self, name: str) -> Wanted | None:
        """
        What a node should run; L{None} for one that the overlay does not have.
        """
        record, plan = self.current, self._plan
        if record is None:
            return None
        committed = record.digests.get(name)
        config = None if plan is None else plan.configs.get(name)
        if config is None:
            return None if committed is None else Wanted(record.number, frozenset({committed}), None, committed)
        assert plan is not None
        digest = plan.digests[name]
        return Wanted(record.number, frozenset({digest, committed or digest}), config, digest)

    def _taking(self, name: str) -> bool:
        return self.transaction is not None and name in self.transaction.taking

    async def _read(self, number: int) -> VersionRecord | None:
        record: VersionRecord | None = await self._parts.store.version(number)
        if record is not None and record.decided:
            # It stays so. A thousand nodes may carry the same one.
            self._decided[number] = record
            while len(self._decided) > 8:
                del self._decided[next(iter(self._decided))]
        return record

    def _version(self, number: int) -> Deferred[VersionRecord | None]:
        known = self._decided.get(number)

        async def read() -> VersionRecord | None:
            return known or await self._read(number)

        return Deferred.fromCoroutine(read())

    # From start to end

    async def begin(self) -> None:
        """
        See what is committed, abort what the leader before has left undecided, and bring nodes to what is committed.
        """
        # From now on, lest what somebody writes while this is read is missed.
        self._unwatch = self._parts.store.watch(self._lookAgain)
        try:
            await self._exclusively(self._begin)
        except BaseException:
            self._lookNoMore()
            raise

    async def _begin(self) -> None:
        await self._parts.stopAt("recover")
        await self._recover()
        await self._load()
        if not self._over:
            self.reconciler.start()
            self._changed()

    async def _load(self) -> bool:
        """
        See what is committed.

        @return: whether it is another than was known.
        """
        number = await self._parts.store.current()
        if number == (None if self.current is None else self.current.number):
            return False
        self.current = None if number is None else await self._read(number)
        self._plan, self.problem = None, None
        await self._compile()
        return True

    def _lookAgain(self) -> None:
        """
        A version was written; as a rule by this controller.
        """
        if self._over or self._looking:
            return
        self._looking = True

        async def look() -> None:
            self._looking = False
            if not self._over and await self._load():
                self.log.warn("somebody else has changed what is committed")
                self._changed()
                self.reconciler.renew([link.name for link in self._parts.links])

        self._alone(look)

    def _lookNoMore(self) -> None:
        unwatch, self._unwatch = self._unwatch, lambda: None
        unwatch()

    def _alone(self, activity: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """
        Do something while there is no change under way; once more after a while, where the store does not answer.
        """

        async def alone() -> None:
            try:
                await self._exclusively(activity)
            except ControlError as error:
                self.log.error("the store is asked again: {error}", error=error)
                if not self._over:
                    self._parts.clock.callLater(CLEAR, self._alone, activity)

        Deferred.fromCoroutine(alone()).addErrback(lambda failure: self.log.failure("looking again failed", failure))

    async def _compile(self) -> None:
        record = self.current
        if record is None:
            return
        try:
            self._plan = await self._parts.inThread(self._parts.planner.plan, record.document, record.measurements)
        except Exception as error:
            # Nodes that have it keep it. Those that lack it get the next one.
            self.problem = f"version {record.number} can't be compiled any more: {error}"
            self.log.error("{problem}", problem=self.problem)

    async def _recover(self) -> None:
        """
        Versions that nobody has decided are aborted. Those who run them go back by themselves, or are told when they
        are seen.
        """
        parts = self._parts
        for record in await parts.store.versions(RECENT, whole=False):
            if record.decided:
                continue
            await parts.stopAt("recover.abort")
            self.log.warn("version {number} was left undecided: it is aborted", number=record.number)
            left = Record(parts.store, record.number, parts.clock, record.phase)
            if await left.abort([NodeReason(CONTROLLER, LEFT, "recover")], parts.clock.seconds() + ABORTING) is None:
                raise ControlError(f"the store did not take it that version {record.number} is aborted")
        self._suspect = False

    def _clear(self) -> None:
        """
        The store may have a version that nobody has decided: abort it, unless the next change has seen to it.
        """

        async def clear() -> None:
            if self._suspect and not self._over:
                await self._recover()

        self._alone(clear)

    def end(self) -> None:
        """
        Another controller leads, or none.
        """
        self._over = True
        self._lookNoMore()
        self.reconciler.stop()
        if self.transaction is not None:
            self.transaction.abandon()

    # A change

    async def change(self, record: VersionRecord, plan: Plan, progress: Callable[[Progress], object]) -> Outcome:
        """
        Make a change, once the one before is over.
        """

        async def change() -> Outcome:
            # What another controller has written that did not know yet that it does not lead, too.
            await self._recover()
            if record.parent != (None if self.current is None else self.current.number):
                raise Superseded("the overlay has got another version meanwhile")
            return await self._change(record, plan, progress)

        return await self._exclusively(change)

    async def _exclusively(self, activity: Callable[[], Coroutine[Any, Any, _T]]) -> _T:
        """
        Do one thing after the other.
        """
        await self._one.acquire()
        try:
            result = await activity()
        except Exception:
            self._one.release()
            raise
        # Not where Python clears away what nobody waits for any more.
        self._one.release()
        return result

    async def _change(self, record: VersionRecord, plan: Plan, progress: Callable[[Progress], object]) -> Outcome:
        base = {} if self.current is None else self.current.digests
        transaction = Transaction(
            Core(
                Change(record, plan, base),
                self._parts.store,
                self._parts.links,
                self._parts.clock,
                self._parts.stopAt,
                self.reconciler.settle,
                lambda record: self._committed(record, plan),
                progress,
            )
        )
        self.transaction = transaction
        self._changed()
        try:
            outcome = await transaction.run()
        finally:
            self.transaction = None
            if transaction.suspect:
                self._suspect = True
                self._parts.clock.callLater(CLEAR, self._clear)
        if not self._over:
            self.reconciler.renew([*outcome.changed, *outcome.later])
            self._changed()
        return outcome

    def _committed(self, record: VersionRecord, plan: Plan) -> None:
        self.current, self._plan, self.problem = record, plan, None
        self._changed()
        # Who does not take part and has come meanwhile.
        self.reconciler.renew([name for name in plan.digests if not self._taking(name)])
