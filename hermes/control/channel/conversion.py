"""
From the values of the control plane to what the channel carries, and back.

What arrives is checked and never converted: a number is no text. Keys that are not known are passed over, since the
peer may be newer; what may be left out has a default.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Any, TypeVar, get_args, get_origin

from cattrs import Converter

T = TypeVar("T")

Plain = Mapping[str, Any]
"""
Values as JSON has them.
"""

_converter = Converter(detailed_validation=False, forbid_extra_keys=False)


def _exactly(kind: type[Any]) -> None:
    def check(value: Any, _: Any) -> Any:
        if type(value) is not kind:
            raise ValueError(f"{kind.__name__} expected")
        return value

    _converter.register_structure_hook(kind, check)
    _converter.register_unstructure_hook(kind, lambda value: value)


for _kind in (str, bytes, bool, int):
    _exactly(_kind)


@_converter.register_structure_hook
def _float(value: Any, _: Any) -> float:
    if type(value) not in (int, float) or not isfinite(value):
        raise ValueError("a number expected")
    return float(value)


def _isPlain(kind: Any) -> bool:
    return bool(kind == Plain)


def _plain(value: Any, _: Any) -> Any:
    if type(value) is not dict:
        raise ValueError("a dictionary expected")
    return value


def _isRow(kind: Any) -> bool:
    return get_origin(kind) is tuple


def _row(kind: Any) -> Any:
    """
    C{tuple[X, ...]}.
    """
    each = _converter.get_structure_hook(get_args(kind)[0])

    def structure(value: Any, _: Any) -> Any:
        if type(value) is not list:
            raise ValueError("a list expected")
        return tuple(each(one, get_args(kind)[0]) for one in value)

    return structure


_converter.register_structure_hook_factory(_isRow, _row)
_converter.register_structure_hook_func(_isPlain, _plain)
_converter.register_unstructure_hook_func(_isPlain, lambda value: value)


class Unconvertible(ValueError):
    """
    What arrived is not what is expected there.
    """


def toValue(thing: Any, kind: Any) -> Any:
    """
    @param kind: its type.
    """
    return _converter.unstructure(thing, kind)


def fromValue(value: Any, kind: type[T]) -> T:
    """
    @raise Unconvertible: where C{value} is none of C{kind}.
    """
    try:
        return _converter.structure(value, kind)
    except Exception as error:
        # What cattrs raises depends on its version; nothing but it and the checks above is called.
        raise Unconvertible(f"{type(error).__name__}: {error}") from error
