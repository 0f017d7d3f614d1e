"""
Tests for L{hermes.commands.ndn}: C{peek}, C{poke}, C{ping} and C{pingserver}.
"""

from __future__ import annotations

from io import BytesIO
from typing import Any

from twisted.internet.defer import Deferred

from hermes.cli import main
from hermes.commands.ndn.common import FAILED, NACK, OK, TIMEOUT, USAGE
from hermes.commands.ndn.peek import peek
from hermes.commands.ndn.ping import ping
from hermes.commands.ndn.pingserver import serve
from hermes.commands.ndn.poke import poke
from hermes.ndn.packet.data import decodeData, encodeData
from hermes.ndn.packet.metainfo import MetaInfo
from hermes.ndn.packet.name import Name
from hermes.ndn.packet.peek import InterestView
from hermes.ndn.security.signers import DigestSigner
from hermes.test.ndn.commanding import CommandCase


class PeekPokeTests(CommandCase):
    """
    C{peek} and C{poke}.
    """

    def peek(self, *arguments: str) -> tuple[int, bytes]:
        """
        Peek; the status, and what is written.
        """
        output = BytesIO()
        client = self.network.client()
        options = self.options("peek", *arguments)

        async def work(_: object, options: Any, console: Any) -> int:
            return await peek(client, options, console, output)

        return self.run_(work, options), output.getvalue()

    def poke(self, *arguments: str, payload: bytes = b"hello") -> Deferred[int]:
        """
        Poke; what it is at after half a second.
        """
        options = self.options("poke", *arguments)
        waiting = self.running(poke, options, payload)
        self.network.run(0.5)
        return waiting

    def test_onePacketForOneInterest(self) -> None:
        waiting = self.poke("/a/b", "-x", "1000", "-F")
        self.assertNoResult(waiting)
        status, wire = self.peek("/a/b")
        data = decodeData(wire)
        self.assertEqual((status, bytes(data.content), str(data.name)), (OK, b"hello", "/a/b"))
        self.assertEqual(data.metaInfo, MetaInfo(freshness=1000, finalBlock=Name.fromText("/b")[0]))
        self.assertEqual(self.successResultOf(waiting), OK)

    def test_theContentOnly(self) -> None:
        self.poke("/a/b")
        self.assertEqual(self.peek("/a/b", "-p", "-P"), (OK, b"hello"))

    def test_whatTheInterestSays(self) -> None:
        self.poke("/a")
        parameters = self.file(b"file")
        for arguments in (("-A", "text"), ("-a", parameters)):
            self.peek("/a", "-f", "-H", "7", "-l", "1000", "-w", "100", "-F", "/there", "-F", "/or/there", *arguments)
        first, second = self.network.interests
        for view in (first, second):
            self.assertEqual((view.mustBeFresh, view.canBePrefix, view.hopLimit, view.lifetime), (True, False, 7, 1000))
            self.assertEqual(view.hint, (Name.fromText("/there").value, Name.fromText("/or/there").value))
        self.assertIn(b"\x24\x04text", first.wire)
        self.assertIn(b"\x24\x04file", second.wire)

    def test_noAnswer(self) -> None:
        self.assertEqual(self.peek("/b"), (NACK, b""))
        self.poke("/a")
        self.network.loses = lambda view: isinstance(view, InterestView)
        self.assertEqual(self.peek("/a", "-l", "300"), (TIMEOUT, b""))
        begun = self.network.clock.seconds()
        self.assertEqual(self.peek("/a", "-w", "500"), (TIMEOUT, b""))
        self.assertLess(self.network.clock.seconds() - begun, 0.6)

    def test_verified(self) -> None:
        root = self.file(self.key("gen", "/a").encode())
        self.poke("/a/b")
        self.assertEqual(self.peek("/a/b", "-p", "--anchor", root, "-v"), (OK, b"hello"))
        self.assertIn("/a/b: 5 bytes of content", self.output.getvalue())
        self.poke("/a/b", "-S", "digest")
        self.assertEqual(self.peek("/a/b", "-p", "--anchor", root), (FAILED, b""))

    def test_whatIsNotWholeIsRefused(self) -> None:
        wire = encodeData(Name.fromText("/a"), b"hello", DigestSigner()).replace(b"hello", b"jello")
        producer = self.network.client()
        self.network.routes[Name.fromText("/a").value] = self.network.ends[-1]
        producer.handle(Name.fromText("/a"), lambda view, reply: reply(wire))
        self.assertEqual(self.peek("/a"), (FAILED, b""))
        self.assertIn("not whole", self.output.getvalue())

    def test_nobodyAsks(self) -> None:
        self.assertEqual(self.network.result(self.poke("/a", "-w", "1000")), TIMEOUT)
        self.assertIn("nobody has asked for /a", self.output.getvalue())

    def test_unaskedItIsSentAtOnce(self) -> None:
        # Where somebody is on the way to it who does not answer.
        self.network.client()
        self.network.routes[Name.fromText("/a").value] = self.network.ends[-1]
        waiting = self.network.client().express(Name.fromText("/a"))
        self.assertEqual(self.successResultOf(self.poke("/a", "-u")), OK)
        self.assertEqual(self.successResultOf(waiting).content, b"hello")
        self.assertEqual(self.network.commands, [])

    def test_whenTheForwarderGoesAwayPokeFails(self) -> None:
        waiting = self.poke("/a")
        self.network.ends[-1].loseConnection()
        self.assertEqual(self.successResultOf(waiting), FAILED)

    def test_nothingIsLastInAnEmptyName(self) -> None:
        self.assertEqual(self.successResultOf(self.poke("/", "-F")), USAGE)


class PingTests(CommandCase):
    """
    C{ping} and C{pingserver}.
    """

    def serve(self, *arguments: str) -> Deferred[int]:
        """
        Answer.
        """
        waiting = self.running(serve, self.options("pingserver", "/a", *arguments))
        self.network.run(0.5)
        return waiting

    def ping(self, *arguments: str) -> int:
        """
        Ping.
        """
        return self.run_(ping, self.options("ping", "/a", *arguments))

    def test_eachHasALineAndAllHaveTheirStatistics(self) -> None:
        self.serve("-q")
        self.assertEqual(self.ping("-c", "3", "-n", "5", "-i", "100"), OK)
        self.assertEqual(
            self.output.getvalue().splitlines(),
            [
                "PING /a",
                *(f"content from /a: seq={number} time=20.000 ms" for number in (5, 6, 7)),
                "--- ping statistics for /a ---",
                "3 packets transmitted, 3 received, 0 nacked, 0% lost, 0% nacked, time 220.000 ms",
                "rtt min/avg/max/mdev = 20.000/20.000/20.000/0.000 ms",
            ],
        )

    def test_lostAndNacked(self) -> None:
        self.serve("-q")
        self.network.loses = lambda view: len(self.network.interests) == 2
        self.network.nacks = lambda view: 50 if len(self.network.interests) == 3 else None
        self.assertEqual(self.ping("-c", "4", "-n", "0", "-i", "500", "-o", "400"), FAILED)
        text = self.output.getvalue()
        self.assertIn("timeout from /a: seq=1\n", text)
        self.assertIn("nack from /a: seq=2 reason=congestion\n", text)
        self.assertIn("4 packets transmitted, 2 received, 1 nacked, 25% lost, 25% nacked", text)

    def test_quietOnlyTheStatistics(self) -> None:
        self.serve("-q")
        self.ping("-c", "1", "-q")
        self.assertTrue(self.output.getvalue().startswith("--- ping"))

    def test_theServerSaysWhatItAnswersAndEndsWhenItHas(self) -> None:
        waiting = self.serve("-p", "2", "-s", "10", "-x", "5")
        self.ping("-c", "2", "-n", "7", "-i", "100", "-q", "-p", "me", "-a", "-t")
        lines = self.output.getvalue().splitlines()[:3]
        self.assertEqual(lines[0], "PING SERVER /a")
        self.assertEqual(lines[1:], [f"interest received: /a/ping/me/{number}" for number in (7, 8)])
        self.assertEqual(self.successResultOf(waiting), OK)
        self.assertIn("--- /a ping server statistics ---\n2 packets processed\n", self.output.getvalue())

    def test_zeroIsNoEnd(self) -> None:
        waiting = self.serve("-p", "0", "-f", "5", "-q")
        self.ping("-c", "2", "-i", "100", "-q")
        self.assertNoResult(waiting)

    def test_whenTheForwarderGoesAwayTheServerFails(self) -> None:
        waiting = self.serve("-t")
        self.network.ends[-1].loseConnection()
        self.assertEqual(self.successResultOf(waiting), FAILED)

    def test_anEmptyIdentifierIsAWrongCall(self) -> None:
        self.assertEqual(main(["ndn", "ping", "/a", "-p", ""], self.console), USAGE)
