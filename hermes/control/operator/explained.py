"""
C{hermes explain DESTINATION}: may somebody reach something over the overlay, and by which way.
"""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from typing import Any

from rich.console import Console

from hermes.control.operator.client import WrongCall, controllerArguments, controllerOf
from hermes.control.operator.completing import NODES, completedBy
from hermes.control.operator.showing import answered, say

OF_A_FILE = ("node", "source", "listener", "header")
OF_THE_OVERLAY = ("at", "packets", "transport", "method", "json", "controller", "token_file", "trust")


def overlayArguments(parser: ArgumentParser) -> None:
    """
    What a controller is asked beside the destination and the user.
    """
    asked = parser.add_argument_group("of a controller")
    completedBy(asked.add_argument("--at", metavar="NODE", help="where they come in; left out, each"), NODES)
    asked.add_argument("--packets", action="store_true", help="ask about IP packets")
    asked.add_argument("--transport", metavar="NAME", help="with --packets: what is in them")
    asked.add_argument("--method", metavar="METHOD", help="of a request (GET)")
    asked.add_argument("--json", action="store_true", help="print JSON")
    controllerArguments(asked)


def explainOverlay(options: Namespace, console: Console) -> int:
    """
    @return: 0 where they reach it from every node that was asked about; 1 where they do not from one, or the controller
        can't be asked; 2 where the command was called wrongly.
    """

    def asked() -> int:
        given = [name for name in OF_A_FILE if getattr(options, name)]
        if given:
            raise WrongCall(f"hermes explain: --{given[0]} is about a node's file: hermes explain FILE METHOD URL")
        answers = controllerOf(options).get(
            "explain",
            destination=options.file,
            user=options.user,
            at=options.at,
            packets="true" if options.packets else None,
            transport=options.transport,
            method=options.method,
        )["answers"]
        if options.json:
            print(json.dumps(answers, indent=2), file=console.file)
        else:
            who = options.user or "somebody without a name"
            for number, (node, answer) in enumerate(sorted(answers.items())):
                if number:
                    say(console, "")
                _show(answer, f"{who} at {node}: {options.file}", console)
        return 0 if answers and all(answer["allowed"] for answer in answers.values()) else 1

    return answered(console, asked)


def _show(answer: Mapping[str, Any], question: str, console: Console) -> None:
    allowed = answer["allowed"]
    say(console, f"{question}: {'yes' if allowed else 'no'}", "bold green" if allowed else "bold red")
    if len(answer["path"]) > 1:
        say(console, f"  by {' > '.join(answer['path'])}")
    for node, ways in answer["backups"].items():
        say(console, f"  {node} goes over {' or '.join(ways)} where the next can't be reached")
    for each in answer["lines"]:
        for line in each["routes"]:
            say(console, f"  {each['node']}: {line}", "dim")
    say(console, f"  => {answer['end']}")
