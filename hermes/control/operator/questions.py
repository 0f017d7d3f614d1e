"""
Questions that cost a compilation: those who have no token ask them now and then.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from hermes.control.operator.access import Actor, TooMany
from hermes.control.operator.attempts import Attempts

ASKED: Final = 20
ASKED_AGAIN: Final = 1.0
"""
How many questions a source without a token may ask, and seconds until one more.
"""


class Questioners:
    """
    Who has asked how much.
    """

    def __init__(self, seconds: Callable[[], float]) -> None:
        """
        @param seconds: tells time that never jumps.
        """
        self._attempts = Attempts(seconds, ASKED, ASKED_AGAIN)

    def ask(self, actor: Actor) -> None:
        """
        Somebody asks.

        @raise TooMany: where they have asked too much.
        """
        if actor.known:
            return
        if not self._attempts.left(actor.origin):
            raise TooMany("too many questions", self._attempts.wait(actor.origin))
        self._attempts.add(actor.origin)
