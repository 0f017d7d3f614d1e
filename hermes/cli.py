"""
C{hermes}: the operator's command.
"""

from __future__ import annotations

import pkgutil
import sys
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Sequence
from importlib import import_module
from typing import Protocol, cast

from rich.console import Console

import hermes.commands

OK = 0
FAILED = 1
USAGE = 2
"""
Exit statuses. 2 is also what argparse exits with.
"""


class Command(Protocol):
    """
    What a module in L{hermes.commands} holds.
    """

    SUMMARY: str

    def arguments(self, parser: ArgumentParser) -> None:
        """
        Declare what the command takes.
        """

    def run(self, options: Namespace, console: Console) -> int:
        """
        Do it, write to C{console}, return the exit status.
        """


def commands() -> dict[str, Command]:
    """
    Every command by name.
    """
    names = sorted(module.name for module in pkgutil.iter_modules(hermes.commands.__path__))
    return {name: cast(Command, import_module(f"hermes.commands.{name}")) for name in names if not name.startswith("_")}


def makeParser() -> ArgumentParser:
    """
    The parser of all commands.
    """
    parser = ArgumentParser(
        prog="hermes",
        description="Look after an overlay and its nodes. To run a node: twistd -n hermes-proxy --config FILE",
        formatter_class=RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"hermes {hermes.__version__}")
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, command in commands().items():
        subparser = subparsers.add_parser(name, help=command.SUMMARY, description=command.SUMMARY)
        command.arguments(subparser)
        subparser.set_defaults(run=command.run)
    return parser


def main(arguments: Sequence[str] | None = None, console: Console | None = None) -> int:
    """
    Run one command.

    @param arguments: without the program's name; those of the process where not given.
    @param console: where to write; standard output where not given.
    @return: the exit status: 0, 1 where the command failed or what it checked is wrong, 2 where it was called wrongly.
    """
    options = makeParser().parse_args(arguments)
    if console is None:
        # Not a terminal: whoever reads it, a file or grep, wants lines as they are.
        console = Console(highlight=False) if sys.stdout.isatty() else Console(highlight=False, width=160)
    try:
        return int(options.run(options, console))
    except BrokenPipeError:
        # The reader (head, a pager) has seen enough. Nothing may be written while the interpreter ends.
        sys.stderr.close()
        return OK
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
