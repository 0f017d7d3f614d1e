"""
C{hermes status}: what a running node does, from its admin listener; or the overlay, from its controller.
"""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from hermes.admin.client import adminAddress, adminArguments, ask
from hermes.control.operator.client import WrongCall, controllerArguments, controllerOf, controllerThere

SUMMARY = "show what a running node does, or the overlay where there is a controller"


def arguments(parser: ArgumentParser) -> None:
    """
    Where the node is, or the controller.
    """
    adminArguments(parser)
    controllerArguments(parser)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--flows", action="store_true", help="list the open flows, newest first")
    what.add_argument("--requests", action="store_true", help="list the HTTP exchanges that go on, newest first")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(options: Namespace, console: Console) -> int:
    """
    @return: 0; 1 where the node or the controller can't be asked; 2 where the node's file is wrong or names no admin
        listener.
    """
    ofNode = bool(options.admin or options.config or options.flows or options.requests)
    if (options.controller and ofNode) or (not ofNode and controllerThere(options)):
        return _overlay(options, console, ofNode)
    address = adminAddress(options, console)
    if isinstance(address, int):
        return address
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
        show(answer, console)
    return 0


def _overlay(options: Namespace, console: Console, ofNode: bool) -> int:
    from hermes.commands import nodes
    from hermes.control.operator.showing import answered, say, when

    def asked() -> int:
        if ofNode:
            raise WrongCall(
                "hermes status: --admin, --config, --flows and --requests ask a node, --controller does not"
            )
        status = controllerOf(options).get("status")
        if options.json:
            print(json.dumps(status, indent=2), file=console.file)
            return 0
        if status["version"] is None:
            say(console, "no version yet: hermes apply FILE")
        else:
            comment = f": {status['comment']}" if status["comment"] else ""
            about = f"version {status['version']}, by {status['author']}, {when(status['time'])}{comment}"
            say(console, about)
        if not status["leading"]:
            say(console, f"this controller does not lead: {status['leader'] or 'nobody'} does", "yellow")
        if status["problem"]:
            say(console, status["problem"], "red")
        if status["change"] is not None:
            progress = status["progress"] or {}
            number = f" (version {status['change']})" if status["change"] else ""
            say(
                console,
                f"a change is under way{number}: {progress.get('step', '')} {progress.get('text', '')}",
                "yellow",
            )
        if status["nodes"]:
            nodes.show(status["nodes"], console)
        return 0

    return answered(console, asked)


def show(status: dict[str, Any], console: Console) -> None:
    """
    Write what a node's status says.
    """
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
    if ports := status.get("packets", {}).get("ports"):
        console.print(_ports(ports))


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


def _ports(ports: list[dict[str, Any]]) -> Table:
    table = Table("IP packets", "who", "addresses", "in", "out", "dropped", "", box=None, header_style="bold")
    for each in ports:
        state = Text("") if each["up"] else Text(each.get("failure") or "down", "red")
        table.add_row(
            each["name"],
            each["identity"],
            ", ".join([*each["addresses"], *each.get("networks", ())]),
            f"{each['packetsIn']} ({_bytes(each['bytesIn'])})",
            f"{each['packetsOut']} ({_bytes(each['bytesOut'])})",
            str(each["dropped"]),
            state,
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
