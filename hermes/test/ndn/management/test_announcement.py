"""
Tests of L{hermes.ndn.management.announcement}.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.ndn.management.announcement import CONTENT_PREFIX_ANNOUNCEMENT, PrefixAnnouncement
from hermes.ndn.packet.data import encodeData
from hermes.ndn.packet.errors import PacketError
from hermes.ndn.packet.metainfo import MetaInfo
from hermes.ndn.packet.name import Name
from hermes.ndn.security.signers import DigestSigner
from hermes.test.ndn.management.test_control import names, numbers, quick

# The example of the protocol's specification: an hour, from 30 October to 24 November 2018.
CONTENT = bytes.fromhex("6d04 0036ee80 fd00fd 26 fd00fe 0f") + b"20181030T000000" + b"\xfd\x00\xff\x0f20181124T235959"
OCTOBER = 1540857600


def made(name: str, content: bytes, contentType: int = CONTENT_PREFIX_ANNOUNCEMENT) -> bytes:
    """
    A packet.
    """
    return encodeData(Name.fromText(name), content, DigestSigner(), MetaInfo(contentType))


class PrefixAnnouncementTests(SynchronousTestCase):
    """
    Reading and writing.
    """

    def test_theExampleOfTheSpecificationIsRead(self) -> None:
        announcement = PrefixAnnouncement.decode(made("/net/example/32=PA/v=1/seg=0", CONTENT))
        self.assertEqual(announcement.prefix, Name.fromText("/net/example"))
        self.assertEqual(announcement.expiration, 3_600_000)
        self.assertEqual(announcement.notBefore, OCTOBER)
        self.assertEqual(announcement.notAfter, OCTOBER + 26 * 86400 - 1)

    def test_andWritten(self) -> None:
        announcement = PrefixAnnouncement(Name.fromText("/net/example"), 3_600_000, OCTOBER, OCTOBER + 26 * 86400 - 1)
        self.assertEqual(announcement.encode(DigestSigner(), 1), made("/net/example/32=PA/v=1/seg=0", CONTENT))

    def test_theShorterOfTheTwoTimesCounts(self) -> None:
        announcement = PrefixAnnouncement.decode(made("/net/example/32=PA/v=1/seg=0", CONTENT))
        self.assertEqual(announcement.secondsLeft(OCTOBER), 3600)
        self.assertEqual(announcement.secondsLeft(OCTOBER + 26 * 86400 - 10), 10)
        self.assertEqual(announcement.secondsLeft(OCTOBER - 1), 0)
        self.assertLessEqual(announcement.secondsLeft(OCTOBER + 26 * 86400), 0)
        self.assertEqual(PrefixAnnouncement(Name(), 500).secondsLeft(0), 0.5)

    @quick
    @given(names, numbers, st.none() | st.tuples(st.integers(0, 1 << 34), st.integers(0, 1 << 34)))
    def test_whatIsWrittenIsRead(self, prefix: Name, expiration: int, validity: tuple[int, int] | None) -> None:
        notBefore, notAfter = validity or (None, None)
        announcement = PrefixAnnouncement(prefix, expiration, notBefore, notAfter)
        read = PrefixAnnouncement.decode(announcement.encode(DigestSigner(), 7))
        self.assertEqual(
            (read.prefix, read.expiration, read.notBefore, read.notAfter), (prefix, expiration, notBefore, notAfter)
        )

    def test_otherDataIsRefused(self) -> None:
        good = bytes.fromhex("6d01ff")
        PrefixAnnouncement.decode(made("/a/32=PA/v=1/seg=0", good))
        for wire in (
            made("/a/32=PA/v=1/seg=1", good),
            made("/a/32=PA/v=1", good),
            made("/a/PA/v=1/seg=0", good),
            made("/a/32=PA/seg=0/v=1", good),
            made("/a/32=PA/v=1/seg=0", good, 0),
            made("/a/32=PA/v=1/seg=0", b""),
            made("/a/32=PA/v=1/seg=0", good + b"\xfd\x00\xfd\x00"),
            made("/a/32=PA/v=1/seg=0", good + b"\xf1\x00"),
            b"",
            b"\x06\x00",
        ):
            self.assertRaises(PacketError, PrefixAnnouncement.decode, wire)
        PrefixAnnouncement.decode(made("/a/32=PA/v=1/seg=0", good + b"\xf0\x00"))
