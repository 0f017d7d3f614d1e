"""
Tests for C{twistd hermes-proxy}: real processes, few of them.
"""

from __future__ import annotations

import os
from pathlib import Path
from signal import SIGTERM
from textwrap import dedent
from typing import Any

from twisted.application.service import IServiceMaker
from twisted.internet import reactor as installedReactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP4ServerEndpoint, connectProtocol
from twisted.internet.protocol import Factory, Protocol
from twisted.plugin import getPlugins
from twisted.trial.unittest import SynchronousTestCase, TestCase

import hermes
from hermes.listeners import listenerTypes
from hermes.net.authority import OverlayAuthority
from hermes.test.processes import ProxyProcess, freePort

reactor: Any = installedReactor


class PluginTests(SynchronousTestCase):
    """
    What Twisted finds.
    """

    def test_twistdKnowsTheProxy(self) -> None:
        names = [maker.tapname for maker in getPlugins(IServiceMaker)]
        self.assertEqual(names.count("hermes-proxy"), 1)

    def test_theListenerTypesAreFound(self) -> None:
        self.assertLessEqual({"tcp", "udp", "tunnel"}, set(listenerTypes()))

    def test_twistedStaysANamespaceOfItsOwn(self) -> None:
        top = Path(hermes.__file__).parent.parent / "twisted"
        self.assertEqual(sorted(str(path.relative_to(top)) for path in top.rglob("__init__.py")), [])


class Echo(Protocol):
    """
    Sends back what it gets.
    """

    def dataReceived(self, data: bytes) -> None:
        assert self.transport is not None
        self.transport.write(data)


class Collected(Protocol):
    """
    Waits for bytes.
    """

    def __init__(self) -> None:
        self.data = b""
        self._wanted: tuple[int, Deferred[bytes]] | None = None

    def send(self, data: bytes) -> None:
        """
        Write.
        """
        assert self.transport is not None
        self.transport.write(data)

    def dataReceived(self, data: bytes) -> None:
        self.data += data
        self._look()

    def received(self, count: int) -> Deferred[bytes]:
        """
        Fires once so many bytes are there, with them.
        """
        waiting: Deferred[bytes] = Deferred()
        self._wanted = count, waiting
        self._look()
        return waiting

    def _look(self) -> None:
        if self._wanted is not None and len(self.data) >= self._wanted[0]:
            (count, waiting), self._wanted = self._wanted, None
            taken, self.data = self.data[:count], self.data[count:]
            waiting.callback(taken)


class ProcessCase(TestCase):
    """
    A test with proxies.
    """

    timeout = 120

    def setUp(self) -> None:
        self.directory: str = os.path.abspath(self.mktemp())
        os.mkdir(self.directory)

    def write(self, name: str, text: str) -> str:
        """
        A file, and its path.
        """
        path = os.path.join(self.directory, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(dedent(text))
        return path

    def proxy(self, config: str, *options: str) -> ProxyProcess:
        """
        A proxy that ends with the test.
        """
        process = ProxyProcess.start(reactor, config, *options)
        self.addCleanup(process.stop)
        return process

    async def echoServer(self) -> int:
        """
        A server that sends back what it gets; its port.
        """
        port: Any = await TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(Factory.forProtocol(Echo))
        self.addCleanup(port.stopListening)
        return int(port.getHost().port)

    async def connect(self, port: int) -> Collected:
        """
        A connection.
        """
        connected: Collected = await connectProtocol(TCP4ClientEndpoint(reactor, "127.0.0.1", port), Collected())
        return connected

    async def echoed(self, connection: Collected, data: bytes) -> None:
        """
        Send, and see it come back.
        """
        connection.send(data)
        self.assertEqual(await connection.received(len(data)), data)


class ProcessTests(ProcessCase):
    """
    One process.
    """

    def test_aWrongConfigurationIsToldWithoutATraceback(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self._wrongConfiguration())

    async def _wrongConfiguration(self) -> None:
        path = self.write("node.yaml", "node: edge\nworkrs: 2\n")
        process = self.proxy(path)
        self.assertEqual(await process.ended(), 1)
        self.assertEqual(process.lines, [f"{path}:2:1: workrs: unknown key; did you mean 'workers'?"])

    def test_anAddressThatIsTakenIsToldWithoutATraceback(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self._taken())

    async def _taken(self) -> None:
        port = await self.echoServer()
        path = self.write(
            "node.yaml",
            f"node: edge\nlisteners: {{a: {{type: tcp, bind: '127.0.0.1:{port}', target: 'a.example:1'}}}}\n",
        )
        process = self.proxy(path)
        self.assertEqual(await process.ended(), 1)
        said = f"hermes-proxy: listener a: can't listen on 127.0.0.1:{port}: Address already in use"
        self.assertTrue(process.lines[-1].endswith(said), process.lines[-1])

    def test_flowsGoOnThroughReloadAndDrain(self) -> Deferred[None]:
        """
        Two proxies over TLS: a flow outlives a reload that takes its listener away, and a drain waits for it.
        """
        return Deferred.fromCoroutine(self._reloadAndDrain())

    async def _reloadAndDrain(self) -> None:
        authority = OverlayAuthority.create(os.path.join(self.directory, "ca"))
        for name in ("edge", "exit"):
            authority.issue(name)
        target, overlay, first, second = await self.echoServer(), freePort(), freePort(), freePort()
        exitConfig = self.write(
            "exit.yaml",
            f"""\
            node: exit
            identity: {{certificate: ca/exit.pem, key: ca/exit.key, trust: ca/overlay-ca.pem}}
            listeners: {{overlay: {{type: tunnel, bind: '127.0.0.1:{overlay}'}}}}
            routes: [{{match: {{node: edge}}, allowSpecial: true}}]
            """,
        )
        edge = """\
            node: edge
            identity: {certificate: ca/edge.pem, key: ca/edge.key, trust: ca/overlay-ca.pem}
            listeners: {echo: {type: tcp, bind: '127.0.0.1:LISTEN', target: '127.0.0.1:TARGET'}}
            upstreams: {exit: {type: hermes, endpoints: '127.0.0.1:OVERLAY'}}
            routes: [{match: {any: true}, via: exit}]
            drain: 60
            """.replace("TARGET", str(target)).replace("OVERLAY", str(overlay))
        edgeConfig = self.write("edge.yaml", edge.replace("LISTEN", str(first)))
        exitProxy, edgeProxy = self.proxy(exitConfig), self.proxy(edgeConfig)
        await exitProxy.ready()
        self.assertIn(f"echo (tcp) on 127.0.0.1:{first}", await edgeProxy.ready())
        old = await self.connect(first)
        await self.echoed(old, b"before")

        self.write("edge.yaml", edge.replace("LISTEN", str(second)))
        edgeProxy.signal("HUP")
        await edgeProxy.printed(r"reloaded: started echo; stopped echo")
        await self.echoed(old, b"after the reload")
        new = await self.connect(second)
        await self.echoed(new, b"over the new listener")
        new.transport.loseConnection()  # type: ignore[union-attr]

        self.write("edge.yaml", edge.replace("LISTEN", "none"))
        edgeProxy.signal("HUP")
        await edgeProxy.printed(r"not reloaded: .*edge.yaml:3:\d+: listeners.echo.bind: .*'none' is not a port")

        edgeProxy.signal("TERM")
        await edgeProxy.printed(r"draining, at most 60 seconds")
        await self.echoed(old, b"while it drains")
        old.transport.loseConnection()  # type: ignore[union-attr]
        self.assertEqual(await edgeProxy.ended(), -SIGTERM)
        await edgeProxy.printed(r"#info\] drained$")
        self.assertEqual([line for line in edgeProxy.lines + exitProxy.lines if "Traceback" in line], [])
