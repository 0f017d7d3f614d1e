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
        # The last one counts. The others may come to count again: a configuration that is refused takes back its own.
        self._offers: dict[tuple[str, str], list[Any]] = {}

    def offer(self, kind: str, name: str, thing: Any) -> None:
        self._offers.setdefault((kind, name), []).append(thing)

    def withdraw(self, kind: str, name: str, thing: Any) -> None:
        left = [each for each in self._offers.get((kind, name), ()) if each is not thing]
        if left:
            self._offers[kind, name] = left
        else:
            self._offers.pop((kind, name), None)

    def get(self, kind: str, name: str) -> Any:
        offers = self._offers.get((kind, name))
        return None if offers is None else offers[-1]

    def all(self, kind: str) -> dict[str, Any]:
        return {name: offers[-1] for (each, name), offers in self._offers.items() if each == kind}
