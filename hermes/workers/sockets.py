"""
The sockets that workers share: at the supervisor, and in a worker.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from socket import SO_REUSEPORT, SOCK_DGRAM, SOL_SOCKET, socket
from typing import Any

from attrs import define, field, frozen

from hermes.config import ListenerConfig, NodeConfig
from hermes.net.network import STREAM
from hermes.net.sockets import Bound, bindStreams
from hermes.node import NodeError

BACKLOG = 4096
PORT_ATTEMPTS = 16


@frozen(eq=False)
class Held:
    """
    What the supervisor holds for one listener.

    @ivar bind: the address as the file says it.
    @ivar address: the address that workers bind.
    @ivar bound: keeps it. Where C{inherited}, workers get this very socket, which listens; else it only keeps others
        off a port.
    """

    bind: str
    address: str
    bound: Bound
    inherited: bool


class SharedSockets:
    """
    The supervisor's. L{prepare} what a configuration needs, then L{commit} it, or L{discard} it.

    @ivar held: by listener.
    """

    def __init__(self) -> None:
        self.held: dict[str, Held] = {}

    def prepare(self, config: NodeConfig) -> dict[str, Held]:
        """
        Bind what is new in C{config}, keep what is not.

        @raise NodeError: where something can't be bound; nothing has then changed.
        """
        prepared: dict[str, Held] = {}
        for name, listener in config.listeners.items():
            bind = _bindOf(listener)
            if bind is None or not (needsOneOwner(listener) or bind.endswith(":0")):
                continue
            if isDatagramPath(listener):
                continue
            before = self.held.get(name)
            if before is not None and before.bind == bind:
                prepared[name] = before
                continue
            try:
                prepared[name] = _hold(bind)
            except OSError as error:
                self.discard(prepared)
                raise NodeError(f"listener {name}: can't listen on {bind}: {error.strerror or error}") from error
        return prepared

    def commit(self, prepared: dict[str, Held]) -> None:
        """
        These are held from now on; others are closed.
        """
        before, self.held = self.held, prepared
        for name, held in before.items():
            if prepared.get(name) is not held:
                held.bound.close()

    def discard(self, prepared: Mapping[str, Held]) -> None:
        """
        Close what only C{prepared} has.
        """
        for name, held in prepared.items():
            if self.held.get(name) is not held:
                held.bound.close()


def _bindOf(listener: ListenerConfig) -> str | None:
    bind = getattr(listener.options, "bind", None)
    return bind if isinstance(bind, str) else None


def needsOneOwner(listener: ListenerConfig) -> bool:
    """
    Whether only one process can bind its address: a Unix socket.
    """
    bind = _bindOf(listener)
    return bind is not None and bind.startswith("unix:")


def isDatagramPath(listener: ListenerConfig) -> bool:
    """
    Whether it is a Unix socket for datagrams. What one source sends to it must all reach one worker, and the kernel
    shares datagrams out one by one: so one worker has it alone.
    """
    return listener.type == "udp" and needsOneOwner(listener)


def _hold(bind: str) -> Held:
    if bind.startswith("unix:"):
        bound = bindStreams(bind)
        bound.socket.listen(BACKLOG)
        return Held(bind, bind, bound, inherited=True)
    for _ in range(PORT_ATTEMPTS):
        # Bound and not listening, it gets no connection, and keeps the port while workers come and go.
        bound = bindStreams(bind, reusePort=True)
        port = bound.socket.getsockname()[1]
        if _isFreeForDatagrams(bound.socket):
            return Held(bind, f"{bind[: -len(':0')]}:{port}", bound, inherited=False)
        bound.close()
    raise OSError(0, "no port is free for both TCP and UDP", bind)


def _isFreeForDatagrams(stream: socket) -> bool:
    """
    Whether UDP can have the same port too: nobody says here which of the two a listener is for.
    """
    with socket(stream.family, SOCK_DGRAM) as datagrams:
        datagrams.setsockopt(SOL_SOCKET, SO_REUSEPORT, 1)
        try:
            datagrams.bind(stream.getsockname())
        except OSError:
            return False
    return True


@define(eq=False)
class InheritedSockets:
    """
    A worker's: descriptors of listening sockets that it was given. They stay open for as long as their listeners may be
    bound anew.

    @ivar descriptors: as L{hermes.net.network.Network} wants them.
    """

    descriptors: dict[tuple[str, str], int] = field(factory=dict)

    def offer(self, sockets: list[Any]) -> None:
        """
        Take descriptors, each a mapping of C{bind} and C{socket}.
        """
        for each in sockets:
            key = (STREAM, each["bind"])
            before = self.descriptors.get(key)
            self.descriptors[key] = each["socket"]
            if before is not None:
                os.close(before)

    def keep(self, binds: list[str]) -> None:
        """
        Close all but these.
        """
        for key in [key for key in self.descriptors if key[1] not in binds]:
            os.close(self.descriptors.pop(key))
