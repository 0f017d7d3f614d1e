"""
Sockets of TCP.
"""

from __future__ import annotations

import socket as sockets

from twisted.trial.unittest import SynchronousTestCase

from hermes.net.tuning import OPTIONS, tune


class TuneTests(SynchronousTestCase):
    """
    L{tune}.
    """

    def test_whatIsAcceptedIsTunedByWhatAcceptsIt(self) -> None:
        with sockets.socket() as port, sockets.socket() as client:
            tune(port)
            port.bind(("127.0.0.1", 0))
            port.listen()
            client.connect(port.getsockname())
            accepted, _ = port.accept()
            with accepted:
                for level, option, value in OPTIONS:
                    self.assertEqual(accepted.getsockopt(level, option), value)
