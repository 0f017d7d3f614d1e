"""
Assisting components, one behind the other: those of a route, those of a listener.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from attrs import frozen
from twisted.internet.defer import Deferred, fail

from hermes.errors import HermesError
from hermes.interfaces import IAssistant, IIdentifyingAssistant, Send
from hermes.messages import Request, Response


class UnknownAssistant(HermesError):
    """
    A listener names an assisting component that there is none of.
    """


def chain(assistants: Sequence[IAssistant], onward: Send) -> Send:
    """
    C{onward} with assisting components before it, the first of them outermost. What any of them raises is a failure.
    """
    onward = _promised(onward)
    for assistant in reversed(assistants):
        onward = _before(assistant, onward)
    return onward


def _before(assistant: IAssistant, onward: Send) -> Send:
    return _promised(lambda request: assistant.assist(request, onward))


def _promised(onward: Send) -> Send:
    def promised(request: Request) -> Deferred[Response]:
        try:
            return onward(request)
        except Exception:
            return fail()

    return promised


@frozen(eq=False)
class Chain:
    """
    The assisting components of one listener, as one generation has them.

    @ivar assistants: they, the first that a request meets first.
    @ivar identifies: whether one of them names who asks, so that nobody else is to.
    """

    assistants: tuple[IAssistant, ...]
    identifies: bool

    def run(self, request: Request, onward: Send) -> Deferred[Response]:
        """
        Send C{request} through them, and then to C{onward}.
        """
        return chain(self.assistants, onward)(request)


class HasAssistants(Protocol):
    """
    A generation, as far as it is needed here.
    """

    @property
    def assistants(self) -> Mapping[str, IAssistant]: ...


class ListenerChain:
    """
    Those of one listener, for as long as it is bound.
    """

    def __init__(self, listener: str, names: Sequence[str], plans: Callable[[], HasAssistants]) -> None:
        """
        @param listener: its name.
        @param names: theirs.
        @param plans: the generation that is the node's now.
        """
        self._listener = listener
        self._names = tuple(names)
        self._plans = plans
        self._of: HasAssistants | None = None
        self._chain = Chain((), False)

    def __bool__(self) -> bool:
        return bool(self._names)

    def current(self) -> Chain:
        """
        They, as the node's configuration has them now.

        @raise UnknownAssistant: where it has one of them no more.
        """
        plans = self._plans()
        if self._of is not plans:
            known = plans.assistants
            try:
                found = tuple([known[name] for name in self._names])
            except KeyError as error:
                raise UnknownAssistant(f"listener {self._listener}: no assisting component is called {error}") from None
            self._chain = Chain(found, any(map(IIdentifyingAssistant.providedBy, found)))
            self._of = plans
        return self._chain
