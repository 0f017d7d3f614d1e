"""
What a supervisor and its workers say to each other: AMP over a socket pair, with descriptors.
"""

from __future__ import annotations

import json
from typing import Any

from attrs import asdict, evolve, field, frozen
from twisted.protocols.amp import AmpList, Command, Descriptor, Unicode

from hermes.config import AdminConfig, NodeConfig
from hermes.config.types import SocketAddress, WorkerCount
from hermes.node import NodeError

CONTROL_DESCRIPTOR = 3
LOG_DESCRIPTOR = 4
"""
Where a worker finds its end of the socket pair, and the pipe that it writes its log to.
"""


@frozen
class Plan:
    """
    What is different in one worker from what the node's file says.

    @ivar bind: by listener, the address that the supervisor has chosen.
    @ivar leave: listeners that other workers have.
    @ivar admin: the address of the worker's own admin listener, or L{None}.
    """

    bind: dict[str, str] = field(factory=dict)
    leave: list[str] = field(factory=list)
    admin: str | None = None

    def toText(self) -> str:
        """
        As it is sent.
        """
        return json.dumps(asdict(self))

    @classmethod
    def fromText(cls, text: str) -> Plan:
        """
        The reverse of L{toText}.
        """
        return cls(**json.loads(text))

    def applied(self, config: NodeConfig) -> NodeConfig:
        """
        C{config}, for one worker.
        """
        listeners = {}
        for name, listener in config.listeners.items():
            if name in self.leave:
                continue
            options: Any = listener.options
            if name in self.bind:
                listener = evolve(listener, options=evolve(options, bind=self.bind[name]))
            listeners[name] = listener
        admin = None if self.admin is None else AdminConfig(SocketAddress(self.admin))
        return evolve(config, listeners=listeners, admin=admin, workers=WorkerCount(1))


SOCKETS = AmpList([(b"bind", Unicode()), (b"socket", Descriptor())])


class StartNode(Command):
    """
    Start the node. Answered when it is ready.
    """

    arguments = [(b"plan", Unicode()), (b"sockets", SOCKETS)]  # noqa: RUF012
    response = [(b"summary", Unicode())]  # noqa: RUF012
    errors = {NodeError: b"REFUSED"}  # noqa: RUF012


class ReloadNode(Command):
    """
    Read the file once more, and run what it says.
    """

    arguments = [(b"plan", Unicode()), (b"sockets", SOCKETS)]  # noqa: RUF012
    response = [(b"summary", Unicode())]  # noqa: RUF012
    errors = {NodeError: b"REFUSED"}  # noqa: RUF012
