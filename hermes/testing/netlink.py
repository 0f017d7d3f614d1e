"""
The kernel's network configuration without a kernel: what is changed is recorded, and is as if it had been done.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Sequence
from errno import EEXIST, ENETDOWN, ENODEV
from typing import Any

from attrs import define, evolve, field
from twisted.internet.defer import Deferred, fail, succeed
from zope.interface import implementer

from hermes.interfaces.kernel import (
    Add,
    Change,
    ILinkWatcher,
    INetlink,
    Link,
    LinkAddress,
    LinkItem,
    LinkRoute,
    LinkState,
    PolicyRule,
    SetLink,
)
from hermes.net.kernelerrors import KernelError
from hermes.testing.tun import MemoryTun, MemoryTunKernel


@implementer(INetlink)
@define(eq=False)
class MemoryNetlink:
    """
    Network configuration in memory. Its devices are those of C{kernel}; as in a real one, addresses and routes go with
    their device, and routes when it is set down.

    @ivar addresses, routes, rules: what there is; those of others are marked so.
    @ivar strict: see L{LinkState}.
    @ivar changes: what was changed, in order.
    @ivar failures: what the next changes fail with; L{None}: nothing.
    @ivar reads: how often the state of a device was asked for.
    @ivar held: where it is a list, every answer waits there, to be called.
    @ivar watchError: what C{watch} raises.
    """

    kernel: MemoryTunKernel = field(factory=MemoryTunKernel)
    addresses: list[LinkAddress] = field(factory=list)
    routes: list[LinkRoute] = field(factory=list)
    rules: list[PolicyRule] = field(factory=list)
    strict: frozenset[str] = frozenset()
    changes: list[Change] = field(factory=list)
    failures: deque[KernelError | None] = field(factory=deque)
    reads: int = 0
    held: list[Callable[[], None]] | None = None
    watchError: OSError | None = None
    _watchers: list[ILinkWatcher] = field(factory=list)

    def __attrs_post_init__(self) -> None:
        self.kernel.watchers.append(self._deviceChanged)

    def links(self) -> Deferred[Sequence[Link]]:
        return self._answer([_link(device) for device in self.kernel.devices.values()])

    def allAddresses(self) -> Deferred[Sequence[LinkAddress]]:
        return self._answer(tuple(self.addresses))

    def state(self, device: str) -> Deferred[LinkState]:
        self.reads += 1
        there = self.kernel.devices.get(device)
        return self._answer(
            LinkState(
                None if there is None else _link(there),
                frozenset(address for address in self.addresses if address.device == device),
                frozenset(route for route in self.routes if route.device == device or route.ours),
                frozenset(self.rules),
                self.strict,
            )
        )

    def change(self, changes: Sequence[Change]) -> Deferred[None]:
        for change in changes:
            failure = self.failures.popleft() if self.failures else None
            try:
                if failure is not None:
                    raise failure
                self._change(change)
            except KernelError as error:
                return fail(error)
            self.changes.append(change)
        return self._answer(None)

    def watch(self, watcher: ILinkWatcher) -> Callable[[], None]:
        if self.watchError is not None:
            raise self.watchError
        self._watchers.append(watcher)
        return lambda: self._watchers.remove(watcher)

    @property
    def watched(self) -> int:
        """
        By how many.
        """
        return len(self._watchers)

    def miss(self) -> None:
        """
        Something has happened that watchers were not told of.
        """
        for watcher in list(self._watchers):
            watcher.linksMissed()

    def release(self) -> None:
        """
        Give the answers that are held, and those that are asked for because of them.
        """
        while self.held:
            self.held.pop(0)()

    def setMTU(self, device: str, mtu: int) -> None:
        """
        Somebody else changes the MTU of a device.
        """
        self._change(SetLink(device, mtu=mtu))

    def setUp(self, device: str, up: bool) -> None:
        """
        Somebody else sets a device up or down.
        """
        self._change(SetLink(device, up=up))

    def _answer(self, value: object) -> Deferred[Any]:
        if self.held is None:
            return succeed(value)
        answer: Deferred[Any] = Deferred()
        self.held.append(lambda: answer.callback(value))
        return answer

    def _change(self, change: Change) -> None:
        if isinstance(change, SetLink):
            self._setLink(change)
        elif isinstance(change, Add):
            self._add(change.item)
        elif isinstance(change.item, Link):
            if change.item.name in self.kernel.devices:
                self.kernel.devices[change.item.name].delete()
        else:
            items = self._list(change.item)
            if change.item in items:
                items.remove(change.item)

    def _setLink(self, change: SetLink) -> None:
        device = self._device(change.device)
        device.mtu = device.mtu if change.mtu is None else change.mtu
        device.queueLength = device.queueLength if change.queue is None else change.queue
        device.alias = device.alias if change.alias is None else change.alias
        device.promotes = device.promotes if change.promotes is None else change.promotes
        device.up = device.up if change.up is None else change.up
        if not device.up:
            self.routes = [route for route in self.routes if route.device != device.name]
        self.kernel.tell(device, True)

    def _add(self, item: LinkItem) -> None:
        if isinstance(item, LinkAddress | LinkRoute):
            if item.device:
                device = self._device(item.device)
                if isinstance(item, LinkRoute) and not device.up:
                    raise _error(ENETDOWN)
            item = evolve(item, ours=True)
        items = self._list(item)
        if any(_place(item) == _place(other) for other in items):
            raise _error(EEXIST)
        items.append(item)

    def _list(self, item: LinkItem) -> list[Any]:
        if isinstance(item, LinkAddress):
            return self.addresses
        return self.routes if isinstance(item, LinkRoute) else self.rules

    def _device(self, name: str) -> MemoryTun:
        if name not in self.kernel.devices:
            raise _error(ENODEV)
        return self.kernel.devices[name]

    def _deviceChanged(self, device: MemoryTun, there: bool) -> None:
        if not there:
            self.addresses = [address for address in self.addresses if address.device != device.name]
            self.routes = [route for route in self.routes if route.device != device.name]
        for watcher in list(self._watchers):
            (watcher.linkChanged if there else watcher.linkRemoved)(_link(device))


def _place(item: LinkItem) -> object:
    """
    What can be there only once.
    """
    if isinstance(item, LinkRoute):
        return item.network, item.table, bool(item.device)
    if isinstance(item, LinkAddress):
        address = item.interface
        return item.device, address.ip, address.network.prefixlen if address.version == 4 else None
    return item


def _link(device: MemoryTun) -> Link:
    return Link(
        device.index,
        device.name,
        device.mtu,
        device.up,
        bool(device.queues),
        "tun",
        device.alias,
        device.queueLength,
        device.promotes,
    )


def _error(number: int) -> KernelError:
    return KernelError(os.strerror(number), number)
