"""
C{hermes history}: the versions of the overlay, and who changed what.
"""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console

from hermes.control.operator.client import WrongCall, controllerArguments, controllerOf
from hermes.control.operator.completing import VERSIONS, completedBy
from hermes.control.operator.showing import answered, cell, difference, say, state, table, version, when

SUMMARY = "list the versions of the overlay, or show one"


def arguments(parser: ArgumentParser) -> None:
    """
    Which.
    """
    completedBy(
        parser.add_argument(
            "version", nargs="?", type=int, metavar="N", help="show this version: its reasons, and what it changed"
        ),
        VERSIONS,
    )
    parser.add_argument("--document", action="store_true", help="with N: print its document, and nothing else")
    parser.add_argument("--audit", action="store_true", help="list who did what")
    parser.add_argument("--count", "-n", type=int, default=20, metavar="COUNT", help="how many (20)")
    parser.add_argument("--before", type=int, metavar="N", help="only those before this number")
    controllerArguments(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(options: Namespace, console: Console) -> int:
    """
    @return: 0; 1 where there is no such version, or the controller can't be asked; 2 where the command was called
        wrongly.
    """
    return answered(console, lambda: _run(options, console))


def _run(options: Namespace, console: Console) -> int:
    if options.audit and options.version is not None:
        raise WrongCall("hermes history: --audit goes without a version")
    if options.document and options.version is None:
        raise WrongCall("hermes history: --document goes with a version")
    if not 0 < options.count <= 1000:
        raise WrongCall("hermes history: 1000 are listed at most")
    controller = controllerOf(options)
    if options.version is not None:
        record = controller.get(f"versions/{options.version}")
        if options.json:
            print(json.dumps(record, indent=2), file=console.file)
        elif options.document:
            # For a file: as it was written.
            print(record["document"], end="", file=console.file)
        else:
            parent = record["parent"]
            before = "" if parent is None else controller.get(f"versions/{parent}")["document"]
            _one(record, before, console)
        return 0
    what = "audit" if options.audit else "versions"
    found = controller.get(what, limit=options.count, before=options.before)
    entries = found["entries" if options.audit else "versions"]
    if options.json:
        print(json.dumps(entries, indent=2), file=console.file)
    else:
        (_audits if options.audit else _versions)(entries, console)
    return 0


def _versions(records: Sequence[Mapping[str, Any]], console: Console) -> None:
    found = table("version", "before", "state", "when", "by", "comment")
    for record in records:
        found.add_row(
            str(record["number"]),
            version(record["parent"]),
            state(record["phase"]),
            when(record["time"]),
            cell(record["author"]),
            cell(record["comment"]),
        )
    console.print(found)


def _one(record: Mapping[str, Any], before: str, console: Console) -> None:
    from hermes.control.differences import documentDifference

    by = cell(f"by {record['author']}, {when(record['time'])}")
    console.print(f"version {record['number']}: ", state(record["phase"]), ", ", by, sep="")
    if record["comment"]:
        say(console, record["comment"])
    for reason in record["reasons"]:
        say(console, f"  {reason['node']} ({reason['step']}): {reason['text']}", "red")
    difference(console, documentDifference(before, record["document"]))


def _audits(entries: Sequence[Mapping[str, Any]], console: Console) -> None:
    found = table("number", "when", "who", "from", "did", "to", "")
    for entry in entries:
        found.add_row(
            str(entry["number"]),
            when(entry["time"]),
            *(cell(entry[name]) for name in ("actor", "origin", "action", "subject", "text")),
        )
    console.print(found)
