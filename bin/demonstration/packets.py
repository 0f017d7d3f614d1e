"""
What goes through an overlay as IP packets: two nodes with TUN devices, in network namespaces of their own, where an
ordinary user may have such devices.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import time

from overlay import PATIENCE, TWISTD, Overlay
from telling import console, title, verdict

NODE = """\
node: {name}
identity: {{certificate: {name}.pem, key: {name}.key, trust: overlay-ca.pem}}
"""
SITE = """\
listeners:
  overlay: {type: tunnel, bind: "unix:site.sock"}
  lan:     {type: tun, device: hermes0, address: 10.77.0.1/24}
ip: {pools: [10.77.0.0/24]}
routes:
  - {match: {protocol: ip, node: laptop, target: 10.77.0.1}}
  - {match: {protocol: ip, node: laptop, target: 10.77.0.0/24}, deny: not your neighbours}
"""
LAPTOP = """\
listeners:
  vpn: {type: tun, device: hermes0, routes: [10.77.0.0/24]}
upstreams:
  site: {type: hermes, endpoints: ["unix:site.sock"]}
routes:
  - {match: {protocol: ip, listener: vpn}, via: [site]}
"""


def demonstrate(overlay: Overlay) -> list[bool]:
    """
    A ping that gets there, and one that is refused. Whether both were so; nothing, where this user may have no device.
    """
    why = _impossible()
    if why is not None:
        title("IP packets through TUN devices")
        console.print(f"   not shown: {why}", markup=False)
        return []
    for name, rest in (("site", SITE), ("laptop", LAPTOP)):
        overlay.authority().issue(name)
        (overlay.directory / f"{name}.yaml").write_text(NODE.format(name=name) + rest)
        overlay.run(name, "unshare", "-Urn", *TWISTD, "hermes-proxy", "--config", f"{name}.yaml")
        overlay.awaitOutput(name, f"node {name} is ready")
    title(
        "IP packets through TUN devices, in two network namespaces that have nothing else",
        "ping -c 3 10.77.0.1",
        "ping -c 1 10.77.0.99",
    )
    reached = _pinged(overlay, "10.77.0.1", 3, "3 received")
    refused = _pinged(overlay, "10.77.0.99", 1, "Packet filtered")
    console.print(
        f"   {reached[1] or 'no answer'}, {verdict(reached[0], 'all came back', 'LOST')}; to a neighbour: "
        f"{verdict(refused[0], 'refused by the policy, and told so', 'NOT REFUSED')}"
    )
    return [reached[0], refused[0]]


def _impossible() -> str | None:
    """
    Why it can't be shown here; L{None} where it can.
    """
    for command in ("unshare", "nsenter", "ping", "ip"):
        if shutil.which(command) is None:
            return f"{command} is not installed"
    command = "ip tuntap add dev hermes0 mode tun vnet_hdr"
    done = subprocess.run(["unshare", "-Urn", "sh", "-c", command], capture_output=True, text=True)
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["it failed"])[-1]
        return f"an ordinary user may have no TUN device in a namespace of its own here ({said})"
    return None


def _pinged(overlay: Overlay, address: str, count: int, wanted: str) -> tuple[bool, str]:
    """
    Ping from the laptop until what is wanted is said, or for too long. Whether it was, and how long the packets took.
    """
    pid = str(overlay.processes["laptop"].pid)
    command = ["nsenter", "-t", pid, "-U", "-n", "--preserve-credentials"]
    command += ["ping", f"-c{count}", "-i0.2", "-W2", address]
    deadline = time.monotonic() + PATIENCE
    while True:
        done = subprocess.run(command, capture_output=True, text=True)
        if wanted in done.stdout or time.monotonic() > deadline:
            times = re.search(r"= [\d.]+/([\d.]+)/", done.stdout)
            return wanted in done.stdout, f"{times[1]} ms on the average" if times else ""
        time.sleep(0.2)
