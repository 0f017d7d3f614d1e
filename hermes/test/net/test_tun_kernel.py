"""
TUN devices of the real kernel, in namespaces of their own.
"""

from __future__ import annotations

import os
import socket
from ipaddress import ip_address, ip_interface
from typing import Any

from twisted.internet.error import ConnectionAborted

from hermes.net.kernelerrors import DeviceGone, KernelError, MissingCapability
from hermes.net.tun import TunDevice
from hermes.net.tunkernel import TunKernel
from hermes.net.tunopen import TunOptions, openTun
from hermes.test.net.tunspaces import (
    Answering,
    Listening,
    NamespaceTunKernel,
    Passing,
    TunSpaceCase,
    reactor,
    until,
    wanted,
)
from hermes.test.rights import withoutRights
from hermes.wire.offload import PLAIN, needsWork

PING = ("ping", "-n", "-c", "3", "-l", "3", "-i", "10", "-W", "20")


class PacketTests(TunSpaceCase):
    """
    Packets that the kernel makes and takes.
    """

    async def pings(self, **options: Any) -> None:
        space = self.space()
        receiver = Answering()
        self.device(space, receiver, **options)
        await self.configured(space, wanted("10.66.0.1/24", "fd66::1/64"))
        for address in "10.66.0.2", "fd66::2":
            self.assertIn(" 0% packet loss", await space.output(*PING, address))
        # More than one packet, and the largest that fits.
        self.assertIn(" 0% packet loss", await space.output(*PING, "-s", "1472", "10.66.0.3"))
        echoes = [frame for frame in receiver.frames if frame[30:31] == b"\x08" or frame[50:51] == b"\x80"]
        self.assertTrue(all(frame[:10] == PLAIN for frame in echoes))

    async def test_pingIsAnswered(self) -> None:
        await self.pings()

    async def test_pingIsAnsweredWithoutOffload(self) -> None:
        await self.pings(offload=False)

    async def test_pingIsAnsweredThroughManyQueues(self) -> None:
        await self.pings(queues=4)

    async def test_manyFlowsComeThroughManyQueues(self) -> None:
        space = self.space()
        receiver = Listening()
        kernel = CountingKernel(space)
        device = TunDevice(reactor, TunOptions(name="lan0", queues=4), kernel)
        self.addCleanup(device._close)
        device.setReceiver(receiver)
        await self.configured(space, wanted("10.66.0.1/24"))
        self.assertIn("multi_queue", space.run("ip", "tuntap"))
        with space.entered():
            sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(sender.close)
        for number in range(256):
            sender.sendto(number.to_bytes(2, "big"), ("10.66.0.2", 1000 + number))
        await receiver.until(lambda: len(udp(receiver)) == 256)
        self.assertEqual({frame[-2:] for frame in udp(receiver)}, {number.to_bytes(2, "big") for number in range(256)})
        self.assertTrue(sum(map(bool, kernel.reads)) > 1)
        # And back: what is written comes in, whatever queue it takes.
        device.write([swapped(frame) for frame in udp(receiver)])
        sender.setblocking(False)
        got: list[bytes] = []

        def received() -> bool:
            try:
                while True:
                    got.append(sender.recv(100))
            except BlockingIOError:
                return len(got) == 256

        await until(received)
        self.assertEqual(len(set(got)), 256)

    async def bulk(self, left: dict[str, Any], right: dict[str, Any], host: str = "10.66.0.2") -> Passing:
        """
        Send much from one namespace to another, through two devices.

        @return: what has come out of the sender's.
        """
        spaces = self.space("left"), self.space("right")
        ends = Passing(), Passing()
        devices = [self.device(spaces[0], ends[0], **left), self.device(spaces[1], ends[1], **right)]
        ends[0].other, ends[1].other = devices[1], devices[0]
        for number, space in enumerate(spaces, 1):
            await self.configured(space, wanted(f"10.66.0.{number}/24", f"fd66::{number}/64"))
        # What comes from a device that is up already finds the other one down.
        before = [device.droppedDatagrams for device in devices]
        server = spaces[1].start("iperf3", "-s", "-1", "--forceflush")
        await server.said("Server listening")
        await spaces[0].output("iperf3", "-c", host, "-n", "8M")
        self.assertEqual(await server.end(), 0)
        self.assertEqual([device.droppedDatagrams for device in devices], before)
        return ends[0]

    async def test_aTCPFlowComesInLargePieces(self) -> None:
        for host in "10.66.0.2", "fd66::2":
            end = await self.bulk({}, {}, host=host)
            self.assertTrue(end.largest > 32768, end.largest)

    async def test_aTCPFlowMayEndInADeviceWithoutOffload(self) -> None:
        """
        Then it is cut by us.
        """
        end = await self.bulk({}, {"offload": False})
        self.assertTrue(end.largest > 1510)

    async def test_aTCPFlowMayBeginInADeviceWithoutOffload(self) -> None:
        end = await self.bulk({"offload": False}, {})
        self.assertEqual(end.largest, 1510)

    async def test_aUDPFlowComesInTrains(self) -> None:
        """
        What a sender hands over in one call, with C{UDP_SEGMENT}, stays together.
        """
        space, other = self.space("left"), self.space("right")
        ends = Passing(), Passing()
        devices = [self.device(space, ends[0]), self.device(other, ends[1])]
        ends[0].other, ends[1].other = devices[1], devices[0]
        await self.configured(space, wanted("10.66.0.1/24"))
        await self.configured(other, wanted("10.66.0.2/24"))
        with space.entered():
            sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with other.entered():
            receiver = socket.create_server(("10.66.0.2", 5000), family=socket.AF_INET, backlog=1)
            receiver.close()
            receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            receiver.bind(("10.66.0.2", 5000))
        for sock in sender, receiver:
            self.addCleanup(sock.close)
            sock.setblocking(False)
        if not devices[0]._datagramTrains:
            # Before Linux 6.2.
            self.skipTest("this machine's kernel does not hand over UDP segments")
        segment = (17, 103, (1000).to_bytes(2, "little"))
        sender.connect(("10.66.0.2", 5000))
        sender.sendmsg([bytes([number]) * 1000 for number in range(40)], [segment])
        got: list[bytes] = []

        def received() -> bool:
            try:
                while True:
                    got.append(receiver.recv(2000))
            except BlockingIOError:
                return len(got) == 40

        await until(received)
        self.assertEqual(got, [bytes([number]) * 1000 for number in range(40)])
        self.assertTrue(ends[0].largest > 40000, ends[0].largest)

    async def test_aTrainMayEndInADeviceWithoutOffload(self) -> None:
        space = self.space()
        receiver = Listening()
        device = self.device(space, receiver)
        await self.configured(space, wanted("10.66.0.1/24"))
        with space.entered():
            sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(sender.close)
        sender.connect(("10.66.0.2", 5000))
        sender.send(b"x" * 100)
        await receiver.until(lambda: udp(receiver))
        (frame,) = udp(receiver)
        # Its checksum is left to whoever sends it on.
        self.assertTrue(device.offload)
        self.assertTrue(needsWork(frame))


class DeviceTests(TunSpaceCase):
    """
    What happens to devices.
    """

    async def test_itsMTUIsSeen(self) -> None:
        space = self.space()
        receiver = Listening()
        device = self.device(space, receiver)
        self.assertEqual(device.mtu, 1500)
        space.run("ip", "link", "set", "lan0", "mtu", "1400")
        await receiver.until(lambda: receiver.mtus)
        self.assertEqual((receiver.mtus, device.mtu), ([1400], 1400))

    async def test_aDeviceThatIsDeletedComesBackAsItWas(self) -> None:
        space = self.space()
        receiver = Answering()
        device = self.device(space, receiver)
        await self.configured(space, wanted("10.66.0.1/24", routes=["10.67.0.0/16"], mtu=1400))
        self.assertIn(" 0% packet loss", await space.output(*PING, "10.67.0.2"))
        for number in range(1, 3):
            space.run("ip", "link", "del", "lan0")
            await until(lambda: device.reopened == number)  # noqa: B023
            # The setting up follows by itself.
            await until(lambda: "10.67.0.0/16" in space.run("ip", "route"))
            self.assertIn(" 0% packet loss", await space.output(*PING, "10.67.0.2"))
            self.assertEqual(device.mtu, 1400)
        self.assertEqual(receiver.ends, [])

    async def test_aDeviceThatIsNotReadIsMissedToo(self) -> None:
        space = self.space()
        device = self.device(space, Listening())
        device.pauseProducing()
        space.run("ip", "link", "del", "lan0")
        await until(lambda: device.reopened == 1)

    async def test_aDeviceThatIsDownTakesNothing(self) -> None:
        space = self.space()
        receiver = Answering()
        device = self.device(space, receiver)
        await self.configured(space, wanted("10.66.0.1/24", routes=["10.67.0.0/16"]))
        space.run("ip", "link", "set", "lan0", "down")
        device.write([PLAIN + b"\x45" + bytes(19)])
        self.assertEqual(device.droppedDatagrams, 1)
        space.run("ip", "link", "set", "lan0", "up")
        await until(lambda: "10.67.0.0/16" in space.run("ip", "route"))
        self.assertIn(" 0% packet loss", await space.output(*PING, "10.67.0.2"))

    async def test_whatIsNoPacketIsDropped(self) -> None:
        space = self.space()
        receiver = Answering()
        device = self.device(space, receiver)
        await self.configured(space, wanted("10.66.0.1/24"))
        nonsense = [b"", b"x", PLAIN, PLAIN + bytes(40), b"\1\1" + bytes(8) + b"\x45" + bytes(60), b"\xff" * 100]
        device.write(nonsense)
        self.assertEqual(device.droppedDatagrams, len(nonsense))
        self.assertIn(" 0% packet loss", await space.output(*PING, "10.66.0.2"))

    async def test_aPersistentDeviceStays(self) -> None:
        space = self.space()
        device = self.device(space, Listening(), persist=True, owner=1000, group=2000)
        device.abortChannel()
        await until(lambda: device._ended)
        self.assertIn("lan0: tun vnet_hdr persist user 1000 group 2000", space.run("ip", "tuntap"))
        device = self.device(space, Listening(), persist=False)
        device.abortChannel()
        await until(lambda: device._ended)
        self.assertEqual(space.run("ip", "tuntap"), "")

    async def test_aPersistentDeviceCanBeFollowedByAnother(self) -> None:
        """
        What one reader was handed whole, the next need not understand.
        """
        space = self.space()
        device = self.device(space, Listening(), persist=True)
        device.abortChannel()
        await until(lambda: device._ended)
        receiver = Listening()
        self.device(space, receiver, offload=False)
        await self.configured(space, wanted("10.66.0.1/24"))
        with space.entered():
            sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(sender.close)
        sender.sendto(b"x" * 100, ("10.66.0.2", 5000))
        await receiver.until(lambda: udp(receiver))
        self.assertFalse(needsWork(udp(receiver)[0]))

    async def test_theFirstFreeNameIsTaken(self) -> None:
        space = self.space()
        names = [self.device(space, Listening(), name="hermes%d").name for _ in range(2)]
        self.assertEqual(names, ["hermes0", "hermes1"])

    async def test_anOpenDescriptorIsTaken(self) -> None:
        space = self.space()
        given = openTun(NamespaceTunKernel(space), TunOptions(name="given0"))
        receiver = Answering()
        device = self.device(space, receiver, descriptor=given.descriptors[0].fileno())
        self.assertEqual(device.name, "given0")
        await self.configured(space, wanted("10.66.0.1/24"), "given0")
        self.assertIn(" 0% packet loss", await space.output(*PING, "10.66.0.2"))
        device.abortChannel()
        await receiver.until(lambda: receiver.ends)
        receiver.ends[0].trap(ConnectionAborted)
        # It is whose it was.
        self.assertIn("given0", space.run("ip", "tuntap"))
        given.close()
        self.assertEqual(space.run("ip", "tuntap"), "")

    async def test_aDescriptorWhoseDeviceIsDeletedEnds(self) -> None:
        space = self.space()
        given = openTun(NamespaceTunKernel(space), TunOptions(name="given0"))
        self.addCleanup(given.close)
        receiver = Listening()
        self.device(space, receiver, descriptor=given.descriptors[0].fileno())
        space.run("ip", "link", "del", "given0")
        await receiver.until(lambda: receiver.ends)
        receiver.ends[0].trap(DeviceGone)

    async def test_aPointToPointLinkHasTwoEnds(self) -> None:
        space = self.space()
        receiver = Answering()
        self.device(space, receiver)
        peers = {ip_address("10.66.0.1"): ip_address("10.66.9.9"), ip_address("fd66::1"): ip_address("fd66::9:9")}
        await self.configured(space, wanted("10.66.0.1/32", "fd66::1/128", peers=peers))
        self.assertIn("10.66.0.1 peer 10.66.9.9/32", space.run("ip", "address"))
        for address in "10.66.9.9", "fd66::9:9":
            self.assertIn(" 0% packet loss", await space.output(*PING, address))


class RightTests(TunSpaceCase):
    """
    What takes a right, and what does not.
    """

    def unprivileged(self, kernel: TunKernel, **options: Any) -> str:
        def attempt() -> str:
            opened = openTun(kernel, TunOptions(**options))
            opened.close()
            return opened.name

        return withoutRights(attempt)

    async def test_aDeviceTakesACapability(self) -> None:
        space = self.space()
        # Entering the namespace takes one, too.
        with space.entered():
            error = self.assertRaises(MissingCapability, self.unprivileged, TunKernel(), name="lan0")
        self.assertIn("the TUN device lan0", str(error))
        self.assertIn("CAP_NET_ADMIN", str(error))

    async def test_itsOwnerNeedsNone(self) -> None:
        space = self.space()
        space.run("ip", "tuntap", "add", "lan0", "mode", "tun", "user", str(os.geteuid()))
        with space.entered():
            self.assertEqual(self.unprivileged(TunKernel(), name="lan0"), "lan0")

    async def test_somebodyElseDoes(self) -> None:
        space = self.space()
        space.run("ip", "tuntap", "add", "lan0", "mode", "tun", "user", str(os.geteuid() + 1000))
        with space.entered():
            self.assertRaises(MissingCapability, self.unprivileged, TunKernel(), name="lan0")

    async def test_whatIsInTheWayIsNamed(self) -> None:
        space = self.space()
        kernel = NamespaceTunKernel(space)
        self.device(space, Listening())
        error = self.assertRaises(KernelError, openTun, kernel, TunOptions(name="lan0"))
        self.assertIn("open in another process", str(error))
        space.run("ip", "tuntap", "add", "tap0", "mode", "tap")
        error = self.assertRaises(KernelError, openTun, kernel, TunOptions(name="tap0"))
        self.assertIn("something else than a TUN device without many queues", str(error))


class CountingKernel(NamespaceTunKernel):
    """
    Counts what each queue has had to read.
    """

    def __init__(self, namespace: Any) -> None:
        super().__init__(namespace)
        self.reads: list[int] = []

    def open(self) -> Any:
        opened: Any = super().open()
        number = len(self.reads)
        self.reads.append(0)
        kernel = self

        class Counting:
            fileno = opened.fileno
            write = opened.write
            close = opened.close

            def readinto(self, buffer: memoryview) -> int | None:
                count: int | None = opened.readinto(buffer)
                if count:
                    kernel.reads[number] += 1
                return count

        return Counting()


def udp(receiver: Listening) -> list[bytes]:
    """
    The frames of UDP over IPv4 that have come.
    """
    return [frame for frame in receiver.frames if frame[10] >> 4 == 4 and frame[19] == 17]


def swapped(frame: bytes) -> bytes:
    """
    A frame of UDP on its way back.
    """
    at = ip_interface("10.66.0.0/24").version * 5 + 10
    return frame[:22] + frame[26:30] + frame[22:26] + frame[at + 2 : at + 4] + frame[at : at + 2] + frame[at + 4 :]
