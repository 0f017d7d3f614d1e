"""
The peer's calls of one connection: performed, and answered.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from attrs import define
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.spread import pb

from hermes.control.channel.banana import Expression, encode, encodeList
from hermes.control.channel.callee import Call, Callee
from hermes.control.channel.counts import Refusals
from hermes.control.channel.errors import (
    BadCall,
    CallError,
    CallFailed,
    ChannelLost,
    NoSuchMethod,
    NoSuchObject,
    Violation,
)
from hermes.control.channel.jelly import fromJelly, toJelly
from hermes.control.channel.limits import Limits
from hermes.control.channel.messages import errorExpression, isPaged, readArguments
from hermes.control.channel.transfers import Transfers

MAX_NAME = 64
"""
How much of a method's name is looked at.
"""

_FAILED = "the other end failed to answer; its log says why"


class Connection(Protocol):
    """
    What answers go through. See L{hermes.control.channel.broker.ControlBroker}.
    """

    peerName: str

    @property
    def gone(self) -> bool: ...

    def send(self, data: bytes) -> None: ...

    def remote(self, callee: Callee) -> Expression: ...

    def local(self, number: Any) -> Callee | None: ...

    def violated(self, kind: str, text: str) -> None: ...

    def close(self) -> None: ...


@define(eq=False)
class Answering:
    """
    See the module.
    """

    log = Logger()

    connection: Connection
    broker: pb.Broker
    limits: Limits
    transfers: Transfers
    refusals: Refusals
    _count: int = 0

    def called(
        self, request: Any, number: Any, message: Any, wanted: Any, positional: Expression, named: Expression
    ) -> None:
        """
        The peer has called: what C{proto_message} of L{pb.Broker} is given.

        @raise Violation: where it may not, so.
        @raise MalformedValue: where an argument is no value.
        """
        if type(request) is not int or type(message) is not bytes or type(number) not in (int, bytes):
            raise Violation("malformed", "it sends a malformed call")
        if self._count >= self.limits.calls:
            raise Violation("calls", f"it makes more than {self.limits.calls} calls at once")
        objects = readArguments(positional, self.broker)
        values = fromJelly(named)
        if type(values) is not dict:
            raise Violation("malformed", "the arguments of a call have no names")
        name = message.decode("ascii", "replace")[:MAX_NAME]

        def answer(result: Any) -> None:
            if wanted:
                self._answer(request, result)

        refuse = self._refusing(request, name, bool(wanted))
        try:
            result = self._perform(number, name, values, objects)
            if not isinstance(result, Deferred):
                answer(result)
                return
        except Exception:
            refuse(Failure())
            return
        self._count += 1
        result.addBoth(self._done).addCallback(answer).addErrback(refuse)

    def _perform(self, number: Any, name: str, values: dict[str, Any], objects: list[Any]) -> Any:
        callee = self.connection.local(number)
        if callee is None:
            raise NoSuchObject("there is no such object")
        handler = callee.handlers.get(name)
        if handler is None:
            raise NoSuchMethod(f"there is no method {name!r}")
        if not isPaged(objects):
            return handler(Call(name, values, objects))
        perform = handler

        def fetched(value: Any) -> Any:
            if type(value) is not dict:
                raise BadCall("the arguments of a call have no names")
            return perform(Call(name, value))

        return Deferred.fromCoroutine(self.transfers.fetch(*objects)).addCallback(fetched)

    def _done(self, result: Any) -> Any:
        self._count -= 1
        return result

    def _answer(self, request: int, result: Any) -> None:
        if self.connection.gone:
            return
        if type(result) in (list, tuple) and any(isinstance(each, Callee) for each in result):
            parts = [self.connection.remote(each) if isinstance(each, Callee) else toJelly(each) for each in result]
            data = encode([b"list", *parts])
        else:
            data = encode(toJelly(result))
        if len(data) > self.limits.inline:
            pages = self.transfers.keep(data, "the answer", 2 * self.limits.pageTime)
            data = encode([b"list", self.connection.remote(pages), pages.size, toJelly(pages.digest)])
        self.connection.send(encodeList(encode(b"answer"), encode(request), data))

    def _refusing(self, request: int, method: str, wanted: bool) -> Callable[[Failure], None]:
        def refuse(failure: Failure) -> None:
            error = failure.value
            peer = self.connection.peerName
            if isinstance(error, Violation):
                self.connection.violated(error.kind, str(error))
                return
            if not isinstance(error, CallError):
                if not isinstance(error, ChannelLost):
                    self.log.failure("{method} of {peer} failed", failure, method=method, peer=peer)
                error = CallFailed(_FAILED)
            if self.connection.gone:
                return
            if wanted:
                self.connection.send(encode([b"error", request, errorExpression(error)]))
            if error.ends:
                self.refusals.add(error.wireName.rpartition(".")[2])
                self.log.warn("{peer} is cut off: {method}: {error}", peer=peer, method=method, error=error)
                self.connection.close()

        return refuse
