"""
C{hermes cancel}: take back the change that is under way.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from rich.console import Console

from hermes.control.operator.changing import outcomeOf
from hermes.control.operator.client import controllerArguments, controllerOf
from hermes.control.operator.showing import answered, say

SUMMARY = "take back the change of the overlay that is under way"

PATIENCE = 150.0
"""
Seconds that it may take until every node has gone back.
"""


def arguments(parser: ArgumentParser) -> None:
    """
    None of its own.
    """
    controllerArguments(parser)
    parser.add_argument("--json", action="store_true", help="print what came of it as JSON")


def run(options: Namespace, console: Console) -> int:
    """
    @return: 0 where it was taken back; 1 where it was decided already, where there was none, or the controller can't be
        asked.
    """
    return answered(console, lambda: _run(options, console))


def _run(options: Namespace, console: Console) -> int:
    found = controllerOf(options).post("cancel", wait=PATIENCE)
    if options.json:
        import json

        print(json.dumps(found), file=console.file, flush=True)
    elif found["outcome"] is None:
        say(console, "no change is under way")
    else:
        outcomeOf(found["outcome"], console)
        if not found["cancelled"]:
            say(console, "it was too late: it was decided already")
    return 0 if found["cancelled"] else 1
