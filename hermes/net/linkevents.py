"""
What the kernel tells of devices, as it happens: a netlink socket in the reactor (rtnetlink(7)).
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from errno import EAGAIN, EINTR, ENOBUFS
from struct import Struct
from typing import Any, ClassVar

from twisted.internet.interfaces import IReadDescriptor
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from hermes.interfaces.kernel import ILinkWatcher, Link

RTMGRP_LINK = 0x1
RTM_NEWLINK = 16
RTM_DELLINK = 17
AF_UNSPEC = 0

IFF_UP = 0x1

IFLA_IFNAME = 3
IFLA_MTU = 4
IFLA_TXQLEN = 13
IFLA_LINKINFO = 18
IFLA_IFALIAS = 20
IFLA_CARRIER = 33
IFLA_INFO_KIND = 1
TYPE_MASK = 0x3FFF
"""
The two highest bits of an attribute's type are flags.
"""

READ_SIZE = 65536
READS_PER_TURN = 16

# struct nlmsghdr: length, type, flags, sequence number, port. struct ifinfomsg: family, device type, index, flags,
# which of them have changed. struct rtattr: length, type.
_MESSAGE = Struct("@IHHII")
_INFO = Struct("@BxHiII")
_ATTRIBUTE = Struct("@HH")
_NUMBER = Struct("@I")


def parseLinks(data: bytes) -> Iterator[tuple[bool, Link]]:
    """
    The devices that a datagram of the kernel's tells of: whether it is there, and what it is now.
    """
    at = 0
    while at + _MESSAGE.size <= len(data):
        length, kind, _, _, _ = _MESSAGE.unpack_from(data, at)
        end = at + length
        if length < _MESSAGE.size or end > len(data):
            return
        start = at + _MESSAGE.size
        if kind in (RTM_NEWLINK, RTM_DELLINK) and start + _INFO.size <= end:
            family, _, index, flags, _ = _INFO.unpack_from(data, start)
            # Bridges tell of their ports in the same way.
            if family == AF_UNSPEC:
                attributes = _attributes(data[start + _INFO.size : end])
                yield kind == RTM_NEWLINK, _link(index, flags, attributes)
        at += _aligned(length)


def _link(index: int, flags: int, attributes: dict[int, bytes]) -> Link:
    info = _attributes(attributes.get(IFLA_LINKINFO, b""))
    return Link(
        index,
        _text(attributes.get(IFLA_IFNAME, b"")),
        _number(attributes.get(IFLA_MTU)),
        bool(flags & IFF_UP),
        attributes.get(IFLA_CARRIER, b"\1")[:1] != b"\0",
        _text(info.get(IFLA_INFO_KIND, b"")),
        _text(attributes.get(IFLA_IFALIAS, b"")),
        _number(attributes.get(IFLA_TXQLEN)),
    )


def _attributes(data: bytes) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    at = 0
    while at + _ATTRIBUTE.size <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, at)
        if length < _ATTRIBUTE.size or at + length > len(data):
            break
        found[kind & TYPE_MASK] = data[at + _ATTRIBUTE.size : at + length]
        at += _aligned(length)
    return found


def _aligned(length: int) -> int:
    return (length + 3) & ~3


def _number(value: bytes | None) -> int:
    return 0 if value is None or len(value) < _NUMBER.size else int(_NUMBER.unpack_from(value)[0])


def _text(value: bytes) -> str:
    return os.fsdecode(value.split(b"\0")[0])


@implementer(IReadDescriptor)
class LinkEvents:
    """
    Tells watchers of devices. The socket is open as long as there are any; whose network namespace it is in is that of
    the thread that brings the first.

    @cvar leanDispatch: see L{hermes.net.dispatch}: no exception comes out of C{doRead}.
    """

    log: ClassVar[Logger] = Logger()
    leanDispatch: ClassVar[bool] = True

    def __init__(self, reactor: Any) -> None:
        """
        @param reactor: provides C{IReactorFDSet}.
        """
        self._reactor = reactor
        self._watchers: list[ILinkWatcher] = []
        self._socket: socket.socket | None = None

    def watch(self, watcher: ILinkWatcher) -> Callable[[], None]:
        """
        @return: what ends it, once.
        @raise OSError: where the kernel can't be asked.
        """
        if self._socket is None:
            self._open()
        self._watchers.append(watcher)
        return lambda: self._unwatch(watcher)

    def _open(self) -> None:
        sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.NETLINK_ROUTE)
        try:
            sock.bind((0, RTMGRP_LINK))
        except OSError:
            sock.close()
            raise
        self._socket = sock
        self._reactor.addReader(self)

    def _unwatch(self, watcher: ILinkWatcher) -> None:
        self._watchers.remove(watcher)
        if not self._watchers:
            self._close()

    def _close(self) -> None:
        if self._socket is not None:
            self._reactor.removeReader(self)
            self._socket.close()
            self._socket = None

    def fileno(self) -> int:
        return -1 if self._socket is None else self._socket.fileno()

    def logPrefix(self) -> str:
        return "LinkEvents"

    def doRead(self) -> None:
        """
        Tell of what has happened.
        """
        for _ in range(READS_PER_TURN):
            sock = self._socket
            if sock is None:
                return
            try:
                data = sock.recv(READ_SIZE)
            except OSError as error:
                if error.errno in (EAGAIN, EINTR):
                    return
                if error.errno == ENOBUFS:
                    self._tell("linksMissed")
                    continue
                self.log.failure("devices can't be watched any more")
                self._close()
                return
            for there, link in parseLinks(data):
                self._tell("linkChanged" if there else "linkRemoved", link)

    def _tell(self, what: str, *arguments: Link) -> None:
        for watcher in list(self._watchers):
            try:
                getattr(watcher, what)(*arguments)
            except Exception:
                self.log.failure("{watcher} failed to take {what}", watcher=watcher, what=what)

    def abortConnection(self) -> None:
        """
        Watch nothing any more.
        """
        self._close()

    def connectionLost(self, reason: Failure) -> None:
        """
        The reactor stops, or has lost the descriptor.
        """
        self._close()
