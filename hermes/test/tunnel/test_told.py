"""
Tests for what a dialer makes of the Proxy-Status field of a refusal.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hermes.tunnel.client import told
from hermes.values import ResponseHead


class ToldTests(SynchronousTestCase):
    """
    L{told}.
    """

    def test_theProxyNearestToTheTargetSaysWhy(self) -> None:
        value = b"exit;error=dns_error, relay;error=http_upgrade_failed"
        self.assertEqual(told(ResponseHead(502, ((b"proxy-status", value),))), (value, "dns_error"))
        value = b"quiet, relay;error=connection_refused"
        self.assertEqual(told(ResponseHead(502, ((b"proxy-status", value),))), (value, "connection_refused"))

    def test_aFieldThatIsMalformedSaysNothing(self) -> None:
        self.assertEqual(told(ResponseHead(502)), (None, None))
        for value in (b"", b"(", b"1", b"a;error=x, " * 2000 + b"a"):
            self.assertEqual(told(ResponseHead(502, ((b"proxy-status", value),))), (None, None))
