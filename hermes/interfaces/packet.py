"""
IP packets: a channel of frames, and the tunnel that carries them.

A I{frame} is an IP packet behind ten bytes that say what is still to be done to it: Linux's C{struct virtio_net_hdr}
(little endian; see L{hermes.wire.offload}). All zero, it is a packet as it goes over a wire. Else it is a segment of up
to 64 KiB that is to be cut into packets, or one whose checksum is to be completed, by whoever sends it over a wire: it
is what a TUN device with C{IFF_VNET_HDR} gives and takes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import TypeAlias

from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface

from hermes.interfaces.channel import IDatagramChannel, IDatagramReceiver

IPNetwork: TypeAlias = "IPv4Network | IPv6Network"

AssignedAddress: TypeAlias = "tuple[int, IPNetwork]"
"""
The request that it answers, 0 where it answers none, and the prefix: a C{/32} or C{/128} is one address (RFC 9484
section 4.7.1). In a request: its number, from 1 on, and what is wished for; the unspecified address is any.
"""

AddressRange: TypeAlias = "tuple[IPv4Address | IPv6Address, IPv4Address | IPv6Address, int]"
"""
The first and the last address of a range that can be reached, and the IP protocol, 0 for every one (RFC 9484 section
4.7.3).
"""


class IPacketReceiver(IDatagramReceiver):
    """
    The reading side of an L{IPacketChannel}. C{datagramsReceived} gets frames. Of a TUN device only C{mtuChanged} is
    called of what is added here.
    """

    def mtuChanged(mtu: int) -> None:
        """
        The channel's C{mtu} is another now.
        """

    def addressesAssigned(addresses: Sequence[AssignedAddress]) -> None:
        """
        These, and no others any more, are the addresses that we may send from. A request that is refused is answered
        with the unspecified address and the longest prefix.
        """

    def addressesRequested(addresses: Sequence[AssignedAddress]) -> None:
        """
        The peer wants addresses to send from. Every request is to be answered by C{assignAddresses}.
        """

    def routesAdvertised(routes: Sequence[AddressRange]) -> None:
        """
        These, and no others any more, are what the peer forwards packets to. Sorted, without overlap.
        """


class IPacketChannel(IDatagramChannel):
    """
    A channel of IP packets: a TUN device, a CONNECT-IP tunnel. What is written and received are frames. The receiver is
    an L{IPacketReceiver}.
    """

    mtu = Attribute("C{int}: the largest IP packet in bytes that crosses in one piece. 1280 at least.")
    offload = Attribute(
        "C{bool}: whether a frame that is still to be cut or completed crosses whole. Where not, C{write} cuts and "
        "completes it: the packets that leave are as large as it says in the frame."
    )


class IPacketTunnel(IPacketChannel):
    """
    One end of a CONNECT-IP tunnel (RFC 9484). Either end may ask for addresses, give them and advertise routes.

    What the receiver is given may be written to: each frame is in memory that nobody reads after it.

    C{loseChannel} ends our direction, after what is queued; what the peer has sent until it has done the same still
    comes, so that nothing is lost where another tunnel has taken over.
    """

    identity = Attribute(
        "L{hermes.values.Identity}: who is at the other end of the connection that carries the tunnel, as it was "
        "authenticated: in a chain the next proxy, which need not be the tunnel's end."
    )

    def assignAddresses(addresses: Sequence[AssignedAddress]) -> None:
        """
        Tell the peer all the addresses that it may send from: those it has still, and those it gets.
        """

    def requestAddresses(addresses: Sequence[AssignedAddress]) -> None:
        """
        Ask the peer for addresses; their numbers are new ones.
        """

    def advertiseRoutes(routes: Sequence[AddressRange]) -> None:
        """
        Tell the peer everything that packets can be sent to through us. In any order; what overlaps is joined.
        """

    def drain() -> None:
        """
        Ask the peer to make a new tunnel and end this one, which goes on until then. A peer that is not ours may not
        know the question.
        """

    def notifyGoingAway(callback: Callable[[], None]) -> None:
        """
        Call C{callback} once when the peer asks to finish what is open (its C{drain}; GOAWAY, RFC 9113 section 6.8),
        and go on until then: a new tunnel can be made before this one ends. At once where it has asked already.
        """


class IPacketHandler(Interface):
    """
    Where packets end that are for this node to forward.
    """

    def tunnelOpened(record: object) -> IPacketReceiver | Deferred[IPacketReceiver]:
        """
        Somebody has opened a tunnel that ends here. C{record} is a L{hermes.fabric.record.FlowRecord}: its flow says
        who, and counts are kept in it. The tunnel's end is set by C{channelConnected} and is an L{IPacketTunnel}; where
        the client has gone meanwhile, C{channelLost} is all that is called. The request is answered once a Deferred
        has fired: a name in its target is resolved before that (RFC 9484 section 4.1).

        @raise hermes.errors.FlowError: where no route lets this sender send any packet.
        """
