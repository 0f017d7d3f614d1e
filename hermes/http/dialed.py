"""
A dialer as a Twisted client endpoint: for whatever keeps connections of its own.
"""

from __future__ import annotations

from attrs import frozen
from twisted.internet.address import HostnameAddress
from twisted.internet.defer import Deferred, fail
from twisted.internet.error import ConnectError
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IStreamClientEndpoint
from zope.interface import implementer

from hermes.interfaces import IDialer
from hermes.values import Flow


@implementer(IStreamClientEndpoint)
@frozen(eq=False)
class DialedEndpoint:
    """
    Each connection is a stream to the target of C{flow}.
    """

    dialer: IDialer
    flow: Flow

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        target = self.flow.target
        host = target.host.encode("ascii" if target.host.isascii() else "idna")
        protocol = protocolFactory.buildProtocol(HostnameAddress(host, target.port))
        if protocol is None:
            return fail(ConnectError(string="the factory made no protocol"))
        return self.dialer.connectStream(self.flow, protocol)
