"""
What can be known of a TUN device before it is used: it is opened, or tried out, and nothing is set up on it.
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress

from attrs import evolve

from hermes.interfaces.kernel import INetlink, ITunKernel
from hermes.net.kernelerrors import KernelError
from hermes.net.kernelroutes import DesiredDevice
from hermes.net.tun import TunDevice
from hermes.net.tunopen import TunOptions, attachTun

IPV6_SETTING = "/proc/sys/net/ipv6/conf/{device}/disable_ipv6"


def tryTun(kernel: ITunKernel, options: TunOptions, present: TunDevice) -> None:
    """
    Whether a device can be had once this process has closed it.

    @param present: the device as it is now.
    @raise KernelError: where it can't.
    """
    try:
        stays, many = present.persists()
    except OSError:
        # It is gone: it is made again in any case.
        stays = many = False
    if not stays:
        # It goes when it is closed, and a new one is made. A new one of another name tells whether that can be done.
        attachTun(kernel, evolve(options, name="hermes%d", persist=None)).close()
    elif many != options.multiQueue:
        wanted = "many queues" if options.multiQueue else "one queue"
        raise KernelError(f"{present.name} stays when it is closed, and was not made for {wanted}: it must be deleted")


async def checkClashes(netlink: INetlink, device: str, desired: DesiredDevice, leaving: Collection[str]) -> None:
    """
    Whether a device can have its addresses and routes: no other device has them. An address alone, without a prefix
    around it, may be one that the machine has on another device too.

    @param device: its name.
    @param leaving: devices that are gone by then.
    @raise KernelError: where it can't.
    """
    others = {device, *leaving}
    wanted = {each.ip: each for each in desired.addresses if each.network.prefixlen < each.max_prefixlen}
    if wanted:
        for address in await netlink.allAddresses():
            if address.interface.ip in wanted and address.device not in others:
                raise KernelError(f"{device} can't have the address {address.interface.ip}: {address.device} has it")
    if any(each.version == 6 for each in (*desired.addresses, *desired.routes)) and _withoutIPv6(device):
        raise KernelError(f"{device} can't have IPv6 addresses: IPv6 is turned off (net.ipv6.conf.*.disable_ipv6)")
    routes = {(route.network, route.table) for route in desired.linkRoutes(device)}
    if routes:
        state = await netlink.state(device)
        for route in state.routes:
            if (route.network, route.table) in routes and route.device and route.device not in others:
                raise KernelError(f"{device} can't have the route to {route.network}: {route.device} has it")


def _withoutIPv6(device: str) -> bool:
    with suppress(OSError), open(IPV6_SETTING.format(device=device), encoding="ascii") as file:
        return file.read().strip() == "1"
    return False
