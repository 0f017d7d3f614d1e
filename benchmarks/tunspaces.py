"""
The two network namespaces of the TUN measures, and the veth pair between them.

The client and the proxy near it are in the first, the server and the other proxy in the second; a packet between them
goes over the veth pair (the bare path), or into a TUN device, through two proxies that talk over the veth pair, and out
of another TUN device.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from attrs import frozen

BARE = ("10.99.0.1", "10.99.0.2")
"""
The two ends of the veth pair.
"""
INNER = ("10.77.0.10", "10.78.0.1")
"""
The addresses of the two TUN devices.
"""
POOL = "10.77.0.0/24"
"""
What the first of them is given from.
"""
DEVICE = "tun0"
MTU = 1500
TOOLS = ("ip", "iperf3", "ping", "sysctl", "taskset")


def unfit() -> str | None:
    """
    Why this machine can't measure TUN devices; L{None} where it can.
    """
    if os.geteuid():
        return "network namespaces want root"
    if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        return "there is no /dev/net/tun"
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    return f"not installed: {', '.join(missing)}" if missing else None


def ip(*words: str) -> None:
    """
    Run C{ip}.
    """
    subprocess.run(["ip", *words], check=True)


@frozen
class Spaces:
    """
    @ivar client: the name of the namespace of client and first proxy.
    @ivar server: that of server and second proxy.
    """

    client: str
    server: str

    def inside(self, near: bool) -> list[str]:
        """
        What a command begins with that is to run in the client's namespace, or in the server's.
        """
        return ["ip", "netns", "exec", self.client if near else self.server]

    def ip(self, near: bool, *words: str) -> None:
        """
        Run C{ip} in a namespace.
        """
        ip("-n", self.client if near else self.server, *words)

    def setUp(self, near: bool) -> None:
        """
        Give the TUN device of a namespace its address and its way to the other.
        """
        own, far = INNER if near else reversed(INNER)
        self.ip(near, "address", "replace", f"{own}/32", "dev", DEVICE)
        self.ip(near, "link", "set", DEVICE, "mtu", str(MTU), "up")
        self.ip(near, "route", "replace", f"{far}/32", "dev", DEVICE, "src", own)


@contextmanager
def spaces() -> Iterator[Spaces]:
    """
    Two namespaces, as long as they are wanted.
    """
    names = Spaces(*(f"hermes-bench-{os.getpid()}-{end}" for end in ("client", "server")))
    try:
        for near, address in zip((True, False), BARE, strict=True):
            name = names.client if near else names.server
            ip("netns", "add", name)
            if near:
                ip("-n", name, "link", "add", "veth0", "type", "veth", "peer", "name", "far0")
            else:
                ip("-n", names.client, "link", "set", "far0", "netns", name, "name", "veth0")
            names.ip(near, "address", "add", f"{address}/24", "dev", "veth0")
            for link in ("lo", "veth0"):
                names.ip(near, "link", "set", link, "up")
            steady(names.inside(near))
        yield names
    finally:
        for name in (names.client, names.server):
            if Path("/run/netns", name).exists():
                subprocess.run(["ip", "netns", "delete", name], check=False)


def steady(inside: list[str]) -> None:
    """
    What differs from machine to machine is what most have: congestion control that paces would measure its timers. A
    namespace may not have every kind, but always Reno, which does the same where nothing is lost.
    """
    for settings in (
        ["net.ipv6.conf.all.disable_ipv6=1"],
        ["net.ipv4.tcp_congestion_control=cubic"],
        ["net.ipv4.tcp_congestion_control=reno"],
    ):
        done = subprocess.run([*inside, "sysctl", "-q", "-w", *settings], stderr=subprocess.DEVNULL)
        if "cubic" in settings[0] and not done.returncode:
            return


def enter(name: str) -> None:
    """
    Have this thread go on in a namespace: a TUN device belongs to the one in which C{/dev/net/tun} is opened.
    """
    with Path("/run/netns", name).open() as space:
        if ctypes.CDLL(None, use_errno=True).setns(space.fileno(), 0x40000000):
            raise OSError(ctypes.get_errno(), f"can't enter {name}")
