"""
What the kernel tells of devices, and who is told.
"""

from __future__ import annotations

import os
import socket
import struct
from errno import EBADF, EINTR, ENOBUFS, ENODEV
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import IReadDescriptor
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from hermes.interfaces.kernel import Link, SetLink
from hermes.net.kernelerrors import KernelError
from hermes.net.linkevents import RTM_DELLINK, RTM_NEWLINK, LinkEvents, parseLinks
from hermes.net.netlinkcalls import makeChanges
from hermes.net.promotion import setPromotion
from hermes.test.namespaces import Namespace, needRoot
from hermes.test.net.descriptors import DescriptorReactor


def message(kind: int, **link: Any) -> bytes:
    """
    What the kernel would write, made by pyroute2.
    """
    from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg

    made = ifinfmsg()
    made["family"] = link.pop("family", 0)
    made["index"] = link.pop("index", 7)
    made["flags"] = link.pop("flags", 0)
    made["attrs"] = list(link.pop("attrs", {}).items())
    made["header"]["type"] = kind
    made.encode()
    return bytes(made.data)


ATTRIBUTES: dict[str, Any] = {
    "IFLA_IFNAME": "lan0",
    "IFLA_TXQLEN": 700,
    "IFLA_MTU": 1400,
    "IFLA_IFALIAS": "hermes",
    "IFLA_CARRIER": 1,
    "IFLA_LINKINFO": {"attrs": [("IFLA_INFO_KIND", "tun")]},
}


class ParseTests(SynchronousTestCase):
    def test_aDeviceIsParsed(self) -> None:
        data = message(RTM_NEWLINK, flags=0x1 | 0x10, attrs=ATTRIBUTES)
        self.assertEqual(list(parseLinks(data)), [(True, Link(7, "lan0", 1400, True, True, "tun", "hermes", 700))])

    def test_aDeviceWithoutAProcessIsParsed(self) -> None:
        data = message(RTM_NEWLINK, attrs={**ATTRIBUTES, "IFLA_CARRIER": 0})
        ((_, link),) = parseLinks(data)
        self.assertEqual((link.up, link.used), (False, False))

    def test_aDeviceThatIsGoneIsParsed(self) -> None:
        data = message(RTM_DELLINK, attrs={"IFLA_IFNAME": "lan0"})
        self.assertEqual([(there, link.name) for there, link in parseLinks(data)], [(False, "lan0")])

    def test_manyMessagesAreParsed(self) -> None:
        names = ["a", "abcd", "abcdefghijklmno"]
        data = b"".join(message(RTM_NEWLINK, attrs={"IFLA_IFNAME": name}) for name in names)
        self.assertEqual([link.name for _, link in parseLinks(data)], names)

    def test_whatIsNoDeviceIsPassedOver(self) -> None:
        bridge = message(RTM_NEWLINK, family=socket.AF_BRIDGE, attrs={"IFLA_IFNAME": "port"})
        other = message(24, attrs={"IFLA_IFNAME": "route"})
        data = bridge + other + message(RTM_NEWLINK, attrs={"IFLA_IFNAME": "lan0"})
        self.assertEqual([link.name for _, link in parseLinks(data)], ["lan0"])

    def test_whatIsCutShortEnds(self) -> None:
        data = message(RTM_NEWLINK, attrs=ATTRIBUTES)
        for size in range(len(data)):
            self.assertEqual(list(parseLinks(data[:size])), [])

    @given(st.binary(max_size=200))
    def test_nonsenseIsNoTrouble(self, data: bytes) -> None:
        list(parseLinks(data))

    @given(st.binary(max_size=100), st.sampled_from([RTM_NEWLINK, RTM_DELLINK]))
    def test_nonsenseInAMessageIsNoTrouble(self, data: bytes, kind: int) -> None:
        head = struct.pack("@IHHIIBxHiII", 32 + len(data), kind, 0, 0, 0, 0, 0, 7, 1, 0)
        ((_, link),) = parseLinks(head + data)
        self.assertEqual(link.index, 7)


class Watcher:
    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []
        self.raising: Exception | None = None

    def linkChanged(self, link: Link) -> None:
        self.told.append(("changed", link.name))
        if self.raising is not None:
            raise self.raising

    def linkRemoved(self, link: Link) -> None:
        self.told.append(("removed", link.name))

    def linksMissed(self) -> None:
        self.told.append(("missed", ""))


class ScriptedSocket:
    """
    A socket that receives what the test says.
    """

    def __init__(self, *script: bytes | int) -> None:
        self.script = list(script)
        self.closed = False

    def recv(self, size: int) -> bytes:
        if not self.script:
            raise BlockingIOError(11, "again")
        first = self.script.pop(0)
        if isinstance(first, int):
            raise OSError(first, os.strerror(first))
        return first

    def fileno(self) -> int:
        return 99

    def close(self) -> None:
        self.closed = True


class LinkEventsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = DescriptorReactor()
        self.events = LinkEvents(self.reactor)
        self.watcher: Any = Watcher()

    def script(self, *script: bytes | int) -> ScriptedSocket:
        """
        Watch, and read what the test says.
        """
        self.events.watch(self.watcher)
        sock: Any = ScriptedSocket(*script)
        assert self.events._socket is not None
        self.events._socket.close()
        self.events._socket = sock
        self.events.doRead()
        return sock  # type: ignore[no-any-return]

    def test_itIsOpenWhileThereAreWatchers(self) -> None:
        verifyObject(IReadDescriptor, self.events)
        stops = [self.events.watch(self.watcher), self.events.watch(self.watcher)]
        self.assertEqual(self.reactor.readers, {self.events})
        self.assertTrue(self.events.fileno() >= 0)
        stops[0]()
        self.assertEqual(self.reactor.readers, {self.events})
        stops[1]()
        self.assertEqual(self.reactor.readers, set())
        self.assertEqual(self.events.fileno(), -1)
        self.events.watch(self.watcher)()

    def test_watchersAreTold(self) -> None:
        there = message(RTM_NEWLINK, attrs={"IFLA_IFNAME": "one"})
        gone = message(RTM_DELLINK, attrs={"IFLA_IFNAME": "two"})
        self.script(there + gone, there)
        self.assertEqual(self.watcher.told, [("changed", "one"), ("removed", "two"), ("changed", "one")])

    def test_whatWasMissedIsTold(self) -> None:
        there = message(RTM_NEWLINK, attrs={"IFLA_IFNAME": "one"})
        self.script(there, ENOBUFS, there)
        self.assertEqual(self.watcher.told, [("changed", "one"), ("missed", ""), ("changed", "one")])

    def test_aSignalIsNoEnd(self) -> None:
        sock = self.script(EINTR)
        self.assertFalse(sock.closed)
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_aWatcherThatFailsIsLogged(self) -> None:
        other: Any = Watcher()
        self.events.watch(other)
        self.watcher.raising = ZeroDivisionError()
        there = message(RTM_NEWLINK, attrs={"IFLA_IFNAME": "one"})
        self.script(there, there)
        self.assertEqual(len(other.told), 2)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)

    def test_aBrokenSocketIsClosed(self) -> None:
        sock = self.script(EBADF)
        self.assertTrue(sock.closed)
        self.assertEqual(self.reactor.readers, set())
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)
        # Whoever comes next has a new one.
        self.events.watch(self.watcher)
        self.assertEqual(self.reactor.readers, {self.events})
        self.events.abortConnection()

    def test_theReactorStops(self) -> None:
        stop = self.events.watch(self.watcher)
        self.events.connectionLost(Failure(ConnectionLost()))
        self.assertEqual(self.reactor.readers, set())
        stop()

    def test_aWatcherMayStopWhenItIsTold(self) -> None:
        stop = self.events.watch(self.watcher)
        self.watcher.linkChanged = lambda link: stop()
        assert self.events._socket is not None
        self.events._socket.close()
        sock: Any = ScriptedSocket(message(RTM_NEWLINK, attrs={"IFLA_IFNAME": "one"}), b"never read")
        self.events._socket = sock
        self.events.doRead()
        self.assertTrue(sock.closed)
        self.assertEqual(sock.script, [b"never read"])


class PromotionTests(SynchronousTestCase):
    """
    One setting of the real kernel.
    """

    def test_itIsSet(self) -> None:
        needRoot()
        with Namespace() as namespace:
            namespace.run("ip", "link", "add", "pair0", "type", "veth", "peer", "pair1")
            for promotes in True, False:
                with namespace.entered():
                    makeChanges([SetLink("pair0", promotes=promotes)])
                said = namespace.run("cat", "/proc/sys/net/ipv4/conf/pair0/promote_secondaries")
                self.assertEqual(said, f"{int(promotes)}\n")

    def test_aRefusalIsAnError(self) -> None:
        needRoot()
        self.assertEqual(self.assertRaises(OSError, setPromotion, 1 << 30, True).errno, ENODEV)
        error = self.assertRaises(KernelError, makeChanges, [SetLink("no-such-device", promotes=True)])
        self.assertIn("there is no such device", str(error))
