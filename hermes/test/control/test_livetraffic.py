"""
A download, a stream of 1,000 datagrams a second, requests on one connection and a tunnel, over an overlay of three
nodes, while fifty changes are made to it, of which five are refused: nothing is lost, and nothing is reset.
"""

from __future__ import annotations

import json
import socket
import sys
from copy import deepcopy
from shutil import which
from typing import Any

import yaml
from twisted.internet import reactor as installedReactor
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP4ServerEndpoint, connectProtocol
from twisted.internet.protocol import Factory
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase
from twisted.web.resource import Resource
from twisted.web.server import Site

from hermes.test.control.overlaychanges import COMMITTED, LINKS, Change, Document, allow, bad, good, service
from hermes.test.control.processes import environment
from hermes.test.control.processoverlay import ProcessOverlay
from hermes.test.control.talking import Talking
from hermes.test.control.traffic import Asking, Download, Short, Slow
from hermes.test.processes import PATIENCE, ProxyProcess, ports
from hermes.test.test_plugins import Echo

reactor: Any = installedReactor

CHANGES = 50
REFUSED = {7, 16, 25, 34, 43}
"""
Which of them.
"""


class LiveTrafficTests(TestCase):
    """
    C{edge}, where everything comes in, C{relay}, and C{gateway}, which leads to the services.
    """

    timeout = 6 * PATIENCE
    skip = None if which("curl") else "curl is not installed"

    async def setUp(self) -> None:  # type: ignore[override]
        self.slow = Slow()
        root = Resource()
        root.putChild(b"slow", self.slow)
        root.putChild(b"short", Short())
        self.web = await self.listen(Site(root, timeout=None))
        self.talk = await self.listen(Factory.forProtocol(Echo))
        taken = await self.listen(Factory())
        self.overlay = ProcessOverlay(self, ("edge", "relay", "gateway"))
        edge, relay, gateway, self.apps, self.spare, moved, dead = ports(7)
        (self.datagrams,) = ports(1, socket.SOCK_DGRAM)
        self.stream = self.sender()
        line = await self.stream.printed("sends back from")
        self.document: Document = {
            "overlay": "example",
            "nodes": {
                "edge": {
                    "address": f"127.0.0.1:{edge}",
                    "listeners": {
                        "apps": {"type": "proxy", "bind": f"127.0.0.1:{self.apps}"},
                        "stream": {"type": "udp", "bind": f"127.0.0.1:{self.datagrams}", "target": "echo.hermes:7"},
                    },
                },
                "relay": {"address": f"127.0.0.1:{relay}"},
                "gateway": {"address": f"127.0.0.1:{gateway}"},
            },
            "links": deepcopy(LINKS),
            "services": {
                "web.hermes": service(self.web, protocol="http"),
                "echo.hermes": service(int(line.split()[-1]), protocol="udp", ports=[7]),
                "talk.hermes": service(self.talk, ports=[1000]),
                "other.hermes": service(self.talk, ports=[1000]),
            },
            "policy": [allow("any", each) for each in ("web.hermes", "echo.hermes", "talk.hermes", "other.hermes")],
            "tests": [{"at": ["edge"], "can": ["http://web.hermes/", "echo.hermes:7", "talk.hermes:1000"]}],
            "settings": {"trial": "100ms", "decide": "20s", "probe": ["web.hermes:80", "talk.hermes:1000"]},
        }
        self.good, self.bad = good([self.spare, moved]), bad(taken, dead)
        await self.overlay.start()
        await self.make(Change("the first", lambda document, count: None))

    async def listen(self, factory: Any) -> int:
        """
        @return: the port.
        """
        port = await TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(factory)
        self.addCleanup(port.stopListening)
        return int(port.getHost().port)

    def sender(self) -> ProxyProcess:
        """
        Start the process that sends datagrams.
        """
        process = ProxyProcess(reactor)
        command = [sys.executable, "-m", "hermes.test.control.datagramstream"]
        reactor.spawnProcess(process, sys.executable, command, env=environment())
        self.addCleanup(process.stop)
        return process

    async def make(self, change: Change) -> None:
        """
        Make a change.
        """
        document = change.of(self.document)
        status, text = await self.overlay.apply(yaml.safe_dump(document, sort_keys=False))
        self.assertIn(change.said, text, f"{change.name}: {text}")
        self.assertEqual(status, int(change.said != COMMITTED), f"{change.name}: {text}")
        if not status:
            self.document = document

    def download(self) -> Download:
        """
        Begin one.
        """
        curl = Download()
        proxy = f"http://127.0.0.1:{self.apps}"
        command = [
            "curl",
            "--silent",
            "--show-error",
            "--fail",
            "--no-buffer",
            "--proxy",
            proxy,
            "http://web.hermes/slow",
        ]
        reactor.spawnProcess(curl, which("curl"), command)
        self.addCleanup(curl.stop)
        return curl

    async def test_nothing_is_lost_and_nothing_is_reset_while_fifty_changes_are_made(self) -> None:
        talking = Talking("talk.hermes:1000")
        await connectProtocol(TCP4ClientEndpoint(reactor, "127.0.0.1", self.apps), talking)
        self.assertIn(b" 200 ", await talking.heard)
        self.stream.transport.write(f"{self.datagrams}\n".encode())
        curl = self.download()
        await curl.further(0)
        asking = Asking(self.apps)
        asked = deferToThread(asking.run)
        self.addCleanup(asking.stop)

        for number in range(1, CHANGES + 1):
            asking.changing, asking.trying = True, number in REFUSED
            await self.make(next(self.bad) if asking.trying else next(self.good))
            asking.changing = asking.trying = False
            self.assertFalse(asked.called, asked)
            # What goes on, goes on.
            said = f"after {number}".encode()
            self.assertEqual(await talking.say(said), said)
            await curl.further(self.slow.length)

        asking.stop()
        await asked
        # Seldom more than one, of some hundred.
        self.assertLess(asking.between, asking.asked / 20)
        self.slow.finish()
        self.assertEqual((await curl.ended, curl.errors), (0, b""))
        self.assertEqual((curl.length, curl.digest.digest()), (self.slow.length, self.slow.digest.digest()))
        self.assertFalse(talking.lost.called)
        assert talking.transport is not None
        talking.transport.loseConnection()
        await talking.lost

        self.stream.transport.closeStdin()
        tally = json.loads(await self.stream.printed("^{"))
        self.assertEqual(tally["received"], tally["sent"], tally)
        self.assertEqual([tally[key] for key in ("repeated", "disordered", "foreign", "sources")], [0, 0, 0, 1], tally)
        versions = await self.overlay.history()
        phases = [version["phase"] for version in versions]
        # Two of those that are refused never get a number.
        self.assertEqual((phases.count("committed"), phases.count("aborted")), (CHANGES + 1 - len(REFUSED), 3))
        self.assertTrue(await self.overlay.current())
