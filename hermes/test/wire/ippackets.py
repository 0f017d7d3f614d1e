"""
IP packets for tests, as scapy makes them: hypothesis chooses, scapy puts the bytes together.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address
from itertools import pairwise
from typing import Any

from hypothesis import strategies as st
from scapy.layers.inet import (
    ICMP,
    IP,
    TCP,
    UDP,
    IPOption,
    IPOption_NOP,
    IPOption_Router_Alert,
    IPOption_RR,
    IPOption_Security,
    IPOption_Timestamp,
)
from scapy.layers.inet6 import (
    HBHOptUnknown,
    ICMPv6EchoReply,
    ICMPv6EchoRequest,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting,
    PadN,
    RouterAlert,
)
from scapy.layers.ipsec import AH
from scapy.layers.sctp import SCTP
from scapy.packet import Raw

# A scapy packet has no types.
Scapy = Any

v4Addresses = st.integers(1 << 24, (224 << 24) - 1).map(IPv4Address)
v6Addresses = st.integers(1 << 112, (0xFE00 << 112) - 1).map(IPv6Address)
ports = st.integers(0, 65535)
payloads = st.one_of(st.binary(max_size=60), st.integers(0, 1400).map(lambda size: bytes([size & 0xFF]) * size))

tcpOptions = st.sampled_from(
    [
        [],
        [("MSS", 1400)],
        [("NOP", None), ("NOP", None), ("Timestamp", (7, 9))],
        [("SAckOK", b""), ("Timestamp", (1 << 31, 0)), ("NOP", None), ("WScale", 7)],
    ]
)

v4Options = st.lists(
    st.sampled_from(
        [
            IPOption_NOP(),
            IPOption_RR(routers=["1.2.3.4"]),
            IPOption_Router_Alert(),
            IPOption_Security(),
            IPOption_Timestamp(),
            IPOption(b"\x9e\x04ab"),
        ]
    ),
    max_size=2,
)

_NUMBERS: dict[Scapy, int] = {
    IPv6ExtHdrHopByHop: 0,
    TCP: 6,
    UDP: 17,
    IPv6ExtHdrRouting: 43,
    IPv6ExtHdrFragment: 44,
    Raw: 47,
    AH: 51,
    ICMPv6EchoRequest: 58,
    ICMPv6EchoReply: 58,
    IPv6ExtHdrDestOpt: 60,
    SCTP: 132,
}

_v6Options = st.lists(
    st.sampled_from([RouterAlert(), PadN(optdata=b"\x00\x00\x00"), HBHOptUnknown(otype=0x1E, optdata=b"abcdef")]),
    max_size=3,
)


@st.composite
def transports(draw: st.DrawFn, version: int, kinds: tuple[str, ...] = ("tcp", "udp", "echo", "sctp", "gre")) -> Scapy:
    """
    A transport header and what it carries.
    """
    kind = draw(st.sampled_from(kinds))
    sport, dport = draw(ports), draw(ports)
    payload = Raw(draw(payloads))
    if kind == "tcp":
        header: Scapy = TCP(
            sport=sport,
            dport=dport,
            seq=draw(st.integers(0, 0xFFFFFFFF)),
            flags=draw(st.sampled_from(["S", "A", "PA", "FA", "R"])),
            options=draw(tcpOptions),
        )
    elif kind == "udp":
        header = UDP(sport=sport, dport=dport)
    elif kind == "sctp":
        header = SCTP(sport=sport, dport=dport, chksum=1)
    elif kind == "echo" and version == 4:
        header = ICMP(type=draw(st.sampled_from([8, 0])), id=sport, seq=dport)
    elif kind == "echo":
        header = draw(st.sampled_from([ICMPv6EchoRequest, ICMPv6EchoReply]))(id=sport, seq=dport, data=payload.load)
        return header
    else:
        return payload
    return header / payload


@st.composite
def ordinary(draw: st.DrawFn, kinds: tuple[str, ...] = ("tcp", "udp", "echo")) -> Scapy:
    """
    A packet as most are: no options, no extension headers, no fragment.
    """
    tos, ttl = draw(st.integers(0, 255)), draw(st.integers(0, 255))
    if draw(st.booleans()):
        head: Scapy = IP(
            src=str(draw(v4Addresses)),
            dst=str(draw(v4Addresses)),
            tos=tos,
            ttl=ttl,
            id=draw(ports),
            flags=draw(st.sampled_from(["", "DF"])),
        )
        return head / draw(transports(4, kinds))
    head = IPv6(
        src=str(draw(v6Addresses)), dst=str(draw(v6Addresses)), tc=tos, hlim=ttl, fl=draw(st.integers(0, 0xFFFFF))
    )
    return head / draw(transports(6, kinds))


@st.composite
def special(draw: st.DrawFn) -> Scapy:
    """
    A well-formed packet of any kind: options, extension headers, a protocol without ports.
    """
    packet = draw(ordinary(("tcp", "udp", "echo", "sctp", "gre")))
    if IP in packet:
        packet[IP].options = draw(v4Options)
        if isinstance(packet[IP].payload, Raw):
            packet[IP].proto = 47
        return packet
    upper = packet[IPv6].payload
    packet[IPv6].remove_payload()
    chain = [packet[IPv6]]
    if draw(st.booleans()):
        chain.append(IPv6ExtHdrHopByHop(options=draw(_v6Options)))
    for kind in draw(st.lists(st.sampled_from(["destination", "routing", "atomic", "ah"]), max_size=4, unique=True)):
        if kind == "destination":
            chain.append(IPv6ExtHdrDestOpt(options=draw(_v6Options)))
        elif kind == "routing":
            chain.append(IPv6ExtHdrRouting(type=0, segleft=0, addresses=["fd00::1"] * draw(st.integers(0, 2))))
        elif kind == "atomic":
            chain.append(IPv6ExtHdrFragment(id=draw(st.integers(0, 0xFFFFFFFF))))
        else:
            chain.append(AH(payloadlen=4, spi=1, seq=2, icv=b"x" * 12))
    chain.append(upper)
    # Scapy does not know of every one what may come behind it.
    for layer, following in pairwise(chain):
        layer.nh = _NUMBERS[type(following)]
    packet = chain[0]
    for layer in chain[1:]:
        packet /= layer
    return packet


def build(packet: Scapy) -> bytes:
    """
    The bytes of C{packet}.
    """
    return bytes(packet)


@st.composite
def mangled(draw: st.DrawFn) -> bytes:
    """
    The bytes of a packet of which some were changed, removed or added; sometimes none.
    """
    data = bytearray(build(draw(special())))
    for _ in range(draw(st.integers(0, 4))):
        # Most of what can go wrong is in the headers.
        at = draw(st.integers(0, min(len(data), 100) - 1))
        data[at] = draw(st.integers(0, 255))
    if data[0] >> 4 == 4 and draw(st.booleans()):
        mend(data)
    cut = draw(st.sampled_from([None, None, "cut", "pad"]))
    if cut == "cut":
        del data[draw(st.integers(0, len(data))) :]
    elif cut == "pad":
        data += draw(st.binary(min_size=1, max_size=50))
    return bytes(data)


def mend(data: bytearray) -> None:
    """
    Make the checksum of an IPv4 header right, so that it is not what a mangled packet is refused for.
    """
    header = (data[0] & 15) * 4
    if 20 <= header <= len(data):
        data[10:12] = b"\x00\x00"
        total = sum(data[at] << 8 | data[at + 1] for at in range(0, header, 2))
        while total >> 16:
            total = (total >> 16) + (total & 0xFFFF)
        data[10:12] = (~total & 0xFFFF).to_bytes(2, "big")
