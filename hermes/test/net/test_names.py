"""
Addresses keep their meaning from one notation to the other.
"""

from __future__ import annotations

from socket import AF_INET, AF_INET6, SOCK_STREAM, if_nametoindex, inet_pton, socket
from struct import pack

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.trial.unittest import SynchronousTestCase

from hermes.net.names import forSocket, fromSockaddr, plainAddress, twistedAddress


def inet6(host: str, port: int, scope: int = 0) -> bytes:
    """
    A C{struct sockaddr_in6}.
    """
    return pack("@H", AF_INET6) + pack("!HI", port, 0) + inet_pton(AF_INET6, host) + pack("@I", scope)


class NamesTests(SynchronousTestCase):
    """
    From the kernel, and back to it.
    """

    def test_anIPv4AddressIsRead(self) -> None:
        name = pack("@H", AF_INET) + pack("!H", 53) + bytes([192, 0, 2, 1]) + bytes(8)
        self.assertEqual(fromSockaddr(name), ("192.0.2.1", 53))
        self.assertEqual(forSocket(("192.0.2.1", 53), AF_INET), ("192.0.2.1", 53))

    def test_anIPv6AddressIsRead(self) -> None:
        self.assertEqual(fromSockaddr(inet6("2001:db8::1", 53)), ("2001:db8::1", 53))
        self.assertEqual(forSocket(("2001:db8::1", 53), AF_INET6), ("2001:db8::1", 53, 0, 0))

    def test_anIPv4AddressIsItselfOnASocketOfBothFamilies(self) -> None:
        self.assertEqual(fromSockaddr(inet6("::ffff:192.0.2.1", 53)), ("192.0.2.1", 53))
        self.assertEqual(plainAddress(("::ffff:192.0.2.1", 53, 0, 0)), ("192.0.2.1", 53))
        self.assertEqual(forSocket(("192.0.2.1", 53), AF_INET6), ("::ffff:192.0.2.1", 53, 0, 0))

    def test_aLinkLocalAddressKeepsItsInterface(self) -> None:
        lo = if_nametoindex("lo")
        self.assertEqual(fromSockaddr(inet6("fe80::1", 53, lo)), ("fe80::1%lo", 53))
        self.assertEqual(plainAddress(("fe80::1", 53, 0, lo)), ("fe80::1%lo", 53))
        self.assertEqual(plainAddress(("fe80::1%lo", 53, 0, lo)), ("fe80::1%lo", 53))
        self.assertEqual(forSocket(("fe80::1%lo", 53), AF_INET6), ("fe80::1", 53, 0, lo))
        self.assertEqual(fromSockaddr(inet6("fe80::1", 53, 99999)), ("fe80::1%99999", 53))
        self.assertEqual(forSocket(("fe80::1%99999", 53), AF_INET6), ("fe80::1", 53, 0, 99999))

    def test_aUnixSocketsAddressIsItsPath(self) -> None:
        self.assertEqual(fromSockaddr(b"\1\0/run/s\0"), "/run/s")
        self.assertEqual(fromSockaddr(b"\1\0/run/s"), "/run/s")
        self.assertEqual(fromSockaddr(b"\1\0\0abstract"), "\0abstract")
        self.assertEqual(fromSockaddr(b"\1\0"), "")
        self.assertEqual(plainAddress(b"\0abstract"), "\0abstract")

    def test_twistedKnowsTheFamilyByTheAddress(self) -> None:
        sock = socket(AF_INET6, SOCK_STREAM)
        self.addCleanup(sock.close)
        self.assertEqual(
            twistedAddress(sock, ("::ffff:192.0.2.1", 53, 0, 0), "TCP"), IPv4Address("TCP", "192.0.2.1", 53)
        )
        self.assertEqual(twistedAddress(sock, ("::1", 53, 0, 0), "UDP"), IPv6Address("UDP", "::1", 53))
