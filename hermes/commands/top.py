"""
C{hermes top}: the overlay at work, live.
"""

from __future__ import annotations

import json
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from typing import Any

from rich.console import Console, Group
from rich.text import Text

from hermes.control.operator.client import Controller, ControllerError, WrongCall, controllerArguments, controllerOf
from hermes.control.operator.showing import ago, answered, cell, cost, loss, rate, state, table, trip, version

SUMMARY = "watch the overlay: nodes, links, rates, round trips, refusals"

SHOWN = 8
"""
How many refusals are shown.
"""


def arguments(parser: ArgumentParser) -> None:
    """
    How long, and how often.
    """
    parser.add_argument("--once", action="store_true", help="show it once, and end")
    parser.add_argument("--interval", type=float, default=2.0, metavar="SECONDS", help="how often it is asked for (2)")
    controllerArguments(parser)
    parser.add_argument("--json", action="store_true", help="print JSON, a line each time")


def run(options: Namespace, console: Console) -> int:
    """
    @return: 0; 1 where the controller can't be asked at the beginning.
    """
    return answered(console, lambda: _run(options, console))


def _run(options: Namespace, console: Console) -> int:
    if not 0.1 <= options.interval <= 3600:
        raise WrongCall("hermes top: an interval is from 0.1 to 3600 seconds")
    controller = controllerOf(options)
    if options.once:
        # Rates are differences.
        time.sleep(controller.get("graph")["interval"] + 0.1)
    if options.json:
        while True:
            print(json.dumps(controller.get("graph")), file=console.file, flush=True)
            if options.once:
                return 0
            time.sleep(options.interval)
    shown = _show(controller)
    if options.once:
        console.print(shown)
        return 0
    if not console.is_terminal:
        raise WrongCall("hermes top: this is no terminal: --once or --json")
    from rich.live import Live

    with Live(shown, console=console, screen=True, auto_refresh=False) as live:
        while True:
            time.sleep(options.interval)
            try:
                live.update(_show(controller), refresh=True)
            except ControllerError as error:
                # It may come back.
                live.update(Group(cell(str(error), "red"), shown), refresh=True)


def _show(controller: Controller) -> Group:
    return show(controller.get("status"), controller.get("graph"))


def show(status: Mapping[str, Any], graph: Mapping[str, Any]) -> Group:
    """
    All of it, to be printed.
    """
    nodes = graph["nodes"]
    there = sum(node["state"] not in ("away", "revoked") for node in nodes)
    head = Text(f"version {version(status['version'])}, {there} of {len(nodes)} nodes there")
    if status["change"] is not None:
        progress = status["progress"] or {}
        head.append(f"; a change is under way: {progress.get('step', '')}", "yellow")
    if not status["leading"]:
        head.append("; this controller does not lead", "yellow")
    parts: list[Any] = [head, Text(), _nodes(nodes), Text(), _links(graph["links"])]
    if graph["refusals"]:
        parts += [Text(), _refusals(graph["refusals"][:SHOWN])]
    return Group(*parts)


def _nodes(nodes: list[Mapping[str, Any]]) -> Any:
    found = table("node", "state", "runs", "up for", "flows", "requests", "")
    for node in nodes:
        found.add_row(
            cell(node["name"]),
            state(node["state"]),
            version(node["runs"]),
            ago(node["uptimeSeconds"]),
            _count(node["flowsOpen"]),
            _count(node["requestsOpen"]),
            cell(node["problem"], "red"),
        )
    return found


def _links(links: list[Mapping[str, Any]]) -> Any:
    found = table("link", "state", "cost", "connections", "streams", "there", "back", "round trip", "loss")
    for link in links:
        ends = link["ends"] or [{}]
        for number, end in enumerate(ends):
            a, b = (end["from"], end["to"]) if end else link["between"]
            found.add_row(
                cell(f"{a} > {b}" if end else f"{a} - {b}"),
                state(link["state"]) if not number else "",
                cost(link["cost"]) if not number else "",
                _count(end.get("connections")),
                _count(end.get("streams")),
                rate(end.get("sentPerSecond")),
                rate(end.get("receivedPerSecond")),
                trip(end.get("roundTripSeconds")),
                loss(end.get("loss")),
            )
    return found


def _refusals(refusals: list[Mapping[str, Any]]) -> Any:
    found = table("refused", "at", "who", "what", "why")
    for each in refusals:
        who = each["user"] or each["source"]
        found.add_row(*(cell(part) for part in (each["time"][11:19], each["node"], who, each["target"], each["error"])))
    return found


def _count(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f}"
