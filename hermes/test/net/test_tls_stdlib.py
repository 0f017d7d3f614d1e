"""
L{hermes.net.tls} with Python's own ssl module on the other end.
"""

from __future__ import annotations

import socket as sockets
import ssl
from collections.abc import Callable
from typing import Any, ClassVar

from twisted.internet.error import ConnectionDone

from hermes.net.certificates import ClientCredentials
from hermes.net.tls import TLSTransport
from hermes.test.net.sockets import HandReactor, Recorder, unixPair
from hermes.test.net.tlscase import TLSCase
from hermes.values import Identity


class StdlibPeer:
    """
    Python's own ssl module on the other end.
    """

    def __init__(self, sock: sockets.socket, context: ssl.SSLContext, reactor: HandReactor, **options: Any) -> None:
        sock.setblocking(False)
        # Before Python 3.11.4 an end without close_notify counted as one with it.
        context.options &= ~getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0x80)
        self.sock = context.wrap_socket(sock, do_handshake_on_connect=False, suppress_ragged_eofs=False, **options)
        self.reactor = reactor

    def do(self, method: Callable[[], Any]) -> Any:
        """
        Call a method until it need not wait.
        """
        while True:
            try:
                return method()
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                self.reactor.turn()


class StdlibTests(TLSCase):
    version: ClassVar[ssl.TLSVersion] = ssl.TLSVersion.TLSv1_3

    def serve(self) -> tuple[StdlibPeer, Recorder, TLSTransport]:
        """
        A server of ours and a client of the library's.
        """
        ours, theirs = unixPair()
        self.addCleanup(theirs.close)
        context = ssl.create_default_context(cafile=self.trust)
        context.load_cert_chain(*self.clientFiles)
        context.set_alpn_protocols(["http/1.1"])
        context.minimum_version = context.maximum_version = self.version
        peer = StdlibPeer(theirs, context, self.reactor, server_hostname="localhost")
        self.addCleanup(peer.sock.close)
        transport = TLSTransport(ours, self.reactor, self.serverCredentials)
        recorder = Recorder()
        transport.handshake().addCallback(lambda _: transport.attach(recorder))
        peer.do(peer.sock.do_handshake)
        self.reactor.settle()
        return peer, recorder, transport

    def test_aForeignClientIsServed(self) -> None:
        peer, recorder, transport = self.serve()
        self.assertEqual((transport.identity, transport.negotiatedProtocol), (Identity(node="edge"), b"http/1.1"))
        self.assertEqual(peer.sock.version(), "TLSv1.3" if self.version is ssl.TLSVersion.TLSv1_3 else "TLSv1.2")
        peer.do(lambda: peer.sock.sendall(b"question"))
        self.reactor.settle()
        transport.write(b"answer")
        self.assertEqual(peer.do(lambda: peer.sock.recv(100)), b"answer")
        self.assertEqual(recorder.received, b"question")
        transport.loseConnection()
        self.reactor.settle()
        # With close_notify there is an end, and no exception.
        self.assertEqual(peer.do(lambda: peer.sock.recv(100)), b"")
        self.assertIsInstance(recorder.reason, ConnectionDone)

    def test_anAbortIsNoOrderlyEndToAForeignClient(self) -> None:
        peer, _, transport = self.serve()
        transport.abortConnection()
        self.reactor.settle()
        self.assertRaises((ssl.SSLError, ConnectionResetError), peer.do, lambda: peer.sock.recv(100))

    def test_aForeignServerIsVerified(self) -> None:
        ours, theirs = unixPair()
        self.addCleanup(theirs.close)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.serverFiles)
        context.minimum_version = context.maximum_version = self.version
        names: list[Any] = []
        context.sni_callback = lambda sock, name, context: names.append(name)
        peer = StdlibPeer(theirs, context, self.reactor, server_side=True)
        self.addCleanup(peer.sock.close)
        credentials = ClientCredentials(trustFile=self.trust, serverName="localhost")
        transport = TLSTransport(ours, self.reactor, credentials)
        done = transport.handshake()
        peer.do(peer.sock.do_handshake)
        self.reactor.settle()
        self.successResultOf(done)
        self.assertEqual((names, transport.negotiatedProtocol), (["localhost"], None))
        recorder = Recorder()
        transport.attach(recorder)
        peer.do(lambda: peer.sock.sendall(b"x" * 100000))
        self.reactor.settle()
        self.assertEqual(len(recorder.received), 100000)


class StdlibTLS12Tests(StdlibTests):
    version: ClassVar[ssl.TLSVersion] = ssl.TLSVersion.TLSv1_2
