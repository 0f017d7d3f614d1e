"""
What an operator with a certificate may call over the channel: the same as over REST, as far as one call can carry it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from attrs import frozen
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from hermes.config import ConfigError
from hermes.control.channel.callee import Call, Handler
from hermes.control.channel.conversion import Unconvertible, fromValue
from hermes.control.channel.errors import BadCall, CallError, CallFailed, Conflict, NotFound, NotLeadingHere, Refused
from hermes.control.controller import Controller
from hermes.control.errors import Busy, ControlError, NotLeading, Superseded, UnknownNode, UnknownVersion
from hermes.control.operator import plain

T = TypeVar("T")

APPLY_TIME = 600.0
"""
Seconds that whoever asks for a change should wait for the answer.
"""

_ERRORS: tuple[tuple[type[Exception], type[CallError]], ...] = (
    (NotLeading, NotLeadingHere),
    (Busy, Conflict),
    (Superseded, Conflict),
    (UnknownVersion, NotFound),
    (UnknownNode, NotFound),
    (ConfigError, Refused),
    (ControlError, CallFailed),
)


@frozen
class Nothing:
    """
    No arguments.
    """


@frozen
class Apply:
    """
    @ivar document: YAML.
    @ivar expect: the version that it was made for, or L{None} for any.
    """

    document: str
    comment: str = ""
    expect: int | None = None


@frozen
class Rollback:
    """
    @ivar number: the version to go back to.
    """

    number: int
    comment: str = ""
    expect: int | None = None


@frozen
class Node:
    """
    @ivar node: a node's name.
    """

    node: str


@frozen
class Drain:
    """
    @ivar timeout: in seconds.
    """

    node: str
    timeout: float = 30.0


ORIGIN = "control channel"
"""
Where such calls come from, for the audit log.
"""


def operatorCalls(controller: Controller, name: str) -> dict[str, Handler]:
    """
    The methods of one operator.

    @param name: whose, for the audit log.
    """

    def apply(call: Apply) -> Deferred[Any]:
        return controller.apply(call.document, name, call.comment, call.expect, origin=ORIGIN)

    def rollback(call: Rollback) -> Deferred[Any]:
        return controller.rollback(call.number, name, call.comment, call.expect, origin=ORIGIN)

    def cancel(call: Nothing) -> Deferred[Any]:
        return controller.cancel(name, ORIGIN)

    def enrol(call: Node) -> Deferred[Any]:
        return controller.enrol(call.node, name, ORIGIN).addCallback(lambda token: {"token": token})

    def revoke(call: Node) -> Deferred[Any]:
        return controller.revoke(call.node, name, ORIGIN).addCallback(lambda _: {})

    def drain(call: Drain) -> Deferred[Any]:
        draining = controller.drain(call.node, call.timeout, name, ORIGIN)
        return draining.addCallback(lambda finished: {"finished": finished})

    return {
        "status": _handler(Nothing, lambda call: controller.status().addCallback(plain.status)),
        "apply": _handler(Apply, apply),
        "rollback": _handler(Rollback, rollback),
        "cancel": _handler(Nothing, cancel),
        "enrol": _handler(Node, enrol),
        "revoke": _handler(Node, revoke),
        "drain": _handler(Drain, drain),
        "ping": _handler(Nothing, lambda call: None),
    }


def _handler(takes: type[T], function: Callable[[T], Deferred[Any] | None]) -> Handler:
    def handle(call: Call) -> Any:
        try:
            arguments = fromValue(call.values, takes)
        except Unconvertible as error:
            raise BadCall(f"{call.method} does not take such arguments") from error
        asked = function(arguments)
        return None if asked is None else asked.addCallbacks(plain.plain, _refused)

    return handle


def _refused(failure: Failure) -> Failure:
    """
    What an operator may read of an error: the texts of these are for operators.
    """
    for kind, told in _ERRORS:
        if failure.check(kind):
            raise told(str(failure.value)) from failure.value
    return failure
