"""
C{hermes drain NODE}: have a node accept nothing more.
"""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace

from rich.console import Console

from hermes.control.operator.client import WrongCall, controllerArguments, controllerOf
from hermes.control.operator.completing import NODES, completedBy
from hermes.control.operator.showing import answered, say

SUMMARY = "have a node accept nothing more, let its flows end, and end"


def arguments(parser: ArgumentParser) -> None:
    """
    The node.
    """
    completedBy(parser.add_argument("node", metavar="NODE"), NODES)
    parser.add_argument("--timeout", type=int, default=30, metavar="SECONDS", help="how long flows may go on (30)")
    controllerArguments(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(options: Namespace, console: Console) -> int:
    """
    @return: 0 where every flow ended by itself; 1 where some were cut off, or who is asked does not answer.
    """

    def asked() -> int:
        if not 0 <= options.timeout <= 86400:
            raise WrongCall("hermes drain: flows may go on for a day at most")
        controller = controllerOf(options)
        if not options.json:
            say(console, f"{options.node} accepts nothing more; its flows have {options.timeout} s")
        found = controller.post(f"nodes/{options.node}/drain", wait=options.timeout, timeout=options.timeout)
        if options.json:
            print(json.dumps(found, indent=2), file=console.file)
        else:
            ended = "every flow ended by itself" if found["finished"] else "some flows were cut off"
            say(console, f"{options.node} is drained: {ended}")
        return 0 if found["finished"] else 1

    return answered(console, asked)
