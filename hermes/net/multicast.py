"""
Sockets in multicast groups.
"""

from __future__ import annotations

from socket import (
    AF_INET,
    AF_INET6,
    INADDR_ANY,
    IP_ADD_MEMBERSHIP,
    IP_MULTICAST_IF,
    IP_MULTICAST_LOOP,
    IP_MULTICAST_TTL,
    IPPROTO_IP,
    IPPROTO_IPV6,
    IPV6_JOIN_GROUP,
    IPV6_MULTICAST_HOPS,
    IPV6_MULTICAST_IF,
    IPV6_MULTICAST_LOOP,
    SO_REUSEADDR,
    SOCK_DGRAM,
    SOL_SOCKET,
    if_nametoindex,
    inet_pton,
    socket,
)
from struct import pack
from typing import Final

from hermes.net.sockets import Bound
from hermes.values import Address

IP_MULTICAST_ALL: Final = 49
IPV6_MULTICAST_ALL: Final = 29
"""
Linux: whether a socket hears groups that others on this host have joined, on other interfaces.
"""


def joinGroup(group: Address, interface: str) -> Bound:
    """
    A UDP socket in a multicast group on one network interface. Others on this host may have one for the same group;
    what it sends they do not hear.

    @raise OSError: where there is no such interface, or the socket can't be had; its C{filename} names both.
    """
    host, port = group
    family = AF_INET6 if ":" in host else AF_INET
    sock = socket(family, SOCK_DGRAM)
    try:
        index = if_nametoindex(interface)
        address = inet_pton(family, host)
        sock.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
        if family == AF_INET:
            sock.bind((host, port))
            # struct ip_mreqn
            sock.setsockopt(IPPROTO_IP, IP_ADD_MEMBERSHIP, address + pack("@Ii", INADDR_ANY, index))
            sock.setsockopt(IPPROTO_IP, IP_MULTICAST_IF, address + pack("@Ii", INADDR_ANY, index))
            sock.setsockopt(IPPROTO_IP, IP_MULTICAST_TTL, 1)
            sock.setsockopt(IPPROTO_IP, IP_MULTICAST_LOOP, 0)
            sock.setsockopt(IPPROTO_IP, IP_MULTICAST_ALL, 0)
        else:
            sock.bind((host, port, 0, index))
            # struct ipv6_mreq
            sock.setsockopt(IPPROTO_IPV6, IPV6_JOIN_GROUP, address + pack("@i", index))
            sock.setsockopt(IPPROTO_IPV6, IPV6_MULTICAST_IF, index)
            sock.setsockopt(IPPROTO_IPV6, IPV6_MULTICAST_HOPS, 1)
            sock.setsockopt(IPPROTO_IPV6, IPV6_MULTICAST_LOOP, 0)
            sock.setsockopt(IPPROTO_IPV6, IPV6_MULTICAST_ALL, 0)
    except OSError as error:
        sock.close()
        raise OSError(error.errno, error.strerror, f"{host} on {interface}") from error
    return Bound(sock)
