"""
The demonstration that C{bin/demo} runs: two proxies, an origin behind the second, and three ordinary programs.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import pycurl
from rich.console import Console

from hermes.commands.status import ask
from hermes.net.authority import OverlayAuthority

SIZE = 64 << 20
console = Console(highlight=False, soft_wrap=True)


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
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.apps = free(3128)
        self.dns = free(5355, socket.SOCK_DGRAM)
        self.tunnel = free(8443)
        self.admin = {"edge": free(9901), "gateway": free(9902)}
        self.originWeb = free(8080)
        self.originDNS = free(5356, socket.SOCK_DGRAM)

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
upstreams:
  gateway: {{type: hermes, endpoints: [127.0.0.1:{self.tunnel}]}}
routes:
  - {{match: {{any: true}}, via: [gateway]}}
admin: {{bind: 127.0.0.1:{self.admin["edge"]}}}
accessLog: {{path: edge.log}}
""")
        (self.directory / "gateway.yaml").write_text(f"""\
node: gateway
{identity.format("gateway")}
listeners:
  overlay: {{type: tunnel, bind: 127.0.0.1:{self.tunnel}}}                 # other proxies: mutual TLS, HTTP/2, MASQUE
upstreams:
  files: {{type: direct, endpoints: [127.0.0.1:{self.originWeb}]}}
  dns:   {{type: direct, endpoints: [127.0.0.1:{self.originDNS}]}}
routes:                                                          # what is not named here is denied
  - {{match: {{node: edge, target: files.hermes}}, to: files}}
  - {{match: {{node: edge, target: dns.hermes}}, to: dns}}
admin: {{bind: 127.0.0.1:{self.admin["gateway"]}}}
accessLog: {{path: gateway.log}}
""")

    def spawn(self, name: str, *command: str) -> None:
        """
        Start a process; what it prints goes to a file.
        """
        with (self.directory / f"{name}.out").open("wb") as output:
            self.processes[name] = subprocess.Popen(
                command, stdout=output, stderr=output, cwd=self.directory, start_new_session=True
            )

    def start(self) -> None:
        """
        Start all, and wait until they answer.
        """
        scripts = Path(sys.executable).parent
        port = f"tcp:{self.originWeb}:interface=127.0.0.1"
        self.spawn("web", str(scripts / "twistd"), "-n", "--pidfile=", "web", "--listen", port, "--path", "files")
        self.spawn(
            "names",
            *(str(scripts / "twistd"), "-n", "--pidfile=", "dns", "--interface", "127.0.0.1"),
            *("--port", str(self.originDNS), "--hosts-file", "hosts"),
        )
        for node in ("gateway", "edge"):
            self.spawn(node, str(scripts / "twistd"), "-n", "--pidfile=", "hermes-proxy", "--config", f"{node}.yaml")
        for name, port in (("web", self.originWeb), ("gateway", self.tunnel), ("edge", self.apps)):
            self.awaitPort(name, port)

    def awaitPort(self, name: str, port: int) -> None:
        """
        Wait until a process listens.
        """
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and self.processes[name].poll() is None:
            with socket.socket() as sock:
                if sock.connect_ex(("127.0.0.1", port)) == 0:
                    return
            time.sleep(0.1)
        raise SystemExit(f"{name} did not start:\n{(self.directory / f'{name}.out').read_text()}")

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

    def lastFlow(self, node: str, target: str) -> dict[str, Any]:
        """
        What a node has seen of the last flow to a target: open still, or ended and in its access log.
        """
        log = self.directory / f"{node}.log"
        flows = ask(f"127.0.0.1:{self.admin[node]}", "flows")[::-1]
        flows = ([json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []) + flows
        flows = [flow for flow in flows if flow["target"].startswith(target + ":")]
        if not flows:
            raise SystemExit(f"{node} has seen no flow to {target}")
        return dict(max(flows, key=lambda flow: _endedAt(flow) - flow["seconds"]))


def _endedAt(flow: dict[str, Any]) -> float:
    """
    When a flow ended, seconds since 1970; now, where it is open.
    """
    return datetime.fromisoformat(flow["time"]).timestamp() if "time" in flow else time.time()


def fetch(url: str, proxy: str, show: str) -> bytes:
    """
    Download through a proxy with libcurl, with a progress line.
    """
    body = BytesIO()
    curl = pycurl.Curl()
    curl.setopt(pycurl.URL, url)
    curl.setopt(pycurl.PROXY, proxy)
    curl.setopt(pycurl.NOPROXY, "")
    curl.setopt(pycurl.FAILONERROR, True)
    curl.setopt(pycurl.WRITEFUNCTION, body.write)
    last = 0.0
    isTerminal = sys.stdout.isatty()

    def progress(total: float, done: float, *_: float) -> None:
        nonlocal last
        if isTerminal and total and time.monotonic() - last > 0.1:
            last = time.monotonic()
            print(f"\r   {show}: {done / 2**20:5.1f} of {total / 2**20:.0f} MiB", end="", flush=True)

    curl.setopt(pycurl.NOPROGRESS, False)
    curl.setopt(pycurl.XFERINFOFUNCTION, progress)
    try:
        curl.perform()
    finally:
        if isTerminal:
            print("\r" + " " * 60 + "\r", end="")
        curl.close()
    return body.getvalue()


def resolve(port: int, name: str, number: int) -> tuple[str, float]:
    """
    Ask a DNS server for an IPv4 address over UDP.

    @return: the address, and the seconds it took.
    """
    from twisted.names import dns

    query = dns.Message(id=number, recDes=1)
    query.addQuery(name, dns.A)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(5)
        sock.connect(("127.0.0.1", port))
        begin = time.perf_counter()
        sock.send(query.toStr())
        answer = dns.Message()
        answer.fromStr(sock.recv(4096))
        return answer.answers[0].payload.dottedQuad(), time.perf_counter() - begin


def milliseconds(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds * 1000:.2f} ms"


def showHops(overlay: Overlay, target: str, expected: int) -> bool:
    """
    Print what each proxy saw of the last flow to a target. Whether C{expected} bytes, or more, came back through both.
    """
    seen = {node: overlay.lastFlow(node, target) for node in ("edge", "gateway")}
    for node, flow in seen.items():
        by = f"from proxy {flow['node']}" if flow["node"] else "from an application"
        console.print(
            f"     {node:8}{by:20} to {flow['target']:18}{flow['bytesIn']:>7,} B in {flow['bytesOut']:>11,} B out,"
            f" far side up in {milliseconds(flow['connectSeconds'])}"
        )
    return all(flow["bytesOut"] >= expected for flow in seen.values())


def demonstrate(overlay: Overlay, digest: str) -> list[bool]:
    """
    The three programs. Whether each got what it should.
    """
    results = []
    proxy = f"127.0.0.1:{overlay.apps}"
    for title, scheme, command in (
        ("A download, as a browser does it: HTTP proxy", "http", f"curl -x http://{proxy} http://files.hermes/big"),
        ("The same through SOCKS5", "socks5h", f"curl -x socks5h://{proxy} http://files.hermes/big"),
    ):
        console.print(f"\n[bold]{title}[/bold]\n   $ {command} | sha256sum")
        begin = time.perf_counter()
        body = fetch("http://files.hermes/big", f"{scheme}://{proxy}", "downloading")
        elapsed = time.perf_counter() - begin
        good = hashlib.sha256(body).hexdigest() == digest
        console.print(
            f"   {len(body) / 2**20:.0f} MiB in {elapsed:.2f} s ({len(body) * 8 / elapsed / 1e6:,.0f} Mbit/s), "
            + ("[green]digest matches[/green]" if good else "[red]DIGEST DIFFERS[/red]")
        )
        results.append(showHops(overlay, "files.hermes", SIZE) and good)

    console.print(f"\n[bold]DNS over UDP[/bold]\n   $ dig -p {overlay.dns} @127.0.0.1 www.demo.hermes")
    answers = [resolve(overlay.dns, "www.demo.hermes", number) for number in range(1, 101)]
    good = all(address == "192.0.2.80" for address, _ in answers)
    times = [seconds for _, seconds in answers]
    console.print(
        f"   www.demo.hermes is {answers[0][0]}; 100 exchanges, median {milliseconds(statistics.median(times))}, "
        f"first {milliseconds(times[0])} (with the tunnel's set-up)"
    )
    results.append(showHops(overlay, "dns.hermes", 0) and good)
    return results


def picture(overlay: Overlay) -> None:
    apps, dns, tunnel = overlay.apps, overlay.dns, overlay.tunnel
    web, names = overlay.originWeb, overlay.originDNS
    console.print(f"""
  your programs             [bold]edge[/bold]                                [bold]gateway[/bold]           origin
  ─────────────             ───────────                         ───────           ──────
  curl, browser ──HTTP────▶ :{apps:<5} apps ═╗ mutual TLS,         :{tunnel:<5}      ┌─▶ web  :{web}
  SOCKS5 client ──SOCKS5──▶ :{apps:<5} apps ═╬═HTTP/2, MASQUE════▶ files.hermes ┤
  resolver ───────UDP─────▶ :{dns:<5} dns  ═╝                     dns.hermes   └─▶ DNS  :{names}
""")


def stay(overlay: Overlay) -> None:
    proxy = f"127.0.0.1:{overlay.apps}"
    console.print(f"""
[bold]The overlay is running.[/bold] In another terminal:
   curl -x http://{proxy} http://files.hermes/hello
   curl -x socks5h://{proxy} http://files.hermes/hello
   curl http://127.0.0.1:{overlay.admin["edge"]}/metrics
   {Path(sys.executable).parent / "hermes"} status --admin 127.0.0.1:{overlay.admin["edge"]}
Its files are in {overlay.directory}. Ctrl-C ends it.""")
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, lambda *_: None)
    signal.pause()


def main() -> int:
    parser = argparse.ArgumentParser(prog="bin/demo", description="Show Hermes at work.")
    parser.add_argument("--stay", action="store_true", help="leave the overlay running, for your own curl")
    options = parser.parse_args()
    directory = Path(tempfile.mkdtemp(prefix="hermes-demo-"))
    overlay = Overlay(directory)
    try:
        console.print("[bold]== Starting an origin (web, DNS) and two proxies[/bold]")
        files = directory / "files"
        files.mkdir()
        content = os.urandom(1 << 20) * (SIZE >> 20)
        (files / "big").write_bytes(content)
        (files / "hello").write_text("Hello from behind the overlay.\n")
        (directory / "hosts").write_text("192.0.2.80 www.demo.hermes\n")
        overlay.configure()
        overlay.start()
        picture(overlay)
        results = demonstrate(overlay, hashlib.sha256(content).hexdigest())
        for node, port in overlay.admin.items():
            flows = ask(f"127.0.0.1:{port}", "status")["flows"]
            console.print(f"\n   {node}: {flows['opened']} flows opened, {flows['refused']} refused", end="")
        good = all(results)
        console.print(
            "\n\n[bold green]== IT WORKS: three programs, two proxies, every byte as it was sent[/bold green]"
            if good
            else "\n\n[bold red]== NOT GOOD: see above[/bold red]"
        )
        if good and options.stay:
            stay(overlay)
        return 0 if good else 1
    finally:
        overlay.stop()
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
