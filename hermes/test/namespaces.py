"""
Network namespaces for tests: machines of their own, joined by wires of their own, on this one.
"""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from signal import SIGKILL
from typing import Any, ClassVar
from unittest import SkipTest

from twisted.internet import reactor as theReactor
from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from hermes.test.interop.process import Process, ProcessError

# Its type depends on the platform.
reactor: Any = theReactor

CLONE_NEWNET = 0x40000000

TUN_PATH = "/dev/net/tun"

_numbers = count(1)
_libc = ctypes.CDLL(None, use_errno=True)


def needRoot() -> None:
    """
    @raise SkipTest: where this is not root with the rights to make network namespaces, or C{ip} is missing.
    """
    if os.geteuid() != 0 or not _hasNetAdmin():
        raise SkipTest("needs root")
    if shutil.which("ip") is None:
        raise SkipTest("ip is not installed")


def needTun() -> None:
    """
    The same, for TUN devices.

    @raise SkipTest: also where there are none.
    """
    needRoot()
    if not os.path.exists(TUN_PATH):
        raise SkipTest(f"this machine has no {TUN_PATH}")


def _hasNetAdmin() -> bool:
    """
    Whether this process has CAP_NET_ADMIN and CAP_SYS_ADMIN: root in a container may have neither.
    """
    match = re.search(r"^CapEff:\s*([0-9a-f]+)$", Path("/proc/self/status").read_text(), re.MULTILINE)
    return match is not None and int(match[1], 16) >> 12 & 1 == 1 and int(match[1], 16) >> 21 & 1 == 1


class Namespace:
    """
    A network namespace: a machine with a loopback device that is up, and nothing else. A context manager, for what
    blocks; L{forTest} is for tests that wait for the reactor.

    IPv6 addresses in it are usable at once: it does not look for duplicates.

    @ivar name: as C{ip netns} knows it, unique.
    """

    _swept: ClassVar[bool] = False

    def __init__(self, label: str = "ns") -> None:
        """
        @param label: a word of what it is, for whoever looks at C{ip netns}.
        """
        self.name = f"hermes-{os.getpid()}-{next(_numbers)}-{label}"
        self._popens: list[subprocess.Popen[str]] = []
        self._processes: list[Process] = []
        self._exists = False

    @classmethod
    def forTest(cls, case: TestCase, label: str = "ns") -> Namespace:
        """
        A new one, that is removed when the test ends; what was started in it is ended before.

        @raise SkipTest: where there can be none.
        """
        namespace = cls(label)
        namespace.create()
        case.addCleanup(namespace.close)
        return namespace

    def create(self) -> None:
        """
        Make it.

        @raise SkipTest: where there can be none.
        """
        needRoot()
        if not Namespace._swept:
            Namespace._swept = True
            _sweep()
        _run("ip", "netns", "add", self.name)
        self._exists = True
        for key in "net.ipv6.conf.default.accept_dad", "net.ipv6.conf.all.accept_dad":
            self.sysctl(key, 0)
        self.run("ip", "link", "set", "lo", "up")

    def __enter__(self) -> Namespace:
        self.create()
        return self

    def __exit__(self, *_: object) -> None:
        if not self._exists:
            return
        self._kill()
        for popen in self._popens:
            popen.communicate()
        self._popens.clear()
        self._exists = False
        _run("ip", "netns", "del", self.name)

    def _kill(self) -> None:
        """
        Kill whatever runs in it, the children of what was started too.
        """
        for pid in map(int, _run("ip", "netns", "pids", self.name).split()):
            if pid != os.getpid():
                with suppress(ProcessLookupError):
                    os.kill(pid, SIGKILL)

    async def _close(self) -> None:
        if self._exists:
            self._kill()
        processes, self._processes = self._processes, []
        for process in processes:
            await process.kill()
        self.__exit__()

    def close(self) -> Deferred[None]:
        """
        End what runs in it, and remove it. Its devices go with it.
        """
        return Deferred.fromCoroutine(self._close())

    def command(self, *argv: str) -> list[str]:
        """
        The command that runs C{argv} in here.
        """
        return ["ip", "netns", "exec", self.name, *argv]

    def run(self, *argv: str) -> str:
        """
        Run a program to its end. Blocks: for what needs nothing of the reactor.

        @return: its standard output.
        @raise AssertionError: where its status is not 0, with its output.
        """
        return _run(*self.command(*argv))

    def spawn(self, *argv: str) -> subprocess.Popen[str]:
        """
        Start a program, without Twisted. Its outputs are one pipe; it has no input. It is killed when the namespace is
        removed.
        """
        popen = subprocess.Popen(
            self.command(*argv),
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self._popens.append(popen)
        return popen

    def start(self, *argv: str, environment: dict[str, str] | None = None) -> Process:
        """
        Start a program as a process of the reactor's, to wait for what it says. It is killed when the namespace is
        closed (L{forTest}).
        """
        process = Process(argv[0])
        path = shutil.which("ip") or "ip"
        merged = {**os.environ, **(environment or {})}
        reactor.spawnProcess(process, path, self.command(*argv), env=merged)
        self._processes.append(process)
        return process

    def output(self, *argv: str) -> Deferred[str]:
        """
        Run a program to its end, while the reactor goes on.

        @return: fires with its standard output. Errback with L{ProcessError} where its status is not 0.
        """
        return Deferred.fromCoroutine(self._output(*argv))

    async def _output(self, *argv: str) -> str:
        process = self.start(*argv)
        status = await process.end()
        if status != 0:
            raise ProcessError(f"{' '.join(argv)} ended with {status}:\n{process.output[-4000:]}")
        return process.stdout.decode("utf-8", "replace")

    @contextmanager
    def entered(self) -> Iterator[None]:
        """
        This thread is in the namespace as long as the context lasts: the sockets and devices that it opens are in
        there, and stay. Threads that begin meanwhile stay in there, too.
        """
        with open("/proc/thread-self/ns/net", "rb") as before, open(f"/run/netns/{self.name}", "rb") as here:
            _enter(here.fileno())
            try:
                yield
            finally:
                _enter(before.fileno())

    def sysctl(self, key: str, value: object) -> None:
        """
        Set a kernel parameter, such as C{net.ipv4.ip_forward}. What the kernel does not have is passed over.
        """
        path = Path("/proc/sys") / key.replace(".", "/")
        with self.entered(), suppress(FileNotFoundError):
            path.write_text(f"{value}\n")

    def link(
        self,
        other: Namespace,
        ours: Sequence[str] = ("10.99.0.1/24", "fd99::1/64"),
        theirs: Sequence[str] = ("10.99.0.2/24", "fd99::2/64"),
        device: str = "eth0",
        theirDevice: str = "eth0",
        mtu: int = 1500,
    ) -> None:
        """
        Join two by a wire (veth).

        @param ours: addresses with prefix length, of either family, of the end in here.
        @param theirs: those of the other end.
        @param device: the name of the end in here.
        @param theirDevice: that of the other end.
        @param mtu: of both ends.
        """
        peer = ["peer", "name", theirDevice, "netns", other.name]
        _run("ip", "link", "add", device, "netns", self.name, "type", "veth", *peer)
        for namespace, name, addresses in (self, device, ours), (other, theirDevice, theirs):
            namespace.run("ip", "link", "set", name, "mtu", str(mtu), "up")
            for address in addresses:
                nodad = ["nodad"] if ":" in address else []
                namespace.run("ip", "address", "add", address, "dev", name, *nodad)


def _run(*argv: str) -> str:
    done = subprocess.run(argv, text=True, stdin=subprocess.DEVNULL, capture_output=True)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(argv)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def _enter(descriptor: int) -> None:
    if _libc.setns(descriptor, CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _sweep() -> None:
    """
    Remove the namespaces of test runs that were killed.
    """
    with suppress(FileNotFoundError):
        for name in os.listdir("/run/netns"):
            match = re.fullmatch(r"hermes-(\d+)-\d+-.*", name)
            if match is not None and not os.path.exists(f"/proc/{match[1]}"):
                with suppress(AssertionError):  # Another run sweeps, too.
                    _run("ip", "netns", "del", name)
