"""
Places that go from one listener of a process to another: held before the one has left, so that nobody gets in between.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from errno import EADDRINUSE
from socket import SO_REUSEPORT, SOCK_STREAM, SOL_SOCKET, socket

from hermes.net.sockets import Bound, parsePlace
from hermes.values import Target

WILDCARDS = frozenset({"0.0.0.0", "::"})


def holdBeside(
    bind: str, others: Iterable[Bound], bindAgain: Callable[[str, bool], Bound], error: OSError
) -> Bound | None:
    """
    Hold a port that sockets of this process have on other addresses, which are closed before it is used: from
    C{127.0.0.1:80} to C{0.0.0.0:80}, for instance. The kernel lets sockets of one user be bound to the same port where
    all ask for it (C{SO_REUSEPORT}); these do, for as long as it takes.

    @param others: what this process has, open.
    @param bindAgain: binds, the port shared or not.
    @param error: why it could not be bound.
    @return: bound; or L{None} where it is free as soon as the others are closed, and can't be held: a datagram socket
        on one address takes what comes for one that is on all.
    @raise OSError: C{error} where it is not for the others, or what the kernel says where these share the port.
    """
    place = parsePlace(bind)
    if error.errno != EADDRINUSE or not isinstance(place, Target):
        raise error
    mine = [bound.socket for bound in others if _port(bound.socket) == place.port]
    if not mine:
        raise error
    if mine[0].type != SOCK_STREAM and place.host not in WILDCARDS:
        if not any(each.getsockname()[0] in WILDCARDS for each in mine):
            raise error
        # Is the address one of this machine's? The port is kept by the socket that is on all.
        bindAgain(str(Target(place.host, 0)), False).close()
        return None
    if mine[0].type != SOCK_STREAM and _othersHave(place.port, mine):
        # The kernel looks no further than the first that shares.
        raise error
    with _sharing(mine):
        bound = bindAgain(bind, True)
        bound.socket.setsockopt(SOL_SOCKET, SO_REUSEPORT, 0)
    return bound


def _othersHave(port: int, mine: Iterable[socket]) -> bool:
    """
    Whether there are datagram sockets on a port that are none of these: proc_net(5).
    """
    inodes = {os.fstat(sock.fileno()).st_ino for sock in mine}
    for table in ("/proc/net/udp", "/proc/net/udp6"):
        with suppress(OSError), open(table, encoding="ascii") as file:
            next(file)
            for fields in map(str.split, file):
                if int(fields[1].rpartition(":")[2], 16) == port and int(fields[9]) not in inodes:
                    return True
    return False


def _port(sock: socket) -> int | None:
    name = sock.getsockname()
    return name[1] if isinstance(name, tuple) else None


@contextmanager
def _sharing(sockets: list[socket]) -> Iterator[None]:
    before = [sock.getsockopt(SOL_SOCKET, SO_REUSEPORT) for sock in sockets]
    try:
        for sock in sockets:
            sock.setsockopt(SOL_SOCKET, SO_REUSEPORT, 1)
        yield
    finally:
        for sock, value in zip(sockets, before, strict=True):
            sock.setsockopt(SOL_SOCKET, SO_REUSEPORT, value)
