"""
The C{tun} listener: a network device, whose packets are the node's to forward.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from ipaddress import ip_interface, summarize_address_range
from itertools import islice
from typing import Any
from zlib import crc32

from attrs import evolve, frozen
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IAddress
from twisted.logger import Logger
from twisted.plugin import IPlugin
from twisted.python.failure import Failure
from zope.interface import implementer

from hermes.errors import HermesError, ListenError
from hermes.interfaces import IListener, IListenerContext, IListenerType
from hermes.interfaces.kernel import INetlink, ITunKernel
from hermes.interfaces.packet import AddressRange
from hermes.ip.port import DevicePort
from hermes.net.devicesetup import DeviceSetup, repair
from hermes.net.kernelroutes import BLOCK, DesiredDevice, Outside
from hermes.net.netlink import Netlink
from hermes.net.tun import TunDevice
from hermes.net.tunkernel import TunKernel
from hermes.net.tunopen import OpenTun, attachTun
from hermes.net.tunreserve import checkClashes, tryTun
from hermes.tunoptions import BACKLOG, TunListenerOptions

MOST_ROUTES = 4096
"""
Routes that a device takes from hops.
"""

_PLACES = 32
"""
How many devices of Hermes one machine may have that keep their proxies' sockets outside.
"""


@implementer(IAddress)
@frozen
class DeviceAddress:
    """
    Where a C{tun} listener is bound.

    @ivar device: the name of the device.
    """

    device: str

    def __str__(self) -> str:
        return f"device {self.device}"

    @property
    def places(self) -> tuple[str, ...]:
        """
        What two listeners can't have both.
        """
        return (str(self),)


@implementer(IListener)
class TunListener:
    """
    See the module.

    @ivar name: its name in the configuration.
    @ivar lasting: that it forwards until the node has drained.
    @ivar addresses: those of the device.
    @ivar device: the device, while there is one.
    """

    log = Logger()
    lasting = True

    def __init__(
        self,
        name: str,
        options: TunListenerOptions,
        context: IListenerContext,
        kernel: ITunKernel | None = None,
        netlink: INetlink | None = None,
    ) -> None:
        """
        @param kernel: the real one where none is given; so C{netlink}.
        """
        self.name = name
        self.addresses: tuple[Any, ...] = options.address
        self._options = options
        self._context = context
        self._kernel: ITunKernel = TunKernel() if kernel is None else kernel
        self._netlink: INetlink = Netlink(context.reactor) if netlink is None else netlink
        self.device: TunDevice | None = None
        self._held: OpenTun | None = None
        self._setup: DeviceSetup | None = None
        self._port: DevicePort | None = None
        # What waits in a device for which nobody has said it: L{None} where it is somebody else's.
        self._backlog: int | None = None
        self._given: tuple[Any, ...] = ()
        self._told: tuple[AddressRange, ...] = ()

    @property
    def automatic(self) -> bool:
        """
        Whether it has the addresses that hops give.
        """
        return not self._options.address

    def reserve(self, leaving: Sequence[IListener] = ()) -> Deferred[Callable[[], None]]:
        """
        See L{IListener}. The device is made, and has nothing yet: it is down, unless somebody else has set it up.
        """
        return Deferred.fromCoroutine(self._reserve(leaving))

    async def _reserve(self, leaving: Sequence[IListener]) -> Callable[[], None]:
        options = self._options
        present = _devicesOf(leaving)
        name = options.device
        own = present.get(name) if options.descriptor is None else None
        if own is not None:
            tryTun(self._kernel, options.tun(), own)
        elif options.descriptor is None:
            await self._prepare()
            # What it remembers of us, it shall only once it is ours.
            self._held = attachTun(self._kernel, options.tun())
            name = self._held.name
        else:
            with closing(attachTun(self._kernel, options.tun())) as opened:
                name = opened.name
        try:
            await checkClashes(self._netlink, name, self._desired(name), present.keys())
        except BaseException:
            self._giveBack()
            raise
        return self._giveBack

    async def _prepare(self) -> None:
        """
        Remove what a process that was killed has left, but for what makes its tunnel the only way, if it shall be that;
        and see whether somebody has made the device.
        """
        options = self._options
        place = None if options.strict else _place(options.device)
        await repair(self._netlink, options.device, keep=bool(options.persist), place=place)
        isThere = any(link.name == options.device for link in await self._netlink.links())
        self._backlog = None if isThere else BACKLOG

    def _giveBack(self) -> None:
        held, self._held = self._held, None
        if held is not None:
            held.close()

    def start(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self._start())

    async def _start(self) -> None:
        options = self._options
        held, self._held = self._held, None
        if options.descriptor is None and held is None:
            await self._prepare()
        device = TunDevice(self._context.reactor, options.tun(), self._kernel, self._netlink, opened=held)
        setup = DeviceSetup(self._netlink, device.name, _place(device.name))
        try:
            await setup.apply(self._desired(device.name))
        except BaseException:
            device.abortChannel()
            raise
        self.device, self._setup = device, setup
        port = self._port = DevicePort(f"device {device.name}", self._context.packets.switch, self.name)
        port.lost = self._lost
        device.setReceiver(port)
        self._context.packets.addDevice(port, self)

    def _desired(self, device: str, options: TunListenerOptions | None = None) -> DesiredDevice:
        """
        @param options: those that it would have.
        """
        addresses = self.addresses if options is None else options.address
        options = options or self._options
        routes: tuple[Any, ...] = options.routes or ()
        if options.routes is None and self.automatic:
            ranges = (network for start, end, _ in self._told for network in summarize_address_range(start, end))
            routes = tuple(dict.fromkeys(islice(ranges, MOST_ROUTES)))
        return DesiredDevice(
            addresses,
            routes=routes,
            outside=_place(device) if routes else None,
            mtu=options.mtu,
            queue=options.backlog or self._backlog,
            ours=bool(options.persist),
            strict=options.strict,
        )

    # What the packet plane tells

    def configure(self, given: Sequence[Any], routes: Sequence[AddressRange]) -> None:
        """
        Hops have given these addresses, and lead to these ranges.
        """
        before = (self._given, self._told)
        self._given, self._told = tuple(given), tuple(routes)
        if self.automatic and before != (self._given, self._told):
            self.addresses = tuple(ip_interface(str(network)) for network in self._given)
            self._apply()

    def _apply(self) -> None:
        setup, device = self._setup, self.device
        if setup is not None and device is not None:
            setup.apply(self._desired(device.name)).addErrback(self._notApplied)

    def _notApplied(self, failure: Failure) -> None:
        if failure.check(HermesError) is None:
            self.log.failure("{listener}: setting up the device failed", failure, listener=self.name)
        else:
            self.log.error(
                "{listener}: the device is not set up: {error}", listener=self.name, error=failure.getErrorMessage()
            )

    def _lost(self, reason: Failure) -> None:
        self.log.error("{listener}: the device is gone: {reason}", listener=self.name, reason=reason.getErrorMessage())

    # Other options

    def reconfigurable(self, options: TunListenerOptions) -> bool:
        """
        What is set up on a device can change while it runs.
        """
        return options.sameDevice(self._options)

    def verify(self, options: TunListenerOptions, leaving: Sequence[IListener]) -> Deferred[None]:
        """
        See L{IListener}. What fails when it is set up would fail unseen.
        """
        if self.device is None:
            return succeed(None)
        name, gone = self.device.name, _devicesOf(leaving).keys()
        desired = self._desired(name, options)
        return Deferred.fromCoroutine(checkClashes(self._netlink, name, desired, gone))

    def reconfigure(self, options: TunListenerOptions) -> None:
        """
        Take them.
        """
        self._options = options
        self.addresses = options.address or tuple(ip_interface(str(network)) for network in self._given)
        self._apply()
        if self._port is not None:
            self._context.packets.deviceChanged(self._port)

    # The listener

    def stop(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        port, self._port = self._port, None
        device, self.device = self.device, None
        setup, self._setup = self._setup, None
        if port is not None and device is not None:
            self._context.packets.removeDevice(port)
            closed: Deferred[Any] = Deferred()
            port.lost = lambda reason: closed.callback(None)
            if port.channel is not None:
                device.loseChannel()
                await closed
        if setup is None:
            return
        try:
            if self._options.persist and device is not None and await self._isUsed(device.name):
                # By the process that comes after this one: what it has set up is not ours to take away.
                setup.forget()
            else:
                await setup.remove()
        except HermesError as error:
            self.log.error("{listener}: {error}", listener=self.name, error=error)

    async def _isUsed(self, device: str) -> bool:
        return any(link.name == device and link.used for link in await self._netlink.links())

    def drain(self) -> None:
        """
        Packets can't be asked to finish.
        """

    def abort(self) -> None:
        """
        C{stop} has ended it.
        """

    def getHost(self) -> object:
        if self.device is None:
            raise ListenError(f"{self.name} has no device")
        return DeviceAddress(self.device.name)


def _place(device: str) -> Outside:
    """
    Where a device has its tables and rules: the next start finds what this one has left.
    """
    place = crc32(device.encode()) % _PLACES
    return evolve(Outside(), table=0x4800 + place, priority=BLOCK * (1 + place))


def _devicesOf(listeners: Sequence[IListener]) -> dict[str, TunDevice]:
    """
    The devices of those that have one, by name.
    """
    tuns = [each for each in listeners if isinstance(each, TunListener)]
    return {each.device.name: each.device for each in tuns if each.device is not None}


@implementer(IPlugin, IListenerType)
class TunListenerType:
    """
    C{type: tun}.
    """

    type = "tun"
    options = TunListenerOptions
    ends = ("ip",)

    def listener(self, name: str, options: Any, context: IListenerContext) -> IListener:
        return TunListener(name, options, context)
