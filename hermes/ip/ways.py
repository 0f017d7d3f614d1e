"""
Where the packets of each exchange of packets go: decided once, and remembered for both directions.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from hermes.ip.port import Port
    from hermes.ip.table import PacketRule

MAX_WAYS: Final = 32_768
"""
Ways that a port remembers as young; as many again may be old. What was not used for longest goes first.
"""


class Way:
    """
    Where packets with one key go that come in at one port.

    @ivar out: the port where they leave; L{None} where they are refused.
    @ivar rule: the route that decided; L{None} where none took them.
    @ivar answer: whether they answer packets that a route has taken: then no route is asked.
    @ivar epoch: when it was decided, see L{hermes.ip.switch.PacketSwitch.epoch}.
    """

    __slots__ = ("answer", "epoch", "out", "rule")

    def __init__(self, out: Port | None, rule: PacketRule | None, answer: bool, epoch: object) -> None:
        self.out = out
        self.rule = rule
        self.answer = answer
        self.epoch = epoch

    def holds(self, epoch: object) -> bool:
        """
        Whether it is to be followed still.
        """
        return self.answer or self.epoch is epoch


class Ways:
    """
    The ways from one port, by key (L{hermes.wire.ip.flowKey}), in two halves: what is not used between two calls of
    L{turn} is forgotten at the second.

    @ivar young: those that were used since the last; the only ones that are looked at for every packet.
    """

    __slots__ = ("_old", "young")

    def __init__(self) -> None:
        self.young: dict[bytes, Way] = {}
        self._old: dict[bytes, Way] = {}

    def __len__(self) -> int:
        return len(self.young) + len(self._old)

    def add(self, key: bytes, way: Way) -> None:
        """
        Remember a way; where there are too many, forget.
        """
        if len(self.young) >= MAX_WAYS:
            self.turn()
        self._old.pop(key, None)
        self.young[key] = way

    def find(self, key: bytes) -> Way | None:
        """
        The way of C{key}, young or old.
        """
        return self.young.get(key) or self._old.get(key)

    def discard(self, key: bytes) -> None:
        """
        Forget one.
        """
        self.young.pop(key, None)
        self._old.pop(key, None)

    def turn(self) -> None:
        """
        What is old is forgotten, what is young is old.
        """
        self._old, self.young = self.young, {}

    def age(self) -> None:
        """
        All are old, and none is forgotten: each is looked at again when it is used.
        """
        if self.young:
            self._old.update(self.young)
            self.young = {}

    def clear(self) -> None:
        """
        Forget all.
        """
        self.young = {}
        self._old = {}

    def __iter__(self) -> Iterator[bytes]:
        """
        The keys of those that there are now.
        """
        yield from list(self.young)
        yield from list(self._old)
