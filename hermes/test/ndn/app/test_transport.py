"""
Tests for L{hermes.ndn.app.transport}.
"""

from __future__ import annotations

import os

from twisted.internet.endpoints import HostnameEndpoint, UNIXClientEndpoint
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import TestCase

from hermes.ndn.app.transport import endpointFor, forwarderURI


class ForwarderTests(TestCase):
    """
    L{forwarderURI}.
    """

    def setUp(self) -> None:
        self.directory = self.mktemp()
        os.mkdir(self.directory)

    def file(self, name: str, text: str = "") -> str:
        """
        A file that there is.
        """
        path = os.path.join(self.directory, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def test_theEnvironmentComesFirst(self) -> None:
        configuration = self.file("client.conf", "transport=unix:///x\n")
        environ = {"NDN_CLIENT_TRANSPORT": "tcp://192.0.2.1"}
        self.assertEqual(forwarderURI(environ, [configuration], []), "tcp://192.0.2.1")
        self.assertEqual(forwarderURI({"NDN_CLIENT_TRANSPORT": ""}, [configuration], []), "unix:///x")

    def test_thenTheFirstClientConfThatThereIs(self) -> None:
        text = "; the forwarder\n;transport=unix:///no\npib=pib-sqlite3\n transport = tcp4://127.0.0.1:7 ; here\n"
        paths = [os.path.join(self.directory, "none"), self.file("client.conf", text), self.file("o", "transport=x")]
        self.assertEqual(forwarderURI({}, paths, []), "tcp4://127.0.0.1:7")

    def test_thenASocketOfThisHost(self) -> None:
        other = self.file("nfd.sock")
        sockets = [os.path.join(self.directory, "hermes.sock"), other]
        for paths in ([], [self.file("client.conf", "pib=x\n")], [self.file("empty.conf", "transport=\n")]):
            self.assertEqual(forwarderURI({}, paths, sockets), f"unix://{other}")

    def test_orWhereHermesWouldListen(self) -> None:
        self.assertEqual(forwarderURI({}, [], ["/nowhere/ndn.sock", "/nowhere/nfd.sock"]), "unix:///nowhere/ndn.sock")


class EndpointTests(TestCase):
    """
    L{endpointFor}.
    """

    def test_unixAndTCP(self) -> None:
        reactor = MemoryReactorClock()
        endpoint = endpointFor(reactor, "unix:///run/hermes/ndn.sock")
        assert isinstance(endpoint, UNIXClientEndpoint)
        self.assertEqual(endpoint._path, "/run/hermes/ndn.sock")
        for uri, host, port in (
            ("tcp://192.0.2.1:7", "192.0.2.1", 7),
            ("tcp4://router.example", "router.example", 6363),
            ("tcp6://[2001:db8::1]:9", "2001:db8::1", 9),
        ):
            endpoint = endpointFor(reactor, uri)
            assert isinstance(endpoint, HostnameEndpoint)
            self.assertEqual((endpoint._hostText, endpoint._port), (host, port))

    def test_whatIsNoForwardersAddressIsAnError(self) -> None:
        for uri in ("", "x", "udp://192.0.2.1", "unix:/run/x", "unix://", "tcp://", "tcp://a:b", "ws://a"):
            with self.assertRaises(ValueError):
                endpointFor(MemoryReactorClock(), uri)
