"""
Certificates that were revoked: refused in handshakes, and cut off where a connection stands.
"""

from __future__ import annotations

from typing import Any

from cryptography import x509
from twisted.internet.defer import gatherResults
from twisted.internet.error import ConnectionAborted, ConnectionLost

from hermes.errors import HopUntrusted
from hermes.net.certificates import ClientCredentials, ServerCredentials
from hermes.net.revocation import RevokedCertificates
from hermes.test.net.tlscase import TLSCase


def serialOf(certificateFile: str) -> str:
    """
    As it is written: in hexadecimal.
    """
    with open(certificateFile, "rb") as file:
        return f"{x509.load_pem_x509_certificate(file.read()).serial_number:x}"


class RevocationCase(TLSCase):
    """
    Both ends know who is revoked.
    """

    def setUp(self) -> None:
        super().setUp()
        self.revoked = RevokedCertificates()
        self.serverCredentials = ServerCredentials(*self.serverFiles, self.trust, revoked=self.revoked)
        self.clientCredentials = ClientCredentials(
            *self.clientFiles, self.trust, expectedNode="relay", revoked=self.revoked
        )


class Handshakes(RevocationCase):
    """
    In the handshake.
    """

    def shake(self, **options: Any) -> list[Any]:
        """
        @return: how each end has ended: L{None} or the error.
        """
        ends: list[Any] = []
        for transport in self.pair(**options):
            transport.handshake().addErrback(lambda failure: failure.value).addCallback(ends.append)
        self.reactor.settle()
        return ends

    def test_a_client_whose_certificate_is_revoked_is_refused(self) -> None:
        self.revoked.set([serialOf(self.clientFiles[0])])
        client = ClientCredentials(*self.clientFiles, self.trust, expectedNode="relay")
        found = [end for end in self.shake(client=client) if isinstance(end, HopUntrusted)]
        self.assertIn("the client's certificate was not accepted: it was revoked", [str(error) for error in found])

    def test_a_server_whose_certificate_is_revoked_is_refused(self) -> None:
        self.revoked.set([serialOf(self.serverFiles[0])])
        server = ServerCredentials(*self.serverFiles, self.trust)
        found = [end for end in self.shake(server=server) if isinstance(end, HopUntrusted)]
        self.assertIn("the server's certificate was not accepted: it was revoked", [str(error) for error in found])

    def test_the_peer_is_told_that_its_certificate_is_revoked(self) -> None:
        self.revoked.set([serialOf(self.serverFiles[0])])
        server = ServerCredentials(*self.serverFiles, self.trust)
        (told,) = [str(end) for end in self.shake(server=server) if "did not accept" in str(end)]
        self.assertIn("certificate revoked", told)

    def test_or_that_it_is_not_that_of_the_one_who_was_asked_for(self) -> None:
        client = ClientCredentials(*self.clientFiles, self.trust, expectedNode="other")
        (told,) = [str(end) for end in self.shake(client=client) if "did not accept" in str(end)]
        self.assertIn("bad certificate", told)

    def test_others_are_taken(self) -> None:
        self.revoked.set(["1", "2"])
        self.assertEqual(self.shake(), [None, None])

    def test_a_certificate_is_taken_again_once_it_is_off_the_list(self) -> None:
        self.revoked.set([serialOf(self.clientFiles[0])])
        self.revoked.set([])
        self.assertEqual(self.shake(), [None, None])

    def test_what_is_no_serial_number_is_passed_over(self) -> None:
        self.revoked.set(["no number", serialOf(self.clientFiles[0])])
        self.assertEqual(len(self.revoked.serials), 1)


class Standing(RevocationCase):
    """
    Connections that stand.
    """

    def test_they_are_cut_when_their_peer_is_revoked(self) -> None:
        server = ClientCredentials(*self.clientFiles, self.trust, expectedNode="relay")
        client, atClient, serverEnd, atServer = self.connected(client=server)
        self.revoked.set([serialOf(self.clientFiles[0])])
        self.reactor.settle()
        self.assertIsInstance(atServer.reason, ConnectionAborted)
        self.assertIsInstance(atClient.reason, ConnectionLost)
        self.assertTrue(serverEnd.disconnected and client.disconnected)

    def test_others_stay(self) -> None:
        client, atClient, _server, atServer = self.connected()
        self.revoked.set(["1"])
        self.reactor.settle()
        client.write(b"hello")
        self.reactor.settle()
        self.assertEqual(atServer.received, b"hello")
        self.assertEqual([atServer.reason, atClient.reason], [None, None])

    def test_one_that_has_ended_is_forgotten(self) -> None:
        client, _, _server, _ = self.connected()
        client.abortConnection()
        self.reactor.settle()
        self.assertEqual(self.revoked._sessions, {})

    def test_one_that_was_revoked_during_its_handshake_is_cut(self) -> None:
        client, server = self.pair(client=ClientCredentials(*self.clientFiles, self.trust, expectedNode="relay"))
        shaking = gatherResults([client.handshake(), server.handshake()])
        self.patch(self.revoked, "joined", self._revokeFirst(serialOf(self.clientFiles[0])))
        self.reactor.settle()
        self.successResultOf(shaking)
        self.assertTrue(server.disconnected)

    def _revokeFirst(self, serial: str) -> Any:
        joined = self.revoked.joined

        def revokeFirst(session: Any, number: int) -> None:
            self.revoked.serials = frozenset([int(serial, 16)])
            joined(session, number)

        return revokeFirst
