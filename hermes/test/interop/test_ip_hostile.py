"""
Packets that are none, or not their sender's: scapy makes them, and none goes through or stops a tunnel.
"""

from __future__ import annotations

import struct
from typing import Any

from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption_LSRR, IPOption_NOP, IPOption_Router_Alert
from scapy.layers.inet6 import (
    HBHOptUnknown,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting,
    Jumbo,
    PadN,
)
from scapy.packet import Raw

from hermes.test.interop.ipnodes import DEVICE, EXIT, OWN, PORT, SERVER, IPCase
from hermes.test.interop.iptunnels import ROUTE_ADVERTISEMENT, Eyes, RawTunnel, encode, inject

OPEN = PORT + 1
ANNOUNCE, FRAMES = 0x2A484950, 2
MARKER = b"the last of them"
PAYLOAD = b"BAD!" * 8


def ipv4(source: str, **fields: Any) -> Any:
    return IP(src=source, dst=SERVER[4], **fields)


def ipv6(source: str, **fields: Any) -> Any:
    return IPv6(src=source, dst=SERVER[6], **fields)


def malformed(v4: str, v6: str) -> dict[str, bytes]:
    """
    What is no packet, by what is wrong with it.

    @param v4: the sender's own address.
    @param v6: the same.
    """
    udp = UDP(sport=1234, dport=5678) / Raw(PAYLOAD)
    good4, good6 = bytes(ipv4(v4) / udp), bytes(ipv6(v6) / udp)
    found: dict[str, Any] = {
        "empty": b"",
        "one byte": b"\x45",
        "a header that ends": good4[:19],
        "an IPv6 header that ends": good6[:39],
        "shorter than it says": good4[:-1],
        "IPv6, shorter than it says": good6[:-1],
        "version 0": b"\x05" + good4[1:],
        "version 5": b"\x55" + good4[1:],
        "version 15": b"\xf5" + good4[1:],
        "IHL 4": ipv4(v4, ihl=4) / udp,
        "IHL 0": ipv4(v4, ihl=0) / udp,
        "IHL beyond the packet": bytes(ipv4(v4, ihl=15) / ICMP())[:40],
        "a length that is less than the header": ipv4(v4, len=19) / udp,
        "a checksum that is wrong": ipv4(v4, chksum=0x1234) / udp,
        "an option longer than the options": ipv4(v4, options=[IPOption_NOP()], ihl=6) / udp,
        "a source route": ipv4(v4, options=[IPOption_LSRR(routers=["10.1.0.77"])]) / udp,
        "no room for UDP": ipv4(v4, proto=17) / Raw(b"BAD"),
        "no room for TCP": ipv4(v4, proto=6) / Raw(b"BAD" * 6),
        "IPv6, no room for UDP": ipv6(v6, nh=17) / Raw(b"BAD"),
        "a fragment within a TCP header": ipv4(v4, frag=1, proto=6) / Raw(PAYLOAD),
        "a fragment beyond the end": ipv4(v4, frag=8190, proto=17) / Raw(PAYLOAD),
        "a fragment of no whole eight bytes": ipv4(v4, flags="MF", proto=17) / Raw(PAYLOAD + b"x"),
        "a jumbogram": ipv6(v6, plen=0) / IPv6ExtHdrHopByHop(options=[Jumbo(jumboplen=70000)]) / udp,
        "hop-by-hop options that are not first": ipv6(v6) / IPv6ExtHdrDestOpt() / IPv6ExtHdrHopByHop() / udp,
        "a routing header of type 0": ipv6(v6) / IPv6ExtHdrRouting(type=0, addresses=["fd01::77"]) / udp,
        "extension headers that end": bytes(ipv6(v6) / IPv6ExtHdrDestOpt(nh=60, options=[PadN(optdata=b"x" * 4)]))[:44],
        "an extension header longer than the packet": ipv6(v6) / IPv6ExtHdrDestOpt(len=200) / udp,
        "a chain of extension headers": ipv6(v6) / _chain(40) / udp,
        "a time to live of 0": ipv4(v4, ttl=0) / udp,
        "a hop limit of 0": ipv6(v6, hlim=0) / udp,
    }
    # The sum of the options that are too long must be right, or that is what is wrong with them.
    option = bytearray(bytes(ipv4(v4, options=[IPOption_NOP()] * 4) / udp))
    option[20:24] = b"\x07\x28\x04\x00"
    found["an option longer than the options"] = _summed(option)
    return {name: bytes(packet) for name, packet in found.items()}


def _chain(count: int) -> Any:
    chain = IPv6ExtHdrDestOpt()
    for _ in range(count - 1):
        chain = chain / IPv6ExtHdrDestOpt()
    return chain


def _summed(packet: bytearray) -> bytes:
    """
    An IPv4 packet with the right checksum.
    """
    end = 4 * (packet[0] & 15)
    packet[10:12] = b"\0\0"
    total = sum(int.from_bytes(packet[at : at + 2], "big") for at in range(0, end, 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    packet[10:12] = (total ^ 0xFFFF).to_bytes(2, "big")
    return bytes(packet)


def spoofed(v4: str, v6: str) -> dict[str, bytes]:
    """
    What is a packet, and not its sender's, or not for anybody beyond; by what is wrong with it.
    """
    udp = UDP(sport=1234, dport=5678) / Raw(PAYLOAD)
    found = {
        "another's address": IP(src="10.77.0.99", dst=SERVER[4]),
        "the proxy's own": IP(src=OWN[4], dst=SERVER[4]),
        "the server's": IP(src=SERVER[4], dst=SERVER[4]),
        "an address of nobody": IP(src="192.0.2.1", dst=SERVER[4]),
        "loopback": IP(src="127.0.0.1", dst=SERVER[4]),
        "multicast": IP(src="224.0.0.1", dst=SERVER[4]),
        "everybody": IP(src="255.255.255.255", dst=SERVER[4]),
        "no address": IP(src="0.0.0.0", dst=SERVER[4]),
        "another's IPv6 address": IPv6(src="fd77::99", dst=SERVER[6]),
        "the proxy's own IPv6 address": IPv6(src=OWN[6], dst=SERVER[6]),
        "no IPv6 address": IPv6(src="::", dst=SERVER[6]),
        "IPv6 loopback": IPv6(src="::1", dst=SERVER[6]),
        "IPv6 multicast": IPv6(src="ff02::1", dst=SERVER[6]),
        "link-local": IPv6(src="fe80::1", dst=SERVER[6]),
        "to loopback": IP(src=v4, dst="127.0.0.1"),
        "to a group": IP(src=v4, dst="224.0.0.251"),
        "to everybody": IP(src=v4, dst="255.255.255.255"),
        "to an IPv6 group": IPv6(src=v6, dst="ff02::fb"),
        "to a link-local address": IPv6(src=v6, dst="fe80::2"),
        "to IPv6 loopback": IPv6(src=v6, dst="::1"),
    }
    return {name: bytes(packet / udp) for name, packet in found.items()}


def framed(v4: str) -> dict[str, bytes]:
    """
    Frames whose head (L{hermes.wire.offload}) asks for what the packet behind it is not, by what is wrong.
    """
    tcp = bytes(ipv4(v4) / TCP(sport=1, dport=2, flags="A") / Raw(PAYLOAD * 40))
    udp = bytes(ipv4(v4) / UDP(sport=1, dport=2) / Raw(PAYLOAD * 40))
    part = bytes(ipv4(v4, flags="MF", proto=17) / Raw(PAYLOAD))
    heads = {
        "an unknown flag": ((8, 0, 0, 0, 0, 0), tcp),
        "to be cut, and whole": ((0, 1, 40, 500, 0, 0), tcp),
        "an unknown kind of segments": ((1, 9, 40, 500, 20, 16), tcp),
        "fragments of a datagram": ((1, 3, 28, 500, 20, 6), udp),
        "UDP that is TCP": ((1, 1, 40, 500, 20, 16), udp),
        "TCP that is UDP": ((1, 5, 28, 500, 20, 6), tcp),
        "IPv6 that is IPv4": ((1, 4, 40, 500, 20, 16), tcp),
        "segments of no size": ((1, 1, 40, 0, 20, 16), tcp),
        "very many segments": ((1, 1, 40, 1, 20, 16), tcp),
        "headers longer than the packet": ((1, 1, 60000, 500, 20, 16), tcp),
        "a checksum over the IP header": ((1, 0, 0, 0, 0, 16), tcp),
        "a checksum in the payload": ((1, 0, 0, 0, 20, 300), tcp),
        "a checksum behind the packet": ((1, 0, 0, 0, 60000, 16), tcp),
        "a checksum of a fragment": ((1, 0, 0, 0, 20, 6), part),
    }
    found = {name: struct.pack("<BBHHHH", *head) + packet for name, (head, packet) in heads.items()}
    return {**found, "half a head": bytes(5), "a head alone": bytes(10), "shorter than it says": bytes(10) + udp[:-1]}


def unusual(v4: str, v6: str) -> list[Any]:
    """
    What is well-formed, and seldom seen.
    """
    udp = UDP(sport=1234, dport=5678) / Raw(b"fine")
    return [
        ipv4(v4, id=1, options=[IPOption_NOP(), IPOption_NOP(), IPOption_NOP(), IPOption_NOP()]) / udp,
        ipv4(v4, id=2, options=[IPOption_Router_Alert()]) / udp,
        ipv4(v4, id=3, flags="MF") / udp.__class__(bytes(udp)[:8]) / Raw(b"12345678"),
        ipv4(v4, id=3, frag=2, proto=17) / Raw(b"12345678"),
        ipv4(v4, id=4, proto=253) / Raw(b"an experiment"),
        ipv4(v4, id=5, tos=0xB9) / TCP(sport=1, dport=2, flags="R"),
        ipv6(v6, fl=5) / IPv6ExtHdrDestOpt(options=[PadN(optdata=b"1234")]) / udp,
        ipv6(v6, tc=0xB9) / IPv6ExtHdrFragment(id=7, m=1) / Raw(bytes(udp)[:8]),
        ipv6(v6) / IPv6ExtHdrFragment(id=7, offset=1, nh=17) / Raw(b"12345678"),
        ipv6(v6) / IPv6ExtHdrDestOpt(options=[HBHOptUnknown(otype=0x1E, optdata=b"12")]) / udp,
        ipv6(v6, nh=59),
    ]


class HostileTests(IPCase):
    """
    Packets go into a tunnel past the kernel's own checks, and C{exit} must not write them to its device.
    """

    async def opened(self) -> None:
        """
        Start C{edge}, and C{exit} with a door that asks nobody who he is.
        """
        self.wire()
        listeners = self.exitConfig()["listeners"]
        door = {"type": "tunnel", "bind": f"0.0.0.0:{OPEN}", "tls": False, "anonymous": True}
        self.exitNode = self.startOn(self.exit, "exit", self.exitConfig(listeners={**listeners, "open": door}))
        await self.exitNode.ready()

    def tunnel(self, *scope: str) -> RawTunnel:
        tunnel = RawTunnel(self.client, (EXIT, OPEN), *scope)
        tunnel.ask("0.0.0.0/32", "::/128")
        return tunnel

    def last(self, tunnel: RawTunnel) -> None:
        """
        Send a packet that is nothing special.
        """
        packet = ipv4(tunnel.addresses[4]) / UDP(sport=1, dport=9) / Raw(MARKER)
        tunnel.send(bytes(packet))

    async def test_whatIsMalformedOrSpoofedDoesNotGoThroughAndStopsNothing(self) -> None:
        await self.opened()
        with self.tunnel() as tunnel, Eyes(self.exit, DEVICE) as eyes:
            for packets in malformed, spoofed:
                for name, packet in packets(tunnel.addresses[4], tunnel.addresses[6]).items():
                    tunnel.send(packet)
                    self.last(tunnel)
                    self.assertEqual(eyes.until(MARKER), [], name)
            self.goThroughOneHopOlder(tunnel, eyes)

    def goThroughOneHopOlder(self, tunnel: RawTunnel, eyes: Eyes) -> None:
        """
        What is unusual.
        """
        for packet in unusual(tunnel.addresses[4], tunnel.addresses[6]):
            tunnel.send(bytes(packet))
            self.last(tunnel)
            older = packet.copy()
            if IP in older:
                older.ttl -= 1
            else:
                older.hlim -= 1
            self.assertEqual(eyes.until(MARKER), [bytes(older)], packet.summary())

    async def test_whatNoPeerMaySendEndsItsTunnelAlone(self) -> None:
        await self.opened()
        with self.tunnel() as other, Eyes(self.exit, DEVICE) as eyes:
            for kind, value in (
                (0, b""),  # a datagram without a context
                (1, b"\x01\x05\x00\x00\x00\x00\x20"),  # an address of IP version 5
                (1, b"\x01\x04\x00\x00"),  # an address that ends
                (2, b"\x01\x04\x00\x00\x00\x00\x21"),  # a prefix of 33 bits
                (3, b"\x04\x0a\x00\x00\x02\x0a\x00\x00\x01\x00"),  # a range that ends before it begins
            ):
                with self.tunnel() as tunnel:
                    tunnel.write(kind, value)
                    with self.assertRaisesRegex(AssertionError, "the tunnel"):
                        while True:
                            tunnel.capsule()
                self.last(other)
                self.assertEqual(eyes.until(MARKER), [])
            self.passedOver(other, eyes)

    def passedOver(self, tunnel: RawTunnel, eyes: Eyes) -> None:
        """
        What is unknown.
        """
        good = bytes(ipv4(tunnel.addresses[4]) / UDP(sport=1, dport=9) / Raw(PAYLOAD))
        tunnel.write(0x17, b"whatever")
        tunnel.write(0x29 * 1000 + 0x17, bytes(70000))
        for context in (1, 4, 63, 16000):
            tunnel.send(good, context)
        self.last(tunnel)
        self.assertEqual(eyes.until(MARKER), [])

    async def test_aTunnelForOneTargetAndProtocolIsForNoOther(self) -> None:
        """
        Its routes say so, and its sender is told.
        """
        await self.opened()
        with self.tunnel(f"{SERVER[4]}%2F32", "17") as tunnel, Eyes(self.exit, DEVICE) as eyes:
            own = tunnel.addresses[4]
            within = ipv4(own) / UDP(sport=1, dport=9) / Raw(MARKER)
            for outside in (
                IP(src=own, dst="10.1.0.3") / UDP(sport=1, dport=9) / Raw(PAYLOAD),
                ipv4(own) / TCP(sport=1, dport=9) / Raw(PAYLOAD),
                ipv6(tunnel.addresses[6]) / UDP(sport=1, dport=9) / Raw(PAYLOAD),
            ):
                tunnel.send(bytes(outside))
                tunnel.send(bytes(within))
                self.assertEqual(eyes.until(MARKER), [], outside.summary())
                if IP in outside:
                    error = IP(tunnel.receive())
                    while error.src == SERVER[4]:
                        # The server says of what came through that nobody listens there.
                        error = IP(tunnel.receive())
                    self.assertEqual((error[ICMP].type, error.src), (3, OWN[4]), outside.summary())
                    self.assertEqual(bytes(error[ICMP].payload)[:20], bytes(outside)[:20])
        ((start, protocol),) = {
            (value[1:9], value[9]) for kind, value in tunnel.capsules if kind == ROUTE_ADVERTISEMENT
        }
        self.assertEqual((start, protocol), (bytes(map(int, SERVER[4].split("."))) * 2, 17))

    async def test_framesAreCheckedBeforeTheyAreTrusted(self) -> None:
        await self.opened()
        with self.tunnel() as tunnel, Eyes(self.exit, DEVICE) as eyes:
            # We take frames, and so does the proxy.
            tunnel.write(ANNOUNCE, encode(1) + encode(1500))
            own = tunnel.addresses[4]
            for name, frame in framed(own).items():
                tunnel.send(frame, FRAMES)
                self.last(tunnel)
                self.assertEqual(eyes.until(MARKER), [], name)
            for _, packet in [*malformed(own, tunnel.addresses[6]).items(), *spoofed(own, tunnel.addresses[6]).items()]:
                tunnel.send(bytes(10) + packet, FRAMES)
            self.last(tunnel)
            self.assertEqual(eyes.until(MARKER), [])
            # One that is right goes through whole: the device has segmentation offload.
            segments = ipv4(own, ttl=9, chksum=0) / TCP(sport=1, dport=2, flags="A", chksum=0) / Raw(b"y" * 5000)
            whole: Any = IP(bytes(segments))
            del whole.chksum
            tunnel.send(struct.pack("<BBHHHH", 1, 1, 40, 1000, 20, 16) + bytes(whole), FRAMES)
            self.last(tunnel)
            (seen,) = eyes.until(MARKER)
            self.assertEqual((seen[8], seen[20:24], seen[40:]), (8, b"\0\1\0\2", b"y" * 5000))

    async def test_theDeviceOfTheFirstNodeIsNoBetter(self) -> None:
        self.wire()
        self.startOn(self.exit, "exit", self.exitConfig())
        edge = self.startOn(self.client, "edge", self.edgeConfig())
        await edge.ready()
        await self.reaches(self.client, SERVER[4])
        own = [entry.partition("/")[0] for entry in self.addresses(self.client)]
        v4, v6 = (next(entry for entry in own if (":" in entry) == six) for six in (False, True))
        marker = bytes(ipv4(v4) / UDP(sport=1, dport=9) / Raw(MARKER))
        with Eyes(self.exit, DEVICE) as eyes:
            for packets in malformed(v4, v6), spoofed(v4, v6):
                # The kernel sends nothing that is empty.
                for name, packet in packets.items():
                    inject(self.client, DEVICE, [packet, marker] if packet else [marker])
                    self.assertEqual(eyes.until(MARKER), [], name)
        answer = await self.on(self.client, "ping", "-c3", "-l3", "-i10", "-W20", SERVER[6])
        self.assertIn("3 received", answer)
