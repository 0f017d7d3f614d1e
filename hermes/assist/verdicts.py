"""
What an authorizer has said, and is asked.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Hashable

from attrs import define, frozen
from twisted.internet.defer import Deferred, succeed

from hermes.assist.sharing import Shared
from hermes.errors import Overloaded
from hermes.values import Headers


@frozen
class Verdict:
    """
    An answer.

    @ivar allowed: whether the request may pass.
    @ivar headers: fields that are set on it then.
    @ivar status: what it is answered with if not.
    @ivar response: the fields of that answer.
    @ivar body: its body.
    @ivar lasting: whether the verdict may be kept.
    """

    allowed: bool
    headers: Headers = ()
    status: int = 403
    response: Headers = ()
    body: bytes = b""
    lasting: bool = True


@define(eq=False)
class _Kept:
    verdict: Verdict
    until: float


class VerdictCache:
    """
    Verdicts by question, each for some time; the least recently used makes room.
    """

    def __init__(self, seconds: Callable[[], float], lifetime: float, most: int) -> None:
        """
        @param lifetime: seconds that a verdict is kept; 0 for not at all.
        @param most: verdicts.
        """
        self._seconds = seconds
        self._lifetime = lifetime
        self._most = most
        self._kept: OrderedDict[Hashable, _Kept] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, question: Hashable) -> Verdict | None:
        """
        The verdict, or L{None} where there is none any more.
        """
        kept = self._kept.get(question)
        if kept is None:
            return None
        if self._seconds() >= kept.until:
            del self._kept[question]
            return None
        self._kept.move_to_end(question)
        return kept.verdict

    def keep(self, question: Hashable, verdict: Verdict) -> None:
        """
        Keep a verdict that may be.
        """
        if self._lifetime and verdict.lasting:
            self._kept[question] = _Kept(verdict, self._seconds() + self._lifetime)
            self._kept.move_to_end(question)
            if len(self._kept) > self._most:
                self._kept.popitem(last=False)


class Questions:
    """
    Asks few at once, and each question once at a time: who asks the same meanwhile gets the same answer.
    """

    def __init__(self, cache: VerdictCache, atOnce: int, waiting: int) -> None:
        """
        @param atOnce: questions that are asked at once.
        @param waiting: further ones that wait.
        """
        self._cache = cache
        self._atOnce = atOnce
        self._most = waiting
        self._asking: dict[Hashable, Shared[Verdict]] = {}
        self._running = 0
        self._queue: deque[Deferred[None]] = deque()

    def __len__(self) -> int:
        return len(self._asking)

    def ask(self, question: Hashable, ask: Callable[[], Deferred[Verdict]]) -> Deferred[Verdict]:
        """
        The answer to C{question}, which C{ask} gets. It is kept.

        @raise Overloaded: where too many wait.
        """
        known = self._cache.get(question)
        if known is not None:
            return succeed(known)
        asking = self._asking.get(question)
        if asking is None:
            if self._running >= self._atOnce and len(self._queue) >= self._most:
                raise Overloaded("too many requests wait to be authorized")
            asking = Shared(Deferred.fromCoroutine(self._ask(question, ask)))
            if not asking.done:
                self._asking[question] = asking
        return asking.wait()

    async def _ask(self, question: Hashable, ask: Callable[[], Deferred[Verdict]]) -> Verdict:
        try:
            if self._running >= self._atOnce:
                turn: Deferred[None] = Deferred(self._queue.remove)
                self._queue.append(turn)
                # Whoever ends gives its place away, and does not lower the count.
                await turn
            else:
                self._running += 1
            try:
                verdict = await ask()
            finally:
                self._end()
        finally:
            self._asking.pop(question, None)
        self._cache.keep(question, verdict)
        return verdict

    def _end(self) -> None:
        if self._queue:
            self._queue.popleft().callback(None)
        else:
            self._running -= 1
