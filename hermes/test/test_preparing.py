"""
What can be known before a node takes a configuration refuses it then: with real files, ports and devices. What the node
runs stays as it was, and traffic goes on.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from shutil import rmtree
from tempfile import mkdtemp
from textwrap import dedent
from typing import Any

from twisted.internet import reactor as installedReactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP4ServerEndpoint, connectProtocol
from twisted.internet.protocol import Factory
from twisted.trial.unittest import TestCase

from hermes.assembly import Assembly
from hermes.config import ConfigError, NodeConfig, loadNodeText
from hermes.errors import HermesError
from hermes.net.authority import OverlayAuthority
from hermes.net.kernelerrors import KernelError
from hermes.net.network import Network
from hermes.net.sockets import bindDatagrams, bindStreams
from hermes.net.tunkernel import TunKernel
from hermes.net.tunopen import TunOptions, attachTun
from hermes.node import Node
from hermes.test.namespaces import needTun
from hermes.test.test_plugins import Collected, Echo

reactor: Any = installedReactor

DEVICE = "hermesprep0"


def ip(*argv: str) -> str:
    """
    What ip(8) says.
    """
    return subprocess.run(["ip", *argv], check=True, capture_output=True, text=True).stdout


class PreparingTests(TestCase):
    """
    A node with one listener, through which somebody talks with a server while changes are refused.
    """

    def setUp(self) -> Any:
        self.directory = os.path.abspath(self.mktemp())
        # The path of a Unix socket is short.
        self.sockets = mkdtemp()
        self.addCleanup(rmtree, self.sockets)
        self.authority = OverlayAuthority.create(self.directory)
        for name in ("edge", "other"):
            self.authority.issue(name)
        return Deferred.fromCoroutine(self._start())

    async def _start(self) -> None:
        server: Any = await TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(Factory.forProtocol(Echo))
        self.addCleanup(server.stopListening)
        bound = bindStreams("127.0.0.1:0")
        self.place = f"127.0.0.1:{bound.socket.getsockname()[1]}"
        bound.close()
        self.apps = f"apps: {{type: tcp, bind: '{self.place}', target: '127.0.0.1:{server.getHost().port}'}}"
        self.node = Node(reactor, self.config(), Assembly(reactor, Network(reactor)))
        await self.node.start()
        self.addCleanup(self.node.stop)
        self.talking = await self.connect()
        await self.say(self.talking)

    def config(self, more: str = "", listeners: str = "", apps: str | None = None) -> NodeConfig:
        """
        What the node runs, and more.
        """
        text = f"""\
            node: edge
            identity: {{certificate: edge.pem, key: edge.key, trust: overlay-ca.pem}}
            routes: [{{match: {{any: true}}, allowSpecial: true}}]
            listeners:
              {self.apps if apps is None else apps}
              {listeners}
            """
        return loadNodeText(dedent(text) + dedent(more), "edge.yaml", self.directory)

    async def connect(self) -> Collected:
        """
        To the server, through the node.
        """
        host, port = self.place.split(":")
        collected: Collected = await connectProtocol(TCP4ClientEndpoint(reactor, host, int(port)), Collected())
        self.addCleanup(collected.transport.abortConnection)  # type: ignore[union-attr]
        return collected

    async def say(self, talking: Collected) -> None:
        """
        The server answers.
        """
        before = len(talking.data)
        talking.send(b"are you there?")
        await talking.received(before + len(b"are you there?"))

    async def refused(self, expected: Sequence[str], *more: str, **parts: str) -> None:
        """
        The node refuses it, for this reason, where it is read or where it is prepared; it runs what it ran, and traffic
        goes on.
        """
        before, addresses = self.node.config, self.node.addresses()
        refusal: Exception
        try:
            prepared = await self.node.prepare(self.config(*more, **parts))
        except (ConfigError, HermesError) as error:
            refusal = error
        else:
            await prepared.discard()
            self.fail(f"it was prepared, and {' '.join(expected)} was not found out")
        for each in expected:
            self.assertIn(each, str(refusal))
        self.assertIs(self.node.config, before)
        self.assertEqual(self.node.addresses(), addresses)
        await self.say(self.talking)
        await self.say(await self.connect())

    # Ports and paths

    async def test_aPortOfAnotherProcess(self) -> None:
        other = bindStreams("127.0.0.1:0")
        self.addCleanup(other.close)
        other.socket.listen()
        bind = f"127.0.0.1:{other.socket.getsockname()[1]}"
        line = f"more: {{type: tcp, bind: '{bind}', target: 'h:1'}}"
        await self.refused(["listener more", bind, "Address already in use"], listeners=line)
        await self.refused([bind, "Address already in use"], f"admin: {{bind: '{bind}'}}\n")

    async def test_aPathThatCanNotBeMade(self) -> None:
        path = os.path.join(self.sockets, "file", "s")
        with open(os.path.join(self.sockets, "file"), "w", encoding="ascii"):
            pass
        line = f"more: {{type: tcp, bind: 'unix:{path}', target: 'h:1'}}"
        await self.refused(["listener more", path, "Not a directory"], listeners=line)
        line = f"more: {{type: ndn, bind: 'unix:{self.sockets}/nowhere/s'}}"
        await self.refused(["listener more", "nowhere", "No such file or directory"], listeners=line)

    async def test_anAddressThatIsNotThisMachines(self) -> None:
        line = "more: {type: udp, bind: '192.0.2.1:5353', target: 'h:1'}"
        await self.refused(["listener more", "Cannot assign requested address"], listeners=line)

    async def test_aPortThatGoesFromOneListenerToAnother(self) -> None:
        """
        It is held, so that it can't be refused later: who connects in between is served.
        """
        moved = self.config(apps=self.apps.replace("apps:", "others:"))
        prepared = await self.node.prepare(moved)
        await self.say(await self.connect())
        await prepared.commit()
        self.assertEqual(list(self.node.listeners), ["others"])
        await self.say(self.talking)
        await self.say(await self.connect())

    async def test_aPortThatGoesToAllAddressesWhereSomebodyHasItOnAnother(self) -> None:
        port = self.place.rpartition(":")[2]
        other = bindStreams(f"127.0.0.2:{port}")
        self.addCleanup(other.close)
        other.socket.listen()
        apps = self.apps.replace("127.0.0.1", "0.0.0.0", 1)
        await self.refused(["listener apps", f"0.0.0.0:{port}", "Address already in use"], apps=apps)
        other.close()
        prepared = await self.node.prepare(self.config(apps=apps))
        await self.say(self.talking)
        await self.say(await self.connect())
        await prepared.commit()
        await self.say(await self.connect())

    async def test_whatAForwarderListensOn(self) -> None:
        stream, datagrams = bindStreams("127.0.0.1:0"), bindDatagrams("127.0.0.1:0")
        for bound in (stream, datagrams):
            self.addCleanup(bound.close)
        stream.socket.listen()
        for scheme, bound in (("tcp", stream), ("ws", stream), ("udp", datagrams)):
            bind = f"{scheme}:127.0.0.1:{bound.socket.getsockname()[1]}"
            line = f"more: {{type: ndn, bind: ['unix:{self.sockets}/s', '{bind}']}}"
            await self.refused(["listener more", "Address already in use"], listeners=line)
            self.assertFalse(os.path.exists(os.path.join(self.sockets, "s")))
        line = "more: {type: ndn, multicast: [nosuchdevice]}"
        await self.refused(["listener more", "nosuchdevice"], listeners=line)

    async def test_whatAForwarderListensOnIsHeld(self) -> None:
        free = bindDatagrams("127.0.0.1:0")
        bind = f"127.0.0.1:{free.socket.getsockname()[1]}"
        free.close()
        path = os.path.join(self.sockets, "s")
        line = f"more: {{type: ndn, bind: ['unix:{path}', 'udp:{bind}']}}"
        prepared = await self.node.prepare(self.config(listeners=line))
        self.assertRaises(OSError, bindStreams, f"unix:{path}")
        self.assertRaises(OSError, bindDatagrams, bind)
        await prepared.discard()
        self.assertFalse(os.path.exists(path))
        bindDatagrams(bind).close()

    # Files

    async def test_aCertificateThatIsNotThere(self) -> None:
        os.rename(os.path.join(self.directory, "edge.pem"), os.path.join(self.directory, "away.pem"))
        await self.refused(["edge.pem"])
        os.rename(os.path.join(self.directory, "away.pem"), os.path.join(self.directory, "edge.pem"))
        await (await self.node.prepare(self.config())).discard()

    async def test_aKeyThatIsAnothers(self) -> None:
        os.replace(os.path.join(self.directory, "other.key"), os.path.join(self.directory, "edge.key"))
        await self.refused(["edge"])

    async def test_aCertificateOfAListenersOwn(self) -> None:
        def line(certificate: str, key: str) -> str:
            own = f"{{certificate: {certificate}, key: {key}}}"
            return f"web: {{type: http, bind: '127.0.0.1:0', tls: true, certificates: [{own}]}}"

        await self.refused(["none.pem"], listeners=line("none.pem", "edge.key"))
        await self.refused(
            ["other.key: the key is not that of the certificate"], listeners=line("edge.pem", "other.key")
        )

    async def test_trustOfAnUpstreamThatIsNotThere(self) -> None:
        upstream = "upstreams: {web: {type: direct, endpoints: ['127.0.0.1:1'], tls: {trust: TRUST}}}\n"
        await self.refused(["there is no file", "none.pem"], upstream.replace("TRUST", "none.pem"))
        await self.refused(["edge.key"], upstream.replace("TRUST", "edge.key"))

    async def test_placesForFilesThatAreNotThere(self) -> None:
        await self.refused(["accessLog.path: there is no directory"], "accessLog: {path: nowhere/log}\n")
        await self.refused(["overlay-ca.pem"], "accessLog: {path: overlay-ca.pem/log}\n")
        await self.refused(["is a directory"], f"accessLog: {{path: {self.sockets}}}\n")
        await self.refused(["is a directory"], f"assist: {{cache: {{type: cache, path: {self.sockets}}}}}\n")
        await self.refused(["/proc/self/fd/999: No such file"], "accessLog: {path: /proc/self/fd/999}\n")

    async def test_leasesThatCanNotBeKept(self) -> None:
        await self.refused(["edge.pem", "the leases can't be kept"], "ip: {pools: [10.9.0.0/24], leases: edge.pem}\n")

    # Devices

    async def test_aDeviceThatAnotherProcessHas(self) -> None:
        needTun()
        opened = attachTun(TunKernel(), TunOptions(DEVICE))
        self.addCleanup(opened.close)
        line = f"lan: {{type: tun, device: {DEVICE}, address: 10.211.0.1/24}}"
        await self.refused(["listener lan", DEVICE, "is open in another process"], listeners=line)

    async def test_aDeviceOfAnotherKind(self) -> None:
        needTun()
        ip("tuntap", "add", "dev", DEVICE, "mode", "tap")
        self.addCleanup(ip, "link", "del", DEVICE)
        line = f"lan: {{type: tun, device: {DEVICE}, address: 10.211.0.1/24}}"
        await self.refused(["listener lan", DEVICE, "something else than a TUN device"], listeners=line)

    async def test_aDeviceWhoseAddressAnotherHas(self) -> None:
        needTun()
        ip("tuntap", "add", "dev", DEVICE, "mode", "tun")
        self.addCleanup(ip, "link", "del", DEVICE)
        ip("addr", "add", "10.211.0.1/24", "dev", DEVICE)
        line = "lan: {type: tun, device: hermesprep1, address: 10.211.0.1/24}"
        await self.refused(["listener lan", "10.211.0.1", f"{DEVICE} has it"], listeners=line)
        self.assertFalse(os.path.exists("/sys/class/net/hermesprep1"))

    async def test_aDeviceIsHeldAndHasNothingYet(self) -> None:
        needTun()
        line = f"lan: {{type: tun, device: {DEVICE}, address: 10.211.0.1/24}}"
        prepared = await self.node.prepare(self.config(listeners=line))
        self.assertRaises(KernelError, attachTun, TunKernel(), TunOptions(DEVICE))
        self.assertNotIn("10.211", ip("addr", "show", "dev", DEVICE))
        self.assertNotIn("10.211", ip("route"))
        await prepared.discard()
        self.assertFalse(os.path.exists(f"/sys/class/net/{DEVICE}"))
        prepared = await self.node.prepare(self.config(listeners=line))
        await prepared.commit()
        self.assertIn("10.211.0.1/24", ip("addr", "show", "dev", DEVICE))
        # Another number of queues is another device of the same name: it is made once the old one is closed.
        again = await self.node.prepare(self.config(listeners=line.replace("address", "queues: 2, address")))
        self.assertIn("10.211.0.1/24", ip("addr", "show", "dev", DEVICE))
        await again.commit()
        self.assertIn("10.211.0.1/24", ip("addr", "show", "dev", DEVICE))
        await self.say(self.talking)
