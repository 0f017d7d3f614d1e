"""
Scalars of YAML as they are meant, without coercion.
"""

from __future__ import annotations

from typing import Any, get_args

from hermes.config.problems import Misfit, nearest

_KINDS = {dict: "a mapping", list: "a list", str: "text", bool: "true or false", type(None): "nothing"}


def describe(value: object) -> str:
    """
    What a value is, for a message: its kind, and itself where that is short and plain.
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return f"the number {value}"
    if isinstance(value, str):
        return repr(value if len(value) <= 40 else value[:37] + "...")
    return _KINDS.get(type(value), type(value).__name__)


def textOf(value: object) -> str:
    """
    Text, and nothing that only looks like it.

    @raise Misfit: where it is none.
    """
    if isinstance(value, str):
        return value
    hint = ": put it in quotes" if isinstance(value, bool | int | float) else ""
    raise Misfit(f"expected text, found {describe(value)}{hint}")


def flagOf(value: object) -> bool:
    """
    A truth.

    @raise Misfit: where it is none.
    """
    if isinstance(value, bool):
        return value
    raise Misfit(f"expected true or false, found {describe(value)}")


def integerOf(value: object) -> int:
    """
    A whole number.

    @raise Misfit: where it is none.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise Misfit(f"expected a whole number, found {describe(value)}")


def numberOf(value: object) -> float:
    """
    A number.

    @raise Misfit: where it is none.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    raise Misfit(f"expected a number, found {describe(value)}")


def choiceOf(value: object, kind: Any) -> Any:
    """
    One of several words.

    @raise Misfit: where it is none.
    """
    choices = get_args(kind)
    # YAML reads 1.1 and 2 as numbers where the names of versions are meant.
    word = str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value
    if word in choices:
        return word
    suggestion = nearest(word, choices) if isinstance(word, str) else None
    raise Misfit(f"expected one of {', '.join(choices)}, found {describe(value)}", suggestion)
