"""
Sockets from what a configuration says: C{HOST:PORT}, C{[V6]:PORT}, C{unix:PATH} (C{unix:@NAME} for an abstract name).
"""

from __future__ import annotations

import os
from contextlib import suppress
from errno import EADDRINUSE, ECONNREFUSED, EPERM
from socket import (
    AF_INET,
    AF_INET6,
    AF_UNIX,
    AI_PASSIVE,
    IPPROTO_IP,
    IPPROTO_IPV6,
    MSG_DONTWAIT,
    SO_MARK,
    SO_REUSEADDR,
    SO_REUSEPORT,
    SOCK_DGRAM,
    SOCK_STREAM,
    SOL_SOCKET,
    getaddrinfo,
    socket,
)
from stat import S_ISSOCK
from typing import Any

from attrs import define, field, frozen

from hermes.net.names import forSocket
from hermes.values import Address, Target

IP_MTU_DISCOVER = 10
IPV6_MTU_DISCOVER = 23
PMTUDISC_PROBE = 3
"""
Never fragment, and let nobody's ICMP message say how large a packet may be.
"""

IP_MTU = 14
IPV6_MTU = 24
"""
What the way to the peer of a connected socket takes (ip(7), ipv6(7)); Python's C{socket} has no names for them.
"""

MAX_DISCARDED = 100_000


@frozen
class SocketFile:
    """
    The file of a bound Unix socket, as it was when it was made.
    """

    path: str
    device: int
    inode: int

    @classmethod
    def at(cls, path: str) -> SocketFile:
        status = os.stat(path)
        return cls(path, status.st_dev, status.st_ino)

    def remove(self) -> None:
        """
        Remove it, unless somebody else's has taken its place.
        """
        with suppress(OSError):
            if SocketFile.at(self.path) == self:
                os.unlink(self.path)


@define
class Holders:
    """
    How many descriptors of a bound socket there are.
    """

    count: int = 1


@frozen(eq=False)
class Bound:
    """
    A bound socket.

    @ivar file: its file, where it has one that goes with it.
    @ivar shared: whether it has, or had, other descriptors.
    """

    socket: socket
    file: SocketFile | None = None
    shared: bool = False
    _holders: Holders = field(factory=Holders)

    def share(self) -> Bound:
        """
        The same socket with another descriptor: what arrives waits for whichever reads first, and it stays bound until
        both are closed.
        """
        shared = Bound(self.socket.dup(), self.file, True, self._holders)
        self._holders.count += 1
        return shared

    def close(self) -> None:
        self.socket.close()
        self._holders.count -= 1
        if self.file is not None and self._holders.count == 0:
            self.file.remove()


def parsePlace(text: str) -> Target | str:
    """
    @return: a target, or the path of a Unix socket as C{bind} and C{connect} take it.
    @raise ValueError: with a sentence for the user.
    """
    scheme, _, path = text.partition(":")
    if scheme != "unix":
        return Target.fromText(text)
    if not path or len(os.fsencode(path)) > 107:
        raise ValueError(f"{text!r}: a Unix socket's path has 1 to 107 bytes")
    return "\0" + path[1:] if path.startswith("@") else path


def setMark(sock: socket, mark: int | None) -> None:
    """
    Mark the packets that a socket sends, for rules of routing: C{SO_MARK}, socket(7). What it accepts has the same.

    @param mark: L{None}: do nothing. Nor is anything done to a Unix socket.
    @raise PermissionError: without the right; it says which.
    """
    if mark is None or sock.family == AF_UNIX:
        return
    try:
        sock.setsockopt(SOL_SOCKET, SO_MARK, mark)
    except PermissionError as error:
        raise PermissionError(EPERM, "marking a socket needs CAP_NET_ADMIN") from error


def bindStreams(bind: str, reusePort: bool = False, mode: int | None = None, mark: int | None = None) -> Bound:
    """
    A bound stream socket, not listening yet.

    @param bind: where; a name stands for its first address, an IPv4 one if there is any.
    @param reusePort: let other processes bind the same port; the kernel shares connections out.
    @param mode: the permissions of a Unix socket's file, in place of what the umask leaves.
    @param mark: see L{setMark}.
    @raise OSError: where it can't be bound; its C{filename} is C{bind}.
    @raise ValueError: where C{bind} says nothing.
    """
    return _bind(bind, SOCK_STREAM, reusePort, mode, mark)


def bindDatagrams(bind: str, reusePort: bool = False, mode: int | None = None, mark: int | None = None) -> Bound:
    """
    The same for datagrams.
    """
    return _bind(bind, SOCK_DGRAM, reusePort, mode, mark)


def adopt(descriptor: int, mark: int | None = None) -> Bound:
    """
    A bound socket that this process inherited. The descriptor stays as it is: the socket has one of its own.

    @param mark: see L{setMark}.
    """
    sock = socket(fileno=os.dup(descriptor))
    try:
        setMark(sock, mark)
    except OSError:
        sock.close()
        raise
    return Bound(sock)


def _bind(bind: str, kind: int, reusePort: bool, mode: int | None, mark: int | None) -> Bound:
    place = parsePlace(bind)
    try:
        if isinstance(place, str):
            return _bindPath(place, kind, mode)
        found = getaddrinfo(place.host, place.port, 0, kind, 0, AI_PASSIVE)
        family, _, _, _, name = min(found, key=lambda info: info[0] != AF_INET)
        return _bindName(socket(family, kind), name, reusePort, mark)
    except OSError as error:
        raise OSError(error.errno, error.strerror, bind) from error


def _bindName(sock: socket, name: Any, reusePort: bool, mark: int | None) -> Bound:
    try:
        setMark(sock, mark)
        if sock.type == SOCK_STREAM:
            # For datagrams it would let two processes steal from each other.
            sock.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
        if reusePort:
            sock.setsockopt(SOL_SOCKET, SO_REUSEPORT, 1)
        sock.bind(name)
    except OSError:
        sock.close()
        raise
    return Bound(sock)


def _bindPath(path: str, kind: int, mode: int | None) -> Bound:
    sock = socket(AF_UNIX, kind)
    try:
        try:
            sock.bind(path)
        except OSError as error:
            if error.errno != EADDRINUSE or not _isStale(path, kind):
                raise
            os.unlink(path)
            sock.bind(path)
        if path.startswith("\0"):
            return Bound(sock)
        if mode is not None:
            # Nobody got in before: a stream socket does not listen yet.
            os.chmod(path, mode)
        return Bound(sock, SocketFile.at(path))
    except OSError:
        sock.close()
        raise


def _isStale(path: str, kind: int) -> bool:
    """
    Whether C{path} is a socket that nobody has open any more: left behind by a process that was killed. An abstract
    name goes with its process.
    """
    if path.startswith("\0"):
        return False
    try:
        if not S_ISSOCK(os.lstat(path).st_mode):
            return False
    except OSError:
        return False
    with socket(AF_UNIX, kind) as probe:
        probe.setblocking(False)
        return probe.connect_ex(path) == ECONNREFUSED and not _isBound(path)


def _isBound(path: str) -> bool:
    """
    Whether some process has a socket bound there that does not listen: it holds the place until it does. Where the
    kernel does not tell (C{/proc/net/unix}), nobody has.
    """
    with suppress(OSError), open("/proc/net/unix", encoding="utf-8", errors="surrogateescape") as table:
        return any(line.rstrip("\n").endswith(f" {path}") for line in table)
    return False


def discardReceived(sock: socket) -> None:
    """
    Forget the datagrams that have arrived at a socket; not for ever, where they come as fast as this goes.
    """
    for _ in range(MAX_DISCARDED):
        try:
            sock.recv(1, MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError:
            # An ICMP error that came for it: as good as a datagram.
            continue


def openDatagrams(address: Address, mark: int | None = None) -> socket:
    """
    A UDP socket that is connected to C{address} and never fragments (RFC 9298 section 5).

    @param mark: see L{setMark}.
    @raise OSError: where there is no way to it.
    """
    family = AF_INET6 if ":" in address[0] else AF_INET
    sock = socket(family, SOCK_DGRAM)
    try:
        # Before it is connected: that is when it is routed.
        setMark(sock, mark)
        if family == AF_INET:
            sock.setsockopt(IPPROTO_IP, IP_MTU_DISCOVER, PMTUDISC_PROBE)
        else:
            sock.setsockopt(IPPROTO_IPV6, IPV6_MTU_DISCOVER, PMTUDISC_PROBE)
        sock.connect(forSocket(address, family))
    except OSError:
        sock.close()
        raise
    return sock


def largestDatagram(sock: socket) -> int:
    """
    The largest datagram that leaves a socket, in bytes of payload. Of one that never fragments (L{openDatagrams}) it is
    what the way to its peer takes, as far as the kernel knows: what is larger it refuses.
    """
    if sock.family not in (AF_INET, AF_INET6):
        return 65_535
    if sock.family == AF_INET:
        most, level, heads, discovery, mtu = 65_507, IPPROTO_IP, 28, IP_MTU_DISCOVER, IP_MTU
    else:
        most, level, heads, discovery, mtu = 65_527, IPPROTO_IPV6, 48, IPV6_MTU_DISCOVER, IPV6_MTU
    try:
        if sock.getsockopt(level, discovery) == PMTUDISC_PROBE:
            return min(most, sock.getsockopt(level, mtu) - heads)
    except OSError:
        # It is not connected, or closed.
        pass
    return most
