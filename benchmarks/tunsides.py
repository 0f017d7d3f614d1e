"""
The sides of the TUN measures: each makes a TUN device in both namespaces, and a way between them.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from peers import Envoy, Hermes
from sides import Side, freePort
from tunspaces import BARE, DEVICE, INNER, MTU, POOL, Spaces

HERE = Path(__file__).parent
PATIENCE = 60


class TUNSide(Side):
    """
    A way between two TUN devices.

    @ivar spaces: the namespaces of the two.
    @ivar near: whether what is started next belongs to the client's.
    """

    def __init__(self, directory: Path, target: int, cores: tuple[int, int]) -> None:
        super().__init__(directory, target, cores)
        self.spaces = Spaces("", "")
        self.near = False

    def spawn(self, core: int, *command: str) -> None:
        """
        Start a process on one core, in the namespace that it belongs to.
        """
        super().spawn(core, *self.spaces.inside(self.near), *command)

    def startTUN(self, spaces: Spaces) -> None:
        """
        Start, and wait until a packet crosses.
        """
        self.spaces = spaces
        self.startDevices()
        for near in (False, True):
            self._awaitDevice(near)
        deadline = time.monotonic() + PATIENCE
        ping = [*spaces.inside(True), "ping", "-q", "-c1", "-W1", INNER[1]]
        while subprocess.run(ping, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode:
            if time.monotonic() > deadline or any(process.poll() is not None for process in self.processes):
                raise SystemExit(f"no packet crosses {self.name}:\n{self.logs()}")

    def startDevices(self) -> None:
        """
        Start whatever makes the devices.
        """
        raise NotImplementedError

    def setsUp(self) -> bool:
        """
        Whether it gives devices their addresses and routes itself.
        """
        return False

    def _awaitDevice(self, near: bool) -> None:
        deadline = time.monotonic() + PATIENCE
        show = [*self.spaces.inside(near), "ip", "link", "show", DEVICE]
        while subprocess.run(show, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode:
            if time.monotonic() > deadline or any(process.poll() is not None for process in self.processes):
                raise SystemExit(f"{self.name} makes no device:\n{self.logs()}")
            time.sleep(0.02)
        if not self.setsUp():
            self.spaces.setUp(near)

    def awaitInside(self, port: int, kind: int = socket.SOCK_STREAM) -> None:
        """
        Wait until the process that was started last, or another in its namespace, listens.
        """
        table = Path(f"/proc/{self.processes[-1].pid}/net", "tcp" if kind == socket.SOCK_STREAM else "udp")
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and self.processes[-1].poll() is None:
            if f":{port:04X} 00000000:0000 " in table.read_text():
                return
            time.sleep(0.02)
        raise SystemExit(f"{self.name} did not start to listen:\n{self.logs()}")


class HermesTUN(TUNSide, Hermes):
    """
    Two nodes with a C{tun} listener each, and a CONNECT-IP tunnel between them in the clear.
    """

    def startDevices(self) -> None:
        port = freePort()
        own, far = (f"{address}/32" for address in INNER)
        device = {"type": "tun", "device": DEVICE, "mtu": MTU}
        overlay = {"type": "tunnel", "bind": f"{BARE[1]}:{port}", "tls": False, "anonymous": True}
        second: dict[str, Any] = {
            "node": "b",
            "ip": {"pools": [POOL]},
            "listeners": {"overlay": overlay, "lan": {**device, "address": [far], "routes": [POOL]}},
            "routes": [
                {"match": {"protocol": "ip", "target": far}, "to": "lan"},
                {"match": {"protocol": "ip", "target": POOL}},
            ],
        }
        hop = {"type": "masque", "tls": False, "version": "2", "endpoints": [f"{BARE[1]}:{port}"]}
        first: dict[str, Any] = {
            "node": "a",
            "listeners": {"lan": {**device, "address": [own], "routes": [far]}},
            "upstreams": {"b": hop},
            "routes": [
                {"match": {"protocol": "ip", "target": far}, "via": ["b"]},
                {"match": {"protocol": "ip", "target": own}, "to": "lan"},
            ],
        }
        for document, core, near in ((second, self.cores[1], False), (first, self.cores[0], True)):
            name = document["node"]
            document["admin"] = {"bind": f"unix:{self.directory}/{name}.sock"}
            document["accessLog"] = {"path": f"{self.directory}/{name}.access"}
            self.near = near
            self.spawnNode(document, core)
            if not near:
                self.awaitInside(port)

    def setsUp(self) -> bool:
        return True


class PrototypeTUN(TUNSide, Envoy):
    """
    The prototype's way: a script beside each of two Envoys, which have a CONNECT-UDP tunnel between them.
    """

    name = "prototype"

    def startDevices(self) -> None:
        entrance, middle, target = freePort(socket.SOCK_DGRAM), freePort(), freePort(socket.SOCK_DGRAM)
        self.target = target
        script = (sys.executable, str(HERE / "tunscript.py"), DEVICE)
        self.near = False
        self.spawn(self.cores[1], *script, "--listen", str(target))
        second = self._node(self._terminator(middle, True, False), "t", target)
        _listenAt(second, BARE[1])
        self.spawnNode("b", second, self.cores[1])
        self.awaitInside(middle)
        self.near = True
        first = self._node(self._udpListener(entrance), "b", middle, http2=True)
        _connectTo(first, *BARE)
        self.spawnNode("a", first, self.cores[0])
        self.awaitInside(entrance, socket.SOCK_DGRAM)
        self.spawn(self.cores[0], *script, f"127.0.0.1:{entrance}")


class BareLoop(TUNSide):
    """
    One process that copies between the two devices, beside the client.
    """

    name = "bare loop"

    def startDevices(self) -> None:
        # The loop enters both namespaces itself; it is in neither.
        command = (sys.executable, str(HERE / "tunloop.py"), self.spaces.client, self.spaces.server, DEVICE)
        Side.spawn(self, self.cores[0], *command)


def _listenAt(document: dict[str, Any], address: str) -> None:
    for listener in document["static_resources"]["listeners"]:
        listener["address"]["socket_address"]["address"] = address


def _connectTo(document: dict[str, Any], own: str, far: str) -> None:
    for cluster in document["static_resources"]["clusters"]:
        cluster["upstream_bind_config"]["source_address"]["address"] = own
        endpoint = cluster["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]
        endpoint["address"]["socket_address"]["address"] = far
