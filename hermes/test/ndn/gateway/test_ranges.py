"""
Tests of L{hermes.ndn.gateway.ranges} and L{hermes.ndn.gateway.metadata}.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.ndn.gateway.metadata import MEDIA_TYPE, Metadata
from hermes.ndn.gateway.ranges import matchesTag, partOf, unmodifiedSince
from hermes.ndn.packet.name import Name
from hermes.ndn.packet.tlv import encodeElement
from hermes.test.ndn.management.test_control import names, numbers, quick
from hermes.values import Headers, RequestHead


def asking(**fields: bytes) -> RequestHead:
    """
    A GET.
    """
    headers: Headers = tuple((name.replace("_", "-").encode(), value) for name, value in fields.items())
    return RequestHead(b"GET", b"http", b"a", b"/", None, headers)


class RangeTests(SynchronousTestCase):
    """
    Parts and tags.
    """

    @quick
    @given(st.integers(0, 50), st.none() | st.integers(0, 60), st.integers(0, 40))
    def test_aPartIsWithinTheWhole(self, start: int, stop: int | None, size: int) -> None:
        data = bytes(range(size))
        part = partOf(asking(range=b"bytes=%d-%s" % (start, b"" if stop is None else b"%d" % stop)), size, b'"x"')
        if stop is not None and stop < start:
            self.assertEqual(part, "all")
        elif start >= size:
            self.assertEqual(part, "none")
        else:
            assert isinstance(part, tuple)
            self.assertEqual(data[part[0] : part[1]], data[start : None if stop is None else stop + 1])

    @quick
    @given(st.integers(0, 60), st.integers(0, 40))
    def test_theEndOfIt(self, length: int, size: int) -> None:
        part = partOf(asking(range=b"bytes=-%d" % length), size, b'"x"')
        if not length or not size:
            self.assertEqual(part, "none")
        else:
            assert isinstance(part, tuple)
            data = bytes(range(size))
            self.assertEqual(data[part[0] : part[1]], data[-length:])

    @quick
    @given(st.binary(max_size=20))
    def test_whateverIsSentIsNoError(self, value: bytes) -> None:
        partOf(asking(range=value, if_range=value), 10, b'"x"')
        matchesTag(value, b'"x"', True)

    def test_onlyOfTheSameVersionAndAGETThereIsAPart(self) -> None:
        self.assertEqual(partOf(asking(range=b"bytes=1-2", if_range=b'"x"'), 10, b'"x"'), (1, 3))
        self.assertEqual(partOf(asking(range=b"bytes=1-2", if_range=b'"y"'), 10, b'"x"'), "all")
        self.assertEqual(partOf(asking(range=b"bytes=1-2", if_range=b'W/"x"'), 10, b'W/"x"'), "all")
        self.assertEqual(partOf(asking(range=b"bytes=1-2"), None, b'"x"'), "all")
        head = RequestHead(b"HEAD", b"http", b"a", b"/", None, ((b"range", b"bytes=1-2"),))
        self.assertEqual(partOf(head, 10, b'"x"'), "all")

    @quick
    @given(st.binary(max_size=40) | st.text(st.sampled_from("0123456789 :,-+SunJanGMT"), max_size=40).map(str.encode))
    def test_whateverIsNoDateIsNoError(self, value: bytes) -> None:
        self.assertIn(unmodifiedSince(value, 1_600_000_000 * 10**9), (True, False))
        self.assertFalse(unmodifiedSince(value, None))

    def test_datesAreCompared(self) -> None:
        modified = 1_600_000_000 * 10**9 + 5
        for value, same in (
            (b"Sun, 13 Sep 2020 12:26:40 GMT", True),
            (b"Sunday, 13-Sep-20 12:26:40 GMT", True),
            (b"Sun, 13 Sep 2020 12:26:39 GMT", False),
            (b"Sun, 99 Sep 9999999999 12:26:40 GMT", False),
            (b"", False),
            (b"\xff", False),
        ):
            self.assertEqual(unmodifiedSince(value, modified), same, value)

    def test_tagsAreCompared(self) -> None:
        for value, etag, strong, weak in (
            (b'"x"', b'"x"', True, True),
            (b'W/"x"', b'"x"', False, True),
            (b'"x"', b'W/"x"', False, True),
            (b'"y", "x"', b'"x"', True, True),
            (b'"y"', b'"x"', False, False),
            (b" * ", b'"x"', True, True),
            (b"x", b'"x"', False, False),
        ):
            self.assertEqual(matchesTag(value, etag, True), strong, value)
            self.assertEqual(matchesTag(value, etag, False), weak, value)


class MetadataTests(SynchronousTestCase):
    """
    What metadata says.
    """

    @quick
    @given(names, st.none() | numbers, st.none() | numbers, st.sampled_from([None, b"text/plain", b"a/b; c=d"]))
    def test_whatIsWrittenIsRead(self, name: Name, size: int | None, modified: int | None, kind: bytes | None) -> None:
        metadata = Metadata(name=name, size=size, modified=modified, mediaType=kind)
        self.assertEqual(Metadata.read(metadata.encode()), metadata)

    def test_otherThingsMayFollow(self) -> None:
        content = Name.fromText("/a").encode() + encodeElement(0xF500, b"\x1f\x40")
        self.assertEqual(Metadata.read(content), Metadata(name=Name.fromText("/a")))

    @quick
    @given(st.binary(max_size=30))
    def test_whatIsNoneIsNoError(self, content: bytes) -> None:
        Metadata.read(content)

    def test_aMediaTypeThatWouldBreakAHeadIsNone(self) -> None:
        for kind in (b"text/plain\r\nx: y", b"text", b"", b"a/" + b"b" * 300, "té/x".encode()):
            content = Name.fromText("/a").encode() + encodeElement(MEDIA_TYPE, kind)
            read = Metadata.read(content)
            assert read is not None
            self.assertIsNone(read.mediaType, kind)
