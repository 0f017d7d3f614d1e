"""
Tests for L{hermes.ndn.face.uri}.
"""

from __future__ import annotations

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.trial.unittest import SynchronousTestCase

from hermes.ndn.face.uri import FaceAddress, isLoopback, ofAddress
from hermes.values import Target


class FaceAddressTests(SynchronousTestCase):
    """
    Addresses of faces, in the configuration and as Face URIs.
    """

    def test_theConfigurations(self) -> None:
        for text, address, uri in (
            ("udp:192.0.2.1:6363", FaceAddress("udp", Target("192.0.2.1", 6363)), "udp4://192.0.2.1:6363"),
            ("udp:[2001:db8::1]:7", FaceAddress("udp", Target("2001:db8::1", 7)), "udp6://[2001:db8::1]:7"),
            ("tcp:ndn.example:6363", FaceAddress("tcp", Target("ndn.example", 6363)), "tcp://ndn.example:6363"),
            ("ws:127.0.0.1:9696", FaceAddress("ws", Target("127.0.0.1", 9696), "/"), "ws://127.0.0.1:9696"),
            ("ws:a.example:80/ndn/x", FaceAddress("ws", Target("a.example", 80), "/ndn/x"), "ws://a.example:80/ndn/x"),
            ("unix:/run/nfd.sock", FaceAddress("unix", None, "/run/nfd.sock"), "unix:///run/nfd.sock"),
        ):
            self.assertEqual(FaceAddress.fromText(text), address)
            self.assertEqual(address.uri, uri)
            self.assertEqual(str(address), text)
            self.assertEqual(FaceAddress.fromURI(uri), address)

    def test_aPortIsNDNsWhereNoneIsGiven(self) -> None:
        self.assertEqual(str(FaceAddress.fromText("udp:ndn.example")), "udp:ndn.example:6363")
        self.assertEqual(str(FaceAddress.fromText("ws:ndn.example")), "ws:ndn.example:9696")
        self.assertEqual(FaceAddress.fromURI("tcp4://192.0.2.1").uri, "tcp4://192.0.2.1:6363")

    def test_invalid(self) -> None:
        for text in (
            "",
            "udp",
            "udp:",
            "sctp:a:1",
            "unix:",
            "unix:" + "x" * 108,
            "tcp:a:99999",
            "tcp:::1:6363",
            "tcp::1",
        ):
            with self.assertRaises(ValueError):
                FaceAddress.fromText(text)
        for uri in (
            "",
            "udp:192.0.2.1:6363",
            "udp4:/192.0.2.1",
            "udp4://ndn.example:6363",
            "udp6://192.0.2.1:6363",
            "tcp4://[::1]:6363",
            "ether://[08:00:27:01:01:01]",
            "fd://5",
            "internal://",
            "unix://",
            "ws4://1.2.3.4",
        ):
            with self.assertRaises(ValueError):
                FaceAddress.fromURI(uri)

    def test_theEndsOfTransports(self) -> None:
        for transport, address, uri in (
            ("tcp", IPv4Address("TCP", "192.0.2.1", 5), "tcp4://192.0.2.1:5"),
            ("udp", IPv6Address("UDP", "fe80::1%eth0", 5), "udp6://[fe80::1%eth0]:5"),
            ("udp", ("2001:db8::1", 5), "udp6://[2001:db8::1]:5"),
            ("ws", IPv6Address("TCP", "::1", 5), "ws://[::1]:5"),
            ("tcp", UNIXAddress("/run/ndn.sock"), "unix:///run/ndn.sock"),
        ):
            self.assertEqual(ofAddress(transport, address), uri)

    def test_whoIsOnThisHost(self) -> None:
        for address, local in (
            (IPv4Address("TCP", "127.0.0.5", 5), True),
            (IPv6Address("TCP", "::1", 5), True),
            (UNIXAddress(None), True),
            (IPv4Address("TCP", "192.0.2.1", 5), False),
            (IPv6Address("TCP", "fe80::1%lo", 5), False),
            (object(), False),
        ):
            self.assertEqual(isLoopback(address), local)
