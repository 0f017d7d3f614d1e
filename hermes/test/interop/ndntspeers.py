"""
Programs on NDNts, the NDN stack in TypeScript, at Hermes's forwarders. C{bin/check} installs it, beside the virtual
environment that the tests run in.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any
from unittest import SkipTest

from hermes.test.interop.ndnnodes import NDNCase
from hermes.test.interop.process import Process, program

PROGRAMS = Path(__file__).with_name("ndnts")

PACKAGES = Path(sys.prefix) / "ndnts"
"""
Where C{bin/check} puts it.
"""

OLDEST_NODE = 20


class NDNtsError(Exception):
    """
    NDNts has thrown. The text is what it says.
    """


class Peer(Process):
    """
    A program on NDNts, which does what it is asked to.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._read = 0

    async def do(self, action: str, **options: Any) -> Any:
        """
        Have it do one thing.

        @param action: a function of the programs in C{ndnts}.
        @return: what it answers.
        @raise NDNtsError: where it fails.
        """
        self.write(json.dumps({"do": action, **options}).encode() + b"\n")
        match = await self.said(r'^\{"(?:answer|error)":.*\}$', self._read)
        self._read = match.end()
        told = json.loads(match[0])
        if "error" in told:
            raise NDNtsError(told["error"])
        return told["answer"]

    async def command(self, command: str, prefix: str | None = None, **parameters: Any) -> dict[str, Any]:
        """
        Give a command.

        @param command: with its module, C{rib/register}.
        @param prefix: of management, where that is not C{/localhost/nfd}.
        @return: C{code}, C{text} and C{body}.
        """
        told: dict[str, Any] = await self.do("invoke", command=command, parameters=parameters, prefix=prefix)
        return told

    async def dataset(self, dataset: str) -> list[dict[str, Any]]:
        """
        Fetch a dataset.

        @param dataset: what NDNts calls its elements.
        """
        told: list[dict[str, Any]] = await self.do("list", dataset=dataset)
        return told

    async def faces(self, **wanted: Any) -> list[dict[str, Any]]:
        """
        Ask about faces.
        """
        told: list[dict[str, Any]] = await self.do("list", filter=wanted)
        return told

    async def routes(self) -> dict[str, list[dict[str, Any]]]:
        """
        The RIB.
        """
        return {entry["name"]: entry["route"] for entry in await self.dataset("RibEntry")}

    async def fib(self) -> dict[str, list[dict[str, Any]]]:
        """
        The FIB.
        """
        return {entry["name"]: entry["nextHop"] for entry in await self.dataset("FibEntry")}


@lru_cache
def missing() -> str | None:
    """
    Why there is no NDNts; L{None} where there is.
    """
    try:
        node = program("node")
    except SkipTest as reason:
        return f"this machine: {reason}"
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout
    found = re.match(r"v(\d+)", version)
    if found is None or int(found[1]) < OLDEST_NODE:
        return f"this machine's Node.js is {version.strip()}, and NDNts wants {OLDEST_NODE} or later"
    if not (PACKAGES / ".installed").exists():
        return "this machine has no NDNts: bin/check installs it where npm is, and reaches its registry"
    return None


class NDNtsCase(NDNCase):
    """
    A test with programs on NDNts.
    """

    def setUp(self) -> None:
        reason = missing()
        if reason is not None:
            raise SkipTest(reason)
        super().setUp()
        # A program of Node.js finds packages beside itself.
        shutil.copytree(PROGRAMS, self.directory / "ndnts")
        (self.directory / "ndnts" / "node_modules").symlink_to(PACKAGES / "node_modules")

    async def peer(self, face: str) -> Peer:
        """
        Start a program.

        @param face: C{unix:NODE.sock}, C{tcp:HOST:PORT}, C{udp:HOST:PORT} or C{ws:HOST:PORT}.
        """
        peer = Peer(f"ndnts at {face}")
        self.run_(peer, [program("node"), "ndnts/peer.mjs", face])
        await peer.do("noticed")
        return peer

    def file(self, size: int) -> tuple[str, str]:
        """
        Write a file that is the same for everybody who knows its size.

        @return: its path and its digest.
        """
        # Needs python-ndn.
        from hermes.test.interop.ndnproducer import content

        path = self.directory / f"{size}.bin"
        path.write_bytes(content(size))
        return str(path), sha256(content(size)).hexdigest()
