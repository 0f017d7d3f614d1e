"""
C{hermes diff FILE}: what an overlay document would change.
"""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from hermes.control.operator.client import WrongCall, controllerArguments, controllerOf
from hermes.control.operator.showing import answered, cell, difference, say, table

SUMMARY = "show what an overlay document would change, without changing anything"


def arguments(parser: ArgumentParser) -> None:
    """
    The file.
    """
    parser.add_argument("file", metavar="FILE", help="the overlay document, YAML")
    parser.add_argument("--nodes", action="store_true", help="show the difference of each node's configuration too")
    controllerArguments(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(options: Namespace, console: Console) -> int:
    """
    @return: 0; 1 where it would be refused, or the controller can't be asked; 2 where the file can't be read.
    """

    def asked() -> int:
        found = controllerOf(options).post("diff", readDocument(options.file))
        if options.json:
            print(json.dumps(found, indent=2), file=console.file)
        else:
            show(found, console, options.nodes)
        return 1 if found["problems"] else 0

    return answered(console, asked)


def readDocument(file: str) -> str:
    """
    @raise WrongCall: where it can't be read.
    """
    try:
        return Path(file).read_text(encoding="utf-8")
    except OSError as error:
        raise WrongCall(f"{file}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise WrongCall(f"{file}: it is not UTF-8 text: byte {error.start} is wrong") from None


def show(found: Mapping[str, Any], console: Console, nodes: bool) -> None:
    """
    Write what would change.

    @param nodes: whether with the difference of each node's configuration.
    """
    base = found["base"]
    if found["document"]:
        difference(console, found["document"])
    elif base is not None:
        say(console, f"the document is that of version {base}")
    if found["nodes"]:
        changed = table("node", "change", "lines")
        for each in found["nodes"]:
            lines = [line for line in each["lines"] if not line.startswith(("+++", "---"))]
            added = sum(line.startswith("+") for line in lines)
            removed = sum(line.startswith("-") for line in lines)
            changed.add_row(cell(each["node"]), each["change"], f"+{added} -{removed}")
        console.print(changed)
        if nodes:
            for each in found["nodes"]:
                difference(console, each["lines"])
    else:
        say(console, "no node's configuration changes")
    for problem in found["problems"]:
        say(console, f"{problem['node']}: {problem['text']}", "red")
