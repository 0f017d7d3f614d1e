"""
The kernel as an interface.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProtocol, IStreamClientEndpoint, IStreamServerEndpoint
from zope.interface import Interface

from hermes.interfaces.channel import IDatagramChannel, IDatagramSocket
from hermes.values import Address, Target


class IServerCredentials(Interface):
    """
    TLS for a server; asked at each handshake, so that certificates can be replaced while it runs.
    """


class INetwork(Interface):
    """
    Sockets. Stream transports that come from here provide L{hermes.interfaces.IAttachable}; with TLS, they also have
    C{identity} (L{hermes.values.Identity} of the peer's certificate) and C{negotiatedProtocol} (ALPN, bytes or None),
    both valid from C{makeConnection} on: a TLS transport calls C{makeConnection} once its handshake is done.
    """

    def streamServer(
        bind: str, tls: IServerCredentials | None = None, proxyProtocol: bool = False
    ) -> IStreamServerEndpoint:
        """
        @param bind: C{HOST:PORT}, C{[V6]:PORT} or C{unix:PATH}.
        @param proxyProtocol: whether connections begin with a PROXY protocol header, before TLS; the client that it
            names is then the transport's peer.
        """

    def streamClient(address: str, tls: object | None = None) -> IStreamClientEndpoint:
        """
        An endpoint for one C{HOST:PORT} or C{unix:PATH} that the configuration names: a name is resolved (Happy
        Eyeballs v2, RFC 8305) and every address is allowed. Connecting errbacks with L{hermes.errors.FlowError}.

        @param tls: L{hermes.net.certificates.ClientCredentials}.
        """

    def reserveStreams(bind: str, leaving: Collection[str] = ()) -> Callable[[], None]:
        """
        Take hold of what the next L{streamServer} of the same C{bind} listens on. Nobody can connect to it yet. The
        result gives it back; it does nothing once somebody listens there. Nothing is held where the kernel chooses the
        port, or C{bind} is held already.

        @param leaving: where servers of this network listen that stop before the next one starts: they may have the
            place until then, or its port on other addresses. Who connects to the very same place is always answered, by
            the one or by the other.
        @raise OSError: where it can't be bound.
        """

    def reserveDatagrams(bind: str, leaving: Collection[str] = ()) -> Callable[[], None]:
        """
        The same for L{datagramSocket}. What was sent to it before is never delivered, save where it is the very socket
        of one that leaves.
        """

    def connectStream(target: Target, protocol: IProtocol, allowSpecial: bool = False) -> Deferred[IProtocol]:
        """
        Connect to a target that somebody else named. Errback with L{hermes.errors.FlowError}: special-purpose addresses
        are refused unless C{allowSpecial}.
        """

    def connectDatagrams(target: Target, allowSpecial: bool = False) -> Deferred[IDatagramChannel]:
        """
        A connected UDP socket to a target that somebody else named.
        """

    def datagramSocket(bind: str) -> IDatagramSocket:
        """
        A bound UDP socket (C{HOST:PORT}) or Unix datagram socket (C{unix:PATH}).

        @raise OSError: where it can't be bound.
        """

    def multicastSocket(group: Address, interface: str) -> IDatagramSocket:
        """
        A UDP socket in a multicast group, IPv4 or IPv6, on one network interface: it hears what others send to the
        group there, and what is written to the group goes there and no further (a hop limit of 1).

        @raise OSError: where there is no such interface, or it can't be had.
        """
