"""
What C{bin/demo} runs: two proxies, origins behind the second, and ordinary programs before the first.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path

import exchanges
import names
import packets
import tunnels
from overlay import Overlay
from telling import console

from hermes.commands.status import ask


def furnish(directory: Path) -> str:
    """
    What the origins have.

    @return: the SHA-256 of the large file, in hexadecimal.
    """
    for name in ("files", "one", "two"):
        (directory / name).mkdir()
    content = os.urandom(1 << 20) * (tunnels.SIZE >> 20)
    (directory / "files" / "big").write_bytes(content)
    (directory / "files" / "photo").write_bytes(content[: 1 << 20])
    (directory / "files" / "hello").write_text("Hello from behind the overlay.\n")
    for name in ("one", "two"):
        (directory / name / "who").write_text(f"{name}\n")
    (directory / "hosts").write_text("192.0.2.80 www.demo.hermes\n")
    return hashlib.sha256(content).hexdigest()


def picture(overlay: Overlay) -> None:
    """
    What runs where.
    """
    apps, dns, tunnel, web = overlay.apps, overlay.dns, overlay.tunnel, overlay.web
    console.print(f"""
  your programs             [bold]edge[/bold]                                [bold]gateway[/bold]           origins
  ─────────────             ───────────                         ───────           ───────
  curl, browser ──HTTP────▶ :{apps:<5} apps ═╗ mutual TLS,         :{tunnel:<5}       ┌─▶ web  :{web["files"]}
  SOCKS5 client ──SOCKS5──▶ :{apps:<5} apps ═╬═HTTP/2, MASQUE════▶ files.hermes ┤
                            cache, users ║                     shop.hermes  ├─▶ web  :{web["one"]}, :{web["two"]}
  resolver ───────UDP─────▶ :{dns:<5} dns  ═╣                     dns.hermes   └─▶ DNS  :{overlay.names}
  hermes ndn get ─NDN─────▶ socket ndn  ═╝                     ndn.hermes ◀─ socket, hermes ndn put
""")


def stay(overlay: Overlay) -> None:
    """
    Leave all running until somebody ends it.
    """
    proxy = f"127.0.0.1:{overlay.apps}"
    admin = f"127.0.0.1:{overlay.admin['edge']}"
    hermes = Path(sys.executable).parent / "hermes"
    console.print("\n[bold]The overlay is running.[/bold] In another terminal:")
    for command in (
        f"curl -x http://{proxy} http://files.hermes/hello",
        f"curl -x socks5h://{proxy} http://files.hermes/hello",
        *exchanges.commands(overlay),
        f"{hermes} explain {overlay.directory}/edge.yaml GET http://staff.hermes/hello",
        f"{hermes} status --admin {admin}",
        f"curl http://{admin}/metrics",
    ):
        console.print(f"   {command}", markup=False)
    console.print(f"Its files are in {overlay.directory}: edge.yaml, gateway.yaml, logs. Ctrl-C ends it.")
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, lambda *_: None)
    signal.pause()


def main() -> int:
    parser = argparse.ArgumentParser(prog="bin/demo", description="Show Hermes at work.")
    parser.add_argument("--stay", action="store_true", help="leave the overlay running, for your own curl")
    options = parser.parse_args()
    # What was started is ended, however this ends.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    directory = Path(tempfile.mkdtemp(prefix="hermes-demo-"))
    overlay = Overlay(directory)
    try:
        console.print("[bold]== Starting origins (web, DNS) and two proxies[/bold]")
        digest = furnish(directory)
        overlay.configure()
        overlay.start()
        picture(overlay)
        results = tunnels.demonstrate(overlay, digest) + exchanges.demonstrate(overlay)
        results += names.demonstrate(overlay) + packets.demonstrate(overlay)
        console.print()
        for node, port in overlay.admin.items():
            status = ask(f"127.0.0.1:{port}", "status")
            flows, requests = status["flows"]["opened"], status["requests"]["taken"]
            console.print(f"   {node}: {flows} flows opened, {requests} HTTP exchanges taken")
        good = all(results)
        console.print(
            "\n[bold green]== IT WORKS: every byte as it was sent, the second answer from the cache, no request "
            "lost with its server, alice alone let in, and an object there after its producer had gone[/bold green]"
            if good
            else "\n[bold red]== NOT GOOD: see above[/bold red]"
        )
        if good and options.stay:
            stay(overlay)
        return 0 if good else 1
    finally:
        overlay.stop()
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
