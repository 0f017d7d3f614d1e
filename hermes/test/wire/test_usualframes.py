"""
Tests for L{hermes.wire.usualframes}.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6, IPv6ExtHdrDestOpt
from scapy.packet import Packet, Raw
from twisted.trial.unittest import SynchronousTestCase

from hermes.wire.errors import MalformedError
from hermes.wire.ip import parse
from hermes.wire.offload import HEAD_SIZE, checkOffload
from hermes.wire.usualframes import isUsual

IPS = [IP(), IP(options=b"\1\1\1\1"), IP(flags="MF"), IP(frag=5), IPv6(), IPv6() / IPv6ExtHdrDestOpt()]
UPPER = [TCP(sport=1, dport=2), TCP(sport=1, dport=2, options=[("NOP", None)] * 12), UDP(sport=1, dport=2), Raw(b"x")]


def head(flags: int, kind: int, headers: int, size: int, start: int, field: int) -> bytes:
    return bytes((flags, kind)) + b"".join(value.to_bytes(2, "little") for value in (headers, size, start, field))


def near(*values: int) -> st.SearchStrategy[int]:
    return st.one_of(st.sampled_from(values), st.integers(0, 65535))


@st.composite
def frames(draw: st.DrawFn) -> bytes:
    """
    Packets of every kind, behind heads that fit, nearly fit, or don't.
    """
    packet: Packet = draw(st.sampled_from(IPS)) / draw(st.sampled_from(UPPER)) / Raw(bytes(draw(st.integers(0, 3000))))
    whole = bytearray(bytes(packet))
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 2]))):
        # Not always a packet any more.
        whole[draw(st.integers(0, min(len(whole), 70) - 1))] = draw(st.integers(0, 255))
    whole += bytes(draw(st.sampled_from([0, 0, 0, 1])))
    return head(
        draw(st.sampled_from([1, 1, 1, 1, 0, 2, 3, 5])),
        draw(st.sampled_from([0, 0, 1, 4, 5, 0x81, 0x84, 3, 0x80])),
        draw(near(0, 28, 40, 48, 60)),
        draw(near(0, 1, 2, 3, 20, 1400)),
        draw(near(20, 40, 24, 48)),
        draw(near(16, 6)),
    ) + bytes(whole[: draw(st.sampled_from([len(whole), len(whole), len(whole), 60, 40, 30, 20, 5, 0]))])


def isPacket(frame: bytes) -> bool:
    try:
        parse(frame, HEAD_SIZE)
    except MalformedError:
        return False
    return True


def fits(frame: bytes) -> bool:
    try:
        checkOffload(frame)
    except MalformedError:
        return False
    return True


class UsualTests(SynchronousTestCase):
    """
    L{isUsual}.
    """

    def test_whatAKernelHandsOverIsUsual(self) -> None:
        for ip, start, kind in ((IP(), 20, 1), (IPv6(), 40, 4)):
            tcp = bytes(ip / TCP(sport=1, dport=2) / Raw(bytes(10_000)))
            udp = bytes(ip / UDP(sport=1, dport=2) / Raw(bytes(10_000)))
            for usual in (
                head(1, 0, 0, 0, start, 16) + tcp,
                head(1, 0, 0, 0, start, 6) + udp,
                head(1, kind, start + 20, 1400, start, 16) + tcp,
                head(1, kind | 0x80, start + 20, 1400, start, 16) + tcp,
                head(1, 5, start + 8, 1400, start, 6) + udp,
                head(1, 0, 0, 0, start, 16) + bytes(ip / TCP(sport=1, dport=2)),
                head(1, 0, 0, 0, start, 6) + bytes(ip / UDP(sport=1, dport=2)),
            ):
                self.assertTrue(isUsual(usual), usual[:40])
                self.assertTrue(isUsual(memoryview(usual)))
                self.assertTrue(fits(usual))

    @settings(deadline=None, max_examples=400)
    @given(frames())
    def test_nothingIsUsualThatDoesNotFit(self, frame: bytes) -> None:
        if isUsual(frame) and isPacket(frame):
            checkOffload(frame)

    @settings(deadline=None)
    @given(st.binary(max_size=60))
    def test_nothingBreaksIt(self, frame: bytes) -> None:
        if isUsual(frame) and isPacket(frame):
            checkOffload(frame)
