"""
Values as Jelly writes them, and nothing of Jelly but values: null, booleans, numbers, text, bytes, lists, and
dictionaries.

Whatever else Jelly knows (instances, classes, functions, modules, references within a value, sets, dates) is neither
written nor read. A reference to an object of one end is none of these either: it stands where L{broker<Broker>} expects
one, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from twisted.spread.jelly import SecurityOptions

from hermes.control.channel.banana import Expression
from hermes.control.errors import ControlError

NONE: Final = [b"None"]
TRUE: Final = [b"boolean", b"true"]
FALSE: Final = [b"boolean", b"false"]
REMOTE: Final = b"remote"


class MalformedValue(ControlError):
    """
    What arrived is an expression, but not that of a value.
    """


class ValuesOnly(SecurityOptions):
    """
    For what Twisted itself may still read or write: values, and nothing that has a class.
    """

    def __init__(self) -> None:
        self.allowedTypes = dict.fromkeys(
            (b"None", b"boolean", b"unicode", b"list", b"tuple", b"dictionary")
            + tuple(b"builtins." + name for name in (b"bool", b"bytes", b"dict", b"float", b"int", b"list", b"str"))
            + (b"builtins.tuple", b"builtins.NoneType"),
            1,
        )
        self.allowedModules = {}
        self.allowedClasses = {}

    def isTypeAllowed(self, typeName: str | bytes) -> bool:
        """
        Twisted's own takes every name with a dot in it, and looks into its registry of classes.
        """
        name = typeName.encode() if isinstance(typeName, str) else typeName
        return isinstance(name, bytes) and name in self.allowedTypes

    def isModuleAllowed(self, moduleName: object) -> bool:
        return False

    def isClassAllowed(self, klass: object) -> bool:
        return False


def toJelly(value: Any) -> Expression:
    """
    @raise TypeError: where something in it is not a value, or a key of a dictionary is not text.
    """
    kind = type(value)
    if kind is str:
        return [b"unicode", value.encode("utf-8", "replace")]
    if kind is bool:
        return TRUE if value else FALSE
    if kind is int or kind is float or kind is bytes:
        return value
    if value is None:
        return NONE
    if kind is list or kind is tuple:
        return [b"list", *map(toJelly, value)]
    if isinstance(value, Mapping):
        return [b"dictionary", *([_key(key), toJelly(each)] for key, each in value.items())]
    # Enumerations and the like, which are one of the above.
    bases: tuple[Any, ...] = (str, int, float, bytes)
    for base in bases:
        if isinstance(value, base):
            return toJelly(base(value))
    if isinstance(value, (list, tuple)):
        return [b"list", *map(toJelly, value)]
    raise TypeError(f"a {kind.__name__} can't be sent")


def _key(key: Any) -> Expression:
    if not isinstance(key, str):
        raise TypeError("keys are text")
    return [b"unicode", key.encode("utf-8", "replace")]


def fromJelly(expression: Expression) -> Any:
    """
    A value: C{None}, C{bool}, C{int}, C{float}, C{str}, C{bytes}, C{list} or C{dict} with text for keys.

    @raise MalformedValue: where it is none.
    """
    if type(expression) is not list:
        return expression
    if not expression:
        raise MalformedValue("a value has no type")
    kind = expression[0]
    if kind == b"unicode":
        return _text(expression)
    if kind == b"dictionary":
        return _dictionary(expression)
    if kind == b"list" or kind == b"tuple":
        return [fromJelly(each) for each in expression[1:]]
    if kind == b"None" and len(expression) == 1:
        return None
    if expression == TRUE:
        return True
    if expression == FALSE:
        return False
    raise MalformedValue("something is not a value")


def _text(expression: list[Any]) -> str:
    if len(expression) == 2 and type(expression[1]) is bytes:
        try:
            return expression[1].decode("utf-8")
        except UnicodeDecodeError:
            pass
    raise MalformedValue("text is not UTF-8")


def _dictionary(expression: list[Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for pair in expression[1:]:
        if type(pair) is not list or len(pair) != 2:
            raise MalformedValue("an item of a dictionary is not a pair")
        key = pair[0]
        # Twisted of old sends the names of keyword arguments as bytes.
        name = key.decode("ascii", "replace") if type(key) is bytes else fromJelly(key)
        if type(name) is not str:
            raise MalformedValue("a key is not text")
        found[name] = fromJelly(pair[1])
    return found
