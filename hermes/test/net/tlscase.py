"""
What the tests of TLS stand on: credentials of two nodes, and transports between them.
"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from hermes.net.certificates import ClientCredentials, OverlayAuthority, ServerCredentials
from hermes.net.tls import TLSTransport
from hermes.test.net.sockets import HandReactor, Recorder, unixPair


class TLSCase(SynchronousTestCase):
    """
    Credentials of two nodes, and what connects transports.
    """

    def setUp(self) -> None:
        self.reactor = HandReactor()
        self.authority = OverlayAuthority.create(self.mktemp())
        self.trust = self.authority.trustFile
        self.serverFiles = self.authority.issue("relay", ["localhost", "127.0.0.1"])
        self.clientFiles = self.authority.issue("edge")
        self.serverCredentials = ServerCredentials(*self.serverFiles, self.trust)
        self.clientCredentials = ClientCredentials(*self.clientFiles, self.trust, expectedNode="relay")

    def pair(
        self, client: Any = None, server: Any = None, sockets: Any = unixPair
    ) -> tuple[TLSTransport, TLSTransport]:
        """
        Two transports, before the handshake.
        """
        transports = []
        for sock, credentials in zip(
            sockets(), (client or self.clientCredentials, server or self.serverCredentials), strict=True
        ):
            self.addCleanup(sock.close)
            transports.append(TLSTransport(sock, self.reactor, credentials))
        return transports[0], transports[1]

    def connected(self, **options: Any) -> tuple[TLSTransport, Recorder, TLSTransport, Recorder]:
        """
        Two transports after the handshake, with protocols attached.
        """
        client, server = self.pair(**options)
        done = [client.handshake(), server.handshake()]
        self.reactor.settle()
        for deferred in done:
            self.successResultOf(deferred)
        atClient, atServer = Recorder(), Recorder()
        client.attach(atClient)
        server.attach(atServer)
        return client, atClient, server, atServer
