"""
What runs in the demonstration: two proxies, origins behind the second, and what each proxy has noted.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from hermes.commands.status import ask
from hermes.net.authority import OverlayAuthority

PATIENCE = 30.0
TWISTD = (str(Path(sys.executable).parent / "twistd"), "-n", "--pidfile=")
NOTED = 5.0
CLOCKS = 0.01


def free(preferred: int, kind: int = socket.SOCK_STREAM) -> int:
    """
    C{preferred}, or any port where somebody has that.
    """
    for port in (preferred, 0):
        with socket.socket(socket.AF_INET, kind) as sock:
            if kind == socket.SOCK_STREAM:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                sock.bind(("127.0.0.1", port))
            except OSError:
                continue
            chosen: int = sock.getsockname()[1]
            return chosen
    raise SystemExit("no port is free on 127.0.0.1")


class Overlay:
    """
    The processes, and where they are.

    @ivar processes: they, by name.
    @ivar apps: the port of I{edge}'s listener for programs.
    @ivar dns: that of its listener for DNS.
    @ivar tunnel: that of I{gateway}'s listener for other proxies.
    @ivar admin: those of the admin listeners, by node.
    @ivar web: those of the web servers, by name.
    @ivar names: that of the DNS server.
    @ivar forwarders: the paths of the forwarders' sockets, by node.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.apps = free(3128)
        self.dns = free(5355, socket.SOCK_DGRAM)
        self.tunnel = free(8443)
        self.admin = {"edge": free(9901), "gateway": free(9902)}
        self.web = {"files": free(8080), "one": free(8081), "two": free(8082)}
        self.names = free(5356, socket.SOCK_DGRAM)
        self.forwarders = {node: str(directory / f"{node}.sock") for node in ("edge", "gateway")}

    def authority(self) -> OverlayAuthority:
        """
        Who issues the certificates of nodes.
        """
        return OverlayAuthority.load(str(self.directory))

    def configure(self) -> None:
        """
        Make an authority, two certificates and two files.
        """
        authority = OverlayAuthority.create(str(self.directory))
        for node in ("edge", "gateway"):
            authority.issue(node)
        identity = "identity: {{certificate: {0}.pem, key: {0}.key, trust: overlay-ca.pem}}"
        (self.directory / "edge.yaml").write_text(f"""\
node: edge
{identity.format("edge")}
listeners:
  apps: {{type: proxy, bind: 127.0.0.1:{self.apps}}}                       # HTTP proxy and SOCKS5, for programs here
  dns:  {{type: udp, bind: 127.0.0.1:{self.dns}, target: dns.hermes:53}}   # DNS, for programs here
  ndn:  {{type: ndn, bind: "unix:edge.sock", faces: {{gateway: {{to: "udp:ndn.hermes"}}}}, announce: gateway}}
users:
  alice: {{password: wonderland}}
assist:
  pages: {{type: cache}}
upstreams:
  gateway: {{type: hermes, endpoints: [127.0.0.1:{self.tunnel}]}}
routes:                                                          # the first match wins
  - {{match: {{target: staff.hermes, user: alice}}, via: [gateway]}}
  - {{match: {{target: staff.hermes}}, deny: for alice only}}
  - {{match: {{host: news.hermes}}, via: [gateway], assist: [pages]}}
  - {{match: {{any: true}}, via: [gateway]}}
admin: {{bind: 127.0.0.1:{self.admin["edge"]}}}
accessLog: {{path: edge.log}}
""")
        shop = f"[127.0.0.1:{self.web['one']}, 127.0.0.1:{self.web['two']}]"
        (self.directory / "gateway.yaml").write_text(f"""\
node: gateway
{identity.format("gateway")}
listeners:
  overlay: {{type: tunnel, bind: 127.0.0.1:{self.tunnel}}}                 # other proxies: mutual TLS, HTTP/2, MASQUE
  ndn:     {{type: ndn, bind: "unix:gateway.sock", neighbours: edge}}
upstreams:
  files: {{type: direct, endpoints: [127.0.0.1:{self.web["files"]}]}}
  shop:  {{type: direct, endpoints: {shop}}}
  dns:   {{type: direct, endpoints: [127.0.0.1:{self.names}]}}
routes:                                                          # what is not named here is denied
  - match: {{node: edge, host: news.hermes}}
    to: files
    responseHeaders: {{set: {{cache-control: max-age=60}}}}
  - {{match: {{node: edge, target: [files.hermes, staff.hermes]}}, to: files}}
  - {{match: {{node: edge, host: shop.hermes}}, to: shop, retry: {{on: [connect, refused, reset]}}}}
  - {{match: {{node: edge, target: dns.hermes}}, to: dns}}
  - {{match: {{node: edge, target: ndn.hermes}}, to: ndn}}
admin: {{bind: 127.0.0.1:{self.admin["gateway"]}}}
accessLog: {{path: gateway.log}}
""")

    def spawn(self, name: str, *arguments: str) -> None:
        """
        Start twistd.
        """
        self.run(name, *TWISTD, *arguments)

    def run(self, name: str, *command: str) -> None:
        """
        Start a program; what it prints goes to a file.
        """
        with (self.directory / f"{name}.out").open("wb") as output:
            self.processes[name] = subprocess.Popen(
                command, stdout=output, stderr=output, cwd=self.directory, start_new_session=True
            )

    def awaitOutput(self, name: str, text: str) -> None:
        """
        Wait until a program has printed something.
        """
        deadline = time.monotonic() + PATIENCE
        while text not in self.printed(name):
            if time.monotonic() > deadline or self.processes[name].poll() is not None:
                raise SystemExit(f"{name} did not start:\n{self.printed(name)}")
            time.sleep(0.1)

    def start(self) -> None:
        """
        Start all, and wait until they answer.
        """
        for name, port in self.web.items():
            self.spawn(name, "web", "--listen", f"tcp:{port}:interface=127.0.0.1", "--path", name)
        self.spawn("names", "dns", "--interface", "127.0.0.1", "--port", str(self.names), "--hosts-file", "hosts")
        for node in ("gateway", "edge"):
            self.spawn(node, "hermes-proxy", "--config", f"{node}.yaml")
        for name, port in (*self.web.items(), ("gateway", self.tunnel), ("edge", self.apps)):
            self._awaitPort(name, port)

    def _awaitPort(self, name: str, port: int) -> None:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and self.processes[name].poll() is None:
            with socket.socket() as sock:
                if sock.connect_ex(("127.0.0.1", port)) == 0:
                    return
            time.sleep(0.1)
        raise SystemExit(f"{name} did not start:\n{self.printed(name)}")

    def printed(self, name: str) -> str:
        """
        What a process has printed.
        """
        return (self.directory / f"{name}.out").read_text()

    def kill(self, name: str) -> None:
        """
        End a process at once, without a chance to do anything about it.
        """
        os.killpg(self.processes[name].pid, signal.SIGKILL)
        self.processes[name].wait()

    def stop(self) -> None:
        """
        End all.
        """
        for process in self.processes.values():
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
        for process in self.processes.values():
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)

    def seen(self, node: str, host: str, since: float, count: int = 1) -> list[dict[str, Any]]:
        """
        What a node has noted of a host: flows, open and ended, and HTTP exchanges that ended. What ended is in its
        access log within a moment.

        @param since: when the first of them began, in seconds since 1970.
        @param count: how many there are at least.
        @return: oldest first.
        """
        deadline = time.monotonic() + NOTED
        while True:
            # In this order: what ends meanwhile is found in the log.
            entries = [*ask(f"127.0.0.1:{self.admin[node]}", "flows"), *self._logged(node)]
            found = [entry for entry in entries if hostOf(entry) == host and beganAt(entry) >= since - CLOCKS]
            if len(found) >= count:
                return sorted(found, key=beganAt)
            if time.monotonic() > deadline:
                raise SystemExit(f"{node} has noted {len(found)} of {count} that were for {host}")
            time.sleep(0.02)

    def _logged(self, node: str) -> list[dict[str, Any]]:
        log = self.directory / f"{node}.log"
        # The last line may be half written.
        return [json.loads(line) for line in log.read_text().split("\n")[:-1]] if log.exists() else []


def hostOf(entry: dict[str, Any]) -> str:
    """
    The host that a flow or an exchange was for.
    """
    where = entry["target"] if "target" in entry else entry["authority"]
    return str(where).partition(":")[0]


def beganAt(entry: dict[str, Any]) -> float:
    """
    When a flow or an exchange began, seconds since 1970.
    """
    now = datetime.fromisoformat(entry["time"]).timestamp() if "time" in entry else time.time()
    return float(now - (entry["seconds"] or 0.0))
