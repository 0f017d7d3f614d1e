"""
Unmodified python-ndn programs at nodes of an overlay, over links that are good and links that are not.
"""

from __future__ import annotations

import json
import signal
import sys
from random import Random
from typing import Any

from twisted.internet import reactor as theReactor

from hermes.test.interop.local import Local
from hermes.test.interop.ndnnodes import MEGABYTE, NDNCase
from hermes.test.interop.process import freePort
from hermes.testing.links import (
    DatagramImpairment,
    ImpairedDatagramLink,
    ImpairedStreamLink,
    Rotation,
    StreamImpairment,
)

# Its type depends on the platform.
reactor: Any = theReactor

ONL = {"faces": {"one": {"to": "udp:onl.ndn.hermes"}}, "prefixes": [{"prefix": "/onl", "face": "one"}]}

PATIENT = "--lifetime", 10_000
"""
For where nothing is lost, however busy the machine is.
"""


class OverlayTests(NDNCase):
    """
    A consumer at one node, a producer at another, and a third between them.
    """

    async def test_objectsAreFetchedOverThreeProxies(self) -> None:
        port = freePort()
        names = self.names(
            f"tcp:127.0.0.1:{port}",
            faces={"one": {"to": "udp:onl.ndn.hermes"}, "two": {"to": "tcp:str.ndn.hermes"}},
            prefixes=[{"prefix": "/onl", "face": "one"}, {"prefix": "/stream", "face": "two"}],
        )
        await self.chain(names, self.names("unix:exit.sock"), {"onl": "relay", "str": "relay"})
        await self.producer("unix:exit.sock", "/onl/file", 25 * MEGABYTE)
        await self.fetch(f"tcp:127.0.0.1:{port}", "/onl/file", MEGABYTE)
        told = await self.fetch(f"tcp:127.0.0.1:{port}", "/onl/file", 25 * MEGABYTE, *PATIENT)
        self.assertEqual((told["timeouts"], told["nacks"]), (0, 0))
        # The other face is in a byte stream.
        await self.producer("unix:exit.sock", "/stream")
        told = await self.fetch(f"tcp:127.0.0.1:{port}", "/stream", 5 * MEGABYTE, *PATIENT)
        self.assertEqual((told["timeouts"], told["nacks"]), (0, 0))

    async def test_thePrefixChoosesThePath(self) -> None:
        names = self.names(
            "unix:edge.sock",
            faces={"one": {"to": "udp:onl.ndn.hermes"}, "two": {"to": "udp:arl.ndn.hermes"}},
            prefixes=[{"prefix": "/onl", "face": "one"}, {"prefix": "/arl", "face": "two"}],
        )
        nodes = await self.chain(names, self.names("unix:exit.sock"), {"onl": "relay-one", "arl": "relay-two"})
        await self.producer("unix:exit.sock", "/onl/file")
        await self.producer("unix:exit.sock", "/arl/file")
        await self.fetch("unix:edge.sock", "/onl/file", MEGABYTE)
        await self.fetch("unix:edge.sock", "/arl/file", MEGABYTE)
        await nodes["relay-two"].kill()
        # The Content Store has what was fetched, and nothing else gets through.
        await self.fetch("unix:edge.sock", "/onl/file", MEGABYTE + 1)
        consumer = self.program(
            "ndnconsumer", "unix:edge.sock", "/arl/file", MEGABYTE + 1, "--tries", 2, "--lifetime", 200
        )
        self.assertNotEqual(await consumer.end(), 0)
        # There is another way, which costs more.
        edge = nodes["edge"]
        config = json.loads(edge.path.read_text())
        config["listeners"]["names"]["prefixes"].append({"prefix": "/arl", "face": "one", "cost": 10})
        edge.configure(config)
        self.assertEqual(await edge.reload(), "reloaded: kept (admin); changed names")
        await self.fetch("unix:edge.sock", "/arl/file", MEGABYTE + 1)

    async def test_everyNodeMayForwardForItself(self) -> None:
        first, second = freePort(), freePort()
        onward = {"target": "*.ndn.hermes"}
        for name, port, following, hop, listener in (
            ("exit", second, "", None, self.names("unix:exit.sock")),
            ("relay", first, "exit", second, self.names("unix:relay.sock", **ONL)),
            ("edge", None, "relay", first, self.names("unix:edge.sock", **ONL)),
        ):
            listeners: dict[str, Any] = {"names": listener}
            routes: list[Any] = []
            upstreams = {}
            if hop is not None:
                upstreams[following] = {"type": "hermes", "endpoints": [f"127.0.0.1:{hop}"]}
                routes.append({"match": onward | {"listener": "names"}, "via": [following]})
            if port is not None:
                listeners["overlay"] = {"type": "tunnel", "bind": f"127.0.0.1:{port}"}
                routes.append({"match": onward | {"listener": "overlay"}, "to": "names"})
            await self.node(name, identity=self.identity(name), listeners=listeners, upstreams=upstreams, routes=routes)
        await self.producer("unix:exit.sock", "/onl/file")
        await self.fetch("unix:edge.sock", "/onl/file", 5 * MEGABYTE)
        # The one in the middle has it now.
        told = await self.fetch("unix:relay.sock", "/onl/file", 5 * MEGABYTE, *PATIENT)
        self.assertEqual(told["timeouts"], 0)

    async def test_programsStayConnectedOverAReloadAndTheNodeDrains(self) -> None:
        nodes = await self.chain(self.names("unix:edge.sock"), self.names("unix:exit.sock"), {"onl": "relay"})
        await self.producer("unix:exit.sock", "/onl/file")
        here = await self.producer("unix:edge.sock", "/here")
        edge = nodes["edge"]
        config = json.loads(edge.path.read_text())
        config["listeners"]["names"] |= ONL
        edge.configure(config)
        self.assertEqual(await edge.reload(), "reloaded: kept (admin); changed names")
        await self.fetch("unix:edge.sock", "/onl/file", MEGABYTE)
        await self.fetch("unix:edge.sock", "/here", MEGABYTE)
        self.assertIsNone(here.status)
        for name in ("edge", "exit"):
            nodes[name].signal(signal.SIGTERM)
            await nodes[name].end()
            self.assertIn("drained\n", nodes[name].output)


class LinkTests(NDNCase):
    """
    Links that lose, and links that come and go.
    """

    async def lossy(self, **options: Any) -> None:
        """
        A fetch over a UDP face that loses 2 % of all datagrams.
        """
        exitPort = freePort()
        link = ImpairedDatagramLink(
            reactor, ("127.0.0.1", exitPort), DatagramImpairment(delay=0.002, loss=0.02, reorder=0.01), Random(3)
        )
        link.start()
        self.addCleanup(link.stop)
        face = {"to": f"udp:127.0.0.1:{link.address[1]}", "direct": True, "mtu": 1400, **options}
        names = self.names("unix:edge.sock", faces={"far": face}, prefixes=[{"prefix": "/far", "face": "far"}])
        await self.node("edge", listeners={"names": names})
        await self.node(
            "exit", listeners={"names": self.names("unix:exit.sock", f"udp:127.0.0.1:{exitPort}", mtu=1400)}
        )
        await self.producer("unix:exit.sock", "/far/file")
        told = await self.fetch("unix:edge.sock", "/far/file", MEGABYTE, "--lifetime", 1500)
        # Of a packet in seven pieces one is lost with the whole.
        self.assertGreater(link.counts["lost"], 10)
        self.told = told

    async def test_whatIsLostIsAskedForAgain(self) -> None:
        await self.lossy()
        self.assertGreater(self.told["timeouts"], 2)

    async def test_reliabilityMakesGoodForIt(self) -> None:
        await self.lossy(reliability=True)
        self.assertLessEqual(self.told["timeouts"], 2)

    async def test_aHopThatFlaps(self) -> None:
        relayPort = freePort()
        links = [
            ImpairedStreamLink(reactor, ("127.0.0.1", relayPort), StreamImpairment(bandwidth=1e6), Random(5))
            for _ in range(2)
        ]
        links[0].start()
        links[1].start()
        for link in links:
            self.addCleanup(link.stop)
        nodes = await self.chain(
            self.names("unix:edge.sock", **ONL),
            self.names("unix:exit.sock"),
            {"onl": "relay"},
            ports={"relay": relayPort},
            seen={"relay": links[0].address[1]},
        )
        await self.producer("unix:exit.sock", "/onl/file")
        rotation = Rotation(reactor, links, 1.5)
        rotation.start()
        self.addCleanup(rotation.stop)
        told = await self.fetch("unix:edge.sock", "/onl/file", 2 * MEGABYTE, "--lifetime", 500, "--tries", 100)
        self.assertGreater(links[0].connections, 2)
        self.assertGreater(told["timeouts"] + told["nacks"], 0)
        self.assertIsNone(nodes["edge"].status)


class FaceTests(NDNCase):
    """
    One node, and those who connect to it.
    """

    async def test_everyKindOfFace(self) -> None:
        tcp, udp, ws = freePort(), freePort(), freePort()
        names = self.names("unix:one.sock", f"tcp:127.0.0.1:{tcp}", f"udp:127.0.0.1:{udp}", f"ws:127.0.0.1:{ws}")
        # Pages come by way of a web server, as a rule.
        node = await self.node(
            "one",
            listeners={"names": names, "web": {"type": "http", "bind": "127.0.0.1:0"}},
            upstreams={"names-ws": {"type": "direct", "endpoints": [f"127.0.0.1:{ws}"]}},
            routes=[{"match": {"listener": "web", "path": "/ndn"}, "to": "names-ws"}],
        )
        await self.producer(f"tcp:127.0.0.1:{tcp}", "/a/file")
        for face in ("unix:one.sock", f"tcp:127.0.0.1:{tcp}", f"udp:127.0.0.1:{udp}"):
            await self.fetch(face, "/a/file", MEGABYTE)
        name = "/a/file/100000/seg=12"
        for url, *origin in (
            (f"ws://127.0.0.1:{ws}/",),
            (f"ws://127.0.0.1:{ws}/", "https://app.example"),
            (f"ws://{node.address('web')}/ndn", "https://app.example"),
        ):
            said = await self.output(sys.executable, "-m", "hermes.test.interop.ndnbrowser", url, name, *origin)
            self.assertEqual(said, f"{name}: 4000 bytes\n")

    async def test_hermesIsTheLinkBetweenForwarders(self) -> None:
        # The far one stands for an NFD: nothing but faces connects the two.
        port, udp = freePort(), freePort()
        await self.node(
            "far", listeners={"names": self.names("unix:far.sock", f"tcp:127.0.0.1:{port}", f"udp:127.0.0.1:{udp}")}
        )
        faces = {
            "a": {"to": "unix:far.sock", "direct": True},
            "b": {"to": f"tcp:127.0.0.1:{port}", "direct": True},
            "c": {"to": f"udp:127.0.0.1:{udp}", "direct": True},
        }
        prefixes = [{"prefix": f"/{name}", "face": name} for name in faces]
        await self.node("near", listeners={"names": self.names("unix:near.sock", faces=faces, prefixes=prefixes)})
        for name in faces:
            await self.producer("unix:far.sock", f"/{name}")
            await self.fetch("unix:near.sock", f"/{name}", MEGABYTE)

    async def test_whoSendsGarbageIsLeftAndTheOthersGoOn(self) -> None:
        tcp, udp = freePort(), freePort()
        await self.node("one", listeners={"names": self.names(f"tcp:127.0.0.1:{tcp}", f"udp:127.0.0.1:{udp}")})
        await self.producer(f"tcp:127.0.0.1:{tcp}", "/a")
        local = Local(self)
        random = Random(1)
        datagrams = local.datagrams(udp)
        for _ in range(200):
            datagrams.write(random.randbytes(random.randrange(1, 3000)))
        for _ in range(20):
            stream = await local.connect(tcp)
            stream.socket.write(b"\x00" + random.randbytes(5000))
            await stream.ended()
        await self.fetch(f"tcp:127.0.0.1:{tcp}", "/a", MEGABYTE)
