"""
What neighbours tell each other of prefixes (C{docs/reference/ndn-prefixes.md}, "Messages"). Sans-IO.
"""

from __future__ import annotations

from typing import ClassVar, Final

from attrs import define

from hermes.ndn.management.blocks import Block, block, flag, named, number, octets, text
from hermes.ndn.management.control import COST
from hermes.ndn.packet.errors import PacketError
from hermes.ndn.packet.name import Name

PREFIX: Final = Name.fromText("/localhop/hermes/prefixes")
UPDATE: Final = Name.fromText("/localhop/hermes/prefixes/update")
"""
What the protocol is under, and the name of its Interests before the digest of their parameters.
"""

SESSION_SIZE: Final = 8
MAX_PATH: Final = 32
"""
The longest path, in nodes.
"""

MAX_NODE_NAME: Final = 255
"""
The longest name of a node, in bytes.
"""

MAX_COST: Final = (1 << 32) - 1
"""
The largest cost. What would cost more can't be reached.
"""

MAX_HOLD: Final = 3_600_000

_NODE: Final = 0xD1
_SESSION: Final = 0xD3
_SEQUENCE: Final = 0xD5
_HOLD: Final = 0xD7
_COMPLETE: Final = 0xD9


@define
class Announcement(Block):
    """
    The sender can reach a prefix.

    @ivar cost: from the sender on.
    @ivar path: the names of the nodes, from the sender to the one at which the prefix is registered.
    """

    TYPE: ClassVar[int] = 0xE1

    prefix: Name = named(required=True)
    cost: int = number(COST, required=True, most=MAX_COST)
    path: tuple[str, ...] = text(_NODE, many=True)


@define
class Withdrawal(Block):
    """
    It can't any more.
    """

    TYPE: ClassVar[int] = 0xE3

    prefix: Name = named(required=True)


@define
class Update(Block):
    """
    The next thing that a node has to say to a neighbour; with nothing in it, that it is still there.

    @ivar node: the sender.
    @ivar session: 8 bytes, other ones whenever the sender begins anew, with all that it has to say.
    @ivar sequence: from 0 in each session.
    @ivar hold: after how long without another one the sender is to be taken for gone, in milliseconds.
    @ivar complete: with this one the sender has told all that it had to say when the session began: what the neighbour
        has from an earlier session and was not told again is no more.
    """

    TYPE: ClassVar[int] = 0xDF

    node: str = text(_NODE, required=True)
    session: bytes = octets(_SESSION, required=True)
    sequence: int = number(_SEQUENCE, required=True)
    hold: int = number(_HOLD, required=True, most=MAX_HOLD)
    complete: bool = flag(_COMPLETE)
    announcements: tuple[Announcement, ...] = block(Announcement, many=True)
    withdrawals: tuple[Withdrawal, ...] = block(Withdrawal, many=True)

    def check(self) -> None:
        """
        @raise PacketError: if it breaks a bound.
        """
        if len(self.session) != SESSION_SIZE:
            raise PacketError(f"a session has {SESSION_SIZE} bytes, not {len(self.session)}")
        _checkNode(self.node)
        for each in self.announcements:
            if not 0 < len(each.path) <= MAX_PATH or each.path[0] != self.node:
                raise PacketError(f"a path has 1 to {MAX_PATH} nodes, and the sender is the first")
            for node in each.path:
                _checkNode(node)
            if len(set(each.path)) != len(each.path):
                raise PacketError("a path leads to no node twice")


def _checkNode(name: str) -> None:
    if not 0 < len(name.encode()) <= MAX_NODE_NAME:
        raise PacketError(f"the name of a node has 1 to {MAX_NODE_NAME} bytes")


@define
class Acknowledgement(Block):
    """
    The answer to an update.

    @ivar session: the update's.
    @ivar expected: the number of the update that is to come next; 0: the sender is to begin anew.
    """

    TYPE: ClassVar[int] = 0xE5

    session: bytes = octets(_SESSION, required=True)
    expected: int = number(_SEQUENCE, required=True)
