"""
Whatever a peer sends, a decoder returns or raises L{PacketError}, and nothing else.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from hypothesis import example, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.ndn.packet import lp
from hermes.ndn.packet.data import decodeData
from hermes.ndn.packet.errors import PacketError
from hermes.ndn.packet.interest import decodeInterest
from hermes.ndn.packet.name import Name
from hermes.ndn.packet.peek import peekData, peekInterest
from hermes.ndn.packet.tlv import encodeElement
from hermes.ndn.security.certificate import Certificate
from hermes.ndn.security.signedinterest import signatureOf
from hermes.test.ndn.packet.strategies import broken, datas, interests, linkPackets, signedInterests


def readInterest(wire: bytes) -> None:
    """
    All that is ever read of an Interest.
    """
    view = peekInterest(wire)
    whole = decodeInterest(view)
    assert Name.fromValue(view.name).components == whole.name.components
    assert len(view.ends) == len(whole.name)
    whole.name.toText()
    signatureOf(whole)
    if len(wire) < 8794 or view.nonce is not None:
        assert peekInterest(view.withNonce(5).wire).nonce == 5


def readData(wire: bytes) -> None:
    """
    All that is ever read of Data.
    """
    view = peekData(wire)
    whole = decodeData(wire)
    assert Name.fromValue(view.name).components == whole.name.components
    whole.fullName.toText()
    Certificate(whole)


def peekAlone(wire: bytes) -> None:
    """
    What a forwarder reads of Data: it takes whatever the whole decoder takes, and more.
    """
    try:
        decodeData(wire)
    except PacketError:
        peekData(wire)
        return
    try:
        peekData(wire)
    except PacketError as error:
        raise AssertionError("the decoder has taken it") from error


READERS: tuple[Callable[[bytes], object], ...] = (readInterest, readData, peekAlone, lp.decode, Name.fromWire)


class HostileTests(SynchronousTestCase):
    """
    All decoders, fed with all sorts of things.
    """

    def feed(self, wire: bytes) -> None:
        """
        Give it to all of them, in all kinds of buffers.
        """
        for reader in READERS:
            for whole in (wire, encodeElement(5, wire), encodeElement(6, wire), encodeElement(0x64, wire)):
                with contextlib.suppress(PacketError):
                    reader(whole)

    @given(st.binary(max_size=80))
    @example(b"\x05\xfd")
    @example(b"\x06\xfd\x00")
    def test_anyBytes(self, wire: bytes) -> None:
        self.feed(wire)

    @given(
        st.lists(
            st.tuples(st.sampled_from([*range(1, 48), 80, 81, 98, 100, 253, 800, 801]), st.binary(max_size=20)),
            max_size=8,
        )
    )
    def test_anyElements(self, pairs: list[tuple[int, bytes]]) -> None:
        self.feed(b"".join(encodeElement(*pair) for pair in pairs))
        self.feed(b"\x07\x03\x08\x01a" + b"".join(encodeElement(*pair) for pair in pairs))

    @given(broken(interests))
    def test_brokenInterests(self, wire: bytes) -> None:
        self.feed(wire)

    @given(broken(signedInterests))
    @settings(max_examples=200)
    def test_brokenSignedInterests(self, wire: bytes) -> None:
        self.feed(wire)

    @given(broken(datas))
    @settings(max_examples=200)
    def test_brokenData(self, wire: bytes) -> None:
        self.feed(wire)

    @given(broken(linkPackets))
    @settings(max_examples=200)
    def test_brokenLinkPackets(self, wire: bytes) -> None:
        self.feed(wire)

    @given(datas, st.data())
    def test_cutOff(self, wire: bytes, draw: st.DataObject) -> None:
        end = draw.draw(st.integers(0, len(wire) - 1))
        for reader in (peekData, decodeData, lp.decode):
            with self.assertRaises(PacketError):
                reader(wire[:end])

    def test_nestedLengthsBeyondAnyMemory(self) -> None:
        for size in (b"\xfe\xff\xff\xff\xff", b"\xff\xff\xff\xff\xff\xff\xff\xff\xff"):
            for kind in (5, 6, 7, 0x64):
                for reader in READERS:
                    with self.assertRaises(PacketError):
                        reader(bytes([kind]) + size)
                    if reader is lp.decode and kind != 0x64:
                        continue  # does not look into what is bare
                    with self.assertRaises(PacketError):
                        reader(encodeElement(kind, b"\x07" + size))
