"""
What keys of a listener's configuration bring about in a node, seen from the wire. The packets are python-ndn's.
"""

from __future__ import annotations

import json
from typing import Any

from hermes.ndn.packet.errors import PacketError
from hermes.ndn.packet.lp import decode
from hermes.ndn.packet.tlv import readHead
from hermes.test.admin.test_admin import samples
from hermes.test.interop.local import Local
from hermes.test.interop.ndnnodes import NDNCase
from hermes.test.interop.processes import Node
from hermes.test.interop.streams import Stream
from hermes.test.processes import freePort

INTEREST, DATA, LINK = 5, 6, 100
CONGESTION, NO_ROUTE = 50, 150


def madeInterest(name: str, hint: str = "", lifetime: int = 4000) -> bytes:
    """
    An Interest.

    @param hint: a forwarding hint of one name.
    """
    from ndn.encoding import InterestParam, Name, make_interest

    parameters = InterestParam(lifetime=lifetime, nonce=hash(name) & 0xFFFFFFFF)
    if hint:
        parameters.forwarding_hint = [Name.from_str(hint)]
    return bytes(make_interest(Name.from_str(name), parameters))


def madeData(name: str) -> bytes:
    """
    Data.
    """
    from ndn.encoding import MetaInfo, Name, make_data
    from ndn.security import DigestSha256Signer

    return bytes(make_data(Name.from_str(name), MetaInfo(freshness_period=60_000), b"content", DigestSha256Signer()))


class Program(Stream):
    """
    A program at a node.
    """

    async def packet(self) -> bytes:
        """
        The next packet.
        """
        while True:
            have = len(self.received)
            try:
                return await self.read(readHead(bytes(self.received), 0, have)[2])
            except PacketError:
                await self.until(lambda have=have: len(self.received) > have)  # type: ignore[misc]

    async def nack(self) -> int | None:
        """
        The next packet is a Nack: its reason.
        """
        packet = await self.packet()
        return decode(packet).nackReason if packet[0] == LINK else None


class ConfigurationTests(NDNCase):
    """
    One node, and programs at it.
    """

    async def started(self, **options: Any) -> Node:
        """
        A node with these keys.
        """
        self.port = freePort()
        self.local = Local(self)
        return await self.node("one", listeners={"names": self.names(f"tcp:127.0.0.1:{self.port}", **options)})

    async def changed(self, node: Node, **options: Any) -> None:
        """
        The node has these keys from now on, in place.
        """
        config = json.loads(node.path.read_text())
        config["listeners"]["names"] |= options
        node.configure(config)
        self.assertEqual(await node.reload(), "reloaded: kept (admin); changed names")

    async def connected(self) -> Program:
        """
        A program connects.
        """
        program = await self.local.connect(self.port, Program)
        assert isinstance(program, Program)
        return program

    async def test_dataThatNobodyHasAskedForIsKeptWhereThatIsWanted(self) -> None:
        node = await self.started()
        program = await self.connected()
        program.write(madeData("/a") + madeInterest("/a"))
        self.assertEqual(await program.nack(), NO_ROUTE)
        await self.changed(node, keepsUnsolicited=True)
        program.write(madeData("/b") + madeInterest("/b"))
        self.assertEqual(await program.packet(), madeData("/b"))

    async def test_aForwardingHintThatLeadsHereHasArrived(self) -> None:
        node = await self.started(regions=["/there", "/net/here"])
        await self.producer(f"tcp:127.0.0.1:{self.port}", "/far/file")
        program = await self.connected()
        program.write(madeInterest("/far/file/100/seg=0", hint="/net"))
        answer = await program.packet()
        self.assertEqual(answer[0], DATA)
        program.write(madeInterest("/far/file/200/seg=0", hint="/elsewhere"))
        self.assertEqual(await program.nack(), NO_ROUTE)
        await self.changed(node, regions=[])
        program.write(madeInterest("/far/file/300/seg=0", hint="/net"))
        self.assertEqual(await program.nack(), NO_ROUTE)

    async def refused(self, program: Program, prefix: str) -> int:
        """
        How many of many Interests that are pending at once are answered with a Nack for want of room. The last is for
        what nobody has, and gets one whether there is room or not: then all were handled.
        """
        last = madeInterest("/none")
        program.write(b"".join(madeInterest(f"{prefix}/{number}/0/0", lifetime=30_000) for number in range(1000)))
        program.write(last)
        refused = 0
        while (nack := decode(await program.packet())).fragment != last:
            self.assertEqual(nack.nackReason, CONGESTION)
            refused += 1
        return refused

    async def test_pendingInterestsAreBounded(self) -> None:
        node = await self.started()
        # It answers nothing of so many components.
        await self.producer(f"tcp:127.0.0.1:{self.port}", "/silent")
        first = await self.connected()
        self.assertEqual(await self.refused(first, "/silent/a"), 0)
        await self.changed(node, pitCapacity="64KiB")
        # What there is no room for any more goes at once.
        evicted = [await first.nack() for _ in range(500)]
        self.assertEqual(set(evicted), {CONGESTION})
        second = await self.connected()
        self.assertGreater(await self.refused(second, "/silent/b"), 500)


class MetricsTests(NDNCase):
    """
    What a node with faces tells Prometheus.
    """

    async def test_afterAFetchAllIsCounted(self) -> None:
        node = await self.node("one", admin={"bind": "127.0.0.1:0"}, listeners={"names": self.names("unix:one.sock")})
        await self.producer("unix:one.sock", "/a/file")
        told = await self.fetch("unix:one.sock", "/a/file", 400_000, "--lifetime", 10_000)
        await self.fetch("unix:one.sock", "/a/file", 400_000, "--lifetime", 10_000)
        self.assertEqual(told["timeouts"], 0)
        found = samples((await node.ask("/metrics")).encode())

        def count(name: str, **labels: str) -> float:
            told = ",".join(f"{key}={value}" for key, value in sorted({"listener": "names", **labels}.items()))
            return found[f"hermes_ndn_{name}{{{told}}}"]

        # To the producer, and from the consumers, each; and the producer registers a prefix.
        self.assertEqual(count("packets_total", face="fd:", direction="out", packet="interest"), 50)
        self.assertGreater(count("packets_total", face="fd:", direction="in", packet="interest"), 100)
        self.assertGreater(count("bytes_total", face="fd:", direction="out"), 800_000)
        self.assertGreater(count("bytes_total", face="fd:", direction="in"), 400_000)
        self.assertEqual(count("store_lookups_total", result="hit"), 50)
        self.assertEqual(count("pit_entries"), 0)
        self.assertGreaterEqual(count("store_packets"), 50)
        self.assertGreaterEqual(count("interests_total", result="satisfied"), 50)
        self.assertGreaterEqual(count("fib_entries"), 1)
        self.assertEqual(count("packets_total", face="fd:", direction="out", packet="nack"), 0)
