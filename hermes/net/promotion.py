"""
What becomes of the other IPv4 addresses of a prefix when its first one is removed (C{promote_secondaries}).

As the kernel is, they are removed too, and where none is left, all routes of the device. It is one of those settings
that most know as files below C{/proc/sys}, where a service may not write. Netlink sets it as well, and pyroute2 does
not.
"""

from __future__ import annotations

import os
import socket
from struct import Struct

RTM_SETLINK = 19
NLM_F_REQUEST = 0x1
NLM_F_ACK = 0x4
NLMSG_ERROR = 2

IFLA_AF_SPEC = 26
IFLA_INET_CONF = 1
IPV4_DEVCONF_PROMOTE_SECONDARIES = 20

# struct nlmsghdr, struct ifinfomsg, struct rtattr; what is behind the header in struct nlmsgerr.
_MESSAGE = Struct("@IHHII")
_INFO = Struct("@BxHiII")
_ATTRIBUTE = Struct("@HH")
_NUMBER = Struct("@I")
_ERROR = Struct("@i")


def setPromotion(index: int, promotes: bool) -> None:
    """
    Blocks, as all of netlink does.

    @param index: the number of a device.
    @param promotes: whether one of the others takes the first one's place.
    @raise OSError: where it is refused.
    """
    settings = _attribute(IPV4_DEVCONF_PROMOTE_SECONDARIES, _NUMBER.pack(promotes))
    family = _attribute(socket.AF_INET, _attribute(IFLA_INET_CONF, settings))
    body = _INFO.pack(socket.AF_UNSPEC, 0, index, 0, 0) + _attribute(IFLA_AF_SPEC, family)
    head = _MESSAGE.pack(_MESSAGE.size + len(body), RTM_SETLINK, NLM_F_REQUEST | NLM_F_ACK, 1, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as sock:
        sock.bind((0, 0))
        sock.send(head + body)
        answer = sock.recv(65536)
    _, kind, _, _, _ = _MESSAGE.unpack_from(answer)
    number = -_ERROR.unpack_from(answer, _MESSAGE.size)[0] if kind == NLMSG_ERROR else 0
    if number:
        raise OSError(number, os.strerror(number))


def _attribute(kind: int, value: bytes) -> bytes:
    # All of them are multiples of four bytes, so there is nothing to align.
    return _ATTRIBUTE.pack(_ATTRIBUTE.size + len(value), kind) + value
