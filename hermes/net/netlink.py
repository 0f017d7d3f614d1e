"""
The kernel's network configuration, through netlink. What blocks is done in a thread; what happens is told by the
reactor.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool
from zope.interface import implementer

from hermes.interfaces.kernel import Change, ILinkWatcher, INetlink, Link, LinkAddress, LinkState
from hermes.net.linkevents import LinkEvents
from hermes.net.netlinkcalls import makeChanges, readAddresses, readLinks, readState

T = TypeVar("T")


class InThread(Protocol):
    """
    Runs a function in a thread.
    """

    def __call__(self, function: Callable[..., T], /, *arguments: Any) -> Deferred[T]: ...


@implementer(INetlink)
class Netlink:
    """
    The real one: the network namespace of this process.
    """

    def __init__(self, reactor: Any, inThread: InThread | None = None) -> None:
        """
        @param reactor: provides C{IReactorFDSet} and C{IReactorThreads}.
        @param inThread: where to block; in the reactor's own pool where nothing is given.
        """
        self._reactor = reactor
        self._inThread: InThread = self._inPool if inThread is None else inThread
        self._events = LinkEvents(reactor)

    def _inPool(self, function: Callable[..., T], /, *arguments: Any) -> Deferred[T]:
        return deferToThreadPool(self._reactor, self._reactor.getThreadPool(), function, *arguments)

    def links(self) -> Deferred[Sequence[Link]]:
        return self._inThread(_links)

    def allAddresses(self) -> Deferred[Sequence[LinkAddress]]:
        return self._inThread(_addresses)

    def state(self, device: str) -> Deferred[LinkState]:
        return self._inThread(readState, device)

    def change(self, changes: Sequence[Change]) -> Deferred[None]:
        return self._inThread(makeChanges, tuple(changes))

    def watch(self, watcher: ILinkWatcher) -> Callable[[], None]:
        return self._events.watch(watcher)


def _links() -> Sequence[Link]:
    return readLinks()


def _addresses() -> Sequence[LinkAddress]:
    return readAddresses()
