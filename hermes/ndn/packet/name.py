"""
Names (packet format v0.3, section "Name").
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, overload

from hermes.ndn.packet.component import (
    DIGEST_SIZE,
    IMPLICIT_DIGEST,
    MAX_COMPONENT_TYPE,
    PARAMETERS_DIGEST,
    fromText,
    implicitDigest,
    toText,
)
from hermes.ndn.packet.errors import PacketError
from hermes.ndn.packet.tlv import encodeNumber, only, readHead
from hermes.ndn.packet.typenumbers import MAX_PACKET_SIZE, NAME
from hermes.values import Buffer


def componentEnds(buffer: Buffer, start: int, stop: int) -> list[int]:
    """
    Where each component of a name ends, counted from C{start}.

    @param start: where the value of the name begins.
    @param stop: where it ends.
    @raise PacketError: if a component is malformed.
    """
    ends: list[int] = []
    position = start
    while position < stop:
        kind, valueStart, position = readHead(buffer, position, stop)
        if kind > MAX_COMPONENT_TYPE:
            raise PacketError(f"{kind} is no type of a name component")
        if kind <= PARAMETERS_DIGEST and position - valueStart != DIGEST_SIZE:
            raise PacketError(f"a digest in a name has {DIGEST_SIZE} bytes, not {position - valueStart}")
        ends.append(position - start)
    return ends


def openPacket(wire: bytes, expected: int, what: str) -> tuple[int, int]:
    """
    Read what precedes the components.

    @return: where the value of the name begins and ends.
    """
    size = len(wire)
    if size > MAX_PACKET_SIZE:
        raise PacketError(f"{what} of {size} bytes is larger than {MAX_PACKET_SIZE}")
    kind, start, stop = readHead(wire, 0, size)
    if kind != expected:
        raise PacketError(f"an element of type {kind:#x} is not {what}")
    if stop != size:
        raise PacketError(f"{size - stop} bytes follow {what}")
    kind, nameStart, nameEnd = readHead(wire, start, size)
    if kind != NAME:
        raise PacketError(f"{what} does not begin with its Name")
    return nameStart, nameEnd


class Name:
    """
    A name: components in order. Immutable, hashable, in NDN's canonical order, which is that of C{value}.

    @ivar value: the concatenated TLV elements of the components: the TLV-VALUE of the name. The key of every table.
    """

    __slots__ = ("_components", "value")

    value: Final[bytes]

    def __init__(self, components: Iterable[bytes] = ()) -> None:
        """
        @param components: TLV elements, as L{hermes.ndn.packet.component} makes them; they are not checked.
        """
        self._components: tuple[bytes, ...] | None = tuple(components)
        self.value = b"".join(self._components)

    @classmethod
    def fromValue(cls, value: Buffer) -> Name:
        """
        The name with this TLV-VALUE. It is checked when its components are first asked for, and not before.
        """
        name = cls.__new__(cls)
        name._components = None
        name.value = bytes(value)  # type: ignore[misc]
        return name

    @classmethod
    def fromWire(cls, wire: Buffer) -> Name:
        """
        Read a whole Name element, and nothing after it.

        @raise PacketError: if it is malformed.
        """
        start, stop = only(wire, NAME, "Name")
        componentEnds(wire, start, stop)
        return cls.fromValue(wire[start:stop])

    @classmethod
    def fromText(cls, text: str) -> Name:
        """
        Parse a URI: C{/a/b}, C{ndn:/a/b}. One slash at the end is allowed; an empty component is written C{...}.

        @raise ValueError: with a sentence for the user.
        """
        rest = text
        if rest[:4].lower() == "ndn:":
            rest = rest[4:]
        if not rest:
            raise ValueError(f"{text!r} is no name: the empty name is /")
        rest = rest.removeprefix("/")
        if not rest:
            return cls()
        parts = rest.removesuffix("/").split("/")
        if "" in parts:
            raise ValueError(f"{text!r} has nothing between two slashes: an empty component is written ...")
        return cls(map(fromText, parts))

    @property
    def components(self) -> tuple[bytes, ...]:
        """
        The TLV element of each component.

        @raise PacketError: if the value is malformed; only for one from L{fromValue}.
        """
        if self._components is None:
            value = self.value
            start = 0
            components = []
            for end in componentEnds(value, 0, len(value)):
                components.append(value[start:end])
                start = end
            self._components = tuple(components)
        return self._components

    def encode(self) -> bytes:
        """
        The Name element.
        """
        return b"".join((b"\x07", encodeNumber(len(self.value)), self.value))

    def isPrefixOf(self, other: Name) -> bool:
        """
        Whether C{other} begins with these components, all of them included.
        """
        # Elements are self-delimiting: a prefix in bytes that ends with a component is one in components.
        return other.value.startswith(self.value)

    def withDigest(self, digest: Buffer) -> Name:
        """
        The full name of a Data packet.

        @param digest: its implicit digest, 32 bytes.
        """
        return self + implicitDigest(digest)

    @property
    def digest(self) -> bytes | None:
        """
        The implicit digest that it ends with, or L{None}.
        """
        # No other component can end like this: types of one byte and the length of a digest come before it.
        if len(self.value) < DIGEST_SIZE + 2 or self.value[-DIGEST_SIZE - 2 : -DIGEST_SIZE] != b"\x01\x20":
            return None
        last = self.components[-1]
        return last[2:] if last[0] == IMPLICIT_DIGEST else None

    def toText(self, alternate: bool = True) -> str:
        """
        As a URI, without C{ndn:}.

        @param alternate: see L{hermes.ndn.packet.component.toText}.
        """
        return "/" + "/".join([toText(component, alternate) for component in self.components])

    def __str__(self) -> str:
        return self.toText()

    def __repr__(self) -> str:
        return f"<Name {self}>"

    def __len__(self) -> int:
        return len(self.components)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.components)

    @overload
    def __getitem__(self, index: int) -> bytes: ...

    @overload
    def __getitem__(self, index: slice) -> Name: ...

    def __getitem__(self, index: int | slice) -> bytes | Name:
        if isinstance(index, slice):
            return Name(self.components[index])
        return self.components[index]

    def __add__(self, other: bytes | Name) -> Name:
        """
        With one more component, or all those of another name.
        """
        added = Name.__new__(Name)
        if isinstance(other, Name):
            added.value = self.value + other.value  # type: ignore[misc]
            added._components = None
        else:
            added.value = self.value + other  # type: ignore[misc]
            added._components = None if self._components is None else (*self._components, other)
        return added

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Name) and self.value == other.value

    def __lt__(self, other: Name) -> bool:
        return self.value < other.value

    def __le__(self, other: Name) -> bool:
        return self.value <= other.value

    def __gt__(self, other: Name) -> bool:
        return self.value > other.value

    def __ge__(self, other: Name) -> bool:
        return self.value >= other.value

    def __hash__(self) -> int:
        return hash(self.value)

    def __bool__(self) -> bool:
        return bool(self.value)
