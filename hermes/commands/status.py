"""
C{hermes status}: what a running node does, from its admin listener.
"""

from __future__ import annotations

import json
import socket
from argparse import ArgumentParser, Namespace
from http.client import HTTPConnection, HTTPException
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from hermes.config import ConfigError, loadNode

SUMMARY = "show what a running node does"
DEFAULT = "127.0.0.1:9901"


def arguments(parser: ArgumentParser) -> None:
    """
    Where the node is.
    """
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--admin", metavar="ADDRESS", default=DEFAULT, help=f"HOST:PORT or unix:PATH (default {DEFAULT})"
    )
    where.add_argument("--config", "-c", metavar="FILE", help="the node's YAML file, which names its admin listener")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--flows", action="store_true", help="list the open flows, newest first")
    what.add_argument("--requests", action="store_true", help="list the HTTP exchanges that go on, newest first")
    parser.add_argument("--json", action="store_true", help="print JSON")


class _Connection(HTTPConnection):
    """
    An HTTP connection to C{HOST:PORT} or C{unix:PATH}.
    """

    def __init__(self, address: str) -> None:
        super().__init__("admin", timeout=10)
        self._address = address

    def connect(self) -> None:
        if self._address.startswith("unix:"):
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.settimeout(self.timeout)
            path = self._address[5:]
            self.sock.connect("\0" + path[1:] if path.startswith("@") else path)
        else:
            host, _, port = self._address.rpartition(":")
            self.sock = socket.create_connection((host.strip("[]"), int(port)), self.timeout)


def ask(address: str, page: str) -> Any:
    """
    GET a JSON page of an admin listener.

    @raise OSError: where it can't be reached; L{ValueError} where it does not answer as one.
    """
    connection = _Connection(address)
    try:
        connection.request("GET", f"/{page}")
        response = connection.getresponse()
        body = response.read()
        if response.status != 200:
            raise ValueError(f"it answered {response.status}")
        return json.loads(body)
    except HTTPException as error:
        raise ValueError(str(error) or type(error).__name__) from error
    finally:
        connection.close()


def run(options: Namespace, console: Console) -> int:
    """
    @return: 0; 1 where the node can't be asked; 2 where its file is wrong or names no admin listener.
    """
    address = options.admin
    if options.config:
        try:
            config = loadNode(options.config)
        except ConfigError as error:
            print(error, file=console.file)
            return 2
        if config.admin is None:
            print(
                f"{options.config}: no admin listener. Add, for example, admin: {{bind: {DEFAULT}}}", file=console.file
            )
            return 2
        address = config.admin.bind
    try:
        answer = ask(address, "flows" if options.flows else "requests" if options.requests else "status")
    except (OSError, ValueError) as error:
        print(f"no node answers at {address}: {error}", file=console.file)
        return 1
    if options.json:
        print(json.dumps(answer, indent=2), file=console.file)
    elif options.flows:
        console.print(_flows(answer))
    elif options.requests:
        console.print(_requests(answer))
    else:
        _show(answer, console)
    return 0


def _show(status: dict[str, Any], console: Console) -> None:
    flows, requests = status.get("flows", {}), status.get("requests", {})
    state = "[yellow]draining[/yellow]" if status.get("draining") else "[green]running[/green]"
    workers = f", {status['workers']} workers" if status.get("workers") else ""
    console.print(
        f"{status.get('node', '?')}: {state} for {_time(status.get('uptimeSeconds', 0))}{workers}; "
        f"flows: {flows.get('open', 0)} open, {flows.get('opened', 0)} opened, {flows.get('refused', 0)} refused; "
        f"requests: {requests.get('open', 0)} open, {requests.get('taken', 0)} taken",
        highlight=False,
    )
    listeners = Table("listener", "type", "address", "flows", "requests", box=None, header_style="bold")
    for each in status.get("listeners", ()):
        counts = (str(each.get(what, 0)) for what in ("flows", "requests"))
        listeners.add_row(each["name"], each["type"], each["address"], *counts)
    console.print(listeners)
    upstreams = status.get("upstreams", ())
    hops = [each for each in upstreams if each.get("type") != "direct"]
    if hops:
        console.print(_hops(hops))
    direct = [each for each in upstreams if each.get("type") == "direct"]
    if direct:
        console.print(_direct(direct))


def _hops(upstreams: list[dict[str, Any]]) -> Table:
    table = Table("upstream", "endpoint", "connections", "streams", "round trip", box=None, header_style="bold")
    for each in upstreams:
        for number, endpoint in enumerate(each.get("endpoints") or [{}]):
            trip = endpoint.get("roundTripSeconds")
            table.add_row(
                "" if number else each["name"],
                str(endpoint.get("address", "")),
                str(endpoint.get("connections", "")),
                str(endpoint.get("streams", "")),
                "" if trip is None else f"{trip * 1000:.2f} ms",
            )
    return table


_STATES = {"up": "green", "down": "yellow", "ejected": "yellow", "unhealthy": "red"}


def _direct(upstreams: list[dict[str, Any]]) -> Table:
    columns = ("active", "connections", "pending", "failures")
    table = Table("upstream", "endpoint", "state", *columns, "", box=None, header_style="bold")
    for each in upstreams:
        for number, endpoint in enumerate(each.get("endpoints", ())):
            state = endpoint["state"]
            table.add_row(
                "" if number else each["name"],
                endpoint["address"],
                Text(state, _STATES.get(state, "")),
                *(str(endpoint[column]) for column in columns),
                Text(endpoint["error"] or ""),
            )
    return table


def _flows(flows: list[dict[str, Any]]) -> Table:
    table = Table("listener", "from", "who", "to", "by", "in", "out", "age", box=None, header_style="bold")
    for flow in flows:
        path = " > ".join(flow["hops"]) or flow["upstream"] or "direct"
        table.add_row(
            flow["listener"],
            flow["source"] or "-",
            _who(flow),
            f"{flow['protocol']} {flow['target']}",
            path,
            _bytes(flow["bytesIn"]),
            _bytes(flow["bytesOut"]),
            _time(flow["seconds"]),
        )
    return table


def _requests(requests: list[dict[str, Any]]) -> Table:
    table = Table("listener", "from", "who", "request", "by", "status", "out", "age", box=None, header_style="bold")
    for each in requests:
        # A client wrote it: it draws nothing on this terminal.
        request = f"{each['method']} {each['scheme']}://{each['authority']}{each['path']}"
        table.add_row(
            each["listener"],
            each["source"] or "-",
            _who(each),
            escape("".join(c if c.isprintable() else "?" for c in request)),
            " > ".join(each["hops"]) or each["upstream"] or "-",
            str(each["status"] or "-"),
            _bytes(each["bytesOut"]),
            _time(each["seconds"]),
        )
    return table


def _who(entry: dict[str, Any]) -> str:
    return "+".join(name for name in (entry["node"], entry["user"]) if name) or "-"


def _bytes(count: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"


def _time(seconds: float) -> str:
    whole = int(seconds)
    if whole < 60:
        return f"{seconds:.1f} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
