"""
What the parts of a node that do not know each other have in common.
"""

from __future__ import annotations

from typing import Any

from zope.interface import Interface


class ICommons(Interface):
    """
    What parts of a node offer each other, by kind and name. It lasts as long as whoever offers it: so it is looked up
    each time it is needed, and nobody counts on it.
    """

    def offer(kind: str, name: str, thing: Any) -> None:
        """
        Offer C{thing} from now on, in place of what there was of this kind and name, for as long as that is.
        """

    def withdraw(kind: str, name: str, thing: Any) -> None:
        """
        Offer it no more.
        """

    def get(kind: str, name: str) -> Any:
        """
        What is offered; L{None} where nothing is.
        """

    def all(kind: str) -> dict[str, Any]:
        """
        All that is offered of a kind, by name.
        """
