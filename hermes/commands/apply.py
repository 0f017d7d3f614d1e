"""
C{hermes apply FILE}: make a document the overlay's.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from rich.console import Console

from hermes.commands import diff
from hermes.control.operator.changing import confirmed, follow
from hermes.control.operator.client import WrongCall, controllerArguments, controllerOf
from hermes.control.operator.showing import answered, say

SUMMARY = "make a document the overlay's: on all nodes, or on none"


def arguments(parser: ArgumentParser) -> None:
    """
    The file, and how.
    """
    parser.add_argument("file", metavar="FILE", help="the overlay document, YAML")
    parser.add_argument("--yes", "-y", action="store_true", help="do not ask")
    parser.add_argument("--comment", "-m", default="", metavar="TEXT", help="what the history says about it")
    parser.add_argument("--nodes", action="store_true", help="show the difference of each node's configuration too")
    controllerArguments(parser)
    parser.add_argument("--json", action="store_true", help="print JSON, a line for each step; needs --yes")


def run(options: Namespace, console: Console) -> int:
    """
    @return: 0 where the overlay is at it; 1 where it was refused or taken back, or the operator did not want it, or the
        controller can't be asked; 2 where the command was called wrongly, or the file can't be read.
    """
    return answered(console, lambda: _run(options, console))


def _run(options: Namespace, console: Console) -> int:
    if options.json and not options.yes:
        raise WrongCall("hermes apply: --json needs --yes")
    document = diff.readDocument(options.file)
    controller = controllerOf(options)
    found = controller.post("diff", document)
    if not options.json:
        diff.show(found, console, options.nodes)
        if found["problems"]:
            say(console, "it is refused: nothing was changed", "red")
            return 1
        if found["document"] or found["nodes"]:
            agreed = confirmed("Apply it?", options, console)
            if agreed is None:
                raise WrongCall("hermes apply: nobody can be asked here: --yes applies it without asking")
            if not agreed:
                say(console, "nothing was changed")
                return 1
    # What was shown is what is done: not where another operator was faster.
    told = controller.follow("apply", document, comment=options.comment, expect=found["base"])
    return follow(told, console, options.json)
