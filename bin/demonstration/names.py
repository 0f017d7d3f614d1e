"""
What goes through the overlay by its name: an object of Named Data Networking.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import time
from pathlib import Path

from overlay import PATIENCE, Overlay
from telling import console, title, verdict

HERMES = str(Path(sys.executable).parent / "hermes")


def demonstrate(overlay: Overlay) -> list[bool]:
    """
    An object is put at one node and fetched at the other, twice: the second time nobody has to ask for it. Whether it
    was the same each time.
    """
    there, here = overlay.forwarders["gateway"], overlay.forwarders["edge"]
    title(
        "An object by its name: put at the gateway, fetched at the edge",
        f"NDN_CLIENT_TRANSPORT=unix://{there} hermes ndn put /demo/photo photo",
        f"NDN_CLIENT_TRANSPORT=unix://{here} hermes ndn get /demo/photo | sha256sum",
    )
    wanted = hashlib.sha256((overlay.directory / "files" / "photo").read_bytes()).hexdigest()
    overlay.run("photo", HERMES, "ndn", "put", "--forwarder", f"unix://{there}", "/demo/photo", "files/photo")
    got = _fetch(overlay, here, wanted)
    producer = overlay.processes.pop("photo")
    producer.terminate()
    producer.wait()
    # Nobody is left to say which version is the newest: any will do.
    again = _fetch(overlay, here, wanted, "--discover", "prefix")
    first, second = verdict(got, "digest matches", "DIGEST DIFFERS"), verdict(again, "digest matches", "NOT THERE")
    console.print(
        f"   1 MiB over the link between the forwarders: {first}; again, with its producer gone, from the edge's "
        f"Content Store: {second}"
    )
    return [got, again]


def _fetch(overlay: Overlay, forwarder: str, wanted: str, *options: str) -> bool:
    """
    Fetch it, and compare. The producer and the faces need a moment.
    """
    deadline = time.monotonic() + PATIENCE
    command = [HERMES, "ndn", "get", "--forwarder", f"unix://{forwarder}", "--quiet", *options, "/demo/photo"]
    while True:
        done = subprocess.run(command, cwd=overlay.directory, capture_output=True)
        if done.returncode == 0 or time.monotonic() > deadline:
            return hashlib.sha256(done.stdout).hexdigest() == wanted
        time.sleep(0.2)
