"""
Our calls of one connection, from when they are sent to when they are answered.
"""

from __future__ import annotations

from typing import Any, Protocol

from attrs import define, field
from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.spread import pb

from hermes.control.channel.banana import Expression, encode, encodeList
from hermes.control.channel.callee import Callee
from hermes.control.channel.errors import BY_NAME, CallFailed, CallTimeout, ChannelLost, TooLarge, Violation
from hermes.control.channel.jelly import toJelly
from hermes.control.channel.limits import Limits
from hermes.control.channel.messages import isPaged, readError, readResult
from hermes.control.channel.pages import Pages
from hermes.control.channel.transfers import Transfers


class Connection(Protocol):
    """
    What calls go through. See L{hermes.control.channel.broker.ControlBroker}.
    """

    @property
    def gone(self) -> bool: ...

    def send(self, data: bytes) -> None: ...

    def remote(self, callee: Callee) -> Expression: ...


@define(eq=False)
class _Asked:
    """
    A call that was not answered yet.

    @ivar answer: L{None} once nobody waits any more.
    @ivar pages: the arguments, where they were too large for the message.
    """

    method: str
    answer: Deferred[Any] | None
    timer: IDelayedCall
    pages: Pages | None = None


@define(eq=False)
class Asking:
    """
    See the module.
    """

    connection: Connection
    broker: pb.Broker
    clock: IReactorTime
    limits: Limits
    transfers: Transfers
    _asked: dict[int, _Asked] = field(factory=dict)
    _last: int = 0

    def call(
        self,
        reference: pb.RemoteReference,
        method: str,
        values: dict[str, Any],
        timeout: float | None,
        objects: tuple[Callee, ...],
    ) -> Deferred[Any]:
        """
        See L{hermes.control.channel.broker.ControlBroker.call}.
        """
        if self.connection.gone:
            return fail(ChannelLost(f"there is no connection for {method}"))
        if len(self._asked) >= self.limits.asked:
            return fail(CallFailed("too many calls wait for an answer"))
        arguments = encode(toJelly(values))
        pages: Pages | None = None
        if len(arguments) > self.limits.inline:
            try:
                pages = self.transfers.keep(arguments, method)
            except TooLarge:
                return fail()
            positional: list[Expression] = [self.connection.remote(pages), pages.size, toJelly(pages.digest)]
            arguments = encode([b"dictionary"])
        else:
            positional = [self.connection.remote(each) for each in objects]
        self._last = request = self._last + 1
        answer: Deferred[Any] = Deferred(lambda _: self._forget(request))
        seconds = self.limits.answerTime if timeout is None else timeout
        self._asked[request] = _Asked(method, answer, self.clock.callLater(seconds, self._expired, request), pages)
        head = [b"message", request, reference.luid, method.encode(), 1, [b"tuple", *positional]]
        self.connection.send(encodeList(*map(encode, head), arguments))
        return answer

    def _expired(self, request: int) -> None:
        asked = self._asked[request]
        answer, asked.answer = asked.answer, None
        self._release(asked)
        if answer is not None:
            answer.errback(CallTimeout(f"{asked.method} was not answered in time"))

    def _forget(self, request: int) -> None:
        """
        Nobody waits any more. An answer may still come.
        """
        asked = self._asked.get(request)
        if asked is not None:
            asked.answer = None
            self._release(asked)

    def _release(self, asked: _Asked) -> None:
        if asked.timer.active():
            asked.timer.cancel()
        if asked.pages is not None:
            asked.pages.drop()

    def _take(self, request: Any) -> Deferred[Any] | None:
        asked = self._asked.pop(request, None) if type(request) is int else None
        if asked is None:
            raise Violation("answer", "it answers what it was not asked")
        self._release(asked)
        answer, asked.answer = asked.answer, None
        return answer

    def answered(self, request: Any, expression: Expression) -> None:
        """
        The peer has answered.

        @raise Violation: where it was not asked; likewise below.
        @raise MalformedValue: where the answer is no value.
        """
        answer = self._take(request)
        result = readResult(expression, self.broker)
        if answer is None:
            return
        if not isPaged(result):
            answer.callback(result)
            return
        fetching = Deferred.fromCoroutine(self.transfers.fetch(*result))
        fetching.addCallbacks(answer.callback, answer.errback)

    def refused(self, request: Any, expression: Expression) -> None:
        """
        The peer has answered with an error.
        """
        answer = self._take(request)
        name, text = readError(expression)
        if answer is not None:
            answer.errback(BY_NAME.get(name, CallFailed)(text))

    def lost(self) -> None:
        """
        No more answers come.
        """
        asked, self._asked = self._asked, {}
        for each in asked.values():
            self._release(each)
            answer, each.answer = each.answer, None
            if answer is not None:
                answer.errback(ChannelLost(f"the connection was lost before {each.method} was answered"))
