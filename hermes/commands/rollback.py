"""
C{hermes rollback N}: make what a version said the overlay's again.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from rich.console import Console

from hermes.commands import diff
from hermes.control.operator.changing import confirmed, follow
from hermes.control.operator.client import WrongCall, controllerArguments, controllerOf
from hermes.control.operator.completing import VERSIONS, completedBy
from hermes.control.operator.showing import answered, say

SUMMARY = "go back to an earlier version of the overlay"


def arguments(parser: ArgumentParser) -> None:
    """
    The version.
    """
    completedBy(parser.add_argument("version", metavar="N", type=int, help="its number: see hermes history"), VERSIONS)
    parser.add_argument("--yes", "-y", action="store_true", help="do not ask")
    parser.add_argument("--comment", "-m", default="", metavar="TEXT", help="what the history says about it")
    controllerArguments(parser)
    parser.add_argument("--json", action="store_true", help="print JSON, a line for each step; needs --yes")


def run(options: Namespace, console: Console) -> int:
    """
    @return: as of C{hermes apply}.
    """
    return answered(console, lambda: _run(options, console))


def _run(options: Namespace, console: Console) -> int:
    if options.json and not options.yes:
        raise WrongCall("hermes rollback: --json needs --yes")
    if options.version < 1:
        raise WrongCall("hermes rollback: versions are numbered from 1")
    controller = controllerOf(options)
    expect = None
    if not options.json:
        record = controller.get(f"versions/{options.version}")
        found = controller.post("diff", record["document"])
        expect = found["base"]
        diff.show({**found, "problems": ()}, console, False)
        agreed = confirmed(f"Go back to version {options.version}?", options, console)
        if agreed is None:
            raise WrongCall("hermes rollback: nobody can be asked here: --yes does it without asking")
        if not agreed:
            say(console, "nothing was changed")
            return 1
    told = controller.follow(f"rollback/{options.version}", comment=options.comment or None, expect=expect)
    return follow(told, console, options.json)
