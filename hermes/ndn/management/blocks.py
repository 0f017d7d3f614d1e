"""
TLV elements whose value is a list of optional elements, as attrs classes: the form of everything in NFD's management
protocol. Sans-IO.

    @define
    class Route(Block):
        TYPE = 0x81
        faceID: int = number(0x69, required=True)
        expires: int | None = number(0x6D)

Elements are written in the order of the class. They are read in any order, as NFD does. What is not known is ignored
where its type is not critical.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Final, TypeVar

from attrs import define, fields, frozen
from attrs import field as attribute

from hermes.ndn.packet.errors import PacketError
from hermes.ndn.packet.name import Name, componentEnds
from hermes.ndn.packet.tlv import elements, encodeElement, nonNegative, only, passOver, readNonNegative
from hermes.ndn.packet.typenumbers import NAME
from hermes.values import Buffer

_B = TypeVar("_B", bound="Block")

_ELEMENT: Final = "hermes.ndn.element"


@frozen
class Element:
    """
    How one attribute is written.

    @ivar type: its TLV-TYPE.
    @ivar encode: its value as bytes.
    @ivar decode: reads a value between two offsets of a buffer.
    @ivar required: whether it has to be there.
    @ivar many: whether there may be any number of them; the attribute is a tuple.
    """

    type: int
    encode: Callable[[Any], bytes]
    decode: Callable[[Buffer, int, int], Any]
    required: bool = False
    many: bool = False


@define
class Block:
    """
    The base of such classes.

    @cvar TYPE: the type of the whole element; 0 where it is never one by itself, but the content of a packet.
    """

    TYPE: ClassVar[int] = 0

    def encodeValue(self) -> bytes:
        """
        The elements, without a head around them.

        @raise ValueError: if a number can't be written.
        """
        parts: list[bytes] = []
        for name, element in _table(type(self)):
            value = getattr(self, name)
            if value is None or value is False:
                continue
            for each in value if element.many else (value,):
                parts.append(encodeElement(element.type, element.encode(each)))
        return b"".join(parts)

    def encode(self) -> bytes:
        """
        The whole element; without a head where C{TYPE} is 0.
        """
        value = self.encodeValue()
        return encodeElement(self.TYPE, value) if self.TYPE else value

    @classmethod
    def decodeValue(cls: type[_B], buffer: Buffer, start: int, stop: int) -> _B:
        """
        Read the elements between two offsets.

        @raise PacketError: if they are malformed, or one that is required is missing.
        """
        byType = {element.type: (name, element) for name, element in _table(cls)}
        found: dict[str, Any] = {}
        for elementType, valueStart, valueStop in elements(buffer, start, stop):
            name, element = byType.get(elementType, ("", None))
            if element is None or (name in found and not element.many):
                passOver(elementType, cls.__name__)
                continue
            value = element.decode(buffer, valueStart, valueStop)
            if element.many:
                found.setdefault(name, []).append(value)
            else:
                found[name] = value
        for name, element in byType.values():
            if element.required and name not in found:
                raise PacketError(f"{cls.__name__} has no {name}")
            if element.many:
                found[name] = tuple(found.get(name, ()))
        return cls(**found)

    @classmethod
    def decode(cls: type[_B], wire: Buffer) -> _B:
        """
        Read a whole element, and nothing after it.

        @raise PacketError: if it is malformed or of another type.
        """
        start, stop = only(wire, cls.TYPE, cls.__name__) if cls.TYPE else (0, len(wire))
        return cls.decodeValue(wire, start, stop)


_tables: dict[type, tuple[tuple[str, Element], ...]] = {}


def _table(cls: type[Block]) -> tuple[tuple[str, Element], ...]:
    """
    The elements of a class by attribute, in order.
    """
    table = _tables.get(cls)
    if table is None:
        named = [(each.name, each.metadata.get(_ELEMENT)) for each in fields(cls)]
        table = _tables[cls] = tuple((name, element) for name, element in named if element is not None)
    return table


def _attribute(element: Element) -> Any:
    metadata = {_ELEMENT: element}
    if element.many:
        return attribute(default=(), metadata=metadata, kw_only=True)
    return (
        attribute(metadata=metadata, kw_only=True)
        if element.required
        else attribute(default=None, metadata=metadata, kw_only=True)
    )


def number(elementType: int, required: bool = False, most: int | None = None) -> Any:
    """
    A NonNegativeInteger: C{int}.

    @param most: the largest that is taken.
    """

    def decode(buffer: Buffer, start: int, stop: int) -> int:
        value = readNonNegative(buffer, start, stop)
        if most is not None and value > most:
            raise PacketError(f"{value} is not a value of the element of type {elementType:#x}")
        return value

    return _attribute(Element(elementType, nonNegative, decode, required))


def text(elementType: int, required: bool = False, many: bool = False) -> Any:
    """
    UTF-8: C{str}, or with C{many} a tuple of them.
    """
    return _attribute(Element(elementType, str.encode, _decodeText, required, many))


def _decodeText(buffer: Buffer, start: int, stop: int) -> str:
    try:
        return str(buffer[start:stop], "utf-8")
    except UnicodeDecodeError as error:
        raise PacketError("what should be UTF-8 is not") from error


def octets(elementType: int, required: bool = False) -> Any:
    """
    Bytes as they are.
    """
    return _attribute(Element(elementType, bytes, _decodeOctets, required))


def _decodeOctets(buffer: Buffer, start: int, stop: int) -> bytes:
    return bytes(buffer[start:stop])


def flag(elementType: int) -> Any:
    """
    An empty element that is there or not: C{bool}.
    """
    metadata = {_ELEMENT: Element(elementType, lambda value: b"", _decodeFlag)}
    return attribute(default=False, metadata=metadata, kw_only=True)


def _decodeFlag(buffer: Buffer, start: int, stop: int) -> bool:
    if start != stop:
        raise PacketError("an element that should be empty is not")
    return True


def named(required: bool = False) -> Any:
    """
    A L{Name}.
    """
    return _attribute(Element(NAME, _encodeName, _decodeName, required))


def _encodeName(value: Name) -> bytes:
    return value.value


def _decodeName(buffer: Buffer, start: int, stop: int) -> Name:
    componentEnds(buffer, start, stop)
    return Name.fromValue(buffer[start:stop])


def wrappedName(elementType: int, required: bool = False) -> Any:
    """
    An element that holds a L{Name}, and the attribute is that name.
    """

    def decode(buffer: Buffer, start: int, stop: int) -> Name:
        return Name.fromWire(bytes(buffer[start:stop]))

    return _attribute(Element(elementType, Name.encode, decode, required))


def block(inner: type[Block], required: bool = False, many: bool = False) -> Any:
    """
    An element of another class, or with C{many} a tuple of them.
    """
    return _attribute(Element(inner.TYPE, inner.encodeValue, inner.decodeValue, required, many))
