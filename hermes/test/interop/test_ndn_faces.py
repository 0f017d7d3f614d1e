"""
Unmodified python-ndn programs at nodes of an overlay, over links that are good and links that are not.
"""

from __future__ import annotations

import json
import signal
import sys
from random import Random
from typing import Any

from hermes.test.interop.local import Local
from hermes.test.interop.ndnnodes import MEGABYTE, NDNCase
from hermes.test.processes import freePort

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
        prefixes = "/onl/file", "/arl/file"
        await self.together(*[self.producer("unix:exit.sock", prefix) for prefix in prefixes])
        await self.together(*[self.fetch("unix:edge.sock", prefix, MEGABYTE) for prefix in prefixes])
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
        nodes = []
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
            sections = {"listeners": listeners, "upstreams": upstreams, "routes": routes}
            nodes.append(self.startNode(name, self.config(name, identity=self.identity(name), **sections)))
        for node in nodes:
            await node.ready()
        await self.producer("unix:exit.sock", "/onl/file")
        await self.fetch("unix:edge.sock", "/onl/file", 5 * MEGABYTE)
        # The one in the middle has it now.
        told = await self.fetch("unix:relay.sock", "/onl/file", 5 * MEGABYTE, *PATIENT)
        self.assertEqual(told["timeouts"], 0)

    async def test_programsStayConnectedOverAReloadAndTheNodeDrains(self) -> None:
        nodes = await self.chain(self.names("unix:edge.sock"), self.names("unix:exit.sock"), {"onl": "relay"})
        _, here = await self.together(
            self.producer("unix:exit.sock", "/onl/file"), self.producer("unix:edge.sock", "/here")
        )
        edge = nodes["edge"]
        config = json.loads(edge.path.read_text())
        config["listeners"]["names"] |= ONL
        edge.configure(config)
        self.assertEqual(await edge.reload(), "reloaded: kept (admin); changed names")
        await self.together(*[self.fetch("unix:edge.sock", each, MEGABYTE) for each in ("/onl/file", "/here")])
        self.assertIsNone(here.status)
        for name in ("edge", "exit"):
            nodes[name].signal(signal.SIGTERM)
            await nodes[name].end()
            self.assertIn("drained\n", nodes[name].output)


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
        faces = "unix:one.sock", f"tcp:127.0.0.1:{tcp}", f"udp:127.0.0.1:{udp}"
        await self.together(*[self.fetch(face, "/a/file", MEGABYTE) for face in faces])
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
        await self.together(*[self.producer("unix:far.sock", f"/{name}") for name in faces])
        await self.together(*[self.fetch("unix:near.sock", f"/{name}", MEGABYTE) for name in faces])

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
