"""
Nodes that change, stop and die while somebody uses them.
"""

from __future__ import annotations

import hashlib
import json
import signal
from typing import Any

from twisted.internet.error import ConnectError, ConnectionRefusedError

from hermes.test.interop.datagrams import DatagramEcho
from hermes.test.interop.local import Local
from hermes.test.interop.processes import Node, ProcessCase, proxy, tcp, udp
from hermes.test.interop.streams import Counter, Echo, Endless, Server, Stream, inOrder
from hermes.test.processes import freePort

MIB = 1 << 20


class LifecycleCase(ProcessCase):
    """
    What these tests do more than once.
    """

    def setUp(self) -> None:
        super().setUp()
        self.local = Local(self)

    async def echoed(self, stream: Stream, data: bytes = b"are you there?") -> None:
        """
        Bytes go to an echo and come back.
        """
        stream.write(data)
        self.assertEqual(await stream.read(len(data)), data)

    async def refused(self, port: int) -> None:
        """
        Connect to where nobody may.
        """
        try:
            stream = await self.local.connect(port)
        except ConnectError:
            # The reset was there before its turn came.
            return
        self.assertFalse(inOrder(await stream.ended()))

    async def ask(self, node: Node, server: Server) -> tuple[Stream, bytes]:
        """
        Ask a C{proxy} listener for a stream.

        @return: the stream, and the head of the answer.
        """
        stream = await self.local.connect(node.ports["apps"])
        stream.write(b"CONNECT 127.0.0.1:%d HTTP/1.1\r\nHost: x\r\n\r\n" % server.port)
        return stream, await stream.readThrough(b"\r\n\r\n")


class ReloadTests(LifecycleCase):
    """
    SIGHUP.
    """

    async def test_aReloadUnderARunningTransferDropsNothing(self) -> None:
        server = await self.local.server(Counter)
        echo = await self.local.server(Echo)
        datagramEcho = self.local.datagrams(make=DatagramEcho)
        listeners = {"apps": tcp(server.port), "echo": tcp(echo.port), "games": udp(datagramEcho.port)}
        edge, exit = await self.pair(listeners)
        before: dict[str, Any] = json.loads(edge.path.read_text())
        client = await self.local.connect(edge.ports["apps"], Counter)
        far = await server.next()
        sender, back = Endless(client), Endless(far)
        steady = await self.local.connect(edge.ports["echo"])
        await self.echoed(steady)
        game = self.local.datagrams(edge.ports["games"])

        async def someMore() -> None:
            goals = far.count + 4 * MIB, client.count + 4 * MIB
            await far.until(lambda: far.count > goals[0] and client.count > goals[1])
            await self.echoed(steady)
            game.write(b"ping")
            self.assertEqual(await game.read(), b"ping")

        await someMore()
        # The same once more; other routes; a listener more; one less, on which a flow is open; a new certificate.
        self.assertIn("kept", await edge.reload())
        await someMore()
        edge.configure({**before, "routes": [{"match": {"any": True}, "deny": "not today"}]})
        await edge.reload()
        await someMore()
        await self.refused(edge.ports["echo"])
        self.assertEqual((await edge.flow(event="refused"))["proxyStatus"], "http_request_denied")
        edge.configure({**before, "listeners": {**listeners, "more": tcp(echo.port, bind=f"127.0.0.1:{freePort()}")}})
        self.assertIn("started more", await edge.reload())
        await someMore()
        del listeners["apps"]
        edge.configure({**before, "listeners": listeners})
        self.assertIn("stopped apps, more", await edge.reload())
        await someMore()
        with self.assertRaises(ConnectionRefusedError):
            await self.local.connect(edge.ports["apps"])
        self.identity("exit")
        await exit.reload()
        await someMore()
        # The next proxy's listener with another option, on the same port.
        beyond: dict[str, Any] = json.loads(exit.path.read_text())
        beyond["listeners"]["overlay"]["anonymous"] = True
        exit.configure(beyond)
        self.assertIn("started overlay; stopped overlay", await exit.reload())
        await someMore()
        late = await self.local.connect(edge.ports["echo"])
        await self.echoed(late)

        # A configuration that is wrong changes nothing.
        edge.configure({**before, "routes": [{"match": {"any": True}, "via": ["exti"]}]})
        self.assertIn("not reloaded", await edge.reload())
        await someMore()
        for endless, reader in ((sender, far), (back, client)):
            endless.stop()
            await reader.until(lambda reader=reader, endless=endless: reader.count == endless.sent)  # type: ignore[misc]
            chunks = endless.sent // len(Endless.chunk)
            self.assertEqual(reader.digest.digest(), hashlib.sha256(Endless.chunk * chunks).digest())
        client.finish()
        far.finish()
        self.assertTrue(inOrder(await client.ended()))

    async def test_eachTypeOfListenerTakesOtherOptions(self) -> None:
        """
        In its own place, forth and back.
        """
        names = "overlay", "stream", "datagrams", "explicit", "requests"
        named, ports = freePort(), {name: freePort() for name in [*names, "admin"]}

        def config(header: bool, target: int) -> dict[str, Any]:
            at = {name: f"127.0.0.1:{port}" for name, port in ports.items()}
            listeners: dict[str, dict[str, Any]] = {
                "overlay": {"type": "tunnel", "tls": False, "anonymous": True, "proxyProtocol": header},
                "stream": {"type": "tcp", "target": f"127.0.0.1:{target}"},
                "datagrams": {"type": "udp", "target": f"127.0.0.1:{target}"},
                "explicit": {"type": "proxy", "proxyProtocol": header},
                "requests": {"type": "http", "proxyProtocol": header},
            }
            return self.config(
                "edge",
                listeners={
                    **{name: {**listeners[name], "bind": at[name]} for name in names},
                    "names": {"type": "ndn", "bind": f"tcp:127.0.0.1:{named}", "pitCapacity": 1_000_000 + target},
                },
                admin={"bind": at["admin"]},
            )

        node = self.startNode("edge", config(header=False, target=1))
        await node.ready()
        changed = f"reloaded: kept (admin); changed names; started {', '.join(names)}; stopped {', '.join(names)}"
        for header, target in ((True, 2), (False, 1)):
            node.configure(config(header, target))
            self.assertEqual(await node.reload(), changed)

    async def test_newHandshakesShowTheNewCertificate(self) -> None:
        node = await self.node(
            "exit",
            identity=self.identity("exit"),
            listeners={"overlay": {"type": "tunnel", "bind": "127.0.0.1:0"}},
        )

        async def serial() -> str:
            process = self.start("openssl", "s_client", "-connect", node.address("overlay"), "-alpn", "h2")
            process.closeInput()
            await process.end()
            return process.output.partition("-----BEGIN CERTIFICATE-----")[2].partition("-----END")[0]

        first = await serial()
        self.assertEqual(await serial(), first)
        self.identity("exit")
        await node.reload()
        self.assertNotEqual(await serial(), first)


class DrainTests(LifecycleCase):
    """
    SIGTERM.
    """

    async def test_theNodeNearTheApplicationDrains(self) -> None:
        server = await self.local.server(Echo)
        edge, exit = await self.pair({"apps": proxy()})
        await self.drain(edge, edge, server, None)
        # The other did not notice.
        self.assertIsNone(exit.status)
        self.assertTrue((await exit.flow(event="closed")).get("error") is None)

    async def test_theNextHopDrains(self) -> None:
        server = await self.local.server(Echo)
        edge, exit = await self.pair({"apps": proxy()})
        await self.drain(edge, exit, server, b"HTTP/1.1 50")

    async def drain(self, edge: Node, drained: Node, server: Server, refused: bytes | None) -> None:
        """
        Stop a node while a flow is open: that goes on to its end, and no other is opened.

        @param refused: how the answer to one who asks for another begins; L{None}: nobody listens.
        """
        stream, answer = await self.ask(edge, server)
        self.assertIn(b" 200 ", answer)
        await self.echoed(stream)
        drained.signal(signal.SIGTERM)
        await drained.said("draining")
        await self.echoed(stream, bytes(MIB))
        if refused is None:
            with self.assertRaises(ConnectionRefusedError):
                await self.ask(edge, server)
        else:
            _, answer = await self.ask(edge, server)
            self.assertTrue(answer.startswith(refused), answer)
            self.assertIn(b"proxy-status: edge;error=", answer)
        await self.echoed(stream, bytes(MIB))
        self.assertIsNone(drained.status)
        stream.finish()
        self.assertTrue(inOrder(await stream.ended()))
        await drained.end()
        self.assertIn("drained", drained.output)
        self.assertNotIn("Traceback", drained.output)

    async def test_whatDoesNotEndInTimeIsEnded(self) -> None:
        server = await self.local.server(Echo)
        edge = await self.node(
            "edge",
            listeners={"apps": tcp(server.port)},
            routes=[{"match": {"any": True}, "allowSpecial": True}],
            drain="100ms",
        )
        stream = await self.local.connect(edge.ports["apps"])
        await self.echoed(stream)
        edge.signal(signal.SIGTERM)
        self.assertFalse(inOrder(await stream.ended()))
        await edge.end()
        self.assertIn("stopped with flows still open", edge.output)


class DeathTests(LifecycleCase):
    """
    SIGKILL.
    """

    async def test_aNextHopThatDiesIsAnErrorAndOneThatReturnsIsUsed(self) -> None:
        server = await self.local.server(Echo)
        edge, exit = await self.pair({"apps": proxy()})
        streams = [(await self.ask(edge, server))[0] for _ in range(3)]
        for stream in streams:
            await self.echoed(stream)
        await exit.kill()
        for stream in streams:
            # A reset: who reads must not take it for the end.
            self.assertFalse(inOrder(await stream.ended()))
        for _ in range(2):
            stream, answer = await self.ask(edge, server)
            self.assertTrue(answer.startswith(b"HTTP/1.1 502 "), answer)
            self.assertIn(b"proxy-status: edge;error=", answer)
        flow = await edge.flow(event="closed")
        self.assertIn("target", flow["error"])

        again = self.startNode("exit", json.loads(exit.path.read_text()))
        await again.ready()

        stream, answer = await self.ask(edge, server)
        self.assertIn(b" 200 ", answer)
        await self.echoed(stream)
        self.assertNotIn("Traceback", edge.output)

    async def test_anApplicationThatDiesLeavesNothingBehind(self) -> None:
        server = await self.local.server(Counter)
        edge, exit = await self.pair({"apps": proxy()})
        command = ("-sS", "-N", "-x", f"http://{edge.address('apps')}", f"http://127.0.0.1:{server.port}/", "-T", "-")
        curl = self.start("curl", *command)
        far = await server.next()
        await far.until(lambda: far.count > 0)
        await curl.kill()
        await far.ended()
        for node in (edge, exit):
            entry = await node.flow(event="request")
            self.assertIsNotNone(entry["error"])
            self.assertEqual(json.loads(await node.ask("/flows")), [])
            self.assertEqual(json.loads(await node.ask("/requests")), [])
