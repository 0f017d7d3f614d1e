"""
What a C{tun} listener is told.
"""

from __future__ import annotations

from typing import Final

from attrs import field, fields, frozen
from attrs.validators import ge, le, optional

from hermes.config.types import Interface, Network
from hermes.net.tunopen import MAX_QUEUES, TunOptions, checkName

SET_UP: Final = frozenset({"address", "backlog", "mtu", "routes", "strict"})
"""
The options that are set up on a device, and not part of how it is opened.
"""

BACKLOG: Final = 2000
"""
Packets that wait in a queue of a new device. The kernel's own 500 are lost of in a burst of a thousand datagrams.
"""


@frozen
class TunListenerOptions:
    """
    @ivar device: its name; with C{%d} in it, the first that is free.
    @ivar address: its addresses, each with the prefix that is reached without a route; left out, those that the hops
        give to which routes lead.
    @ivar routes: prefixes that the kernel sends into it; left out, those that the hops say they lead to, where it has
        its addresses from them, and else none. C{0.0.0.0/0} and C{::/0} are everything. The node's own sockets stay
        outside.
    @ivar strict: whether what C{routes} says goes into the device or nowhere: when the process is killed, it is
        unreachable until the listener starts anew. Where the node ends in order, all is as it was.
    @ivar mtu: the largest packet in bytes.
    @ivar owner: a user who may open it once it is persistent, without any capability; a name or a number.
    @ivar group: the same for the members of a group.
    @ivar persist: whether it stays when the node ends.
    @ivar descriptor: an open descriptor of a device that the process was given, in place of a name.
    @ivar queues: how many descriptors it has: more spread the work of the kernel's senders.
    @ivar backlog: how many packets wait for the node in each queue at most, when a sender is faster; left out, 2000
        where the device is a new one, and as it is where somebody has made it.
    @ivar offload: whether whole segments are taken of the kernel, and given to it.
    """

    device: str = field(default="hermes%d", validator=checkName)
    address: tuple[Interface, ...] = ()
    routes: tuple[Network, ...] | None = None
    strict: bool = False
    mtu: int = field(default=1500, validator=[ge(1280), le(65535)])
    owner: str | int | None = None
    group: str | int | None = None
    persist: bool | None = None
    descriptor: int | None = None
    queues: int = field(default=1, validator=[ge(1), le(MAX_QUEUES)])
    backlog: int | None = field(default=None, validator=optional([ge(1), le(65535)]))
    offload: bool = True

    def __attrs_post_init__(self) -> None:
        self.tun()
        if self.strict and not self.routes:
            raise ValueError("strict is about the prefixes in routes, and there are none")
        if self.strict and "%d" in self.device and self.descriptor is None:
            # Else the next start would not know what is its own.
            raise ValueError(f"a strict tunnel needs a device with a name of its own, not {self.device!r}")

    def tun(self) -> TunOptions:
        """
        What is opened.

        @raise ValueError: with a sentence for the user.
        """
        return TunOptions(
            self.device,
            self.owner,
            self.group,
            self.persist,
            self.descriptor,
            self.queues,
            # The next process of a node that restarts opens another queue while this one drains.
            shared=bool(self.persist),
            offload=self.offload,
        )

    def sameDevice(self, other: TunListenerOptions) -> bool:
        """
        Whether the same device does for both: what is set up on it can be changed.
        """
        return all(
            getattr(self, each.name) == getattr(other, each.name)
            for each in fields(TunListenerOptions)
            if each.name not in SET_UP
        )

    @property
    def marksSockets(self) -> bool:
        """
        Whether the node's own sockets are to stay outside: it has routes, or may get some.
        """
        return bool(self.routes) or (not self.address and self.routes is None)

    @property
    def places(self) -> tuple[str, ...]:
        """
        What two listeners can't have both.
        """
        if self.descriptor is not None:
            return (f"descriptor {self.descriptor}",)
        return () if "%d" in self.device else (f"device {self.device}",)
