"""
A network device as it is desired: addresses, routes, rules, MTU. It stays so when the device is made again, and what a
process that was killed has left is found and removed.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from errno import ENODEV
from typing import ClassVar

from twisted.internet.defer import Deferred, DeferredLock, fail
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from hermes.interfaces.kernel import Change, ILinkWatcher, INetlink, Link, LinkAddress, LinkState, Remove
from hermes.net.kernelerrors import KernelError
from hermes.net.kernelroutes import ALIAS, DesiredDevice, Outside, difference
from hermes.net.netlinkcalls import describe

_log = Logger()

ROUNDS = 5
"""
How often to look whether all is as desired where a change brings others with it.
"""


@implementer(ILinkWatcher)
class DeviceSetup:
    """
    Sets up one device. From the first L{apply} until L{remove}, it is set up again whenever it was made again or was
    down, because then the kernel has forgotten its routes. What else somebody changes on it stays changed.
    """

    log: ClassVar[Logger] = Logger()

    def __init__(self, netlink: INetlink, device: str, place: Outside | None = None) -> None:
        """
        @param device: its name, without a pattern.
        @param place: where it has tables and rules, if it has any.
        """
        self.device = device
        self._netlink = netlink
        self._place = place
        self._lock: DeferredLock = DeferredLock()
        self._desired: DesiredDevice | None = None
        # The number of the device that was set up last, or 0, and whether it was down since.
        self._index = 0
        self._down = False
        self._again = False
        self._warned: frozenset[str] = frozenset()
        self._stopWatching: Callable[[], None] | None = None

    def apply(self, desired: DesiredDevice) -> Deferred[None]:
        """
        Have the device as desired; only what is different is changed. Where this is called again before it is done, the
        later call counts.

        @return: fires once it is so. Errback with L{KernelError}; what was changed until then stays, and another
            C{apply} goes on from there.
        """
        self._desired = desired
        self._place = desired.outside or self._place
        if self._stopWatching is None:
            try:
                self._stopWatching = self._netlink.watch(self)
            except OSError as error:
                return fail(KernelError(f"devices can't be watched: {error.strerror}", error.errno or 0))
        return self._run(self._settle)

    def forget(self) -> None:
        """
        Leave all as it is: it is somebody else's matter now.
        """
        self._desired = None
        if self._stopWatching is not None:
            self._stopWatching()
            self._stopWatching = None

    def remove(self) -> Deferred[None]:
        """
        Take all of ours away from the device, and the rules. It needs not be there any more.

        @return: fires once it is so. Errback with L{KernelError}.
        """
        self.forget()
        return self._run(self._settle)

    def _run(self, what: Callable[[], Deferred[None]]) -> Deferred[None]:
        done: Deferred[None] = self._lock.run(what)
        return done

    def _settle(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self._settled())

    async def _settled(self) -> None:
        self._again = False
        changes: list[Change] = []
        for _ in range(ROUNDS):
            state = await self._netlink.state(self.device)
            desired = self._desired
            self._index = 0 if state.link is None else state.link.index
            self._down = False
            if desired is not None and state.link is None:
                raise KernelError(f"there is no device {self.device}", ENODEV)
            changes = difference(self.device, state, desired, self._place)
            if changes:
                await self._netlink.change(changes)
            if desired is self._desired and not any(map(_hasConsequences, changes)):
                self._warn(state)
                return
        raise KernelError(
            f"{self.device} does not stay as it was set up; last, it needed {'; '.join(map(describe, changes))}"
        )

    def _warn(self, state: LinkState) -> None:
        if self._desired is not None and self._desired.outside is not None and state.strict - self._warned:
            self._warned = state.strict
            self.log.warn(
                "what comes to the sockets that stay outside {device} may be dropped on {strict}: these take a packet "
                "only where its answer would leave. Set net.ipv4.conf.*.rp_filter to 2 (RFC 3704, loose)",
                device=self.device,
                strict=", ".join(sorted(state.strict)),
            )

    # What happens.

    def linkChanged(self, link: Link) -> None:
        if link.name != self.device:
            return
        if link.index != self._index:
            self._setUpAgain()
        elif not link.up:
            # Somebody wants it so. Without routes, then: the kernel has dropped them.
            self._down = True
        elif self._down:
            self._setUpAgain()

    def linkRemoved(self, link: Link) -> None:
        if link.index == self._index:
            self._index = 0

    def linksMissed(self) -> None:
        self._setUpAgain()

    def _setUpAgain(self) -> None:
        if self._desired is None or self._again:
            return
        self._again = True
        self._run(self._settle).addErrback(self._failed)

    def _failed(self, failure: Failure) -> None:
        error = failure.value
        if not isinstance(error, KernelError):
            self.log.failure("setting up {device} again failed", failure, device=self.device)
        elif error.number != ENODEV:
            # Without the device there is nothing to do: its next one is told.
            self.log.error("{device} is not as desired: {error}", device=self.device, error=error)


def _hasConsequences(change: Change) -> bool:
    """
    Whether the kernel changes more than it was asked for: with the first of several IPv4 addresses of a prefix, it
    removes the others.
    """
    return isinstance(change, Remove) and isinstance(change.item, LinkAddress)


def repair(netlink: INetlink, name: str, keep: bool = False, place: Outside | None = None) -> Deferred[list[Change]]:
    """
    Remove what a process that was killed has left: rules of ours that lead nowhere, and of a device that no process has
    open routes and addresses of ours and, if it is ours, the device. To be called before the device is opened.

    @param name: of the device, or a pattern of names with C{%d}.
    @param keep: whether the device itself stays.
    @param place: where it had tables and rules: what stands there in for its routes is removed too. L{None}: that
        stays, with the rules that lead to it.
    @return: fires with what was changed. Errback with L{KernelError}.
    """
    return Deferred.fromCoroutine(_repair(netlink, name, keep, place))


async def _repair(netlink: INetlink, name: str, keep: bool, place: Outside | None) -> list[Change]:
    made: list[Change] = []
    pattern = re.escape(name).replace("%d", r"\d+")
    names = [link.name for link in await netlink.links() if re.fullmatch(pattern, link.name)]
    for device in names or [name]:
        state = await netlink.state(device)
        link = state.link
        if link is not None and link.used:
            continue
        changes = difference(device, state, None, place)
        if link is not None and link.kind == "tun" and link.alias == ALIAS and not keep:
            changes.append(Remove(link))
        if changes:
            what = "; ".join(map(describe, changes))
            _log.info("{device}: a process has left something behind: {what}", device=device, what=what)
            await netlink.change(changes)
            made += changes
    return made
