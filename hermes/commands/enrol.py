"""
C{hermes enrol NODE}: a token by which a node can join.
"""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace

from rich.console import Console

from hermes.control.operator.client import controllerArguments, controllerOf
from hermes.control.operator.showing import answered, clean, say

SUMMARY = "let a node join: prints the command to type there"


def arguments(parser: ArgumentParser) -> None:
    """
    The node.
    """
    parser.add_argument("node", metavar="NODE", help="its name, as the overlay document has it")
    parser.add_argument("--token-only", action="store_true", help="print the token, and nothing else")
    controllerArguments(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(options: Namespace, console: Console) -> int:
    """
    @return: 0; 1 where the controller refuses, or can't be asked.
    """

    def asked() -> int:
        found = controllerOf(options).post(f"nodes/{options.node}/enrol")
        if options.json:
            print(json.dumps(found, indent=2), file=console.file)
        elif options.token_only:
            print(clean(found["token"]), file=console.file)
        else:
            controller = found.get("controller") or "CONTROLLER:PORT"
            say(console, f"Type this on {found['node']}, within an hour; it works once:")
            say(console, "")
            say(
                console,
                f"    twistd -n hermes-proxy --controller {controller} --token {found['token']} "
                f"--state /var/lib/hermes/{found['node']}",
            )
        return 0

    return answered(console, asked)
