"""
What the parts of a node that do not know each other have in common.
"""

from __future__ import annotations

from typing import Any

from zope.interface import implementer

from hermes.interfaces import ICommons


@implementer(ICommons)
class Commons:
    """
    See L{ICommons}.
    """

    def __init__(self) -> None:
        self._offers: dict[tuple[str, str], Any] = {}

    def offer(self, kind: str, name: str, thing: Any) -> None:
        self._offers[kind, name] = thing

    def withdraw(self, kind: str, name: str, thing: Any) -> None:
        if self._offers.get((kind, name)) is thing:
            del self._offers[kind, name]

    def get(self, kind: str, name: str) -> Any:
        return self._offers.get((kind, name))
