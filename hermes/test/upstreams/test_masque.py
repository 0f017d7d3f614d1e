"""
What is asked of a proxy that is not ours.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hermes.config.types import SocketAddress
from hermes.config.upstreams import MasqueUpstream
from hermes.tunnel.request import IP_TEMPLATE, connectIPHead
from hermes.upstreams.maker import _masqueOptions


class OptionsTests(SynchronousTestCase):
    """
    From the configuration to how tunnels are asked for.
    """

    def test_ipPacketsHaveATemplateOfTheirOwn(self) -> None:
        address = SocketAddress("proxy.example:443")
        options = _masqueOptions("proxy", MasqueUpstream((address,)), address)
        self.assertEqual(options.ipTemplate.template, IP_TEMPLATE.template)
        options = _masqueOptions("proxy", MasqueUpstream((address,), connectIp="/vpn{?target}"), address)
        head = connectIPHead("10.0.0.0/8", None, options.authority, options.scheme, options.ipTemplate)
        self.assertEqual(head.path, b"/vpn?target=10.0.0.0%2F8")
        self.assertEqual((head.scheme, head.authority), (b"https", b"proxy.example:443"))
