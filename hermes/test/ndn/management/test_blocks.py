"""
Tests of L{hermes.ndn.management.blocks}.
"""

from __future__ import annotations

from typing import ClassVar

from attrs import define
from twisted.trial.unittest import SynchronousTestCase

from hermes.ndn.management.blocks import Block, block, flag, named, number, octets, text, wrappedName
from hermes.ndn.packet.errors import PacketError
from hermes.ndn.packet.name import Name
from hermes.ndn.packet.tlv import encodeElement, encodeInteger


@define
class Inner(Block):
    """
    An element within.
    """

    TYPE: ClassVar[int] = 0x81

    size: int = number(0x90, required=True, most=9)


@define
class Outer(Block):
    """
    One with an attribute of every kind.
    """

    TYPE: ClassVar[int] = 0x80

    name: Name | None = named()
    count: int | None = number(0x82)
    label: str | None = text(0x83)
    raw: bytes | None = octets(0x84)
    other: Name | None = wrappedName(0x85)
    one: Inner | None = block(Inner)
    set: bool = flag(0x86)


@define
class Bag(Block):
    """
    Content without a head of its own.
    """

    items: tuple[Inner, ...] = block(Inner, many=True)


EVERYTHING = Outer(
    name=Name.fromText("/a"), count=300, label="grüß", raw=b"\0\1", other=Name.fromText("/b/c"), one=Inner(size=7)
)


class BlockTests(SynchronousTestCase):
    """
    Reading and writing.
    """

    def test_elementsAreWrittenInOrder(self) -> None:
        self.assertEqual(
            EVERYTHING.encode().hex(" "),
            "80 24 07 03 08 01 61 82 02 01 2c 83 06 67 72 c3 bc c3 9f 84 02 00 01 85 08 07 06 08 01 62 08 01 63"
            " 81 03 90 01 07",
        )

    def test_whatIsWrittenIsRead(self) -> None:
        self.assertEqual(Outer.decode(EVERYTHING.encode()), EVERYTHING)

    def test_whatIsNotThereIsNone(self) -> None:
        self.assertEqual(Outer.decode(b"\x80\x00"), Outer())
        self.assertEqual(Outer().encode(), b"\x80\x00")

    def test_aFlagIsThereOrNot(self) -> None:
        self.assertEqual(Outer(set=True).encode(), b"\x80\x02\x86\x00")
        self.assertEqual(Outer.decode(b"\x80\x02\x86\x00"), Outer(set=True))
        self.assertRaises(PacketError, Outer.decode, b"\x80\x03\x86\x01\x00")

    def test_anyOrderIsRead(self) -> None:
        self.assertEqual(
            Outer.decode(encodeElement(0x80, encodeElement(0x83, b"x") + encodeInteger(0x82, 5))),
            Outer(count=5, label="x"),
        )

    def test_unknownElementsAreIgnoredUnlessCritical(self) -> None:
        self.assertEqual(Outer.decode(encodeElement(0x80, b"\xf0\x00\x82\x01\x05")), Outer(count=5))
        self.assertRaises(PacketError, Outer.decode, encodeElement(0x80, b"\xf1\x00\x82\x01\x05"))
        self.assertRaises(PacketError, Outer.decode, encodeElement(0x80, b"\x1e\x00"))

    def test_theFirstOfTwoCountsWhereTheTypeIsNotCritical(self) -> None:
        self.assertEqual(Outer.decode(encodeElement(0x80, b"\x82\x01\x05\x82\x01\x06")), Outer(count=5))
        self.assertRaises(PacketError, Outer.decode, encodeElement(0x80, b"\x83\x01a\x83\x01b"))

    def test_whatIsRequiredHasToBeThere(self) -> None:
        with self.assertRaises(PacketError) as caught:
            Inner.decode(b"\x81\x00")
        self.assertEqual(str(caught.exception), "Inner has no size")

    def test_aNumberThatIsTooLargeIsRefused(self) -> None:
        self.assertEqual(Inner.decode(b"\x81\x03\x90\x01\x09").size, 9)
        self.assertRaises(PacketError, Inner.decode, b"\x81\x03\x90\x01\x0a")

    def test_aNumberOfThreeBytesIsRefused(self) -> None:
        self.assertRaises(PacketError, Outer.decode, b"\x80\x05\x82\x03\0\0\1")

    def test_whatIsNoUTF8IsRefused(self) -> None:
        self.assertRaises(PacketError, Outer.decode, b"\x80\x03\x83\x01\xff")

    def test_aMalformedNameIsRefused(self) -> None:
        self.assertRaises(PacketError, Outer.decode, b"\x80\x05\x07\x03\x08\x09a")
        self.assertRaises(PacketError, Outer.decode, b"\x80\x06\x85\x04\x07\x02\x08\x01")

    def test_anotherTypeAndWhatFollowsAreRefused(self) -> None:
        self.assertRaises(PacketError, Outer.decode, b"\x81\x00")
        self.assertRaises(PacketError, Outer.decode, b"\x80\x00\x00")
        self.assertRaises(PacketError, Outer.decode, b"\x80\x01")
        self.assertRaises(PacketError, Outer.decode, b"")

    def test_thereMayBeAnyNumberOfSome(self) -> None:
        for sizes in ([], [1], [1, 2, 3]):
            bag = Bag(items=tuple(Inner(size=size) for size in sizes))
            self.assertEqual(bag.encode(), b"".join(b"\x81\x03\x90\x01%c" % size for size in sizes))
            self.assertEqual(Bag.decode(bag.encode()), bag)
