"""
What is in the messages of Perspective Broker: the objects among arguments and results, and errors.
"""

from __future__ import annotations

from typing import Any

from twisted.spread import pb

from hermes.control.channel.banana import Expression
from hermes.control.channel.errors import CallError, Violation
from hermes.control.channel.jelly import REMOTE, MalformedValue, fromJelly, toJelly
from hermes.control.channel.pages import DIGEST

MAX_TEXT = 4096
"""
How long the text of an error is at most.
"""

_FAILURE = b"twisted.spread.pb.CopyableFailure"


def isPaged(result: Any) -> bool:
    """
    Whether something is not a value but where to fetch it: an object, a size, a digest.
    """
    return (
        type(result) is list
        and len(result) == 3
        and isinstance(result[0], pb.RemoteReference)
        and type(result[1]) is int
        and result[1] > 0
        and type(result[2]) is str
        and len(result[2]) == DIGEST
    )


def readArguments(expression: Expression, broker: pb.Broker) -> list[Any]:
    """
    The positional arguments of a call: objects, or where the others are to be fetched.

    @raise Violation: where they are anything else.
    """
    if type(expression) is not list or not expression or expression[0] not in (b"tuple", b"list"):
        raise Violation("malformed", "it sends a malformed call")
    found = [_readPart(each, broker) for each in expression[1:]]
    if not isPaged(found) and not all(isinstance(each, pb.RemoteReference) for each in found):
        raise Violation("malformed", "arguments without names are no objects")
    return found


def readResult(expression: Expression, broker: pb.Broker) -> Any:
    """
    A value, or a list of which some are objects.
    """
    if type(expression) is list and expression and expression[0] in (b"list", b"tuple"):
        return [_readPart(each, broker) for each in expression[1:]]
    return fromJelly(expression)


def _readPart(expression: Expression, broker: pb.Broker) -> Any:
    if type(expression) is list and expression and expression[0] == REMOTE:
        if len(expression) != 2 or type(expression[1]) is not int:
            raise MalformedValue("an object has no number")
        return pb.RemoteReference(None, broker, expression[1], 1)
    return fromJelly(expression)


def errorExpression(error: CallError) -> Expression:
    """
    An error, as Twisted's own Perspective Broker reads one: a failure, of which type and text are told.
    """
    name = error.wireName
    state: dict[str, Any] = {
        "type": name.encode(),
        "value": str(error)[:MAX_TEXT],
        "parents": [name, "twisted.spread.pb.Error"],
        "traceback": "Traceback unavailable\n",
        "tb": None,
        "frames": [],
        "stack": [],
        "captureVars": False,
        "pickled": 1,
        "count": 0,
    }
    return [_FAILURE, toJelly(state)]


def readError(expression: Expression) -> tuple[str, str]:
    """
    The name and the text of an error.

    @raise MalformedValue: where it is none.
    """
    if type(expression) is not list or len(expression) != 2 or expression[0] != _FAILURE:
        raise MalformedValue("an error is not a failure")
    state = fromJelly(expression[1])
    if type(state) is not dict:
        raise MalformedValue("an error is not a failure")
    name, text = state.get("type"), state.get("value")
    if type(name) is bytes:
        name = name.decode("utf-8", "replace")
    if type(name) is not str or type(text) is not str:
        raise MalformedValue("an error has no name or no text")
    return name, text[:MAX_TEXT]
