"""
C{hermes nodes}: the nodes of the overlay, as the controller sees them.
"""

from __future__ import annotations

import json
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from typing import Any

from rich.console import Console

from hermes.control.operator.client import controllerArguments, controllerOf
from hermes.control.operator.showing import ago, answered, cell, state, table, version, when

SUMMARY = "list the overlay's nodes and their versions"


def arguments(parser: ArgumentParser) -> None:
    """
    Where the controller is.
    """
    controllerArguments(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(options: Namespace, console: Console) -> int:
    """
    @return: 0; 1 where the controller can't be asked.
    """

    def asked() -> int:
        nodes = controllerOf(options).get("status")["nodes"]
        if options.json:
            print(json.dumps(nodes, indent=2), file=console.file)
        else:
            show(nodes, console)
        return 0

    return answered(console, asked)


def show(nodes: list[Mapping[str, Any]], console: Console) -> None:
    """
    Write them as a table.
    """
    found = table("node", "state", "runs", "wanted", "software", "heard of", "certificate until", "")
    now = time.time()
    for node in nodes:
        said = node["state"]
        seen = "now" if said["connected"] else f"{ago(now - said['seen'])} ago" if said["seen"] else "never"
        found.add_row(
            cell(node["name"]),
            state(node["word"]),
            version(said["runs"]),
            version(node["wanted"]),
            cell(said["software"]),
            seen,
            when(node["expires"]),
            cell(node["problem"], "red"),
        )
    console.print(found)
