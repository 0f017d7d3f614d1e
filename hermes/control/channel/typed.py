"""
Typed calls: of an object of the peer, and of one of ours.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from twisted.internet.defer import Deferred
from twisted.spread import pb

from hermes.control.channel.broker import ControlBroker
from hermes.control.channel.callee import Call, Handler
from hermes.control.channel.conversion import Unconvertible, fromValue, toValue
from hermes.control.channel.errors import BadCall
from hermes.control.channel.methods import Method


def ask(
    broker: ControlBroker,
    reference: pb.RemoteReference,
    name: str,
    method: Method,
    arguments: Any,
    timeout: float | None = None,
) -> Deferred[Any]:
    """
    Call a method. Errback as L{ControlBroker.call}; L{BadCall} where the result is not what the method gives.
    """
    values = toValue(arguments, method.takes)
    asked = broker.call(reference, name, values, method.timeout if timeout is None else timeout)
    return asked.addCallback(_result, name, method)


def _result(result: Any, name: str, method: Method) -> Any:
    if method.gives is None:
        return None
    try:
        return fromValue(result, method.gives)
    except Unconvertible as error:
        raise BadCall(f"the answer to {name} is not what it must be") from error


def handlers(
    methods: Mapping[str, Method], functions: Mapping[str, Callable[[Any], Deferred[Any] | Any]]
) -> dict[str, Handler]:
    """
    What answers each method with a function of its typed arguments.
    """
    return {name: _handler(name, methods[name], function) for name, function in functions.items()}


def _handler(name: str, method: Method, function: Callable[[Any], Deferred[Any] | Any]) -> Handler:
    def handle(call: Call) -> Deferred[Any] | Any:
        try:
            arguments = fromValue(call.values, method.takes)
        except Unconvertible as error:
            raise BadCall(f"{name} does not take such arguments") from error
        result = function(arguments)
        if isinstance(result, Deferred):
            return result.addCallback(give)
        return give(result)

    def give(result: Any) -> Any:
        return None if method.gives is None else toValue(result, method.gives)

    return handle
