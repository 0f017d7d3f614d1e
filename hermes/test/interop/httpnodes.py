"""
Nodes that are reverse proxies, and the origins behind them.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import hermes.test.interop
from hermes.test.interop.process import Process
from hermes.test.interop.processes import Node, ProcessCase

DIRECTORY = Path(hermes.test.interop.__file__).parent

VERSIONS = ("1.1", "2")


class HTTPCase(ProcessCase):
    """
    A test with reverse proxies.
    """

    timeout = 60

    async def serving(self, program: str, *arguments: str) -> int:
        """
        Start a server, one of the programs beside this file.

        @return: its port.
        """
        process: Process = self.start(sys.executable, str(DIRECTORY / f"{program}.py"), *arguments)
        match = await process.said(r"serving on (\d+)")
        return int(match[1])

    async def origins(self) -> dict[str, int]:
        """
        Start the two origins.

        @return: their ports, by version.
        """
        return {"1.1": await self.serving("http1server"), "2": await self.serving("http2server")}

    def upstreams(self, origins: dict[str, int]) -> dict[str, Any]:
        """
        Upstreams for origins, C{one} and C{two}.
        """
        return {
            _NAMES[version]: {"type": "direct", "endpoints": [f"127.0.0.1:{port}"], "version": version}
            for version, port in origins.items()
        }

    def routes(self, origins: dict[str, int], **action: Any) -> list[dict[str, Any]]:
        """
        Routes by host to the upstreams.
        """
        return [
            {"match": {"host": f"{_NAMES[version]}.example"}, "to": _NAMES[version], **action} for version in origins
        ]

    async def reverse(self, origins: dict[str, int], **options: Any) -> Node:
        """
        A reverse proxy before origins: C{one.example} speaks HTTP/1.1, C{two.example} HTTP/2.
        """
        return await self.node(
            "edge",
            listeners={"web": {"type": "http", "bind": "127.0.0.1:0", **options}},
            upstreams=self.upstreams(origins),
            routes=self.routes(origins),
        )

    async def chain(self, origins: dict[str, int]) -> tuple[Node, Node]:
        """
        The same, with another node between: the reverse proxy sends all that it takes there.
        """
        last = await self.node(
            "exit",
            identity=self.identity("exit"),
            listeners={"overlay": {"type": "tunnel", "bind": "127.0.0.1:0"}},
            upstreams=self.upstreams(origins),
            routes=self.routes(origins),
        )
        first = await self.node(
            "edge",
            identity=self.identity("edge"),
            listeners={
                "web": {"type": "http", "bind": "127.0.0.1:0"},
                "apps": {"type": "proxy", "bind": "127.0.0.1:0"},
            },
            upstreams={"exit": {"type": "hermes", "endpoints": [last.address("overlay")]}},
            routes=[{"match": {"any": True}, "via": ["exit"]}],
        )
        return first, last

    async def curl(self, *arguments: str) -> str:
        """
        Run curl.
        """
        return await self.output("curl", "-sS", "--noproxy", "*", "--max-time", "30", *arguments)

    async def asked(self, node: Node, upstream: str, path: str, *arguments: str) -> dict[str, Any]:
        """
        Ask with curl, and read what the origin was asked.

        @param upstream: the version that the origin speaks.
        """
        text = await self.curl(*self.at(node, upstream, path), *arguments)
        told: dict[str, Any] = json.loads(text)
        self.assertEqual(told["version"], upstream)
        return told

    def at(self, node: Node, upstream: str, path: str) -> tuple[str, ...]:
        """
        curl's arguments for a URL.
        """
        host, port = f"{_NAMES[upstream]}.example", node.ports["web"]
        return (f"http://{host}:{port}{path}", "--resolve", f"{host}:{port}:127.0.0.1")


_NAMES = {"1.1": "one", "2": "two"}
