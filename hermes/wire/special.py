"""
Addresses that are not somebody on the Internet: a proxy that connects to them for others opens what lies behind it.
The one list for who dials and for who writes rules about it.

What IANA's two special-purpose registries list (RFC 6890), multicast, and what is not allocated for unicast at all. An
IPv6 address that carries an IPv4 one is what that one is.
"""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, collapse_addresses

SPECIAL_V4 = tuple(
    map(
        IPv4Network,
        (
            "0.0.0.0/8",  # this network; 0.0.0.0 reaches the host itself
            "10.0.0.0/8",  # private
            "100.64.0.0/10",  # shared by carriers (CGNAT); 100.100.100.200 is a cloud's metadata
            "127.0.0.0/8",  # loopback
            "168.63.129.16/32",  # a cloud's metadata, on an address that looks like any other
            "169.254.0.0/16",  # link-local; 169.254.169.254 is most clouds' metadata
            "172.16.0.0/12",  # private
            "192.0.0.0/24",  # IETF protocols; 192.0.0.192 is a cloud's metadata
            "192.0.2.0/24",  # documentation
            "192.31.196.0/24",  # AS112
            "192.52.193.0/24",  # AMT
            "192.88.99.0/24",  # 6to4 relays
            "192.168.0.0/16",  # private
            "192.175.48.0/24",  # AS112
            "198.18.0.0/15",  # benchmarking
            "198.51.100.0/24",  # documentation
            "203.0.113.0/24",  # documentation
            "224.0.0.0/4",  # multicast
            "240.0.0.0/4",  # reserved; broadcast
        ),
    )
)

GLOBAL_V6 = IPv6Network("2000::/3")
"""
What is allocated for unicast on the Internet. Loopback (C{::1}), discard (C{100::/64}), segment routing
(C{5f00::/16}), unique local (C{fc00::/7}, with C{fd00:ec2::254}, a cloud's metadata), link-local (C{fe80::/10}),
site-local and multicast lie outside.
"""

SPECIAL_V6 = tuple(
    map(
        IPv6Network,
        (
            "2001::/23",  # IETF protocols: Teredo, ORCHID, benchmarking
            "2001:db8::/32",  # documentation
            "2620:4f:8000::/48",  # AS112
            "3fff::/20",  # documentation
        ),
    )
)

EMBEDDING = (
    (IPv6Network("::ffff:0:0/96"), 0),  # IPv4-mapped: the kernel speaks IPv4
    (IPv6Network("64:ff9b::/96"), 0),  # NAT64 (RFC 6052)
    (IPv6Network("2002::/16"), 80),  # 6to4 (RFC 3056)
)
"""
Where an IPv6 address carries an IPv4 one that packets would reach, and how many bits lie behind it.

Others do so too, and are refused whole: IPv4-compatible (C{::/96}) and translated (C{::ffff:0:0:0/96}), NAT64 for local
use (C{64:ff9b:1::/48}) and Teredo are outside L{GLOBAL_V6} or in L{SPECIAL_V6}.
"""


@lru_cache(maxsize=4096)
def isSpecialPurpose(address: IPv4Address | IPv6Address) -> bool:
    """
    Whether C{address} is refused as a target that somebody else names, unless a route allows it.
    """
    if isinstance(address, IPv4Address):
        return any(address in network for network in SPECIAL_V4)
    for network, shift in EMBEDDING:
        if address in network:
            return isSpecialPurpose(IPv4Address(int(address) >> shift & 0xFFFFFFFF))
    return address not in GLOBAL_V6 or any(address in network for network in SPECIAL_V6)


# Neighbours joined: 224.0.0.0/3 is special as a whole, and in neither of two blocks of the list.
_JOINED_V4 = tuple(collapse_addresses(SPECIAL_V4))


def isSpecialNetwork(network: IPv4Network | IPv6Network) -> bool:
    """
    Whether every address of C{network} is special-purpose: who names it means what is there.
    """
    if isinstance(network, IPv4Network):
        return any(network.subnet_of(special) for special in _JOINED_V4)
    for embedding, shift in EMBEDDING:
        if network.subnet_of(embedding):
            prefix = min(network.prefixlen - embedding.prefixlen, 32)
            first = int(network.network_address) >> shift & 0xFFFFFFFF
            return isSpecialNetwork(IPv4Network((first, prefix)))
        if embedding.subnet_of(network):
            return False
    return not network.overlaps(GLOBAL_V6) or any(network.subnet_of(special) for special in SPECIAL_V6)
