"""
What an operator asks, and nothing is changed by it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from attrs import frozen
from twisted.internet.defer import Deferred, DeferredLock

from hermes.control.differences import NodeDifference, difference, documentDifference
from hermes.control.errors import UnknownVersion
from hermes.control.explaining import Explanation, Question
from hermes.control.leading import Parts
from hermes.control.planning import OverlayPlan
from hermes.control.plans import Plan
from hermes.control.values import AuditEntry, NodeReason, VersionRecord

HISTORY = 50
"""
How many versions are listed where nobody says how many.
"""


@frozen
class Difference:
    """
    What a document would change.

    @ivar nodes: node by node.
    @ivar document: the difference of the documents, as C{diff -u} writes it.
    @ivar problems: why it would be refused.
    @ivar base: the version that it was compared with, or L{None} before the first.
    """

    nodes: tuple[NodeDifference, ...]
    document: tuple[str, ...]
    problems: tuple[NodeReason, ...]
    base: int | None


class Questions:
    """
    The questions that the store and the planner answer: any controller does, whether it leads or not.
    """

    def __init__(self, parts: Parts, measurements: Callable[[str], str]) -> None:
        """
        @param measurements: gives what the network costs now, as the compiler writes it, of what the version that is
            committed was compiled with.
        """
        self._parts = parts
        self._measurements = measurements
        # A version that is committed stays what it is: compiling it once is enough.
        self._known: tuple[VersionRecord, Plan] | None = None
        self._one = DeferredLock()

    @property
    def committed(self) -> tuple[VersionRecord, Plan] | None:
        """
        The version that is committed, where it is compiled here for another reason: it leads.
        """
        return None

    async def _plan(self, document: str, measurements: str) -> Plan:
        plan: Plan = await self._parts.inThread(self._parts.planner.plan, document, measurements)
        return plan

    def history(self, limit: int = HISTORY, before: int | None = None) -> Deferred[Sequence[VersionRecord]]:
        """
        Versions, the newest first, without their documents.
        """
        return self._parts.store.versions(limit, before, whole=False)

    def version(self, number: int) -> Deferred[VersionRecord]:
        """
        One version. Errback with L{UnknownVersion} where there is none.
        """

        def found(record: VersionRecord | None) -> VersionRecord:
            if record is None:
                raise UnknownVersion(f"there is no version {number}")
            return record

        return self._parts.store.version(number).addCallback(found)

    def audits(self, limit: int = HISTORY, before: int | None = None) -> Deferred[Sequence[AuditEntry]]:
        """
        Who changed what, the newest first.
        """
        return self._parts.store.audits(limit, before)

    def diff(self, document: str) -> Deferred[Difference]:
        """
        What a document would change. Errback with L{hermes.config.ConfigError} where it is none.
        """
        return Deferred.fromCoroutine(self._diff(document))

    async def _diff(self, document: str) -> Difference:
        record, before = await self._current()
        plan = await self._plan(document, self._measurements("" if record is None else record.measurements))
        return Difference(
            tuple(difference(_texts(before), _texts(plan))),
            documentDifference("" if record is None else record.document, document),
            plan.problems,
            None if record is None else record.number,
        )

    async def _current(self) -> tuple[VersionRecord | None, Plan | None]:
        number = await self._parts.store.current()
        if number is None:
            return None, None
        # Who asks meanwhile waits, and finds it.
        await self._one.acquire()
        try:
            for known in self.committed, self._known:
                if known is not None and known[0].number == number:
                    return known
            record = await self._parts.store.version(number)
            if record is None:
                return None, None
            self._known = record, await self._plan(record.document, record.measurements)
            return self._known
        finally:
            self._one.release()

    def explain(
        self, question: Question, at: str | None = None, document: str | None = None
    ) -> Deferred[Mapping[str, Explanation]]:
        """
        May somebody reach something, and by which way: from one node, or from each where somebody comes in.

        @param document: what is asked about; what is committed where not given.
        @return: fires with the answers, by the node's name. Errback with L{hermes.control.explaining.Unasked}.
        """
        return Deferred.fromCoroutine(self._explain(question, at, document))

    async def _explain(self, question: Question, at: str | None, document: str | None) -> Mapping[str, Explanation]:
        record, plan = await self._current()
        if document is not None:
            plan = await self._plan(document, self._measurements("" if record is None else record.measurements))
        if not isinstance(plan, OverlayPlan):
            raise UnknownVersion("nothing is committed yet")
        explainer = plan.explainer()
        return {node: explainer.may(question, node) for node in ([at] if at else explainer.entrances())}


def _texts(plan: Plan | None) -> Mapping[str, str]:
    return {} if plan is None else {name: config.decode() for name, config in plan.configs.items()}
