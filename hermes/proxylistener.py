"""
The C{proxy} listener type, assembled: its HTTP requests are L{hermes.tunnel}'s and L{hermes.http2}'s, which
L{hermes.fabric} does not know.
"""

from __future__ import annotations

from hermes.fabric.proxy import ProxyListenerType
from hermes.http2.connection import ServerConnection
from hermes.interfaces import IAdmission, IExchangeHandler, IListenerContext
from hermes.tunnel.server import TunnelHandler


def tunnelHandler(
    name: str,
    context: IListenerContext,
    anonymous: bool,
    forward: IExchangeHandler,
    admission: IAdmission | None,
) -> IExchangeHandler:
    """
    What answers CONNECT and the other tunnels, once C{admission} has let them in; C{forward} answers the rest.
    """
    return TunnelHandler(
        context.flows,
        context.authenticator,
        context.reactor,
        context.nodeName,
        name,
        anonymous,
        forward=forward,
        admission=admission,
    )


def proxyListenerType() -> ProxyListenerType:
    """
    The type, for the plugin.
    """
    return ProxyListenerType(tunnelHandler, ServerConnection)
