"""
The ways over hops that a node's routes name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, Final, TypeAlias

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from hermes.interfaces.packet import AddressRange
from hermes.ip.prefixes import IPNetwork
from hermes.ip.switch import PacketSwitch
from hermes.ip.table import PacketRule
from hermes.ip.uplink import Uplink

LINGER: Final = 5.0
"""
Seconds for which a tunnel that no route names any more is kept, for what is on its way.
"""

Way: TypeAlias = "tuple[tuple[str, ...], bool]"
"""
The names of the hops, and whether each tunnel runs inside the one before.
"""


class Uplinks:
    """
    One for each way. They are opened before there is a packet for them, and left after the last.
    """

    def __init__(
        self,
        switch: PacketSwitch,
        clock: IReactorTime,
        dial: Callable[[tuple[str, ...], bool, Any], Deferred[Any]],
        hopsOf: Callable[[tuple[str, ...], bool], object],
        wishes: Callable[[], Sequence[IPNetwork]],
        changed: Callable[[], None],
    ) -> None:
        """
        @param dial: opens a tunnel over some hops, nested or not, for a receiver.
        @param hopsOf: what that stands on: not the same where the configuration of the first hop, or of a nested one,
            has changed.
        @param wishes: the addresses to ask hops for.
        @param changed: called when what hops give or lead to is another.
        """
        self._switch = switch
        self._clock = clock
        self._dial = dial
        self._hopsOf = hopsOf
        self._wishes = wishes
        self._changed = changed
        self._uplinks: dict[Way, Uplink] = {}
        self._hops: dict[Way, object] = {}
        self._leaving: dict[Way, IDelayedCall] = {}
        self._up: tuple[bool, ...] = ()

    def __iter__(self) -> Iterator[Uplink]:
        return iter(list(self._uplinks.values()))

    @property
    def assigned(self) -> list[IPNetwork]:
        """
        What hops let us send from, each once.
        """
        return list(dict.fromkeys(network for uplink in self._uplinks.values() for network in uplink.assigned))

    @property
    def routes(self) -> list[AddressRange]:
        """
        What hops lead to.
        """
        return [route for uplink in self._uplinks.values() for route in uplink.routes]

    def of(self, rule: PacketRule) -> Uplink | None:
        """
        The first way of a rule that is up; where none is, the first.
        """
        uplinks = [uplink for way in rule.ways if (uplink := self._uplinks.get(way)) is not None]
        return next((uplink for uplink in uplinks if uplink.up), uplinks[0] if uplinks else None)

    def open(self, ways: Iterable[Way]) -> list[Deferred[None]]:
        """
        Open what is not there, and open anew what leads another way now.

        @return: what is to be waited for.
        """
        waited: list[Deferred[None]] = []
        for way in ways:
            leaving = self._leaving.pop(way, None)
            if leaving is not None and leaving.active():
                leaving.cancel()
            hops = self._hopsOf(*way)
            uplink = self._uplinks.get(way)
            if uplink is None:
                uplink = self._make(way)
                uplink.open()
            elif self._hops[way] != hops:
                uplink.open(partial(self._dial, *way))
            self._hops[way] = hops
            # One that packets go to already is not waited for again, whether it is up or not.
            settled = uplink.settled if leaving is None else uplink.expect()
            if settled is not None:
                done: Deferred[None] = Deferred()
                settled.addCallback(done.callback)
                waited.append(done)
        return waited

    def reopen(self) -> None:
        """
        Hops are to be asked for other addresses.
        """
        for uplink in self:
            if uplink.line is not None:
                uplink.open()

    def keep(self, ways: Iterable[Way]) -> None:
        """
        Leave all others, after a while.
        """
        wanted = set(ways)
        for way in self._uplinks:
            if way not in wanted and way not in self._leaving:
                self._leaving[way] = self._clock.callLater(LINGER, self._leave, way)

    def _make(self, way: Way) -> Uplink:
        names, nested = way
        name = f"via {', '.join(names)}" + (" (nested)" if nested else "")
        uplink = self._uplinks[way] = Uplink(
            name, self._switch, self._clock, partial(self._dial, names, nested), self._wishes, self._oneChanged
        )
        return uplink

    def _leave(self, way: Way) -> None:
        self._leaving.pop(way, None)
        uplink = self._uplinks.pop(way)
        del self._hops[way]
        uplink.close()
        self._changed()

    def _oneChanged(self) -> None:
        up = tuple(uplink.up for uplink in self._uplinks.values())
        if up != self._up:
            self._up = up
            if any(rule.backup for rule in self._switch.table.rules):
                # What was decided may have another way now.
                self._switch.changed()
        self._changed()

    def close(self) -> None:
        """
        End all tunnels in order.
        """
        for timer in self._leaving.values():
            if timer.active():
                timer.cancel()
        for uplink in self:
            uplink.close()
