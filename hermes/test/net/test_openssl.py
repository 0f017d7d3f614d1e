"""
Tests for L{hermes.net.openssl}: records.
"""

from __future__ import annotations

import contextlib

from hypothesis import given, settings
from hypothesis.strategies import integers, lists, sampled_from
from OpenSSL import SSL

from hermes.net.openssl import RECORD, ROUND, SCRATCH, RecordLayer, inRecords
from hermes.test.net.tlscase import TLSCase
from hermes.values import Buffer


class RecordTests(TLSCase):
    @given(lists(sampled_from([0, 1, 9, RECORD - 1, RECORD, ROUND - 1, ROUND, 5 * RECORD + 7]), max_size=8))
    @settings(deadline=None)
    def test_noByteIsLostInSorting(self, sizes: list[int]) -> None:
        buffers: list[Buffer] = [bytes([index]) * size for index, size in enumerate(sizes)]
        pieces = list(inRecords(buffers))
        self.assertEqual(b"".join(pieces), b"".join(buffers))
        self.assertEqual([len(piece) % RECORD for piece in pieces[:-1]], [0] * len(pieces[:-1]))

    def layers(self) -> tuple[RecordLayer, RecordLayer]:
        """
        Both ends of a connection, after the handshake.
        """
        client = RecordLayer(self.clientCredentials.connection())
        server = RecordLayer(self.serverCredentials.connection())
        for _ in range(2):
            for layer, other in ((client, server), (server, client)):
                with contextlib.suppress(SSL.WantReadError):
                    layer.connection.do_handshake()
                other.feed(layer.take())
        return client, server

    def test_ciphertextMayArriveInAnyPieces(self) -> None:
        client, server = self.layers()
        data = bytes(range(256)) * 512

        @given(lists(integers(1, 70000), min_size=1, max_size=20))
        @settings(deadline=None, max_examples=50)
        def check(sizes: list[int]) -> None:
            ciphertext, plaintext = bytearray(), bytearray()
            client.encrypt([data], ciphertext.extend)
            start = 0
            for size in [*sizes, len(ciphertext)]:
                server.decrypt(ciphertext[start : start + size], plaintext.extend, plaintext.extend)
                start += size
            self.assertEqual(plaintext, data)

        check()

    def test_moreThanABufferIsDeliveredInSeveral(self) -> None:
        client, server = self.layers()
        ciphertext: list[bytes] = []
        data = b"x" * (SCRATCH + 5)
        client.encrypt([data], lambda view: ciphertext.append(bytes(view)))
        pieces: list[int] = []
        server.decrypt(b"".join(ciphertext), lambda view: pieces.append(len(view)), self.fail)
        self.assertEqual(pieces, [SCRATCH, 5])
