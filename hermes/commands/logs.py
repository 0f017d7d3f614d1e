"""
C{hermes logs NODE}: the last lines of a node's log.
"""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace

from rich.console import Console

from hermes.control.operator.client import WrongCall, controllerArguments, controllerOf
from hermes.control.operator.completing import NODES, completedBy
from hermes.control.operator.showing import answered, clean

SUMMARY = "show the last lines of a node's log"


def arguments(parser: ArgumentParser) -> None:
    """
    The node.
    """
    completedBy(parser.add_argument("node", metavar="NODE"), NODES)
    parser.add_argument("--count", "-n", type=int, default=100, metavar="LINES", help="how many (100)")
    controllerArguments(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(options: Namespace, console: Console) -> int:
    """
    @return: 0; 1 where the node or the controller can't be asked.
    """

    def asked() -> int:
        if not 0 < options.count <= 10_000:
            raise WrongCall("hermes logs: 10,000 lines are shown at most")
        lines = controllerOf(options).get(f"nodes/{options.node}/logs", count=options.count)["lines"]
        if options.json:
            print(json.dumps(lines, indent=2), file=console.file)
        else:
            for line in lines:
                print(clean(str(line).replace("\t", "    ")), file=console.file)
        return 0

    return answered(console, asked)
