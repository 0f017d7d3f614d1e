"""
An object that the peer may call.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from attrs import field, frozen
from twisted.internet.defer import Deferred
from twisted.spread import pb

Handler: TypeAlias = "Callable[[Call], Deferred[Any] | Any]"
"""
Answers a call: with a value (L{hermes.control.channel.jelly}), or a sequence of which some are L{Callee}s. Raises
L{hermes.control.channel.errors.CallError} to tell the peer why not; whatever else it raises is logged, and the peer
hears no more than that it failed.
"""


@frozen
class Call:
    """
    One call, as it arrived.

    @ivar method: its name.
    @ivar values: the keyword arguments.
    @ivar references: the positional arguments: objects of the peer.
    """

    method: str
    values: Mapping[str, Any] = field(factory=dict)
    references: Sequence[pb.RemoteReference] = ()


class Callee(pb.Referenceable):
    """
    What is called has a handler for each method.
    """

    def __init__(self, handlers: Mapping[str, Handler]) -> None:
        """
        @param handlers: by method.
        """
        self.handlers = handlers
