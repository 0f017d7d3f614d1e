"""
Tests for L{hermes.ndn.packet.name}.
"""

from __future__ import annotations

from hypothesis import given
from twisted.trial.unittest import SynchronousTestCase

from hermes.ndn.packet.component import componentType, componentValue, generic, segment, version
from hermes.ndn.packet.errors import PacketError
from hermes.ndn.packet.name import Name, componentEnds
from hermes.test.ndn.packet.strategies import components, names


class NameTests(SynchronousTestCase):
    """
    L{Name}.
    """

    def test_fromTextAndBack(self) -> None:
        for text in ("/", "/a", "/a/b%20c/v=7/seg=0", "/.../32=metadata"):
            self.assertEqual(str(Name.fromText(text)), text)
        self.assertEqual(Name.fromText("/a/v=7/seg=3"), Name([generic(b"a"), version(7), segment(3)]))

    def test_otherWaysToWriteTheSame(self) -> None:
        for text in ("ndn:/a/b", "NDN:/a/b", "/a/b/", "a/b", "ndn:a/b/"):
            self.assertEqual(str(Name.fromText(text)), "/a/b")

    def test_whatIsNoNameIsAnErrorThatSaysWhatToDo(self) -> None:
        with self.assertRaisesRegex(ValueError, r"empty name is /"):
            Name.fromText("")
        for text in ("//", "/a//b", "//a", "/a//"):
            with self.assertRaisesRegex(ValueError, r"\.\.\."):
                Name.fromText(text)
        with self.assertRaises(ValueError):
            Name.fromText("/a/%")

    def test_sliceConcatenateCompare(self) -> None:
        name = Name.fromText("/a/b/c")
        self.assertEqual(len(name), 3)
        self.assertEqual(name[:2], Name.fromText("/a/b"))
        self.assertEqual(name[-1], generic(b"c"))
        self.assertEqual(name[1:] + generic(b"d"), Name.fromText("/b/c/d"))
        self.assertEqual(Name() + name, name)
        self.assertEqual(list(name), [generic(b"a"), generic(b"b"), generic(b"c")])
        self.assertEqual(len({name, Name.fromText("/a/b/c")}), 1)
        self.assertFalse(Name())
        self.assertNotEqual(name, name.value)
        self.assertTrue(name[:2] < name <= name and name >= name[:1] and name > name[:1])

    def test_prefixesAreOfWholeComponents(self) -> None:
        name = Name.fromText("/ab/c")
        for text in ("/", "/ab", "/ab/c"):
            self.assertTrue(Name.fromText(text).isPrefixOf(name))
        for text in ("/a", "/ab/c/d", "/ab/d"):
            self.assertFalse(Name.fromText(text).isPrefixOf(name))

    def test_theDigestAtTheEnd(self) -> None:
        name = Name.fromText("/a").withDigest(bytes(32))
        self.assertEqual(name.digest, bytes(32))
        self.assertEqual(str(name), "/a/sha256digest=" + "00" * 32)
        self.assertIsNone(Name.fromText("/a").digest)
        # The same bytes, within a component of another type.
        self.assertIsNone(Name([b"\xfd\x01\x01\x20" + bytes(32)]).digest)
        self.assertIsNone(Name([generic(b"\x01\x20" + bytes(32))]).digest)

    def test_aMalformedValueShowsWhenItIsLookedAt(self) -> None:
        for value in (b"\x08", b"\x08\x02a", b"\x08\x01ab", b"\0\0", b"\x01\x03abc", b"\xfe\0\x01\0\0\0"):
            with self.assertRaises(PacketError):
                len(Name.fromValue(value))

    def test_fromWireTakesOneNameAndNothingElse(self) -> None:
        self.assertEqual(Name.fromWire(b"\x07\x03\x08\x01a"), Name.fromText("/a"))
        for wire in (b"", b"\x07", b"\x07\x03\x08\x02a", b"\x07\x00\x00", b"\x08\x01a"):
            with self.assertRaises(PacketError):
                Name.fromWire(wire)

    @given(names)
    def test_roundTrip(self, name: Name) -> None:
        self.assertEqual(Name.fromWire(name.encode()), name)
        self.assertEqual(Name.fromText(str(name)), name)
        again = Name.fromValue(name.value)
        self.assertEqual(again.components, name.components)
        self.assertEqual(hash(again), hash(name))
        ends = componentEnds(name.value, 0, len(name.value))
        self.assertEqual([Name.fromValue(name.value[:end]) for end in ends], [name[: n + 1] for n in range(len(name))])

    @given(names, names)
    def test_theOrderIsTheCanonicalOne(self, one: Name, other: Name) -> None:
        def key(name: Name) -> list[tuple[int, int, bytes]]:
            return [(componentType(each), len(componentValue(each)), componentValue(each)) for each in name]

        self.assertEqual(one < other, key(one) < key(other))
        self.assertEqual(one == other, key(one) == key(other))

    @given(names, names)
    def test_isPrefixOfIsThatOfComponents(self, one: Name, other: Name) -> None:
        self.assertEqual(one.isPrefixOf(other), one.components == other.components[: len(one)])
        self.assertTrue(one.isPrefixOf(one + other))

    @given(names, components)
    def test_addingAComponent(self, name: Name, component: bytes) -> None:
        longer = name + component
        self.assertEqual(longer.components, (*name.components, component))
        self.assertEqual(longer[:-1], name)
