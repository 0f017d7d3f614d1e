"""
From a target to the addresses to try, through the reactor's resolver.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from ipaddress import ip_address
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IResolutionReceiver
from zope.interface import implementer

from hermes.errors import FlowError, NameNotFound, NameTimeout, TargetProhibited
from hermes.net.names import plainAddress
from hermes.values import Address, Target
from hermes.wire.special import isSpecialPurpose

RESOLUTION_TIMEOUT = 5.0
"""
How long a name may take to resolve, in seconds.
"""

# What a resolver may be asked; it chokes on what is longer.
NAME = re.compile(r"(?=.{1,254}\Z)[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*\.?\Z")


def resolve(
    reactor: Any, target: Target, allowSpecial: bool = False, timeout: float = RESOLUTION_TIMEOUT
) -> Deferred[list[Address]]:
    """
    Find the addresses of a target, in the order in which to try them: the resolver's (RFC 6724), with the families
    taking turns (RFC 8305 section 4). Can be cancelled.

    @param reactor: provides C{IReactorTime} and C{IReactorPluggableNameResolver}.
    @param allowSpecial: whether special-purpose addresses are among them. Without it, a name that also has ordinary
        ones has only those.
    @param timeout: in seconds.
    @return: fires with one address at least. Errback with L{NameNotFound}, L{NameTimeout} or L{TargetProhibited}.
    """
    literal = target.address()
    if literal is not None:
        if not allowSpecial and isSpecialPurpose(literal):
            return fail(TargetProhibited(f"{target} is a special-purpose address"))
        return succeed([(target.host, target.port)])
    try:
        host = _nameToAsk(target)
    except FlowError as error:
        return fail(error)
    return _Resolution(reactor, target, allowSpecial).start(host, timeout)


def _nameToAsk(target: Target) -> str:
    """
    The name as DNS has it.

    @raise NameNotFound: where DNS can't have it, or is not to be asked.
    """
    host = target.host
    if not host.isascii():
        with suppress(UnicodeError):
            host = host.encode("idna").decode("ascii")
    if not NAME.match(host):
        raise NameNotFound(f"{target.host!r} is not a name")
    if host.rstrip(".").lower().rpartition(".")[2] == "hermes":
        raise NameNotFound(f"{target.host} is a name of the overlay, and no route here knows it")
    return host


@implementer(IResolutionReceiver)
class _Resolution:
    """
    One name being resolved.
    """

    def __init__(self, reactor: Any, target: Target, allowSpecial: bool) -> None:
        self._reactor = reactor
        self._target = target
        self._allowSpecial = allowSpecial
        self._addresses: list[Address] = []
        self._done: Deferred[list[Address]] = Deferred(self._cancelled)
        self._resolution: Any = None
        self._timer: Any = None
        self._ended = False

    def start(self, host: str, timeout: float) -> Deferred[list[Address]]:
        self._timer = self._reactor.callLater(timeout, self._timedOut)
        try:
            self._reactor.nameResolver.resolveHostName(self, host, self._target.port)
        except Exception:
            # Resolvers are plugged in; what one chokes on is not a name.
            if not self._ended:
                self._end()
                self._done.errback(NameNotFound(f"{self._target.host} does not resolve"))
        return self._done

    def resolutionBegan(self, resolutionInProgress: Any) -> None:
        self._resolution = resolutionInProgress

    def addressResolved(self, address: Any) -> None:
        if isinstance(address, IPv6Address):
            name: tuple[Any, ...] = (address.host, self._target.port, address.flowInfo, address.scopeID)
        elif isinstance(address, IPv4Address):
            name = (address.host, self._target.port)
        else:
            return
        found: Any = plainAddress(name)
        if found not in self._addresses:
            self._addresses.append(found)

    def resolutionComplete(self) -> None:
        if self._ended:
            return
        self._end()
        addresses = self._addresses
        if not addresses:
            self._done.errback(NameNotFound(f"{self._target.host} does not resolve"))
            return
        if not self._allowSpecial:
            addresses = [address for address in addresses if not isSpecialPurpose(ip_address(address[0]))]
        if addresses:
            self._done.callback(interleave(addresses))
        else:
            self._done.errback(TargetProhibited(f"{self._target.host} resolves to a special-purpose address"))

    def _timedOut(self) -> None:
        if self._addresses:
            # One family answered: that will do.
            self.resolutionComplete()
            return
        self._stop()
        self._done.errback(NameTimeout(f"{self._target.host} did not resolve in time"))

    def _cancelled(self, deferred: Deferred[list[Address]]) -> None:
        self._stop()

    def _stop(self) -> None:
        """
        Give up. Not every resolver can.
        """
        self._end()
        if self._resolution is not None:
            with suppress(NotImplementedError):
                self._resolution.cancel()

    def _end(self) -> None:
        self._ended = True
        if self._timer.active():
            self._timer.cancel()


def interleave(addresses: Sequence[Address]) -> list[Address]:
    """
    The same addresses with the families taking turns, the first address's first; within a family the order stays.
    """
    firstIsV6 = ":" in addresses[0][0]
    first = [address for address in addresses if (":" in address[0]) == firstIsV6]
    second = [address for address in addresses if (":" in address[0]) != firstIsV6]
    turns = min(len(first), len(second))
    mixed = [address for pair in zip(first, second, strict=False) for address in pair]
    return mixed + first[turns:] + second[turns:]
