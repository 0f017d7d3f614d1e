"""
Several certificates on one port.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

from OpenSSL import SSL
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from hermes.interfaces import IServerCredentials
from hermes.net.certificates import CredentialsError, OverlayAuthority
from hermes.net.servernames import NamedCredentials, dnsNames
from hermes.values import ANONYMOUS


class NamesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.authority = OverlayAuthority.create(self.mktemp())
        self.files = [
            self.authority.issue("first", ["www.example.org", "example.org"]),
            self.authority.issue("second", ["*.example.net", "www.example.org"]),
        ]
        self.credentials = NamedCredentials(self.files)

    def meet(self, name: bytes | None, protocols: list[bytes]) -> tuple[list[str], bytes]:
        """
        A handshake: the names in the certificate that the client is shown, and the protocol.
        """
        context = SSL.Context(SSL.TLS_METHOD)
        context.set_alpn_protos(protocols)
        client = SSL.Connection(context)
        client.set_connect_state()
        if name is not None:
            client.set_tlsext_host_name(name)
        server = self.credentials.connection()
        ends = [client, server]
        for _ in range(4):
            for end, other in (ends, ends[::-1]):
                with contextlib.suppress(SSL.WantReadError):
                    end.do_handshake()
                with contextlib.suppress(SSL.WantReadError):
                    other.bio_write(end.bio_read(1 << 16))
        self.assertEqual(self.credentials.identity(server), ANONYMOUS)
        certificate = client.get_peer_certificate()
        assert certificate is not None
        return dnsNames(certificate.to_cryptography()), client.get_alpn_proto_negotiated()

    def test_itIsWhatServersTake(self) -> None:
        verifyObject(IServerCredentials, self.credentials)

    def test_eachNameHasItsCertificate(self) -> None:
        first, second = ["www.example.org", "example.org"], ["*.example.net", "www.example.org"]
        for name, names in (
            (b"www.example.org", first),
            (b"EXAMPLE.org", first),
            (b"a.example.net", second),
            (b"a.b.example.net", first),
            (b"example.net", first),
            (b"other.example", first),
            (None, first),
        ):
            for offered, chosen in (([b"h2", b"http/1.1"], b"h2"), ([b"http/1.1"], b"http/1.1")):
                self.assertEqual(self.meet(name, offered), (names, chosen), name)

    def test_filesAreReadAgain(self) -> None:
        other = self.authority.issue("third", ["new.example.org"])
        for old, new in zip(self.files[0], other, strict=True):
            Path(old).write_bytes(Path(new).read_bytes())
        self.assertEqual(self.meet(None, [b"h2"])[0], ["www.example.org", "example.org"])
        self.credentials.checkFiles()
        self.credentials.readFiles()
        self.assertEqual(self.meet(None, [b"h2"])[0], ["new.example.org"])

    def test_filesThatAreBadChangeNothing(self) -> None:
        Path(self.files[1][0]).write_text("no certificate")
        self.assertRaises(CredentialsError, self.credentials.checkFiles)
        self.assertRaises(CredentialsError, self.credentials.readFiles)
        self.assertEqual(self.meet(b"a.example.net", [b"h2"])[0], ["*.example.net", "www.example.org"])
