"""
What strategies have in common.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from zope.interface import implementer

from hermes.ndn.forwarder.fib import FIBEntry, NextHop
from hermes.ndn.forwarder.pitentry import PITEntry
from hermes.ndn.forwarder.port import Port
from hermes.ndn.forwarder.strategychoice import idle
from hermes.ndn.interfaces import IStrategy
from hermes.ndn.packet.peek import DataView, InterestView

if TYPE_CHECKING:
    from hermes.ndn.forwarder.actions import Actions

NO_REASON: Final = 0
CONGESTION: Final = 50
DUPLICATE: Final = 100
NO_ROUTE: Final = 150
"""
Reasons of Nacks (NDNLPv2).
"""


@implementer(IStrategy)
class Strategy:
    """
    The base of a strategy: C{afterInterest} is for the subclass. A method that is not overridden is not called.
    """

    def __init__(self, forwarder: Actions) -> None:
        self.forwarder = forwarder

    def afterInterest(self, port: Port, view: InterestView, entry: PITEntry) -> None:
        raise NotImplementedError

    @idle
    def beforeSatisfy(self, port: Port, view: DataView, entry: PITEntry) -> None:
        pass

    def afterNack(self, port: Port, reason: int, view: InterestView, entry: PITEntry) -> None:
        self.passNack(entry)

    @idle
    def onTimeout(self, entry: PITEntry) -> None:
        pass

    @idle
    def onLost(self, port: Port, view: InterestView, entry: PITEntry) -> None:
        pass

    @idle
    def onNewNextHop(self, port: Port, entry: PITEntry) -> None:
        pass

    # What subclasses share

    def passNack(self, entry: PITEntry) -> None:
        """
        Tell the downstream faces, once every face that was asked has answered with a Nack; of several reasons the least
        severe.

        If all but one have, and the one waits for the same Interest itself, it alone is told: each of two forwarders
        might wait for the other's answer.
        """
        reason = NO_REASON
        waiting: list[Port] = []
        for port, out in entry.outs.items():
            if out.nack is None:
                waiting.append(port)
            elif out.nack and (not reason or out.nack < reason):
                reason = out.nack
        if not waiting:
            self.forwarder.sendNacks(entry, reason)
        elif len(waiting) == 1 and entry in waiting[0].pending:
            self.forwarder.sendNack(entry, waiting[0], reason)

    def refuse(self, port: Port, entry: PITEntry) -> None:
        """
        Nothing leads to where an Interest wants to go.
        """
        self.forwarder.sendNack(entry, port, NO_ROUTE)
        if not entry.ins:
            self.forwarder.reject(entry)

    def askUnused(self, hops: Sequence[NextHop], port: Port, view: InterestView, entry: PITEntry, now: float) -> bool:
        """
        Send to the first next hop that was not asked yet, or not lately, or has answered with a Nack.

        @return: whether there was one.
        """
        send = self.forwarder.sendInterest
        for hop in hops:
            upstream = hop.port
            if not upstream.up or (upstream is port and not upstream.adHoc):
                continue
            out = entry.outs.get(upstream)
            if (out is None or out.expiry <= now) and send(entry, upstream, view, port) is not None:
                return True
        return False

    def askAnother(self, entry: PITEntry) -> bool:
        """
        No answer comes from where an Interest was sent: send it to the best next hop that was not asked.

        @return: whether there was one.
        """
        if not entry.ins:
            return False
        found = self.forwarder.lookup(entry)
        record = entry.ins[-1]
        return found is not None and self.askUnused(
            self.ordered(found), record.port, record.view, entry, self.forwarder.now
        )

    def ordered(self, found: FIBEntry) -> Sequence[NextHop]:
        """
        Next hops, the best first: the cheapest, unless a subclass knows better.
        """
        return found.hops

    def askOldest(self, hops: Sequence[NextHop], port: Port, view: InterestView, entry: PITEntry) -> None:
        """
        Send once more to the next hop that was asked before all others.
        """
        asked = []
        for hop in hops:
            upstream = hop.port
            out = entry.outs.get(upstream)
            if out is not None and (upstream is not port or upstream.adHoc):
                asked.append((out.sent, upstream.id, upstream))
        for _, _, upstream in sorted(asked):
            if self.forwarder.sendInterest(entry, upstream, view, port) is not None:
                return


def noParameters(name: str, parameters: Sequence[bytes]) -> None:
    """
    Refuse parameters.

    @raise ValueError: if there are any.
    """
    if parameters:
        raise ValueError(f"the strategy {name} takes no parameters")


def namedParameters(name: str, parameters: Sequence[bytes], known: Sequence[str]) -> dict[str, int]:
    """
    Read parameters of the form C{probing-interval~30000}.

    @param known: the names that there are.
    @return: the numbers, by name.
    @raise ValueError: with a sentence, where one is unknown or is no number.
    """
    numbers: dict[str, int] = {}
    for parameter in parameters:
        key, tilde, value = parameter.decode("utf-8", "replace").partition("~")
        if key not in known:
            raise ValueError(f"the strategy {name} has no parameter {key!r}: it has {', '.join(known)}")
        if not tilde or not value.isascii() or not value.isdigit() or len(value) > 10:
            raise ValueError(f"{key}~{value}: the parameter {key} of the strategy {name} is a number")
        numbers[key] = int(value)
    return numbers
