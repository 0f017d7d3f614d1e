"""
C{hermes node revoke NODE}: shut a node out. C{hermes node status NODE}: what its own status says.
"""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace

from rich.console import Console

from hermes.commands import status
from hermes.control.operator.changing import confirmed
from hermes.control.operator.client import ControllerError, WrongCall, controllerArguments, controllerOf
from hermes.control.operator.completing import NODES, completedBy
from hermes.control.operator.showing import answered, harmless, say

SUMMARY = "shut a node out of the overlay, or show what it does"


def arguments(parser: ArgumentParser) -> None:
    """
    What to do, and to which node.
    """
    actions = parser.add_subparsers(title="actions", metavar="ACTION", dest="action", required=True)
    revoke = actions.add_parser("revoke", help="shut a node out at once", description="Shut a node out at once.")
    completedBy(revoke.add_argument("node", metavar="NODE"), NODES)
    revoke.add_argument("--yes", "-y", action="store_true", help="do not ask")
    show = actions.add_parser("status", help="what a node's own status says", description="What a node's status says.")
    completedBy(show.add_argument("node", metavar="NODE"), NODES)
    for each in (revoke, show):
        controllerArguments(each)
        each.add_argument("--json", action="store_true", help="print JSON")


def run(options: Namespace, console: Console) -> int:
    """
    @return: 0; 1 where the controller refuses or can't be asked, or the operator did not want it; 2 where the command
        was called wrongly.
    """
    return answered(console, lambda: (_revoke if options.action == "revoke" else _status)(options, console))


def _revoke(options: Namespace, console: Console) -> int:
    agreed = confirmed(f"Shut {options.node} out, and close its connections?", options, console)
    if agreed is None:
        raise WrongCall("hermes node revoke: nobody can be asked here: --yes does it without asking")
    if not agreed:
        say(console, "nothing was changed")
        return 1
    found = controllerOf(options).post(f"nodes/{options.node}/revoke")
    if options.json:
        print(json.dumps(found, indent=2), file=console.file)
    else:
        say(console, f"{options.node} is shut out. A new token lets it in again: hermes enrol {options.node}")
    return 0


def _status(options: Namespace, console: Console) -> int:
    found = controllerOf(options).get(f"nodes/{options.node}")
    if options.json:
        print(json.dumps(found, indent=2), file=console.file)
    else:
        try:
            status.show(harmless(found), console)
        except (KeyError, TypeError, ValueError) as error:
            raise ControllerError(f"what {options.node} says can't be shown: --json prints it") from error
    return 0
