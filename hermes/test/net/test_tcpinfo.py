"""
Tests for L{hermes.net.tcpinfo}: beside what ss says.
"""

from __future__ import annotations

import re
import socket
from shutil import which
from subprocess import run

from twisted.trial.unittest import SynchronousTestCase

from hermes.net.tcpinfo import tcpInfo


class TCPInfoTests(SynchronousTestCase):
    """
    L{tcpInfo}.
    """

    def connected(self) -> tuple[socket.socket, socket.socket]:
        """
        Both ends of a connection.
        """
        with socket.create_server(("127.0.0.1", 0)) as server:
            client = socket.create_connection(server.getsockname())
            accepted, _ = server.accept()
        self.addCleanup(client.close)
        self.addCleanup(accepted.close)
        return client, accepted

    def test_itSaysWhatSsSays(self) -> None:
        if which("ss") is None:
            raise self.skipTest("this machine has no ss")
        client, accepted = self.connected()
        for _ in range(30):
            client.sendall(b"x" * 1000)
            accepted.recv(1000, socket.MSG_WAITALL)
        info = tcpInfo(client)
        assert info is not None
        port = client.getsockname()[1]
        said = run(["ss", "-tinH", f"sport = :{port}"], capture_output=True, text=True, check=True).stdout
        found = re.search(r"data_segs_out:(\d+)", said)
        assert found is not None, said
        self.assertEqual((info.sent, info.resent), (int(found[1]), 0))
        self.assertGreaterEqual(info.sent, 30)
        self.assertTrue(0 < info.roundTrip < 1)

    def test_aUnixSocketAndAClosedOneTellNothing(self) -> None:
        one, other = socket.socketpair()
        self.addCleanup(other.close)
        self.addCleanup(one.close)
        self.assertIsNone(tcpInfo(one))
        client, _ = self.connected()
        client.close()
        self.assertIsNone(tcpInfo(client))
