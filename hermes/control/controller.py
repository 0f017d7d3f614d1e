"""
The controller: what operators ask of the overlay, whoever carries their questions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from attrs import evolve
from twisted.internet.defer import Deferred, fail, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure

from hermes.control.errors import Busy, ControlError, NotLeading, Superseded, UnknownNode, UnknownVersion
from hermes.control.leading import Leading, Parts
from hermes.control.plans import Plan
from hermes.control.questions import Questions
from hermes.control.standing import Standing
from hermes.control.status import OverlayStatus, nodeStatuses
from hermes.control.values import CONTROLLER, AuditEntry, NodeReason, Outcome, Progress, VersionRecord
from hermes.interfaces.control import INodeLink

_T = TypeVar("_T")


class Enrolment(Protocol):
    """
    Who is let into the overlay. L{hermes.control.enrolment} has the real one.
    """

    def enrol(self, node: str) -> Deferred[str]:
        """
        Fires with a token by which this node can join, once.
        """

    def revoke(self, node: str) -> Deferred[Any]:
        """
        Shut a node out, at once.
        """


class Controller(Questions):
    """
    One controller. It serves whoever asks; of several that share a store, the one that leads makes changes.

    @ivar enrolment: who is let in.
    """

    log = Logger()

    def __init__(
        self,
        parts: Parts,
        identity: str,
        time: Callable[[], float],
        enrolment: Enrolment | None = None,
        measurements: Callable[[str], str] = lambda committed: "",
    ) -> None:
        """
        @param identity: how other controllers and operators call this one: where it can be reached.
        @param time: seconds since the epoch: what is written down, and nothing is decided by.
        @param measurements: gives what the network costs now, as the compiler writes it, of what the version that is
            committed was compiled with.
        """
        super().__init__(parts, measurements)
        self.enrolment = enrolment
        self._time = time
        self._standing = Standing(parts, identity, self._tell)
        self._changing = False
        self._byItself = False
        self._unwanted: str | None = None
        self._asked: list[Deferred[Outcome | None]] = []
        self._progress: Progress | None = None
        self._watchers: list[Callable[[], object]] = []

    # From start to end

    def start(self) -> Deferred[None]:
        """
        Open the store, and stand for election. Fires once the store is open.
        """
        return self._parts.store.start().addCallback(lambda _: self._standing.start())

    def stop(self) -> Deferred[None]:
        """
        Lead no more, and close the store. What is under way is left to the next leader and to the nodes.
        """
        self._standing.stop()
        return self._parts.store.close()

    @property
    def leads(self) -> bool:
        """
        Whether it makes changes.
        """
        return self._standing.leading is not None

    @property
    def changing(self) -> bool:
        """
        Whether a change is under way.
        """
        return self._changing

    @property
    def committed(self) -> tuple[VersionRecord, Plan] | None:
        """
        Where it leads: the version that is committed, and what that comes to; L{None} where there is none.
        """
        leading = self._standing.leading
        if leading is None or leading.current is None or leading.plan is None:
            return None
        return leading.current, leading.plan

    def watch(self, callback: Callable[[], object]) -> Callable[[], None]:
        """
        Call C{callback} when another version is committed, a change begins, goes on or ends, another controller leads,
        or something about a node has changed. The result ends it.
        """
        self._watchers.append(callback)
        stopLinks = self._parts.links.watch(lambda link: callback())

        def stop() -> None:
            if callback in self._watchers:
                self._watchers.remove(callback)
                stopLinks()

        return stop

    def _tell(self) -> None:
        for watcher in list(self._watchers):
            try:
                watcher()
            except Exception:
                self.log.failure("telling {watcher} failed", watcher=watcher)

    def _lead(self) -> Leading:
        leading = self._standing.leading
        if leading is None:
            raise NotLeading("this controller does not lead: ask the one that does")
        return leading

    # Changes

    def apply(
        self,
        document: str,
        author: str,
        comment: str = "",
        expect: int | None = None,
        progress: Callable[[Progress], object] = lambda progress: None,
        origin: str = "",
        measurements: str | None = None,
        byItself: bool = False,
    ) -> Deferred[Outcome]:
        """
        Make a document the overlay's.

        @param expect: the version that it was made for: another one is committed meanwhile, it is refused.
        @param progress: told how it goes on.
        @param origin: where the author asks from, for the audit log.
        @param measurements: what it is compiled with; what the network costs now where not given.
        @param byItself: whether nobody has asked for it. It is taken back, unless it is decided, as soon as somebody
            asks for another.
        @return: fires with what came of it. Errback with L{hermes.config.ConfigError} where it is no document,
            L{Superseded}, L{Busy}, L{NotLeading}, or L{ControlError}.
        """
        applying = Deferred.fromCoroutine(
            self._apply(document, author, comment, expect, progress, measurements, byItself)
        )
        return applying.addBoth(self._audited, author, "apply", comment, origin)

    async def _apply(
        self,
        document: str,
        author: str,
        comment: str,
        expect: int | None,
        progress: Callable[[Progress], object],
        measurements: str | None,
        byItself: bool = False,
    ) -> Outcome:
        leading = self._lead()
        if self._changing and self._byItself and not byItself:
            await self._takeBack(leading, f"{author} makes another change")
        if self._changing:
            raise Busy("another change is under way: wait for it, or cancel it")
        self._changing, self._byItself, self._unwanted = True, byItself, None
        outcome: Outcome | None = None
        try:
            self._goesOn(Progress("validate"), progress)
            await self._parts.stopAt("apply.validate")
            if measurements is None:
                measurements = self._measurements("" if leading.current is None else leading.current.measurements)
            plan = await self._plan(document, measurements)
            if self._unwanted is not None:
                outcome = Outcome("refused", reasons=(NodeReason(CONTROLLER, self._unwanted, "validate"),))
                return outcome
            if self._standing.leading is not leading:
                raise NotLeading("this controller does not lead any more")
            current = leading.current
            number = None if current is None else current.number
            if expect is not None and expect != number:
                raise Superseded(f"the overlay is at version {number or 'none'}, and this was made for {expect}")
            if plan.problems:
                return Outcome("refused", reasons=plan.problems)
            if current is not None and (current.document, current.digests) == (document, plan.digests):
                return Outcome("unchanged", number)
            record = VersionRecord(
                0, number, author, self._time(), comment, document, "preparing", (), plan.measurements, plan.digests
            )

            def goesOn(now: Progress) -> None:
                if self._unwanted is not None and leading.transaction is not None:
                    # Somebody has said so when there was none yet.
                    leading.transaction.cancel(self._unwanted)
                    self._unwanted = None
                self._goesOn(now, progress)

            outcome = await leading.change(record, plan, goesOn)
            return outcome
        finally:
            self._changing = False
            self._progress = None
            asked, self._asked = self._asked, []
            for who in asked:
                who.callback(outcome)
            self._tell()

    def _goesOn(self, now: Progress, progress: Callable[[Progress], object]) -> None:
        self._progress = now
        progress(now)
        self._tell()

    def rollback(
        self,
        number: int,
        author: str,
        comment: str = "",
        expect: int | None = None,
        progress: Callable[[Progress], object] = lambda progress: None,
        origin: str = "",
    ) -> Deferred[Outcome]:
        """
        Make what an earlier version said the overlay's once more: a new version like any other.

        @return: as of L{apply}; errback with L{UnknownVersion} too, also of one that was never committed.
        """

        async def applied() -> Outcome:
            record = await self._parts.store.version(number)
            if record is None or record.phase != "committed":
                raise UnknownVersion(f"version {number} was never committed")
            said = comment or f"back to version {number}"
            return await self._apply(record.document, author, said, expect, progress, record.measurements)

        rolling = Deferred.fromCoroutine(applied())
        return rolling.addBoth(self._audited, author, "rollback", f"to version {number}", origin)

    def cancel(self, author: str, origin: str = "") -> Deferred[Outcome | None]:
        """
        Take back the change that is under way, unless it is decided: every node runs the version before then.

        @param origin: where the author asks from, for the audit log.
        @return: fires with what came of it: C{committed} where it was decided already; L{None} where there is none, or
            it ended with an error. Never errbacks.
        @raise NotLeading: where none can be.
        """
        leading = self._lead()
        if not self._changing:
            return succeed(None)
        number = None if leading.transaction is None else leading.transaction.number
        self._audit(author, "cancel", "" if number is None else f"version {number}", "", origin)
        return self._takeBack(leading, f"{author} cancelled it")

    def _takeBack(self, leading: Leading, reason: str) -> Deferred[Outcome | None]:
        over: Deferred[Outcome | None] = Deferred()
        self._asked.append(over)
        if leading.transaction is None:
            self._unwanted = reason
        else:
            leading.transaction.cancel(reason)
        return over

    def _audited(self, result: Any, author: str, action: str, text: str, origin: str) -> Any:
        if isinstance(result, Outcome):
            subject = "" if result.number is None else f"version {result.number}"
            said = f"{result.result}: {'; '.join(map(str, result.reasons))}" if result.reasons else result.result
        else:
            subject, said = "", f"refused: {result.getErrorMessage()}"
        self._audit(author, action, subject, f"{said} ({text})" if text else said, origin)
        return result

    def _audit(self, actor: str, action: str, subject: str, text: str, origin: str) -> None:
        """
        Write down who did what. Where that can't be, the process's log has it.
        """
        self.log.info("{actor} {action} {subject}: {text}", actor=actor, action=action, subject=subject, text=text)
        written = self._parts.store.audit(AuditEntry(self._time(), actor, action, subject, text[:4000], origin))
        written.addErrback(self._notWritten)

    def _notWritten(self, failure: Failure) -> None:
        if failure.check(ControlError):
            self.log.error("the audit log could not be written: {error}", error=failure.value)
        else:
            self.log.failure("the audit log could not be written", failure)

    # Nodes

    def enrol(self, node: str, author: str = CONTROLLER, origin: str = "") -> Deferred[str]:
        """
        A token by which a node of this name can join, once. Errback with L{ControlError}.
        """
        if self.enrolment is None:
            return fail(ControlError("this controller lets nobody in"))
        return self.enrolment.enrol(node).addCallback(self._didTo, node, author, "enrol", origin)

    def revoke(self, node: str, author: str = CONTROLLER, origin: str = "") -> Deferred[Any]:
        """
        Shut a node out, at once.
        """
        if self.enrolment is None:
            return fail(ControlError("this controller lets nobody in"))
        return self.enrolment.revoke(node).addCallback(self._didTo, node, author, "revoke", origin)

    def drain(self, node: str, timeout: float, author: str = CONTROLLER, origin: str = "") -> Deferred[bool]:
        """
        Have a node accept nothing more. Fires, once it runs nothing, with whether every flow ended by itself. Errback
        with L{UnknownNode} where it is not connected, as for all that is asked of one node.
        """
        draining = self._ask(node, lambda link: link.drain(timeout))
        return draining.addCallback(self._didTo, node, author, "drain", origin)

    def _didTo(self, result: _T, node: str, author: str, action: str, origin: str) -> _T:
        self._audit(author, action, node, "", origin)
        return result

    def nodeStatus(self, node: str) -> Deferred[Mapping[str, Any]]:
        """
        What a node's own status says.
        """
        return self._ask(node, lambda link: link.status())

    def logs(self, node: str, count: int) -> Deferred[Sequence[str]]:
        """
        The last lines of a node's log.
        """
        return self._ask(node, lambda link: link.logs(count))

    def _ask(self, node: str, call: Callable[[INodeLink], Deferred[_T]]) -> Deferred[_T]:
        link = self._parts.links.get(node)
        return fail(UnknownNode(f"{node} is not connected to this controller")) if link is None else call(link)

    # What is now

    def status(self) -> Deferred[OverlayStatus]:
        """
        The overlay now.
        """
        return Deferred.fromCoroutine(self._status())

    async def _status(self) -> OverlayStatus:
        store, leading = self._parts.store, self._standing.leading
        entries, leader = await store.nodes(), await store.leader()
        record: VersionRecord | None = None
        if leading is not None:
            record = leading.current
        elif (number := await store.current()) is not None:
            record = await store.version(number)
        transaction = None if leading is None else leading.transaction
        found = OverlayStatus(
            leading=leading is not None,
            leader=leader,
            problem=None if leading is None else leading.problem,
            change=None if not self._changing else 0 if transaction is None else transaction.number or 0,
            progress=self._progress,
            nodes=tuple(nodeStatuses(leading, self._parts.links, entries)),
        )
        if record is None:
            return found
        return evolve(found, version=record.number, author=record.author, time=record.time, comment=record.comment)
